//! What a shard is told and given at its start.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::decode::TapEvent;
use super::encode::Encoded;
use super::mesh::Mesh;
use crate::command::{ChannelSwitch, FromShard, ToShard};
use crate::frame::PacketPool;
use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;
use crate::stats::{ChannelStats, OutputStats, ShardStats};
use crate::stream::{DropPolicy, LogLimits};
use crate::tls::{Acceptor, Connector};

/// Whose keys open the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishPolicy {
    /// Only a good stream key; it says under which public name.
    Key,
    /// Anybody, under any name that is free. For a laboratory.
    Open,
}

/// What every shard of a node is told.
#[derive(Clone, Debug)]
pub struct ShardSpec {
    /// Number of the shard, from 0.
    pub number: usize,
    /// Largest chunk we send, bytes.
    pub chunk_size: u32,
    /// Silence after which a peer is pinged.
    pub ping: Micros,
    /// Silence after which a peer is closed.
    pub ping_timeout: Micros,
    /// Time a peer has for its handshake and `connect`.
    pub handshake_timeout: Micros,
    /// Whether late viewers start at the newest keyframe instead of the next one.
    pub gop_cache: bool,
    /// Limits of each stream's log.
    pub log: LogLimits,
    /// When a slow reader jumps.
    pub drop: DropPolicy,
    /// Who may publish.
    pub publish: PublishPolicy,
    /// Connections at once; further ones are closed at accept.
    pub connections_max: usize,
    /// How long the viewers of a publisher that left wait for its return.
    pub grace: Micros,
}

/// A channel's stream, fed to the shard by its encoders.
pub struct ChannelFeed {
    /// Public name, such as `live/demo`.
    pub stream: Arc<str>,
    /// Finished video.
    pub video: Receiver<Encoded>,
    /// Finished sound, if the channel has any.
    pub audio: Option<Receiver<Encoded>>,
    /// Requests to the encoder.
    pub switch: Arc<ChannelSwitch>,
    /// Figures.
    pub stats: Arc<ChannelStats>,
}

/// A destination outside the node.
pub struct OutputSpec {
    /// Name in events and metrics.
    pub name: Arc<str>,
    /// The stream it sends.
    pub stream: Arc<str>,
    /// Where to.
    pub url: crate::rtmp::Url,
    /// Whom to trust, if the connection is to speak TLS.
    pub tls: Option<Connector>,
    /// Figures.
    pub stats: Arc<OutputStats>,
}

/// Everything that is handed to a shard at its start.
pub struct ShardParts {
    /// What it is told.
    pub spec: ShardSpec,
    /// Where peers knock; already bound and listening.
    pub listener: TcpListener,
    /// Where peers knock that speak TLS, and with which certificate they are met.
    pub secure: Option<(TcpListener, Acceptor)>,
    /// Rung by everybody who pushes to this shard.
    pub bell: Arc<Bell>,
    /// Set, and the bell rung, when the shard is to end.
    pub stopping: Arc<AtomicBool>,
    /// From control.
    pub commands: Receiver<ToShard>,
    /// To control.
    pub reports: Sender<FromShard>,
    /// To and from the other shards.
    pub mesh: Mesh,
    /// Channels whose home this shard is.
    pub feeds: Vec<ChannelFeed>,
    /// Decoders that want the streams of these names.
    pub taps: Vec<(Arc<str>, Sender<TapEvent>)>,
    /// Outputs whose home this shard is.
    pub outputs: Vec<OutputSpec>,
    /// Where packets come from.
    pub packets: PacketPool,
    /// Figures.
    pub stats: Arc<ShardStats>,
    /// The node's clock.
    pub clock: Clock,
    /// Where the shard's pseudo-random numbers begin.
    pub seed: u64,
}
