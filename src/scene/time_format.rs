//! Time format: the text that a clock or a countdown shows at an instant.

use std::fmt::{self, Write as _};

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::StdFmtWrite;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Most characters that are shown; further ones are cut off.
pub const TIME_CHARS_MAX: usize = 64;

/// What a clock shows if nothing else is said.
pub const TIME_OF_DAY: &str = "%H:%M:%S%.3f";

/// What a countdown shows if nothing else is said.
pub const HOURS: &str = "%H:%M:%S";

/// Name of the time zone that is taken if none is said.
pub const UTC: &str = "UTC";

/// Milliseconds of a second.
const SECOND_MS: u64 = 1_000;

/// What letters of a format make a text out of the parts of a time, and not figures.
const NAMES: &str = "AaBbhpPZcrvQ";

/// What a clock shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    zone: Zone,
    pattern: String,
    shown: Shown,
}

/// What is shown of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shown {
    /// The time itself.
    Now,
    /// How long it takes to a moment; and the text when that is over.
    Until(Moment, String),
    /// How long a moment has been over.
    Since(Moment),
}

/// A time zone with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Zone {
    name: String,
    rules: TimeZone,
}

/// An instant as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    text: String,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Once(Timestamp),
    /// At this time of every day.
    Daily(Time),
}

/// Which of the times a format is of, in the words of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts<'a> {
    /// The time itself.
    Not,
    /// Down to this moment, and what is shown from then on.
    Down(&'a str, &'a str),
    /// Up from this moment.
    Up(&'a str),
}

impl Default for TimeFormat {
    /// The time of day to the millisecond, UTC.
    fn default() -> Self {
        let zone = Zone { name: UTC.to_owned(), rules: TimeZone::UTC };
        Self { zone, pattern: TIME_OF_DAY.to_owned(), shown: Shown::Now }
    }
}

impl TimeFormat {
    /// The time of day in a zone of the IANA database, as `strftime` has it.
    ///
    /// # Errors
    /// What is wrong with the zone or the pattern.
    pub fn clock(timezone: &str, pattern: &str) -> Result<Self, String> {
        let zone = Zone::named(timezone)?;
        let all = Self { zone, pattern: pattern.to_owned(), shown: Shown::Now };
        all.write_time(0, &mut TimeText::default()).map_err(|error| {
            format!(
                "{pattern:?} is no format of a time: {error}; write it as for `date`, such as \
                 {TIME_OF_DAY:?}"
            )
        })?;
        Ok(all)
    }

    /// How long it takes to `until`, and `finished` from then on. A time of day comes every day.
    ///
    /// # Errors
    /// What is wrong with the moment, the zone or the pattern.
    pub fn countdown(
        timezone: &str,
        pattern: &str,
        (until, finished): (&str, &str),
    ) -> Result<Self, String> {
        let zone = Zone::named(timezone)?;
        let moment = Moment::read(until, &zone)?;
        check_span(pattern)?;
        Ok(Self {
            zone,
            pattern: pattern.to_owned(),
            shown: Shown::Until(moment, finished.to_owned()),
        })
    }

    /// How long `since` has been over. A time of day comes every day.
    ///
    /// # Errors
    /// What is wrong with the moment, the zone or the pattern.
    pub fn count_up(timezone: &str, pattern: &str, since: &str) -> Result<Self, String> {
        let zone = Zone::named(timezone)?;
        let moment = Moment::read(since, &zone)?;
        check_span(pattern)?;
        Ok(Self { zone, pattern: pattern.to_owned(), shown: Shown::Since(moment) })
    }

    /// The zone's name.
    #[must_use]
    pub fn timezone(&self) -> &str {
        &self.zone.name
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What it counts.
    #[must_use]
    pub fn counts(&self) -> Counts<'_> {
        match &self.shown {
            Shown::Now => Counts::Not,
            Shown::Until(moment, finished) => Counts::Down(&moment.text, finished),
            Shown::Since(moment) => Counts::Up(&moment.text),
        }
    }

