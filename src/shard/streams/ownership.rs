//! Stream ownership: which shard owns which stream, what is handed on to whom, and how a stream
//! moves when its publisher comes back elsewhere.
//!
//! The shard that a publisher is connected to owns its stream. It says `Up` when the publisher
//! comes, `Left` when it has gone and may come back, and `Down` at the end. A shard that has
//! readers subscribes and gets each message once; one that no longer has any unsubscribes.

use std::collections::HashSet;
use std::sync::Arc;

use super::directory::Streams;
use super::mesh::{Have, MeshMessage, Owned};
use super::stream::{Source, Stream, Subscriber};
use crate::command::TranscodedStreams;
use crate::media::{Kind, Micros, Stamps};
use crate::rtmp::PublishRefusal;
use crate::shard::context::Context;
use crate::shard::notice::Notice;
use crate::shard::stream_id::StreamId;
use crate::stream::{Message, Prints};

/// How long a stream of another shard is kept without anybody who reads it here: viewers that
/// change streams, and players that connect twice, find it again.
const UNUSED_MAX: Micros = Micros::from_secs(5);

/// How long a publisher that has come within the grace may send neither audio nor video.
const QUIET_MAX: Micros = Micros::from_secs(5);

impl Streams {
    /// This shard owns the stream from now on, whose times go on where another owner left them;
    /// a channel feeds it, or somebody else.
    pub(super) fn take_ownership(&mut self, id: StreamId, is_channel: bool) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if let Some(audience) = self.mesh.audience(&stream.name) {
            stream.audience = audience;
        }
        // The limit was that of the last publisher's key. Who comes now brings its own, or none.
        stream.audience.set_most(None);
        stream.has_goodbye = false;
        stream.end_source();
        let elsewhere = self.mesh.take_over(&stream.name);
        for at in [Some(stream.log.newest_time()), elsewhere].into_iter().flatten() {
            stream.repair.resume(at);
        }
        if !stream.is_owned() {
            stream.owned_from = stream.log.end();
        }
        stream.term = self.mesh.next_term();
        let up = MeshMessage::Up(Owned { is_channel, ..owned(stream, None) });
        self.mesh.send_all(&up);
    }

    /// The source of stream `id` has gone; its viewers wait for the grace time.
    pub(in crate::shard) fn source_left(&mut self, cx: &mut Context, id: StreamId) {
        let Some(stream) = self.table.get_mut(id).filter(|stream| !stream.is_over) else { return };
        stream.set_source_left(cx.now);
        stream.end_taps();
        let Some(stream) = self.table.get(id) else { return };
        let prints = self.prints(stream);
        let Some(stream) = self.table.get_mut(id) else { return };
        stream.end_source();
        let (name, newest) = (Arc::clone(&stream.name), stream.log.newest_time());
        cx.notify(Notice::SourceLeft(Arc::clone(&name), prints.clone()));
        self.mesh.send_all(&MeshMessage::Left(Arc::clone(&name), newest, prints));
        cx.notify(Notice::Name(name, true));
    }

    /// The source of stream `id`, which is about to leave, says that it is over, or the node ends
    /// it: destinations are told so at the end.
    pub(in crate::shard) fn say_goodbye(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        stream.has_goodbye = true;
        self.mesh.send_all(&MeshMessage::Goodbye(Arc::clone(&stream.name)));
    }

    /// The same of the source of a stream of another shard.
    pub(in crate::shard) fn goodbye_elsewhere(&mut self, name: &str, owner: usize) {
        if let Some(id) = self.fed_by(name, owner)
            && let Some(stream) = self.table.get_mut(id)
        {
            stream.has_goodbye = true;
        }
    }

    /// Whether the stream that this one is transcoded from had a goodbye, as far as this shard
    /// knows.
    pub(in crate::shard) fn has_source_goodbye(&self, name: &str) -> bool {
        let is_of = |of: &&TranscodedStreams| of.streams.iter().any(|it| **it == *name);
        let of = self.transcoded.iter().find(is_of);
        of.and_then(|of| self.named(&of.source)).is_some_and(|source| source.has_goodbye)
    }

    /// Hands a message on to the shards that read the stream.
    pub(super) fn hand_on(
        &mut self,
        cx: &Context,
        id: StreamId,
        message: &Message,
        (arrived, stamps): (Micros, Stamps),
    ) {
        let Self { table, mesh, .. } = self;
        let Some(stream) = table.get_mut(id).filter(|stream| !stream.subscribers.is_empty()) else {
            return;
        };
        let is_picture = message.kind() == Kind::Video && !message.is_header();
        let starts = stream.log.starts_at(message);
        let Stream { name, log, subscribers, .. } = stream;
        for subscriber in subscribers {
            if subscriber.waits_for_key && is_picture && !starts {
                continue;
            }
            let mut hop = |message: &Message, stamps: Stamps| {
                let (name, message) = (Arc::clone(name), message.clone());
                let at = (arrived, stamps);
                let message = MeshMessage::Message(name, message, at, subscriber.number);
                let sent = mesh.hand_on(subscriber.shard, message);
                cx.stats.hopped(sent);
                sent
            };
            // Those that it has say nothing.
            let has_headers = !subscriber.lacks_headers
                || log.headers().all(|header| hop(header, Stamps::default()));
            let sent = has_headers && hop(message, stamps);
            subscriber.lacks_headers = !has_headers || !sent && message.is_header();
            if sent && starts {
                subscriber.waits_for_key = false;
            } else if !sent && (is_picture || message.is_header()) {
                subscriber.waits_for_key = true;
            }
        }
    }

    /// Another shard has readers for a stream that is owned here. It gets what a late viewer would;
    /// or, if it has the stream up to when this shard became its owner, what came since. Messages
    /// carry the `number` of the subscription.
    pub(in crate::shard) fn subscribe(
        &mut self,
        cx: &Context,
        name: &str,
        from: usize,
        (have, number): (Have, u64),
    ) {
        let Some(id) = self.local(name) else { return };
        let Self { table, mesh, .. } = self;
        let Some(stream) = table.get_mut(id) else { return };
        let is_known = |other: &Subscriber| (other.shard, other.number) == (from, number);
        if !stream.is_owned() || stream.subscribers.iter().any(is_known) {
            return;
        }
        stream.subscribers.retain(|other| other.shard != from);
        let (log, name, now) = (&stream.log, &stream.name, cx.now);
        let since = stream.owned_from.max(log.source_from());
        let at = (now, Stamps::default());
        let send = |message: &Message| {
            let message = MeshMessage::Message(Arc::clone(name), message.clone(), at, number);
            let sent = mesh.hand_on(from, message);
            cx.stats.hopped(sent);
            sent
        };
        let is_whole = match have {
            Have::Before if log.first() <= since => {
                (since..log.end()).filter_map(|number| log.get(number)).all(send)
            }
            // Also if what came since is no longer all there. Who has readers from before begins
            // with a keyframe, as they would.
            Have::Nothing | Have::Before => log.catch_up().all(send) && log.newest_key().is_some(),
        };
        let (waits_for_key, lacks_headers) = (!is_whole, !is_whole);
        let subscriber = Subscriber { shard: from, number, waits_for_key, lacks_headers };
        stream.subscribers.push(subscriber);
    }

    pub(in crate::shard) fn unsubscribe(&mut self, name: &str, from: usize) {
        if let Some(id) = self.local(name)
            && let Some(stream) = self.table.get_mut(id)
        {
            stream.subscribers.retain(|other| other.shard != from);
        }
    }

    /// Lets go of the streams of other shards that nobody reads here; those that `is_pushed` says
    /// are read by an output.
    pub(in crate::shard) fn let_go_unused(
        &mut self,
        now: Micros,
        is_pushed: impl Fn(&str) -> bool,
    ) {
        let mut place = 0;
        while let Some(id) = self.next(&mut place) {
            let Some(stream) = self.table.get_mut(id) else { continue };
            let Source::Shard(owner) = stream.source else { continue };
            if stream.is_read() || is_pushed(&stream.name) {
                stream.unused_since = None;
                continue;
            }
            if now.since(*stream.unused_since.get_or_insert(now)) >= UNUSED_MAX {
                let name = Arc::clone(&stream.name);
                self.by_name.remove(&name);
                self.table.remove(id);
                self.mesh.send(owner, MeshMessage::Unsubscribe(name));
            }
        }
    }

    /// Another shard feeds this stream from now on.
    pub(in crate::shard) fn up_elsewhere(&mut self, cx: &mut Context, owner: usize, up: Owned) {
        let name = Arc::clone(&up.name);
        if self.mesh.is_past(&up) {
            return;
        }
        if let Some(id) = self.local(&name)
            && let Some(stream) = self.table.get_mut(id)
        {
            if stream.is_owned() && up.term < stream.term {
                return; // that shard will hear that this one owns it now
            }
            if stream.is_fed_here() {
                // Both let somebody in at the same instant: the shard with the lower number keeps
                // its own, and owns it anew; but a channel stays, wherever it is.
                let is_channel = matches!(stream.source, Source::Channel(_));
                if (is_channel, owner) > (up.is_channel, cx.spec.number) {
                    // The other one has left out what came from here while it had its own, and
                    // subscribes anew when it gives way.
                    stream.subscribers.retain(|other| other.shard != owner);
                    stream.term = self.mesh.next_term();
                    let up = MeshMessage::Up(owned(stream, None));
                    return self.mesh.send_all(&up);
                }
                match stream.source {
                    Source::Publisher(peer) => {
                        let text = "somebody else publishes under this name";
                        cx.notify(Notice::EndPublisher(peer, PublishRefusal::BadName, text));
                    }
                    Source::Pull(number) => cx.notify(Notice::EndPull(number)),
                    Source::Channel(_) | Source::Shard(_) | Source::Nobody(_) => {}
                }
                stream.end_taps();
            }
            stream.audience = Arc::clone(&up.audience);
            stream.has_goodbye = false;
            if !matches!(stream.source, Source::Shard(known) if known == owner) {
                self.follow(id, owner);
            }
            self.set_hops(cx, id, up.hops.clone());
        }
        self.mesh.learn(owner, up);
        if self.is_wanted(&name) {
            self.find(cx, &name);
        }
        cx.notify(Notice::Available(name));
    }

    /// The stream goes on as one of another shard.
    fn follow(&mut self, id: StreamId, owner: usize) {
        let Some(stream) = self.table.get_mut(id) else { return };
        stream.source = Source::Shard(owner);
        stream.end_source();
        stream.subscribers.clear();
        self.subscribe_to(owner, id, Have::Before);
    }

    /// Asks the shard that owns the stream for its messages.
    pub(super) fn subscribe_to(&mut self, owner: usize, id: StreamId, have: Have) {
        let Some(stream) = self.table.get_mut(id) else { return };
        stream.subscription = self.mesh.next_term();
        let (name, number) = (Arc::clone(&stream.name), stream.subscription);
        self.mesh.send(owner, MeshMessage::Subscribe(name, have, number));
    }

    /// Its publisher has left another shard and may come back to any.
    pub(in crate::shard) fn left_elsewhere(
        &mut self,
        cx: &mut Context,
        name: &Arc<str>,
        owner: usize,
        (newest, was): (u32, Prints),
    ) {
        self.mesh.left(name, owner, newest);
        cx.notify(Notice::SourceLeft(Arc::clone(name), was));
        if let Some(id) = self.fed_by(name, owner)
            && let Some(stream) = self.table.get_mut(id)
        {
            stream.end_taps();
            stream.end_source();
        }
        cx.notify(Notice::Name(Arc::clone(name), true));
    }

    /// It has ended for good on another shard.
    pub(in crate::shard) fn down_elsewhere(
        &mut self,
        cx: &mut Context,
        name: &Arc<str>,
        owner: usize,
    ) {
        self.mesh.forget(name, owner, cx.now);
        if let Some(id) = self.fed_by(name, owner) {
            if let Some(stream) = self.table.get_mut(id) {
                stream.end_taps();
            }
            self.end(cx, id);
        }
        cx.notify(Notice::Name(Arc::clone(name), true));
    }

    /// The stream of this name that shard `owner` feeds.
    pub(in crate::shard) fn fed_by(&self, name: &str, owner: usize) -> Option<StreamId> {
        let id = self.local(name)?;
        matches!(self.table.get(id)?.source, Source::Shard(known) if known == owner).then_some(id)
    }

    /// The same for a message, if it comes by the present subscription.
    pub(in crate::shard) fn takes(&self, name: &str, from: (usize, u64)) -> Option<StreamId> {
        let (owner, number) = from;
        let id = self.fed_by(name, owner)?;
        (self.table.get(id)?.subscription == number).then_some(id)
    }

    /// Asks the owner of a stream to make way for a publisher of this shard; false if there is no
    /// other owner.
    pub(in crate::shard) fn ask_owner_to_make_way(&mut self, name: &Arc<str>, takes: bool) -> bool {
        let Some(owner) = self.mesh.owner(name) else { return false };
        self.mesh.send(owner, MeshMessage::MakeWay(Arc::clone(name), takes));
        true
    }

    /// Answers another shard whose publisher waits for a name.
    pub(in crate::shard) fn answer_make_way(&mut self, name: &Arc<str>, from: usize) {
        let stream = self.named(name);
        let answer = if stream.is_some_and(Stream::is_fed_here) {
            MeshMessage::Stays(Arc::clone(name))
        } else {
            let newest = stream.map_or(0, |stream| stream.log.newest_time());
            MeshMessage::Left(Arc::clone(name), newest, Prints::default())
        };
        self.mesh.send(from, answer);
    }

    /// Ends streams whose publisher has not come back in time, and publishers that have come back
    /// and bring nothing.
    pub(in crate::shard) fn end_past_grace(&mut self, cx: &mut Context) {
        let (grace, now) = (cx.spec.grace, cx.now);
        let mut place = 0;
        while let Some(id) = self.next(&mut place) {
            let Some(stream) = self.table.get(id) else { continue };
            match stream.source {
                Source::Nobody(since) if now.since(since) >= grace => self.end(cx, id),
                Source::Publisher(peer)
                    if stream.is_quiet_for(grace, now)
                        && now.since(stream.meter.since()) >= QUIET_MAX =>
                {
                    let text = "neither picture nor audio has come; connect again to begin anew";
                    cx.notify(Notice::EndPublisher(peer, PublishRefusal::Failed, text));
                }
                _ => {}
            }
        }
    }

    /// Says everything anew to shards for which something was lost.
    pub(in crate::shard) fn resync(&mut self) {
        for to in self.mesh.to_resync() {
            let streams = self.by_name.values().filter_map(|id| self.table.get(*id));
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for stream in streams {
                match stream.source {
                    Source::Shard(owner) if owner == to => {
                        theirs.push((Arc::clone(&stream.name), stream.subscription));
                    }
                    Source::Shard(_) => {}
                    Source::Nobody(_) => ours.push(owned(stream, Some(stream.log.newest_time()))),
                    _ => ours.push(owned(stream, None)),
                }
            }
            self.mesh.resync(to, ours, theirs);
        }
    }

    /// Another shard says everything anew, and how often it and this one were rebuilt.
    pub(in crate::shard) fn on_resync(
        &mut self,
        cx: &mut Context,
        from: usize,
        (owned, read): (Vec<Owned>, &[(Arc<str>, u64)]),
        (rebuilds, heard): (u32, u32),
    ) {
        let is_news = self.mesh.hear_rebuilds(from, rebuilds, heard);
        let names: HashSet<_> = owned.iter().map(|stream| Arc::clone(&stream.name)).collect();
        for gone in self.mesh.owned_by(from).into_iter().filter(|name| !names.contains(name)) {
            self.down_elsewhere(cx, &gone, from);
        }
        for stream in owned {
            let (name, left) = (Arc::clone(&stream.name), stream.left);
            self.up_elsewhere(cx, from, Owned { left: None, ..stream });
            if let Some(newest) = left {
                self.left_elsewhere(cx, &name, from, (newest, Prints::default()));
            }
        }
        let mut place = 0;
        while let Some(id) = self.next(&mut place) {
            let Some(stream) = self.table.get_mut(id) else { continue };
            if !read.iter().any(|(name, _)| *name == stream.name) {
                stream.subscribers.retain(|other| other.shard != from);
            }
        }
        for (name, number) in read {
            self.subscribe(cx, name, from, (Have::Nothing, *number));
        }
        if is_news {
            self.resync();
        }
    }

    /// The shard is rebuilt, and has no peers: streams are without messages and readers. Those that
    /// it owns keep their names and viewers elsewhere: channels go on, and publishers may come back
    /// within the grace time. Subscriptions wait for their streams.
    pub(in crate::shard) fn rebuild(&mut self, cx: &mut Context) {
        self.forget_progress();
        self.by_name.clear();
        let mut subscriptions = self.take_idle_subscriptions();
        for id in self.table.keys() {
            let Some(stream) = self.table.get_mut(id) else { continue };
            if stream.is_owned() && !stream.is_over {
                stream.rebuild(cx);
                self.by_name.insert(Arc::clone(&stream.name), id);
            } else if let Some(mut stream) = self.table.remove(id) {
                stream.end_taps();
                subscriptions.extend(
                    stream
                        .subscriptions
                        .drain(..)
                        .map(|subscription| (Arc::clone(&stream.name), subscription)),
                );
            }
        }
        self.mesh.rebuilt();
        for (name, subscription) in subscriptions {
            self.add_subscription(cx, name, subscription);
        }
        self.resync();
    }
}

fn owned(stream: &Stream, left: Option<u32>) -> Owned {
    let (name, audience) = (Arc::clone(&stream.name), Arc::clone(&stream.audience));
    let is_channel = matches!(stream.source, Source::Channel(_));
    Owned { name, audience, hops: stream.hops.clone(), term: stream.term, is_channel, left }
}
