//! Log-linear histogram: durations from a microsecond to a minute to within a sixteenth, in fixed
//! memory, with one writer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Counter;
use crate::media::Micros;

/// Buckets of each doubling, as a power of two: a figure is at most 1/16 too large.
const SPLIT_BITS: u32 = 4;

/// Buckets of each doubling.
const SPLIT: u64 = 1 << SPLIT_BITS;

/// Durations from 2^26 us (67 s) on are counted as that long.
const RANGE_BITS: u32 = 26;

/// The bounded buckets and one for all that is longer.
const BUCKETS: usize = (((RANGE_BITS - SPLIT_BITS + 1) as usize) << SPLIT_BITS) + 1;

/// The bucket of a duration.
fn bucket_of(us: u64) -> usize {
    let bucket = match us {
        0..SPLIT => us,
        us if us >> RANGE_BITS > 0 => return BUCKETS - 1,
        us => {
            let doubling = us.ilog2() - SPLIT_BITS;
            u64::from(doubling) * SPLIT + (us >> doubling)
        }
    };
    usize::try_from(bucket).unwrap_or(BUCKETS - 1)
}

/// The longest duration of a bucket, microseconds.
const fn bound_of(bucket: usize) -> u64 {
    let (bucket, split) = (bucket as u64, SPLIT);
    if bucket < split {
        return bucket;
    }
    let (doubling, part) = (bucket / split - 1, bucket % split);
    ((split + part + 1) << doubling) - 1
}

/// A distribution of durations with one writer at a time. Distributions of several threads, or
/// nodes, add up: see [`LogFigures::add`].
#[derive(Debug)]
pub struct LogHistogram {
    counts: [AtomicU64; BUCKETS],
    sum_us: Counter,
    max_us: AtomicU64,
}

impl Default for LogHistogram {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum_us: Counter::default(),
            max_us: AtomicU64::new(0),
        }
    }
}

impl LogHistogram {
    /// Counts one duration. For the histogram's one writer.
    pub fn observe(&self, duration: Micros) {
        if cfg!(feature = "no-trace") {
            return;
        }
        let count = &self.counts[bucket_of(duration.0)];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.sum_us.add(duration.0);
        if duration.0 > self.max_us.load(Ordering::Relaxed) {
            self.max_us.store(duration.0, Ordering::Relaxed);
        }
    }

    /// The distribution so far. For any thread.
    #[must_use]
    pub fn read(&self) -> LogFigures {
        let counts = self.counts.iter().enumerate();
        let counts = counts.filter_map(|(bucket, count)| {
            let count = count.load(Ordering::Relaxed);
            let bucket = u16::try_from(bucket).unwrap_or(u16::MAX);
            (count > 0).then_some((bucket, count))
        });
        LogFigures {
            counts: counts.collect(),
            sum_us: self.sum_us.get(),
            max_us: self.max_us.load(Ordering::Relaxed),
        }
    }
}

/// Powers of two that bound the buckets that are exported, microseconds: from 64 us to 8 s. The
/// same on all nodes, so that they add up.
pub const EXPORTED_BITS: std::ops::RangeInclusive<u32> = 6..=23;

/// What a [`LogHistogram`] has counted, or several of them together: the buckets in use alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFigures {
    /// Buckets, ascending, and what was counted in each.
    counts: Vec<(u16, u64)>,
    sum_us: u64,
    max_us: u64,
}

impl LogFigures {
    /// Durations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Sum of all durations.
    #[must_use]
    pub const fn sum(&self) -> Micros {
        Micros(self.sum_us)
    }

    /// The longest duration: exact since the start, else to within a sixteenth.
    #[must_use]
    pub const fn max(&self) -> Micros {
        Micros(self.max_us)
    }

