//! Payloads of live messages for decoders: the codec's own bytes of H.264 and AAC, and the name of
//! any other codec.

use crate::flv::{Audio, AudioFormat, Format, Part, Video, VideoFormat};
use crate::media::Kind;

/// Whether a [`super::Live`] decodes messages like this one. What holds nothing to decode is no
/// trouble.
#[must_use]
pub fn can_decode(kind: Kind, body: &[u8]) -> bool {
    !matches!(Payload::of(kind, body), Payload::Other(_))
}

/// What a message body brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    /// An `AVCDecoderConfigurationRecord` or an `AudioSpecificConfig`.
    Header(&'a [u8]),
    /// NAL units with their lengths, or a frame of AAC.
    Frame {
        /// A decoder may begin here.
        key: bool,
        /// Time from decoding to showing, milliseconds.
        composition_ms: i32,
        data: &'a [u8],
    },
    /// Nothing to decode: an end of sequence, a command, a message cut short, another track.
    Nothing,
    /// Another codec.
    Other(Format),
}

impl<'a> Payload<'a> {
    pub(super) fn of(kind: Kind, body: &'a [u8]) -> Self {
        match kind {
            Kind::Video => Video::parse(body).map_or(Self::Nothing, |tag| Self::video(&tag, body)),
            Kind::Audio => Audio::parse(body).map_or(Self::Nothing, |tag| Self::audio(&tag, body)),
            Kind::Data => Self::Nothing,
        }
    }

    fn video(tag: &Video, body: &'a [u8]) -> Self {
        let is_coded = tag.is_sequence_header() || tag.part == Part::Frame;
        match (tag.format, tag.frames(body).next()) {
            _ if !is_coded || tag.track.is_some_and(|track| track > 0) => Self::Nothing,
            (VideoFormat::Avc, None | Some((.., []))) => Self::Nothing,
            (VideoFormat::Avc, Some((_, composition_ms, data))) if tag.part == Part::Frame => {
                Self::Frame { key: tag.keyframe, composition_ms, data }
            }
            (VideoFormat::Avc, Some((.., data))) => Self::Header(data),
            (format, _) => Self::Other(Format::Video(format)),
        }
    }

    fn audio(tag: &Audio, body: &'a [u8]) -> Self {
        let is_coded = tag.is_sequence_header() || tag.part == Part::Frame;
        match (tag.format, tag.tracks(body).next().map(|track| track.body)) {
            _ if !is_coded || tag.track.is_some_and(|track| track > 0) => Self::Nothing,
            (AudioFormat::Aac, None | Some([])) => Self::Nothing,
            (AudioFormat::Aac, Some(data)) if tag.part == Part::Frame => {
                Self::Frame { key: true, composition_ms: 0, data }
            }
            (AudioFormat::Aac, Some(data)) => Self::Header(data),
            (format, _) => Self::Other(Format::Audio(format)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn frame(key: bool, composition_ms: i32, data: &[u8]) -> Payload<'_> {
        Payload::Frame { key, composition_ms, data }
    }

    #[test]
    fn headers_frames_and_other_codecs_are_told_apart() {
        let video = |body| Payload::of(Kind::Video, body);
        assert_eq!(video(&[0x17, 0, 0, 0, 0, 1, 2]), Payload::Header(&[1, 2]));
        assert_eq!(video(&[0x17, 1, 0, 0, 80, 9]), frame(true, 80, &[9]));
        assert_eq!(video(&[0x27, 1, 0xff, 0xff, 0xb0, 9]), frame(false, -80, &[9]));
        for nothing in [&[0x17, 2, 0, 0, 0, 1][..], &[0x57, 0], &[0x17, 1, 0, 0, 0], &[]] {
            assert_eq!(video(nothing), Payload::Nothing);
        }
        assert_eq!(video(&[0x12, 0]), Payload::Other(Format::Video(VideoFormat::Legacy(2))));
        assert_eq!(video(b"\x90hvc1"), Payload::Other(Format::Video(VideoFormat::Hevc)));
        let audio = |body| Payload::of(Kind::Audio, body);
        assert_eq!(audio(&[0xaf, 0, 0x11, 0x90]), Payload::Header(&[0x11, 0x90]));
        assert_eq!(audio(&[0xaf, 1, 5]), frame(true, 0, &[5]));
        for nothing in [&[0xaf, 1][..], &[0xaf, 2, 5], &[]] {
            assert_eq!(audio(nothing), Payload::Nothing);
        }
        assert_eq!(audio(&[0x2f, 1]), Payload::Other(Format::Audio(AudioFormat::Mp3)));
    }

    #[test]
    fn the_enhanced_form_of_the_same_codecs_is_decoded_too() {
        let video = |body| Payload::of(Kind::Video, body);
        assert_eq!(video(b"\x90avc1\x01\x02"), Payload::Header(&[1, 2]));
        assert_eq!(video(b"\x91avc1\0\0\x28\x09"), frame(true, 40, &[9]));
        assert_eq!(video(b"\xa3avc1\x09"), frame(false, 0, &[9]));
        assert_eq!(video(b"\x96\x01avc1\x01\0\0\0\x09"), Payload::Nothing, "track 1");
        assert_eq!(Payload::of(Kind::Audio, b"\x91mp4a\x05"), frame(true, 0, &[5]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(body in proptest::collection::vec(any::<u8>(), 0..20)) {
            for kind in [Kind::Video, Kind::Audio] {
                let data = match Payload::of(kind, &body) {
                    Payload::Header(data) | Payload::Frame { data, .. } => data.len(),
                    Payload::Nothing | Payload::Other(_) => 0,
                };
                prop_assert!(data <= body.len());
            }
        }
    }
}
