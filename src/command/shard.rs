//! Shard queries: streams and connections that shards list for the front, and connections that they
//! end for it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ChannelSwitch;
use super::rules::OutputRules;
use super::view::{ClientView, PublisherView, TrackPart};
use crate::event::ClientId;
use crate::media::{Micros, Stamps};
use crate::ring::{Receiver, Sender};
use crate::rtmp::Url;
use crate::stats::{ChannelStats, LineStats, OtherReader, OutputStats, RecordStats};
use crate::stream::Message;

/// Streams that one shard lists at most; it leaves out the others.
pub const STREAMS_MAX: usize = 10_000;

/// What a shard tells the decoder of a live input.
#[derive(Debug)]
pub enum SubscriptionEvent {
    /// A message of the stream, with its arrival on the node's clock.
    Message(Message, Micros),
    /// The publisher has left.
    Ended {
        /// Whether it has said that the stream is over, or the node has ended it.
        has_goodbye: bool,
    },
}

/// What a shard tells the writer of a recording.
#[derive(Debug)]
pub enum RecordEvent {
    /// A message of the stream.
    Message(Message),
    /// The publisher has left.
    Ended,
}

/// A finished message and when its frame was due, for the latency figures.
#[derive(Debug)]
pub struct Encoded {
    /// The message as every viewer gets it.
    pub message: Message,
    /// When the frame was due on the node's clock.
    pub due: Micros,
    /// When it was where on its way, if that is known.
    pub stamps: Stamps,
}

/// A channel's stream, fed to its shard by its encoders.
#[derive(Debug)]
pub struct ChannelSource {
    /// Public name, such as `live/demo`.
    pub stream: Arc<str>,
    /// Finished video; that of track 0, if there are several.
    pub video: Receiver<Encoded>,
    /// Finished video of tracks 1 and further.
    pub tracks: Vec<Receiver<Encoded>>,
    /// Finished audio, if the channel has any.
    pub audio: Option<Receiver<Encoded>>,
    /// When its tick 0 is due, which its encoders call time 0.
    pub start: Micros,
    /// Requests to the encoder.
    pub switch: Arc<ChannelSwitch>,
    /// Figures.
    pub stats: Arc<ChannelStats>,
}

/// A recording as its shard knows it. It ends when its writer drops the other end of the ring.
#[derive(Debug)]
pub struct RecordSink {
    /// Name of the recording.
    pub name: Arc<str>,
    /// The stream that is recorded.
    pub stream: Arc<str>,
    /// To its writer.
    pub ring: Sender<RecordEvent>,
    /// Figures.
    pub stats: Arc<RecordStats>,
}

/// Everything about a destination outside the node.
#[derive(Clone, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Its number on its shard, for as long as it exists. Never used again.
    pub id: usize,
    /// The channel whose output it is; empty for a push, which has none.
    pub channel: Arc<str>,
    /// Name in events and metrics.
    pub name: Arc<str>,
    /// The stream it sends.
    pub stream: Arc<str>,
    /// Where to.
    pub url: Url,
    /// Whether it begins at once.
    pub enabled: bool,
    /// When it drops, and when it gives up a connection.
    pub rules: OutputRules,
    /// Figures.
    #[serde(skip)]
    pub stats: Arc<OutputStats>,
}

impl fmt::Debug for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output {} ({}) of {}", self.id, self.name, self.stream)
    }
}

/// A stream that is fed from another server.
#[derive(Serialize, Deserialize)]
pub struct PullSpec {
    /// Its number, for as long as it exists. Never used again.
    pub id: usize,
    /// Name in events and metrics.
    pub name: Arc<str>,
    /// The local stream, such as `live/copy`.
    pub stream: Arc<str>,
    /// Where from.
    pub url: Url,
    /// How long it goes on after the last reader has gone; `None` means that it is there always.
    pub linger: Option<Micros>,
    /// Whether it begins at once.
    pub enabled: bool,
    /// Figures.
    #[serde(skip)]
    pub stats: Arc<LineStats>,
}

