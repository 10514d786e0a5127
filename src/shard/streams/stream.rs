//! One stream on one shard: its log, its readers, its subscriptions, and who feeds it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::delivery::Delivery;
#[cfg(doc)]
use super::mesh::Owned;
use super::meter::StreamMeter;
use super::subscription::Subscription;
use super::undecodable::Undecodable;
use crate::command::{ChannelSwitch, StreamPart, StreamSource};
use crate::event::NodeEvent;
use crate::limits::{Audience, Audiences};
use crate::media::{Kind, Micros, Stamps};
use crate::rtmp::Hops;
use crate::rtmp::flv::{Format, TagInfo};
use crate::shard::context::Context;
use crate::shard::io::PeerId;
use crate::shard::outbound::ReaderKind;
use crate::shard::spec::ShardSpec;
use crate::stats::OtherReader;
use crate::stream::{
    Due, Health, InBand, KEYFRAME_INTERVAL_MAX, LoopWatch, Merger, Message, Silence, StreamLog,
    TimestampRepair,
};

/// Audio or pictures that have not come by then do not come: the source is known by the others.
const KNOWN_MAX: Micros = Micros::from_secs(1);

/// Time between two requests for a keyframe: each costs bits that all viewers pay for.
const KEY_PAUSE: Micros = Micros::from_secs(1);

/// Who feeds a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::shard) enum Source {
    /// A channel of this node.
    Channel(#[serde(skip)] Arc<ChannelSwitch>),
    /// A connection of this shard.
    Publisher(PeerId),
    /// Another server, by the pull of this number on this shard.
    Pull(usize),
    /// Another shard, by its number.
    Shard(usize),
    /// Nobody since then: viewers stay for the grace time.
    Nobody(#[serde(with = "crate::media::instants")] Micros),
}

/// The kinds of one source that have been in a stream, with the codecs that its headers name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::shard) struct SourceTracks {
    /// The number in the log of the source's first message.
    pub(in crate::shard) source: u64,
    kinds: [Option<Option<Format>>; 2],
}

impl SourceTracks {
    pub(in crate::shard) fn of(log: &StreamLog) -> Self {
        let kinds = [Kind::Audio, Kind::Video].map(|kind| {
            let header = log.header_of(kind).and_then(|header| TagInfo::of(kind, header.body()));
            log.carries(kind).then(|| header.and_then(|info| info.format))
        });
        Self { source: log.source_from(), kinds }
    }

    /// Whether one of these tracks is another one there, or missing.
    pub(in crate::shard) fn has_others_than(&self, next: &Self) -> bool {
        self.kinds.iter().zip(next.kinds).any(|(known, next)| known.is_some() && *known != next)
    }
}

/// A shard that reads a stream of this one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Subscriber {
    pub(super) shard: usize,
    /// The number that it has given its subscription.
    pub(super) number: u64,
    /// Whether it has missed a picture, or a header: it gets no picture before the next keyframe.
    pub(super) waits_for_key: bool,
    /// Whether it may have missed a header: it gets nothing before it has them all.
    pub(super) lacks_headers: bool,
}

