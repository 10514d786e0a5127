//! Measurements of a governor: of pictures, of seconds of them, and of settings that have failed.

use crate::media::Micros;

/// Pictures that wait for the encoder from which on it is behind.
pub const QUEUE_HIGH: usize = 2;

/// Pictures that the measured encode time is a mean over, the newest weighing most.
const USAGE_PICTURES: f64 = 8.0;

/// Most that a single picture counts: one that took longer was kept waiting by something else.
const USAGE_MAX: f64 = 2.0;

/// Wait before a setting that has failed is tried again: doubles from the one to the other while it
/// fails within [`PROVEN`].
pub const RETRY_MIN: Micros = Micros::from_secs(4);
pub const RETRY_MAX: Micros = Micros::from_secs(32);

/// How long a setting has to hold so that the waits for it begin anew.
pub const PROVEN: Micros = Micros::from_secs(10);

/// Encode time of the newest pictures at one setting, as a part of the time between two.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) mean: f64,
    pub(super) pictures: u32,
}

impl Usage {
    pub(super) fn add(&mut self, share: f64) {
        self.pictures = self.pictures.saturating_add(1);
        let weight = f64::from(self.pictures).min(USAGE_PICTURES);
        self.mean += (share.min(USAGE_MAX) - self.mean) / weight;
    }
}

/// A second of pictures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) began: Micros,
    shares: f64,
    pub(super) pictures: u32,
    /// How many waited: at the first and the last picture, and fewest.
    waiting: [usize; 2],
    waiting_min: usize,
    /// Windows before it in a row in which the fastest speed was not enough.
    pub(super) hot: u32,
}

impl Window {
    pub(super) const fn new(began: Micros) -> Self {
        Self { began, shares: 0.0, pictures: 0, waiting: [0; 2], waiting_min: usize::MAX, hot: 0 }
    }

    pub(super) fn add(&mut self, share: f64, waiting: usize) {
        self.waiting = [if self.pictures == 0 { waiting } else { self.waiting[0] }, waiting];
        self.shares += share;
        self.pictures += 1;
        self.waiting_min = self.waiting_min.min(waiting);
    }

    pub(super) fn mean(&self) -> f64 {
        self.shares / f64::from(self.pictures.max(1))
    }

    /// Whether the queue was never empty enough, and did not get shorter.
    pub(super) const fn is_behind(&self) -> bool {
        let [first, last] = self.waiting;
        self.pictures > 0 && self.waiting_min >= QUEUE_HIGH && last >= first
    }
}

/// When a setting that was left for too little time may be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// When it was chosen for its room; `None` if it never was.
    pub(super) reached: Option<Micros>,
    pub(super) not_before: Micros,
    pub(super) wait: Micros,
}

impl Default for Retry {
    fn default() -> Self {
        Self { reached: None, not_before: Micros(0), wait: RETRY_MIN }
    }
}

impl Retry {
    /// It was left at `now`, and better ones with it: it `has_failed` itself, or was only passed
    /// through on the way down.
    pub(super) fn left(&mut self, now: Micros, has_failed: bool) {
        if self.reached.is_none_or(|reached| now.since(reached) >= PROVEN) {
            self.wait = RETRY_MIN;
        } else if has_failed {
            self.wait = Micros(self.wait.0 * 2).min(RETRY_MAX);
        }
        self.not_before = now + self.wait;
    }
}
