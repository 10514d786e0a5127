//! Sequence headers made from the first frame of a track, where its publisher sends none: codecs
//! that carry their parameters in band.

use super::format::{AudioFormat, VideoFormat};
use super::{Audio, Part, Video};
use crate::media::{Kind, av1, h264, h265};

/// Samples that Opus encoders put before the first, which players leave out: libopus's own number.
const OPUS_PRE_SKIP: u16 = 312;

/// Shortest `av1C`: one that leaves the sequence header to the stream.
const AV1C_BYTES_MIN: usize = 4;

/// What a track of this frame needs before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// No header: the codec has none, or players do without.
    NotNeeded,
    /// This message.
    Header(Vec<u8>),
    /// A header that cannot be made of the frame: it has to be sent.
    Missing,
}

/// Looks at a keyframe, or at a frame of audio.
#[must_use]
pub fn made(kind: Kind, body: &[u8]) -> Made {
    let made = match kind {
        Kind::Video => Video::parse(body).map(|video| of_video(&video, body)),
        Kind::Audio => Audio::parse(body).map(|audio| of_audio(&audio, body)),
        Kind::Data => None,
    };
    made.unwrap_or(Made::NotNeeded)
}

/// Whether a sequence header holds what a decoder needs. Some say only that it follows in band.
#[must_use]
pub fn is_complete(kind: Kind, body: &[u8]) -> bool {
    let Some(video) = Video::parse(body).filter(|_| kind == Kind::Video) else { return true };
    let record = body.get(video.payload_at..).unwrap_or_default();
    if video.part != Part::SequenceHeader {
        return true;
    }
    match video.format {
        VideoFormat::Avc => record.get(5).is_none_or(|sets| sets & 0x1f > 0),
        VideoFormat::Hevc => record.get(22).is_none_or(|arrays| *arrays > 0),
        VideoFormat::Av1 => record.len() > AV1C_BYTES_MIN,
        _ => true,
    }
}

fn of_video(video: &Video, body: &[u8]) -> Made {
    let payload = body.get(video.payload_at..).unwrap_or_default();
    let record = match video.format {
        VideoFormat::Avc => h264::config(&h264::whole_units(payload)),
        VideoFormat::Hevc => h265::config(&h264::whole_units(payload)),
        VideoFormat::Av1 => av1::config(payload),
        VideoFormat::Vvc => None,
        VideoFormat::Vp8 | VideoFormat::Vp9 | VideoFormat::Legacy(_) | VideoFormat::FourCc(_) => {
            return Made::NotNeeded;
        }
    };
    let is_alone = video.tracks(body).count() == 1;
    let Some(record) = record.filter(|_| is_alone) else { return Made::Missing };
    const ENHANCED_KEY: u8 = 0x90;
    const MULTITRACK: u8 = 0x96;
    let four_cc = video.format.four_cc().unwrap_or_default();
    Made::Header(match video.track {
        _ if !video.enhanced => [&[body[0], 0, 0, 0, 0][..], &record].concat(),
        None => [&[ENHANCED_KEY][..], &four_cc, &record].concat(),
        Some(track) => [&[MULTITRACK, 0][..], &four_cc, &[track], &record].concat(),
    })
}

