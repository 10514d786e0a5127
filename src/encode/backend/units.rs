//! NAL units of a driver's access units, as packets hold them: with lengths, and without the
//! parameter sets that are in the header.

use crate::frame::{PacketBuf, PacketPool};
use crate::media::{VideoCodec, h264};

/// Whether a unit is in packets: parameter sets and access unit delimiters are not.
pub(super) fn is_kept(codec: VideoCodec, unit: &[u8]) -> bool {
    /// H.264's access unit delimiter.
    const DELIMITER: u8 = 9;
    /// H.265's parameter sets of three kinds, and its access unit delimiter.
    const HEVC_LEFT_OUT: std::ops::RangeInclusive<u8> = 32..=35;
    let Some(first) = unit.first() else { return false };
    match codec {
        VideoCodec::Hevc => !HEVC_LEFT_OUT.contains(&(first >> 1 & 0x3f)),
        VideoCodec::H264 | VideoCodec::Av1 => {
            ![h264::nal::SPS, h264::nal::PPS, DELIMITER].contains(&(first & 0x1f))
        }
    }
}

/// Annex B as units with lengths, in a packet of the pool.
pub(super) fn with_lengths(codec: VideoCodec, pool: &PacketPool, annex_b: &[u8]) -> PacketBuf {
    let units = || h264::annex_b_units(annex_b).filter(|unit| is_kept(codec, unit));
    let mut body = pool.take(units().map(|unit| unit.len() + 4).sum());
    for unit in units() {
        body.extend(&u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(unit);
    }
    body
}

/// The same of a packet: where it lies, if each start code has the room of a length.
#[cfg(feature = "vaapi")]
pub(super) fn to_lengths(
    codec: VideoCodec,
    pool: &PacketPool,
    mut annex_b: PacketBuf,
) -> PacketBuf {
    const START_CODE: usize = 4;
    // Parameter sets come first, and are skipped.
    let first = h264::annex_b_units(&annex_b).find(|unit| is_kept(codec, unit));
    let at = first.map_or(0, |unit| unit.as_ptr().addr() - annex_b.as_ptr().addr());
    annex_b.skip(at.saturating_sub(START_CODE));
    match h264::annex_b_to_lengths(annex_b.as_mut_slice()) {
        Ok(()) => annex_b,
        Err(_) => with_lengths(codec, pool, &annex_b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;

    #[test]
    fn packets_hold_units_with_lengths_and_no_parameter_sets() {
        let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let avc: [&[u8]; 6] =
            [&[9, 0xf0], &[0x67, 1, 2], &[0x68, 3], &[6, 5, 4], &[0x65, 7, 8, 9], &[12, 0xff]];
        let hevc: [&[u8]; 6] = [
            &[0x46, 1, 0x50],
            &[0x40, 1, 2],
            &[0x42, 1, 3],
            &[0x44, 1, 4],
            &[0x4e, 1, 5],
            &[0x26, 1, 7, 8],
        ];
        for (codec, units, left_out) in [(VideoCodec::H264, avc, 3), (VideoCodec::Hevc, hevc, 4)] {
            let mut annex_b = Vec::new();
            for (n, unit) in units.iter().enumerate() {
                annex_b.extend_from_slice(if n % 2 == 0 { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                annex_b.extend_from_slice(unit);
            }
            let body = with_lengths(codec, &pool, &annex_b);
            assert_eq!(h264::units(&body).collect::<Vec<_>>(), units[left_out..]);
            assert_eq!(h264::whole_units(&body).count(), units.len() - left_out);
        }
    }

    #[cfg(feature = "vaapi")]
    #[test]
    fn a_packet_whose_start_codes_have_room_for_lengths_stays_where_it_is() {
        let pool = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let sps: &[u8] = &[0, 0, 0, 1, 0x67, 1, 2, 3];
        for (code, is_in_place) in [(&[0, 0, 0, 1][..], true), (&[0, 0, 1], false)] {
            let annex_b = [sps, code, &[0x65, 7, 8, 9], code, &[0x65, 5]].concat();
            let mut packet = pool.take(annex_b.len());
            packet.extend(&annex_b);
            let unit = packet.as_ptr().wrapping_add(sps.len() + code.len());
            let body = to_lengths(VideoCodec::H264, &pool, packet);
            let units: Vec<_> = h264::whole_units(&body).collect();
            assert_eq!(units, [&[0x65, 7, 8, 9][..], &[0x65, 5]]);
            assert_eq!(units[0].as_ptr() == unit, is_in_place);
        }
    }
}
