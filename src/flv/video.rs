//! Headers of video bodies.

use super::Part;
use super::enhanced::{BodyHeader, CODED_FRAMES, Head, SEQUENCE_END, SEQUENCE_START, Tracks};
use super::format::VideoFormat;
use crate::media::VideoCodec;

/// Header of a video body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    /// Codec; of the first track if there are many.
    pub format: VideoFormat,
    /// What follows; the same for all tracks.
    pub part: Part,
    /// Whether the frame type is "key frame"; the same for all tracks.
    pub keyframe: bool,
    /// Presentation time minus decoding time, milliseconds, signed 24 bit; of the first track if
    /// there are many.
    pub composition_ms: i32,
    /// Nanoseconds to add to the message's time (`ModEx`), less than a millisecond if the sender
    /// keeps the rules.
    pub nanos: u32,
    /// Track of a multitrack body (the first, if it holds many); `None` for the plain form, which
    /// is track 0.
    pub track: Option<u8>,
    /// Whether the codec is named by a fourcc.
    pub enhanced: bool,
    /// Where the codec's own bytes begin.
    pub payload_at: usize,
}

const KEYFRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
const COMMAND: u8 = 5;

/// Packet types of video alone.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const TRANSPORT_START: u8 = 5;
const MULTITRACK: u8 = 6;

impl Video {
    /// Reads the header; `None` if the body is too short for it.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = *body.first()?;
        if first & 0x80 != 0 {
            return Self::parse_enhanced(body);
        }
        let frame_type = first >> 4;
        let mut video = Self {
            format: VideoFormat::of_id(first & 0x0f),
            part: Part::Frame,
            keyframe: frame_type == KEYFRAME,
            composition_ms: 0,
            nanos: 0,
            track: None,
            enhanced: false,
            payload_at: 1,
        };
        if frame_type == COMMAND {
            return Some(Self { part: Part::Other, ..video });
        }
        if !matches!(video.format, VideoFormat::Legacy(_)) {
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
        let prefix = Head::prefixes(body)?;
        let mut video = Self {
            format: VideoFormat::FourCc([0; 4]),
            part: Part::Other,
            keyframe: frame_type == KEYFRAME,
            composition_ms: 0,
            nanos: prefix.nanos,
            track: None,
            enhanced: true,
            payload_at: prefix.at,
        };
        if frame_type == COMMAND && prefix.packet != METADATA {
            return Some(video);
        }
        let head = Head::parse(body, MULTITRACK)?;
        let first = head.tracks(body).next()?;
        video.format = VideoFormat::of_four_cc(first.four_cc);
        video.track = head.layout.map(|_| first.id);
        video.part = match head.packet {
            SEQUENCE_START => Part::SequenceHeader,
            CODED_FRAMES | CODED_FRAMES_X => Part::Frame,
            SEQUENCE_END => Part::SequenceEnd,
            METADATA => Part::Metadata,
            TRANSPORT_START => Part::TransportHeader,
            _ => Part::Other,
        };
        video.payload_at = first.at;
        if head.packet == CODED_FRAMES && video.format.has_composition_time() {
            video.composition_ms = signed24(*first.body.first_chunk()?);
            video.payload_at += 3;
        }
        Some(video)
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

    /// The coded frames in `body`, which is what was parsed: the number of each one's track, its
    /// composition time in milliseconds, and the codec's own bytes.
    pub fn frames<'a>(
        &self,
        body: &'a [u8],
    ) -> impl Iterator<Item = (u8, i32, &'a [u8])> + use<'a> {
        let plain_ms = self.composition_ms;
        let mut tracks = self.tracks(body).peekable();
        // Where the first one has a composition time, all have.
        let has_time =
            self.enhanced && tracks.peek().is_some_and(|first| self.payload_at > first.at);
        tracks.map(move |track| match track.body.split_first_chunk::<3>() {
            Some((time, rest)) if has_time => (track.id, signed24(*time), rest),
            _ => (track.id, plain_ms, track.body),
        })
    }

    /// The coded frame of track 0 in `body`, with its codec, if encoders of ours make that.
    #[must_use]
    pub fn main_picture<'a>(&self, body: &'a [u8]) -> Option<(VideoCodec, &'a [u8])> {
        let codec = self.format.codec().filter(|_| self.part == Part::Frame)?;
        let (.., picture) = self.frames(body).find(|(track, ..)| *track == 0)?;
        Some((codec, picture))
    }

    /// Whether a decoder can start here: a frame that refers to no earlier one.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.keyframe && self.part == Part::Frame
    }

    /// Whether this is what a decoder must have first.
    #[must_use]
    pub const fn is_sequence_header(&self) -> bool {
        matches!(self.part, Part::SequenceHeader | Part::TransportHeader)
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

/// The bytes before an enhanced video body (Enhanced RTMP v1): the packet type, the fourcc and,
/// where the codec has one and it is not 0, the composition time, cut to signed 24 bit.
#[must_use]
pub fn enhanced_video_header(
    format: VideoFormat,
    keyframe: bool,
    part: Part,
    composition_ms: i32,
) -> BodyHeader {
    video_header((format, None), keyframe, part, composition_ms)
}

/// Header of a body that is one track of several (Enhanced RTMP v2, `VideoPacketType.Multitrack`
/// with `AvMultitrackType.OneTrack`). Track 0 has the plain form, which all players know.
#[must_use]
pub fn track_video_header(
    format: VideoFormat,
    track: u8,
    keyframe: bool,
    part: Part,
    composition_ms: i32,
) -> BodyHeader {
    video_header((format, Some(track)), keyframe, part, composition_ms)
}

fn video_header(
    (format, track): (VideoFormat, Option<u8>),
    keyframe: bool,
    part: Part,
    composition_ms: i32,
) -> BodyHeader {
    let frame_type = if keyframe { KEYFRAME } else { INTER_FRAME };
    let first = |packet| 0x80 | frame_type << 4 | packet;
    let times = format.has_composition_time();
    let packet = match part {
        Part::SequenceHeader => SEQUENCE_START,
        Part::SequenceEnd => SEQUENCE_END,
        _ if times && composition_ms == 0 => CODED_FRAMES_X,
        _ => CODED_FRAMES,
    };
    let four_cc = format.four_cc().unwrap_or_default();
    let header = match track {
        None => BodyHeader::new(first(packet), four_cc),
        Some(track) => BodyHeader::of_track(first(MULTITRACK), packet, four_cc, track),
    };
    if times && packet == CODED_FRAMES {
        return header.with_composition_time(composition_ms);
    }
    header
}

fn signed24([a, b, c]: [u8; 3]) -> i32 {
    i32::from_be_bytes([a, b, c, 0]) >> 8
}
