//! Settings and start parameters of a shard.

use std::sync::Arc;

use super::streams::Mesh;
use crate::command::{
    ChannelSource, OutputSpec, PullSpec, PulledStream, RecordSink, ShardCommand, ShardReport,
    SubscriptionEvent,
};
use crate::event::Stage;
use crate::frame::PacketPool;
use crate::keys::{AddressRange, CacheSpec};
use crate::limits::NodeLimits;
use crate::media::{Micros, Pings};
use crate::ring::{Receiver, Sender};
use crate::stats::{OriginClock, ShardStats};
use crate::stream::{DropPolicy, LogLimits, Merge, Start};
use crate::tls::{Acceptor, Connector};
use crate::web::Cors;

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishPolicy {
    /// Whoever shows a good stream key, under the public name that it is for.
    Key,
    /// Anybody, under any name that is free. For a laboratory.
    Open,
}

/// How keys are handled on a shard.
#[derive(Clone, Debug, Default)]
pub struct KeyRules {
    /// How long decisions are remembered.
    pub cache: CacheSpec,
    /// How often a live publisher's key is looked up again: it may have gone without a word.
    pub recheck: Micros,
    /// Whether a publisher that names its stream is let in while the key store does not answer.
    pub open_when_away: bool,
    /// Proxies whose word about a peer's address is taken (PROXY protocol).
    pub trusted_proxies: Arc<[AddressRange]>,
}

/// What one peer may take up.
#[derive(Clone, Copy, Debug)]
pub struct PeerLimits {
    /// How long it may neither publish nor play.
    pub idle: Micros,
    /// How long a viewer may take nothing.
    pub blocked: Micros,
    /// Bytes of unfinished messages while it publishes.
    pub buffer_bytes: usize,
    /// Bits per second at which a viewer is sent at most; 0 for any.
    pub pace_bps: u64,
    /// The same in percent of its stream's mean rate; 0 for any.
    pub pace_percent: u32,
}

/// What is asked of hooks. By default nothing, and nothing waits.
#[derive(Clone, Debug, Default)]
pub struct HookRules {
    /// Stages that somebody has to be given leave to begin.
    pub stages: Vec<Stage>,
    /// Parameters of a query that hooks may see.
    pub params: Arc<[Arc<str>]>,
    /// How long a peer waits for control's answer, which has deadlines of its own. Then it may go
    /// on if `open_when_silent`, or is refused.
    pub answer_timeout: Micros,
    /// What no answer means.
    pub open_when_silent: bool,
}

impl HookRules {
    /// Whether there are hooks that decide about `stage`.
    #[must_use]
    pub fn decide(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }
}

/// A stream with a fallback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedStream {
    /// Public name, which is played and published to.
    pub name: Arc<str>,
    /// Name of what is published, as it is.
    pub source: Arc<str>,
}

/// What every shard of a node is told.
#[derive(Clone, Debug)]
pub struct ShardSpec {
    /// Number of the shard, from 0.
    pub number: usize,
    /// Random number of the node, the same for all its shards: other nodes know its streams by it.
    pub node: u64,
    /// The time of day, with which the origin stamps of streams are compared.
    pub origin: Arc<OriginClock>,
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
    /// Where viewers start.
    pub start: Start,
    /// Which web pages may play.
    pub cors: Arc<Cors>,
    /// Limits of each stream's log.
    pub log: LogLimits,
    /// Which messages wait for others.
    pub merge: Merge,
    /// Streams of which nothing waits and whose viewers start at the live edge, whatever `start`
    /// and `merge` say.
    pub low_latency: Arc<[Arc<str>]>,
    /// When a slow reader jumps.
    pub drop: DropPolicy,
    /// Who may publish.
    pub publish: PublishPolicy,
    /// Streams with a fallback: by their public names, what they are published to.
    pub protected: Arc<[ProtectedStream]>,
    /// How keys are handled.
    pub keys: KeyRules,
    /// What one peer may take up.
    pub peer: PeerLimits,
    /// What is asked of hooks.
    pub hooks: HookRules,
    /// How long the viewers of a publisher that left wait for its return.
    pub grace: Micros,
    /// Published and pulled streams that are given silence while they have no audio: names, or
    /// `app/*` for all of an application, or `*` for all.
    pub fill_audio: Arc<[String]>,
}

