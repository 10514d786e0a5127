//! Mesh of rings between shards: who owns which stream, and the messages of those that others read.
//! One hop per message per shard that has readers.
//!
//! News of streams are never lost for good: a shard that finds a ring full says everything anew
//! once there is room ([`MeshMessage::Resync`]). So does one that was rebuilt after a panic: until
//! another shard has heard of that, what it sends is for readers that are gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::limits::{Audience, Audiences};
use crate::media::{Micros, Stamps};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::rtmp::Hops;
use crate::stream::{Message, Prints};

/// Messages that may wait between two shards: seconds of several streams.
const MESH_QUEUE: usize = 4_096;

/// Places of a ring that are kept for what is not media: without it nobody would know who owns
/// what.
const MESH_RESERVED: usize = 256;

/// What a subscriber has of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Have {
    /// Nothing: it wants what a late viewer gets.
    Nothing,
    /// Everything from before the receiver became its owner.
    Before,
}

/// A stream that a shard owns, as it tells the others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Owned {
    /// Public name.
    pub name: Arc<str>,
    /// Its viewers, whom all shards count together.
    pub audience: Arc<Audience>,
    /// The hops that it has come through.
    pub hops: Hops,
    /// When the sender became its owner, on a count that all shards share. What different shards
    /// say is not heard in the order in which they said it: of two that own a stream, the later
    /// one does.
    pub term: u64,
    /// Whether a channel feeds it, which gives way to nobody.
    pub is_channel: bool,
    /// The newest time of the stream, milliseconds, if its publisher has left and it is kept for
    /// the grace time.
    pub left: Option<u32>,
}

/// What shards tell each other.
#[derive(Clone, Debug)]
pub enum MeshMessage {
    /// The sender owns this stream, and feeds it now.
    Up(Owned),
    /// The sender no longer does.
    Down(Arc<str>),
    /// The publisher of this stream has left the sender, which keeps it for the grace time; its
    /// newest time, in milliseconds, and what it was, if it is pulled.
    Left(Arc<str>, u32, Prints),
    /// The source of this stream, which the sender owns, says that it is over.
    Goodbye(Arc<str>),
    /// The sender has readers for this stream. Its messages are to carry this number, which no
    /// other subscription has.
    Subscribe(Arc<str>, Have, u64),
    /// It no longer has any.
    Unsubscribe(Arc<str>),
    /// Somebody with a good key wants to publish this stream at the sender; whether the key takes
    /// the name from who is active. Answered with `Left` or `Stays`.
    MakeWay(Arc<str>, bool),
    /// The publisher of this stream keeps its name.
    Stays(Arc<str>),
    /// The sender has a reader that waits for a keyframe of this stream.
    KeyWanted(Arc<str>),
    /// The sender has, or would have, readers for this stream, which the receiver can pull; those
    /// that relay it are at these hops.
    Want(Arc<str>, Hops),
    /// A message of a stream the receiver subscribed to, with its arrival, when it was where on its
    /// way, and the number of the subscription.
    Message(Arc<str>, Message, (Micros, Stamps), u64),
    /// Something that the sender said was lost: these are all streams that it owns, and those of
    /// the receiver that it reads.
    Resync {
        /// Streams of the sender.
        owned: Vec<Owned>,
        /// Streams of the receiver, and the numbers of the subscriptions.
        read: Vec<(Arc<str>, u64)>,
        /// How often the sender has been rebuilt.
        rebuilds: u32,
        /// How often the receiver has been, as far as the sender has heard.
        heard: u32,
    },
}

/// One shard's ends of all rings to and from the others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Mesh {
    #[serde(skip)]
    to: Vec<Option<Sender<MeshMessage>>>,
    #[serde(skip)]
    from: Vec<Option<Receiver<MeshMessage>>>,
    others: Vec<Other>,
    /// How often this shard has been rebuilt.
    rebuilds: u32,
    owners: BTreeMap<Arc<str>, Owner>,
    /// Streams that have ended elsewhere a moment ago: when, and the terms of their owners.
    #[serde(with = "crate::media::instants")]
    ended: VecDeque<(Micros, Arc<str>, u64)>,
    /// Counts terms, for all shards.
    #[serde(skip)]
    terms: Arc<AtomicU64>,
}

