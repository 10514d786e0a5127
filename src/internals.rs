//! Inner parts that this package's own program, tests, benchmarks and measurements use. No other
//! program is meant to: they change as they need to.

pub use crate::audio::{
    BusSpec, CompressorSpec, EqSpec, Filters, GateSpec, InputSpec, Mixer, Source as AudioInput,
};
pub use crate::control::log::start_log;
pub use crate::encode::{
    Keep, VideoEncoder, VideoPacket, VideoSink, VideoSpec, check_hardware, check_with, open_video,
};
pub use crate::ffi::sys;
#[cfg(feature = "x264")]
pub use crate::ffi::x264;
pub use crate::frame::{
    AudioBlock, Frame, FrozenFrame, Geometry, PacketBuf, PacketPool, PacketPoolSpec, PictureEvent,
    Pool,
};
pub use crate::keys::KeyHash;
pub use crate::limits::{GuardSpec, LimitSpec, NodeLimits};
pub use crate::load::{bench, load};
pub use crate::probes::{frame_encoded, socket_full};
pub use crate::ring::{Bell, Receiver, Sender, channel};
pub use crate::runtime::{
    Clock, CounterFollower, Driver, DriverChoice, DriverKind, DriverParts, Pacer, Pinned, Slot,
    preflight,
};
pub use crate::scene::kernel::{self, Kernels, Level};
pub use crate::scene::{
    BlendMode, Change, Composed, Composer, Damage, PreparedScene, PreparedTransition,
    ResolvedScene, Scaler, Tick, demo,
};
pub use crate::shard::{
    Core, HookRules, Io, KeyRules, Mesh, MeshMessage, PeerId, PeerLimits, PublishPolicy, ShardCore,
    ShardParts, ShardSpec, TcpInfo,
};
pub use crate::stats::{Stage, StageBlock};
pub use crate::stream::{
    Cursor, DropPolicy, Flags, Framing, LogLimits, Merge, Message, Start, StreamLog,
};
pub use crate::trace::{
    CORE_RECORDS, TraceNames, WORKER_RECORDS, begin_recording, gather, record_stage, write_perfetto,
};