/// One stream on one shard.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::shard) struct Stream {
    /// Public name, such as `live/demo`.
    pub(in crate::shard) name: Arc<str>,
    /// The recent messages.
    pub(in crate::shard) log: StreamLog,
    /// Keeps the times of successive publishers on one line.
    pub(in crate::shard) repair: TimestampRepair,
    /// Stands in for the audio of its source, if that is to be so.
    pub(super) silence: Option<Silence>,
    /// The headers that its source sends or leaves out.
    pub(super) in_band: InBand,
    pub(in crate::shard) meter: StreamMeter,
    /// Whether it can be played well, if it is fed here.
    pub(in crate::shard) health: Health,
    /// What a scene that shows it here cannot decode.
    pub(super) undecodable: Undecodable,
    pub(in crate::shard) source: Source,
    /// What its last source brought, once that has left.
    pub(in crate::shard) last_tracks: SourceTracks,
    pub(in crate::shard) readers: Vec<PeerId>,
    /// Those of its readers that are outputs.
    pub(in crate::shard) outputs: Vec<PeerId>,
    /// Those of its readers that are other nodes, which pass it on.
    pub(in crate::shard) relays: Vec<PeerId>,
    /// How many of its readers are previews.
    previews: usize,
    #[serde(skip)]
    pub(super) subscriptions: Vec<Subscription>,
    /// Whether it is in the queue of streams with something to send.
    pub(super) is_dirty: bool,
    pub(super) merger: Merger,
    /// Its viewers, whom all shards that have it count together.
    pub(in crate::shard) audience: Arc<Audience>,
    /// The pace that its viewers were told last, bits per second.
    pub(super) paced_bps: u64,
    /// When a keyframe was asked for on behalf of readers.
    #[serde(with = "crate::media::instants")]
    key_asked: Option<Micros>,
    /// Shards that asked for this stream's messages.
    pub(super) subscribers: Vec<Subscriber>,
    /// When this shard became its owner: see [`Owned::term`].
    pub(super) term: u64,
    /// The number of the subscription by which it comes from another shard, on the same count. What
    /// comes by an earlier one was on its way when that ended: its headers are not known here.
    pub(super) subscription: u64,
    /// The number in the log from which on this shard has owned it, if it did not at first.
    pub(super) owned_from: u64,
    /// Since when nobody reads it here, if another shard feeds it.
    #[serde(with = "crate::media::instants")]
    pub(super) unused_since: Option<Micros>,
    /// Through where it comes, this node last.
    pub(in crate::shard) hops: Hops,
    /// Whether its source gives what went out from here.
    pub(super) loops: LoopWatch,
    /// When its source left, until something comes from the next one.
    #[serde(with = "crate::media::instants")]
    quiet_since: Option<Micros>,
    /// Whether its source has said that it is over, or the node has ended that: if not, a source
    /// that leaves was lost.
    pub(in crate::shard) has_goodbye: bool,
    /// Whether it is over: only the readers that are still to be told have it.
    pub(super) is_over: bool,
    /// Messages on their way to viewers.
    #[serde(skip)]
    pub(in crate::shard) delivery: Delivery,
}

impl Stream {
    pub(super) fn new(name: Arc<str>, log: StreamLog, source: Source) -> Self {
        Self {
            name,
            log,
            repair: TimestampRepair::default(),
            silence: None,
            in_band: InBand::default(),
            meter: StreamMeter::default(),
            health: Health::new(KEYFRAME_INTERVAL_MAX, Micros(0)),
            undecodable: Undecodable::default(),
            source,
            last_tracks: SourceTracks::default(),
            readers: Vec::new(),
            outputs: Vec::new(),
            relays: Vec::new(),
            previews: 0,
            subscriptions: Vec::new(),
            is_dirty: false,
            merger: Merger::default(),
            audience: Arc::default(),
            paced_bps: 0,
            key_asked: None,
            subscribers: Vec::new(),
            term: 0,
            subscription: 0,
            owned_from: 0,
            unused_since: None,
            hops: Hops::default(),
            loops: LoopWatch::default(),
            quiet_since: None,
            has_goodbye: false,
            is_over: false,
            delivery: Delivery::default(),
        }
    }

    /// Its shard is rebuilt: what it held of the stream is gone, and so are its readers. A channel
    /// goes on, and has said its headers already; any other source has gone.
    pub(super) fn rebuild(&mut self, cx: &Context) {
        let now = cx.now;
        if let Source::Publisher(_) | Source::Pull(_) = self.source {
            self.set_source_left(now);
            self.end_taps();
        }
        let mut log = self.log.emptied();
        if let Source::Channel(switch) = &self.source {
            for header in self.log.headers() {
                log.push(header.clone(), now);
            }
            switch.request_key();
        }
        let rebuilt = Self::new(Arc::clone(&self.name), log, self.source.clone());
        let was = std::mem::replace(self, rebuilt);
        self.repair = was.repair;
        self.audience = was.audience;
        self.hops = was.hops;
        self.term = was.term;
        self.quiet_since = was.quiet_since;
        self.subscriptions = was.subscriptions;
        // What was on its way is lost, and so is what is known of it.
        drop(was.delivery);
        self.begin_figures(cx);
    }

