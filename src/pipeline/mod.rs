//! The stages as loops: compose, encode, decode, and the shards that take in, keep and send out.
//! The loops are thin; what they do is in the rooms below them.

mod admission;
mod batch;
mod channel;
mod connection;
mod decode;
mod dial;
mod encode;
mod epoll;
mod feed;
mod figures;
mod gate;
mod held;
mod homes;
mod hub;
mod intake;
mod keyring;
mod live;
mod loops;
mod mesh;
mod metadata;
mod pace;
mod parts;
mod pull;
mod push;
mod reader;
mod record;
mod relay;
mod rules;
mod shard;
mod socket;
mod stall;
mod start;
mod sweep;
mod undecodable;
mod watch;
mod wire;

pub use channel::{
    COMPOSED_MAX, Channel, ChannelStage, ComposeCore, POOL_EXTRA_FRAMES, Picture, RawFrame,
    RawSound, SOUND_QUEUE_BLOCKS, Sound, Timeline,
};
pub use decode::{
    DECODED_SOUND_QUEUE, DecodeOut, FileNews, PICTURE_QUEUE, Retry, TAP_QUEUE, file as decode_file,
    live as decode_live,
};
pub use encode::{ENCODED_QUEUE, EncodeShare, audio as encode_audio, video as encode_video};
pub use live::{CHANGES_MAX, SCENE_REPORTS_MAX, SceneChange, SceneLine, SceneReport};
pub use mesh::{Have, Mesh, MeshMessage};
pub use parts::{
    HookRules, KeyRules, PULL_HOME, PeerLimits, PublishPolicy, RelayParts, ShardParts, ShardSpec,
};
pub use record::{RECORD_QUEUE, RecordShare, record};
pub use rules::{SETTINGS_MAX, ShardSettings};
pub use shard::shard;
