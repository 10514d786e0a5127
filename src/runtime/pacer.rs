//! Frame pacer: the ticks of a channel on an absolute grid, never a sum of intervals.

use crate::media::{FrameRate, Micros};

/// How late a tick may be and still run. A hiccup of the machine then costs no picture: the queue
/// to the encoder absorbs it. What takes longer is an overload, and ticks are skipped.
pub const CATCH_UP: Micros = Micros::from_millis(250);

/// Gives out the ticks of a channel in order and says how many were missed.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    rate: FrameRate,
    start: Micros,
    next: u64,
}

/// What [`Pacer::slot`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing is due before this time.
    Wait(Micros),
    /// This tick is due now; `missed` earlier ones were not run in time and are skipped.
    Run {
        /// Number of the tick since the start.
        tick: u64,
        /// Ticks skipped right before it.
        missed: u64,
    },
}

impl Pacer {
    /// Ticks of `rate`, tick 0 due at `start`.
    #[must_use]
    pub const fn new(rate: FrameRate, start: Micros) -> Self {
        Self { rate, start, next: 0 }
    }

    /// Begins at `now`, or later if its start is: earlier ticks are left out, and none of them was
    /// missed. The first tick that runs.
    pub fn begin(&mut self, now: Micros) -> u64 {
        let passed = now - self.start;
        let tick = self.rate.tick_at(passed);
        let first = if self.rate.due(tick) < passed { tick + 1 } else { tick };
        self.next = self.next.max(first);
        self.next
    }

    /// When tick `tick` is due.
    #[must_use]
    pub fn due(&self, tick: u64) -> Micros {
        self.start + self.rate.due(tick)
    }

    /// What to do at `now`. Ticks up to [`CATCH_UP`] late still run, one after the other.
    pub fn slot(&mut self, now: Micros) -> Slot {
        let due = self.due(self.next);
        if now < due {
            return Slot::Wait(due);
        }
        let oldest = self.rate.tick_at((now - self.start) - CATCH_UP);
        let tick = self.next.max(oldest);
        let missed = tick - self.next;
        self.next = tick + 1;
        Slot::Run { tick, missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer() -> Pacer {
        Pacer::new(FrameRate::new(50, 1).unwrap(), Micros::from_millis(100))
    }

    #[test]
    fn ticks_come_in_order_and_not_before_they_are_due() {
        let mut pacer = pacer();
        assert_eq!(pacer.slot(Micros(0)), Slot::Wait(Micros::from_millis(100)));
        let ran = |tick| Slot::Run { tick, missed: 0 };
        assert_eq!(pacer.slot(Micros::from_millis(100)), ran(0));
        assert_eq!(pacer.slot(Micros::from_millis(101)), Slot::Wait(Micros::from_millis(120)));
        assert_eq!(pacer.slot(Micros::from_millis(125)), ran(1));
        assert_eq!(pacer.slot(Micros::from_millis(140)), ran(2));
    }

    #[test]
    fn a_short_delay_is_caught_up_and_a_long_one_skips_ticks() {
        let mut pacer = pacer();
        assert_eq!(pacer.slot(Micros::from_millis(119)), Slot::Run { tick: 0, missed: 0 });
        let hiccup = Micros::from_millis(100 + 240);
        for tick in 1..=12 {
            assert_eq!(pacer.slot(hiccup), Slot::Run { tick, missed: 0 });
        }
        assert_eq!(pacer.slot(hiccup), Slot::Wait(Micros::from_millis(360)));
        let overload = Micros::from_millis(100 + 1_250);
        assert_eq!(pacer.slot(overload), Slot::Run { tick: 50, missed: 37 });
        assert_eq!(pacer.slot(overload), Slot::Run { tick: 51, missed: 0 });
    }

    #[test]
    fn what_was_due_before_it_begins_is_left_out_and_not_missed() {
        let rate = FrameRate::new(50, 1).unwrap();
        let at = |ms| Micros::from_millis(1_000 + ms);
        for (now, first) in [(0, 0), (1, 1), (20, 1), (21, 2), (300, 15), (399, 20)] {
            let mut pacer = Pacer::new(rate, at(0));
            assert_eq!(pacer.begin(at(now)), first, "{now} ms");
            assert_eq!(pacer.slot(at(first * 20)), Slot::Run { tick: first, missed: 0 });
        }
        assert_eq!(Pacer::new(rate, at(0)).begin(Micros(0)), 0, "long before its start");
    }
}