    /// What is known of a source before it says nothing about this one.
    pub(super) fn begin_figures(&mut self, cx: &Context) {
        self.meter.begin(cx.now);
        self.delivery.open(cx, &self.name);
        let kept = Micros::from_millis(cx.spec.log.millis.into());
        self.health = Health::new(kept, cx.now);
    }

    /// Its source has left. It has been quiet for longer if that source brought nothing.
    pub(super) fn set_source_left(&mut self, now: Micros) {
        let since = *self.quiet_since.get_or_insert(now);
        self.source = Source::Nobody(since);
    }

    /// Whether the last source that brought something left so long ago.
    pub(super) fn is_quiet_for(&self, long: Micros, now: Micros) -> bool {
        self.quiet_since.is_some_and(|since| now.since(since) >= long)
    }

    /// It was read from a snapshot: shares its audience with other shards again. `false` if it
    /// contradicts itself.
    #[must_use]
    pub(super) fn resume(&mut self, audiences: &Audiences) -> bool {
        let most = self.audience.most();
        self.audience = audiences.of(&self.name);
        if self.is_owned() {
            self.audience.set_most(most);
        }
        let others = self.outputs.len().checked_add(self.previews);
        let is_known = |peer: &PeerId| self.readers.contains(peer);
        self.log.resume()
            && self.loops.is_whole()
            && others.is_some_and(|others| others <= self.readers.len())
            && self.outputs.iter().chain(&self.relays).all(is_known)
    }

    /// Whether somebody feeds it now.
    pub(in crate::shard) const fn is_live(&self) -> bool {
        !matches!(self.source, Source::Nobody(_))
    }

    /// Whether this shard owns it: its source is, or was last, here.
    pub(in crate::shard) const fn is_owned(&self) -> bool {
        !matches!(self.source, Source::Shard(_))
    }

    /// Whether somebody on this shard feeds it now.
    pub(in crate::shard) const fn is_fed_here(&self) -> bool {
        self.is_live() && self.is_owned()
    }

    /// Whether its source has brought audio and pictures, or one of them alone for some time: what
    /// it brings is known.
    pub(in crate::shard) fn is_known(&self) -> bool {
        let age = self.log.source_age();
        let has_both = self.log.carries(Kind::Video) && self.log.carries(Kind::Audio);
        has_both || age.is_some_and(|age| age >= KNOWN_MAX)
    }

    /// Whether anybody on this shard reads it.
    pub(in crate::shard) const fn is_read(&self) -> bool {
        !self.readers.is_empty() || !self.subscriptions.is_empty()
    }

    /// Appends a message and says when the readers are to be sent it.
    pub(super) fn push(
        &mut self,
        message: Message,
        (arrived, stamps): (Micros, Stamps),
        spec: &ShardSpec,
    ) -> Due {
        for subscription in &mut self.subscriptions {
            if subscription.is_decoder() {
                self.undecodable.look(message.kind(), message.body());
            }
            subscription.message(&message, &self.log, arrived);
        }
        if !message.is_header() {
            self.quiet_since = None;
        }
        let due = self.merger.arrived(spec.merge_of(&self.name), message.kind(), arrived);
        self.meter.add_in(message.kind(), message.time(), message.body().len());
        if message.kind() == Kind::Video || !self.log.has_video() {
            self.delivery.appended(&message, &stamps, !self.readers.is_empty());
        }
        self.log.push(message, arrived);
        due
    }

    /// Whether it is time to ask the encoder for a keyframe again; if so, that counts as asking.
    pub(super) fn may_ask_for_key(&mut self, now: Micros) -> bool {
        let may = self.key_asked.is_none_or(|asked| now.since(asked) >= KEY_PAUSE);
        if may {
            self.key_asked = Some(now);
        }
        may
    }

