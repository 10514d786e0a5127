//! Keep-alive of a connection: when its peer is pinged, and when it counts as gone.

use serde::{Deserialize, Serialize};

use super::Micros;

/// The times of a keep-alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pings {
    /// Time between two pings.
    pub every: Micros,
    /// Without any byte for this long the peer is gone; more than `every`.
    pub timeout: Micros,
}

/// The signs of life of one peer.
///
/// The peer is gone when nothing has come for the timeout although it has had a ping for as long as
/// a peer may take to answer one: the timeout less the time between two pings. Time in which we did
/// not run, or in which the ping waited to be sent, says nothing about the peer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeepAlive {
    #[serde(with = "crate::media::instants")]
    heard_at: Micros,
    #[serde(with = "crate::media::instants")]
    pinged_at: Micros,
    /// When the peer had the first ping since anything came, as far as we know.
    #[serde(with = "crate::media::instants")]
    asked_at: Option<Micros>,
}

impl KeepAlive {
    /// Of a connection that begins at `now`.
    #[must_use]
    pub const fn new(now: Micros) -> Self {
        Self { heard_at: now, pinged_at: now, asked_at: None }
    }

    /// Something has come.
    pub const fn receive(&mut self, now: Micros) {
        self.heard_at = now;
        self.asked_at = None;
    }

    /// Whether a ping is due. If so it counts as sent at `now`.
    pub const fn is_due(&mut self, now: Micros, pings: Pings) -> bool {
        if now.since(self.pinged_at).0 < pings.every.0 {
            return false;
        }
        self.pinged_at = now;
        if self.asked_at.is_none() {
            self.asked_at = Some(now);
        }
        true
    }

    /// What we said still waits at `now`: a ping among it has not been sent.
    pub const fn hold_back(&mut self, now: Micros) {
        if self.asked_at.is_some() {
            self.asked_at = Some(now);
        }
    }

    /// Whether the peer is gone.
    #[must_use]
    pub fn is_gone(&self, now: Micros, pings: Pings) -> bool {
        let had_time = |asked| now.since(asked) >= pings.timeout - pings.every;
        self.is_silent(now, pings.timeout) && self.asked_at.is_some_and(had_time)
    }

    /// Whether nothing has come for this long, from a peer that is not pinged.
    #[must_use]
    pub fn is_silent(&self, now: Micros, timeout: Micros) -> bool {
        now.since(self.heard_at) >= timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINGS: Pings = Pings { every: Micros::from_secs(30), timeout: Micros::from_secs(60) };

    const fn at(seconds: u64) -> Micros {
        Micros::from_secs(seconds)
    }

    #[test]
    fn a_peer_that_answers_no_ping_is_gone_after_the_timeout() {
        let mut life = KeepAlive::new(at(0));
        assert!(!life.is_due(at(29), PINGS) && life.is_due(at(30), PINGS));
        assert!(!life.is_due(at(59), PINGS) && !life.is_gone(at(59), PINGS));
        assert!(life.is_gone(at(60), PINGS));
        life.receive(at(60));
        assert!(!life.is_gone(at(119), PINGS), "heard, and not asked since");
    }

    #[test]
    fn time_in_which_no_ping_was_sent_does_not_count() {
        let mut life = KeepAlive::new(at(0));
        assert!(!life.is_gone(at(600), PINGS), "it was not asked");
        assert!(life.is_due(at(600), PINGS));
        assert!(!life.is_gone(at(629), PINGS) && life.is_gone(at(630), PINGS));
    }

    #[test]
    fn time_in_which_a_ping_waited_to_be_sent_does_not_count() {
        let mut life = KeepAlive::new(at(0));
        life.hold_back(at(10));
        assert!(life.is_due(at(30), PINGS));
        (31..=100).for_each(|second| life.hold_back(at(second)));
        assert!(!life.is_gone(at(101), PINGS), "it has had the ping for a second");
        assert!(!life.is_gone(at(129), PINGS) && life.is_gone(at(130), PINGS));
    }
}
