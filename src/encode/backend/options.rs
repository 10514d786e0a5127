//! libx264's options, which both ways to it share: its words, bitrates, buffers and headers.
//!
//! Constant bitrate as OBS does it: average rate = highest rate, a buffer of one second (less at
//! rates where that is more than servers take as one message), and filler units where the picture
//! needs less, but no HRD in the stream, because with it x264 refuses to change the rate while it
//! runs.

use std::ffi::c_int;

use crate::encode::{Error, VideoSpec};
use crate::media::{FrameRate, h264};

/// x264's presets, fastest first, and how many pictures each looks ahead.
pub(super) const PRESETS: [(&str, u32); 10] = [
    ("ultrafast", 0),
    ("superfast", 0),
    ("veryfast", 10),
    ("faster", 20),
    ("fast", 30),
    ("medium", 40),
    ("slow", 50),
    ("slower", 60),
    ("veryslow", 60),
    ("placebo", 60),
];

/// The tuning without any delay.
pub(in crate::encode) const ZERO_LATENCY: &str = "zerolatency";

/// x264's tunings.
const TUNES: [&str; 8] =
    ["film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", ZERO_LATENCY];

/// Profiles of 8-bit 4:2:0.
const PROFILES: [&str; 3] = ["baseline", "main", "high"];

/// Bitrates that can be asked for, bits per second: x264 counts in thousands, libavcodec in `int`.
const BITRATES: std::ops::RangeInclusive<u32> = 1_000..=2_147_483_000;

/// Largest buffer, bits, unless two pictures of the mean size need more. A picture can be as large
/// as the buffer, and nginx-rtmp ends a connection on which a message is larger than 1 MiB.
const BUFFER_BITS_MAX: u32 = 7_500_000;

/// Part of the buffer that one gap between pictures may fill.
const GAP_PART: u32 = 2;

/// The bitrate that `spec` asks for, once all that it asks for is something that libx264 knows.
pub(super) fn check(spec: &VideoSpec) -> Result<c_int, Error> {
    let bitrate = bitrate("libx264", spec.bitrate_bps)?;
    one_of("libx264", "preset", &spec.preset, &PRESETS.map(|(name, _)| name))?;
    one_of("libx264", "tune", &spec.tune, &TUNES)?;
    one_of("libx264", "profile", &spec.profile, &PROFILES)?;
    Ok(bitrate)
}

/// `bps` for this library, if it takes it.
pub(super) fn bitrate(library: &str, bps: u32) -> Result<c_int, Error> {
    c_int::try_from(bps).ok().filter(|_| BITRATES.contains(&bps)).ok_or_else(|| {
        let (low, high) = (BITRATES.start(), BITRATES.end());
        Error::Config(format!("bitrate = {bps}: {library} takes {low} to {high} bits per second"))
    })
}

/// A word of a library's own. Only a preset has to be given.
pub(super) fn one_of(library: &str, key: &str, value: &str, known: &[&str]) -> Result<(), Error> {
    if known.contains(&value) || (value.is_empty() && key != "preset") {
        return Ok(());
    }
    Err(Error::Config(format!("{key} = \"{value}\": {library} knows {}", known.join(", "))))
}

/// How much may be sent at once: what a second holds, but no message that is too large for others.
pub(super) fn buffer_bits(bps: u32, rate: FrameRate) -> u32 {
    let two_pictures = bps / (rate.num() / rate.den()).max(1) * 2;
    bps.min(BUFFER_BITS_MAX.max(two_pictures))
}

/// The longest gap between two pictures, in ticks, that the rate is kept over: filler for it comes
/// in one packet with the picture.
pub(super) fn longest_gap(bps: u32, rate: FrameRate) -> i64 {
    let bits = u64::from(buffer_bits(bps, rate) / GAP_PART);
    let ticks = bits * u64::from(rate.num()) / u64::from(rate.den()) / u64::from(bps.max(1));
    i64::try_from(ticks).unwrap_or(1).max(1)
}

/// The configuration record out of `extradata`, which is parameter sets with lengths or start
/// codes, or, where libavcodec makes one itself, the record (its first byte is 1, a length's is 0).
pub(super) fn header(extradata: &[u8]) -> Option<Vec<u8>> {
    if extradata.first() == Some(&1) {
        return Some(extradata.to_vec());
    }
    let of_type = |wanted: u8| {
        let is = |unit: &&[u8]| unit.first().is_some_and(|first| first & 0x1f == wanted);
        let annex_b = extradata.starts_with(&[0, 0, 0, 1]) || extradata.starts_with(&[0, 0, 1]);
        if annex_b {
            h264::annex_b_units(extradata).find(is)
        } else {
            h264::units(extradata).find(is)
        }
    };
    h264::avc_config(of_type(h264::nal::SPS)?, of_type(h264::nal::PPS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: [u8; 5] = [0x67, 100, 0, 31, 7];
    const PPS: [u8; 3] = [0x68, 1, 2];

    #[test]
    fn the_header_is_found_in_every_form_that_libx264_and_libavcodec_give() {
        let record = h264::avc_config(&SPS, &PPS).unwrap();
        let lengths = [&[0, 0, 0, 5], &SPS[..], &[0, 0, 0, 3], &PPS].concat();
        let codes = [&[0, 0, 0, 1], &SPS[..], &[0, 0, 1], &PPS].concat();
        for form in [&lengths, &codes, &record] {
            assert_eq!(header(form).as_ref(), Some(&record), "{form:?}");
        }
        assert_eq!(header(&[]), None);
        assert_eq!(header(&lengths[..9]), None, "no picture parameters");
    }
}
