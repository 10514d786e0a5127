//! Figures the data plane writes and control reads: counters, gauges and histograms in blocks that
//! each have one writer, so that counting is a plain load, add and store.

mod audio;
mod cell;
mod channel;
mod composition;
mod cores;
mod failover;
mod fallback;
mod histogram;
mod hook;
mod input_rule;
mod latency;
mod latency_history;
mod limit;
mod line;
mod list;
mod log_histogram;
mod loops;
mod meter;
mod origin;
mod output;
mod placement;
mod publisher;
mod registry;
mod relay;
mod rendition;
mod shard;
mod speed;
mod stage;
mod state;
mod stream_latency;
mod streams;
mod transcode;
mod word_slot;

pub use audio::{AudioFigures, AudioLevels, AudioStats, SILENCE_DB};
pub use channel::{ChannelFigures, ChannelStats, DropReason, ENCODED_DROPPED};
pub use composition::{AssetCacheFigures, LayerCost, LayerFigures, Timer};
pub use cores::{CoreRole, CoreStats};
pub use failover::FallbackEntry;
pub use fallback::Fallback;
pub use histogram::HistogramFigures;
pub use hook::{Delivery, DeliveryStats, HookDecision, HookEntry, HookStats};
pub use input_rule::InputRuleEntry;
pub use latency_history::LatencyReading;
pub use limit::Limit;
pub use line::{LineFigures, LineStats};
pub use log_histogram::LogFigures;
pub use loops::{LoopActivity, LoopEntry, LoopRun, Loops, StallCause, Turn};
pub use meter::Meter;
pub use origin::{OriginClock, OriginFigures};
pub use output::{OutputFigures, OutputStats};
pub use placement::{PlacedItems, PlacementStats, ShardLoad};
pub use publisher::PublisherFigures;
pub use registry::{
    ChannelEntry, ChannelSnapshot, OutputEntry, OutputSnapshot, PacketPoolFigures, Registry,
    Snapshot, url_without_secrets,
};
pub use relay::{PullEntry, PullSnapshot, RecordEntry, RecordFigures, RecordSnapshot, RecordStats};
pub use rendition::{ChannelFacts, RenditionEntry, RenditionSnapshot, ShownEncode};
pub use shard::{Attempt, ErrorKind, OtherReader, ShardFigures, ShardStats, ViewerDrop};
pub use speed::{Changed, SpeedChange, SpeedFigures, SpeedReason};
pub use stage::{Stage, StageBlock, StageFigures, parts_of};
pub use state::RunState;
pub use stream_latency::{OpenLatency, WorstFrame, next_source};
pub use streams::{StreamFigures, StreamSnapshot};
pub use transcode::{TranscodeEntry, TranscodeSnapshot, TranscodeState};
