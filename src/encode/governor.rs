//! Speed governor of a video encoder: less sharp before late.
//!
//! Two loops, both pure functions of time, encode times and the length of the encoder's queue. The
//! *fast* one looks at every picture: if the encoder falls behind, it goes to a faster speed at
//! once; it goes back one speed at a time, when what was measured leaves room for it. The *slow*
//! one looks once a second: where the fastest speed is not enough, it makes the pictures smaller or
//! divides the frame rate, and gives that back before anything else. What has failed is tried again
//! ever more rarely. Both give way to encoders of higher priority that have too little time.

mod measured;

use self::measured::{QUEUE_HIGH, RETRY_MAX, Retry, Usage, Window};
use super::shared_cpu::{Need, Neighbours};
use super::spec::SIDES;
use super::{Keep, Speed};
use crate::media::{FrameRate, Micros};

/// Pictures that wait from which on the fastest speed is taken without trying those before it.
pub const QUEUE_ALARM: usize = 6;

/// Part of the time between two pictures from which on encoding one takes too long (WebRTC's).
const USAGE_HIGH: f64 = 0.85;

/// The same of the fastest speed, which is kept as long as it is enough.
const USAGE_FULL: f64 = 0.95;

/// Part of the time that the next better setting may be expected to take, so that it is tried.
const USAGE_ROOM: f64 = 0.70;

/// Pictures at one setting before its mean counts as overload, and before it counts as room.
const OVERLOAD_PICTURES: u32 = 4;
const ROOM_PICTURES: u32 = 8;

/// Least time at a setting before a better one is tried; the same until the first overload, while
/// the encoder climbs from the safe speed that it starts at.
pub const HOLD: Micros = Micros::from_secs(2);
pub const HOLD_AT_START: Micros = Micros::from_millis(300);

/// How often the slow loop looks, and looks in a row that find too little time.
const WINDOW: Micros = Micros::from_secs(1);
const HOT_WINDOWS: u32 = 2;

/// Time at the fastest speed after which [`QUEUE_ALARM`] pictures that wait are reason enough, if
/// it does not get through them.
const SETTLED: Micros = Micros::from_millis(500);

/// Highest divisor of the frame rate, and the lowest rate that dividing may lead to, frames per
/// second.
pub const DIVISOR_MAX: u32 = 4;
pub const FPS_MIN: f64 = 7.0;

/// How long one of higher priority waits with smaller or fewer pictures for those of lower
/// priority, which make room for it first.
pub const YIELD_WAIT_MAX: Micros = Micros::from_secs(5);

/// Least time before it is taken less of again for one of higher priority: what it gave has to show
/// first. What was asked for longer ago is over.
pub const YIELD: Micros = Micros::from_millis(500);

/// Time without pictures after which what was measured before says nothing (WebRTC's).
const PAUSE: Micros = Micros::from_millis(1_500);

/// What a governor has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Place in the encoder's list of speeds, 0 being the fastest.
    pub step: usize,
    /// One picture of so many ticks is encoded; 1 to [`DIVISOR_MAX`].
    pub divisor: u32,
    /// Size of the pictures: 0 is the full one, 1 the first of its smaller ones.
    pub size: usize,
}

impl Setting {
    /// Where every governor begins: as fast as it can be, with nothing left out.
    pub const SAFE: Self = Self { step: 0, divisor: 1, size: 0 };
}

/// How many pictures are encoded, and how large they are.
#[derive(Clone, Copy, Debug)]
struct Rung {
    divisor: u32,
    size: usize,
    /// Pixels of a second, as a part of all.
    cost: f64,
}

/// Why a setting was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Pictures waited for the encoder.
    Queue,
    /// Encoding took nearly all of the time between two pictures, or more.
    EncodeTime,
    /// There is time for a better one.
    Headroom,
    /// An encoder of higher priority has too little time.
    Priority,
}

/// A setting was left for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: Setting,
    /// What it is now.
    pub to: Setting,
    /// Why.
    pub reason: Reason,
}

/// One picture that has been through the encoder.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was.
    pub now: Micros,
    /// Time in the encoder.
    pub took: Micros,
    /// Pictures that wait for the encoder, without those that it leaves out.
    pub waiting: usize,
    /// Those it shares the CPU with.
    pub neighbours: Neighbours,
}

