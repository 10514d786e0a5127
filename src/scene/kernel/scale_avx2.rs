//! Scaling with AVX2: samples are taken as signed bytes, so that weights of a whole byte can be
//! multiplied with them, and the sums stay within 16 bits.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm_unpacklo_epi16, _mm_unpacklo_epi32,
    _mm256_add_epi16, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_hadd_epi16,
    _mm256_loadu_si256, _mm256_maddubs_epi16, _mm256_packs_epi16, _mm256_set_m128i,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srai_epi16, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
    _mm256_xor_si256,
};
use std::ops::Range;

use super::filter::{Filter, GROUP, LANE, TAPS_MAX};
use super::scale;

/// Bytes of a register.
const WIDE: usize = 32;

/// See [`super::table::SumRows`].
pub(super) fn sum_rows(dst: &mut [u8], rows: &[(&[u8], u8)]) {
    let n = rows.iter().map(|(row, _)| row.len()).fold(dst.len(), usize::min);
    let body = n - n % WIDE;
    // SAFETY: the tables that name this function are given where AVX2 was found, and `body` bytes
    // are there in `dst` and in every row.
    unsafe {
        match rows.len() {
            0 => return,
            1 | 2 => sum_rows_wide::<1>(dst, rows, body),
            3 | 4 => sum_rows_wide::<2>(dst, rows, body),
            5 | 6 => sum_rows_wide::<3>(dst, rows, body),
            _ => sum_rows_wide::<4>(dst, rows, body),
        }
    }
    let mut rest = [(&[][..], 0); TAPS_MAX];
    for (rest, (row, weight)) in rest.iter_mut().zip(rows) {
        *rest = (&row[body..n], *weight);
    }
    scale::sum_rows(&mut dst[body..n], &rest[..rows.len().min(TAPS_MAX)]);
}

/// # Safety
/// `dst` and all rows have `body` bytes, a multiple of [`WIDE`]; there are at most twice `PAIRS`
/// rows, and one at least.
#[target_feature(enable = "avx2")]
unsafe fn sum_rows_wide<const PAIRS: usize>(dst: &mut [u8], rows: &[(&[u8], u8)], body: usize) {
    let row =
        |at: usize| rows.get(at).map_or((rows[0].0.as_ptr(), 0), |row| (row.0.as_ptr(), row.1));
    let mut pairs = [(std::ptr::null(), std::ptr::null(), _mm256_setzero_si256()); PAIRS];
    for (at, pair) in pairs.iter_mut().enumerate() {
        let ((even, first), (odd, second)) = (row(2 * at), row(2 * at + 1));
        *pair = (even, odd, _mm256_set1_epi16(i16::from_le_bytes([first, second])));
    }
    for at in (0..body).step_by(WIDE) {
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (even, odd, weights) in &pairs {
            // SAFETY: `WIDE` bytes from `at` on are in each row; the loads need no alignment.
            let (even, odd): (__m256i, __m256i) = unsafe {
                (_mm256_loadu_si256(even.add(at).cast()), _mm256_loadu_si256(odd.add(at).cast()))
            };
            let (even, odd) = (flip(even), flip(odd));
            let product = |pair| _mm256_maddubs_epi16(*weights, pair);
            low = _mm256_add_epi16(low, product(_mm256_unpacklo_epi8(even, odd)));
            high = _mm256_add_epi16(high, product(_mm256_unpackhi_epi8(even, odd)));
        }
        let sums = flip(_mm256_packs_epi16(rounded(low), rounded(high)));
        // SAFETY: as above, in `dst`.
        unsafe { _mm256_storeu_si256(dst.as_mut_ptr().add(at).cast(), sums) };
    }
}

