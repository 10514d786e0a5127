//! Speed governor of a video encoder: less sharp before late.
//!
//! Two loops, both pure functions of time, encode times and the length of the encoder's queue. The
//! *fast* one looks at every picture: if the encoder falls behind, it goes to a faster speed at
//! once; it goes back one speed at a time, when what was measured leaves room for it. The *slow*
//! one looks once a second: where the fastest speed is not enough, it divides the frame rate, and
//! gives it back before anything else. What has failed is tried again ever more rarely.

use super::Speed;
use crate::media::{FrameRate, Micros};

/// Pictures that wait for the encoder from which on it is behind.
pub const QUEUE_HIGH: usize = 2;

/// Pictures that wait from which on the fastest speed is taken without trying those before it.
pub const QUEUE_ALARM: usize = 6;

/// Part of the time between two pictures from which on encoding one takes too long (WebRTC's).
const USAGE_HIGH: f64 = 0.85;

/// The same of the fastest speed, which is kept as long as it is enough.
const USAGE_FULL: f64 = 0.95;

/// Part of the time that the next better setting may be expected to take, so that it is tried.
const USAGE_ROOM: f64 = 0.70;

/// Pictures that the measured encode time is a mean over, the newest weighing most.
const USAGE_PICTURES: f64 = 8.0;

/// Most that a single picture counts: one that took longer was kept waiting by something else.
const USAGE_MAX: f64 = 2.0;

/// Pictures at one setting before its mean counts as overload, and before it counts as room.
const OVERLOAD_PICTURES: u32 = 4;
const ROOM_PICTURES: u32 = 8;

/// Least time at a setting before a better one is tried; the same until the first overload, while
/// the encoder climbs from the safe speed that it starts at.
pub const HOLD: Micros = Micros::from_secs(2);
pub const HOLD_AT_START: Micros = Micros::from_millis(300);

/// Wait before a setting that has failed is tried again: doubles from the one to the other while it
/// fails within [`PROVEN`].
pub const RETRY_MIN: Micros = Micros::from_secs(4);
pub const RETRY_MAX: Micros = Micros::from_secs(32);

/// How long a setting has to hold so that the waits for it begin anew.
pub const PROVEN: Micros = Micros::from_secs(10);

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

/// Time without pictures after which what was measured before says nothing (WebRTC's).
const PAUSE: Micros = Micros::from_millis(1_500);

/// What a governor has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Place in the encoder's list of speeds, 0 being the fastest.
    pub step: usize,
    /// One picture of so many ticks is encoded; 1 to [`DIVISOR_MAX`].
    pub divisor: u32,
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
    /// Pictures of the channel's full rate that wait for the encoder.
    pub waiting: usize,
}

/// Chooses an encoder's speed and the divisor of its frame rate.
#[derive(Debug)]
pub struct Governor {
    rate: FrameRate,
    /// CPU time of each speed, relative to the others.
    costs: Vec<f64>,
    divisor_max: u32,
    setting: Setting,
    usage: Usage,
    window: Window,
    /// When the setting was chosen.
    since: Micros,
    /// Until the first overload.
    is_starting: bool,
    /// Of the better settings, by the step or the divisor that they lead to.
    step_retries: Vec<Retry>,
    divisor_retries: [Retry; DIVISOR_MAX as usize],
    /// The sample before: when it was, and what waited.
    last: Option<(Micros, usize)>,
}

impl Governor {
    /// For an encoder with these speeds, fastest first (none if it has but one), at `rate`. It
    /// begins with the fastest, which is safe.
    #[must_use]
    pub fn new(rate: FrameRate, speeds: &[Speed], now: Micros) -> Self {
        let costs: Vec<_> = speeds.iter().map(|speed| f64::from(speed.cost.max(1))).collect();
        let slowest = |divisor: &u32| *divisor == 1 || rate.fps() / f64::from(*divisor) >= FPS_MIN;
        Self {
            rate,
            step_retries: vec![Retry::default(); costs.len()],
            costs,
            divisor_max: (1..=DIVISOR_MAX).rev().find(slowest).unwrap_or(1),
            setting: Setting { step: 0, divisor: 1 },
            usage: Usage::default(),
            window: Window::new(now),
            since: now,
            is_starting: true,
            divisor_retries: Default::default(),
            last: None,
        }
    }

