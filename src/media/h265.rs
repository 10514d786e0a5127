//! The `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 8.3.3.1) made from the parameter
//! sets of a stream (ITU-T H.265 section 7.3.2).

use super::bits::{Bits, without_emulation};

/// Types of NAL units (ITU-T H.265 table 7-1).
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;

/// Sub-layers that a sequence may have.
const SUB_LAYERS_MAX: u32 = 7;

/// What a record says of the sequence.
struct Sequence {
    sub_layers: u8,
    nested: bool,
    /// Profile, tier, compatibility, constraints and level, as they stand in the SPS.
    profile: [u8; 12],
    chroma: u8,
    luma_depth: u8,
    chroma_depth: u8,
}

/// The record for a keyframe's units, which have no lengths or start codes. `None` unless all three
/// kinds of parameter sets are among them.
pub fn config<'a>(units: &(impl Iterator<Item = &'a [u8]> + Clone)) -> Option<Vec<u8>> {
    let of_type = |wanted| {
        let units = units.clone();
        units.filter(move |unit| unit.first().is_some_and(|first| first >> 1 & 0x3f == wanted))
    };
    let sequence = Sequence::parse(of_type(SPS).next()?)?;
    let mut record = vec![1];
    record.extend_from_slice(&sequence.profile);
    // Segmentation and parallelism are not known; the frame rate is not constant for sure.
    record.extend_from_slice(&[0xf0, 0, 0xfc, 0xfc | sequence.chroma]);
    record.extend_from_slice(&[0xf8 | sequence.luma_depth, 0xf8 | sequence.chroma_depth, 0, 0]);
    const LENGTHS_OF_4: u8 = 3;
    record.push(sequence.sub_layers << 3 | u8::from(sequence.nested) << 2 | LENGTHS_OF_4);
    record.push(3);
    for kind in [VPS, SPS, PPS] {
        let count = u16::try_from(of_type(kind).count()).ok().filter(|count| *count > 0)?;
        record.push(kind);
        record.extend_from_slice(&count.to_be_bytes());
        for unit in of_type(kind) {
            record.extend_from_slice(&u16::try_from(unit.len()).ok()?.to_be_bytes());
            record.extend_from_slice(unit);
        }
    }
    Some(record)
}

impl Sequence {
    fn parse(sps: &[u8]) -> Option<Self> {
        let sps = without_emulation(sps.get(2..)?);
        let mut bits = Bits::new(&sps);
        bits.skip(4)?;
        let further_layers = bits.take(3).filter(|layers| *layers < SUB_LAYERS_MAX)?;
        let nested = bits.flag()?;
        let profile = *sps.get(1..)?.first_chunk()?;
        bits.skip(12 * 8)?;
        skip_sub_layers(&mut bits, further_layers)?;
        bits.golomb()?; // its id
        let chroma = bits.golomb().filter(|chroma| *chroma <= 3)?;
        if chroma == 3 {
            bits.skip(1)?;
        }
        let _size = (bits.golomb()?, bits.golomb()?);
        if bits.flag()? {
            for _ in 0..4 {
                bits.golomb()?;
            }
        }
        let mut depth = || bits.golomb().filter(|depth| *depth <= 7);
        let (luma_depth, chroma_depth) = (depth()?, depth()?);
        let small = |number: u32| u8::try_from(number).ok();
        Some(Self {
            sub_layers: small(further_layers + 1)?,
            nested,
            profile,
            chroma: small(chroma)?,
            luma_depth: small(luma_depth)?,
            chroma_depth: small(chroma_depth)?,
        })
    }
}

fn skip_sub_layers(bits: &mut Bits<'_>, layers: u32) -> Option<()> {
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers as usize))?;
    }
    for (has_profile, has_level) in present {
        bits.skip(if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 })?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VPS_UNIT: &[u8] =
        b"\x40\x01\x0c\x01\xff\xff\x02\x20\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1e\x95\x94\x09";
    const SPS_UNIT: &[u8] =
        b"\x42\x01\x01\x02\x20\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1e\xa0\x14\x20\x61\xf2\x36\
          \x59\x59\x52\x93\x0b\xc0\x5a\x02\0\0\x03\0\x02\0\0\x03\0\x3c\x10";
    const PPS_UNIT: &[u8] = b"\x44\x01\xc0\x73\xc1\x89";

    #[test]
    fn a_record_is_made_from_the_parameter_sets_of_a_keyframe() {
        let units = [VPS_UNIT, SPS_UNIT, PPS_UNIT, b"\x26\x01\x09"];
        let record = config(&units.into_iter()).unwrap();
        // libavformat's own for this stream, as far as it describes the sequence.
        let start = b"\x01\x02\x20\0\0\0\x90\0\0\0\0\0\x1e\xf0\0\xfc\xfd\xfa\xfa\0\0\x0f\x03";
        assert_eq!(record[..start.len()], start[..]);
        let sets = [(32, VPS_UNIT), (33, SPS_UNIT), (34, PPS_UNIT)].map(|(kind, unit)| {
            [&[kind, 0, 1, 0, u8::try_from(unit.len()).unwrap()][..], unit].concat()
        });
        assert_eq!(record[start.len()..], sets.concat());
        assert_eq!(config(&[VPS_UNIT, SPS_UNIT].into_iter()), None);
        for end in 0..SPS_UNIT.len() {
            let _short = config(&[VPS_UNIT, &SPS_UNIT[..end], PPS_UNIT].into_iter());
        }
    }
}
