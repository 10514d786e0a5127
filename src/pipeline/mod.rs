//! Worker loops: compose, encode, decode, transcode and record. The loops are thin; what they do is
//! in the modules below them.

mod body_header;
mod channel;
mod decode;
mod encode;
mod failover;
mod fan_out;
mod frame_tap;
mod frames;
mod in_encoder;
mod input_monitor;
mod keyframes;
mod live;
mod lockstep;
mod metadata;
mod native;
mod network;
mod origin;
mod pace;
mod playback;
mod playlist;
mod record;
mod scale;
mod smaller;
mod source;
mod tee;
mod transcode;
mod waiting;

pub use channel::{
    AUDIO_QUEUE_BLOCKS, Audio, COMPOSED_MAX, Channel, ChannelStage, ComposeCore, POOL_EXTRA_FRAMES,
    Picture, RawAudio, Timeline,
};
pub use decode::{
    DECODED_AUDIO_QUEUE, DecodeOut, FileNews, Retry, SUBSCRIPTION_QUEUE, file as decode_file,
    live as decode_live,
};
pub use encode::{
    ENCODED_QUEUE, EncodeShare, EncodedRing, Opened, audio as encode_audio, video as encode_video,
};
pub use failover::{
    FAILOVER_QUEUE, FailoverControl, FailoverOut, FailoverStage, STANDBY_QUEUE, Standby, failover,
};
pub use fan_out::{FanOut, TAKER_QUEUE};
pub use frame_tap::{FrameTapEnd, frame_tap};
pub use frames::{FrameChange, FrameReader, serve_frames};
pub use input_monitor::monitor_input;
pub use keyframes::Keyframes;
pub use live::{
    AHEAD_MAX, CHANGES_MAX, FRAMES_AHEAD_MAX, SCENE_REPORTS_MAX, SceneChange, SceneLine,
    SceneReport, StartAt,
};
pub use lockstep::{Following, LockstepFile};
pub use native::{
    NATIVE_QUEUE, NATIVE_RETIRED_QUEUE, NATIVES_MAX, NativeBranch, NativeChanges, NativeStage,
    draw_native,
};
pub use network::{NETWORK_QUEUE, NetworkChange, ReadLimit, decode_network, read_network};
pub use pace::CpuShare;
pub use playback::{PlaybackRemote, PlaybackSpec, play_file, playback_ends};
pub use playlist::{PlaylistNews, PlaylistRemote, open_items, play_list, playlist_ends};
pub use record::{RECORD_QUEUE, RecordShare, input as record_input, record};
pub use scale::{SCALE_QUEUE, ScaleOut, scale};
pub use source::SourceKeyframes;
pub use tee::{Drawn, Share, Takes, Tee, TeeBranch};
pub use transcode::{Ladder, LadderAudio, Renditions, SourceFacts, Transcode, transcode};
