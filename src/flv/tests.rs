//! Bodies written by hand, as encoders send them.

use proptest::prelude::*;

use super::*;
use crate::media::Kind;

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
fn enhanced_headers_are_read_and_written_alike() {
    let write = |format, key, part, ms| {
        let bytes = enhanced_video_header(format, key, part, ms);
        let read = video(&bytes);
        assert_eq!((read.format, read.part, read.composition_ms), (format, part, ms));
        assert_eq!((read.payload_at, read.enhanced), (bytes.len(), true));
        assert_eq!(read.keyframe, key);
        bytes.to_vec()
    };
    assert_eq!(write(VideoFormat::Hevc, true, Part::SequenceHeader, 0), b"\x90hvc1");
    assert_eq!(write(VideoFormat::Hevc, true, Part::Frame, 0), b"\x93hvc1");
    assert_eq!(write(VideoFormat::Hevc, false, Part::Frame, -2), b"\xa1hvc1\xff\xff\xfe");
    assert_eq!(write(VideoFormat::Av1, true, Part::SequenceHeader, 0), b"\x90av01");
    assert_eq!(write(VideoFormat::Av1, false, Part::Frame, 0), b"\xa1av01");
    assert_eq!(write(VideoFormat::Av1, true, Part::SequenceEnd, 0), b"\x92av01");
    for is_header in [true, false] {
        let bytes = enhanced_audio_header(AudioFormat::Opus, is_header);
        let read = Audio::parse(&bytes).unwrap();
        assert_eq!((read.format, read.is_sequence_header()), (AudioFormat::Opus, is_header));
        assert_eq!(read.payload_at, bytes.len());
    }
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
    assert_eq!(video(&[0x94, b'h', b'v', b'c', b'1']).part, Part::Metadata);
}