/// Another shard, as this one knows it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Other {
    /// Whether something for it did not fit: it is told everything anew.
    is_behind: bool,
    /// How often it has been rebuilt.
    rebuilds: u32,
    /// How many rebuilds of this shard it has heard of.
    heard: u32,
}

/// How long it is remembered that a stream has ended: longer than what was said before that can be
/// on its way.
const ENDED_KEPT: Micros = Micros::from_secs(10);

/// How many of them at most.
const ENDED_MAX: usize = 1_024;

/// Which other shard a stream is at.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owner {
    shard: usize,
    stream: Owned,
}

impl Mesh {
    /// The full mesh of shards with these bells.
    #[must_use]
    pub fn full(bells: &[Arc<Bell>]) -> Vec<Self> {
        Self::of_capacity(bells, MESH_QUEUE)
    }

    /// The same with rings of `capacity` messages.
    pub(in crate::shard) fn of_capacity(bells: &[Arc<Bell>], capacity: usize) -> Vec<Self> {
        let terms = Arc::default();
        let mesh = |_| Self { terms: Arc::clone(&terms), ..Self::default() };
        let mut meshes: Vec<Self> = bells.iter().map(mesh).collect();
        for sender in 0..bells.len() {
            for (receiver, bell) in bells.iter().enumerate() {
                let (to, from) = if sender == receiver {
                    (None, None)
                } else {
                    let (to, from) = channel(capacity, Arc::clone(bell));
                    (Some(to), Some(from))
                };
                meshes[sender].to.push(to);
                meshes[sender].others.push(Other::default());
                meshes[receiver].from.push(from);
            }
        }
        meshes
    }

    /// Shards, this one among them.
    pub(in crate::shard) const fn shards(&self) -> usize {
        self.to.len()
    }

    /// The streams that other shards own, as far as is known.
    pub(super) fn elsewhere(&self) -> impl Iterator<Item = &Arc<str>> {
        self.owners.keys()
    }

    /// Shards that have not taken all that was said to them.
    pub(super) fn unheard(&self) -> Vec<usize> {
        let is_unheard = |to: &usize| self.to[*to].as_ref().is_some_and(|ring| !ring.is_empty());
        (0..self.to.len()).filter(is_unheard).collect()
    }

    /// What was said to shard `to` is lost.
    pub(super) fn lose(&mut self, to: usize) {
        self.others[to].is_behind = true;
    }

    /// The newest term that any shard has.
    pub(in crate::shard) fn newest_term(&self) -> u64 {
        self.terms.load(Ordering::Relaxed)
    }

    /// It was read from a snapshot: goes on over the rings of `fresh`, with terms after `newest`.
    /// `false` if it contradicts itself or is of another number of shards.
    #[must_use]
    pub(super) fn resume(&mut self, fresh: Self, newest: u64, audiences: &Audiences) -> bool {
        let Self { to, from, terms, .. } = fresh;
        (self.to, self.from, self.terms) = (to, from, terms);
        self.terms.fetch_max(newest, Ordering::Relaxed);
        for (name, owner) in &mut self.owners {
            owner.stream.audience = audiences.of(name);
        }
        let is_there = |owner: &Owner| self.to.get(owner.shard).is_some_and(Option::is_some);
        self.others.len() == self.to.len() && self.owners.values().all(is_there)
    }

    /// Whether another shard has said something.
    pub(in crate::shard) fn has_mail(&self) -> bool {
        self.from.iter().flatten().any(|ring| !ring.is_empty())
    }

