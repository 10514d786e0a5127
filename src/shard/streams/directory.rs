//! The table of streams: opening and ending them, publishing into them, and their readers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::mesh::{Have, Mesh, MeshMessage};
use super::pacing;
use super::stream::{Source, Stream};
use super::subscription::Subscription;
use crate::command::{PulledStream, TranscodedStreams};
use crate::limits::Audience;
use crate::media::{Micros, Point, Stamps};
use crate::rtmp::{Hop, Hops};
use crate::shard::context::Context;
use crate::shard::io::PeerId;
use crate::shard::notice::Notice;
use crate::shard::outbound::{Outbound, ReaderKind};
use crate::shard::stream_id::StreamId;
use crate::shard::table::Table;
use crate::stats::{OtherReader, ViewerDrop};
use crate::stream::{Cursor, Due, Framing, Message, Prints, Silence, Start, StreamLog};

/// The next part of a stream's readers that the send loop is to look at.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::shard) struct SendProgress {
    pub(in crate::shard) stream: StreamId,
    pub(in crate::shard) from: usize,
}

/// All streams of a shard.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::shard) struct Streams {
    pub(super) table: Table<StreamId, Stream>,
    pub(super) by_name: BTreeMap<Arc<str>, StreamId>,
    pub(in crate::shard) mesh: Mesh,
    /// Subscriptions of streams that are not there.
    #[serde(skip)]
    idle_subscriptions: Vec<(Arc<str>, Subscription)>,
    /// Streams that can be pulled, here or at another shard.
    #[serde(skip)]
    pub(in crate::shard) pulled: Arc<[PulledStream]>,
    /// Streams that are made of others while they are read.
    #[serde(skip)]
    pub(in crate::shard) transcoded: Arc<[TranscodedStreams]>,
    /// Streams with something to send, and how far their readers have been sent it.
    pub(super) dirty: VecDeque<SendProgress>,
    /// Streams whose newest messages wait for others.
    held: Vec<StreamId>,
    /// When the first of them has waited long enough.
    #[serde(with = "crate::media::instants")]
    held_until: Option<Micros>,
}

impl Streams {
    pub(in crate::shard) fn new(
        mesh: Mesh,
        pulled: Arc<[PulledStream]>,
        subscriptions: Vec<(Arc<str>, Subscription)>,
    ) -> Self {
        Self { mesh, pulled, idle_subscriptions: subscriptions, ..Self::default() }
    }