impl ShardSpec {
    /// The stream that somebody feeds who publishes under this name.
    pub(super) fn source_of<'a>(&'a self, name: &'a Arc<str>) -> &'a Arc<str> {
        self.protected.iter().find(|it| it.name == *name).map_or(name, |it| &it.source)
    }

    /// The name under which a stream is published.
    pub(super) fn public_of<'a>(&'a self, source: &'a Arc<str>) -> &'a Arc<str> {
        self.protected.iter().find(|it| it.source == *source).map_or(source, |it| &it.name)
    }

    /// Whether a stream of this name is given silence while it has no audio.
    pub(super) fn fills_audio(&self, name: &Arc<str>) -> bool {
        let name = self.public_of(name);
        self.fill_audio.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => **name == **wanted,
        })
    }

    fn is_low_latency(&self, name: &Arc<str>) -> bool {
        self.low_latency.iter().any(|it| it == name)
    }

    /// Where viewers of a stream start.
    pub(super) fn start_of(&self, name: &Arc<str>) -> Start {
        if self.is_low_latency(name) { Start::Live } else { self.start }
    }

    /// Which messages of a stream wait for others.
    pub(super) fn merge_of(&self, name: &Arc<str>) -> Merge {
        if self.is_low_latency(name) { Merge::Off } else { self.merge }
    }

    /// When peers are pinged, and given up.
    pub(super) const fn pings(&self) -> Pings {
        Pings { every: self.ping, timeout: self.ping_timeout }
    }
}

/// Settings that may wait for a shard; the newest counts.
pub const SETTINGS_MAX: usize = 8;

/// Other settings for a shard.
#[derive(Debug)]
pub struct ShardSettings {
    /// What it is told. Its number, its node and who may publish stay.
    pub spec: ShardSpec,
    /// The authorities that are trusted when it connects by TLS, or why none are.
    pub trust: Result<Connector, String>,
}

/// Everything that is handed to a shard at its start.
pub struct ShardParts {
    /// What it is told.
    pub spec: ShardSpec,
    /// Encrypts connections of the RTMPS port, if there is one.
    pub acceptor: Option<Acceptor>,
    /// The authorities that are trusted when it connects by TLS, or why none are.
    pub trust: Result<Connector, String>,
    /// From control.
    pub commands: Receiver<ShardCommand>,
    /// Other settings, from control.
    pub settings: Receiver<ShardSettings>,
    /// To control.
    pub reports: Sender<ShardReport>,
    /// To and from the other shards.
    pub mesh: Mesh,
    /// Channels whose streams this shard owns.
    pub feeds: Vec<ChannelSource>,
    /// Decoders that want the streams of these names.
    pub subscriptions: Vec<(Arc<str>, Sender<SubscriptionEvent>)>,
    /// Recordings.
    pub records: Vec<RecordSink>,
    /// Outputs of this shard.
    pub outputs: Vec<OutputSpec>,
    /// Pulls of this shard.
    pub pulls: Vec<PullSpec>,
    /// All streams that are pulled, and the shard that pulls each: whichever shard somebody asks
    /// for one at has to know.
    pub pulled: Arc<[PulledStream]>,
    /// What all shards ask when a peer comes.
    pub limits: Arc<NodeLimits>,
    /// Where packets come from.
    pub packets: PacketPool,
    /// Figures.
    pub stats: Arc<ShardStats>,
    /// Where the shard's pseudo-random numbers begin.
    pub seed: u64,
}
