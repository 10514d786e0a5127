//! Time zone of a schedule: local times to instants, also on the days when its clocks change.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::scene::time_format::time_zone;

/// Name of the zone that is taken where none is said.
const UTC: &str = "UTC";

/// A time zone of the IANA database, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: UTC.to_owned(), rules: TimeZone::UTC }
    }
}

impl Zone {
    /// The zone of this name, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// If there is none; says what a name is like.
    pub fn named(name: &str) -> Result<Self, String> {
        let rules = time_zone(name)?;
        Ok(Self { name: name.to_owned(), rules })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When a local time is, milliseconds since 1970. One that there is twice, because clocks are
    /// put back, is the first of both; one that there is not, because clocks are put forward, is
    /// the moment when they are. `None` before 1970 and after the year 9999.
    #[must_use]
    pub fn instant(&self, at: DateTime) -> Option<u64> {
        let local = self.rules.to_ambiguous_timestamp(at);
        let timestamp = match local.offset() {
            AmbiguousOffset::Gap { before, .. } => {
                let beyond = before.to_timestamp(at).ok()?;
                // The jump may be at this very moment.
                let beyond = beyond.checked_add(SignedDuration::from_secs(1)).ok()?;
                self.rules.preceding(beyond).next()?.timestamp()
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
                local.earlier().ok()?
            }
        };
        u64::try_from(timestamp.as_millisecond()).ok()
    }

    /// The local time at an instant, milliseconds since 1970, at most the year 9999.
    #[must_use]
    pub fn local(&self, unix_ms: u64) -> DateTime {
        timestamp(unix_ms).to_zoned(self.rules.clone()).datetime()
    }

    /// The same for people, such as `Sun 2026-03-29 03:00:00 CEST`.
    #[must_use]
    pub fn words(&self, unix_ms: u64) -> String {
        let at = timestamp(unix_ms).to_zoned(self.rules.clone());
        at.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }

    /// The same for programs, to the millisecond and with the offset from UTC, such as
    /// `2026-03-29T03:00:00.000+02:00`.
    #[must_use]
    pub fn iso(&self, unix_ms: u64) -> String {
        let at = timestamp(unix_ms).to_zoned(self.rules.clone());
        at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }
}

/// An instant, at most the end of the year 9999.
fn timestamp(unix_ms: u64) -> Timestamp {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