    pub(in crate::shard) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.table.get(id)
    }

    pub(in crate::shard) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.table.get_mut(id)
    }

    /// The stream of this name on this shard.
    pub(in crate::shard) fn local(&self, name: &str) -> Option<StreamId> {
        self.by_name.get(name).copied()
    }

    pub(in crate::shard) fn named(&self, name: &str) -> Option<&Stream> {
        self.get(self.local(name)?)
    }

    pub(in crate::shard) fn ids(&self) -> Vec<StreamId> {
        self.by_name.values().copied().collect()
    }

    /// The next stream that is not over, from place `from` of the table on, which is the place
    /// after it then. Streams may come and go meanwhile.
    pub(super) fn next(&self, from: &mut usize) -> Option<StreamId> {
        while *from < self.table.places() {
            *from += 1;
            let id = self.table.key_at(*from - 1);
            let is_there = |id: &StreamId| self.table.get(*id).is_some_and(|it| !it.is_over);
            if let Some(id) = id.filter(is_there) {
                return Some(id);
            }
        }
        None
    }

    /// The stream of this name, if somebody feeds it on any shard (or may still come back).
    pub(in crate::shard) fn find(&mut self, cx: &mut Context, name: &str) -> Option<StreamId> {
        if let Some(id) = self.local(name) {
            return Some(id);
        }
        let owner = self.mesh.owner(name)?;
        let name: Arc<str> = Arc::from(name);
        let id = self.open(cx, name, Source::Shard(owner), &Hops::default());
        self.subscribe_to(owner, id, Have::Nothing);
        Some(id)
    }

    /// Makes the stream `name`, or gives it a new source if its viewers are still waiting. It has
    /// come through `path`.
    pub(in crate::shard) fn open(
        &mut self,
        cx: &mut Context,
        name: Arc<str>,
        source: Source,
        path: &Hops,
    ) -> StreamId {
        let is_owned = !matches!(source, Source::Shard(_));
        let hops = if is_owned { path.with(hop_of(cx, &name)) } else { None };
        let hops = hops.unwrap_or_else(|| self.mesh.hops(&name));
        let id = match self.local(&name) {
            Some(id) => id,
            None => self.insert(cx, &name, source.clone()),
        };
        self.set_hops(cx, id, hops);
        let most_of_source = self.audience_of(cx.spec.source_of(&name)).and_then(|it| it.most());
        if is_owned {
            self.take_ownership(id, matches!(source, Source::Channel(_)));
        } else if let Some(audience) = self.mesh.audience(&name)
            && let Some(stream) = self.table.get_mut(id)
        {
            stream.audience = audience;
        }
        if let Some(stream) = self.table.get_mut(id) {
            // Its viewers count for the key of who publishes it.
            if let Source::Channel(switch) = &source
                && switch.is_failover()
            {
                stream.audience.set_most(most_of_source);
            }
            stream.loops = Default::default();
            let is_ingest = matches!(source, Source::Publisher(_) | Source::Pull(_));
            let fills = is_ingest && cx.spec.fills_audio(&stream.name);
            stream.silence = fills.then(Silence::default);
            stream.source = source;
            stream.begin_figures(cx);
        }
        cx.notify(Notice::Available(name));
        id
    }

    fn insert(&mut self, cx: &Context, name: &Arc<str>, source: Source) -> StreamId {
        let log = StreamLog::new(cx.spec.log, cx.spec.gop_cache);
        let mut stream = Stream::new(Arc::clone(name), log, source);
        while let Some(at) = self.idle_subscriptions.iter().position(|(wanted, _)| wanted == name) {
            stream.subscriptions.push(self.idle_subscriptions.swap_remove(at).1);
        }
        let id = self.table.insert_with(|_| stream);
        self.by_name.insert(Arc::clone(name), id);
        id
    }

    /// The stream comes through `hops` from now on. Who relays it and was told otherwise has to
    /// come back, before anything that came the new way is sent.
    pub(super) fn set_hops(&mut self, cx: &mut Context, id: StreamId, hops: Hops) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if stream.hops != hops {
            stream.hops = hops;
            cx.notify(Notice::Rerouted(id));
        }
    }

    /// Through where a stream has come, this node last.
    pub(in crate::shard) fn hops(&self, name: &str) -> Hops {
        self.named(name).map_or_else(|| self.mesh.hops(name), |stream| stream.hops.clone())
    }

    /// Whether this stream has ended for good: another one of its name would be another.
    pub(in crate::shard) fn is_over(&self, id: StreamId) -> bool {
        self.get(id).is_none_or(|stream| stream.is_over)
    }

    /// Who watches the stream of this name, on all shards.
    fn audience_of(&self, name: &str) -> Option<Arc<Audience>> {
        let local = self.named(name).map(|stream| Arc::clone(&stream.audience));
        local.or_else(|| self.mesh.audience(name))
    }

    /// How many may watch the stream of this name, if it is there.
    pub(in crate::shard) fn set_most_of(&self, name: &str, most: Option<u32>) {
        if let Some(audience) = self.audience_of(name) {
            audience.set_most(most);
        }
    }

    /// Whether somebody on any shard feeds the stream of this name now.
    pub(in crate::shard) fn is_taken(&self, name: &str) -> bool {
        self.named(name).is_some_and(Stream::is_fed_here) || self.mesh.is_fed(name)
    }

    /// A new message of a stream: into its log, to the other shards that read it, and to its
    /// readers.
    pub(in crate::shard) fn publish(
        &mut self,
        cx: &Context,
        id: StreamId,
        message: Message,
        (arrived, mut stamps): (Micros, Stamps),
    ) {
        if stamps.is_some() {
            let is_handed_on = stamps.at(Point::Appended).is_some();
            let point = if is_handed_on { Point::Received } else { Point::Appended };
            stamps.set(point, cx.stamp());
        }
        self.hand_on(cx, id, &message, (arrived, stamps));
        let Some(stream) = self.table.get_mut(id) else { return };
        let due = stream.push(message, (arrived, stamps), &cx.spec);
        match due {
            _ if stream.readers.is_empty() => {}
            Due::Now => self.set_dirty(id),
            Due::At(due) => self.hold(id, due),
        }
    }

    fn set_dirty(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id)
            && !std::mem::replace(&mut stream.is_dirty, true)
        {
            self.dirty.push_back(SendProgress { stream: id, from: 0 });
        }
    }

    /// The next readers to send to.
    pub(in crate::shard) fn next_dirty(&self) -> Option<SendProgress> {
        self.dirty.front().copied()
    }

    /// Readers up to number `to` of the first of these streams have their turn now.
    pub(in crate::shard) fn send_up_to(&mut self, to: usize) {
        if let Some(front) = self.dirty.front_mut() {
            front.from = to;
        }
    }

    /// They have had their turn; if there are no others, the next stream follows.
    pub(in crate::shard) fn have_sent(&mut self) {
        let Some(front) = self.dirty.front() else { return };
        if self.get(front.stream).is_none_or(|stream| front.from >= stream.readers.len()) {
            self.dirty.pop_front();
        }
    }

    /// What comes from now on is to be sent too.
    pub(in crate::shard) fn begin_sending(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id) {
            stream.is_dirty = false;
            stream.delivery.begin();
        }
    }

    /// The newest messages of the stream wait until `due`, unless a later one takes them along.
    fn hold(&mut self, id: StreamId, due: Micros) {
        if !self.held.contains(&id) {
            self.held.push(id);
        }
        self.held_until = Some(self.held_until.map_or(due, |until| until.min(due)));
    }

    /// When something that waits for other messages is to go out all the same.
    pub(in crate::shard) const fn held_until(&self) -> Option<Micros> {
        self.held_until
    }

    /// Lets go what has waited long enough.
    pub(in crate::shard) fn release_held(&mut self, now: Micros) {
        if self.held_until.is_none_or(|until| now < until) {
            return;
        }
        for id in std::mem::take(&mut self.held) {
            let Some(stream) = self.table.get_mut(id) else { continue };
            if stream.merger.take_due(now) {
                self.set_dirty(id);
            } else if stream.merger.due().is_some() {
                self.held.push(id);
            }
        }
        let due = |id: &StreamId| self.get(*id)?.merger.due();
        self.held_until = self.held.iter().filter_map(due).min();
    }

    /// Starts a reader at the place late ones start at.
    pub(in crate::shard) fn add_viewer(
        &mut self,
        cx: &mut Context,
        id: StreamId,
        out: &mut Outbound,
        framing: Framing,
    ) {
        let Some(stream) = self.table.get_mut(id) else { return };
        out.read(id, Cursor::new(cx.spec.start_of(&stream.name)).framed(framing));
        pacing::begin(cx, stream, out.id);
        stream.add_reader(out.id, out.kind);
        self.want_key_for_start(cx, id);
    }

    /// Starts an output at the next keyframe.
    pub(in crate::shard) fn add_output(
        &mut self,
        id: StreamId,
        out: &mut Outbound,
        stream_id: u32,
        takes_first: bool,
    ) {
        let Some(stream) = self.table.get_mut(id) else { return };
        let mut cursor = Cursor::new(Start::Keyframe).framed(Framing::Chunks(stream_id));
        if takes_first {
            cursor = cursor.without_further_tracks();
        }
        out.read(id, cursor);
        stream.add_reader(out.id, ReaderKind::Output);
        self.want_key(id);
    }

    /// Ends a reader; a message that is partly sent is completed. Gives what it was not sent.
    pub(in crate::shard) fn remove_reader(&mut self, cx: &Context, out: &mut Outbound) {
        let Some(id) = out.stream else { return };
        let Some(stream) = self.table.get_mut(id) else { return };
        let gap = stream.remove_reader(out.id, out.kind);
        self.send_again_from(id, gap);
        let Some(stream) = self.table.get_mut(id) else { return };
        if out.kind != ReaderKind::Output {
            let drops = out.drops();
            cx.stats.viewer_dropped(ViewerDrop::Jumped, drops.jumped);
            cx.stats.viewer_dropped(ViewerDrop::Skipped, drops.skipped);
            cx.stats.viewer_dropped(ViewerDrop::Overrun, drops.overrun);
        }
        out.finish_message(&stream.log);
        self.remove_if_done(id);
    }

    /// Another reader stands at number `gap` now: it is sent to, should that number have had its
    /// turn already.
    fn send_again_from(&mut self, id: StreamId, gap: Option<usize>) {
        let Some(gap) = gap else { return };
        for moved in self.dirty.iter_mut().filter(|moved| moved.stream == id) {
            moved.from = moved.from.min(gap);
        }
    }

    /// A peer whose own state is lost reads nothing any more.
    pub(in crate::shard) fn forget_reader(&mut self, peer: PeerId) {
        for id in self.table.keys() {
            let stream = self.table.get_mut(id);
            let gap = stream.and_then(|stream| stream.remove_reader(peer, ReaderKind::Viewer));
            self.send_again_from(id, gap);
            self.remove_if_done(id);
        }
    }

    fn remove_if_done(&mut self, id: StreamId) {
        if self.get(id).is_some_and(|stream| stream.is_over && stream.readers.is_empty()) {
            self.table.remove(id);
        }
    }

    /// Asks for a keyframe if readers that start would wait for the next one.
    pub(in crate::shard) fn want_key_for_start(&mut self, cx: &Context, id: StreamId) {
        let start = |stream: &Stream| cx.spec.start_of(&stream.name);
        if self.get(id).map(start) == Some(Start::Live) {
            self.want_key_at(cx.now, id);
        }
    }

    /// Asks for a keyframe if the source is an encoder of this node, once a second at most.
    pub(in crate::shard) fn want_key_at(&mut self, now: Micros, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if stream.may_ask_for_key(now) {
            self.want_key(id);
        }
    }

    /// The same at once.
    pub(in crate::shard) fn want_key(&mut self, id: StreamId) {
        let Some(stream) = self.table.get(id) else { return };
        match &stream.source {
            Source::Channel(switch) => switch.request_key(),
            Source::Shard(owner) => {
                let wanted = MeshMessage::KeyWanted(Arc::clone(&stream.name));
                self.mesh.send(*owner, wanted);
            }
            Source::Publisher(_) | Source::Pull(_) | Source::Nobody(_) => {}
        }
    }

    /// One more subscription. If its stream is there, it begins with what a late viewer would be
    /// sent.
    pub(in crate::shard) fn add_subscription(
        &mut self,
        cx: &mut Context,
        name: Arc<str>,
        mut subscription: Subscription,
    ) {
        let id = self.find(cx, &name);
        match id.and_then(|id| self.table.get_mut(id)) {
            None => self.idle_subscriptions.push((name, subscription)),
            Some(stream) => {
                if stream.is_live() {
                    subscription.begin(&stream.log, cx.now);
                }
                stream.subscriptions.push(subscription);
            }
        }
    }

    /// Whether a subscription waits for the stream `name`.
    pub(in crate::shard) fn is_wanted(&self, name: &str) -> bool {
        self.idle_subscriptions.iter().any(|(wanted, _)| **wanted == *name)
    }

    /// Nothing is to be sent any more: there are no readers.
    pub(super) fn forget_progress(&mut self) {
        self.dirty.clear();
        self.held.clear();
        self.held_until = None;
    }

    /// The subscriptions of streams that are not there.
    pub(super) fn take_idle_subscriptions(&mut self) -> Vec<(Arc<str>, Subscription)> {
        std::mem::take(&mut self.idle_subscriptions)
    }

    /// Ends a stream for good: its viewers are told, its subscriptions wait for the next one of
    /// the name.
    pub(in crate::shard) fn end(&mut self, cx: &mut Context, id: StreamId) {
        let Some(stream) = self.table.get_mut(id).filter(|stream| !stream.is_over) else { return };
        stream.is_over = true;
        let name = Arc::clone(&stream.name);
        let subscriptions = std::mem::take(&mut stream.subscriptions);
        self.idle_subscriptions.extend(
            subscriptions.into_iter().map(|subscription| (Arc::clone(&name), subscription)),
        );
        self.by_name.remove(&name);
        if stream.is_owned() {
            self.mesh.send_all(&MeshMessage::Down(name));
        }
        cx.notify(Notice::Ended(id));
        self.remove_if_done(id);
    }

    /// The shard that pulls the stream `name`, if one does.
    pub(in crate::shard) fn pulled_at(&self, name: &str) -> Option<usize> {
        self.pulled.iter().find(|pulled| *pulled.name == *name).map(|pulled| pulled.shard)
    }

    /// The stream that readers are given who cannot take that of this name, if one is made.
    pub(in crate::shard) fn substitute_of(&self, name: &str) -> Option<Arc<str>> {
        self.transcoded.iter().find(|of| *of.source == *name)?.twin.clone()
    }

    /// What a stream was whose source has left, for a pull of it; nothing if there is none.
    pub(super) fn prints(&self, stream: &Stream) -> Prints {
        if self.pulled_at(&stream.name).is_some() {
            Prints::of(&stream.log)
        } else {
            Prints::default()
        }
    }

    /// Lets go of subscriptions whose other ends have gone, and measures what flows.
    pub(in crate::shard) fn tend(&mut self, cx: &mut Context) {
        self.idle_subscriptions.retain(|(_, subscription)| !subscription.is_closed());
        let mut place = 0;
        while let Some(id) = self.next(&mut place) {
            let Some(stream) = self.table.get_mut(id) else { continue };
            stream.subscriptions.retain(|subscription| !subscription.is_closed());
            stream.meter.measure(cx.now);
            // One that was read from a snapshot is not listed yet.
            stream.delivery.open(cx, &stream.name);
            pacing::follow(cx, stream);
            stream.warn(cx);
        }
    }

    /// Tells the shard's figures what there is.
    pub(in crate::shard) fn count(&self, cx: &Context, connections: usize) {
        let streams = || self.by_name.values().filter_map(|id| self.get(*id));
        cx.stats.active(connections, streams().filter(|stream| stream.is_fed_here()).count());
        let others = OtherReader::sum(streams().map(Stream::other_readers));
        cx.stats.readers(streams().map(Stream::viewers).sum(), others);
        cx.stats.promise(streams().map(Stream::needed_bps).sum());
    }
}

/// The stream `name` of this node, as other nodes know it.
pub(in crate::shard) fn hop_of(cx: &Context, name: &str) -> Hop {
    Hop::new(cx.spec.node, name)
}
