//! The first bytes of audio and video bodies: FLV tag headers (Video File Format 10.1 annex E) and
//! their enhanced form with a fourcc (Enhanced RTMP v2). Reading looks at headers only.

/// Video formats we can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    FourCc([u8; 4]),
}

/// Audio formats we can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Another legacy sound format (PCM, ADPCM, Nellymoser, Speex, G.711...).
    Legacy(u8),
    /// Another fourcc.
    FourCc([u8; 4]),
}

/// What a body carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// What a decoder must have first: parameter sets, an `AudioSpecificConfig`.
    SequenceHeader,
    /// A coded frame.
    Frame,
    /// The end of the sequence.
    SequenceEnd,
    /// Something to pass on as it is: colour metadata, channel layouts, seek commands.
    Other,
}

/// Header of a video body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    /// Codec; of the first track if there are many.
    pub format: VideoFormat,
    /// What follows.
    pub part: Part,
    /// Whether the frame type is "key frame".
    pub keyframe: bool,
    /// Presentation time minus decoding time, milliseconds, signed 24 bit.
    pub composition_ms: i32,
    /// Track of a multitrack body (the first, if it holds many); `None` for the plain form, which
    /// is track 0.
    pub track: Option<u8>,
    /// Where the codec's own bytes begin.
    pub payload_at: usize,
}

/// Header of an audio body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Codec; of the first track if there are many.
    pub format: AudioFormat,
    /// What follows.
    pub part: Part,
    /// As in [`Video::track`].
    pub track: Option<u8>,
    /// Where the codec's own bytes begin.
    pub payload_at: usize,
}

impl Video {
    /// Reads the header; `None` if the body is too short for it.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = *body.first()?;
        if first & 0x80 != 0 {
            return Self::parse_enhanced(body);
        }
        let (frame_type, id) = (first >> 4, first & 0x0f);
        let format = match id {
            7 => VideoFormat::Avc,
            12 => VideoFormat::Hevc,
            13 => VideoFormat::Av1,
            _ => VideoFormat::Legacy(id),
        };
        let keyframe = frame_type == KEYFRAME;
        let mut video = Self {
            format,
            part: Part::Frame,
            keyframe,
            composition_ms: 0,
            track: None,
            payload_at: 1,
        };
        if frame_type == COMMAND {
            return Some(Self { part: Part::Other, ..video });
        }
        if !matches!(format, VideoFormat::Legacy(_)) {
            let [packet, time @ ..] = *body.get(1..)?.first_chunk::<4>()?;
            video.part = match packet {
                0 => Part::SequenceHeader,
                1 => Part::Frame,
                2 => Part::SequenceEnd,
                _ => Part::Other,
            };
            video.composition_ms = signed24(time);
            video.payload_at = 5;
        }
        Some(video)
    }

    fn parse_enhanced(body: &[u8]) -> Option<Self> {
        let frame_type = body.first()? >> 4 & 7;
        let mut head = Enhanced { body, at: 1, packet: body.first()? & 0x0f };
        head.skip_extensions()?;
        let keyframe = frame_type == KEYFRAME;
        if frame_type == COMMAND && head.packet != VIDEO_METADATA {
            let format = VideoFormat::FourCc([0; 4]);
            let payload_at = head.at;
            let part = Part::Other;
            return Some(Self {
                format,
                part,
                keyframe,
                composition_ms: 0,
                track: None,
                payload_at,
            });
        }
        let (fourcc, track) = head.codec_and_track(VIDEO_MULTITRACK)?;
        let format = match &fourcc {
            b"avc1" => VideoFormat::Avc,
            b"hvc1" => VideoFormat::Hevc,
            b"vvc1" => VideoFormat::Vvc,
            b"av01" => VideoFormat::Av1,
            b"vp08" => VideoFormat::Vp8,
            b"vp09" => VideoFormat::Vp9,
            _ => VideoFormat::FourCc(fourcc),
        };
        let part = match head.packet {
            0 => Part::SequenceHeader,
            CODED_FRAMES | CODED_FRAMES_X => Part::Frame,
            2 => Part::SequenceEnd,
            _ => Part::Other,
        };
        let timed = matches!(format, VideoFormat::Avc | VideoFormat::Hevc | VideoFormat::Vvc);
        let composition_ms =
            if head.packet == CODED_FRAMES && timed { signed24(head.take()?) } else { 0 };
        Some(Self { format, part, keyframe, composition_ms, track, payload_at: head.at })
    }

    /// Whether a decoder can start here: a frame that refers to no earlier one.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.keyframe && self.part == Part::Frame
    }

    /// Whether this is what a decoder must have first.
    #[must_use]
    pub fn is_sequence_header(&self) -> bool {
        self.part == Part::SequenceHeader
    }
}

