//! AVX-512 kernels, 64 bytes at a time. Rows need no alignment; what is left over is scalar.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_add_epi16, _mm512_loadu_si512, _mm512_mullo_epi16,
    _mm512_packus_epi16, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_setzero_si512,
    _mm512_srli_epi16, _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpacklo_epi8,
    _mm512_xor_si512,
};

use super::deinterlace::{self, FieldRows};
use super::effect::{self, Key, Rows, RowsMut};
use super::matrix_avx2;
use super::resize_avx2;
use super::scalar;
use super::scale_avx2;
use super::table::{Kernels, Level};
use super::wipe::{self, WipeEdge};
use crate::scene::layer_style::BlendMode;

/// Bytes of a register.
const WIDE: usize = 64;

static KERNELS: Kernels = Kernels {
    level: Level::Avx512,
    blend,
    blend_faded,
    mix,
    fade,
    wipe,
    blend_rgb,
    chroma_key,
    sum_rows: scale_avx2::sum_rows,
    sum_columns: scale_avx2::sum_columns,
    filter_rows: resize_avx2::filter_rows,
    filter_columns: resize_avx2::filter_columns,
    convert_luma: matrix_avx2::convert_luma,
    convert_chroma: matrix_avx2::convert_chroma,
    deinterlace,
};

/// The table, if this machine has the instructions. It is the only way to the functions below.
pub(super) fn kernels() -> Option<&'static Kernels> {
    let has_all = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx2");
    has_all.then_some(&KERNELS)
}

fn blend(dst: &mut [u8], src: &[u8], alpha: &[u8]) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { blend_wide(dst, src, alpha) }
}

fn blend_faded(dst: &mut [u8], src: &[u8], alpha: &[u8], opacity: u8) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { blend_faded_wide(dst, src, alpha, opacity) }
}

fn mix(dst: &mut [u8], src: &[u8], opacity: u8) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { mix_wide(dst, src, opacity) }
}

fn fade(dst: &mut [u8], a: &[u8], b: &[u8], weight: u8) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { fade_wide(dst, a, b, weight) }
}

fn wipe(dst: &mut [u8], a: &[u8], b: &[u8], mask: &[u16], edge: &WipeEdge) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { wipe_wide(dst, a, b, mask, edge) }
}

fn deinterlace(dst: &mut [u8], rows: &FieldRows<'_>) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { deinterlace_wide(dst, rows) }
}

fn blend_rgb(mode: BlendMode, dst: &mut RowsMut<'_>, src: &Rows<'_>, opacity: u8) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { blend_rgb_wide(mode, dst, src, opacity) }
}

