//! The node's time as people and programs are told it: milliseconds since 1970.

use std::fmt;
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

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
    let (at, ms) = (utc(unix_ms / 1_000), unix_ms % 1_000);
    let (date, hour, minute, second) = (at.date(), at.hour(), at.minute(), at.second());
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Seconds since 1970 as date and time for people, UTC.
#[must_use]
pub fn date(unix_s: u64) -> String {
    let at = utc(unix_s);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// Seconds since 1970 as a date, up to the year 9999.
fn utc(unix_s: u64) -> OffsetDateTime {
    let since = Duration::seconds(i64::try_from(unix_s).unwrap_or(i64::MAX));
    OffsetDateTime::UNIX_EPOCH.saturating_add(since)
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
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(u64::MAX), "9999-12-31 23:59 UTC");
    }
}