/// See [`super::table::SumColumns`].
pub(super) fn sum_columns(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>) {
    let lanes = filter.first().len() / (LANE / filter.taps());
    let last = filter.first().last().map_or(0, |first| *first as usize);
    assert!(groups.end * GROUP <= dst.len() && groups.end * GROUP <= filter.first().len());
    assert!(last + LANE <= src.len() && lanes * LANE <= filter.shuffle().len());
    // SAFETY: the tables that name this function are given where AVX2 was found. Every group lies
    // in `dst` and in the filter, and a lane that begins at any of the filter's first samples lies
    // in `src`, as asserted.
    unsafe {
        match filter.taps() {
            4 => sum_four(dst, src, filter, groups),
            _ => sum_eight(dst, src, filter, groups),
        }
    }
}

/// Four taps: a lane makes four samples.
///
/// # Safety
/// As asserted in [`sum_columns`].
#[target_feature(enable = "avx2")]
unsafe fn sum_four(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>) {
    for group in groups {
        // SAFETY: lanes 4 and on of the group are in the filter.
        let [a, b] = [0, 2].map(|lane| unsafe { products(src, filter, 4 * group + lane) });
        let sums = rounded(_mm256_hadd_epi16(a, b));
        // Each half has four samples of `a` and four of `b`.
        let bytes = flip(_mm256_packs_epi16(sums, sums));
        let (left, right) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
        // SAFETY: the group is in `dst`.
        unsafe { store(dst, group, _mm_unpacklo_epi32(left, right)) };
    }
}

/// Eight taps: a lane makes two samples.
///
/// # Safety
/// As asserted in [`sum_columns`].
#[target_feature(enable = "avx2")]
unsafe fn sum_eight(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>) {
    for group in groups {
        // SAFETY: lanes 8 and on of the group are in the filter.
        let [a, b, c, d] =
            [0, 2, 4, 6].map(|lane| unsafe { products(src, filter, 8 * group + lane) });
        let (ab, cd) = (_mm256_hadd_epi16(a, b), _mm256_hadd_epi16(c, d));
        let sums = rounded(_mm256_hadd_epi16(ab, cd));
        // Each half has two samples of each.
        let bytes = flip(_mm256_packs_epi16(sums, sums));
        let (left, right) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
        // SAFETY: the group is in `dst`.
        unsafe { store(dst, group, _mm_unpacklo_epi16(left, right)) };
    }
}

/// The samples of two lanes times their weights, added up in pairs.
///
/// # Safety
/// Both lanes are in the filter, and what they read in `src`.
#[target_feature(enable = "avx2")]
unsafe fn products(src: &[u8], filter: &Filter, lane: usize) -> __m256i {
    let per_lane = LANE / filter.taps();
    // SAFETY: by the contract above; the loads need no alignment.
    unsafe {
        let first = |lane: usize| *filter.first().get_unchecked(lane * per_lane) as usize;
        let half = |lane| -> __m128i { _mm_loadu_si128(src.as_ptr().add(first(lane)).cast()) };
        let samples = _mm256_set_m128i(half(lane + 1), half(lane));
        let shuffle = _mm256_loadu_si256(filter.shuffle().as_ptr().add(lane * LANE).cast());
        let weights = _mm256_loadu_si256(filter.weights().as_ptr().add(lane * LANE).cast());
        _mm256_maddubs_epi16(weights, flip(_mm256_shuffle_epi8(samples, shuffle)))
    }
}

/// # Safety
/// The group is in `dst`.
#[target_feature(enable = "avx2")]
unsafe fn store(dst: &mut [u8], group: usize, samples: __m128i) {
    // SAFETY: by the contract above; the store needs no alignment.
    unsafe { _mm_storeu_si128(dst.as_mut_ptr().add(group * GROUP).cast(), samples) };
}

/// Between bytes without a sign, 0 to 255, and the same less 128.
#[target_feature(enable = "avx2")]
fn flip(x: __m256i) -> __m256i {
    _mm256_xor_si256(x, _mm256_set1_epi8(i8::MIN))
}

/// Sums of products in parts of 256, rounded to whole ones.
#[target_feature(enable = "avx2")]
fn rounded(x: __m256i) -> __m256i {
    _mm256_srai_epi16::<8>(_mm256_add_epi16(x, _mm256_set1_epi16(128)))
}
