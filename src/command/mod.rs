//! Commands and reports between control and the data plane. Plain values that cross cores over
//! rings; nothing here blocks, allocates per frame, or knows a runtime.

mod ask;
mod config;
mod demand;
mod hook;
mod playback;
mod ring;
mod rules;
mod shard;
mod snapshot;
mod switch;
mod view;

pub use self::ask::{
    Answer, Ask, CLIENTS_MAX, Document, MixView, Monitor, OverlaysView, PreviewState, PreviewView,
    SceneView, ScenesView, ScheduleCommand, ScheduleView, ScheduledView, TakenView,
};
pub use self::config::{ConfigText, ReloadView};
pub use self::demand::TranscodedStreams;
pub use self::hook::{HookQuestion, HookRequestId, Params, Refusal, Refused};
pub use self::playback::{ItemCommand, PlaybackCommand, PlaybackState, PlaybackView, PlaylistView};
pub use self::ring::{ShardCommand, ShardReport};
pub use self::rules::{DelayAsk, DelayChange, OnGap, OutputRules, SentCodecs, SentTracks};
pub use self::shard::{
    ChannelSource, Encoded, OutputSpec, PullSpec, PulledStream, RecentMessages, RecordEvent,
    RecordSink, STREAMS_MAX, Scope, ShardAnswer, ShardQuery, StreamPart, StreamSource,
    SubscriptionEvent,
};
pub use self::snapshot::{
    SNAPSHOT_BYTES_MAX, SnapshotFault, SnapshotRequest, SnapshotWidth, StreamSnapshot,
};
pub use self::switch::ChannelSwitch;
pub use self::view::{AudioView, ClientView, PublisherView, StreamView, TrackPart, VideoView};

/// Commands that may wait for a shard.
pub const COMMANDS_MAX: usize = 1_024;

/// Reports that may wait for control. A shard that finds the ring full counts what it leaves out.
pub const REPORTS_MAX: usize = 4_096;
