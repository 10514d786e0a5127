//! The node's time as people and programs are told it: milliseconds since 1970.

use std::fmt;
use std::sync::Arc;

use crate::media::Micros;

/// The node's clock, and when that began. Clones tell the same time.
#[derive(Clone)]
pub struct Time {
    started_at: u64,
    now: Arc<dyn Fn() -> Micros + Send + Sync>,
}

impl Time {
    /// Of a node whose clock began at `started_at` milliseconds since 1970 and now says `now()`.
    #[must_use]
    pub fn new(started_at: u64, now: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self { started_at, now: Arc::new(now) }
    }

    /// When the node's clock began, milliseconds since 1970.
    #[must_use]
    pub const fn started_at(&self) -> u64 {
        self.started_at
    }

    /// The node's clock.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.now)()
    }

    /// A time of the node's clock in milliseconds since 1970. Unlike the time of day it never
    /// jumps, so that later events have later times.
    #[must_use]
    pub const fn unix_ms(&self, at: Micros) -> u64 {
        self.started_at.saturating_add(at.millis())
    }

    /// Now, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.unix_ms(self.now())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time(since {})", self.started_at)
    }
}

/// Milliseconds since 1970 as ISO 8601 in UTC.
#[must_use]
pub fn iso(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    let ([year, month, day], of_day) = calendar(seconds);
    let (hour, minute, second) = (of_day / 3_600, of_day % 3_600 / 60, of_day % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Seconds since 1970 as date and time for people, UTC.
#[must_use]
pub fn date(unix_s: u64) -> String {
    let ([year, month, day], of_day) = calendar(unix_s);
    let (hour, minute) = (of_day / 3_600, of_day % 3_600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Year, month and day of a second since 1970, and the seconds of that day (days to a date after
/// H. Hinnant's `civil_from_days`).
const fn calendar(unix_s: u64) -> ([u64; 3], u64) {
    let (days, of_day) = (unix_s / 86_400, unix_s % 86_400);
    let from_march = days + 719_468;
    let (era, of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    ([year, month, day], of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_clock_are_times_of_day() {
        let time = Time::new(1_000_000, || Micros::from_millis(250));
        assert_eq!(time.now_ms(), 1_000_250);
        assert_eq!(time.unix_ms(Micros::from_secs(2)), 1_002_000);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(951_782_400_007), "2000-02-29T00:00:00.007Z");
        assert_eq!(iso(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
    }
}