fn of_audio(audio: &Audio, body: &[u8]) -> Made {
    match audio.format {
        AudioFormat::Opus => {}
        AudioFormat::Aac | AudioFormat::Flac => return Made::Missing,
        _ => return Made::NotNeeded,
    }
    let first = body.get(audio.payload_at).filter(|_| audio.tracks(body).count() == 1);
    let Some(first) = first else { return Made::Missing };
    let channels = if first & 4 == 0 { 1 } else { 2 };
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend_from_slice(&OPUS_PRE_SKIP.to_le_bytes());
    head.extend_from_slice(&48_000_u32.to_le_bytes());
    head.extend_from_slice(&[0; 3]); // gain and mapping
    const ENHANCED: u8 = 0x90;
    const MULTITRACK: u8 = 0x95;
    Made::Header(match audio.track {
        None => [&[ENHANCED][..], b"Opus", &head].concat(),
        Some(track) => [&[MULTITRACK, 0][..], b"Opus", &[track], &head].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = b"\x67\x42\xc0\x0b\xda\x0a";
    const PPS: &[u8] = b"\x68\xce\x0f\xc8";

    fn units(units: &[&[u8]]) -> Vec<u8> {
        let with_length =
            |unit: &&[u8]| [&[0, 0, 0, u8::try_from(unit.len()).unwrap()], *unit].concat();
        units.iter().flat_map(with_length).collect()
    }

    fn header(kind: Kind, body: &[u8]) -> Vec<u8> {
        match made(kind, body) {
            Made::Header(header) => header,
            other => panic!("{other:?} of {body:x?}"),
        }
    }

    #[test]
    fn a_header_has_the_form_of_the_frame_that_it_is_made_of() {
        let frame = units(&[SPS, PPS, b"\x65\x88"]);
        let avcc = h264::config(&[SPS, PPS].into_iter()).unwrap();
        for (start, header_start) in [
            (&b"\x17\x01\0\0\0"[..], &b"\x17\0\0\0\0"[..]),
            (b"\x91avc1\0\0\0", b"\x90avc1"),
            (b"\x93avc1", b"\x90avc1"),
            (b"\x96\x01avc1\x05\0\0\0", b"\x96\0avc1\x05"),
        ] {
            let made = header(Kind::Video, &[start, &frame].concat());
            assert_eq!(made, [header_start, &avcc].concat());
            let read = Video::parse(&made).unwrap();
            assert!(read.is_sequence_header() && is_complete(Kind::Video, &made));
        }
        let av1 = b"\x12\0\x0a\x0a\0\0\0\x03\xb4\xfd\x90\x0b\xe0\x01";
        let made = header(Kind::Video, &[b"\x91av01", &av1[..]].concat());
        assert_eq!(made[..9], *b"\x90av01\x81\0\x0c\0");
        let made = header(Kind::Audio, b"\x91Opus\xfc\x01");
        assert_eq!(made, b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
        let made = header(Kind::Audio, b"\x95\x01Opus\x02\xf8\x01");
        assert_eq!(made[..17], *b"\x95\0Opus\x02OpusHead\x01\x01");
        assert!(Audio::parse(&made).unwrap().is_sequence_header());
    }

    #[test]
    fn what_cannot_be_made_is_missing_and_what_is_not_needed_is_not() {
        let without_pps = [&b"\x17\x01\0\0\0"[..], &units(&[SPS, b"\x65"])].concat();
        let start_codes = [b"\x17\x01\0\0\0\0\0\0\x01", SPS, b"\0\0\0\x01", PPS].concat();
        for body in [&without_pps[..], &start_codes, b"\x91hvc1\0\0\0\0", b"\x91vvc1\0\0\0\0"] {
            assert_eq!(made(Kind::Video, body), Made::Missing, "{body:x?}");
        }
        assert_eq!(made(Kind::Audio, b"\xaf\x01\x21"), Made::Missing);
        for body in [&b"\x91vp09\x01"[..], b"\x12\0\0", b"\x91\0"] {
            assert_eq!(made(Kind::Video, body), Made::NotNeeded, "{body:x?}");
        }
        for body in [&b"\x2f\x01"[..], b"\x91ac-3\x01", b"\x7f\x01"] {
            assert_eq!(made(Kind::Audio, body), Made::NotNeeded, "{body:x?}");
        }
    }

    #[test]
    fn headers_that_leave_the_parameters_to_the_stream_are_not_complete() {
        for body in [
            &b"\x17\0\0\0\0\x01\x42\xc0\x0b\xff\xe0\0"[..],
            b"\x90av01\x81\0\x0c\0",
            &[&b"\x90hvc1"[..], &[1; 22], &[0]].concat(),
        ] {
            assert!(!is_complete(Kind::Video, body), "{body:x?}");
        }
        assert!(
            is_complete(Kind::Video, b"\x90hvc1\x01\x02\x03"),
            "what is no record is left alone"
        );
        assert!(is_complete(Kind::Audio, b"\xaf\0\x11\x90"));
    }
}