    /// Adds what another histogram has counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            match self.counts.binary_search_by_key(bucket, |(bucket, _)| *bucket) {
                Ok(at) => self.counts[at].1 += count,
                Err(at) => self.counts.insert(at, (*bucket, *count)),
            }
        }
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// What was counted after `earlier`, a reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: &u16| {
            let at = earlier.counts.binary_search_by_key(bucket, |(bucket, _)| *bucket);
            at.map_or(0, |at| earlier.counts[at].1)
        };
        let counts = self.counts.iter().filter_map(|(bucket, count)| {
            let since = count.saturating_sub(before(bucket));
            (since > 0).then_some((*bucket, since))
        });
        let counts: Vec<_> = counts.collect();
        let longest = counts.last().map_or(0, |(bucket, _)| bound_of(usize::from(*bucket)));
        let is_new = self.max_us > earlier.max_us;
        Self {
            counts,
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
            max_us: if is_new { self.max_us } else { longest.min(self.max_us) },
        }
    }

    /// The duration that the fraction `q` (0 to 1) of all stay within, at most a sixteenth too
    /// long; `None` before the first.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Micros> {
        let wanted = (self.count() as f64 * q).max(1.0);
        let mut seen = 0;
        let bucket = self.counts.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        bucket.map(|(bucket, _)| Micros(bound_of(usize::from(*bucket)).min(self.max_us)))
    }

    /// How many durations are shorter than each power of two of [`EXPORTED_BITS`], in seconds, and
    /// how many there are in all (under infinity); each without those of the bound before it.
    pub fn octaves(&self) -> impl Iterator<Item = (f64, u64)> {
        let within = |bits: u32| {
            let short = self
                .counts
                .iter()
                .filter(move |(bucket, _)| bound_of(usize::from(*bucket)) < 1 << bits);
            short.map(|(_, count)| count).sum::<u64>()
        };
        let mut before = 0;
        let mut part = move |all: u64| all - std::mem::replace(&mut before, all);
        let bounds = EXPORTED_BITS.map(move |bits| (Micros(1 << bits).secs_f64(), within(bits)));
        bounds.chain([(f64::INFINITY, self.count())]).map(move |(le, all)| (le, part(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_duration_lies_in_its_bucket_and_the_buckets_follow_each_other() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(bound_of(bucket)), bucket);
            assert_eq!(bucket_of(bound_of(bucket) + 1), bucket + 1);
        }
        assert_eq!(bound_of(BUCKETS - 2) + 1, 1 << RANGE_BITS);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_window_counts_what_came_in_it() {
        let histogram = LogHistogram::default();
        (0..99).for_each(|_| histogram.observe(Micros::from_millis(9)));
        histogram.observe(Micros(1_234_567));
        let first = histogram.read();
        assert_eq!((first.count(), first.max()), (100, Micros(1_234_567)));
        assert_eq!(first.sum(), Micros(99 * 9_000 + 1_234_567));
        histogram.observe(Micros::from_millis(50));
        let window = histogram.read().since(&first);
        assert_eq!((window.count(), window.sum()), (1, Micros::from_millis(50)));
        assert!((50_000..=53_125).contains(&window.max().0), "{window:?}");
        assert_eq!(LogFigures::default().quantile(0.5), None);
    }

    #[test]
    fn buckets_for_export_hold_everything_once() {
        let histogram = LogHistogram::default();
        for us in [0, 63, 64, 127, 128, 8_388_607, 8_388_608, u64::MAX >> 20] {
            histogram.observe(Micros(us));
        }
        let octaves: Vec<_> = histogram.read().octaves().collect();
        assert_eq!(octaves.len(), 19);
        assert_eq!([octaves[0], octaves[1], octaves[2]], [(64e-6, 2), (128e-6, 2), (256e-6, 1)]);
        assert_eq!((octaves[17], octaves[18]), ((8.388_608, 1), (f64::INFINITY, 2)));
    }

    proptest! {
        #[test]
        fn quantiles_are_a_sixteenth_too_long_at_most_and_those_of_threads_add_up(
            mut all in prop::collection::vec(0..60_000_000_u64, 1..200), q in 0.0..=1.0_f64,
        ) {
            let threads = [LogHistogram::default(), LogHistogram::default()];
            let whole = LogHistogram::default();
            for (at, us) in all.iter().enumerate() {
                threads[at % 2].observe(Micros(*us));
                whole.observe(Micros(*us));
            }
            let mut sum = threads[0].read();
            sum.add(&threads[1].read());
            prop_assert_eq!(&sum, &whole.read());
            all.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let place = ((all.len() as f64 * q).ceil().max(1.0) as usize).min(all.len()) - 1;
            let (exact, told) = (all[place], sum.quantile(q).unwrap().0);
            prop_assert!(told >= exact && told - exact <= exact / 16 + 1, "{told} for {exact}");
        }
    }
}