#[test]
fn one_track_and_many_track_bodies_name_their_track() {
    let one = video(&[0x96, 0x00, b'a', b'v', b'c', b'1', 3, 9]);
    assert_eq!((one.track, one.part, one.payload_at), (Some(3), Part::SequenceHeader, 7));
    let many = video(&[0x96, 0x13, b'a', b'v', b'c', b'1', 1, 0, 0, 1, 9]);
    assert_eq!((many.track, many.part, many.payload_at), (Some(1), Part::Frame, 10));
    let mixed = video(&[0x96, 0x20, b'h', b'v', b'c', b'1', 2, 0, 0, 1, 9]);
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
    assert_eq!(header.nanos, 0x01_02);
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

/// Fourcc (if the layout has one), number and bytes of a track.
type TrackOf<'a> = (Option<&'a [u8; 4]>, u8, &'a [u8]);

/// A `ManyTracks` or `ManyTracksManyCodecs` body: head, then for each track its fourcc (if the
/// layout has one), number, length and bytes.
fn multitrack(head: &[u8], tracks: &[TrackOf<'_>]) -> Vec<u8> {
    let mut body = head.to_vec();
    for (four_cc, id, bytes) in tracks {
        body.extend(four_cc.iter().flat_map(|four_cc| four_cc.iter()));
        body.push(*id);
        body.extend(&u32::try_from(bytes.len()).unwrap().to_be_bytes()[1..]);
        body.extend(*bytes);
    }
    body
}

#[test]
fn v1_and_v2_fourccs_are_read_in_every_packet_type() {
    let packets = [
        (0, Part::SequenceHeader),
        (1, Part::Frame),
        (2, Part::SequenceEnd),
        (3, Part::Frame),
        (4, Part::Metadata),
        (5, Part::TransportHeader),
    ];
    for four_cc in [b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09"] {
        for (packet, part) in packets {
            let body = [&[0x90 | packet], &four_cc[..], &[0; 8]].concat();
            let header = video(&body);
            assert_eq!(header.format, VideoFormat::of_four_cc(*four_cc));
            assert_eq!((header.part, header.track, header.enhanced), (part, None, true));
            assert_eq!(header.is_sequence_header(), matches!(packet, 0 | 5));
            assert_eq!(header.is_keyframe(), matches!(packet, 1 | 3));
        }
    }
    let packets = [
        (0, Part::SequenceHeader),
        (1, Part::Frame),
        (2, Part::SequenceEnd),
        (4, Part::Metadata),
        (6, Part::Other),
    ];
    for four_cc in [b"Opus", b"fLaC", b"ac-3", b"ec-3", b".mp3", b"mp4a"] {
        for (packet, part) in packets {
            let body = [&[0x90 | packet], &four_cc[..], &[0; 8]].concat();
            let header = Audio::parse(&body).unwrap();
            assert_eq!(header.format, AudioFormat::of_four_cc(*four_cc));
            assert_eq!((header.part, header.payload_at), (part, 5));
        }
    }
}

#[test]
fn every_track_of_a_body_is_found_with_its_own_bytes() {
    let same = multitrack(
        &[0x96, 0x11, b'h', b'v', b'c', b'1'],
        &[(None, 0, &[0, 0, 1, 7]), (None, 2, &[0, 0, 2, 8, 8])],
    );
    let header = video(&same);
    assert!(header.is_keyframe() && header.composition_ms == 1);
    let tracks: Vec<_> = header.tracks(&same).map(|t| (t.id, t.four_cc, t.body)).collect();
    assert_eq!(tracks, [(0, *b"hvc1", &[0, 0, 1, 7][..]), (2, *b"hvc1", &[0, 0, 2, 8, 8])]);

    let own = multitrack(&[0x96, 0x20], &[(Some(b"hvc1"), 1, b"h"), (Some(b"av01"), 0, b"aa")]);
    let header = video(&own);
    assert!(header.is_sequence_header() && header.track == Some(1));
    let tracks: Vec<_> = header.tracks(&own).map(|t| (t.id, t.four_cc, t.body)).collect();
    assert_eq!(tracks, [(1, *b"hvc1", &b"h"[..]), (0, *b"av01", b"aa")]);

    let audio = multitrack(&[0x95, 0x21], &[(Some(b"Opus"), 0, b"o"), (Some(b"mp4a"), 1, b"")]);
    let header = Audio::parse(&audio).unwrap();
    let tracks: Vec<_> = header.tracks(&audio).map(|t| (t.id, t.four_cc, t.body)).collect();
    assert_eq!(tracks, [(0, *b"Opus", &b"o"[..]), (1, *b"mp4a", b"")]);
}

#[test]
fn a_body_without_tracks_is_track_0() {
    for body in [&[0x17, 1, 0, 0, 0, 9, 9][..], &[0x91, b'a', b'v', b'0', b'1', 9, 9]] {
        let header = video(body);
        let tracks: Vec<_> = header.tracks(body).collect();
        assert_eq!(tracks.len(), 1);
        assert_eq!((tracks[0].id, tracks[0].at, tracks[0].body), (0, 5, &[9, 9][..]));
    }
    let audio = [0xaf, 1, 5];
    let tracks: Vec<_> = Audio::parse(&audio).unwrap().tracks(&audio).collect();
    assert_eq!((tracks.len(), tracks[0].body), (1, &[5][..]));
}

#[test]
fn tracks_that_do_not_fit_or_lie_in_each_other_are_refused() {
    let whole =
        multitrack(&[0x96, 0x13, b'a', b'v', b'c', b'1'], &[(None, 0, b"aa"), (None, 1, b"b")]);
    for at in 0..whole.len() {
        let Some(header) = Video::parse(&whole[..at]) else { continue };
        assert!(header.tracks(&whole[..at]).count() <= 2, "{at}");
    }
    let lying = [0x96, 0x13, b'a', b'v', b'c', b'1', 0, 0xff, 0xff, 0xff, 9];
    assert_eq!(Video::parse(&lying), None);
    assert_eq!(Video::parse(&[0x96, 0x06, 0x06, b'a', b'v', b'c', b'1', 0, 9]), None);
    assert_eq!(Video::parse(&[0x96, 0x31, b'a', b'v', b'c', b'1', 0, 9]), None, "no such layout");
    assert_eq!(Audio::parse(&[0x95, 0x05, b'O', b'p', b'u', b's', 0, 9]), None);
}

#[test]
fn the_nanosecond_offset_is_read_and_other_extensions_are_passed_over() {
    let body = [0x97, 2, 0x0f, 0x42, 0x3f, 0x03, b'h', b'v', b'c', b'1', 9];
    assert_eq!((video(&body).nanos, video(&body).payload_at), (999_999, 10));
    // An unknown kind first, then an offset that is cut, then a whole one.
    let chain = [0x97, 0, 9, 0x17, 1, 7, 7, 0x07, 2, 0, 0, 5, 0x03, b'h', b'v', b'c', b'1', 9];
    assert_eq!(video(&chain).nanos, 5);
    let audio = [0x97, 2, 0, 0, 1, 0x01, b'O', b'p', b'u', b's', 9];
    assert_eq!(Audio::parse(&audio).map(|a| (a.nanos, a.part)), Some((1, Part::Frame)));
    assert_eq!(video(&avc_header(true, AvcPacket::Nalus, 0)).nanos, 0);
    // Extensions without end, and one that is longer than the body.
    assert_eq!(Video::parse(&[&[0x97][..], &[0, 0, 7].repeat(1_000)].concat()), None);
    assert_eq!(Video::parse(&[0x97, 200, 0]), None);
}

#[test]
fn commands_are_passed_on_whatever_their_codec() {
    for body in [&[0xd1, 0][..], &[0xd0], &[0x57, 0]] {
        let header = video(body);
        assert_eq!((header.part, header.is_keyframe()), (Part::Other, false));
    }
    // A metadata packet is one even under the command frame type.
    assert_eq!(video(&[0xd4, b'h', b'v', b'c', b'1', 2]).part, Part::Metadata);
}

fn info(kind: Kind, body: &[u8]) -> TagInfo {
    TagInfo::of(kind, body).unwrap()
}

#[test]
fn a_stream_is_told_header_key_track_and_codec() {
    for (kind, body, want) in [
        (Kind::Video, &[0x17, 0, 0, 0, 0, 1][..], (true, false, 0, true, "H264")),
        (Kind::Video, &[0x17, 1, 0, 0, 0, 1], (false, true, 0, true, "H264")),
        (Kind::Video, &[0x27, 1, 0, 0, 0, 1], (false, false, 0, true, "H264")),
        (Kind::Video, &[0x90, b'h', b'v', b'c', b'1', 1], (true, false, 0, true, "HEVC")),
        (Kind::Video, &[0x95, b'a', b'v', b'0', b'1', 1], (true, false, 0, true, "AV1")),
        (Kind::Video, &[0x93, b'h', b'v', b'c', b'1', 1], (false, true, 0, true, "HEVC")),
        (Kind::Video, &[0x96, 0, b'a', b'v', b'c', b'1', 2, 1], (true, false, 2, false, "H264")),
        (Kind::Video, &[0x96, 3, b'a', b'v', b'c', b'1', 0, 1], (false, true, 0, true, "H264")),
        (Kind::Audio, &[0xaf, 0, 0x12, 0x10], (true, false, 0, true, "AAC")),
        (Kind::Audio, &[0xaf, 1, 0x21], (false, false, 0, true, "AAC")),
        (Kind::Audio, &[0x95, 0, b'O', b'p', b'u', b's', 1, 1], (true, false, 1, false, "Opus")),
    ] {
        let info = info(kind, body);
        let format = info.format.unwrap().to_string();
        let got = (info.header, info.key, info.track, info.main, format.as_str());
        assert_eq!(got, want, "{body:x?}");
    }
    let many = multitrack(&[0x96, 0x20], &[(Some(b"hvc1"), 1, b"h"), (Some(b"av01"), 0, b"aa")]);
    assert!(info(Kind::Video, &many).main, "track 0 is in it, if not first");
    let metadata = info(Kind::Data, b"\x02\x00\x0aonMetaData\x08\0\0\0\0\0\0\x09");
    assert!(metadata.header && metadata.format.is_none());
    assert!(!info(Kind::Data, b"\x02\x00\x0aonTextData\x05").header);
}

#[test]
fn empty_configurations_are_no_headers() {
    for (kind, body) in [
        (Kind::Audio, &[0xaf, 0][..]),
        (Kind::Audio, &[0x90, b'O', b'p', b'u', b's']),
        (Kind::Video, &[0x17, 0, 0, 0, 0]),
        (Kind::Video, &[0x90, b'h', b'v', b'c', b'1']),
    ] {
        assert!(!info(kind, body).header, "{body:x?}");
    }
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused_and_its_tracks_lie_within_it(
        mut body in proptest::collection::vec(any::<u8>(), 1..80),
        first in prop_oneof![Just(0x95_u8), Just(0x96), Just(0x97), any::<u8>()],
        kinds in prop_oneof![Just(0x00_u8), Just(0x11), Just(0x21), any::<u8>()],
    ) {
        body[0] = first;
        if let Some(byte) = body.get_mut(1) {
            *byte = kinds;
        }
        let inside = |at: usize, track: &Track<'_>| {
            at <= body.len() && body.get(track.at..track.at + track.body.len()) == Some(track.body)
        };
        if let Some(video) = Video::parse(&body) {
            prop_assert!(video.tracks(&body).all(|track| inside(video.payload_at, &track)));
        }
        if let Some(audio) = Audio::parse(&body) {
            prop_assert!(audio.tracks(&body).all(|track| inside(audio.payload_at, &track)));
        }
        for kind in [Kind::Audio, Kind::Video, Kind::Data] {
            let _facts = TagInfo::of(kind, &body);
        }
    }
}
