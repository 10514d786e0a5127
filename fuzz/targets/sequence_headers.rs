//! Sequence headers and parameters in band of H.264, HEVC, AV1 and Opus: what is made of a track's
//! frames is a whole header of that track, holds nothing that the frame did not, and is made once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stream_manager_fuzz::Tags;
use stream_manager_fuzz::decode::can_decode;
use stream_manager_fuzz::media::Kind;
use stream_manager_fuzz::rtmp::flv::{
    Audio, Format, Made, TagInfo, Video, VideoFormat, is_complete, made,
};
use stream_manager_fuzz::stream::{Flags, InBand, Inspection};

/// What a header has beside the parameters themselves, bytes: the tag's own header, the fixed
/// fields of a record, and the length of each parameter set.
const EXTRA_BYTES_MAX: usize = 64;

/// Frames of audio without a header after which it is told.
const MISSES_MAX: usize = 100;

fn payload(kind: Kind, body: &[u8]) -> &[u8] {
    let at = match kind {
        Kind::Video => Video::parse(body).map(|video| video.payload_at),
        Kind::Audio => Audio::parse(body).map(|audio| audio.payload_at),
        Kind::Data => None,
    };
    &body[at.expect("a header")..]
}

/// The parameter sets of a record: of H.264 in two groups, of HEVC in as many as it says.
fn sets(format: VideoFormat, record: &[u8]) -> Option<Vec<&[u8]>> {
    let is_avc = format == VideoFormat::Avc;
    let (mut rest, groups) = if is_avc { (&record[5..], 2) } else { (&record[23..], record[22]) };
    let mut sets = Vec::new();
    for group in 0..groups {
        let (count, after) = match (is_avc, rest) {
            (true, [count, after @ ..]) if group == 0 => (usize::from(count & 0x1f), after),
            (true, [count, after @ ..]) => (usize::from(*count), after),
            (false, [_kind, high, low, after @ ..]) => {
                (usize::from(u16::from_be_bytes([*high, *low])), after)
            }
            _ => return None,
        };
        rest = after;
        for _ in 0..count {
            let (length, after) = rest.split_first_chunk()?;
            let (set, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            sets.push(set);
            rest = after;
        }
    }
    Some(sets)
}

/// The sequence header in a record of AV1, which is all that follows its size.
fn sequence(record: &[u8]) -> Option<&[u8]> {
    let sized = record.get(5..)?;
    let end = sized.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let (size, rest) = sized.split_at(end);
    let groups = size.iter().rev().map(|byte| usize::from(byte & 0x7f));
    (groups.fold(0, |number, group| number << 7 | group) == rest.len()).then_some(rest)
}

/// A header that was made of `body`.
fn check(kind: Kind, body: &[u8], header: &[u8]) {
    let (ours, theirs) = (TagInfo::of(kind, header), TagInfo::of(kind, body));
    let (ours, theirs) = (ours.expect("a header"), theirs.expect("a frame"));
    assert!(ours.header && !ours.key && is_complete(kind, header));
    assert_eq!((ours.track, ours.main, ours.format), (theirs.track, theirs.main, theirs.format));
    assert_eq!(made(kind, body), Made::Header(header.to_vec()));
    let (record, payload) = (payload(kind, header), payload(kind, body));
    assert!(record.len() <= payload.len() + EXTRA_BYTES_MAX, "more than there was");
    let sets = match ours.format {
        Some(Format::Video(format @ (VideoFormat::Avc | VideoFormat::Hevc))) => {
            let sets = sets(format, record).expect("a whole record");
            assert!(sets.len() > 1);
            sets
        }
        Some(Format::Video(VideoFormat::Av1)) => vec![sequence(record).expect("a whole record")],
        _ => Vec::new(),
    };
    for set in sets {
        assert!(payload.windows(set.len()).any(|window| window == set), "{set:x?}");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut tracks = InBand::default();
    let (mut missing, mut frames) = (0, 0);
    for tag in Tags(data) {
        let (kind, body) = (tag.kind, tag.body);
        let _of_any_body = (made(kind, body), is_complete(kind, body));
        let facts = TagInfo::of(kind, body);
        // Decoders take what the codec and the part say, and nothing that is more than that.
        if let Some(TagInfo { format: Some(format), .. }) = facts {
            let enhanced = match kind {
                Kind::Video => body[0] & 0x80 != 0,
                _ => body[0] >> 4 == 9,
            };
            let is_ours = matches!(format.to_string().as_str(), "H264" | "AAC") && !enhanced;
            assert!(!is_ours || can_decode(kind, body), "{body:x?}");
        }
        let Some(flags) = Flags::of(kind, body) else { continue };
        frames += 1;
        match tracks.inspect(kind, flags, body) {
            Inspection::Usual => {}
            Inspection::Header(header) => {
                check(kind, body, &header);
                let again = Flags::of(kind, &header).expect("a header");
                assert!(again.is_header() && again.track() == flags.track());
                assert!(
                    kind == Kind::Data || tracks.inspect(kind, flags, body) == Inspection::Usual,
                    "made once"
                );
            }
            Inspection::Less => assert!(flags.is_header() && !is_complete(kind, body)),
            Inspection::Missing => missing += 1,
        }
    }
    assert!(missing <= frames / 2 + frames / MISSES_MAX);
});
