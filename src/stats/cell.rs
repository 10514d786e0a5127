//! Single figures: what one thread counts and any thread may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows and has one writer at a time.
///
/// Adding is a load, an add and a store: no locked instruction, and nothing another core could wait
/// for. Two threads that add at once lose counts (never more than that), so each counter belongs to
/// one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. For the counter's one writer.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that only grows and that several threads add to. Dearer than [`Counter`]: for what is
/// rare.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down; the last one written stands.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Sets it to a count of things.
    pub fn set_count(&self, count: usize) {
        self.set(count as f64);
    }

    /// What was set last, as a count of things: whole, and never negative.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub fn get_count(&self) -> u64 {
        self.get() as u64
    }

    /// What was set last; zero at first.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// One counter per value of an enum, indexed by its discriminant.
pub(super) fn read_all<const N: usize>(counters: &[Counter; N]) -> [u64; N] {
    std::array::from_fn(|index| counters[index].get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_keeps_what_its_writer_adds() {
        let counter = Counter::default();
        counter.add(2);
        counter.add(40);
        assert_eq!(counter.get(), 42);
    }

    #[test]
    fn a_shared_counter_loses_nothing_between_threads() {
        let counter = SharedCounter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.get(), 40_000);
    }

    #[test]
    fn a_gauge_starts_at_zero_and_holds_fractions() {
        let gauge = Gauge::default();
        assert!(gauge.get().abs() < f64::EPSILON);
        gauge.set(29.97);
        assert!((gauge.get() - 29.97).abs() < f64::EPSILON);
        gauge.set_count(3);
        assert_eq!(gauge.get_count(), 3);
    }
}
