//! Recording settings, and the input of the recorder.

use crate::media::{Kind, Micros};

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FLV.
    Flv,
    /// Fragmented MP4.
    Mp4,
}

impl Format {
    /// End of the files' names, and the word in the configuration.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::Mp4 => "mp4",
        }
    }
}

/// What is recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSpec {
    /// Name in events; the files' names begin with what is harmless of it.
    pub name: String,
    /// How files are written.
    pub format: Format,
    /// A file that is this long ends at the next keyframe, seconds; 0 for never.
    pub split_s: u32,
    /// A file that is this large ends at the next keyframe, bytes; 0 for never.
    pub split_bytes: u64,
    /// With less room on the disk recording stops, bytes.
    pub free_bytes_min: u64,
}

/// Now, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the node's clock.
    pub now: Micros,
    /// Seconds since 1970, UTC.
    pub unix_s: u64,
}

/// One message of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What it carries.
    pub kind: Kind,
    /// Milliseconds modulo 2^32.
    pub time: u32,
    /// Whether a decoder can start here.
    pub is_key: bool,
    /// Of a sequence header or metadata, the track that it is for: 0, if there are not several.
    pub header: Option<u8>,
    /// Its body.
    pub body: &'a [u8],
}
