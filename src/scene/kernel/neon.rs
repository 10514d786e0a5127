//! NEON kernels, 16 bytes at a time. Every 64-bit Arm has the instructions. Rows need no alignment;
//! what is left over is scalar.

use std::arch::aarch64::{
    uint8x16_t, uint16x8_t, vaddq_u8, vcombine_u8, vdupq_n_u8, vget_low_u8, vld1q_u8,
    vmlal_high_u8, vmlal_u8, vmull_high_u8, vmull_u8, vmvnq_u8, vraddhn_u16, vrshrq_n_u16,
    vst1q_u8,
};

use super::deinterlace;
use super::effect;
use super::matrix_neon;
use super::resize_neon;
use super::scalar;
use super::scale_neon;
use super::table::{Kernels, Level};
use super::wipe;

/// Bytes of a register.
const WIDE: usize = 16;

// SAFETY: every 64-bit Arm that Linux runs on has the instructions.
pub(super) static KERNELS: Kernels = unsafe { kernels() };

/// Only where the instructions are known to be there are these safe to be called.
#[target_feature(enable = "neon")]
const fn kernels() -> Kernels {
    Kernels {
        level: Level::Neon,
        blend,
        blend_faded,
        mix,
        fade,
        wipe: wipe::wipe,
        // The compiler uses the same registers for what all levels share.
        blend_rgb: effect::blend_rgb,
        chroma_key: effect::chroma_key,
        sum_rows: scale_neon::sum_rows,
        sum_columns: scale_neon::sum_columns,
        filter_rows: resize_neon::filter_rows,
        filter_columns: resize_neon::filter_columns,
        convert_luma: matrix_neon::convert_luma,
        convert_chroma: matrix_neon::convert_chroma,
        deinterlace: deinterlace::deinterlace,
    }
}

#[target_feature(enable = "neon")]
fn blend(dst: &mut [u8], src: &[u8], alpha: &[u8]) {
    let n = dst.len().min(src.len()).min(alpha.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (src, src_rest) = src[..n].split_at(body);
    let (alpha, alpha_rest) = alpha[..n].split_at(body);
    let rows = dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0).zip(alpha.as_chunks().0);
    for ((d, s), a) in rows {
        let under = product(load(d), vmvnq_u8(load(a)));
        store(d, vaddq_u8(load(s), under));
    }
    scalar::blend(dst_rest, src_rest, alpha_rest);
}

#[target_feature(enable = "neon")]
fn blend_faded(dst: &mut [u8], src: &[u8], alpha: &[u8], opacity: u8) {
    let n = dst.len().min(src.len()).min(alpha.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (src, src_rest) = src[..n].split_at(body);
    let (alpha, alpha_rest) = alpha[..n].split_at(body);
    let faded = vdupq_n_u8(opacity);
    let rows = dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0).zip(alpha.as_chunks().0);
    for ((d, s), a) in rows {
        let kept = vmvnq_u8(product(load(a), faded));
        store(d, sum_of_products(load(s), faded, load(d), kept));
    }
    scalar::blend_faded(dst_rest, src_rest, alpha_rest, opacity);
}

#[target_feature(enable = "neon")]
fn mix(dst: &mut [u8], src: &[u8], opacity: u8) {
    let n = dst.len().min(src.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (src, src_rest) = src[..n].split_at(body);
    for (d, s) in dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0) {
        let mixed = between(load(s), load(d), opacity);
        store(d, mixed);
    }
    scalar::mix(dst_rest, src_rest, opacity);
}

#[target_feature(enable = "neon")]
fn fade(dst: &mut [u8], a: &[u8], b: &[u8], weight: u8) {
    let n = dst.len().min(a.len()).min(b.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (a, a_rest) = a[..n].split_at(body);
    let (b, b_rest) = b[..n].split_at(body);
    let rows = dst.as_chunks_mut().0.iter_mut().zip(a.as_chunks().0).zip(b.as_chunks().0);
    for ((d, a), b) in rows {
        store(d, between(load(a), load(b), weight));
    }
    scalar::fade(dst_rest, a_rest, b_rest, weight);
}

#[target_feature(enable = "neon")]
fn load(row: &[u8; WIDE]) -> uint8x16_t {
    // SAFETY: the array has exactly the register's size; the load needs no alignment.
    unsafe { vld1q_u8(row.as_ptr()) }
}

#[target_feature(enable = "neon")]
fn store(row: &mut [u8; WIDE], value: uint8x16_t) {
    // SAFETY: the array has exactly the register's size; the store needs no alignment.
    unsafe { vst1q_u8(row.as_mut_ptr(), value) }
}

/// `x * y / 255` in each byte.
#[target_feature(enable = "neon")]
fn product(x: uint8x16_t, y: uint8x16_t) -> uint8x16_t {
    divided(vmull_u8(vget_low_u8(x), vget_low_u8(y)), vmull_high_u8(x, y))
}

/// `(w * a + (255 - w) * b) / 255` in each byte.
#[target_feature(enable = "neon")]
fn between(a: uint8x16_t, b: uint8x16_t, weight: u8) -> uint8x16_t {
    let weight = vdupq_n_u8(weight);
    sum_of_products(a, weight, b, vmvnq_u8(weight))
}

/// `(a * x + b * y) / 255` in each byte.
#[target_feature(enable = "neon")]
fn sum_of_products(a: uint8x16_t, x: uint8x16_t, b: uint8x16_t, y: uint8x16_t) -> uint8x16_t {
    let low = vmull_u8(vget_low_u8(a), vget_low_u8(x));
    let low = vmlal_u8(low, vget_low_u8(b), vget_low_u8(y));
    divided(low, vmlal_high_u8(vmull_high_u8(a, x), b, y))
}

/// As [`super::div255`], in each 16-bit word, packed.
#[target_feature(enable = "neon")]
fn divided(low: uint16x8_t, high: uint16x8_t) -> uint8x16_t {
    let [low, high] = [low, high].map(|x| vraddhn_u16(x, vrshrq_n_u16::<8>(x)));
    vcombine_u8(low, high)
}