    /// Every character that it may show.
    #[must_use]
    pub fn characters(&self) -> Vec<char> {
        let mut all: Vec<char> = ('0'..='9').chain(self.pattern.chars()).collect();
        if let Shown::Until(_, finished) = &self.shown {
            all.extend(finished.chars());
        }
        if self.shown == Shown::Now {
            // Parts of a time that hold others bring their separators.
            all.extend(":/.-+ ".chars());
            let named = self.pattern.split('%').skip(1);
            let letter = |part: &str| part.chars().find(char::is_ascii_alphabetic);
            if named.filter_map(letter).any(|letter| NAMES.contains(letter)) {
                all.extend(('A'..='Z').chain('a'..='z'));
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Writes the text at an instant.
    pub fn write(&self, unix_ms: u64, text: &mut TimeText) {
        text.clear();
        match &self.shown {
            // The pattern was tried when it was read.
            Shown::Now => drop(self.write_time(unix_ms, text)),
            Shown::Until(moment, finished) => {
                match moment.next(unix_ms, &self.zone.rules).checked_sub(unix_ms) {
                    None | Some(0) if !finished.is_empty() => text.push(finished),
                    // At zero it is over.
                    left => self.write_span(left.unwrap_or(0).div_ceil(SECOND_MS), text),
                }
            }
            Shown::Since(moment) => {
                let gone = unix_ms.saturating_sub(moment.last(unix_ms, &self.zone.rules));
                self.write_span(gone / SECOND_MS, text);
            }
        }
    }

    fn write_time(&self, unix_ms: u64, text: &mut TimeText) -> Result<(), jiff::Error> {
        let zoned = timestamp(unix_ms).to_zoned(self.zone.rules.clone());
        BrokenDownTime::from(&zoned).format(&self.pattern, StdFmtWrite(text))
    }

    fn write_span(&self, seconds: u64, text: &mut TimeText) {
        let mut left = seconds;
        // What larger parts are there for is not in the smaller ones.
        let mut take = |unit: u64, is_there: bool| {
            let count = if is_there { left / unit } else { 0 };
            left -= count * unit;
            count
        };
        let has = |letter: char| {
            parts(&self.pattern)
                .any(|part| part == Part::Unit(letter, true) || part == Part::Unit(letter, false))
        };
        let days = take(86_400, has('d'));
        let hours = take(3_600, has('H'));
        let minutes = take(60, has('M'));
        let seconds = left;
        for part in parts(&self.pattern) {
            match part {
                Part::Text(piece) => text.push(piece),
                Part::Unit(letter, padded) => {
                    let (count, width) = match letter {
                        'd' => (days, 1),
                        'H' => (hours, 2),
                        'M' => (minutes, 2),
                        _ => (seconds, 2),
                    };
                    let width = if padded { width } else { 1 };
                    // Writing into it does not fail.
                    write!(text, "{count:0width$}").ok();
                }
                Part::Unknown(_) => {}
            }
        }
    }
}

/// The rules of the time zone of this name, such as `Europe/Berlin`.
///
/// # Errors
/// If there is none; says what a name is like.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!(
            "{name:?} is no time zone; name one of the IANA database, such as \
             \"Europe/Berlin\" or \"UTC\""
        )
    })
}

impl Zone {
    fn named(name: &str) -> Result<Self, String> {
        let rules = time_zone(name)?;
        Ok(Self { name: name.to_owned(), rules })
    }
}

impl Moment {
    fn read(text: &str, zone: &Zone) -> Result<Self, String> {
        let of_zone = |at: DateTime| zone.rules.to_timestamp(at).ok();
        let at = if let Ok(at) = text.parse::<Timestamp>() {
            Some(At::Once(at))
        } else if let Ok(time) = text.parse::<Time>()
            && !text.contains(['-', 'T'])
        {
            Some(At::Daily(time))
        } else if let Ok(at) = text.parse::<DateTime>() {
            of_zone(at).map(At::Once)
        } else {
            text.parse::<Date>().ok().and_then(|date| of_zone(date.at(0, 0, 0, 0))).map(At::Once)
        };
        let at = at.filter(|at| !matches!(at, At::Once(at) if at.as_millisecond() < 0));
        let at = at.ok_or_else(|| {
            format!(
                "{text:?} is no moment since 1970; write \"2026-12-31T23:59:59\", the same with an \
                 offset such as \
                 \"+01:00\", or a time of every day such as \"20:15:00\""
            )
        })?;
        Ok(Self { text: text.to_owned(), at })
    }

