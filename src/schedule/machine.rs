//! Schedule state machine: what runs, what takes its place and when, and a live break-in above it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::rundown::{DAY_MS, Head, Item, Rundown, Start};
use crate::scene::Transition;

/// How far it looks back for an item that still runs, and ahead for those that come, milliseconds:
/// a week and a day. What is open and older is not found again after a start.
pub(super) const LOOK_MS: u64 = 8 * DAY_MS;

/// How far the clock may go back, or ahead between two looks at it, milliseconds, before it counts
/// as set: what the rundown says at the new time is shown then. Less is waited out or made up for.
const STEP_MAX_MS: u64 = 5_000;

/// An item that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Airing {
    /// Its place in the rundown.
    pub item: usize,
    /// When it was to begin, milliseconds since 1970.
    pub planned: u64,
    /// When it began.
    pub began: u64,
    /// When it is over, as far as that is known.
    pub ends: Option<u64>,
}

/// Why an item has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was over.
    Over,
    /// Another one has cut in.
    Cut,
    /// Somebody has skipped it.
    Skipped,
    /// The rundown says something else: it was read again, or the clock was set.
    Replaced,
}

impl Ending {
    /// The word that stands for it in logs and the as-run log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Cut => "cut",
            Self::Skipped => "skipped",
            Self::Replaced => "replaced",
        }
    }
}

/// Something that has happened. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An item has begun.
    Started {
        /// It.
        item: Arc<Item>,
        /// When.
        airing: Airing,
        /// Whether it was joined in its middle: after a start of the node, for example.
        joined: bool,
    },
    /// An item has ended.
    Ended {
        /// It.
        item: Arc<Item>,
        /// When it ran.
        airing: Airing,
        /// When it ended.
        at: u64,
        /// Why.
        ending: Ending,
    },
    /// An item is left out, because another one starts first.
    Missed {
        /// It.
        item: Arc<Item>,
        /// When it was to begin.
        planned: u64,
        /// When that was known.
        at: u64,
    },
    /// Nothing is planned from now on: the filler is shown, if there is one.
    Filler {
        /// Its scene.
        scene: Option<String>,
        /// When.
        at: u64,
    },
}

/// A live break-in: a scene above what the rundown says.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakIn {
    /// The scene.
    pub scene: String,
    /// How it comes on the air.
    pub transition: Option<Transition>,
    /// When it began, milliseconds since 1970.
    pub since: u64,
}

/// What is to be on the air.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Programme<'a> {
    /// The scene.
    pub scene: &'a str,
    /// How it comes; `None` as the scene says, or its channel.
    pub transition: Option<&'a Transition>,
}

/// Something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no item to be skipped.
    NothingRuns,
    /// A break-in is on the air.
    InBreak,
    /// There is no break-in.
    NoBreak,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingRuns => "no item of the schedule runs now: there is nothing to skip",
            Self::InBreak => "a break-in is on the air; return to the schedule first",
            Self::NoBreak => "no break-in is on the air: the schedule is already shown",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Item(Airing),
    /// Nothing is planned.
    Filler {
        since: u64,
        /// Place of the item that was over.
        after: Option<usize>,
    },
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The start at this place among those that come; those before it are missed.
    Head(usize),
    /// What runs is over.
    Over,
}

/// A rundown, and how far it has come.
#[derive(Clone, Debug)]
pub struct Machine {
    rundown: Arc<Rundown>,
    /// Starts with a time that have not been, up to `known_to`.
    heads: VecDeque<Head>,
    known_to: u64,
    now: u64,
    state: State,
    break_in: Option<BreakIn>,
}

impl Machine {
    /// A rundown at `now`, milliseconds since 1970: in the middle of the item that runs then, if
    /// one does. What is to be told is added to `told`.
    #[must_use]
    pub fn new(rundown: Arc<Rundown>, now: u64, told: &mut Vec<Change>) -> Self {
        let machine = Self::joined(rundown, now);
        machine.tell_joined(told);
        machine
    }

    /// The same without a word.
    fn joined(rundown: Arc<Rundown>, now: u64) -> Self {
        let from = now.saturating_sub(LOOK_MS);
        let mut machine = Self {
            rundown,
            heads: VecDeque::new(),
            known_to: from,
            now: from,
            state: State::Filler { since: from, after: None },
            break_in: None,
        };
        machine.run_to(now, &mut Vec::new());
        if let State::Filler { since, .. } = &mut machine.state {
            *since = now;
        }
        machine
    }

    /// The rundown.
    #[must_use]
    pub const fn rundown(&self) -> &Arc<Rundown> {
        &self.rundown
    }

    /// The time that it was told last, milliseconds since 1970.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// The item that runs, also below a break-in.
    #[must_use]
    pub fn running(&self) -> Option<(&Arc<Item>, Airing)> {
        match self.state {
            State::Item(airing) => Some((self.rundown.items.get(airing.item)?, airing)),
            State::Filler { .. } => None,
        }
    }

    /// Since when nothing is planned; `None` while an item runs.
    #[must_use]
    pub const fn filler_since(&self) -> Option<u64> {
        match self.state {
            State::Item(_) => None,
            State::Filler { since, .. } => Some(since),
        }
    }