impl Audio {
    /// Reads the header; `None` if the body is too short for it.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = *body.first()?;
        let mut audio =
            Self { format: AudioFormat::Aac, part: Part::Frame, track: None, payload_at: 1 };
        match first >> 4 {
            ENHANCED_SOUND => return Self::parse_enhanced(body),
            10 => {
                audio.payload_at = 2;
                if *body.get(1)? == 0 {
                    audio.part = Part::SequenceHeader;
                }
            }
            2 | 14 => audio.format = AudioFormat::Mp3,
            other => audio.format = AudioFormat::Legacy(other),
        }
        Some(audio)
    }

    fn parse_enhanced(body: &[u8]) -> Option<Self> {
        let mut head = Enhanced { body, at: 1, packet: body.first()? & 0x0f };
        head.skip_extensions()?;
        let (fourcc, track) = head.codec_and_track(AUDIO_MULTITRACK)?;
        let format = match &fourcc {
            b"mp4a" => AudioFormat::Aac,
            b".mp3" => AudioFormat::Mp3,
            b"Opus" => AudioFormat::Opus,
            b"fLaC" => AudioFormat::Flac,
            b"ac-3" => AudioFormat::Ac3,
            b"ec-3" => AudioFormat::Eac3,
            _ => AudioFormat::FourCc(fourcc),
        };
        let part = match head.packet {
            0 => Part::SequenceHeader,
            CODED_FRAMES => Part::Frame,
            2 => Part::SequenceEnd,
            _ => Part::Other,
        };
        Some(Self { format, part, track, payload_at: head.at })
    }

    /// Whether this is what a decoder must have first.
    #[must_use]
    pub fn is_sequence_header(&self) -> bool {
        self.part == Part::SequenceHeader
    }
}

/// What an [`avc_header`] announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AvcPacket {
    /// An `AVCDecoderConfigurationRecord`.
    SequenceHeader,
    /// NAL units with 4-byte lengths.
    Nalus,
    /// Nothing: the sequence is over.
    SequenceEnd,
}

/// The 5 bytes before an H.264 body. `composition_ms` is cut to signed 24 bit.
#[must_use]
pub const fn avc_header(keyframe: bool, packet: AvcPacket, composition_ms: i32) -> [u8; 5] {
    let [_, a, b, c] = composition_ms.to_be_bytes();
    let first = if keyframe { 0x17 } else { 0x27 };
    let packet = match packet {
        AvcPacket::SequenceHeader => 0,
        AvcPacket::Nalus => 1,
        AvcPacket::SequenceEnd => 2,
    };
    [first, packet, a, b, c]
}

/// The 2 bytes before an AAC body: an `AudioSpecificConfig` or a raw frame.
#[must_use]
pub const fn aac_header(sequence_header: bool) -> [u8; 2] {
    // The rate, size and channel bits are fixed for AAC: what counts is in its configuration.
    [0xaf, if sequence_header { 0 } else { 1 }]
}

const KEYFRAME: u8 = 1;
const COMMAND: u8 = 5;
const ENHANCED_SOUND: u8 = 9;

/// Packet types of the enhanced form.
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const VIDEO_METADATA: u8 = 4;
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
const MOD_EX: u8 = 7;

/// Multitrack type in which each track names its own codec.
const MANY_CODECS: u8 = 2;

/// Walks an enhanced header.
struct Enhanced<'a> {
    body: &'a [u8],
    at: usize,
    packet: u8,
}

impl Enhanced<'_> {
    /// Passes over `ModEx` prefixes, up to the packet type they stand before.
    fn skip_extensions(&mut self) -> Option<()> {
        while self.packet == MOD_EX {
            let [short] = self.take()?;
            let mut size = usize::from(short) + 1;
            if size == 256 {
                size = usize::from(u16::from_be_bytes(self.take()?)) + 1;
            }
            self.at = self.at.checked_add(size)?;
            let [kinds] = self.take()?;
            self.packet = kinds & 0x0f;
        }
        Some(())
    }

    /// The codec, and the track if the packet says it is of `multitrack` type.
    fn codec_and_track(&mut self, multitrack: u8) -> Option<([u8; 4], Option<u8>)> {
        if self.packet != multitrack {
            return Some((self.take()?, None));
        }
        let [kinds] = self.take()?;
        self.packet = kinds & 0x0f;
        let many = kinds >> 4;
        let mut fourcc = [0; 4];
        if many != MANY_CODECS {
            fourcc = self.take()?;
        } else if let Some(first) = self.body.get(self.at..).and_then(<[u8]>::first_chunk) {
            fourcc = *first;
            self.at += fourcc.len();
        }
        let [track] = self.take()?;
        if many != 0 {
            // The length of this track's part.
            self.take::<3>()?;
        }
        Some((fourcc, Some(track)))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.body.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }
}

