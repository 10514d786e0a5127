//! Read pacing: of few publishers each message is read as it comes; of many, all sockets are looked
//! at together every two milliseconds, because waking for each message would be most of its cost.

use crate::media::Micros;

/// How often sockets are looked at while there is much to read: the most that a message waits.
const INTERVAL: Micros = Micros::from_millis(2);

/// Reads per second from which looking by the clock costs less than waking for each.
const BUSY_READS: u64 = 2_000;

/// Reads per second below which it no longer does.
const CALM_READS: u64 = 1_000;

/// How often it is decided again.
const PERIOD: Micros = Micros::from_millis(100);

/// Decides whether a driver sleeps until a socket is ready, or until the next look.
#[derive(Debug, Default)]
pub(super) struct ReadPacing {
    paced: bool,
    reads: u64,
    judged: Micros,
    looked: Micros,
}

impl ReadPacing {
    /// A socket was read.
    pub(super) const fn has_read(&mut self) {
        self.reads += 1;
    }

    /// When sockets are to be looked at next; `None` as soon as one is ready.
    pub(super) fn next_look(&self) -> Option<Micros> {
        self.paced.then(|| self.looked + INTERVAL)
    }

    /// Sockets are looked at.
    pub(super) const fn look(&mut self, now: Micros) {
        self.looked = now;
    }

    /// Decides, a few times a second, which way costs less.
    pub(super) fn judge(&mut self, now: Micros) {
        let passed = now.since(self.judged);
        if passed < PERIOD {
            return;
        }
        let rate = self.reads.saturating_mul(1_000_000) / passed.0;
        (self.reads, self.judged) = (0, now);
        let paced = rate >= if self.paced { CALM_READS } else { BUSY_READS };
        if paced != self.paced {
            tracing::debug!("{rate} reads a second: sockets are read by the clock: {paced}");
            self.paced = paced;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_decides_while_there_is_much_to_read() {
        let mut pacing = ReadPacing::default();
        let at = |millis: u64| Micros::from_millis(1_000 + millis);
        pacing.judge(at(0));
        for (millis, reads, paced) in [
            (100, 150, false),
            (200, 210, true),
            (300, 150, true),
            (350, 0, true),
            (400, 90, false),
        ] {
            (0..reads).for_each(|_| pacing.has_read());
            pacing.judge(at(millis));
            assert_eq!(pacing.next_look().is_some(), paced, "{reads} reads until {millis} ms");
        }
    }

    #[test]
    fn looks_are_two_milliseconds_apart() {
        let mut pacing = ReadPacing::default();
        (0..300).for_each(|_| pacing.has_read());
        pacing.judge(Micros::from_millis(100));
        pacing.look(Micros(100_700));
        assert_eq!(pacing.next_look(), Some(Micros(102_700)));
    }
}
