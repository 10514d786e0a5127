//! Deadline sweep of a shard: a look at all deadlines, a few times a second.

use std::cell::Cell;

use crate::media::Micros;

/// How often: when control, which rings every shard's bell a few times a second, wakes us at this
/// distance or a larger one.
const EVERY: Micros = Micros::from_millis(150);

/// A shard that looks so much too late was not run. It hears its peers before it judges them.
const OVERSLEPT_MIN: Micros = Micros::from_secs(2);

/// The time of the next look.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    next: Cell<Micros>,
}

impl Sweeps {
    /// Whether there is a look to be taken at `now`.
    pub(super) fn are_due(&self, now: Micros) -> bool {
        now >= self.next.get()
    }

    /// Whether to look now; if so, that was the look.
    pub(super) fn begin(&self, now: Micros) -> bool {
        if !self.are_due(now) {
            return false;
        }
        let late = now.since(self.next.replace(now + EVERY));
        late < OVERSLEPT_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_looked_at_a_few_times_a_second() {
        let sweeps = Sweeps::default();
        let looks = (0..1_000).filter(|ms| sweeps.begin(Micros::from_millis(*ms))).count();
        assert_eq!(looks, 7);
    }

    #[test]
    fn after_a_stall_peers_are_heard_before_they_are_judged() {
        let sweeps = Sweeps::default();
        assert!(sweeps.begin(Micros::from_millis(100)));
        assert!(!sweeps.begin(Micros::from_secs(30)), "the sockets are read first");
        assert!(!sweeps.are_due(Micros::from_millis(30_100)));
        assert!(sweeps.begin(Micros::from_millis(30_150)));
    }
}
