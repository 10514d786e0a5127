//! Payloads of live messages for decoders: the codec's own bytes, or the name of a codec that is
//! not decoded here.

use crate::ffi::sys as ffi;
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
    /// What a decoder of this codec is opened with, such as an `AVCDecoderConfigurationRecord` or
    /// an `AudioSpecificConfig`.
    Header(Codec, &'a [u8]),
    /// A coded picture, such as NAL units with their lengths, or a frame of audio.
    Frame {
        codec: Codec,
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

/// A codec that is decoded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) id: ffi::AVCodecID,
    /// Whether its frames alone do not suffice to decode it.
    pub(super) needs_header: bool,
}

impl Codec {
    const fn new(id: ffi::AVCodecID, needs_header: bool) -> Option<Self> {
        Some(Self { id, needs_header })
    }

    const fn of_video(format: VideoFormat) -> Option<Self> {
        match format {
            VideoFormat::Avc => Self::new(ffi::AV_CODEC_ID_H264, true),
            VideoFormat::Hevc => Self::new(ffi::AV_CODEC_ID_HEVC, true),
            VideoFormat::Av1 => Self::new(ffi::AV_CODEC_ID_AV1, false),
            VideoFormat::Vp8 => Self::new(ffi::AV_CODEC_ID_VP8, false),
            VideoFormat::Vp9 => Self::new(ffi::AV_CODEC_ID_VP9, false),
            VideoFormat::Vvc | VideoFormat::Legacy(_) | VideoFormat::FourCc(_) => None,
        }
    }

    const fn of_audio(format: AudioFormat) -> Option<Self> {
        match format {
            AudioFormat::Aac => Self::new(ffi::AV_CODEC_ID_AAC, true),
            AudioFormat::Opus => Self::new(ffi::AV_CODEC_ID_OPUS, true),
            AudioFormat::Flac => Self::new(ffi::AV_CODEC_ID_FLAC, true),
            AudioFormat::Mp3 => Self::new(ffi::AV_CODEC_ID_MP3, false),
            AudioFormat::Ac3 => Self::new(ffi::AV_CODEC_ID_AC3, false),
            AudioFormat::Eac3 => Self::new(ffi::AV_CODEC_ID_EAC3, false),
            AudioFormat::Legacy(_) | AudioFormat::FourCc(_) => None,
        }
    }
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
        if !is_coded || tag.track.is_some_and(|track| track > 0) {
            return Self::Nothing;
        }
        let Some(codec) = Codec::of_video(tag.format) else {
            return Self::Other(Format::Video(tag.format));
        };
        match tag.frames(body).next() {
            None | Some((.., [])) => Self::Nothing,
            Some((_, composition_ms, data)) if tag.part == Part::Frame => {
                Self::Frame { codec, key: tag.keyframe, composition_ms, data }
            }
            Some((.., data)) => Self::Header(codec, data),
        }
    }

    fn audio(tag: &Audio, body: &'a [u8]) -> Self {
        let is_coded = tag.is_sequence_header() || tag.part == Part::Frame;
        if !is_coded || tag.track.is_some_and(|track| track > 0) {
            return Self::Nothing;
        }
        let Some(codec) = Codec::of_audio(tag.format) else {
            return Self::Other(Format::Audio(tag.format));
        };
        match tag.tracks(body).next().map(|track| track.body) {
            None | Some([]) => Self::Nothing,
            Some(data) if tag.part == Part::Frame => {
                Self::Frame { codec, key: true, composition_ms: 0, data }
            }
            Some(data) => Self::Header(codec, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const H264: Codec = Codec { id: ffi::AV_CODEC_ID_H264, needs_header: true };
    const AAC: Codec = Codec { id: ffi::AV_CODEC_ID_AAC, needs_header: true };

    const fn frame(codec: Codec, key: bool, composition_ms: i32, data: &[u8]) -> Payload<'_> {
        Payload::Frame { codec, key, composition_ms, data }
    }

    #[test]
    fn headers_frames_and_other_codecs_are_told_apart() {
        let video = |body| Payload::of(Kind::Video, body);
        assert_eq!(video(&[0x17, 0, 0, 0, 0, 1, 2]), Payload::Header(H264, &[1, 2]));
        assert_eq!(video(&[0x17, 1, 0, 0, 80, 9]), frame(H264, true, 80, &[9]));
        assert_eq!(video(&[0x27, 1, 0xff, 0xff, 0xb0, 9]), frame(H264, false, -80, &[9]));
        for nothing in [&[0x17, 2, 0, 0, 0, 1][..], &[0x57, 0], &[0x17, 1, 0, 0, 0], &[]] {
            assert_eq!(video(nothing), Payload::Nothing);
        }
        assert_eq!(video(&[0x12, 0]), Payload::Other(Format::Video(VideoFormat::Legacy(2))));
        assert_eq!(video(b"\x90vvc1"), Payload::Other(Format::Video(VideoFormat::Vvc)));
        let audio = |body| Payload::of(Kind::Audio, body);
        assert_eq!(audio(&[0xaf, 0, 0x11, 0x90]), Payload::Header(AAC, &[0x11, 0x90]));
        assert_eq!(audio(&[0xaf, 1, 5]), frame(AAC, true, 0, &[5]));
        for nothing in [&[0xaf, 1][..], &[0xaf, 2, 5], &[]] {
            assert_eq!(audio(nothing), Payload::Nothing);
        }
        assert_eq!(audio(&[0xb6, 1]), Payload::Other(Format::Audio(AudioFormat::Legacy(11))));
    }

    #[test]
    fn the_enhanced_form_of_the_same_codecs_is_decoded_too() {
        let video = |body| Payload::of(Kind::Video, body);
        assert_eq!(video(b"\x90avc1\x01\x02"), Payload::Header(H264, &[1, 2]));
        assert_eq!(video(b"\x91avc1\0\0\x28\x09"), frame(H264, true, 40, &[9]));
        assert_eq!(video(b"\xa3avc1\x09"), frame(H264, false, 0, &[9]));
        assert_eq!(video(b"\x96\x01avc1\x01\0\0\0\x09"), Payload::Nothing, "track 1");
        assert_eq!(Payload::of(Kind::Audio, b"\x91mp4a\x05"), frame(AAC, true, 0, &[5]));
    }

    #[test]
    fn newer_codecs_are_told_with_whether_they_need_their_header() {
        let of = |kind, body: &'static [u8]| match Payload::of(kind, body) {
            Payload::Header(codec, _) | Payload::Frame { codec, .. } => codec,
            other => panic!("{other:?}"),
        };
        let hevc = Codec { id: ffi::AV_CODEC_ID_HEVC, needs_header: true };
        assert_eq!(of(Kind::Video, b"\x90hvc1\x01"), hevc);
        let av1 = Codec { id: ffi::AV_CODEC_ID_AV1, needs_header: false };
        assert_eq!(of(Kind::Video, b"\x91av01\x01"), av1);
        assert!(of(Kind::Audio, b"\x90Opus\x01").needs_header);
        assert!(!of(Kind::Audio, &[0x2f, 9]).needs_header, "MP3");
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(body in proptest::collection::vec(any::<u8>(), 0..20)) {
            for kind in [Kind::Video, Kind::Audio] {
                let data = match Payload::of(kind, &body) {
                    Payload::Header(_, data) | Payload::Frame { data, .. } => data.len(),
                    Payload::Nothing | Payload::Other(_) => 0,
                };
                prop_assert!(data <= body.len());
            }
        }
    }
}
