//! The `AV1CodecConfigurationRecord` (AV1 in ISO base media, section 2.3) made from the sequence
//! header in a stream (AV1 bitstream specification, section 5.5).

use super::bits::Bits;

/// Type of a sequence header among OBUs.
const SEQUENCE_HEADER: u8 = 1;

/// Values of a colour description that mean RGB.
const RGB: [u32; 3] = [1, 13, 0];

/// What a record says of the sequence.
#[derive(Debug, Default)]
struct Sequence {
    profile: u8,
    level: u8,
    /// Whether the tier is the high one.
    tier: bool,
    /// Whether there are more than 8 bits, and whether there are 12.
    depth: [bool; 2],
    mono: bool,
    subsampling: [bool; 2],
    position: u8,
}

/// The record for a keyframe's OBUs, each with its size except perhaps the last. `None` if there is
/// no sequence header among them.
#[must_use]
pub fn config(unit: &[u8]) -> Option<Vec<u8>> {
    let header = obus(unit).find(|obu| obu.kind == SEQUENCE_HEADER)?.payload;
    let it = Sequence::parse(header)?;
    let ([high, twelve], [across, down]) = (it.depth, it.subsampling);
    let flags = [it.tier, high, twelve, it.mono, across, down];
    let flags = flags.into_iter().fold(0, |all, flag| all << 1 | u8::from(flag));
    const HAS_SIZE: u8 = 2;
    let mut record = vec![0x81, it.profile << 5 | it.level, flags << 2 | it.position, 0];
    record.push(SEQUENCE_HEADER << 3 | HAS_SIZE);
    let mut len = header.len();
    while len > 0x7f {
        record.push(u8::try_from(len & 0x7f).unwrap_or(0) | 0x80);
        len >>= 7;
    }
    record.push(u8::try_from(len).unwrap_or(0));
    record.extend_from_slice(header);
    Some(record)
}

/// One OBU of a temporal unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obu<'a> {
    /// Its type.
    pub(super) kind: u8,
    /// Where its header begins in the unit.
    pub(super) at: usize,
    /// What follows its header.
    pub(super) payload: &'a [u8],
}

/// The OBUs of a temporal unit. Ends at the first that does not fit.
pub(super) fn obus(unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let (first, begins) = (*rest.first()?, unit.len() - rest.len());
        let mut at = if first & 4 == 0 { 1 } else { 2 };
        let size = if first & 2 == 0 {
            rest.len().checked_sub(at)?
        } else {
            let (size, bytes) = leb128(rest.get(at..)?)?;
            at += bytes;
            size
        };
        let payload = rest.get(at..at.checked_add(size)?)?;
        rest = &rest[at + size..];
        Some(Obu { kind: first >> 3 & 0xf, at: begins, payload })
    })
}

/// A number in 7-bit groups, the lowest first, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

impl Sequence {
    fn parse(header: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(header);
        let mut it = Self { profile: small(bits.take(3)?), ..Self::default() };
        bits.skip(1)?; // a still picture
        let reduced = bits.flag()?;
        if reduced {
            it.level = small(bits.take(5)?);
        } else {
            it.operating_points(&mut bits)?;
        }
        let [width, height] = [bits.take(4)? + 1, bits.take(4)? + 1];
        bits.skip((width + height) as usize)?;
        if !reduced && bits.flag()? {
            bits.skip(4 + 3)?; // lengths of frame ids
        }
        bits.skip(3)?; // superblocks, two filters
        if !reduced {
            skip_tools(&mut bits)?;
        }
        bits.skip(3)?; // superres, cdef, restoration
        it.color(&mut bits)?;
        Some(it)
    }

    /// Timing and the levels of the operating points, of which the first counts.
    fn operating_points(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let mut delay_bits = None;
        if bits.flag()? {
            bits.skip(64)?;
            if bits.flag()? {
                bits.golomb()?;
            }
            if bits.flag()? {
                delay_bits = Some(bits.take(5)? as usize + 1);
                bits.skip(32 + 5 + 5)?;
            }
        }
        let has_display_delay = bits.flag()?;
        for point in 0..=bits.take(5)? {
            bits.skip(12)?;
            let level = small(bits.take(5)?);
            let tier = level > 7 && bits.flag()?;
            if point == 0 {
                (self.level, self.tier) = (level, tier);
            }
            if let Some(delay_bits) = delay_bits
                && bits.flag()?
            {
                bits.skip(2 * delay_bits + 1)?;
            }
            if has_display_delay && bits.flag()? {
                bits.skip(4)?;
            }
        }
        Some(())
    }

    fn color(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let high = bits.flag()?;
        let twelve = self.profile == 2 && high && bits.flag()?;
        self.depth = [high, twelve];
        self.mono = self.profile != 1 && bits.flag()?;
        let mut description = [2; 3];
        if bits.flag()? {
            description = [bits.take(8)?, bits.take(8)?, bits.take(8)?];
        }
        if self.mono {
            self.subsampling = [true; 2];
            return Some(());
        }
        if description == RGB {
            return Some(());
        }
        bits.skip(1)?; // the range
        self.subsampling = match self.profile {
            0 => [true, true],
            1 => [false, false],
            _ if twelve => {
                let across = bits.flag()?;
                [across, across && bits.flag()?]
            }
            _ => [true, false],
        };
        if self.subsampling == [true, true] {
            self.position = small(bits.take(2)?);
        }
        Some(())
    }
}

/// Tools of sequences that are no single picture.
fn skip_tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4)?; // interintra, masks, warping, dual filter
    let has_order = bits.flag()?;
    if has_order {
        bits.skip(2)?;
    }
    // Where it is chosen for each frame, screen content is possible.
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1)?; // integer motion vectors
    }
    if has_order {
        bits.skip(3)?;
    }
    Some(())
}

/// Of a field of at most eight bits.
fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As libavformat made them for streams of SVT-AV1 and, with full colours, of libaom.
    const RECORDS: [&[u8]; 2] = [
        b"\x81\0\x0c\0\x0a\x0a\0\0\0\x03\xb4\xfd\x90\x0b\xe0\x01",
        b"\x81\x20\0\0\x0a\x0a\x20\0\0\x03\xb4\xfd\x93\x6b\xe4\x08",
    ];

    #[test]
    fn a_record_is_made_from_the_sequence_header_of_a_keyframe() {
        for record in RECORDS {
            let delimiter_and_frame =
                |header: &[u8]| [b"\x12\0", header, b"\x32\x02\x10\x20"].concat();
            assert_eq!(config(&delimiter_and_frame(&record[4..])).as_deref(), Some(record));
            let without_size = [&[8], &record[6..]].concat();
            assert_eq!(config(&without_size).as_deref(), Some(record));
            assert_eq!(config(&delimiter_and_frame(&[])), None);
            for end in 0..record.len() - 6 {
                let _short = config(&[&[8], &record[6..6 + end]].concat());
            }
        }
    }
}