    /// The break-in, if one is on the air.
    #[must_use]
    pub const fn break_in(&self) -> Option<&BreakIn> {
        self.break_in.as_ref()
    }

    /// What is to be on the air; `None` if that is whatever is there.
    #[must_use]
    pub fn programme(&self) -> Option<Programme<'_>> {
        if let Some(BreakIn { scene, transition, .. }) = &self.break_in {
            return Some(Programme { scene, transition: transition.as_ref() });
        }
        self.planned()
    }

    /// What would be without a break-in.
    #[must_use]
    pub fn planned(&self) -> Option<Programme<'_>> {
        match self.state {
            State::Item(airing) => {
                let item = self.rundown.items.get(airing.item)?;
                let transition = item.transition.as_ref();
                Some(Programme { scene: &item.scene, transition })
            }
            State::Filler { after, .. } => {
                let scene = self.rundown.filler_after(after)?;
                Some(Programme { scene, transition: None })
            }
        }
    }

    /// When something happens next, milliseconds since 1970; `None` if nothing is known to.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.next_event().map(|(at, _)| at)
    }

    /// It is `now`: what has happened until then. A clock that was set leads to what the rundown
    /// says at its new time.
    pub fn advance(&mut self, now: u64, told: &mut Vec<Change>) {
        if now.abs_diff(self.now) > STEP_MAX_MS {
            self.become_of(Self::joined(Arc::clone(&self.rundown), now), told);
        } else if now > self.now {
            self.run_to(now, told);
        }
    }

    /// Takes another rundown, and what that says at `now`. A break-in stays.
    pub fn replace(&mut self, rundown: Arc<Rundown>, now: u64, told: &mut Vec<Change>) {
        self.become_of(Self::joined(rundown, now), told);
    }

    /// Ends the item that runs, and goes on to what follows it.
    ///
    /// # Errors
    /// If none runs, or a break-in is on the air.
    pub fn skip(&mut self, now: u64, told: &mut Vec<Change>) -> Result<(), Refusal> {
        self.advance(now, told);
        if self.break_in.is_some() {
            return Err(Refusal::InBreak);
        }
        let State::Item(airing) = self.state else { return Err(Refusal::NothingRuns) };
        self.end(airing, self.now, Ending::Skipped, told);
        self.go_on(airing.item, self.now, told);
        Ok(())
    }

    /// The file or playlist of a layer has been played to its end. Nothing of what is below a
    /// break-in plays.
    pub fn layer_ended(&mut self, layer: &str, now: u64, told: &mut Vec<Change>) {
        self.advance(now, told);
        let State::Item(airing) = self.state else { return };
        let item = self.rundown.items.get(airing.item);
        let ends_with = item.and_then(|item| item.ends_with.as_deref());
        if self.break_in.is_none() && ends_with == Some(layer) {
            self.end(airing, self.now, Ending::Over, told);
            self.go_on(airing.item, self.now, told);
        }
    }

    /// Shows a scene above what the rundown says, which goes on below it.
    pub fn begin_break(&mut self, break_in: BreakIn, told: &mut Vec<Change>) {
        self.advance(break_in.since, told);
        self.break_in = Some(break_in);
    }

    /// Shows again what the rundown says now. The break-in that has ended.
    ///
    /// # Errors
    /// If there is none.
    pub fn end_break(&mut self, now: u64, told: &mut Vec<Change>) -> Result<BreakIn, Refusal> {
        self.advance(now, told);
        self.break_in.take().ok_or(Refusal::NoBreak)
    }

    /// Becomes what it would be if it had begun anew; tells what that changes.
    fn become_of(&mut self, mut fresh: Self, told: &mut Vec<Change>) {
        let was = self.running().map(|(item, airing)| (Arc::clone(item), airing));
        fresh.break_in = self.break_in.take();
        let is = fresh.running().map(|(item, airing)| (Arc::clone(item), airing));
        if let (Some((old, was)), Some((new, is))) = (&was, &is)
            && old == new
            && was.planned == is.planned
        {
            fresh.state = State::Item(Airing { began: was.began, ..*is });
        } else {
            let is_as_before = self.planned() == fresh.planned();
            if let Some((item, airing)) = was {
                let (at, ending) = (fresh.now, Ending::Replaced);
                told.push(Change::Ended { item, airing, at, ending });
            }
            match (self.state, &mut fresh.state) {
                (State::Filler { since: before, .. }, State::Filler { since, .. })
                    if is_as_before =>
                {
                    *since = before;
                }
                _ => fresh.tell_joined(told),
            }
        }
        *self = fresh;
    }

    fn tell_joined(&self, told: &mut Vec<Change>) {
        match self.running() {
            Some((item, airing)) => {
                told.push(Change::Started { item: Arc::clone(item), airing, joined: true });
            }
            None => {
                let scene = self.planned().map(|programme| programme.scene.to_owned());
                told.push(Change::Filler { scene, at: self.now });
            }
        }
    }

    /// Lets time pass, however much.
    pub(super) fn run_to(&mut self, to: u64, told: &mut Vec<Change>) {
        while self.known_to < to.saturating_add(LOOK_MS) {
            let until = self.known_to + DAY_MS;
            self.heads.extend(self.rundown.heads(self.known_to, until));
            self.known_to = until;
        }
        while let Some((at, next)) = self.next_event().filter(|(at, _)| *at <= to) {
            self.now = at;
            match (next, self.state) {
                (Next::Head(place), _) => self.begin(place, at, told),
                (Next::Over, State::Item(airing)) => {
                    self.end(airing, at, Ending::Over, told);
                    self.go_on(airing.item, at, told);
                }
                (Next::Over, State::Filler { .. }) => break,
            }
        }
        self.now = to;
    }

    fn next_event(&self) -> Option<(u64, Next)> {
        let over = match self.state {
            State::Item(airing) => airing.ends,
            State::Filler { .. } => None,
        };
        let (at, next) = match (self.next_head(), over) {
            (Some((at, place)), None) => (at, Next::Head(place)),
            (Some((at, place)), Some(over)) if at <= over => (at, Next::Head(place)),
            (_, Some(over)) => (over, Next::Over),
            (None, None) => return None,
        };
        Some((at.max(self.now), next))
    }

    /// When the first start comes, and its place. Those before it, which wait, are missed then.
    fn next_head(&self) -> Option<(u64, usize)> {
        let mut first: Option<(u64, usize)> = None;
        for (place, head) in self.heads.iter().enumerate() {
            if first.is_some_and(|(at, _)| head.at > at) {
                break;
            }
            let at = match self.rundown.start_of(head.item) {
                Start::Hard => head.at,
                Start::Soft { limit_ms } if place == 0 => self.soft_start(head.at, limit_ms),
                // It waits for the one before it.
                Start::Soft { limit_ms } => head.at + limit_ms,
            };
            if first.is_none_or(|(earliest, _)| at <= earliest) {
                first = Some((at, place));
            }
        }
        first
    }

    /// When a start comes that waits for what runs.
    fn soft_start(&self, at: u64, limit_ms: u64) -> u64 {
        let State::Item(airing) = self.state else { return at };
        let item = self.rundown.items.get(airing.item);
        let has_end = item.is_some_and(|item| item.ends_with.is_some());
        match airing.ends {
            Some(ends) => at.max(ends).min(at + limit_ms),
            None if has_end => at + limit_ms,
            // It is there until something comes.
            None => at,
        }
    }

    /// The start at this place comes now.
    fn begin(&mut self, place: usize, at: u64, told: &mut Vec<Change>) {
        if let State::Item(airing) = self.state {
            let item = self.rundown.items.get(airing.item);
            let is_open = item.is_some_and(|it| it.duration_ms.is_none() && it.ends_with.is_none());
            let is_over = airing.ends.map_or(is_open, |ends| ends <= at);
            let ending = if is_over { Ending::Over } else { Ending::Cut };
            self.end(airing, at, ending, told);
            self.miss_followers(airing.item, at, told);
        }
        for _ in 0..place {
            if let Some(head) = self.heads.pop_front() {
                self.miss(head.item, head.at, at, told);
            }
        }
        if let Some(head) = self.heads.pop_front() {
            self.start(head.item, head.at, at, told);
        }
    }

    /// What comes when the item at place `after` has ended.
    fn go_on(&mut self, after: usize, at: u64, told: &mut Vec<Change>) {
        self.state = State::Filler { since: at, after: Some(after) };
        if let Some((_, place)) = self.next_head().filter(|(first, _)| *first <= at) {
            self.miss_followers(after, at, told);
            return self.begin(place, at, told);
        }
        match self.rundown.follower(after) {
            Some(next) => self.start(next, at, at, told),
            None => {
                let scene = self.rundown.filler_after(Some(after)).map(str::to_owned);
                told.push(Change::Filler { scene, at });
            }
        }
    }

    fn start(&mut self, place: usize, planned: u64, at: u64, told: &mut Vec<Change>) {
        let Some(item) = self.rundown.items.get(place).map(Arc::clone) else { return };
        let ends = item.duration_ms.map(|length| at + length);
        let airing = Airing { item: place, planned, began: at, ends };
        self.state = State::Item(airing);
        told.push(Change::Started { item, airing, joined: false });
    }

    fn end(&self, airing: Airing, at: u64, ending: Ending, told: &mut Vec<Change>) {
        let Some(item) = self.rundown.items.get(airing.item).map(Arc::clone) else { return };
        told.push(Change::Ended { item, airing, at, ending });
    }

    /// What would have followed the item at place `after` is left out.
    fn miss_followers(&self, after: usize, at: u64, told: &mut Vec<Change>) {
        let mut last = after;
        while let Some(next) = self.rundown.follower(last) {
            self.miss(next, at, at, told);
            last = next;
        }
    }

    fn miss(&self, place: usize, planned: u64, at: u64, told: &mut Vec<Change>) {
        if let Some(item) = self.rundown.items.get(place).map(Arc::clone) {
            told.push(Change::Missed { item, planned, at });
        }
    }
}