impl fmt::Debug for PullSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pull {} ({}) to {}", self.id, self.name, self.stream)
    }
}

/// A stream that is pulled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledStream {
    /// The local stream.
    pub name: Arc<str>,
    /// Number of the shard that has the pull.
    pub shard: usize,
}

/// A question to every shard.
#[derive(Clone, Debug)]
pub struct ShardQuery {
    /// Stands in the answer.
    pub number: u64,
    /// What is asked.
    pub scope: Scope,
}

/// What a query is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Scope {
    /// All streams.
    Streams,
    /// Connections, of one stream or of all.
    Clients(Option<Arc<str>>),
    /// End this connection.
    Kick {
        /// Its id.
        client: ClientId,
        /// Who wants it, for the events that follow; empty if that is not known.
        actor: Arc<str>,
    },
    /// End whoever publishes a stream.
    KickPublisher {
        /// Public name of the stream.
        stream: Arc<str>,
        /// Who wants it, for the events that follow; empty if that is not known.
        actor: Arc<str>,
    },
    /// Messages that a stream's log holds, asked of the shard that owns it.
    Recent {
        /// Public name of the stream.
        stream: Arc<str>,
        /// Those that arrived in so long a time,
        span: Micros,
        /// which ended so long before the newest one.
        before: Micros,
    },
}

/// One shard's answer.
#[derive(Debug, Default)]
pub struct ShardAnswer {
    /// The order's number.
    pub number: u64,
    /// At most [`STREAMS_MAX`].
    pub streams: Vec<StreamPart>,
    /// At most [`super::CLIENTS_MAX`].
    pub clients: Vec<ClientView>,
    /// Connections that were ended.
    pub kicked: usize,
    /// Of [`Scope::Recent`], if the shard owns the stream.
    pub recent: Option<Box<RecentMessages>>,
}

/// Messages of a stream's log; while they are held, so is their memory.
#[derive(Clone, Debug, Default)]
pub struct RecentMessages {
    /// Metadata and sequence headers that the first message needs.
    pub headers: Vec<Message>,
    /// Messages as every viewer got them, from a keyframe on; none if there was no keyframe.
    pub messages: Vec<Message>,
    /// How many of them come before those that were asked for.
    pub lead: usize,
    /// When the first one that was asked for arrived.
    pub arrived: Micros,
}

/// A stream as one shard sees it.
#[derive(Clone, Debug)]
pub struct StreamPart {
    /// Public name.
    pub name: Arc<str>,
    /// Who feeds it here.
    pub source: StreamSource,
    /// The connection that publishes it, if it is on this shard.
    pub publisher: Option<PublisherView>,
    /// When the source came.
    pub since: Micros,
    /// Its audience on this shard.
    pub viewers: usize,
    /// Who else reads it on this shard, in the order of [`OtherReader::ALL`].
    pub other_readers: [usize; OtherReader::ALL.len()],
    /// Bytes of its messages since then.
    pub bytes_in: u64,
    /// Bytes sent to readers on this shard since then.
    pub bytes_out: u64,
    /// Bits per second of its messages, as measured last.
    pub bitrate_bps: f64,
    /// Bits per second to its readers on this shard, as measured last.
    pub out_bps: f64,
    /// Time from keyframe to keyframe, if it is fed here.
    pub keyframe_interval: Option<Micros>,
    /// How many milliseconds its pictures are ahead of its audio, if it is fed here.
    pub av_offset_ms: Option<f64>,
    /// Its audio messages.
    pub audio: TrackPart,
    /// Its video messages.
    pub video: TrackPart,
    /// Metadata and sequence headers, as far as it has any.
    pub headers: Vec<Message>,
}

/// Who feeds a stream on a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSource {
    /// A channel of this node.
    Channel,
    /// Another stream, whose pictures are encoded once more.
    Transcode,
    /// A stream as it is published, and its fallback while that is broken.
    Failover,
    /// A connection.
    Publisher,
    /// Another server, by a pull.
    Pull,
    /// Another shard, which tells more about it.
    Shard,
    /// Nobody: its viewers wait.
    Nobody,
}
