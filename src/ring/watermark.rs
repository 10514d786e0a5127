//! Drop or not, decided by how full a queue is, with hysteresis.

/// Opens and closes by the length of a queue: closed from `high` up, open again from `low` down.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    high: usize,
    low: usize,
    closed: bool,
}

impl Gate {
    /// The usual marks for a queue of `capacity`: high at 75 %, low at 25 %.
    #[must_use]
    pub fn for_capacity(capacity: usize) -> Self {
        let high = (capacity * 3 / 4).max(1);
        Self { high, low: (capacity / 4).min(high - 1), closed: false }
    }

    /// Whether one more may enter a queue that now holds `length`.
    pub const fn admits(&mut self, length: usize) -> bool {
        if length >= self.high {
            self.closed = true;
        } else if length <= self.low {
            self.closed = false;
        }
        !self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closes_at_the_high_mark_and_stays_closed_to_the_low_one() {
        let mut gate = Gate::for_capacity(8);
        let admitted: Vec<_> = [0, 5, 6, 5, 3, 2, 3, 5].map(|n| gate.admits(n)).into();
        assert_eq!(admitted, [true, true, false, false, false, true, true, true]);
    }

    #[test]
    fn a_queue_of_one_still_opens_again() {
        let mut gate = Gate::for_capacity(1);
        assert!(gate.admits(0));
        assert!(!gate.admits(1));
        assert!(gate.admits(0));
    }
}
