//! Bicubic scaling with AVX2: products of pairs of samples and weights, added up in 32 bits.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadl_epi64, _mm_loadu_si128, _mm_packus_epi16, _mm_storeu_si128,
    _mm_unpackhi_epi16, _mm_unpacklo_epi16, _mm_unpacklo_epi64, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi32, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_permute4x64_epi64,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_srai_epi32,
    _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

use super::filter::GROUP;
use super::polyphase::{BETWEEN_BITS, ONE_BITS, Polyphase, STEP};
use super::resize;

/// Bytes of a register.
const WIDE: usize = 32;

/// Bits that the first pass takes off, and half of what they are worth.
const BITS: u32 = ONE_BITS - BETWEEN_BITS;
const HALF: i32 = 1 << (BITS - 1);

/// See [`super::table::FilterRows`].
pub(super) fn filter_rows(dst: &mut [i16], src: &[u8], stride: usize, weights: &[i16]) {
    let body = dst.len() - dst.len() % WIDE;
    assert!(!weights.is_empty() && (weights.len() - 1) * stride + dst.len() <= src.len());
    // SAFETY: the tables that name this function are given where AVX2 was found. Every row has
    // `body` samples in `src`, as asserted, and so has `dst`.
    unsafe {
        let dst = &mut dst[..body];
        match weights.len() {
            1 | 2 => filter_few_rows::<1>(dst, src, stride, weights),
            3 | 4 => filter_few_rows::<2>(dst, src, stride, weights),
            5 | 6 => filter_few_rows::<3>(dst, src, stride, weights),
            7 | 8 => filter_few_rows::<4>(dst, src, stride, weights),
            _ => filter_many_rows(dst, src, stride, weights),
        }
    }
    if body < dst.len() {
        resize::filter_rows(&mut dst[body..], &src[body..], stride, weights);
    }
}

/// # Safety
/// `dst` is a multiple of [`WIDE`] long, and so much is in `src` from the begin of each row on;
/// there are at most twice `PAIRS` rows, and one at least.
#[target_feature(enable = "avx2")]
unsafe fn filter_few_rows<const PAIRS: usize>(
    dst: &mut [i16],
    src: &[u8],
    stride: usize,
    weights: &[i16],
) {
    let mut pairs = [(0, 0, _mm256_setzero_si256()); PAIRS];
    for (pair, row) in pairs.iter_mut().zip((0..weights.len()).step_by(2)) {
        *pair = pair_of(row, stride, weights);
    }
    for at in (0..dst.len()).step_by(WIDE) {
        let mut sums = [_mm256_set1_epi32(HALF); 4];
        for pair in &pairs {
            // SAFETY: by the contract above.
            unsafe { add(&mut sums, src, at, *pair) };
        }
        // SAFETY: as above.
        unsafe { store_between(dst, at, &sums) };
    }
}

/// # Safety
/// `dst` is a multiple of [`WIDE`] long, and so much is in `src` from the begin of each row on.
#[target_feature(enable = "avx2")]
unsafe fn filter_many_rows(dst: &mut [i16], src: &[u8], stride: usize, weights: &[i16]) {
    for at in (0..dst.len()).step_by(WIDE) {
        let mut sums = [_mm256_set1_epi32(HALF); 4];
        for row in (0..weights.len()).step_by(2) {
            // SAFETY: by the contract above.
            unsafe { add(&mut sums, src, at, pair_of(row, stride, weights)) };
        }
        // SAFETY: as above.
        unsafe { store_between(dst, at, &sums) };
    }
}

/// Where two rows begin, and what they weigh. A row without a partner is its own, and weighs
/// nothing as that.
#[target_feature(enable = "avx2")]
fn pair_of(row: usize, stride: usize, weights: &[i16]) -> (usize, usize, __m256i) {
    let odd = weights.get(row + 1);
    let next = if odd.is_some() { row + 1 } else { row };
    let ([a, b], [c, d]) = (weights[row].to_le_bytes(), odd.unwrap_or(&0).to_le_bytes());
    (row * stride, next * stride, _mm256_set1_epi32(i32::from_le_bytes([a, b, c, d])))
}