fn signed24([a, b, c]: [u8; 3]) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(body: &[u8]) -> Video {
        Video::parse(body).unwrap()
    }

    #[test]
    fn legacy_h264_is_read_and_written_alike() {
        let header = video(&avc_header(true, AvcPacket::SequenceHeader, 0));
        assert!(header.is_sequence_header() && !header.is_keyframe());
        assert_eq!((header.format, header.payload_at), (VideoFormat::Avc, 5));
        let key = video(&avc_header(true, AvcPacket::Nalus, 80));
        assert!(key.is_keyframe());
        assert_eq!(key.composition_ms, 80);
        let inter = video(&avc_header(false, AvcPacket::Nalus, 0));
        assert!(!inter.is_keyframe());
        assert_eq!(video(&avc_header(true, AvcPacket::SequenceEnd, 0)).part, Part::SequenceEnd);
    }

    #[test]
    fn composition_time_is_signed() {
        for ms in [-8_388_608, -1, 0, 1, 8_388_607] {
            assert_eq!(video(&avc_header(false, AvcPacket::Nalus, ms)).composition_ms, ms);
        }
    }

    #[test]
    fn codec_ids_12_and_13_are_hevc_and_av1() {
        assert_eq!(video(&[0x1c, 0, 0, 0, 0]).format, VideoFormat::Hevc);
        assert_eq!(video(&[0x1d, 1, 0, 0, 0]).format, VideoFormat::Av1);
        assert_eq!(video(&[0x12]).format, VideoFormat::Legacy(2));
    }

    #[test]
    fn enhanced_hevc_has_a_composition_time_only_in_coded_frames() {
        let start = video(&[0x90, b'h', b'v', b'c', b'1', 1]);
        assert!(start.is_sequence_header() && start.format == VideoFormat::Hevc);
        let timed = video(&[0x91, b'h', b'v', b'c', b'1', 0xff, 0xff, 0xfe, 9]);
        assert!(timed.is_keyframe());
        assert_eq!((timed.composition_ms, timed.payload_at), (-2, 8));
        let untimed = video(&[0xa3, b'h', b'v', b'c', b'1', 0xff]);
        assert_eq!((untimed.composition_ms, untimed.payload_at), (0, 5));
        assert!(!untimed.keyframe && untimed.part == Part::Frame);
        let av1 = video(&[0x91, b'a', b'v', b'0', b'1', 0xff]);
        assert_eq!((av1.format, av1.payload_at), (VideoFormat::Av1, 5));
        assert_eq!(video(&[0x94, b'h', b'v', b'c', b'1']).part, Part::Other);
    }

    #[test]
    fn one_track_and_many_track_bodies_name_their_track() {
        let one = video(&[0x96, 0x00, b'a', b'v', b'c', b'1', 3, 9]);
        assert_eq!((one.track, one.part, one.payload_at), (Some(3), Part::SequenceHeader, 7));
        let many = video(&[0x96, 0x13, b'a', b'v', b'c', b'1', 1, 0, 0, 4, 9]);
        assert_eq!((many.track, many.part, many.payload_at), (Some(1), Part::Frame, 10));
        let mixed = video(&[0x96, 0x20, b'h', b'v', b'c', b'1', 2, 0, 0, 4, 9]);
        assert_eq!((mixed.track, mixed.format), (Some(2), VideoFormat::Hevc));
        assert_eq!(video(&[0x90, b'a', b'v', b'c', b'1']).track, None);
        let audio = Audio::parse(&[0x95, 0x01, b'O', b'p', b'u', b's', 1, 9]).unwrap();
        assert_eq!((audio.track, audio.format), (Some(1), AudioFormat::Opus));
    }

    #[test]
    fn extensions_before_the_packet_type_are_passed_over() {
        let nanos = [0x97, 2, 0, 1, 2, 0x01, b'a', b'v', b'c', b'1', 0, 0, 5, 9];
        let header = video(&nanos);
        assert_eq!((header.composition_ms, header.payload_at), (5, 13));
        let mut long = vec![0x97, 0xff, 0x01, 0x00];
        long.extend([0; 257]);
        long.extend([0x00, b'h', b'v', b'c', b'1']);
        assert!(video(&long).is_sequence_header());
    }

    #[test]
    fn aac_headers_are_read_and_written_alike() {
        let config = Audio::parse(&aac_header(true)).unwrap();
        assert!(config.is_sequence_header() && config.format == AudioFormat::Aac);
        let frame = Audio::parse(&aac_header(false)).unwrap();
        assert_eq!((frame.part, frame.payload_at), (Part::Frame, 2));
        let flac = Audio::parse(&[0x90, b'f', b'L', b'a', b'C']).unwrap();
        assert!(flac.is_sequence_header() && flac.format == AudioFormat::Flac);
    }

    #[test]
    fn every_first_byte_with_a_short_body_is_read_or_refused() {
        for first in 0..=255_u8 {
            for length in 0..=10 {
                for rest in [0, 7, 0x16, 0xff] {
                    let body = [&[first], &[rest; 10][..]].concat();
                    let body = &body[..length];
                    for at in [
                        Video::parse(body).map(|v| v.payload_at),
                        Audio::parse(body).map(|a| a.payload_at),
                    ]
                    .into_iter()
                    .flatten()
                    {
                        assert!(at <= length || body[0] & 7 == 7, "{body:x?}");
                    }
                }
            }
        }
        assert_eq!(Video::parse(&[]), None);
        assert_eq!(Audio::parse(&[0xaf]), None);
        assert_eq!(Audio::parse(&[0x10]).map(|a| a.format), Some(AudioFormat::Legacy(1)));
    }
}
