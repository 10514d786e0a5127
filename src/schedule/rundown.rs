//! Rundown: the items of a schedule, and when each of them is to start.

use std::sync::Arc;

use jiff::civil::{Date, Time, Weekday};

use super::zone::Zone;
use crate::scene::Transition;

/// Most items of a rundown. More are refused.
pub const ITEMS_MAX: usize = 1_000;

/// Milliseconds of a day on which no clock changes.
pub const DAY_MS: u64 = 86_400_000;

/// The shortest item, milliseconds. A shorter one is refused.
pub const DURATION_MIN_MS: u64 = 1_000;

/// The longest item, milliseconds. A longer one is refused.
pub const DURATION_MAX_MS: u64 = 7 * DAY_MS;

/// How late an item with a soft start may be if nobody says, milliseconds: then it cuts in.
pub const SOFT_LIMIT_MS: u64 = 300_000;

/// The latest that may be said, milliseconds. A later one is refused.
pub const SOFT_LIMIT_MAX_MS: u64 = DAY_MS;

/// What a channel is to show and when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rundown {
    /// Where its times are local.
    pub zone: Zone,
    /// The scene that is shown where nothing is planned; `None` leaves what was there last.
    pub filler: Option<String>,
    /// In the order of the file, at most [`ITEMS_MAX`]. The first has a time.
    pub items: Vec<Arc<Item>>,
}

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Name in logs and the API; unique.
    pub name: String,
    /// The scene that it shows.
    pub scene: String,
    /// When it starts.
    pub when: When,
    /// How long it is at most, milliseconds, [`DURATION_MIN_MS`] to [`DURATION_MAX_MS`]; `None`
    /// until something else starts.
    pub duration_ms: Option<u64>,
    /// It is over when the file or playlist of this layer has been played to its end.
    pub ends_with: Option<String>,
    /// The scene that is shown after it until something else starts, in the place of that of the
    /// rundown.
    pub filler: Option<String>,
    /// How its scene comes on the air; `None` as the scene says, or its channel.
    pub transition: Option<Transition>,
}

/// When an item starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At a local time of some days.
    At {
        /// The time of day.
        time: Time,
        /// The days.
        days: Days,
        /// Whether it waits.
        start: Start,
    },
    /// When the item before it in the rundown is over.
    Next,
}

/// Days on which an item starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// These of every week.
    Week(Weekdays),
    /// This one.
    Date(Date),
}

/// Some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

/// What an item does at its time if another one still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It cuts in.
    Hard,
    /// It waits until that is over, at most for so long; then it cuts in.
    Soft {
        /// Milliseconds, at most [`SOFT_LIMIT_MAX_MS`].
        limit_ms: u64,
    },
}

impl Weekdays {
    /// All seven.
    pub const ALL: Self = Self(0x7f);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and one more.
    #[must_use]
    pub const fn with(self, day: Weekday) -> Self {
        Self(self.0 | 1 << day.to_monday_zero_offset())
    }

    /// Whether a day is one of them.
    #[must_use]
    pub const fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day.to_monday_zero_offset() != 0
    }
}

impl Days {
    fn has(self, date: Date) -> bool {
        match self {
            Self::Week(days) => days.has(date.weekday()),
            Self::Date(day) => day == date,
        }
    }
}

/// An item's start at the time that the rundown gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Milliseconds since 1970.
    pub(super) at: u64,
    /// The item's place in the rundown.
    pub(super) item: usize,
}

impl Rundown {
    /// All starts with a time from `from` on and before `to`, milliseconds since 1970, in their
    /// order; those of one moment by their local times, and then as they are in the rundown.
    pub(super) fn heads(&self, from: u64, to: u64) -> Vec<Head> {
        let mut found = Vec::new();
        // What has no time on the day before may be at the begin of this one.
        let first = self.zone.local(from).date();
        let mut date = first.yesterday().unwrap_or(first);
        let last = self.zone.local(to).date();
        while date <= last {
            for (place, item) in self.items.iter().enumerate() {
                let When::At { time, days, .. } = item.when else { continue };
                if !days.has(date) {
                    continue;
                }
                let local = date.to_datetime(time);
                let at = self.zone.instant(local);
                if let Some(at) = at.filter(|at| (from..to).contains(at)) {
                    found.push((at, local, place));
                }
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        found.sort_unstable();
        found.into_iter().map(|(at, _, item)| Head { at, item }).collect()
    }

    /// What the item at a place does if another one runs at its time.
    pub(super) fn start_of(&self, place: usize) -> Start {
        match self.items.get(place).map(|item| item.when) {
            Some(When::At { start, .. }) => start,
            Some(When::Next) | None => Start::Hard,
        }
    }

    /// Place of the item that follows the one at `place`, if one does.
    pub(super) fn follower(&self, place: usize) -> Option<usize> {
        let next = place + 1;
        self.items.get(next).is_some_and(|item| item.when == When::Next).then_some(next)
    }

    /// The scene that is shown after the item at `place`, or where nothing was before.
    pub(super) fn filler_after(&self, place: Option<usize>) -> Option<&str> {
        let own = place.and_then(|place| self.items.get(place)?.filler.as_deref());
        own.or(self.filler.as_deref())
    }

    /// Every scene that it names, with whose it is: an item's name, or `None` for its filler.
    pub fn scenes(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let of_items = self.items.iter().flat_map(|item| {
            let scenes = [Some(item.scene.as_str()), item.filler.as_deref()];
            scenes.into_iter().flatten().map(|scene| (Some(item.name.as_str()), scene))
        });
        self.filler.as_deref().map(|scene| (None, scene)).into_iter().chain(of_items)
    }
}
