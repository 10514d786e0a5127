//! Bicubic scaling with NEON: products of samples and weights, added up in 32 bits.

use std::arch::aarch64::{
    int32x4_t, uint16x4_t, vcombine_s16, vcombine_u8, vcombine_u16, vdupq_n_s32, vget_high_s16,
    vget_high_u8, vget_low_s16, vget_low_u8, vld1_s16, vld1q_s16, vld1q_u8, vmlal_n_s16, vmlal_s16,
    vmovl_u8, vmull_s16, vpaddq_s32, vqmovn_u16, vqmovun_s32, vqrshrn_n_s32, vreinterpretq_s16_u16,
    vrshrq_n_s32, vst1q_s16, vst1q_u8,
};

use super::filter::GROUP;
use super::polyphase::{BETWEEN_BITS, ONE_BITS, Polyphase, STEP};
use super::resize;

/// Samples that are taken at once.
const WIDE: usize = 16;

/// Bits that the first pass takes off, and those that the second does.
const FIRST: i32 = (ONE_BITS - BETWEEN_BITS).cast_signed();
const SECOND: i32 = (ONE_BITS + BETWEEN_BITS).cast_signed();

/// See [`super::table::FilterRows`].
#[target_feature(enable = "neon")]
pub(super) fn filter_rows(dst: &mut [i16], src: &[u8], stride: usize, weights: &[i16]) {
    let body = dst.len() - dst.len() % WIDE;
    assert!(!weights.is_empty() && (weights.len() - 1) * stride + dst.len() <= src.len());
    for at in (0..body).step_by(WIDE) {
        let mut sums = [vdupq_n_s32(0); 4];
        for (row, weight) in weights.iter().enumerate() {
            // SAFETY: every row has `body` samples in `src`, as asserted; the load needs no
            // alignment.
            let samples = unsafe { vld1q_u8(src.as_ptr().add(row * stride + at)) };
            let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(samples)));
            let high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(samples)));
            let parts =
                [vget_low_s16(low), vget_high_s16(low), vget_low_s16(high), vget_high_s16(high)];
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum = vmlal_n_s16(*sum, part, *weight);
            }
        }
        let [a, b, c, d] = sums.map(|sum| vqrshrn_n_s32::<FIRST>(sum));
        // SAFETY: so has `dst`; the stores need no alignment.
        unsafe {
            let dst = dst.as_mut_ptr().add(at);
            vst1q_s16(dst, vcombine_s16(a, b));
            vst1q_s16(dst.add(WIDE / 2), vcombine_s16(c, d));
        }
    }
    if body < dst.len() {
        resize::filter_rows(&mut dst[body..], &src[body..], stride, weights);
    }
}

/// See [`super::table::FilterColumns`].
#[target_feature(enable = "neon")]
pub(super) fn filter_columns(dst: &mut [u8], src: &[i16], filter: &Polyphase) {
    let groups = filter.length().div_ceil(GROUP);
    assert!(groups * GROUP <= dst.len() && groups * GROUP <= filter.first().len());
    assert!(filter.last() + filter.taps() <= src.len());
    assert!(filter.weights().len() >= groups * GROUP * filter.taps());
    for group in 0..groups {
        // SAFETY: every group lies in `dst` and in the filter, and what makes each sample lies in
        // `src`, as asserted.
        unsafe {
            let four = |at: usize| four_samples(src, filter, group * GROUP + at);
            let low = vqmovn_u16(vcombine_u16(four(0), four(4)));
            let high = vqmovn_u16(vcombine_u16(four(8), four(12)));
            vst1q_u8(dst.as_mut_ptr().add(group * GROUP), vcombine_u8(low, high));
        }
    }
}

/// Four samples from `n` on, none below 0.
///
/// # Safety
/// The samples are in the filter, and what makes them in `src`.
#[target_feature(enable = "neon")]
unsafe fn four_samples(src: &[i16], filter: &Polyphase, n: usize) -> uint16x4_t {
    // SAFETY: by the contract above.
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| unsafe { products(src, filter, n + at) });
    let sums = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
    vqmovun_s32(vrshrq_n_s32::<SECOND>(sums))
}

/// The products of sample `n`, added up to four.
///
/// # Safety
/// The sample is in the filter, and what makes it in `src`.
#[target_feature(enable = "neon")]
unsafe fn products(src: &[i16], filter: &Polyphase, n: usize) -> int32x4_t {
    let taps = filter.taps();
    // SAFETY: by the contract above; the loads need no alignment.
    unsafe {
        let src = src.as_ptr().add(*filter.first().get_unchecked(n) as usize);
        let weights = filter.weights().as_ptr().add(taps * n);
        if taps < STEP {
            return vmull_s16(vld1_s16(src), vld1_s16(weights));
        }
        let mut sum = vdupq_n_s32(0);
        for tap in (0..taps).step_by(STEP) {
            let (samples, weights) = (vld1q_s16(src.add(tap)), vld1q_s16(weights.add(tap)));
            sum = vmlal_s16(sum, vget_low_s16(samples), vget_low_s16(weights));
            sum = vmlal_s16(sum, vget_high_s16(samples), vget_high_s16(weights));
        }
        sum
    }
}
