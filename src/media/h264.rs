//! H.264 NAL units: walking them, Annex B to length-prefixed in place, and the
//! `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 5.3.3.1).

use super::bits::{Bits, without_emulation};

/// NAL unit types we look at (ITU-T H.264 table 7-1).
pub mod nal {
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
}

/// The NAL units of an access unit whose units carry 4-byte big-endian lengths.
/// Ends at the first length that does not fit.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    Units(bytes)
}

/// What is left to walk.
#[derive(Clone)]
struct Units<'a>(&'a [u8]);

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (unit, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some(unit)
    }
}

/// The same if all of it is units, each with a length that is not 0; else none: it may be a byte
/// stream with start codes.
pub fn whole_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let all = Units(bytes).map(|unit| if unit.is_empty() { 0 } else { unit.len() + 4 });
    let is_whole = all.sum::<usize>() == bytes.len();
    Units(if is_whole { bytes } else { &[] })
}

/// The NAL units of an Annex B byte stream (ITU-T H.264 annex B), with 3- or 4-byte start codes.
pub fn annex_b_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = next_start(bytes).map(|(_, after)| &bytes[after..]);
    std::iter::from_fn(move || {
        let current = rest?;
        let (unit, after) = match next_start(current) {
            Some((at, after)) => (&current[..at], Some(&current[after..])),
            None => (current, None),
        };
        rest = after;
        Some(unit)
    })
}

/// Where the next start code begins and ends.
fn next_start(bytes: &[u8]) -> Option<(usize, usize)> {
    let at = bytes.windows(3).position(|w| w == [0, 0, 1])?;
    let start = if at > 0 && bytes[at - 1] == 0 { at - 1 } else { at };
    Some((start, at + 3))
}

/// Turns Annex B into length-prefixed units where they lie.
///
/// # Errors
/// [`ShortStartCode`] if a start code has 3 bytes, so that a length has no room. The bytes are
/// then unchanged; the caller copies instead.
pub fn annex_b_to_lengths(bytes: &mut [u8]) -> Result<(), ShortStartCode> {
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at..].starts_with(&[0, 0, 0, 1]) {
            return Err(ShortStartCode);
        }
        let body = at + 4;
        at = match next_start(&bytes[body..]) {
            Some((next, after)) if after - next == 4 => body + next,
            Some(_) => return Err(ShortStartCode),
            None => bytes.len(),
        };
    }
    let mut at = 0;
    while at < bytes.len() {
        let body = at + 4;
        let end = next_start(&bytes[body..]).map_or(bytes.len(), |(next, _)| body + next);
        let length = u32::try_from(end - body).unwrap_or(u32::MAX);
        bytes[at..body].copy_from_slice(&length.to_be_bytes());
        at = end;
    }
    Ok(())
}

/// A start code of 3 bytes leaves no room for a 4-byte length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortStartCode;

