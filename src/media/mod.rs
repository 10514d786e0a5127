//! Words that all stages share: time, size, pixel format, codec, NAL units. Plain data, no I/O.

pub mod aac;
pub mod av1;
mod bitrate;
pub mod bits;
mod bpm;
mod codec;
mod failover_state;
mod frame_blocks;
pub mod h264;
pub mod h265;
mod input_url;
pub mod instants;
mod keep_alive;
mod latest_time;
mod network;
mod orientation;
mod origin;
mod panic;
mod plain_file;
mod playlist;
pub(crate) mod protobuf;
mod size;
mod stamp;
mod time;
mod user_data;
mod video_clip;

pub use bitrate::parse_bitrate;
pub use bpm::{EncoderFrames, PublisherMetrics, SessionFrames};
pub use codec::{AudioCodec, Kind, VideoCodec};
pub use failover_state::FailoverState;
pub use frame_blocks::{
    FRAME_BLOCKS, frame_block_edge, frame_blocks, frame_in_picture, is_white_block,
};
pub use input_url::{InputUrl, NetworkInput};
pub use keep_alive::{KeepAlive, Pings};
pub use latest_time::LatestTime;
pub use network::network_of;
pub use orientation::Orientation;
pub use origin::{ClockState, NodeId, OriginStamp};
pub use panic::{caught, panic_text};
pub use plain_file::open_plain;
pub use playlist::{PLAYLIST_ITEMS_MAX, Playlist, PlaylistEntries, PlaylistItem};
pub use size::{PixelFormat, Rect, Size};
pub use stamp::{FrameId, Point, Stamp, Stamps};
pub use time::{FrameRate, Micros, UnwrappedTime};
pub use user_data::{USER_DATA_UNIT_MAX, UserDataUnit, Uuid, each_user_data, place_of_user_data};
pub use video_clip::VideoClip;

/// Samples per second of all audio inside the node.
pub const SAMPLE_RATE: u32 = 48_000;

/// Channels of all audio inside the node: left, right.
pub const CHANNELS: usize = 2;
