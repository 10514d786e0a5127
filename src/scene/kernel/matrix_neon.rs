//! Colour matrix with NEON: products of samples and factors, added up in 32 bits.

use std::arch::aarch64::{
    int16x8_t, uint8x8_t, vcombine_u16, vdupq_n_s32, vget_high_s16, vget_low_s16, vld1_u8,
    vmlal_n_s16, vmovl_u8, vqmovn_u16, vqmovun_s32, vreinterpretq_s16_u16, vshrq_n_s32, vst1_u8,
    vzip1_u8, vzip2_u8,
};

use super::matrix::{self, BITS, ColorMatrix};

/// Samples of colour that are taken at once.
const HALF: usize = 8;

/// See [`super::table::ConvertLuma`].
#[target_feature(enable = "neon")]
pub(super) fn convert_luma(luma: &mut [u8], cb: &[u8], cr: &[u8], matrix: &ColorMatrix) {
    let groups = (luma.len() / 2).min(cb.len()).min(cr.len()) / HALF;
    for group in 0..groups {
        // SAFETY: the groups are in all three; loads and stores need no alignment.
        unsafe {
            let place = luma.as_mut_ptr().add(2 * group * HALF);
            let (b, r) =
                (vld1_u8(cb.as_ptr().add(group * HALF)), vld1_u8(cr.as_ptr().add(group * HALF)));
            // Each sample of colour is that of two of luma.
            let halves = [(vzip1_u8(b, b), vzip1_u8(r, r)), (vzip2_u8(b, b), vzip2_u8(r, r))];
            for (at, (b, r)) in halves.into_iter().enumerate() {
                let place = place.add(at * HALF);
                let samples = [wide(vld1_u8(place)), wide(b), wide(r)];
                vst1_u8(place, sum(samples, matrix.luma, matrix.luma_offset));
            }
        }
    }
    let done = groups * HALF;
    matrix::convert_luma(&mut luma[2 * done..], &cb[done..], &cr[done..], matrix);
}

/// See [`super::table::ConvertChroma`].
#[target_feature(enable = "neon")]
pub(super) fn convert_chroma(cb: &mut [u8], cr: &mut [u8], matrix: &ColorMatrix) {
    let groups = cb.len().min(cr.len()) / HALF;
    for group in 0..groups {
        // SAFETY: the groups are in both; loads and stores need no alignment.
        unsafe {
            let (cb, cr) = (cb.as_mut_ptr().add(group * HALF), cr.as_mut_ptr().add(group * HALF));
            let samples = [wide(vld1_u8(cb)), wide(vld1_u8(cr))];
            vst1_u8(cb, sum(samples, matrix.chroma[0], matrix.chroma_offset[0]));
            vst1_u8(cr, sum(samples, matrix.chroma[1], matrix.chroma_offset[1]));
        }
    }
    let done = groups * HALF;
    matrix::convert_chroma(&mut cb[done..], &mut cr[done..], matrix);
}

#[target_feature(enable = "neon")]
fn wide(bytes: uint8x8_t) -> int16x8_t {
    vreinterpretq_s16_u16(vmovl_u8(bytes))
}

/// Samples times their factors, and the offset, as bytes.
#[target_feature(enable = "neon")]
fn sum<const N: usize>(samples: [int16x8_t; N], factors: [i16; N], offset: i32) -> uint8x8_t {
    let (mut low, mut high) = (vdupq_n_s32(offset), vdupq_n_s32(offset));
    for (samples, factor) in samples.into_iter().zip(factors) {
        low = vmlal_n_s16(low, vget_low_s16(samples), factor);
        high = vmlal_n_s16(high, vget_high_s16(samples), factor);
    }
    let [low, high] =
        [low, high].map(|sum| vqmovun_s32(vshrq_n_s32::<{ BITS.cast_signed() }>(sum)));
    vqmovn_u16(vcombine_u16(low, high))
}