/// Builds the `AVCDecoderConfigurationRecord` for these parameter sets (without start codes or
/// lengths). `None` if the SPS is shorter than its profile bytes or a set is 64 KiB or more.
#[must_use]
pub fn avc_config(sps: &[u8], pps: &[u8]) -> Option<Vec<u8>> {
    let [_, profile, compatibility, level] = *sps.first_chunk::<4>()?;
    let mut record = vec![1, profile, compatibility, level, 0xff, 0xe1];
    record.extend_from_slice(&u16::try_from(sps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend_from_slice(&u16::try_from(pps.len()).ok()?.to_be_bytes());
    record.extend_from_slice(pps);
    if matches!(profile, 100 | 110 | 122 | 144) {
        record.extend_from_slice(&[0xfd, 0xf8, 0xf8, 0]); // 4:2:0, 8 bits, no SPS extensions
    }
    Some(record)
}

/// Profiles whose SPS and record say how colours are kept.
const HIGH_PROFILES: [u8; 7] = [100, 110, 122, 144, 244, 44, 118];

/// The `AVCDecoderConfigurationRecord` for a keyframe's units, which have no lengths or start
/// codes. `None` unless parameter sets of both kinds are among them.
pub fn config<'a>(units: &(impl Iterator<Item = &'a [u8]> + Clone)) -> Option<Vec<u8>> {
    let of_type = |wanted| {
        let units = units.clone();
        units.filter(move |unit| unit.first().is_some_and(|first| first & 0x1f == wanted))
    };
    let [_, profile, compatibility, level] = *of_type(nal::SPS).next()?.first_chunk::<4>()?;
    let mut record = vec![1, profile, compatibility, level, 0xff];
    for (kind, count_bits) in [(nal::SPS, 0xe0), (nal::PPS, 0)] {
        let most = if kind == nal::SPS { SPS_MAX } else { usize::from(u8::MAX) };
        let count = of_type(kind).take(most).count();
        record.push(count_bits | u8::try_from(count).ok().filter(|count| *count > 0)?);
        for unit in of_type(kind).take(most) {
            record.extend_from_slice(&u16::try_from(unit.len()).ok()?.to_be_bytes());
            record.extend_from_slice(unit);
        }
    }
    if HIGH_PROFILES.contains(&profile) {
        let [chroma, luma_depth, chroma_depth] = colors(of_type(nal::SPS).next()?)?;
        record.extend_from_slice(&[0xfc | chroma, 0xf8 | luma_depth, 0xf8 | chroma_depth, 0]);
    }
    Some(record)
}

/// SPS that a record has room for.
const SPS_MAX: usize = 31;

/// How colours are sampled, and the depths of both planes beyond 8 bits.
fn colors(sps: &[u8]) -> Option<[u8; 3]> {
    let sps = without_emulation(sps.get(4..)?);
    let mut bits = Bits::new(&sps);
    bits.golomb()?; // its id
    let chroma = bits.golomb().filter(|chroma| *chroma <= 3)?;
    if chroma == 3 {
        bits.skip(1)?;
    }
    let mut small = |most| bits.golomb().filter(|n| *n <= most).and_then(|n| u8::try_from(n).ok());
    Some([u8::try_from(chroma).ok()?, small(6)?, small(6)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_start_codes_become_lengths_in_place() {
        let mut bytes = vec![0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x65, 9];
        annex_b_to_lengths(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x65, 9]);
        assert_eq!(units(&bytes).collect::<Vec<_>>(), [&[0x67, 1, 2][..], &[0x65, 9]]);
    }

    #[test]
    fn a_short_start_code_is_refused_and_nothing_changes() {
        let before = vec![0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 9];
        let mut bytes = before.clone();
        assert_eq!(annex_b_to_lengths(&mut bytes), Err(ShortStartCode));
        assert_eq!(bytes, before);
        assert_eq!(annex_b_units(&bytes).count(), 2);
    }

    #[test]
    fn a_record_is_made_from_the_parameter_sets_that_libavformat_made_it_from() {
        for (record, sps_len) in [
            (
                "0142c00bffe100186742c00bda0a37e4c044000003000400000300f03c50aa8001000468ce0fc8",
                0x18,
            ),
            (
                "016e000bffe1001a676e000ba6cd9428df930110000003001000000303c0f142996001000668eae3cb\
                 22c0fdfafa00",
                0x1a,
            ),
        ] {
            let record = hex(record);
            let (sps, rest) = record[8..].split_at(sps_len);
            let pps = &rest[3..3 + usize::from(rest[2])];
            let units = [&[0x06, 5][..], sps, pps, &[0x65, 1]];
            assert_eq!(config(&units.into_iter()), Some(record.clone()));
            assert_eq!(config(&[sps, &[0x65, 1][..]].into_iter()), None, "no PPS");
            for end in 0..sps.len() {
                let _short = config(&[&sps[..end], pps].into_iter());
            }
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|two| u8::try_from(two[0] << 4 | two[1]).unwrap()).collect()
    }

    #[test]
    fn lengths_beyond_the_end_are_not_followed() {
        assert_eq!(units(&[0, 0, 0, 9, 1]).count(), 0);
        assert_eq!(units(&[0, 0]).count(), 0);
        assert_eq!(units(&[0xff, 0xff, 0xff, 0xff, 1]).count(), 0);
    }
}
