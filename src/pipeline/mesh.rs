//! The rings between shards: who feeds which stream, and the messages of those that others read.
//! One hop per message per shard that has readers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::Audience;
use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::rtmp::Hops;
use crate::stream::{Message, Prints};

/// Messages that may wait between two shards: seconds of several streams.
const MESH_QUEUE: usize = 4_096;

/// Places of a ring that are kept for what is not media: without it nobody would know who feeds
/// what.
const MESH_RESERVED: usize = 256;

/// What a subscriber has of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Have {
    /// Nothing: it wants what a late viewer gets.
    Nothing,
    /// Everything from before the receiver became its home.
    Before,
}

/// What shards tell each other.
#[derive(Clone, Debug)]
pub enum MeshMessage {
    /// The sender feeds this stream now, to these viewers of all shards; it has come through these
    /// hops.
    Up(Arc<str>, Arc<Audience>, Hops),
    /// The sender no longer does.
    Down(Arc<str>),
    /// The publisher of this stream has left the sender, which keeps it for the grace time; its
    /// newest time, in milliseconds, and what it was, if it is pulled.
    Left(Arc<str>, u32, Prints),
    /// The sender has readers for this stream.
    Subscribe(Arc<str>, Have),
    /// It no longer has any.
    Unsubscribe(Arc<str>),
    /// Somebody with a good key wants to publish this stream at the sender; whether the key takes
    /// the place of who is lively. Answered with `Left` or `Stays`.
    MakeWay(Arc<str>, bool),
    /// The publisher of this stream keeps its place.
    Stays(Arc<str>),
    /// The sender has a reader that waits for a keyframe of this stream.
    KeyWanted(Arc<str>),
    /// The sender has, or would have, readers for this stream, which the receiver can pull; those
    /// that relay it are at these hops.
    Want(Arc<str>, Hops),
    /// A message of a stream the receiver subscribed to, with its arrival.
    Message(Arc<str>, Message, Micros),
}

/// One shard's ends of all rings to and from the others.
#[derive(Debug, Default)]
pub struct Mesh {
    to: Vec<Option<Sender<MeshMessage>>>,
    from: Vec<Option<Receiver<MeshMessage>>>,
    homes: HashMap<Arc<str>, Home>,
}

/// Which other shard a stream is at.
#[derive(Clone, Debug)]
struct Home {
    shard: usize,
    /// The newest time of the stream, if its publisher has left.
    left: Option<u32>,
    audience: Arc<Audience>,
    hops: Hops,
}

impl Mesh {
    /// The full mesh of shards with these bells.
    #[must_use]
    pub fn full(bells: &[Arc<Bell>]) -> Vec<Self> {
        let mut meshes: Vec<Self> = bells.iter().map(|_| Self::default()).collect();
        for sender in 0..bells.len() {
            for (receiver, bell) in bells.iter().enumerate() {
                let (to, from) = if sender == receiver {
                    (None, None)
                } else {
                    let (to, from) = channel(MESH_QUEUE, Arc::clone(bell));
                    (Some(to), Some(from))
                };
                meshes[sender].to.push(to);
                meshes[receiver].from.push(from);
            }
        }
        meshes
    }

    /// Whether another shard has said something.
    pub(super) fn has_mail(&self) -> bool {
        self.from.iter().flatten().any(|ring| !ring.is_empty())
    }

    /// The next thing another shard said, and which one.
    pub(super) fn receive(&mut self) -> Option<(usize, MeshMessage)> {
        let rings = self.from.iter_mut().enumerate();
        rings.filter_map(|(shard, ring)| Some((shard, ring.as_mut()?.pop()?))).next()
    }

    /// Tells shard `to`. The ring has room for that unless the shard stands still.
    pub(super) fn send(&mut self, to: usize, message: MeshMessage) {
        if let Some(ring) = self.to.get_mut(to).and_then(Option::as_mut)
            && ring.push(message).is_err()
        {
            tracing::error!("shard {to} does not read what the others tell it");
        }
    }

