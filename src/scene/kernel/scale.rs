//! Scalar scaling: the definition of its kernels.

use std::ops::Range;

use super::filter::{Filter, GROUP, TAPS_MAX};

/// See [`super::table::SumRows`].
pub(super) fn sum_rows(dst: &mut [u8], rows: &[(&[u8], u8)]) {
    let rows = &rows[..rows.len().min(TAPS_MAX)];
    let n = rows.iter().map(|(row, _)| row.len()).fold(dst.len(), usize::min);
    for (at, d) in dst[..n].iter_mut().enumerate() {
        *d =
            rounded(rows.iter().map(|(row, weight)| u32::from(row[at]) * u32::from(*weight)).sum());
    }
}

/// See [`super::table::SumColumns`].
pub(super) fn sum_columns(dst: &mut [u8], src: &[u8], filter: &Filter, groups: Range<usize>) {
    let span = groups.start * GROUP..groups.end * GROUP;
    for (n, d) in span.clone().zip(&mut dst[span]) {
        let (first, weights) = filter.of(n);
        let samples = src[first..].iter().zip(weights);
        *d = rounded(samples.map(|(sample, weight)| u32::from(*sample) * u32::from(*weight)).sum());
    }
}

/// A sum of products in parts of 256, rounded to whole ones.
const fn rounded(sum: u32) -> u8 {
    ((sum + 128) >> 8).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::kernel::tests::{all_that_this_cpu_has, noise};
    use crate::scene::kernel::{Kernels, Level, TAPS_MAX};

    /// Reductions of every kind: none, hardly any, by whole numbers, by most that there may be.
    const PAIRS: [(u32, u32); 14] = [
        (64, 64),
        (17, 16),
        (1_080, 1_078),
        (1_920, 1_280),
        (1_920, 854),
        (1_920, 640),
        (1_920, 480),
        (1_920, 276),
        (540, 240),
        (99, 33),
        (100, 51),
        (1_121, 161),
        (112, 16),
        (8_192, 1_172),
    ];

    #[test]
    fn weights_are_all_of_a_sample_and_of_what_it_covers_alone() {
        for (from, to) in PAIRS {
            let filter = Filter::area(from, to);
            assert_eq!(filter.length(), to as usize);
            assert_eq!(filter.is_identity(), from == to, "{from} {to}");
            for n in 0..filter.length() {
                let (first, weights) = filter.of(n);
                assert_eq!(weights.iter().map(|w| u32::from(*w)).sum::<u32>(), 256, "{from} {to}");
                let (begin, end) = (
                    n as f64 * f64::from(from) / f64::from(to),
                    (n + 1) as f64 * f64::from(from) / f64::from(to),
                );
                if from == to {
                    continue; // it is never run
                }
                for (at, weight) in (first..).zip(weights) {
                    let overlap = end.min((at + 1) as f64) - begin.max(at as f64);
                    let exact = overlap.max(0.0) / (end - begin) * 256.0;
                    assert!((f64::from(*weight) - exact).abs() < 1.01, "{from} {to} {n} {at}");
                }
            }
        }
    }

    #[test]
    fn every_level_scales_to_the_same_bytes() {
        let definition = Kernels::at(Level::Scalar);
        for kernels in all_that_this_cpu_has() {
            let level = kernels.level;
            for (from, to) in PAIRS {
                let (from, to) = (from.max(to), to);
                let filter = Filter::area(from, to);
                let groups = filter.length().div_ceil(GROUP);
                for extreme in [None, Some(0), Some(255)] {
                    let mut src = noise(u64::from(from), from as usize + 64);
                    src.iter_mut().for_each(|sample| *sample = extreme.unwrap_or(*sample));
                    for part in [0..groups, groups / 2..groups, 0..groups.min(1)] {
                        let (mut row, mut expected) =
                            (vec![9; groups * GROUP], vec![9; groups * GROUP]);
                        (kernels.sum_columns)(&mut row, &src, &filter, part.clone());
                        (definition.sum_columns)(&mut expected, &src, &filter, part);
                        assert!(row == expected, "{level:?} {from} {to}");
                    }
                }
            }
            for count in 2..=TAPS_MAX {
                let weights = (0..count).map(|n| if n == 0 { 256 - 28 * (count - 1) } else { 28 });
                let weights: Vec<u8> = weights.map(|w| u8::try_from(w).unwrap()).collect();
                for len in [0, 1, 31, 32, 33, 64, 100, 640] {
                    let rows: Vec<_> = (0..count).map(|n| noise(n as u64 + 5, len + n)).collect();
                    let rows: Vec<_> =
                        rows.iter().map(Vec::as_slice).zip(weights.iter().copied()).collect();
                    let (mut row, mut expected) = (vec![9; len + 3], vec![9; len + 3]);
                    (kernels.sum_rows)(&mut row, &rows);
                    (definition.sum_rows)(&mut expected, &rows);
                    assert!(row == expected, "{level:?} {count} rows of {len}");
                }
            }
        }
    }

    #[test]
    fn an_even_row_stays_as_it_is_and_a_ramp_stays_a_ramp() {
        let kernels = Kernels::at(Level::best());
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from != to) {
            let filter = Filter::area(from, to);
            let groups = filter.length().div_ceil(GROUP);
            let mut row = vec![0; groups * GROUP];
            for value in [0, 16, 128, 235, 255] {
                (kernels.sum_columns)(
                    &mut row,
                    &vec![value; from as usize + 32],
                    &filter,
                    0..groups,
                );
                assert!(row.iter().all(|sample| *sample == value), "{from} {to} {value}");
            }
            let ramp: Vec<u8> = (0..from + 32)
                .map(|n| u8::try_from(n.min(from - 1) * 255 / from).unwrap())
                .collect();
            (kernels.sum_columns)(&mut row, &ramp, &filter, 0..groups);
            for (n, sample) in row[..filter.length()].iter().enumerate() {
                let middle = (n as f64 + 0.5) * f64::from(from) / f64::from(to) - 0.5;
                let exact = middle * 255.0 / f64::from(from);
                assert!((f64::from(*sample) - exact).abs() < 1.6, "{from} {to} {n}: {sample}");
            }
        }
    }
}