/// Chooses an encoder's speed, the divisor of its frame rate and the size of its pictures.
#[derive(Debug)]
pub struct Governor {
    rate: FrameRate,
    /// CPU time of each speed, relative to the others.
    costs: Vec<f64>,
    /// From all pictures in full size to the fewest and smallest.
    rungs: Vec<Rung>,
    step: usize,
    rung: usize,
    usage: Usage,
    window: Window,
    /// Mean of the newest whole window of the rung.
    newest_mean: Option<f64>,
    /// When the setting was chosen.
    since: Micros,
    /// Until the first overload.
    is_starting: bool,
    /// Of the better settings, by the step or the rung that they lead to.
    step_retries: Vec<Retry>,
    rung_retries: Vec<Retry>,
    /// Since when smaller or fewer pictures are put off for the sake of those of lower priority.
    waits_since: Option<Micros>,
    /// When it gave way to one of higher priority, the last time.
    yielded: Option<Micros>,
    need: Need,
    /// The sample before: when it was, and what waited.
    last: Option<(Micros, usize)>,
}

impl Governor {
    /// For an encoder with these speeds, fastest first (none if it has but one), at `rate`. It
    /// begins with the fastest, which is safe.
    #[must_use]
    pub fn new(rate: FrameRate, speeds: &[Speed], keep: Keep, now: Micros) -> Self {
        let costs: Vec<_> = speeds.iter().map(|speed| f64::from(speed.cost.max(1))).collect();
        let rungs = rungs(rate, keep);
        Self {
            rate,
            step_retries: vec![Retry::default(); costs.len()],
            costs,
            rung_retries: vec![Retry::default(); rungs.len()],
            rungs,
            step: 0,
            rung: 0,
            usage: Usage::default(),
            window: Window::new(now),
            newest_mean: None,
            since: now,
            is_starting: true,
            waits_since: None,
            yielded: None,
            need: Need::default(),
            last: None,
        }
    }

    /// The same for the encoder that follows another one in mid-stream: it begins with the frame
    /// rate and the size that `setting` has.
    #[must_use]
    pub fn following(mut self, setting: Setting) -> Self {
        let place = self
            .rungs
            .iter()
            .position(|it| (it.divisor, it.size) == (setting.divisor, setting.size));
        self.rung = place.unwrap_or(0);
        self.is_starting = false;
        self
    }

    /// What it has chosen.
    #[must_use]
    pub fn setting(&self) -> Setting {
        self.setting_of(self.step, self.rung)
    }

    fn setting_of(&self, step: usize, rung: usize) -> Setting {
        let rung = self.rungs.get(rung);
        rung.map_or(Setting::SAFE, |&Rung { divisor, size, .. }| Setting { step, divisor, size })
    }

    /// What those it shares the CPU with are to know of it.
    #[must_use]
    pub const fn need(&self) -> Need {
        self.need
    }

    /// Its encoder cannot make smaller pictures: from now on it leaves some out instead. The change
    /// to another setting, if it has chosen a smaller one.
    pub fn without_sizes(&mut self, now: Micros) -> Option<Change> {
        let from = self.setting();
        self.rungs = rungs(self.rate, Keep::Resolution);
        self.rung_retries = vec![Retry::default(); self.rungs.len()];
        let rung = self.rung.min(self.rungs.len() - 1);
        (self.rung, self.since) = (rung, now);
        (self.usage, self.window) = (Usage::default(), Window::new(now));
        let to = self.setting();
        (from != to).then_some(Change { from, to, reason: Reason::EncodeTime })
    }

    /// Whether the picture of `tick` is encoded at this frame rate.
    #[must_use]
    pub fn admits(&self, tick: u64) -> bool {
        tick.is_multiple_of(u64::from(self.setting().divisor))
    }

