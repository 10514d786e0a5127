//! Headers of audio bodies.

use super::Part;
use super::enhanced::{BodyHeader, CODED_FRAMES, Head, SEQUENCE_END, SEQUENCE_START, Tracks};
use super::format::AudioFormat;

/// Header of an audio body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Codec; of the first track if there are many.
    pub format: AudioFormat,
    /// What follows; the same for all tracks.
    pub part: Part,
    /// As in [`super::Video::nanos`].
    pub nanos: u32,
    /// As in [`super::Video::track`].
    pub track: Option<u8>,
    /// Whether the codec is named by a fourcc.
    pub enhanced: bool,
    /// Where the codec's own bytes begin.
    pub payload_at: usize,
}

/// The audio format number that announces an enhanced header.
const ENHANCED: u8 = 9;

/// Packet types of audio alone.
const CHANNELS: u8 = 4;
const MULTITRACK: u8 = 5;

impl Audio {
    /// Reads the header; `None` if the body is too short for it.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let id = *body.first()? >> 4;
        if id == ENHANCED {
            return Self::parse_enhanced(body);
        }
        let format = AudioFormat::of_id(id);
        let mut audio = Self {
            format,
            part: Part::Frame,
            nanos: 0,
            track: None,
            enhanced: false,
            payload_at: 1,
        };
        if format == AudioFormat::Aac {
            audio.payload_at = 2;
            audio.part = match *body.get(1)? {
                0 => Part::SequenceHeader,
                1 => Part::Frame,
                _ => Part::Other,
            };
        }
        Some(audio)
    }

    fn parse_enhanced(body: &[u8]) -> Option<Self> {
        let head = Head::parse(body, MULTITRACK)?;
        let first = head.tracks(body).next()?;
        let part = match head.packet {
            SEQUENCE_START => Part::SequenceHeader,
            CODED_FRAMES => Part::Frame,
            SEQUENCE_END => Part::SequenceEnd,
            CHANNELS => Part::Metadata,
            _ => Part::Other,
        };
        Some(Self {
            format: AudioFormat::of_four_cc(first.four_cc),
            part,
            nanos: head.nanos,
            track: head.layout.map(|_| first.id),
            enhanced: true,
            payload_at: first.at,
        })
    }

    /// The tracks of `body`, which this is the header of: all of them have the same [`Part`].
    #[must_use]
    pub fn tracks<'a>(&self, body: &'a [u8]) -> Tracks<'a> {
        match Head::parse(body, MULTITRACK).filter(|_| self.enhanced) {
            Some(head) => head.tracks(body),
            None => {
                let four_cc = self.format.four_cc().unwrap_or_default();
                Tracks::plain(body, self.payload_at, four_cc)
            }
        }
    }

    /// Whether this is what a decoder must have first.
    #[must_use]
    pub fn is_sequence_header(&self) -> bool {
        self.part == Part::SequenceHeader
    }
}

/// The bytes before an enhanced audio body (Enhanced RTMP v2): the packet type and the fourcc.
#[must_use]
pub fn enhanced_audio_header(format: AudioFormat, sequence_header: bool) -> BodyHeader {
    let packet = if sequence_header { SEQUENCE_START } else { CODED_FRAMES };
    BodyHeader::new(ENHANCED << 4 | packet, format.four_cc().unwrap_or_default())
}

/// The 2 bytes before an AAC body: an `AudioSpecificConfig` or a raw frame.
#[must_use]
pub const fn aac_header(sequence_header: bool) -> [u8; 2] {
    // The rate, size and channel bits are fixed for AAC: what counts is in its configuration.
    [0xaf, if sequence_header { 0 } else { 1 }]
}