    /// Hands a stream's message on to shard `to`. A shard that does not keep up loses messages, not
    /// the sender: false if this one is lost.
    pub(super) fn hand_on(&mut self, to: usize, message: MeshMessage) -> bool {
        let ring = self.to.get_mut(to).and_then(Option::as_mut);
        ring.is_some_and(|ring| {
            ring.len() + MESH_RESERVED < ring.capacity() && ring.push(message).is_ok()
        })
    }

    /// Tells all others.
    pub(super) fn send_all(&mut self, message: &MeshMessage) {
        for to in 0..self.to.len() {
            self.send(to, message.clone());
        }
    }

    /// Which other shard feeds a stream, or keeps it for a publisher that left.
    pub(super) fn home(&self, name: &str) -> Option<usize> {
        self.homes.get(name).map(|home| home.shard)
    }

    /// Whether another shard feeds it now.
    pub(super) fn is_fed(&self, name: &str) -> bool {
        self.homes.get(name).is_some_and(|home| home.left.is_none())
    }

    /// The publisher of a stream has left its home; `newest` is its newest time.
    pub(super) fn left(&mut self, name: &str, home: usize, newest: u32) {
        if let Some(known) = self.homes.get_mut(name).filter(|known| known.shard == home) {
            known.left = Some(newest);
        }
    }

    /// This shard is its home from now on; the newest time that the last home told when its
    /// publisher left.
    pub(super) fn take_over(&mut self, name: &str) -> Option<u32> {
        self.homes.remove(name)?.left
    }

    /// The viewers of a stream that another shard feeds or keeps.
    pub(super) fn audience(&self, name: &str) -> Option<Arc<Audience>> {
        self.homes.get(name).map(|home| Arc::clone(&home.audience))
    }

    /// Through where a stream of another shard has come.
    pub(super) fn hops(&self, name: &str) -> Hops {
        self.homes.get(name).map(|home| home.hops.clone()).unwrap_or_default()
    }

    pub(super) fn learn(
        &mut self,
        name: Arc<str>,
        home: usize,
        (audience, hops): (Arc<Audience>, Hops),
    ) {
        self.homes.insert(name, Home { shard: home, left: None, audience, hops });
    }

    pub(super) fn forget(&mut self, name: &str, home: usize) {
        if self.home(name) == Some(home) {
            self.homes.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_hears_the_others_and_not_itself() {
        let mut meshes = Mesh::full(&[Bell::new(), Bell::new(), Bell::new()]);
        meshes[1].send_all(&MeshMessage::Up(Arc::from("live/a"), Arc::default(), Hops::default()));
        assert!(!meshes[1].has_mail());
        for shard in [0, 2] {
            let (from, message) = meshes[shard].receive().unwrap();
            assert_eq!(from, 1);
            assert!(matches!(message, MeshMessage::Up(name, ..) if &*name == "live/a"));
        }
    }

    #[test]
    fn only_the_shard_that_feeds_a_stream_can_take_it_down() {
        let mut mesh = Mesh::full(&[Bell::new()]).remove(0);
        mesh.learn(Arc::from("live/a"), 2, Default::default());
        mesh.forget("live/a", 1);
        assert_eq!(mesh.home("live/a"), Some(2));
        mesh.forget("live/a", 2);
        assert_eq!(mesh.home("live/a"), None);
    }

    #[test]
    fn a_stream_whose_publisher_left_keeps_its_home_and_is_not_taken() {
        let mut mesh = Mesh::full(&[Bell::new()]).remove(0);
        mesh.learn(Arc::from("live/a"), 2, Default::default());
        mesh.left("live/a", 1, 5);
        assert!(mesh.is_fed("live/a"), "another shard has no say");
        mesh.left("live/a", 2, 7_000);
        assert_eq!((mesh.home("live/a"), mesh.is_fed("live/a")), (Some(2), false));
        assert_eq!(mesh.take_over("live/a"), Some(7_000));
        assert_eq!((mesh.home("live/a"), mesh.take_over("live/a")), (None, None));
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
}