    /// What it has chosen.
    #[must_use]
    pub const fn setting(&self) -> Setting {
        self.setting
    }

    /// Whether the picture of `tick` is encoded at this frame rate.
    #[must_use]
    pub fn admits(&self, tick: u64) -> bool {
        tick.is_multiple_of(u64::from(self.setting.divisor))
    }

    /// Takes note of a picture; says if another setting is to be used from the next one on.
    pub fn picture(&mut self, sample: Sample) -> Option<Change> {
        let Sample { now, took, waiting } = sample;
        let waiting = waiting / self.setting.divisor as usize;
        let before = self.last.replace((now, waiting));
        if before.is_none_or(|(last, _)| Micros(now.0.saturating_sub(took.0)).since(last) > PAUSE) {
            self.usage = Usage::default();
            self.window = Window::new(now);
        }
        let share = took.secs_f64() / self.interval();
        self.usage.add(share);
        self.window.add(share, waiting);
        let is_growing = before.is_none_or(|(_, last)| waiting >= last);
        let to = self.faster(waiting, is_growing);
        let to = to.or_else(|| self.fewer(now, waiting));
        let to = to.or_else(|| self.window_ends(now));
        let (to, reason) = to.or_else(|| self.slower(now, waiting))?;
        Some(self.change(now, to, reason))
    }

    /// Seconds from one encoded picture to the next.
    fn interval(&self) -> f64 {
        f64::from(self.setting.divisor) / self.rate.fps()
    }

    /// A faster speed, if the encoder is behind.
    fn faster(&self, waiting: usize, is_growing: bool) -> Option<(Setting, Reason)> {
        let is_behind = waiting >= QUEUE_HIGH && is_growing;
        let is_slow = self.usage.pictures >= OVERLOAD_PICTURES && self.usage.mean > USAGE_HIGH;
        let step = self.setting.step.checked_sub(1)?;
        let step = if waiting >= QUEUE_ALARM { 0 } else { step };
        let reason = if is_behind { Reason::Queue } else { Reason::EncodeTime };
        (is_behind || is_slow).then_some((Setting { step, ..self.setting }, reason))
    }

    /// Fewer pictures, if the fastest speed is so far from enough that frames will soon be lost.
    fn fewer(&self, now: Micros, waiting: usize) -> Option<(Setting, Reason)> {
        let Setting { step, divisor } = self.setting;
        let is_urgent = step == 0
            && divisor < self.divisor_max
            && waiting >= QUEUE_ALARM
            && self.usage.mean > USAGE_FULL
            && now.since(self.since) >= SETTLED;
        is_urgent.then_some((Setting { step, divisor: divisor + 1 }, Reason::Queue))
    }

    /// The next better speed, if there is time for it. The full frame rate comes before it.
    fn slower(&self, now: Micros, waiting: usize) -> Option<(Setting, Reason)> {
        let Setting { step, divisor } = self.setting;
        let (cost, next) = (self.costs.get(step)?, self.costs.get(step + 1)?);
        let expected = self.usage.mean * next / cost;
        let hold = if self.is_starting { HOLD_AT_START } else { HOLD };
        let has_room = divisor == 1
            && waiting < QUEUE_HIGH
            && self.usage.pictures >= ROOM_PICTURES
            && expected < USAGE_ROOM
            && now.since(self.since) >= hold
            && now >= self.step_retries[step + 1].not_before;
        let to = Setting { step: step + 1, ..self.setting };
        has_room.then_some((to, Reason::Headroom))
    }

