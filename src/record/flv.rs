//! FLV files (Adobe Flash Video File Format 10.1, annex E): every tag is whole as soon as it is
//! written, so a file that ends anywhere is readable up to its last whole tag.

use crate::media::Kind;
use crate::rtmp::amf0::{Decoder, Value};

/// Longest body of a tag, bytes: the field has 24 bits.
const BODY_BYTES_MAX: usize = 0xff_ffff;

/// Where the byte is that says which tracks there are.
const FLAGS_AT: u64 = 4;

const HAS_VIDEO: u8 = 1;
const HAS_AUDIO: u8 = 4;

/// Names of the two figures that are known at the end only.
const LATER: [&str; 2] = ["duration", "filesize"];

/// Writes one file.
#[derive(Debug)]
pub(super) struct Flv {
    flags: u8,
    /// Where the numbers of [`LATER`] are in the file.
    later_at: [u64; 2],
}

/// Bytes that belong over others once the file is complete.
#[derive(Debug, PartialEq)]
pub(super) struct Patch {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Flv {
    /// Begins a file at the beginning of `out`, which is empty: the file's header and `onMetaData`
    /// with what the stream says about itself. `tracks` are those that are known now.
    pub(super) fn begin(metadata: Option<&[u8]>, tracks: &[Kind], out: &mut Vec<u8>) -> Self {
        let flags = tracks.iter().map(|kind| flag_of(*kind)).fold(0, |all, flag| all | flag);
        out.extend_from_slice(b"FLV\x01");
        out.extend_from_slice(&[flags, 0, 0, 0, 9, 0, 0, 0, 0]);
        let mut members = metadata.map(members_of).unwrap_or_default();
        members.retain(|(name, _)| !LATER.iter().any(|later| name.eq_ignore_ascii_case(later)));
        let later = LATER.map(|name| (name.to_owned(), Value::Number(0.0)));
        members.splice(0..0, later);
        let mut body = Vec::new();
        Value::String("onMetaData".to_owned()).encode(&mut body);
        Value::EcmaArray(members).encode(&mut body);
        let body_at = out.len() + 11;
        // Each of them is its name, the marker of a number, and eight bytes.
        let mut later_at = [0; 2];
        let mut at = body_at + 13 + 5;
        for (place, name) in later_at.iter_mut().zip(LATER) {
            at += 2 + name.len() + 1;
            *place = at as u64;
            at += 8;
        }
        let mut flv = Self { flags, later_at };
        flv.tag(Kind::Data, 0, &body, out);
        flv
    }

    /// Appends a message as a tag. One that is longer than a tag can be is left out.
    pub(super) fn tag(&mut self, kind: Kind, ms: u32, body: &[u8], out: &mut Vec<u8>) {
        if body.len() > BODY_BYTES_MAX {
            return;
        }
        let id = match kind {
            Kind::Audio => 8,
            Kind::Video => 9,
            Kind::Data => 18,
        };
        self.flags |= flag_of(kind);
        let [_, size @ ..] = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        let [extended, time @ ..] = ms.to_be_bytes();
        out.push(id);
        out.extend_from_slice(&size);
        out.extend_from_slice(&time);
        out.extend_from_slice(&[extended, 0, 0, 0]);
        out.extend_from_slice(body);
        let whole = u32::try_from(body.len() + 11).unwrap_or(0);
        out.extend_from_slice(&whole.to_be_bytes());
    }

    /// The byte that says which tracks there are.
    pub(super) fn tracks(&self) -> Patch {
        Patch { offset: FLAGS_AT, bytes: vec![self.flags] }
    }

