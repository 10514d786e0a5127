//! The only place that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::counter::{CounterFollower, counter_nanos};
use crate::media::{ClockState, Micros, Stamp};

/// Monotonic time since the node's start. Copies agree with each other, on every thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
    /// The same on `CLOCK_MONOTONIC`, nanoseconds.
    monotonic_epoch: u64,
}

impl Clock {
    /// A clock whose time is zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the node")]
    pub fn start() -> Self {
        Self { epoch: Instant::now(), monotonic_epoch: monotonic_nanos() }
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

    /// Time since the start as a stamp: by the CPU's counter where that is a clock, which takes a
    /// third of the time; else as [`Clock::now`].
    #[must_use]
    pub fn stamp(self) -> Stamp {
        if cfg!(feature = "no-trace") {
            return Stamp::NONE;
        }
        let monotonic = counter_nanos().unwrap_or_else(monotonic_nanos);
        Stamp::from_nanos(monotonic.saturating_sub(self.monotonic_epoch).max(1))
    }

    /// Compares the CPU's counter with the kernel's clock, if that is due.
    pub fn follow_counter(self, follower: &mut CounterFollower) {
        follower.look(monotonic_nanos);
    }

    /// The start on `CLOCK_MONOTONIC`, nanoseconds: what kernel traces have in common with stamps.
    #[must_use]
    pub const fn monotonic_epoch(self) -> u64 {
        self.monotonic_epoch
    }

    /// `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME` at one moment, nanoseconds.
    #[must_use]
    pub fn monotonic_and_boottime() -> [u64; 2] {
        [monotonic_nanos(), kernel_nanos(libc::CLOCK_BOOTTIME)]
    }

    /// The clock that programs of this machine share, `CLOCK_MONOTONIC`: microseconds.
    #[must_use]
    pub fn monotonic_micros(self) -> u64 {
        monotonic_nanos() / 1_000
    }

    /// The time of day: microseconds since 1970, UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock of the node")]
    pub fn unix_micros(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// The time of day at the start of this clock, microseconds since 1970, as the two are apart
    /// now. It moves when somebody sets the time of day; times of this clock do not.
    #[must_use]
    pub fn unix_at_start(self) -> u64 {
        let read = || {
            let before = self.nanos();
            let unix_us = self.unix_micros();
            (self.nanos() - before, unix_us.saturating_sub(before / 1_000))
        };
        // Of several readings the one that nothing came between.
        const READINGS: usize = 3;
        let quickest = (0..READINGS).map(|_| read()).min_by_key(|(took, _)| *took);
        quickest.map_or(0, |(_, unix_us)| unix_us)
    }

    /// What the kernel says of the time of day; `None` if it does not let us ask.
    #[must_use]
    pub fn state() -> Option<ClockState> {
        // SAFETY: all zeros are a `timex`, one that changes nothing.
        let mut about: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: the call fills `about` in; its `modes` are 0, so that it only asks.
        let state = unsafe { libc::adjtimex(&raw mut about) };
        if state < 0 {
            return None;
        }
        let is_synchronised = state != libc::TIME_ERROR && about.status & libc::STA_UNSYNC == 0;
        let error_max = Micros(u64::try_from(about.maxerror).unwrap_or(0));
        Some(ClockState { is_synchronised, error_max })
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

/// `CLOCK_MONOTONIC` by the kernel, nanoseconds.
fn monotonic_nanos() -> u64 {
    kernel_nanos(libc::CLOCK_MONOTONIC)
}

/// A clock of the kernel that counts from the machine's start, nanoseconds.
fn kernel_nanos(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills `now` in; the clock is one that every Linux has.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_the_clocks_own_time_after_that_of_its_start() {
        let clock = Clock::start();
        let (start, now) = (clock.unix_at_start(), clock.unix_micros());
        let by_clock = start + clock.now().0;
        assert!((now..now + 50_000).contains(&(by_clock + 5)), "{by_clock} is not {now}");
    }

    #[test]
    fn the_kernel_says_how_wrong_the_time_of_day_may_be() {
        // Where the call is forbidden, nothing is known; where it is not, a clock that is kept has
        // an error, which grows until it is set again.
        if let Some(state) = Clock::state().filter(|state| state.is_synchronised) {
            assert!(state.error_max > Micros(0), "{state:?}");
        }
    }

    #[test]
    fn a_stamp_is_the_time_of_the_clock_by_the_counter_as_by_the_kernel() {
        let (clock, mut follower) = (Clock::start(), CounterFollower::start());
        let mut before = Stamp::NONE;
        // Long enough for the counter to be measured, where it can be a clock.
        while clock.now() < Micros::from_millis(100) {
            clock.follow_counter(&mut follower);
            let (low, stamp, high) = (clock.nanos(), clock.stamp(), clock.nanos());
            assert!(stamp >= before, "{stamp:?} comes after {before:?}");
            let near = low.saturating_sub(50_000)..high + 50_000;
            assert!(near.contains(&stamp.nanos()), "{stamp:?} is not in {near:?}");
            before = stamp;
        }
    }
}
