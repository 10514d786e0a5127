//! Names of codecs and kinds of messages.

use serde::{Deserialize, Serialize};

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Encoded picture or its sequence header.
    Video,
    /// Encoded audio or its sequence header.
    Audio,
    /// AMF data, such as `onMetaData`.
    Data,
}

/// Video codecs an encoder of ours may produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// ITU-T H.264 (AVC).
    H264,
    /// ITU-T H.265 (HEVC).
    Hevc,
    /// AV1 (Alliance for Open Media).
    Av1,
}

impl VideoCodec {
    /// Name used in configuration, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
        }
    }
}

/// Audio codecs an encoder of ours may produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// MPEG-4 AAC, low complexity.
    Aac,
    /// Opus (RFC 6716).
    Opus,
}

impl AudioCodec {
    /// Name used in configuration, metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Opus => "opus",
        }
    }
}