    /// Takes note of a picture; says if another setting is to be used from the next one on.
    pub fn picture(&mut self, sample: Sample) -> Option<Change> {
        let Sample { now, took, waiting, neighbours } = sample;
        let before = self.last.replace((now, waiting));
        if before.is_none_or(|(last, _)| Micros(now.0.saturating_sub(took.0)).since(last) > PAUSE) {
            self.usage = Usage::default();
            self.window = Window::new(now);
        }
        let share = took.secs_f64() / self.interval();
        self.usage.add(share);
        self.window.add(share, waiting);
        let is_growing = before.is_none_or(|(_, last)| waiting >= last);
        let trouble = self.trouble(waiting, is_growing);
        self.need.is_pressed = trouble.is_some();
        let is_free = !neighbours.holds(now, HOLD);
        let to = trouble.and_then(|reason| self.faster(waiting, reason));
        let to = to.or_else(|| self.fewer(now, waiting));
        let to = to.or_else(|| self.gives_way(now, neighbours));
        let to = to.or_else(|| self.window_ends(now, neighbours));
        let to = to.or_else(|| self.slower(now, waiting).filter(|_| is_free));
        self.tell_need();
        let (step, rung, reason) = to?;
        Some(self.change(now, (step, rung), reason))
    }

    /// Whether it is behind or nearly so, and why.
    fn trouble(&self, waiting: usize, is_growing: bool) -> Option<Reason> {
        let most = if self.step == 0 { USAGE_FULL } else { USAGE_HIGH };
        let is_slow = self.usage.pictures >= OVERLOAD_PICTURES && self.usage.mean > most;
        match waiting >= QUEUE_HIGH && is_growing {
            true => Some(Reason::Queue),
            false => is_slow.then_some(Reason::EncodeTime),
        }
    }

    /// Says whether it has something to give, and whether it is about to take more.
    fn tell_need(&mut self) {
        self.need.can_yield = self.step > 0 || self.rung + 1 < self.rungs.len();
        let better = self.rung.checked_sub(1);
        let expected = match better {
            Some(better) => self.newest_mean.map(|mean| self.expected_more(mean, better)),
            None => self.expected_slower().filter(|_| self.usage.pictures >= ROOM_PICTURES),
        };
        let retry = match better {
            Some(better) => self.rung_retries.get(better),
            None => self.step_retries.get(self.step + 1),
        };
        // What is not measured yet may turn out to be room. What has failed again and again is not
        // waited for.
        let has_room = expected.is_none_or(|expected| expected < USAGE_ROOM);
        self.need.is_climbing = has_room && retry.is_some_and(|retry| retry.wait < RETRY_MAX);
    }

    /// Seconds from one encoded picture to the next.
    fn interval(&self) -> f64 {
        f64::from(self.setting().divisor) / self.rate.fps()
    }

    /// A faster speed, as the encoder is behind.
    const fn faster(&self, waiting: usize, reason: Reason) -> Option<Choice> {
        match self.step {
            0 => None,
            _ if waiting >= QUEUE_ALARM => Some((0, self.rung, reason)),
            step => Some((step - 1, self.rung, reason)),
        }
    }

    /// Less of all, if the fastest speed is so far from enough that frames will soon be lost.
    fn fewer(&self, now: Micros, waiting: usize) -> Option<Choice> {
        let is_urgent = self.step == 0
            && waiting >= QUEUE_ALARM
            && self.usage.mean > USAGE_FULL
            && now.since(self.since) >= SETTLED;
        self.next_rung().filter(|_| is_urgent).map(|rung| (0, rung, Reason::Queue))
    }

    fn next_rung(&self) -> Option<usize> {
        Some(self.rung + 1).filter(|rung| *rung < self.rungs.len())
    }

    /// The fastest speed, or less of all, if one of higher priority has too little time although
    /// what was given before has had time to show.
    fn gives_way(&self, now: Micros, neighbours: Neighbours) -> Option<Choice> {
        let asked = neighbours.asked?;
        let has_shown = self.yielded.is_none_or(|yielded| asked >= yielded + YIELD);
        if !has_shown || now.since(asked) > YIELD {
            return None;
        }
        match self.step {
            0 => self.next_rung().map(|rung| (0, rung, Reason::Priority)),
            _ => Some((0, self.rung, Reason::Priority)),
        }
    }

    /// Time that the next better speed may be expected to take; `None` if there is none.
    fn expected_slower(&self) -> Option<f64> {
        let (cost, next) = (self.costs.get(self.step)?, self.costs.get(self.step + 1)?);
        Some(self.usage.mean * next / cost)
    }

