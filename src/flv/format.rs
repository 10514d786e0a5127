//! Names of the codecs that RTMP can carry, as numbers, fourccs and words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::media::VideoCodec;

/// Four characters that name a codec in Enhanced RTMP.
pub type FourCc = [u8; 4];

/// Video formats we can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VideoFormat {
    /// H.264.
    Avc,
    /// H.265, by fourcc or by the number 12 that some encoders use.
    Hevc,
    /// H.266.
    Vvc,
    /// AV1, by fourcc or by the number 13.
    Av1,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// Another legacy codec id (H.263, Screen, VP6...).
    Legacy(u8),
    /// Another fourcc.
    FourCc(FourCc),
}

/// Audio formats we can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioFormat {
    /// AAC.
    Aac,
    /// MP3.
    Mp3,
    /// Opus.
    Opus,
    /// FLAC.
    Flac,
    /// AC-3.
    Ac3,
    /// Enhanced AC-3.
    Eac3,
    /// Another legacy audio format (PCM, ADPCM, Nellymoser, Speex, G.711...).
    Legacy(u8),
    /// Another fourcc.
    FourCc(FourCc),
}

/// A format of either kind; Display gives the word that status pages use, such as `H264`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Of pictures.
    Video(VideoFormat),
    /// Of audio.
    Audio(AudioFormat),
}

impl VideoFormat {
    /// The format that a legacy codec id means.
    #[must_use]
    pub const fn of_id(id: u8) -> Self {
        match id {
            7 => Self::Avc,
            12 => Self::Hevc,
            13 => Self::Av1,
            _ => Self::Legacy(id),
        }
    }

    /// The format that a fourcc means.
    #[must_use]
    pub const fn of_four_cc(four_cc: FourCc) -> Self {
        match &four_cc {
            b"avc1" => Self::Avc,
            b"hvc1" => Self::Hevc,
            b"vvc1" => Self::Vvc,
            b"av01" => Self::Av1,
            b"vp08" => Self::Vp8,
            b"vp09" => Self::Vp9,
            _ => Self::FourCc(four_cc),
        }
    }

    /// The codec, if it is one that encoders of ours make.
    #[must_use]
    pub const fn codec(self) -> Option<VideoCodec> {
        match self {
            Self::Avc => Some(VideoCodec::H264),
            Self::Hevc => Some(VideoCodec::Hevc),
            Self::Av1 => Some(VideoCodec::Av1),
            Self::Vvc | Self::Vp8 | Self::Vp9 | Self::Legacy(_) | Self::FourCc(_) => None,
        }
    }

    /// The fourcc; `None` for formats that only have a number.
    #[must_use]
    pub const fn four_cc(self) -> Option<FourCc> {
        match self {
            Self::Avc => Some(*b"avc1"),
            Self::Hevc => Some(*b"hvc1"),
            Self::Vvc => Some(*b"vvc1"),
            Self::Av1 => Some(*b"av01"),
            Self::Vp8 => Some(*b"vp08"),
            Self::Vp9 => Some(*b"vp09"),
            Self::Legacy(_) => None,
            Self::FourCc(four_cc) => Some(four_cc),
        }
    }

    /// Whether coded frames carry a composition time in front of the codec's own bytes.
    pub(super) const fn has_composition_time(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Vvc)
    }
}

impl AudioFormat {
    /// The format that a legacy audio format number means.
    #[must_use]
    pub const fn of_id(id: u8) -> Self {
        match id {
            10 => Self::Aac,
            2 | 14 => Self::Mp3,
            _ => Self::Legacy(id),
        }
    }

    /// The format that a fourcc means.
    #[must_use]
    pub const fn of_four_cc(four_cc: FourCc) -> Self {
        match &four_cc {
            b"mp4a" => Self::Aac,
            b".mp3" => Self::Mp3,
            b"Opus" => Self::Opus,
            b"fLaC" => Self::Flac,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            _ => Self::FourCc(four_cc),
        }
    }

