//! Parts of a program's stream: the pipeline of its frames, the encoder and the RTMP server.

use std::fmt;

use crate::media::{PixelFormat, Size, VideoCodec};

/// How raw frames travel from the program that draws them to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Most frames that may wait for the encoder, 1 to 120. An encoder that stays behind is given
    /// as many as it takes, evenly; the others are dropped.
    pub queue_size: u32,
    /// Frames that exist in all, at most 1024; at least four more than `queue_size` are made.
    pub pool_size: u32,
    /// How the pixels lie.
    pub format: PixelFormat,
    /// Size of the frames.
    pub size: Size,
}

/// How frames are encoded, and under which name they go on the air.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoder {
    /// Size of the pictures; the same as the pipeline's.
    pub size: Size,
    /// Pictures per second, 1 to 240.
    pub fps: u32,
    /// Bits per second, constant, 50 000 to 200 000 000.
    pub bitrate_bps: u32,
    /// Codec.
    pub codec: VideoCodec,
    /// Speed preset by the encoder's own names, such as `veryfast`.
    pub preset: String,
    /// `rtmp://host[:port]/app/name`: the server here serves it as `app/name`; if the address is
    /// another machine's (or another port), it is pushed there as well.
    pub stream_url: String,
}

/// The RTMP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtmpServer {
    /// TCP port on all addresses.
    pub port: u16,
    /// Largest chunk it sends, bytes, 128 to 16 777 215.
    pub chunk_size: u32,
    /// Whether late viewers start at the newest keyframe instead of waiting for the next.
    pub gop_cache: bool,
    /// Seconds of silence after which a peer is pinged.
    pub ping: u32,
    /// Seconds of silence after which a peer is closed.
    pub ping_timeout: u32,
}

/// Something in the three parts that cannot work.
#[derive(Debug)]
pub struct Invalid(pub(super) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
