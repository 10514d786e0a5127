//! Dropped frames of a channel by hour of the clock, in a fixed number of counts.

/// Hours that are kept. An older one is forgotten when a new one begins.
pub(super) const HOURS_KEPT: usize = 24;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;

/// What was dropped in each of the last [`HOURS_KEPT`] hours of the clock (UTC).
#[derive(Debug, Default)]
pub(super) struct DroppedByHour {
    /// The hour of the last count, since 1970.
    hour: u64,
    /// What had been dropped at the last look.
    total: u64,
    /// Oldest first; the last one is the hour that goes on.
    counts: [u64; HOURS_KEPT],
}

impl DroppedByHour {
    /// At `now_ms`, milliseconds since 1970, `total` frames have been dropped since the start. A
    /// smaller total than before is that of a channel that was started again.
    pub(super) fn look(&mut self, total: u64, now_ms: u64) -> [u64; HOURS_KEPT] {
        let hour = now_ms / HOUR_MS;
        // A clock that was set back counts on in the same hour.
        let passed = hour.saturating_sub(self.hour);
        self.hour = self.hour.max(hour);
        let passed = usize::try_from(passed).unwrap_or(HOURS_KEPT).min(HOURS_KEPT);
        self.counts.rotate_left(passed);
        self.counts[HOURS_KEPT - passed..].fill(0);
        let fresh = total.checked_sub(self.total).unwrap_or(total);
        self.total = total;
        self.counts[HOURS_KEPT - 1] += fresh;
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_has_its_count_and_the_oldest_is_forgotten() {
        let mut hours = DroppedByHour::default();
        let first = 500_000 * HOUR_MS;
        assert_eq!(hours.look(3, first + 5)[23], 3, "what was dropped before the first look");
        assert_eq!(hours.look(7, first + HOUR_MS - 1)[23], 7);
        let next = hours.look(9, first + HOUR_MS);
        assert_eq!((next[22], next[23]), (7, 2));
        let later = hours.look(9, first + 4 * HOUR_MS);
        assert_eq!(later[19..], [7, 2, 0, 0, 0]);
        assert_eq!(later.iter().sum::<u64>(), 9);
        let last = hours.look(10, first + 23 * HOUR_MS);
        assert_eq!((last[0], last[1], last[23]), (7, 2, 1));
        assert_eq!(hours.look(10, first + 24 * HOUR_MS)[0], 2);
        assert_eq!(hours.look(10, first + 1_000 * HOUR_MS), [0; HOURS_KEPT]);
    }

    #[test]
    fn a_channel_that_was_started_again_and_a_clock_that_was_set_back_lose_nothing() {
        let mut hours = DroppedByHour::default();
        let now = 500_000 * HOUR_MS;
        hours.look(100, now);
        assert_eq!(hours.look(4, now)[23], 104);
        assert_eq!(hours.look(5, now - HOUR_MS)[23], 105);
        assert_eq!(hours.look(6, now)[22..], [0, 106]);
    }
}