    /// Whether all that was said has been heard, and nothing waits to be said.
    #[cfg(test)]
    pub(in crate::shard) fn is_quiet(&self) -> bool {
        let is_told = |to: usize| !self.others[to].is_behind && self.is_heard_by(to);
        !self.has_mail() && (0..self.to.len()).all(|to| self.to[to].is_none() || is_told(to))
    }

    /// The next thing another shard said, and which one.
    pub(in crate::shard) fn receive(&mut self) -> Option<(usize, MeshMessage)> {
        let rings = self.from.iter_mut().enumerate();
        rings.filter_map(|(shard, ring)| Some((shard, ring.as_mut()?.pop()?))).next()
    }

    /// Tells shard `to`. What does not fit is made up for by a resync; until then nothing else is
    /// said, so that the order of what is said holds.
    pub(in crate::shard) fn send(&mut self, to: usize, message: MeshMessage) {
        let is_heard = self.is_heard_by(to);
        let Some(ring) = self.to.get_mut(to).and_then(Option::as_mut) else { return };
        let other = &mut self.others[to];
        if other.is_behind || !is_heard || ring.push(message).is_err() {
            other.is_behind = true;
        }
    }

    /// Hands a stream's message on to shard `to`. A shard that does not keep up loses messages, not
    /// the sender: false if this one is lost.
    pub(super) fn hand_on(&mut self, to: usize, message: MeshMessage) -> bool {
        let ring = self.to.get_mut(to).and_then(Option::as_mut);
        ring.is_some_and(|ring| {
            let reserved = MESH_RESERVED.min(ring.capacity() / 2);
            ring.len() + reserved < ring.capacity() && ring.push(message).is_ok()
        })
    }

    /// Tells all others.
    pub(super) fn send_all(&mut self, message: &MeshMessage) {
        for to in 0..self.to.len() {
            self.send(to, message.clone());
        }
    }

    /// Shards that have to be told everything anew and have room for it.
    pub(super) fn to_resync(&self) -> Vec<usize> {
        let has_room = |ring: &Option<Sender<MeshMessage>>| {
            ring.as_ref().is_some_and(|ring| ring.len() < ring.capacity() / 2)
        };
        let is_due = |to: &usize| self.others[*to].is_behind && has_room(&self.to[*to]);
        (0..self.to.len()).filter(is_due).collect()
    }

    /// Tells shard `to` everything anew.
    pub(super) fn resync(&mut self, to: usize, owned: Vec<Owned>, mut read: Vec<(Arc<str>, u64)>) {
        if !self.is_heard_by(to) {
            // It is to forget what was read before. Once it has, it is told again.
            read.clear();
        }
        let (rebuilds, heard) = (self.rebuilds, self.others[to].rebuilds);
        let Some(ring) = self.to.get_mut(to).and_then(Option::as_mut) else { return };
        let resync = MeshMessage::Resync { owned, read, rebuilds, heard };
        self.others[to].is_behind = ring.push(resync).is_err();
    }

    /// This shard has been rebuilt: all others are to be told everything anew.
    pub(super) fn rebuilt(&mut self) {
        self.rebuilds = self.rebuilds.wrapping_add(1);
        self.others.iter_mut().for_each(|other| other.is_behind = true);
    }

    /// Whether that shard knows that this one was rebuilt. What it sent before is for readers that
    /// are gone.
    pub(in crate::shard) fn is_heard_by(&self, shard: usize) -> bool {
        self.others.get(shard).is_some_and(|other| other.heard == self.rebuilds)
    }

    /// Shard `from` says how often it was rebuilt, and how many rebuilds of this one it has heard
    /// of. Whether it is to be told everything anew.
    pub(super) fn hear_rebuilds(&mut self, from: usize, rebuilds: u32, heard: u32) -> bool {
        let Some(other) = self.others.get_mut(from) else { return false };
        let is_news = (other.rebuilds, other.heard) != (rebuilds, heard);
        (other.rebuilds, other.heard) = (rebuilds, heard);
        other.is_behind |= is_news;
        is_news
    }