    /// Its source has left, or another one comes: nobody who comes later gets what described its
    /// tracks, or starts in its pictures.
    pub(super) fn end_source(&mut self) {
        if self.log.source_age().is_some() {
            self.last_tracks = SourceTracks::of(&self.log);
        }
        self.log.end_source();
        self.in_band = InBand::default();
    }

    /// Tells the subscriptions that the publisher has left.
    pub(super) fn end_taps(&mut self) {
        self.undecodable.reset();
        let has_goodbye = self.has_goodbye;
        self.subscriptions.iter_mut().for_each(|it| it.ended(has_goodbye));
    }

    pub(super) fn add_reader(&mut self, peer: PeerId, kind: ReaderKind) {
        self.readers.push(peer);
        match kind {
            ReaderKind::Output => self.outputs.push(peer),
            ReaderKind::Preview => self.previews += 1,
            ReaderKind::Viewer => {}
        }
    }

    /// Says where it stood among the readers, if it was one; the last of them stands there now.
    pub(super) fn remove_reader(&mut self, peer: PeerId, kind: ReaderKind) -> Option<usize> {
        let at = self.readers.iter().position(|reader| *reader == peer)?;
        self.readers.swap_remove(at);
        self.relays.retain(|relay| *relay != peer);
        self.outputs.retain(|output| *output != peer);
        self.previews -= usize::from(kind == ReaderKind::Preview);
        Some(at)
    }

    /// Its audience on this shard.
    pub(in crate::shard) const fn viewers(&self) -> usize {
        self.readers.len().saturating_sub(self.outputs.len() + self.previews)
    }

    /// Who else reads it on this shard, in the order of [`OtherReader::ALL`].
    pub(in crate::shard) fn other_readers(&self) -> [usize; OtherReader::ALL.len()] {
        let decoders =
            self.subscriptions.iter().filter(|subscription| subscription.is_decoder()).count();
        [self.outputs.len(), self.previews, decoders, self.subscriptions.len() - decoders]
    }

    /// Tells the operator what keeps viewers, or scenes, from showing it well.
    pub(super) fn warn(&mut self, cx: &mut Context) {
        let (stream, now) = (&self.name, cx.now);
        let mut warn = |code, text| {
            let stream = stream.to_string();
            cx.report_node(NodeEvent::StreamWarning { stream, code, text });
        };
        if matches!(self.source, Source::Publisher(_) | Source::Pull(_))
            && let Some(warning) = self.health.check(now)
        {
            warn(warning.code(), warning.to_string());
        }
        if let Some(text) = self.undecodable.take() {
            warn("codec", text);
        }
    }

    /// What its readers need, bits per second, by the mean rate of the stream.
    pub(in crate::shard) fn needed_bps(&self) -> f64 {
        match self.readers.len() {
            0 => 0.0,
            readers => self.log.bitrate_bps() * readers as f64,
        }
    }

    /// The stream as control lists it, but for its publisher.
    pub(in crate::shard) fn part(&self) -> StreamPart {
        StreamPart {
            name: Arc::clone(&self.name),
            source: match self.source {
                Source::Channel(ref switch) if switch.is_failover() => StreamSource::Failover,
                Source::Channel(ref switch) if switch.follows_source() => StreamSource::Transcode,
                Source::Channel(_) => StreamSource::Channel,
                Source::Publisher(_) => StreamSource::Publisher,
                Source::Pull(_) => StreamSource::Pull,
                Source::Shard(_) => StreamSource::Shard,
                Source::Nobody(_) => StreamSource::Nobody,
            },
            publisher: None,
            since: self.meter.since(),
            viewers: self.viewers(),
            other_readers: self.other_readers(),
            bytes_in: self.meter.bytes_in(),
            bytes_out: self.meter.bytes_out(),
            bitrate_bps: self.meter.bitrate_bps(),
            keyframe_interval: self.health.keyframe_interval(),
            av_offset_ms: self.health.av_offset_ms(),
            out_bps: self.meter.out_bps(),
            audio: self.meter.audio(),
            video: self.meter.video(),
            headers: self.log.headers().cloned().collect(),
        }
    }
}
