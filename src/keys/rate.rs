//! Bitrate limit of a publisher's key.

use serde::{Deserialize, Serialize};

use crate::media::Micros;

/// Time over which the rate is measured: a keyframe alone is no offence.
const WINDOW: Micros = Micros::from_secs(4);

/// Parts of ten by which the limit may be passed before it counts: encoders are not exact.
const TENTHS: u64 = 11;

/// Counts what a publisher sends against its limit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RateLimit {
    limit_bps: u64,
    #[serde(with = "crate::media::instants")]
    since: Micros,
    bytes: u64,
}

impl RateLimit {
    /// From `now` on.
    #[must_use]
    pub const fn new(limit_bps: u64, now: Micros) -> Self {
        Self { limit_bps, since: now, bytes: 0 }
    }

    /// Bits per second that are allowed.
    #[must_use]
    pub const fn limit_bps(&self) -> u64 {
        self.limit_bps
    }

    /// Adds a message; true if the last four seconds were more than a tenth above the limit.
    pub fn is_passed_by(&mut self, bytes: usize, now: Micros) -> bool {
        let elapsed = now.since(self.since);
        let over = elapsed >= WINDOW && {
            let allowed = u128::from(self.limit_bps) * u128::from(elapsed.0) / 10;
            u128::from(self.bytes) * 8 * 1_000_000 > allowed * u128::from(TENTHS)
        };
        if elapsed >= WINDOW {
            (self.since, self.bytes) = (now, 0);
        }
        self.bytes += bytes as u64;
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten messages a second for `seconds`, each of `bytes`: whether the limit was passed.
    fn passes(limit_bps: u64, bytes: usize, seconds: u64) -> bool {
        let mut limit = RateLimit::new(limit_bps, Micros(0));
        (0..seconds * 10).any(|n| limit.is_passed_by(bytes, Micros(n * 100_000)))
    }

    #[test]
    fn a_stream_at_its_limit_goes_on_and_one_far_above_it_does_not() {
        assert!(!passes(1_000_000, 12_500, 60));
        assert!(!passes(1_000_000, 13_000, 60), "encoders are not exact");
        assert!(passes(1_000_000, 16_000, 60));
    }

    #[test]
    fn one_large_message_is_no_offence() {
        let mut limit = RateLimit::new(1_000_000, Micros(0));
        assert!(!limit.is_passed_by(400_000, Micros(1)));
        assert!(!limit.is_passed_by(1_000, Micros::from_secs(4)));
    }
}