    /// When it comes, Unix time in milliseconds; when it came, if once.
    fn next(&self, unix_ms: u64, rules: &TimeZone) -> u64 {
        match self.at {
            At::Once(at) => millis(at),
            At::Daily(time) => [-1, 0, 1, 2]
                .into_iter()
                .map(|days| on_day(unix_ms, days, time, rules))
                .find(|at| *at > unix_ms)
                .unwrap_or(unix_ms),
        }
    }

    /// When it came last, Unix time in milliseconds; when it comes, if once.
    fn last(&self, unix_ms: u64, rules: &TimeZone) -> u64 {
        match self.at {
            At::Once(at) => millis(at),
            At::Daily(time) => [1, 0, -1, -2]
                .into_iter()
                .map(|days| on_day(unix_ms, days, time, rules))
                .find(|at| *at <= unix_ms)
                .unwrap_or(unix_ms),
        }
    }
}

/// A time of the day that is so many after the day of an instant.
fn on_day(unix_ms: u64, days: i64, time: Time, rules: &TimeZone) -> u64 {
    let today = rules.to_datetime(timestamp(unix_ms)).date();
    let day = today.saturating_add(days.days());
    rules.to_timestamp(day.to_datetime(time)).map_or(unix_ms, millis)
}

fn timestamp(unix_ms: u64) -> Timestamp {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// A part of a span's pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    /// A unit by its letter, and whether it has two digits at least.
    Unit(char, bool),
    /// What stands behind a `%` and means nothing.
    Unknown(&'a str),
}

/// The parts of a span's pattern.
fn parts(mut pattern: &str) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let first = pattern.chars().next()?;
        let length = if first != '%' {
            pattern.find('%').unwrap_or(pattern.len())
        } else if pattern[1..].starts_with('-') {
            2 + pattern[2..].chars().next().map_or(0, char::len_utf8)
        } else {
            1 + pattern[1..].chars().next().map_or(0, char::len_utf8)
        };
        let part;
        (part, pattern) = pattern.split_at(length);
        Some(match part {
            "%d" | "%-d" => Part::Unit('d', false),
            "%H" => Part::Unit('H', true),
            "%M" => Part::Unit('M', true),
            "%S" => Part::Unit('S', true),
            "%-H" => Part::Unit('H', false),
            "%-M" => Part::Unit('M', false),
            "%-S" => Part::Unit('S', false),
            "%%" => Part::Text("%"),
            part if first == '%' => Part::Unknown(part),
            part => Part::Text(part),
        })
    })
}

fn check_span(pattern: &str) -> Result<(), String> {
    let unknown = parts(pattern).find_map(|part| match part {
        Part::Unknown(part) => Some(part),
        _ => None,
    });
    match unknown {
        Some(part) => Err(format!(
            "{part:?} in {pattern:?}: a span of time has %d days, %H, %M and %S, each with a `-` \
             before its letter for no leading zero, and %% for a percent sign"
        )),
        None => Ok(()),
    }
}

/// A short text in a place of its own.
#[derive(Clone, Debug)]
pub struct TimeText {
    chars: [char; TIME_CHARS_MAX],
    length: usize,
}

impl Default for TimeText {
    fn default() -> Self {
        Self { chars: ['\0'; TIME_CHARS_MAX], length: 0 }
    }
}

impl TimeText {
    /// Its characters.
    #[must_use]
    pub fn chars(&self) -> &[char] {
        &self.chars[..self.length]
    }

    fn clear(&mut self) {
        self.length = 0;
    }

    fn push(&mut self, text: &str) {
        for (free, c) in self.chars[self.length..].iter_mut().zip(text.chars()) {
            *free = c;
            self.length += 1;
        }
    }
}