    /// The fourcc; `None` for formats that only have a number.
    #[must_use]
    pub const fn four_cc(self) -> Option<FourCc> {
        match self {
            Self::Aac => Some(*b"mp4a"),
            Self::Mp3 => Some(*b".mp3"),
            Self::Opus => Some(*b"Opus"),
            Self::Flac => Some(*b"fLaC"),
            Self::Ac3 => Some(*b"ac-3"),
            Self::Eac3 => Some(*b"ec-3"),
            Self::Legacy(_) => None,
            Self::FourCc(four_cc) => Some(four_cc),
        }
    }
}

impl fmt::Display for VideoFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Avc => f.write_str("H264"),
            Self::Hevc => f.write_str("HEVC"),
            Self::Vvc => f.write_str("VVC"),
            Self::Av1 => f.write_str("AV1"),
            Self::Vp8 => f.write_str("VP8"),
            Self::Vp9 => f.write_str("VP9"),
            Self::Legacy(2) => f.write_str("H263"),
            Self::Legacy(3 | 6) => f.write_str("Screen"),
            Self::Legacy(4 | 5) => f.write_str("VP6"),
            Self::Legacy(id) => write!(f, "video-{id}"),
            Self::FourCc(four_cc) => write_four_cc(four_cc, f),
        }
    }
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Aac => f.write_str("AAC"),
            Self::Mp3 => f.write_str("MP3"),
            Self::Opus => f.write_str("Opus"),
            Self::Flac => f.write_str("FLAC"),
            Self::Ac3 => f.write_str("AC-3"),
            Self::Eac3 => f.write_str("E-AC-3"),
            Self::Legacy(0 | 3) => f.write_str("PCM"),
            Self::Legacy(1) => f.write_str("ADPCM"),
            Self::Legacy(4..=6) => f.write_str("Nellymoser"),
            Self::Legacy(7 | 8) => f.write_str("G.711"),
            Self::Legacy(11) => f.write_str("Speex"),
            Self::Legacy(id) => write!(f, "audio-{id}"),
            Self::FourCc(four_cc) => write_four_cc(four_cc, f),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(format) => format.fmt(f),
            Self::Audio(format) => format.fmt(f),
        }
    }
}

/// A peer may put anything there: what could break a line, a label or a page is shown as `?`.
fn write_four_cc(four_cc: FourCc, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in four_cc {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        write!(f, "{}", if plain { char::from(byte) } else { '?' })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fourcc_goes_round_and_has_a_word() {
        for (four_cc, word) in [
            (*b"avc1", "H264"),
            (*b"hvc1", "HEVC"),
            (*b"vvc1", "VVC"),
            (*b"av01", "AV1"),
            (*b"vp08", "VP8"),
            (*b"vp09", "VP9"),
            (*b"xy<z", "xy?z"),
        ] {
            let format = VideoFormat::of_four_cc(four_cc);
            assert_eq!((format.four_cc(), format.to_string().as_str()), (Some(four_cc), word));
        }
        for (four_cc, word) in [
            (*b"mp4a", "AAC"),
            (*b".mp3", "MP3"),
            (*b"Opus", "Opus"),
            (*b"fLaC", "FLAC"),
            (*b"ac-3", "AC-3"),
            (*b"ec-3", "E-AC-3"),
            (*b"a\"\n\0", "a???"),
        ] {
            let format = AudioFormat::of_four_cc(four_cc);
            assert_eq!((format.four_cc(), format.to_string().as_str()), (Some(four_cc), word));
        }
    }

    #[test]
    fn every_legacy_number_has_a_word() {
        for id in 0..16 {
            assert!(!Format::Video(VideoFormat::of_id(id)).to_string().is_empty());
            assert!(!Format::Audio(AudioFormat::of_id(id)).to_string().is_empty());
        }
        assert_eq!(VideoFormat::of_id(7).to_string(), "H264");
        assert_eq!(AudioFormat::of_id(10).to_string(), "AAC");
        assert_eq!(AudioFormat::of_id(11).four_cc(), None);
    }
}
