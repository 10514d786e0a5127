//! Bitrates as text: `6M`, `6000k`, `6 Mb/s` or plain bits per second.

/// Most digits of a bitrate's text on each side of its point: more are no bitrate.
const DIGITS_MAX: usize = 15;

/// Bits per second of a text: a number, perhaps with a decimal point, then perhaps `k`, `M` or `G`
/// (thousands, as in FFmpeg and OBS), then perhaps a unit of bits such as `b/s` or `bps`. The case
/// of the factor is free.
///
/// # Errors
/// What can be written instead; bytes are refused, because `6 MB/s` would be eight times `6 Mb/s`.
pub fn parse_bitrate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let (factor, rest) = match unit.chars().next() {
        Some('k' | 'K') => (1_000, &unit[1..]),
        Some('m' | 'M') => (1_000_000, &unit[1..]),
        Some('g' | 'G') => (1_000_000_000, &unit[1..]),
        _ => (1, unit),
    };
    if rest.starts_with('B') {
        return Err("B counts bytes; write bits per second, such as 6M".to_owned());
    }
    let unit = rest.to_ascii_lowercase();
    let is_bits = ["", "b", "bit", "bits", "bps", "b/s", "bit/s", "bits/s"].contains(&&*unit);
    let bits = is_bits.then(|| scaled(number, factor)).flatten();
    bits.ok_or_else(|| {
        "this is no bitrate; write bits per second, such as 6000000, 6000k, 6M or 6 Mb/s".to_owned()
    })
}

/// `number` times `factor` if that is a whole number that fits.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.len() > DIGITS_MAX || part.len() > DIGITS_MAX {
        return None;
    }
    let part = part.trim_end_matches('0');
    let parts_of_one = 10_u64.pow(u32::try_from(part.len()).ok()?);
    let part: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let part = part.checked_mul(factor)?;
    if part % parts_of_one != 0 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(part / parts_of_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_which_people_write_a_bitrate_is_understood() {
        for (text, bits) in [
            ("6000000", 6_000_000),
            ("6000k", 6_000_000),
            ("6000K", 6_000_000),
            ("6M", 6_000_000),
            ("6m", 6_000_000),
            ("2.5M", 2_500_000),
            ("2.50 Mbps", 2_500_000),
            (" 6 Mb/s ", 6_000_000),
            ("6Mbit/s", 6_000_000),
            ("6000 kbps", 6_000_000),
            ("6000 kbit", 6_000_000),
            ("128kb", 128_000),
            ("1G", 1_000_000_000),
            ("300 bits/s", 300),
            ("0", 0),
        ] {
            assert_eq!(parse_bitrate(text), Ok(bits), "{text}");
        }
    }

    #[test]
    fn what_is_no_bitrate_is_refused_with_the_way_out() {
        for text in [
            "",
            " ",
            "M",
            "fast",
            "6 T",
            "6Mx",
            "-6M",
            "6,5M",
            "1.2.3M",
            ".",
            ".5M",
            "6.M.",
            "0.1",
            "1.0000001k",
            "6Mi",
            "6M/s",
            "99999999999999999999",
            "999999999999999G",
            "1.9999999999999999M",
            "６M",
        ] {
            let told = parse_bitrate(text).unwrap_err();
            assert!(told.contains("6000k, 6M"), "{text}: {told}");
        }
        for text in ["6MB", "6 MB/s", "6000 kB/s", "6B"] {
            assert!(parse_bitrate(text).unwrap_err().contains("bytes"), "{text}");
        }
    }
}
