//! Scalar bicubic scaling: the definition of its kernels. Rows are added up first, into samples
//! that keep what is behind the point; then those of a row.

use super::polyphase::{BETWEEN_BITS, ONE_BITS, Polyphase};

/// See [`super::table::FilterRows`].
pub(super) fn filter_rows(dst: &mut [i16], src: &[u8], stride: usize, weights: &[i16]) {
    for (at, d) in dst.iter_mut().enumerate() {
        let products = weights
            .iter()
            .enumerate()
            .map(|(row, weight)| i32::from(src[row * stride + at]) * i32::from(*weight));
        *d = between(products.sum());
    }
}

/// See [`super::table::FilterColumns`].
pub(super) fn filter_columns(dst: &mut [u8], src: &[i16], filter: &Polyphase) {
    for (n, d) in dst[..filter.length()].iter_mut().enumerate() {
        let (first, weights) = filter.of(n);
        let samples = src[first..].iter().zip(weights);
        *d = whole(samples.map(|(sample, weight)| i32::from(*sample) * i32::from(*weight)).sum());
    }
}

/// A sum of products, with fewer bits behind the point. A cubic overshoots by less than a third.
fn between(sum: i32) -> i16 {
    const BITS: u32 = ONE_BITS - BETWEEN_BITS;
    i16::try_from((sum + (1 << (BITS - 1))) >> BITS).unwrap_or(i16::MAX)
}

/// A sum of products as a sample.
fn whole(sum: i32) -> u8 {
    const BITS: u32 = ONE_BITS + BETWEEN_BITS;
    u8::try_from(((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::kernel::tests::{all_that_this_cpu_has, noise};
    use crate::scene::kernel::{GROUP, Kernels, Level};

    /// Scalings of every kind: none, hardly any, by whole numbers, up, far down, of very little.
    const PAIRS: [(u32, u32); 17] = [
        (64, 64),
        (17, 16),
        (16, 17),
        (1_280, 960),
        (720, 540),
        (1_920, 1_280),
        (1_920, 960),
        (640, 1_280),
        (33, 99),
        (100, 51),
        (1_121, 161),
        (2_048, 16),
        (8_192, 16),
        (1, 16),
        (2, 16),
        (3, 640),
        (5, 3),
    ];

    /// A row as the first pass makes it, with what may be read past its end.
    fn row(filter: &Polyphase, from: u32, sample: impl Fn(usize) -> u8) -> Vec<i16> {
        let sample = |n: usize| i16::from(sample(n.min(from as usize - 1))) << BETWEEN_BITS;
        (0..from as usize + filter.taps()).map(sample).collect()
    }

    fn scaled(kernels: &Kernels, filter: &Polyphase, src: &[i16]) -> Vec<u8> {
        let mut dst = vec![9; filter.length().next_multiple_of(GROUP)];
        (kernels.filter_columns)(&mut dst, src, filter);
        dst.truncate(filter.length());
        dst
    }

    #[test]
    fn weights_add_up_and_stay_within_the_samples() {
        for (from, to) in PAIRS {
            let filter = Polyphase::bicubic(from, to);
            assert_eq!(filter.length(), to as usize);
            for n in 0..filter.length() {
                let (first, weights) = filter.of(n);
                assert_eq!(weights.iter().map(|w| i32::from(*w)).sum::<i32>(), 1 << ONE_BITS);
                let (begin, trimmed) = filter.trimmed(n);
                assert!(
                    begin >= first && begin + trimmed.len() <= from as usize,
                    "{from} {to} {n}"
                );
                let last = weights.iter().rposition(|w| *w != 0).unwrap();
                assert!(first + last < from as usize, "{from} {to} {n}");
            }
        }
    }

    #[test]
    fn every_level_gives_the_same_bytes_for_every_scaling() {
        let definition = Kernels::at(Level::Scalar);
        for kernels in all_that_this_cpu_has() {
            let level = kernels.level;
            for (from, to) in PAIRS {
                let filter = Polyphase::bicubic(from, to);
                for extreme in [None, Some(0), Some(255)] {
                    let noise = noise(u64::from(from), from as usize);
                    let src = row(&filter, from, |n| extreme.unwrap_or(noise[n]));
                    let expected = scaled(definition, &filter, &src);
                    assert!(scaled(kernels, &filter, &src) == expected, "{level:?} {from} {to}");
                }
            }
            for count in [1, 2, 3, 4, 5, 6, 7, 8, 15, 33] {
                let filter = Polyphase::bicubic(count, 1);
                let weights = filter.trimmed(0).1;
                for (len, stride) in [(0, 64), (1, 1), (31, 40), (32, 32), (33, 33), (640, 704)] {
                    let src = noise(u64::from(count), stride * weights.len() + len);
                    let (mut row, mut expected) = (vec![9; len], vec![9; len]);
                    (kernels.filter_rows)(&mut row, &src, stride, weights);
                    (definition.filter_rows)(&mut expected, &src, stride, weights);
                    assert!(row == expected, "{level:?} {count} rows of {len}");
                }
            }
        }
    }

    #[test]
    fn an_even_row_stays_as_it_is_and_a_ramp_stays_a_ramp() {
        let kernels = Kernels::at(Level::best());
        for (from, to) in PAIRS {
            let filter = Polyphase::bicubic(from, to);
            for value in [0, 16, 128, 235, 255] {
                let even = scaled(kernels, &filter, &row(&filter, from, |_| value));
                assert!(even.iter().all(|sample| *sample == value), "{from} {to} {value}");
            }
            let height = |n: f64| 20.0 + n * 200.0 / f64::from(from);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "20 to 220"
            )]
            let ramp = row(&filter, from, |n| height(n as f64).round() as u8);
            let reach = 2 * to.div_ceil(from) as usize + 2;
            let inner = reach..filter.length().saturating_sub(reach);
            for (n, sample) in scaled(kernels, &filter, &ramp).into_iter().enumerate() {
                let place = (n as f64 + 0.5) * f64::from(from) / f64::from(to) - 0.5;
                // At the ends the ramp is cut off, and small ones have steps.
                if inner.contains(&n) && from > 16 {
                    let error = f64::from(sample) - height(place);
                    assert!(error.abs() < 1.3, "{from} {to} {n}: {error}");
                }
            }
        }
    }
}
