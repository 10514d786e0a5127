//! Time as an argument: microseconds since the node's epoch, and frame rates as rationals.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// Microseconds since the node's epoch (its start). Only `runtime::clock` reads a clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Micros(pub u64);

impl Micros {
    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000)
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds as a fraction, for metrics and logs.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^52 us is 142 years")]
    pub const fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Micros {
    type Output = Self;
    /// Saturates at zero: a duration is never negative.
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

impl From<Micros> for std::time::Duration {
    fn from(time: Micros) -> Self {
        Self::from_micros(time.0)
    }
}

/// Frames per second as an exact fraction, 1/1 to 240/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    num: u32,
    den: u32,
}

impl FrameRate {
    /// Highest rate a channel may have, frames per second.
    pub const FPS_MAX: u32 = 240;

    /// 30 frames per second.
    pub const FPS_30: Self = Self { num: 30, den: 1 };

    /// `None` unless `1 <= num/den <= 240`.
    #[must_use]
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if den == 0 || num < den || num as u64 > Self::FPS_MAX as u64 * den as u64 {
            return None;
        }
        Some(Self { num, den })
    }

    /// Numerator, frames.
    #[must_use]
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Denominator, seconds.
    #[must_use]
    pub const fn den(self) -> u32 {
        self.den
    }

    /// Frames per second as a fraction.
    #[must_use]
    pub fn fps(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// The rate at which every `divisor`th frame comes; `None` if that is less than one a second.
    #[must_use]
    pub const fn divided(self, divisor: u32) -> Option<Self> {
        match self.den.checked_mul(divisor) {
            Some(den) => Self::new(self.num, den),
            None => None,
        }
    }

    /// When tick `n` is due after the start: the exact grid `n * den / num`, never a sum of
    /// rounded intervals.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "u64 us hold 584 000 years")]
    pub const fn due(self, n: u64) -> Micros {
        Micros((n as u128 * self.den as u128 * 1_000_000 / self.num as u128) as u64)
    }

    /// The newest tick that is due at `t` after the start (the inverse of [`FrameRate::due`]).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "fewer ticks than microseconds x 240")]
    pub const fn tick_at(self, t: Micros) -> u64 {
        let exact = (t.0 as u128 + 1) * self.num as u128;
        ((exact - 1) / (self.den as u128 * 1_000_000)) as u64
    }

    /// How many samples of a `rate` Hz clock have passed at tick `n`, exactly.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "samples since start fit in u64")]
    pub const fn samples_at(self, n: u64, rate: u32) -> u64 {
        (n as u128 * self.den as u128 * rate as u128 / self.num as u128) as u64
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            write!(f, "{}", self.num)
        } else {
            write!(f, "{}/{}", self.num, self.den)
        }
    }
}

/// Times of a stream without their wrap: RTMP's are milliseconds modulo 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnwrappedTime {
    /// The newest as it came, and without its wrap.
    newest: Option<(u32, i64)>,
}

impl UnwrappedTime {
    /// The time of the next message in milliseconds: less than 2^31 before or after that of the one
    /// before.
    pub fn unwrap(&mut self, time_ms: u32) -> i64 {
        let unwrapped = match self.newest {
            None => i64::from(time_ms),
            Some((newest, unwrapped)) => {
                let step = time_ms.wrapping_sub(newest).cast_signed();
                unwrapped.saturating_add(i64::from(step))
            }
        };
        self.newest = Some((time_ms, unwrapped));
        unwrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_of_ntsc_does_not_drift_in_a_day() {
        let rate = FrameRate::new(30_000, 1_001).unwrap();
        let ticks = 30_000 * 86_400; // 1001 days' worth of 1/1000
        assert_eq!(rate.due(ticks), Micros::from_secs(1_001 * 86_400));
    }

    #[test]
    fn tick_at_is_the_inverse_of_due() {
        for (num, den) in [(60, 1), (30_000, 1_001), (25, 1), (24_000, 1_001)] {
            let rate = FrameRate::new(num, den).unwrap();
            for n in (0..10_000).chain(1_000_000_000..1_000_000_100) {
                assert_eq!(rate.tick_at(rate.due(n)), n, "{num}/{den} tick {n}");
            }
        }
    }

    #[test]
    fn the_grid_of_a_part_of_the_rate_lies_on_that_of_all() {
        let rate = FrameRate::new(60_000, 1_001).unwrap();
        for divisor in 1..=4 {
            let part = rate.divided(divisor).unwrap();
            for n in (0..1_000).chain(1_000_000_000..1_000_000_100) {
                assert_eq!(part.due(n), rate.due(n * u64::from(divisor)), "{divisor} {n}");
            }
        }
        assert_eq!(FrameRate::FPS_30.divided(31), None);
        assert_eq!(FrameRate::new(240_000_000, 1_000_000).unwrap().divided(u32::MAX), None);
    }

    #[test]
    fn rates_outside_the_range_do_not_exist() {
        assert!(FrameRate::new(0, 1).is_none());
        assert!(FrameRate::new(1, 0).is_none());
        assert!(FrameRate::new(241, 1).is_none());
        assert!(FrameRate::new(240, 1).is_some());
    }

    #[test]
    fn times_go_on_over_the_wrap_and_back_to_what_is_older() {
        let mut times = UnwrappedTime::default();
        assert_eq!(times.unwrap(u32::MAX - 9), 4_294_967_286);
        assert_eq!(times.unwrap(10), 4_294_967_306);
        assert_eq!(times.unwrap(u32::MAX), 4_294_967_295);
    }
}