    /// The next better speed, if there is time for it. All pictures in full size come before it.
    fn slower(&self, now: Micros, waiting: usize) -> Option<Choice> {
        let expected = self.expected_slower()?;
        let hold = if self.is_starting { HOLD_AT_START } else { HOLD };
        let has_room = self.rung == 0
            && waiting < QUEUE_HIGH
            && self.usage.pictures >= ROOM_PICTURES
            && expected < USAGE_ROOM
            && now.since(self.since) >= hold
            && now >= self.step_retries[self.step + 1].not_before;
        has_room.then_some((self.step + 1, self.rung, Reason::Headroom))
    }

    /// Time that a better rung may be expected to take, where this one takes `mean`.
    fn expected_more(&self, mean: f64, better: usize) -> f64 {
        mean * self.rungs[better].cost / self.rungs[self.rung].cost
    }

    /// More or less of all, if a look at the last second says so.
    fn window_ends(&mut self, now: Micros, neighbours: Neighbours) -> Option<Choice> {
        if now.since(self.window.began) < WINDOW {
            return None;
        }
        let Window { began, hot, .. } = self.window;
        let (mean, is_behind) = (self.window.mean(), self.window.is_behind());
        let is_hot = self.step == 0 && self.since <= began && (mean > USAGE_FULL || is_behind);
        self.window = Window::new(now);
        self.window.hot = if is_hot { hot + 1 } else { 0 };
        self.newest_mean = Some(mean);
        if !is_hot {
            self.waits_since = None;
        }
        let reason = if is_behind { Reason::Queue } else { Reason::EncodeTime };
        if self.window.hot >= HOT_WINDOWS {
            let waits_since = *self.waits_since.get_or_insert(now);
            let may_wait = neighbours.can_yield && now.since(waits_since) < YIELD_WAIT_MAX;
            let rung = self.next_rung().filter(|_| !may_wait)?;
            return Some((self.step, rung, reason));
        }
        let better = self.rung.checked_sub(1)?;
        let expected = self.expected_more(mean, better);
        let has_room = !is_hot
            && !neighbours.holds(now, HOLD)
            && expected < USAGE_ROOM
            && now.since(self.since) >= HOLD
            && now >= self.rung_retries[better].not_before;
        has_room.then_some((self.step, better, Reason::Headroom))
    }

    fn change(&mut self, now: Micros, (step, rung): (usize, usize), reason: Reason) -> Change {
        let (from, from_step, from_rung) = (self.setting(), self.step, self.rung);
        if reason == Reason::Headroom {
            let retry = match step > from_step {
                true => &mut self.step_retries[step],
                false => &mut self.rung_retries[rung],
            };
            retry.reached = Some(now);
        } else {
            self.is_starting = false;
            for left in step + 1..=from_step {
                self.step_retries[left].left(now, left == from_step);
            }
            if from_rung != rung {
                self.rung_retries[from_rung].left(now, true);
            }
        }
        if reason == Reason::Priority {
            self.yielded = Some(now);
        }
        (self.step, self.rung, self.since) = (step, rung, now);
        self.usage = Usage::default();
        self.waits_since = None;
        if from_rung != rung {
            self.newest_mean = None;
            self.window = Window::new(now);
        }
        Change { from, to: self.setting(), reason }
    }
}

/// A step and a rung, and why.
type Choice = (usize, usize, Reason);

/// How many pictures of which size there may be at this rate, best first. What is not kept goes
/// first; where all of it is gone and the frame rate was kept, that goes as well.
fn rungs(rate: FrameRate, keep: Keep) -> Vec<Rung> {
    let sides = match keep {
        Keep::Resolution => &SIDES[..0],
        Keep::Fps => &SIDES[..],
    };
    let part = |size: usize| size.checked_sub(1).map_or(1.0, |at| f64::from(sides[at]) / 100.0);
    let rung = |divisor: u32, size: usize| Rung {
        divisor,
        size,
        cost: part(size).powi(2) / f64::from(divisor),
    };
    let is_enough = |divisor: &u32| rate.fps() / f64::from(*divisor) >= FPS_MIN;
    let sizes = (0..=sides.len()).map(|size| rung(1, size));
    let divisors = (2..=DIVISOR_MAX).take_while(is_enough).map(|it| rung(it, sides.len()));
    sizes.chain(divisors).collect()
}

#[cfg(test)]
mod tests;