fn chroma_key(rows: &mut RowsMut<'_>, key: &Key) {
    // SAFETY: `kernels`, the only way here, has found the instructions.
    unsafe { chroma_key_wide(rows, key) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn wipe_wide(dst: &mut [u8], a: &[u8], b: &[u8], mask: &[u16], edge: &WipeEdge) {
    wipe::wipe(dst, a, b, mask, edge);
}

/// The compiler makes wide registers of the definition.
#[target_feature(enable = "avx512f,avx512bw")]
fn deinterlace_wide(dst: &mut [u8], rows: &FieldRows<'_>) {
    deinterlace::go(dst, rows);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn blend_rgb_wide(mode: BlendMode, dst: &mut RowsMut<'_>, src: &Rows<'_>, opacity: u8) {
    effect::blend_rgb(mode, dst, src, opacity);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn chroma_key_wide(rows: &mut RowsMut<'_>, key: &Key) {
    effect::chroma_key(rows, key);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn blend_wide(dst: &mut [u8], src: &[u8], alpha: &[u8]) {
    let n = dst.len().min(src.len()).min(alpha.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (src, src_rest) = src[..n].split_at(body);
    let (alpha, alpha_rest) = alpha[..n].split_at(body);
    let rows = dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0).zip(alpha.as_chunks().0);
    for ((d, s), a) in rows {
        let under = product(load(d), inverse(load(a)));
        store(d, _mm512_add_epi8(load(s), under));
    }
    scalar::blend(dst_rest, src_rest, alpha_rest);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn blend_faded_wide(dst: &mut [u8], src: &[u8], alpha: &[u8], opacity: u8) {
    let n = dst.len().min(src.len()).min(alpha.len());
    let body = n - n % WIDE;
    let (dst, dst_rest) = dst[..n].split_at_mut(body);
    let (src, src_rest) = src[..n].split_at(body);
    let (alpha, alpha_rest) = alpha[..n].split_at(body);
    let faded = _mm512_set1_epi8(opacity.cast_signed());
    let rows = dst.as_chunks_mut().0.iter_mut().zip(src.as_chunks().0).zip(alpha.as_chunks().0);
    for ((d, s), a) in rows {
        let kept = inverse(product(load(a), faded));
        store(d, sum_of_products(load(s), faded, load(d), kept));
    }
    scalar::blend_faded(dst_rest, src_rest, alpha_rest, opacity);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn mix_wide(dst: &mut [u8], src: &[u8], opacity: u8) {
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

#[target_feature(enable = "avx512f,avx512bw")]
fn fade_wide(dst: &mut [u8], a: &[u8], b: &[u8], weight: u8) {
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

#[target_feature(enable = "avx512f,avx512bw")]
fn load(row: &[u8; WIDE]) -> __m512i {
    // SAFETY: the array has exactly the register's size; the load needs no alignment.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn store(row: &mut [u8; WIDE], value: __m512i) {
    // SAFETY: the array has exactly the register's size; the store needs no alignment.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), value) }
}

/// `255 - x` in each byte.
#[target_feature(enable = "avx512f,avx512bw")]
fn inverse(x: __m512i) -> __m512i {
    _mm512_xor_si512(x, _mm512_set1_epi8(-1))
}

/// `x * y / 255` in each byte. Unpacking and packing both stay inside 16-byte lanes, so that the
/// bytes come back in order.
#[target_feature(enable = "avx512f,avx512bw")]
fn product(x: __m512i, y: __m512i) -> __m512i {
    let zero = _mm512_setzero_si512();
    let low = _mm512_mullo_epi16(_mm512_unpacklo_epi8(x, zero), _mm512_unpacklo_epi8(y, zero));
    let high = _mm512_mullo_epi16(_mm512_unpackhi_epi8(x, zero), _mm512_unpackhi_epi8(y, zero));
    _mm512_packus_epi16(div255(low), div255(high))
}

/// `(w * a + (255 - w) * b) / 255` in each byte.
#[target_feature(enable = "avx512f,avx512bw")]
fn between(a: __m512i, b: __m512i, weight: u8) -> __m512i {
    let weight = _mm512_set1_epi8(weight.cast_signed());
    sum_of_products(a, weight, b, inverse(weight))
}

/// `(a * x + b * y) / 255` in each byte.
#[target_feature(enable = "avx512f,avx512bw")]
fn sum_of_products(a: __m512i, x: __m512i, b: __m512i, y: __m512i) -> __m512i {
    let zero = _mm512_setzero_si512();
    let low = _mm512_add_epi16(
        _mm512_mullo_epi16(_mm512_unpacklo_epi8(a, zero), _mm512_unpacklo_epi8(x, zero)),
        _mm512_mullo_epi16(_mm512_unpacklo_epi8(b, zero), _mm512_unpacklo_epi8(y, zero)),
    );
    let high = _mm512_add_epi16(
        _mm512_mullo_epi16(_mm512_unpackhi_epi8(a, zero), _mm512_unpackhi_epi8(x, zero)),
        _mm512_mullo_epi16(_mm512_unpackhi_epi8(b, zero), _mm512_unpackhi_epi8(y, zero)),
    );
    _mm512_packus_epi16(div255(low), div255(high))
}

/// As [`super::div255`], in each 16-bit word.
#[target_feature(enable = "avx512f,avx512bw")]
fn div255(x: __m512i) -> __m512i {
    let t = _mm512_add_epi16(x, _mm512_set1_epi16(128));
    _mm512_srli_epi16::<8>(_mm512_add_epi16(t, _mm512_srli_epi16::<8>(t)))
}
