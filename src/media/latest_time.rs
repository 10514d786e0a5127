//! Latest time: when something was said last, by whichever thread.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Micros;

/// The newest of the times at which something was said. Any thread may say and ask; nobody waits.
#[derive(Debug, Default)]
pub struct LatestTime(
    /// A microsecond more than the time; 0 before the first.
    AtomicU64,
);

impl LatestTime {
    /// It is said at `now`.
    pub fn note(&self, now: Micros) {
        // One that is later stands: threads have looked at the clock at different times.
        self.0.fetch_max(now.0.saturating_add(1), Ordering::Relaxed);
    }

    /// When it was said last, if it ever was.
    #[must_use]
    pub fn get(&self) -> Option<Micros> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_time_counts_whoever_says_so_first() {
        let latest = LatestTime::default();
        assert_eq!(latest.get(), None);
        latest.note(Micros(0));
        assert_eq!(latest.get(), Some(Micros(0)));
        latest.note(Micros(9));
        latest.note(Micros(7));
        assert_eq!(latest.get(), Some(Micros(9)));
    }
}
