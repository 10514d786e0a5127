//! Stall detection of a destination: by what its machine acknowledges (TCP) and, if it does so at
//! all, by what its program acknowledges (RTMP).

use serde::{Deserialize, Serialize};

use super::io::TcpInfo;
use crate::media::Micros;

/// What can be seen of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// What TCP says about it.
    pub(super) tcp: Option<TcpInfo>,
    /// The program's newest acknowledgement, modulo 2^32.
    pub(super) acknowledged: Option<u32>,
    /// Bytes sent.
    pub(super) sent: u64,
}

/// Watches one connection. Look a few times a second.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Newest count of bytes that the peer's machine has acknowledged, and when it grew.
    #[serde(with = "crate::media::instants")]
    machine: (u64, Micros),
    /// Newest count that the peer's program has acknowledged, and when it did.
    #[serde(with = "crate::media::instants")]
    program: (u64, Micros),
    /// Acknowledgements of the program so far.
    acks: u32,
    /// Most bytes between two of them.
    interval: u64,
}

/// Acknowledgements after which a program is held to its habit.
const ACKS_MIN: u32 = 3;

impl Progress {
    /// Of a connection on which sending begins at `now`.
    pub(super) const fn new(now: Micros) -> Self {
        Self { machine: (0, now), program: (0, now), acks: 0, interval: 0 }
    }

    /// Looks at the connection, and gives the reason once there has been no progress for `limit`.
    pub(super) fn look(&mut self, now: Micros, limit: Micros, seen: Seen) -> Option<String> {
        let seconds = limit.secs_f64();
        if let Some(tcp) = seen.tcp {
            if tcp.bytes_acked != self.machine.0 || !tcp.has_unacknowledged() {
                self.machine = (tcp.bytes_acked, now);
            } else if now.since(self.machine.1) >= limit {
                let waiting = tcp.notsent_bytes;
                return Some(format!(
                    "stalled: the destination's machine took nothing for {seconds:.0} s \
                     ({waiting} bytes wait)"
                ));
            }
        }
        self.observe(now, seen.acknowledged);
        // A program acknowledges when it has received so much more; until it owes that, its silence
        // means nothing.
        let owes = seen.sent.saturating_sub(self.program.0) > 2 * self.interval;
        if !owes || self.acks < ACKS_MIN {
            self.program.1 = now;
        } else if now.since(self.program.1) >= limit {
            return Some(format!(
                "stalled: the destination's program acknowledged nothing for {seconds:.0} s"
            ));
        }
        None
    }

    /// Notes the program's newest acknowledgement, which counts modulo 2^32.
    fn observe(&mut self, now: Micros, acknowledged: Option<u32>) {
        let Some(acknowledged) = acknowledged else { return };
        #[expect(clippy::cast_possible_truncation, reason = "the protocol counts modulo 2^32")]
        let step = acknowledged.wrapping_sub(self.program.0 as u32);
        // A count that goes back is no progress; what it means nobody knows.
        if step > 0 && step < 1 << 31 {
            self.interval = self.interval.max(step.into());
            self.program = (self.program.0 + u64::from(step), now);
            self.acks = self.acks.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Micros = Micros::from_secs(5);

    fn tcp(bytes_acked: u64, notsent_bytes: u32) -> Option<TcpInfo> {
        Some(TcpInfo { rtt: Micros(0), unacked: 0, notsent_bytes, bytes_acked })
    }

    fn look(
        progress: &mut Progress,
        now: Micros,
        tcp: Option<TcpInfo>,
        acknowledged: Option<u32>,
        sent: u64,
    ) -> Option<String> {
        progress.look(now, LIMIT, Seen { tcp, acknowledged, sent })
    }

    fn at(second: u64) -> Micros {
        Micros::from_secs(second)
    }

    #[test]
    fn a_machine_that_takes_nothing_of_what_waits_has_stalled() {
        let mut progress = Progress::new(at(0));
        assert_eq!(look(&mut progress, at(1), tcp(100, 0), None, 100), None);
        assert_eq!(look(&mut progress, at(2), tcp(200, 50), None, 250), None);
        assert_eq!(look(&mut progress, at(6), tcp(200, 50), None, 250), None);
        let reason = look(&mut progress, at(7), tcp(200, 50), None, 250).unwrap();
        assert!(reason.contains("took nothing for 5 s (50 bytes wait)"), "{reason}");
    }

    #[test]
    fn a_slow_machine_and_one_that_owes_nothing_have_not() {
        let mut slow = Progress::new(at(0));
        let mut idle = Progress::new(at(0));
        for second in 0..100 {
            assert_eq!(look(&mut slow, at(second), tcp(second / 4, 50), None, 1_000), None);
            assert_eq!(look(&mut idle, at(second), tcp(7, 0), None, 7), None);
        }
    }

    #[test]
    fn a_program_that_stops_its_acknowledgements_has_stalled() {
        let mut progress = Progress::new(at(0));
        for second in 1..=10_u32 {
            let (acknowledged, sent) = (second * 1_000, u64::from(second) * 1_000 + 500);
            let now = at(second.into());
            assert_eq!(look(&mut progress, now, None, Some(acknowledged), sent), None);
        }
        assert_eq!(look(&mut progress, at(11), None, Some(10_000), 12_000), None, "not due yet");
        assert_eq!(look(&mut progress, at(12), None, Some(10_000), 12_001), None);
        assert_eq!(look(&mut progress, at(15), None, Some(10_000), 20_000), None);
        let reason = look(&mut progress, at(16), None, Some(10_000), 20_000).unwrap();
        assert!(reason.contains("program acknowledged nothing"), "{reason}");
    }

    #[test]
    fn a_program_that_never_acknowledges_is_not_held_to_it() {
        let mut progress = Progress::new(at(0));
        for second in 0..1_000 {
            assert_eq!(look(&mut progress, at(second), None, None, second << 20), None);
        }
    }

    #[test]
    fn acknowledgements_are_followed_over_their_wrap() {
        let mut progress = Progress::new(at(0));
        let step = 1_u64 << 30;
        for n in 1..20_u64 {
            let sent = n * step;
            let acknowledged = u32::try_from(sent & 0xffff_ffff).unwrap();
            assert_eq!(look(&mut progress, at(n), None, Some(acknowledged), sent), None);
            assert_eq!(progress.program.0, sent);
        }
    }
}
