//! H.264 NAL units: walking them, Annex B to length-prefixed in place, and the
//! `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 5.3.3.1).

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
pub fn units(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (unit, after) = rest.split_at_checked(length)?;
        bytes = after;
        Some(unit)
    })
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
    fn lengths_beyond_the_end_are_not_followed() {
        assert_eq!(units(&[0, 0, 0, 9, 1]).count(), 0);
        assert_eq!(units(&[0, 0]).count(), 0);
        assert_eq!(units(&[0xff, 0xff, 0xff, 0xff, 1]).count(), 0);
    }
}