/// Adds two rows times their weights to the sums of [`WIDE`] samples.
///
/// # Safety
/// From `at` on both rows have [`WIDE`] samples in `src`.
#[target_feature(enable = "avx2")]
unsafe fn add(
    sums: &mut [__m256i; 4],
    src: &[u8],
    at: usize,
    (even, odd, weights): (usize, usize, __m256i),
) {
    // SAFETY: by the contract above; the loads need no alignment.
    let (a, b): (__m256i, __m256i) = unsafe {
        let src = src.as_ptr().add(at);
        (_mm256_loadu_si256(src.add(even).cast()), _mm256_loadu_si256(src.add(odd).cast()))
    };
    let zero = _mm256_setzero_si256();
    let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
    let parts = [
        _mm256_unpacklo_epi8(low, zero),
        _mm256_unpackhi_epi8(low, zero),
        _mm256_unpacklo_epi8(high, zero),
        _mm256_unpackhi_epi8(high, zero),
    ];
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(part, weights));
    }
}

/// Writes the sums of [`WIDE`] samples.
///
/// # Safety
/// From `at` on they are in `dst`.
#[target_feature(enable = "avx2")]
unsafe fn store_between(dst: &mut [i16], at: usize, sums: &[__m256i; 4]) {
    let [a, b, c, d] = sums.map(|sum| _mm256_srai_epi32::<{ BITS.cast_signed() }>(sum));
    // Unpacking and packing stay inside halves: these hold samples 0 to 7 and 16 to 23, 8 to 15
    // and 24 to 31.
    let (first, second) = (_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    // SAFETY: by the contract above; the stores need no alignment.
    unsafe {
        let dst = dst.as_mut_ptr().add(at);
        let (low, high) = (
            _mm256_permute2x128_si256::<0x20>(first, second),
            _mm256_permute2x128_si256::<0x31>(first, second),
        );
        _mm256_storeu_si256(dst.cast(), low);
        _mm256_storeu_si256(dst.add(WIDE / 2).cast(), high);
    }
}

/// See [`super::table::FilterColumns`].
pub(super) fn filter_columns(dst: &mut [u8], src: &[i16], filter: &Polyphase) {
    let groups = filter.length().div_ceil(GROUP);
    assert!(groups * GROUP <= dst.len() && groups * GROUP <= filter.first().len());
    assert!(filter.last() + filter.taps() <= src.len());
    assert!(filter.weights().len() >= groups * GROUP * filter.taps());
    // SAFETY: the tables that name this function are given where AVX2 was found. Every group lies
    // in `dst` and in the filter, and what makes each sample lies in `src`, as asserted.
    unsafe {
        match filter.taps() {
            4 => filter_four(dst, src, filter, groups),
            8 => filter_more::<true>(dst, src, filter, groups),
            _ => filter_more::<false>(dst, src, filter, groups),
        }
    }
}

/// Four taps: a register makes four samples.
///
/// # Safety
/// As asserted in [`filter_columns`].
#[target_feature(enable = "avx2")]
unsafe fn filter_four(dst: &mut [u8], src: &[i16], filter: &Polyphase, groups: usize) {
    for group in 0..groups {
        // SAFETY: the group's samples are in the filter, and what makes them in `src`.
        let [a, b, c, d] = [0, 4, 8, 12].map(|at| unsafe { four(src, filter, group * GROUP + at) });
        // Each half has two samples of the one and two of the other.
        let (ab, cd) = (rounded(_mm256_hadd_epi32(a, b)), rounded(_mm256_hadd_epi32(c, d)));
        let in_order = |x| _mm256_permute4x64_epi64::<0b11_01_10_00>(x);
        let all = in_order(_mm256_packs_epi32(in_order(ab), in_order(cd)));
        let (low, high) = (_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
        // SAFETY: the group is in `dst`.
        unsafe { store(dst, group, _mm_packus_epi16(low, high)) };
    }
}

/// The products of four samples from `n` on, added up in pairs.
///
/// # Safety
/// The samples are in the filter, and what makes them in `src`.
#[target_feature(enable = "avx2")]
unsafe fn four(src: &[i16], filter: &Polyphase, n: usize) -> __m256i {
    // SAFETY: by the contract above; the loads need no alignment.
    unsafe {
        let one = |n: usize| -> __m128i {
            let first = *filter.first().get_unchecked(n) as usize;
            _mm_loadl_epi64(src.as_ptr().add(first).cast())
        };
        let two = |n: usize| _mm_unpacklo_epi64(one(n), one(n + 1));
        let samples = _mm256_set_m128i(two(n + 2), two(n));
        let weights = _mm256_loadu_si256(filter.weights().as_ptr().add(4 * n).cast());
        _mm256_madd_epi16(samples, weights)
    }
}

/// A multiple of eight taps: a register makes two samples.
///
/// # Safety
/// As asserted in [`filter_columns`]; `EIGHT` if there are as many taps.
#[target_feature(enable = "avx2")]
unsafe fn filter_more<const EIGHT: bool>(
    dst: &mut [u8],
    src: &[i16],
    filter: &Polyphase,
    groups: usize,
) {
    for group in 0..groups {
        let sums = [0, 8].map(|at| {
            let n = group * GROUP + at;
            // SAFETY: the group's samples are in the filter, and what makes them in `src`.
            let [a, b, c, d] = [0, 2, 4, 6].map(|at| unsafe { two::<EIGHT>(src, filter, n + at) });
            rounded(_mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d)))
        });
        // One half has the even samples, the other the odd ones.
        let all = _mm256_packs_epi32(sums[0], sums[1]);
        let (even, odd) = (_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
        let bytes = _mm_packus_epi16(_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
        // SAFETY: the group is in `dst`.
        unsafe { store(dst, group, bytes) };
    }
}

/// The products of two samples from `n` on, added up to four for each.
///
/// # Safety
/// The samples are in the filter, and what makes them in `src`; `EIGHT` if there are as many taps.
#[target_feature(enable = "avx2")]
unsafe fn two<const EIGHT: bool>(src: &[i16], filter: &Polyphase, n: usize) -> __m256i {
    let taps = if EIGHT { STEP } else { filter.taps() };
    // SAFETY: by the contract above; the loads need no alignment.
    unsafe {
        let samples =
            [n, n + 1].map(|n| src.as_ptr().add(*filter.first().get_unchecked(n) as usize));
        let weights = [n, n + 1].map(|n| filter.weights().as_ptr().add(n * taps));
        let pair = |[a, b]: [*const i16; 2], tap: usize| {
            let half = |from: *const i16| -> __m128i { _mm_loadu_si128(from.add(tap).cast()) };
            _mm256_set_m128i(half(b), half(a))
        };
        let mut sum = _mm256_madd_epi16(pair(samples, 0), pair(weights, 0));
        for tap in (STEP..taps).step_by(STEP) {
            let product = _mm256_madd_epi16(pair(samples, tap), pair(weights, tap));
            sum = _mm256_add_epi32(sum, product);
        }
        sum
    }
}

/// # Safety
/// The group is in `dst`.
#[target_feature(enable = "avx2")]
unsafe fn store(dst: &mut [u8], group: usize, samples: __m128i) {
    // SAFETY: by the contract above; the store needs no alignment.
    unsafe { _mm_storeu_si128(dst.as_mut_ptr().add(group * GROUP).cast(), samples) };
}

/// Sums of products as whole samples.
#[target_feature(enable = "avx2")]
fn rounded(x: __m256i) -> __m256i {
    const BITS: i32 = (ONE_BITS + BETWEEN_BITS).cast_signed();
    _mm256_srai_epi32::<BITS>(_mm256_add_epi32(x, _mm256_set1_epi32(1 << (BITS - 1))))
}