    /// Which other shard owns a stream: it feeds it, or keeps it for a publisher that left.
    pub(in crate::shard) fn owner(&self, name: &str) -> Option<usize> {
        self.owners.get(name).map(|owner| owner.shard)
    }

    /// The streams that shard `shard` owns, as far as is known.
    pub(super) fn owned_by(&self, shard: usize) -> Vec<Arc<str>> {
        let theirs = self.owners.iter().filter(|(_, owner)| owner.shard == shard);
        theirs.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Whether another shard feeds it now.
    pub(super) fn is_fed(&self, name: &str) -> bool {
        self.owners.get(name).is_some_and(|owner| owner.stream.left.is_none())
    }

    /// The publisher of a stream has left its owner; `newest` is its newest time.
    pub(super) fn left(&mut self, name: &str, shard: usize, newest: u32) {
        if let Some(known) = self.owners.get_mut(name).filter(|known| known.shard == shard) {
            known.stream.left = Some(newest);
        }
    }

    /// This shard owns the stream from now on; the newest time that the last owner told when its
    /// publisher left.
    pub(super) fn take_over(&mut self, name: &str) -> Option<u32> {
        self.owners.remove(name)?.stream.left
    }

    /// The viewers of a stream that another shard owns.
    pub(super) fn audience(&self, name: &str) -> Option<Arc<Audience>> {
        self.owners.get(name).map(|owner| Arc::clone(&owner.stream.audience))
    }

    /// Through where a stream of another shard has come.
    pub(super) fn hops(&self, name: &str) -> Hops {
        self.owners.get(name).map(|owner| owner.stream.hops.clone()).unwrap_or_default()
    }

    /// The term of who becomes the owner of a stream now.
    pub(super) fn next_term(&self) -> u64 {
        self.terms.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether what another shard says about a stream that it owns was overtaken by what has been
    /// heard already.
    pub(super) fn is_past(&self, stream: &Owned) -> bool {
        let known = self.owners.get(&stream.name).map(|owner| owner.stream.term);
        let ended = self.ended.iter().filter(|(_, name, _)| *name == stream.name);
        known.into_iter().chain(ended.map(|(.., term)| *term)).any(|term| stream.term < term)
    }

    pub(super) fn learn(&mut self, shard: usize, stream: Owned) {
        self.owners.insert(Arc::clone(&stream.name), Owner { shard, stream });
    }

    pub(super) fn forget(&mut self, name: &str, shard: usize, now: Micros) {
        if self.owner(name) == Some(shard)
            && let Some((name, owner)) = self.owners.remove_entry(name)
        {
            self.ended.push_back((now, name, owner.stream.term));
        }
        let is_old = |(ended, ..): &(Micros, _, _)| now.since(*ended) >= ENDED_KEPT;
        while self.ended.len() > ENDED_MAX || self.ended.front().is_some_and(is_old) {
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(left: Option<u32>) -> Owned {
        let (audience, hops) = Default::default();
        Owned { name: Arc::from("live/a"), audience, hops, term: 1, is_channel: false, left }
    }

    #[test]
    fn each_shard_hears_the_others_and_not_itself() {
        let mut meshes = Mesh::full(&[Bell::new(), Bell::new(), Bell::new()]);
        meshes[1].send_all(&MeshMessage::Up(owned(None)));
        assert!(!meshes[1].has_mail());
        for shard in [0, 2] {
            let (from, message) = meshes[shard].receive().unwrap();
            assert_eq!(from, 1);
            assert!(matches!(message, MeshMessage::Up(stream) if &*stream.name == "live/a"));
        }
    }

    #[test]
    fn only_the_shard_that_owns_a_stream_can_take_it_down() {
        let mut mesh = Mesh::full(&[Bell::new()]).remove(0);
        mesh.learn(2, owned(None));
        mesh.forget("live/a", 1, Micros(0));
        assert_eq!(mesh.owner("live/a"), Some(2));
        mesh.forget("live/a", 2, Micros(0));
        assert_eq!(mesh.owner("live/a"), None);
    }

    #[test]
    fn a_former_owner_that_is_heard_late_is_known_by_its_term() {
        let meshes = Mesh::full(&[Bell::new(), Bell::new()]);
        assert!(meshes[0].next_term() < meshes[1].next_term(), "all shards count together");
        let mut mesh = meshes.into_iter().next().unwrap();
        let at = |term| Owned { term, ..owned(None) };
        mesh.learn(2, at(5));
        assert!(mesh.is_past(&at(4)) && !mesh.is_past(&at(5)) && !mesh.is_past(&at(6)));
        mesh.forget("live/a", 2, Micros(0));
        assert!(mesh.is_past(&at(4)), "also when the newer one has ended meanwhile");
        (0..3 * ENDED_MAX as u64).for_each(|n| {
            mesh.learn(2, at(n));
            mesh.forget("live/a", 2, Micros(n));
        });
        assert!(mesh.ended.len() <= ENDED_MAX + 1);
        mesh.learn(2, at(1));
        mesh.forget("live/a", 2, ENDED_KEPT + ENDED_KEPT);
        assert_eq!(mesh.ended.len(), 1, "what is old is forgotten");
    }

    #[test]
    fn a_stream_whose_publisher_left_keeps_its_owner_and_is_not_taken() {
        let mut mesh = Mesh::full(&[Bell::new()]).remove(0);
        mesh.learn(2, owned(None));
        mesh.left("live/a", 1, 5);
        assert!(mesh.is_fed("live/a"), "another shard has no say");
        mesh.left("live/a", 2, 7_000);
        assert_eq!((mesh.owner("live/a"), mesh.is_fed("live/a")), (Some(2), false));
        assert_eq!(mesh.take_over("live/a"), Some(7_000));
        assert_eq!((mesh.owner("live/a"), mesh.take_over("live/a")), (None, None));
    }

    #[test]
    fn media_leaves_room_in_a_ring_for_what_is_said_about_streams() {
        let mut meshes = Mesh::full(&[Bell::new(), Bell::new()]);
        let name: Arc<str> = Arc::from("live/a");
        // What the message says does not matter here.
        let media = || MeshMessage::KeyWanted(Arc::clone(&name));
        let taken = (0..2 * MESH_QUEUE).filter(|_| meshes[0].hand_on(1, media())).count();
        assert_eq!(taken, MESH_QUEUE - MESH_RESERVED);
        meshes[0].send(1, MeshMessage::Down(Arc::clone(&name)));
        let heard = std::iter::from_fn(|| meshes[1].receive()).last();
        assert!(matches!(heard, Some((0, MeshMessage::Down(_)))));
        assert!(!meshes[0].hand_on(0, media()), "no shard tells itself");
    }

    #[test]
    fn what_does_not_fit_is_made_up_for_once_there_is_room_and_nothing_overtakes_it() {
        let mut meshes = Mesh::of_capacity(&[Bell::new(), Bell::new()], 4);
        let down = || MeshMessage::Down(Arc::from("live/a"));
        (0..5).for_each(|_| meshes[0].send(1, down()));
        assert!(meshes[0].to_resync().is_empty(), "there is no room yet");
        assert_eq!(std::iter::from_fn(|| meshes[1].receive()).count(), 4);
        meshes[0].send(1, down());
        assert!(!meshes[1].has_mail(), "it waits for the resync");
        assert_eq!(meshes[0].to_resync(), [1]);
        meshes[0].resync(1, vec![owned(None)], Vec::new());
        meshes[0].send(1, down());
        let heard: Vec<_> = std::iter::from_fn(|| meshes[1].receive()).collect();
        assert!(matches!(
            &heard[..],
            [(0, MeshMessage::Resync { owned, .. }), (0, MeshMessage::Down(_))] if owned.len() == 1
        ));
    }
}
