//! Bodies of FLV tags, as RTMP messages carry them: what is in front of the codec's own bytes
//! (Adobe Flash Video File Format 10.1, annex E.4.2 and E.4.3).

use crate::media::Kind;

/// Whether a [`super::Live`] decodes messages like this one. What holds nothing to decode is no
/// trouble.
#[must_use]
pub fn can_decode(kind: Kind, body: &[u8]) -> bool {
    match kind {
        Kind::Video => !matches!(Video::parse(body), Video::Other(_)),
        Kind::Audio => !matches!(Audio::parse(body), Audio::Other(_)),
        Kind::Data => true,
    }
}

/// A video message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Video<'a> {
    /// The `AVCDecoderConfigurationRecord`.
    Header(&'a [u8]),
    /// NAL units with their lengths.
    Units {
        /// A decoder may begin here.
        key: bool,
        /// Time from decoding to showing, milliseconds.
        composition_ms: i32,
        /// The units.
        data: &'a [u8],
    },
    /// Nothing to decode: an end of sequence, a command, a message cut short.
    Nothing,
    /// Another codec, by its number or its four letters.
    Other(Codec),
}

/// A sound message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audio<'a> {
    /// The `AudioSpecificConfig`.
    Header(&'a [u8]),
    /// One frame.
    Frame(&'a [u8]),
    /// Nothing to decode.
    Nothing,
    /// Another codec.
    Other(Codec),
}

/// How a message names its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// The four-bit number of the old form.
    Number(u8),
    /// The four letters of the enhanced form.
    Letters([u8; 4]),
}

const VIDEO_H264: u8 = 7;
const AUDIO_AAC: u8 = 10;

/// In the first byte of an enhanced video message.
const VIDEO_ENHANCED: u8 = 0x80;

/// The audio codec number that marks an enhanced message.
const AUDIO_ENHANCED: u8 = 9;

/// Frame type: a command for the player, no picture.
const VIDEO_COMMAND: u8 = 5;

impl<'a> Video<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Self {
        let Some((&first, rest)) = body.split_first() else { return Self::Nothing };
        if first & VIDEO_ENHANCED != 0 {
            let letters = rest.first_chunk().copied();
            return letters.map_or(Self::Nothing, |letters| Self::Other(Codec::Letters(letters)));
        }
        let (frame_type, codec) = (first >> 4, first & 15);
        if frame_type == VIDEO_COMMAND {
            return Self::Nothing;
        }
        if codec != VIDEO_H264 {
            return Self::Other(Codec::Number(codec));
        }
        let Some((&[kind, a, b, c], data)) = rest.split_first_chunk() else {
            return Self::Nothing;
        };
        match kind {
            _ if data.is_empty() => Self::Nothing,
            0 => Self::Header(data),
            1 => {
                // Signed, 24 bits: shifted up and down again to spread the sign.
                let composition_ms = i32::from_be_bytes([a, b, c, 0]) >> 8;
                Self::Units { key: frame_type == 1, composition_ms, data }
            }
            _ => Self::Nothing,
        }
    }
}

impl<'a> Audio<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Self {
        let Some((&first, rest)) = body.split_first() else { return Self::Nothing };
        let codec = first >> 4;
        if codec == AUDIO_ENHANCED {
            let letters = rest.first_chunk().copied();
            return letters.map_or(Self::Nothing, |letters| Self::Other(Codec::Letters(letters)));
        }
        if codec != AUDIO_AAC {
            return Self::Other(Codec::Number(codec));
        }
        match rest.split_first() {
            Some((_, [])) | None => Self::Nothing,
            Some((0, data)) => Self::Header(data),
            Some((1, data)) => Self::Frame(data),
            Some(_) => Self::Nothing,
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "codec {number}"),
            Self::Letters(letters) => write!(f, "codec {}", letters.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn composition_times_have_a_sign() {
        let units = |a, b, c| Video::parse(&[0x27, 1, a, b, c, 9][..]).composition();
        assert_eq!(units(0, 0, 80), Some(80));
        assert_eq!(units(0xff, 0xff, 0xb0), Some(-80));
        assert_eq!(units(0x7f, 0xff, 0xff), Some(0x7f_ffff));
    }

    impl Video<'_> {
        fn composition(self) -> Option<i32> {
            match self {
                Self::Units { composition_ms, .. } => Some(composition_ms),
                Self::Header(_) | Self::Nothing | Self::Other(_) => None,
            }
        }
    }

    #[test]
    fn headers_frames_and_other_codecs_are_told_apart() {
        assert_eq!(Video::parse(&[0x17, 0, 0, 0, 0, 1, 2]), Video::Header(&[1, 2]));
        assert!(matches!(Video::parse(&[0x17, 1, 0, 0, 0, 1]), Video::Units { key: true, .. }));
        assert!(matches!(Video::parse(&[0x27, 1, 0, 0, 0, 1]), Video::Units { key: false, .. }));
        assert_eq!(Video::parse(&[0x17, 2, 0, 0, 0, 1]), Video::Nothing);
        assert_eq!(Video::parse(&[0x57, 0]), Video::Nothing);
        assert_eq!(Video::parse(&[0x12, 0]), Video::Other(Codec::Number(2)));
        assert_eq!(Video::parse(b"\x90hvc1"), Video::Other(Codec::Letters(*b"hvc1")));
        assert_eq!(Audio::parse(&[0xaf, 0, 0x11, 0x90]), Audio::Header(&[0x11, 0x90]));
        assert_eq!(Audio::parse(&[0xaf, 1, 5]), Audio::Frame(&[5]));
        assert_eq!(Audio::parse(&[0xaf, 1]), Audio::Nothing);
        assert_eq!(Audio::parse(&[0x2f, 1]), Audio::Other(Codec::Number(2)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_something(body in proptest::collection::vec(any::<u8>(), 0..20)) {
            let data = match Video::parse(&body) {
                Video::Header(data) | Video::Units { data, .. } => data.len(),
                Video::Nothing | Video::Other(_) => 0,
            };
            prop_assert!(data <= body.len());
            let data = match Audio::parse(&body) {
                Audio::Header(data) | Audio::Frame(data) => data.len(),
                Audio::Nothing | Audio::Other(_) => 0,
            };
            prop_assert!(data <= body.len());
        }
    }
}
