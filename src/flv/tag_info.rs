//! Summary of an FLV tag: kind, track, keyframe and header, which a stream needs to keep it and to
//! start readers at it.

use super::format::Format;
use super::{Audio, Part, Video};
use crate::media::Kind;

/// A message in the words of a stream log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagInfo {
    /// Audio, video or data.
    pub kind: Kind,
    /// What the body carries; [`Part::Metadata`] for `onMetaData`.
    pub part: Part,
    /// Whether readers need it before anything else: a sequence header that is not empty, or
    /// `onMetaData`.
    pub header: bool,
    /// Whether a decoder can start here: a picture that refers to no earlier one.
    pub key: bool,
    /// Track it belongs to; the first, if it holds many.
    pub track: u8,
    /// Whether it holds track 0, the one that players without multitrack show. What is not of it
    /// must not stand in for that track's header or keyframe.
    pub main: bool,
    /// Codec of the track; `None` for data.
    pub format: Option<Format>,
}

impl TagInfo {
    /// Reads the headers of a message body; `None` if it is too short to have any.
    #[must_use]
    pub fn of(kind: Kind, body: &[u8]) -> Option<Self> {
        match kind {
            Kind::Video => Video::parse(body).map(|video| Self::of_video(&video, body)),
            Kind::Audio => Audio::parse(body).map(|audio| Self::of_audio(&audio, body)),
            Kind::Data => Some(Self::of_data(body)),
        }
    }

    fn of_video(video: &Video, body: &[u8]) -> Self {
        let main = video.track.is_none_or(|_| video.tracks(body).any(|track| track.id == 0));
        Self {
            kind: Kind::Video,
            part: video.part,
            header: video.is_sequence_header() && body.len() > video.payload_at,
            key: video.is_keyframe(),
            track: video.track.unwrap_or(0),
            main,
            format: Some(Format::Video(video.format)),
        }
    }

    fn of_audio(audio: &Audio, body: &[u8]) -> Self {
        let main = audio.track.is_none_or(|_| audio.tracks(body).any(|track| track.id == 0));
        Self {
            kind: Kind::Audio,
            part: audio.part,
            header: audio.is_sequence_header() && body.len() > audio.payload_at,
            key: false,
            track: audio.track.unwrap_or(0),
            main,
            format: Some(Format::Audio(audio.format)),
        }
    }

    fn of_data(body: &[u8]) -> Self {
        const NAME: &[u8] = b"\x02\x00\x0aonMetaData"; // AMF0 string marker, length, name
        let header = body.starts_with(NAME);
        Self {
            kind: Kind::Data,
            part: if header { Part::Metadata } else { Part::Other },
            header,
            key: false,
            track: 0,
            main: true,
            format: None,
        }
    }
}