impl fmt::Write for TimeText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &TimeFormat, unix_ms: u64) -> String {
        let mut text = TimeText::default();
        format.write(unix_ms, &mut text);
        text.chars().iter().collect()
    }

    /// 2023-11-14T22:13:20.123Z.
    const NOW: u64 = 1_700_000_000_123;

    #[test]
    fn a_clock_shows_the_time_of_its_zone_as_its_pattern_says() {
        for (zone, pattern, expected) in [
            ("UTC", TIME_OF_DAY, "22:13:20.123"),
            ("Europe/Berlin", "%H:%M", "23:13"),
            ("Asia/Kolkata", "%I:%M %p", "03:43 AM"),
            ("America/New_York", "%A, %-d %B %Y", "Tuesday, 14 November 2023"),
            ("UTC", "100 %%, %d.%m.", "100 %, 14.11."),
        ] {
            let clock = TimeFormat::clock(zone, pattern).unwrap();
            assert_eq!(shown(&clock, NOW), expected);
            let known = clock.characters();
            assert!(expected.chars().all(|c| known.contains(&c)), "{pattern}");
        }
        let clock = TimeFormat::clock("UTC", TIME_OF_DAY).unwrap();
        assert_eq!(shown(&clock, 0), "00:00:00.000");
        assert_eq!(shown(&clock, 20_000 * 86_400_000 - 1), "23:59:59.999");
    }

    #[test]
    fn summer_time_begins_and_ends_as_the_zone_has_it() {
        let clock = TimeFormat::clock("Europe/Berlin", "%H:%M:%S").unwrap();
        // 2024-03-31 01:00 and 2024-10-27 01:00 UTC.
        for (at, before, after) in [
            (1_711_846_800_000, "01:59:59", "03:00:00"),
            (1_729_990_800_000, "02:59:59", "02:00:00"),
        ] {
            assert_eq!(
                (shown(&clock, at - 1), shown(&clock, at)),
                (before.to_owned(), after.to_owned())
            );
        }
    }

    #[test]
    fn a_countdown_ends_at_its_moment_and_its_largest_part_takes_the_rest() {
        let at = NOW - 123 + 90_061_000;
        let moment = "2023-11-15T23:14:21Z";
        let down = |pattern| TimeFormat::countdown("UTC", pattern, (moment, "Now!")).unwrap();
        assert_eq!(shown(&down(HOURS), NOW), "25:01:01");
        assert_eq!(shown(&down("%d d %-H h"), NOW), "1 d 1 h");
        assert_eq!(shown(&down("%M:%S"), NOW), "1501:01");
        assert_eq!(shown(&down(HOURS), at - 1), "00:00:01");
        assert_eq!(shown(&down(HOURS), at), "Now!");
        assert_eq!(shown(&down(HOURS), at + 5_000), "Now!");
        let silent = TimeFormat::countdown("UTC", HOURS, (moment, "")).unwrap();
        assert_eq!(shown(&silent, at + 5_000), "00:00:00");
    }

    #[test]
    fn a_time_of_day_comes_every_day_also_where_the_clocks_are_changed() {
        let down = TimeFormat::countdown("Europe/Berlin", HOURS, ("03:30:00", "")).unwrap();
        // 2024-03-30 22:00 in Berlin: the night is an hour shorter.
        assert_eq!(shown(&down, 1_711_832_400_000), "04:30:00");
        let up = TimeFormat::count_up("Europe/Berlin", HOURS, "21:30:00").unwrap();
        assert_eq!(shown(&up, 1_711_832_400_000), "00:30:00");
        assert_eq!(shown(&up, 1_711_832_400_000 + 23 * 3_600_000), "00:30:00");
        let up = TimeFormat::count_up("UTC", "%-M:%S", "2023-11-14T22:10:00").unwrap();
        assert_eq!(shown(&up, NOW), "3:20");
        assert_eq!(shown(&up, 0), "0:00", "it has not begun");
    }

    #[test]
    fn what_is_no_time_is_told() {
        let clock = |zone, pattern| TimeFormat::clock(zone, pattern).unwrap_err();
        assert!(clock("Mars/Olympus", "%H").contains("no time zone"));
        assert!(clock("UTC", "%!").contains("no format of a time"));
        let down = |pattern, until| TimeFormat::countdown("UTC", pattern, (until, "")).unwrap_err();
        assert!(down("%H %x", "20:00:00").contains("\"%x\" in"));
        assert!(down("%H %", "20:00:00").contains("\"%\" in"));
        for text in ["", "soon", "25:00:00", "2026-02-30T00:00:00", "1960-01-01T00:00:00Z"] {
            assert!(down(HOURS, text).contains("is no moment"), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_off() {
        let clock = TimeFormat::clock("UTC", &"%Y ".repeat(40)).unwrap();
        assert_eq!(shown(&clock, NOW).len(), TIME_CHARS_MAX);
    }
}
