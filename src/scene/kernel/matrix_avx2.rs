//! Colour matrix with AVX2: products of pairs of samples and factors, added up in 32 bits.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256,
    _mm256_madd_epi16, _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute4x64_epi64,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_srai_epi32, _mm256_unpackhi_epi16,
    _mm256_unpacklo_epi16,
};

use super::matrix::{self, BITS, ColorMatrix};

/// Samples of colour that are taken at once.
const HALF: usize = 16;

/// See [`super::table::ConvertLuma`].
pub(super) fn convert_luma(luma: &mut [u8], cb: &[u8], cr: &[u8], matrix: &ColorMatrix) {
    let groups = (luma.len() / 2).min(cb.len()).min(cr.len()) / HALF;
    // SAFETY: the tables that name this function are given where AVX2 was found. The groups are in
    // all three.
    unsafe { convert_luma_wide(luma, cb, cr, matrix, groups) };
    let done = groups * HALF;
    matrix::convert_luma(&mut luma[2 * done..], &cb[done..], &cr[done..], matrix);
}

/// # Safety
/// So many groups of [`HALF`] are in `cb` and `cr`, and of twice as many samples in `luma`.
#[target_feature(enable = "avx2")]
unsafe fn convert_luma_wide(
    luma: &mut [u8],
    cb: &[u8],
    cr: &[u8],
    matrix: &ColorMatrix,
    groups: usize,
) {
    let [y, b, r] = matrix.luma;
    let factors = (pair(y, b), pair(r, 0), _mm256_set1_epi32(matrix.luma_offset));
    for group in 0..groups {
        // SAFETY: by the contract above; loads and stores need no alignment.
        unsafe {
            let place = luma.as_mut_ptr().add(2 * group * HALF);
            let (b, r) = (load(cb.as_ptr().add(group * HALF)), load(cr.as_ptr().add(group * HALF)));
            // Each sample of colour is that of two of luma.
            let left = (_mm_unpacklo_epi8(b, b), _mm_unpacklo_epi8(r, r));
            let right = (_mm_unpackhi_epi8(b, b), _mm_unpackhi_epi8(r, r));
            let left = luma_of(load(place), left, factors);
            let right = luma_of(load(place.add(HALF)), right, factors);
            let bytes = in_order(_mm256_packus_epi16(left, right));
            _mm_storeu_si128(place.cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(place.add(HALF).cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
}

#[target_feature(enable = "avx2")]
fn luma_of(
    luma: __m128i,
    (cb, cr): (__m128i, __m128i),
    (with_cb, with_cr, offset): (__m256i, __m256i, __m256i),
) -> __m256i {
    let zero = _mm256_setzero_si256();
    let [luma, cb, cr] = [luma, cb, cr].map(|bytes| _mm256_cvtepu8_epi16(bytes));
    let sum = |first, second| {
        let products = (_mm256_madd_epi16(first, with_cb), _mm256_madd_epi16(second, with_cr));
        shifted(_mm256_add_epi32(_mm256_add_epi32(products.0, products.1), offset))
    };
    _mm256_packs_epi32(
        sum(_mm256_unpacklo_epi16(luma, cb), _mm256_unpacklo_epi16(cr, zero)),
        sum(_mm256_unpackhi_epi16(luma, cb), _mm256_unpackhi_epi16(cr, zero)),
    )
}

/// See [`super::table::ConvertChroma`].
pub(super) fn convert_chroma(cb: &mut [u8], cr: &mut [u8], matrix: &ColorMatrix) {
    let groups = cb.len().min(cr.len()) / HALF;
    // SAFETY: the tables that name this function are given where AVX2 was found. The groups are in
    // both.
    unsafe { convert_chroma_wide(cb, cr, matrix, groups) };
    let done = groups * HALF;
    matrix::convert_chroma(&mut cb[done..], &mut cr[done..], matrix);
}

/// # Safety
/// So many groups of [`HALF`] are in `cb` and `cr`.
#[target_feature(enable = "avx2")]
unsafe fn convert_chroma_wide(cb: &mut [u8], cr: &mut [u8], matrix: &ColorMatrix, groups: usize) {
    let factors = matrix.chroma.map(|[b, r]| pair(b, r));
    let offsets = matrix.chroma_offset.map(|offset| _mm256_set1_epi32(offset));
    for group in 0..groups {
        // SAFETY: by the contract above; loads and stores need no alignment.
        unsafe {
            let (cb, cr) = (cb.as_mut_ptr().add(group * HALF), cr.as_mut_ptr().add(group * HALF));
            let (b, r) = (_mm256_cvtepu8_epi16(load(cb)), _mm256_cvtepu8_epi16(load(cr)));
            let (low, high) = (_mm256_unpacklo_epi16(b, r), _mm256_unpackhi_epi16(b, r));
            let made = |at: usize| {
                let sum = |pairs| {
                    let products = _mm256_madd_epi16(pairs, factors[at]);
                    shifted(_mm256_add_epi32(products, offsets[at]))
                };
                _mm256_packs_epi32(sum(low), sum(high))
            };
            let bytes = in_order(_mm256_packus_epi16(made(0), made(1)));
            _mm_storeu_si128(cb.cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(cr.cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
}

/// # Safety
/// 16 bytes can be read.
#[target_feature(enable = "avx2")]
unsafe fn load(from: *const u8) -> __m128i {
    // SAFETY: by the contract above; the load needs no alignment.
    unsafe { _mm_loadu_si128(from.cast()) }
}

/// Two factors, for each pair of samples.
#[target_feature(enable = "avx2")]
fn pair(even: i16, odd: i16) -> __m256i {
    let ([a, b], [c, d]) = (even.to_le_bytes(), odd.to_le_bytes());
    _mm256_set1_epi32(i32::from_le_bytes([a, b, c, d]))
}

#[target_feature(enable = "avx2")]
fn shifted(x: __m256i) -> __m256i {
    _mm256_srai_epi32::<{ BITS.cast_signed() }>(x)
}

/// Packing works inside halves; this puts all of the one before all of the other.
#[target_feature(enable = "avx2")]
fn in_order(x: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(x)
}