    /// Another frame rate, if a look at the last second says so.
    fn window_ends(&mut self, now: Micros) -> Option<(Setting, Reason)> {
        let Setting { step, divisor } = self.setting;
        if now.since(self.window.began) < WINDOW {
            return None;
        }
        let Window { began, hot, .. } = self.window;
        let (mean, is_behind) = (self.window.mean(), self.window.is_behind());
        let is_hot = step == 0 && self.since <= began && (mean > USAGE_FULL || is_behind);
        self.window = Window { hot: if is_hot { hot + 1 } else { 0 }, ..Window::new(now) };
        let reason = if is_behind { Reason::Queue } else { Reason::EncodeTime };
        if self.window.hot >= HOT_WINDOWS && divisor < self.divisor_max {
            return Some((Setting { divisor: divisor + 1, ..self.setting }, reason));
        }
        let better = divisor.checked_sub(1).filter(|better| *better > 0)?;
        let expected = mean * f64::from(divisor) / f64::from(better);
        let has_room = !is_hot
            && expected < USAGE_ROOM
            && now.since(self.since) >= HOLD
            && now >= self.divisor_retries[better as usize - 1].not_before;
        has_room.then_some((Setting { divisor: better, ..self.setting }, Reason::Headroom))
    }

    fn change(&mut self, now: Micros, to: Setting, reason: Reason) -> Change {
        let from = self.setting;
        if reason == Reason::Headroom {
            let retry = match to.step > from.step {
                true => &mut self.step_retries[to.step],
                false => &mut self.divisor_retries[to.divisor as usize - 1],
            };
            retry.reached = Some(now);
        } else {
            self.is_starting = false;
            for step in to.step + 1..=from.step {
                self.step_retries[step].left(now, step == from.step);
            }
            if from.divisor != to.divisor {
                self.divisor_retries[from.divisor as usize - 1].left(now, true);
            }
        }
        self.setting = to;
        self.since = now;
        self.usage = Usage::default();
        if from.divisor != to.divisor {
            self.window = Window::new(now);
        }
        Change { from, to, reason }
    }
}

/// Encode time of the newest pictures at one setting, as a part of the time between two.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    mean: f64,
    pictures: u32,
}

impl Usage {
    fn add(&mut self, share: f64) {
        self.pictures = self.pictures.saturating_add(1);
        let weight = f64::from(self.pictures).min(USAGE_PICTURES);
        self.mean += (share.min(USAGE_MAX) - self.mean) / weight;
    }
}

/// A second of pictures.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Micros,
    shares: f64,
    pictures: u32,
    /// How many waited: at the first and the last picture, and fewest.
    waiting: [usize; 2],
    waiting_min: usize,
    /// Windows before it in a row in which the fastest speed was not enough.
    hot: u32,
}

impl Window {
    const fn new(began: Micros) -> Self {
        Self { began, shares: 0.0, pictures: 0, waiting: [0; 2], waiting_min: usize::MAX, hot: 0 }
    }

    fn add(&mut self, share: f64, waiting: usize) {
        self.waiting = [if self.pictures == 0 { waiting } else { self.waiting[0] }, waiting];
        self.shares += share;
        self.pictures += 1;
        self.waiting_min = self.waiting_min.min(waiting);
    }

    fn mean(&self) -> f64 {
        self.shares / f64::from(self.pictures.max(1))
    }

    /// Whether the queue was never empty enough, and did not get shorter.
    const fn is_behind(&self) -> bool {
        let [first, last] = self.waiting;
        self.pictures > 0 && self.waiting_min >= QUEUE_HIGH && last >= first
    }
}

/// When a setting that was left for too little time may be tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    /// When it was chosen for its room; `None` if it never was.
    reached: Option<Micros>,
    not_before: Micros,
    wait: Micros,
}

impl Default for Retry {
    fn default() -> Self {
        Self { reached: None, not_before: Micros(0), wait: RETRY_MIN }
    }
}

impl Retry {
    /// It was left at `now`, and better ones with it: it `has_failed` itself, or was only passed
    /// through on the way down.
    fn left(&mut self, now: Micros, has_failed: bool) {
        if self.reached.is_none_or(|reached| now.since(reached) >= PROVEN) {
            self.wait = RETRY_MIN;
        } else if has_failed {
            self.wait = Micros(self.wait.0 * 2).min(RETRY_MAX);
        }
        self.not_before = now + self.wait;
    }
}

#[cfg(test)]
mod tests;