    /// What is known once the file is complete.
    pub(super) fn end(&self, duration_ms: u32, file_bytes: u64) -> [Patch; 2] {
        #[expect(clippy::cast_precision_loss, reason = "2^53 bytes are more than a disk")]
        let numbers = [f64::from(duration_ms) / 1_000.0, file_bytes as f64];
        let [duration, size] = numbers.map(|number| number.to_be_bytes().to_vec());
        let [duration_at, size_at] = self.later_at;
        [Patch { offset: duration_at, bytes: duration }, Patch { offset: size_at, bytes: size }]
    }
}

const fn flag_of(kind: Kind) -> u8 {
    match kind {
        Kind::Audio => HAS_AUDIO,
        Kind::Video => HAS_VIDEO,
        Kind::Data => 0,
    }
}

/// The members of an `onMetaData` message.
fn members_of(body: &[u8]) -> Vec<(String, Value)> {
    let mut decoder = Decoder::new(body);
    while let Ok(Some(value)) = decoder.value() {
        if !value.members().is_empty() {
            return value.members().to_vec();
        }
    }
    Vec::new()
}

/// Reads a file as a player does: up to its last whole tag.
#[cfg(test)]
pub(super) fn read(file: &[u8]) -> Option<Vec<(u8, u32, Vec<u8>)>> {
    let mut rest = file.strip_prefix(b"FLV\x01")?.get(9..)?;
    let mut tags = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<11>() {
        let size = u32::from_be_bytes([0, head[1], head[2], head[3]]);
        let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let Some((body, after)) = after.split_at_checked(size as usize) else { break };
        let Some((back, after)) = after.split_first_chunk::<4>() else { break };
        assert_eq!(u32::from_be_bytes(*back), size + 11);
        tags.push((head[0], time, body.to_vec()));
        rest = after;
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Vec<u8> {
        let mut body = Vec::new();
        Value::String("onMetaData".to_owned()).encode(&mut body);
        let members = [("width", 320.0), ("Duration", 9.0), ("filesize", 8.0)];
        let members = members.map(|(name, number)| (name.to_owned(), Value::Number(number)));
        Value::EcmaArray(members.to_vec()).encode(&mut body);
        body
    }

    fn file() -> (Flv, Vec<u8>) {
        let mut out = Vec::new();
        let mut flv = Flv::begin(Some(&metadata()), &[Kind::Video], &mut out);
        flv.tag(Kind::Video, 0, b"keyframe", &mut out);
        flv.tag(Kind::Audio, 0x0123_4567, b"audio", &mut out);
        (flv, out)
    }

    #[test]
    fn a_file_cut_at_any_byte_is_readable_up_to_there() {
        let (_, whole) = file();
        let all = read(&whole).unwrap();
        assert_eq!(whole[4], HAS_VIDEO, "what is known from the beginning");
        assert_eq!(all.len(), 3);
        for length in 13..whole.len() {
            let tags = read(&whole[..length]).unwrap();
            assert_eq!(tags[..], all[..tags.len()], "{length} bytes");
        }
        assert_eq!(all[2], (8, 0x0123_4567, b"audio".to_vec()));
    }

    #[test]
    fn the_end_patches_duration_size_and_tracks_into_what_stands_first() {
        let (flv, mut whole) = file();
        let size = whole.len() as u64;
        for patch in flv.end(12_345, size).into_iter().chain([flv.tracks()]) {
            let at = usize::try_from(patch.offset).unwrap();
            whole[at..at + patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
        assert_eq!(whole[4], HAS_AUDIO | HAS_VIDEO);
        let (kind, _, body) = &read(&whole).unwrap()[0];
        let mut decoder = Decoder::new(body);
        assert_eq!((*kind, decoder.string().as_deref()), (18, Some("onMetaData")));
        let value = decoder.value().unwrap().unwrap();
        let number = |name| value.get(name).and_then(Value::as_number);
        #[expect(clippy::cast_precision_loss, reason = "a small file")]
        let size = size as f64;
        assert_eq!(
            [number("duration"), number("filesize"), number("width")],
            [Some(12.345), Some(size), Some(320.0)]
        );
        assert_eq!(value.members().len(), 3, "each once");
    }

    #[test]
    fn a_stream_that_says_nothing_about_itself_has_metadata_all_the_same() {
        let mut out = Vec::new();
        let mut flv = Flv::begin(None, &[], &mut out);
        flv.tag(Kind::Video, 0, &vec![0; BODY_BYTES_MAX + 1], &mut out);
        assert_eq!(read(&out).unwrap().len(), 1, "and a body too long for a tag is left out");
    }
}
