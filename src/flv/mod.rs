//! FLV (Video File Format 10.1 annex E): tags, and the first bytes of audio and video bodies, with
//! their enhanced form with a fourcc (Enhanced RTMP v1 and v2). Reading looks at headers only.

mod audio;
mod enhanced;
mod format;
mod made;
mod tag;
mod tag_info;
mod video;

pub use audio::{Audio, aac_header, enhanced_audio_header};
pub use enhanced::{BodyHeader, Layout, Track, Tracks};
pub use format::{AudioFormat, Format, FourCc, VideoFormat};
pub use made::{Made, is_complete, made};
pub use tag::{Tag, TagHeader, Tags};
pub use tag_info::TagInfo;
pub use video::{AvcPacket, Video, avc_header, enhanced_video_header, track_video_header};

/// What a body carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// What a decoder must have first: parameter sets, an `AudioSpecificConfig`.
    SequenceHeader,
    /// The same, in the form that MPEG-2 transport streams have (AV1 only).
    TransportHeader,
    /// A coded frame.
    Frame,
    /// The end of the sequence.
    SequenceEnd,
    /// How frames are to be shown or heard: colours and light, the layout of channels.
    Metadata,
    /// Something to pass on as it is, such as a seek command.
    Other,
}

#[cfg(test)]
mod tests;
