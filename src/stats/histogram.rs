//! Histogram of durations: fixed buckets on a logarithmic scale, no allocation.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Counter;
use crate::media::Micros;

/// Upper bounds of the buckets, microseconds: six to a decade from 0.1 ms to 10 s. A quantile read
/// from them is at most half again too large.
pub const BOUNDS_US: [u64; 31] = [
    100, 150, 220, 330, 470, 680, // tenths of a millisecond
    1_000, 1_500, 2_200, 3_300, 4_700, 6_800, // milliseconds
    10_000, 15_000, 22_000, 33_000, 47_000, 68_000, // hundredths of a second
    100_000, 150_000, 220_000, 330_000, 470_000, 680_000, // tenths of a second
    1_000_000, 1_500_000, 2_200_000, 3_300_000, 4_700_000, 6_800_000, // seconds
    10_000_000,
];

/// The bounded buckets and one for all that is longer.
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// A distribution of durations with one writer at a time.
#[derive(Debug)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_us: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS], sum_us: Counter::default() }
    }
}

impl Histogram {
    /// Counts one duration. For the histogram's one writer.
    pub fn observe(&self, duration: Micros) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < duration.0);
        let count = &self.counts[bucket];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.sum_us.add(duration.0);
    }

    /// The distribution so far.
    #[must_use]
    pub fn read(&self) -> HistogramFigures {
        let counts = std::array::from_fn(|index| self.counts[index].load(Ordering::Relaxed));
        HistogramFigures { counts, sum_us: self.sum_us.get() }
    }
}

/// What a [`Histogram`] held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramFigures {
    counts: [u64; BUCKETS],
    sum_us: u64,
}

impl HistogramFigures {
    /// Durations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all durations, seconds.
    #[must_use]
    pub const fn sum_s(&self) -> f64 {
        Micros(self.sum_us).secs_f64()
    }

    /// What was counted after `earlier`, a reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(earlier.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts, sum_us: self.sum_us.saturating_sub(earlier.sum_us) }
    }

    /// Each bucket's upper bound in seconds (infinity for the last) and how many fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|bound| Micros(*bound).secs_f64());
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }

    /// The bound in seconds that the fraction `q` (0 to 1) of all durations stays within; `None`
    /// before the first. Beyond the last bound it is the last bound.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let wanted = (count as f64 * q).max(1.0);
        let mut seen = 0;
        for (bound, count) in self.buckets() {
            seen += count;
            if count > 0 && seen as f64 >= wanted {
                let longest = Micros(BOUNDS_US[BOUNDS_US.len() - 1]).secs_f64();
                return Some(bound.min(longest));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_duration_equal_to_a_bound_is_within_it() {
        let histogram = Histogram::default();
        for us in [100, 101, 10_000_000, 10_000_001] {
            histogram.observe(Micros(us));
        }
        let counts = histogram.read().counts;
        assert_eq!((counts[0], counts[1], counts[30], counts[31]), (1, 1, 1, 1));
    }

    #[test]
    fn quantiles_come_from_the_bucket_that_holds_them() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().quantile(0.5), None);
        for _ in 0..99 {
            histogram.observe(Micros::from_millis(9));
        }
        histogram.observe(Micros::from_secs(60));
        let figures = histogram.read();
        assert_eq!(figures.quantile(0.5), Some(0.010));
        assert_eq!(figures.quantile(0.0), Some(0.010));
        assert_eq!(figures.quantile(1.0), Some(10.0), "no quantile is infinite");
        assert_eq!(figures.count(), 100);
        assert!((figures.sum_s() - 60.891).abs() < 1e-9);
    }
}
