//! A fuzzer's bytes as FLV tags of a publisher. Every input is a list of them: bytes that come to an
//! end in the middle of a tag end it there.

use crate::media::Kind;

/// One tag.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    /// Audio, video or data.
    pub kind: Kind,
    /// Milliseconds since the tag before it, perhaps back.
    pub step_ms: i32,
    /// What follows the tag's own header.
    pub body: &'a [u8],
}

/// Reads tags one after the other: a byte for the kind (as in FLV) in its lower six bits and with
/// the unit of the step above, the step, and the length in two bytes, the low one first.
#[derive(Clone, Debug)]
pub struct Tags<'a>(pub &'a [u8]);

/// Units of a tag's step, milliseconds.
const UNITS: [i32; 4] = [1, 40, 10_000, -1];

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let ([kind, step, low, high], rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        self.0 = rest;
        let step_ms = i32::from(*step) * UNITS[usize::from(kind >> 6)];
        let kind = match kind & 0x3f {
            8 => Kind::Audio,
            9 => Kind::Video,
            _ => Kind::Data,
        };
        Some(Tag { kind, step_ms, body })
    }
}
