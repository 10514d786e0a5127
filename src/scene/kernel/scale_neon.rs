//! Scaling with NEON: products of bytes, added up in 16 bits.

use std::arch::aarch64::{
    uint16x8_t, vcombine_u8, vdup_n_u8, vdupq_n_u16, vget_high_u8, vget_low_u8, vld1q_u8, vmlal_u8,
    vmull_high_u8, vmull_u8, vpaddq_u16, vqtbl1q_u8, vrshrn_n_u16, vst1q_u8,
};
use std::ops::Range;

use super::filter::{Filter, GROUP, LANE, TAPS_MAX};
use super::scale;

/// Bytes of a register.
const WIDE: usize = 16;

/// See [`super::table::SumRows`].
#[target_feature(enable = "neon")]
pub(super) fn sum_rows(dst: &mut [u8], rows: &[(&[u8], u8)]) {
    let rows = &rows[..rows.len().min(TAPS_MAX)];
    let n = rows.iter().map(|(row, _)| row.len()).fold(dst.len(), usize::min);
    let body = n - n % WIDE;
    for at in (0..body).step_by(WIDE) {
        let (mut low, mut high) = (vdupq_n_u16(0), vdupq_n_u16(0));
        for (row, weight) in rows {
            let weight = vdup_n_u8(*weight);
            // SAFETY: every row has `body` bytes; the load needs no alignment.
            let samples = unsafe { vld1q_u8(row.as_ptr().add(at)) };
            low = vmlal_u8(low, vget_low_u8(samples), weight);
            high = vmlal_u8(high, vget_high_u8(samples), weight);
        }
        // SAFETY: so has `dst`.
        unsafe { store(dst, at, low, high) };
    }
    let mut rest = [(&[][..], 0); TAPS_MAX];
    for (rest, (row, weight)) in rest.iter_mut().zip(rows) {
        *rest = (&row[body..n], *weight);
    }
    scale::sum_rows(&mut dst[body..n], &rest[..rows.len()]);
}

/// See [`super::table::SumColumns`].
#[target_feature(enable = "neon")]
pub(super) fn sum_columns(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>) {
    let lanes = filter.first().len() / (LANE / filter.taps());
    let last = filter.first().last().map_or(0, |first| *first as usize);
    assert!(groups.end * GROUP <= dst.len() && groups.end * GROUP <= filter.first().len());
    assert!(last + LANE <= src.len() && lanes * LANE <= filter.shuffle().len());
    let per_group = GROUP * filter.taps() / LANE;
    for group in groups {
        let lane = group * per_group;
        // SAFETY: the lanes of every group are in the filter, a lane that begins at any of the
        // filter's first samples lies in `src`, and the group in `dst`, as asserted.
        unsafe {
            let pairs = |at: usize| products(src, filter, lane + at);
            let fours = |at: usize| vpaddq_u16(pairs(at), pairs(at + 1));
            if filter.taps() == 4 {
                store(dst, group * GROUP, fours(0), fours(2));
            } else {
                let eights = |at: usize| vpaddq_u16(fours(at), fours(at + 2));
                store(dst, group * GROUP, eights(0), eights(4));
            }
        }
    }
}

/// The samples of a lane times their weights, added up in pairs.
///
/// # Safety
/// The lane is in the filter, and what it reads in `src`.
#[target_feature(enable = "neon")]
unsafe fn products(src: &[u8], filter: &Filter, lane: usize) -> uint16x8_t {
    // SAFETY: by the contract above; the loads need no alignment.
    unsafe {
        let first = *filter.first().get_unchecked(lane * (LANE / filter.taps())) as usize;
        let samples = vld1q_u8(src.as_ptr().add(first));
        let samples = vqtbl1q_u8(samples, vld1q_u8(filter.shuffle().as_ptr().add(lane * LANE)));
        let weights = vld1q_u8(filter.weights().as_ptr().add(lane * LANE));
        let low = vmull_u8(vget_low_u8(samples), vget_low_u8(weights));
        vpaddq_u16(low, vmull_high_u8(samples, weights))
    }
}

/// Writes sums of products in parts of 256, rounded to whole ones.
///
/// # Safety
/// [`WIDE`] bytes from `at` on are in `dst`.
#[target_feature(enable = "neon")]
unsafe fn store(dst: &mut [u8], at: usize, low: uint16x8_t, high: uint16x8_t) {
    let bytes = vcombine_u8(vrshrn_n_u16::<8>(low), vrshrn_n_u16::<8>(high));
    // SAFETY: by the contract above; the store needs no alignment.
    unsafe { vst1q_u8(dst.as_mut_ptr().add(at), bytes) };
}
