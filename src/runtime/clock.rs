//! The only place that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::media::Micros;

/// Monotonic time since the node's start. Copies agree with each other, on every thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock whose time is zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the node")]
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(self) -> Micros {
        Micros(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Nanoseconds since the start: for the cost of what takes less than a microsecond.
    #[must_use]
    pub fn nanos(self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The clock that programs of this machine share, `CLOCK_MONOTONIC`: microseconds.
    #[must_use]
    pub fn monotonic_micros(self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call fills `now` in; the clock is one that every Linux has.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        u64::try_from(micros).unwrap_or(0)
    }

    /// The time of day: microseconds since 1970, UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the node")]
    pub fn unix_micros(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// The time of day: milliseconds since 1970, UTC.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        self.unix_micros() / 1_000
    }

    /// The time of day: seconds since 1970, UTC.
    #[must_use]
    pub fn unix_secs(self) -> u64 {
        self.unix_millis() / 1_000
    }
}
