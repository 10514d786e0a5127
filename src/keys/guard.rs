//! Who tries keys: wrong ones from one address make the next attempt wait, and then lock it out.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::media::{Micros, network_of};

/// Addresses remembered. At the limit those that have been quiet for longest go.
const ADDRESSES_MAX: usize = 4_096;

/// Addresses left after making room, so that a flood pays for it rarely.
const ADDRESSES_KEPT: usize = ADDRESSES_MAX / 8 * 7;

/// Time without a wrong key after which an address is forgotten.
const FORGOTTEN: Micros = Micros::from_secs(600);

/// The longest wait before a ban.
const DELAY_MAX: Micros = Micros::from_secs(60);

/// How strict it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSpec {
    /// Wrong keys that cost nothing; after each further one the wait doubles, from one second.
    pub free: u32,
    /// Wrong keys after which the address is locked out; 0 for never.
    pub ban_after: u32,
    /// For how long.
    pub ban: Micros,
}

impl Default for GuardSpec {
    /// Five mistakes are free, twenty lock an address out for ten minutes.
    fn default() -> Self {
        Self { free: 5, ban_after: 20, ban: Micros::from_secs(600) }
    }
}

/// What an address may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try.
    Open,
    /// Try later, after this time.
    Wait(Micros),
    /// Not even connect, for this time.
    Banned(Micros),
}

/// Wrong keys by address, bounded. An IPv6 peer is its network of 64 bits: it owns all of that.
#[derive(Debug, Default)]
pub struct Guard {
    spec: GuardSpec,
    offenders: HashMap<IpAddr, Offender>,
}

#[derive(Clone, Copy, Debug)]
struct Offender {
    failures: u32,
    last: Micros,
    until: Micros,
}

impl Guard {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(spec: GuardSpec) -> Self {
        Self { spec, offenders: HashMap::new() }
    }

    /// What `peer` may do at `now`.
    #[must_use]
    pub fn look(&self, peer: IpAddr, now: Micros) -> Verdict {
        let offender =
            self.offenders.get(&network_of(peer)).filter(|offender| now < offender.until);
        let Some(offender) = offender else { return Verdict::Open };
        let left = offender.until - now;
        if self.is_ban(offender.failures) { Verdict::Banned(left) } else { Verdict::Wait(left) }
    }

    /// `peer` has shown a key that does not exist.
    pub fn failed(&mut self, peer: IpAddr, now: Micros) {
        if self.offenders.len() >= ADDRESSES_MAX {
            self.make_room(now);
        }
        let new = Offender { failures: 0, last: now, until: now };
        let mut offender = self
            .offenders
            .get(&network_of(peer))
            .copied()
            .filter(|old| !is_over(old, now))
            .unwrap_or(new);
        offender.failures = offender.failures.saturating_add(1);
        offender.last = now;
        let doubled = offender.failures.saturating_sub(self.spec.free);
        let delay = match doubled {
            0 => Micros(0),
            n => DELAY_MAX.min(Micros::from_secs(1 << (n - 1).min(16))),
        };
        let delay = if self.is_ban(offender.failures) { self.spec.ban } else { delay };
        offender.until = now + delay;
        self.offenders.insert(network_of(peer), offender);
    }

    /// `peer` has shown a good key: its mistakes are forgiven.
    pub fn succeeded(&mut self, peer: IpAddr) {
        self.offenders.remove(&network_of(peer));
    }

    const fn is_ban(&self, failures: u32) -> bool {
        self.spec.ban_after > 0 && failures >= self.spec.ban_after
    }

    fn make_room(&mut self, now: Micros) {
        self.offenders.retain(|_, offender| !is_over(offender, now));
        let excess = self.offenders.len().saturating_sub(ADDRESSES_KEPT);
        if excess == 0 {
            return;
        }
        let mut quiet: Vec<_> = self.offenders.values().map(|offender| offender.last).collect();
        let (_, newest_to_go, _) = quiet.select_nth_unstable(excess - 1);
        let newest_to_go = *newest_to_go;
        let mut left = excess;
        self.offenders.retain(|_, offender| {
            let goes = left > 0 && offender.last <= newest_to_go;
            left -= usize::from(goes);
            !goes
        });
    }
}

fn is_over(offender: &Offender, now: Micros) -> bool {
    now >= offender.until && now.since(offender.last) >= FORGOTTEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SPEC: GuardSpec = GuardSpec { free: 2, ban_after: 6, ban: Micros::from_secs(300) };

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    fn at(seconds: u64) -> Micros {
        Micros::from_secs(seconds)
    }

    #[test]
    fn the_wait_doubles_with_each_wrong_key_until_the_address_is_locked_out() {
        let mut guard = Guard::new(SPEC);
        let mut verdicts = Vec::new();
        for _ in 0..6 {
            guard.failed(ip(1), at(0));
            verdicts.push(guard.look(ip(1), at(0)));
        }
        let wait = |seconds| Verdict::Wait(at(seconds));
        let banned = Verdict::Banned(at(300));
        let want = [Verdict::Open, Verdict::Open, wait(1), wait(2), wait(4), banned];
        assert_eq!(verdicts, want);
        assert_eq!(guard.look(ip(2), at(0)), Verdict::Open, "others are not meant");
    }

    #[test]
    fn waits_and_bans_end() {
        let mut guard = Guard::new(SPEC);
        (0..3).for_each(|_| guard.failed(ip(1), at(0)));
        assert_eq!(guard.look(ip(1), at(1)), Verdict::Open);
        (0..3).for_each(|_| guard.failed(ip(1), at(1)));
        assert_eq!(guard.look(ip(1), at(300)), Verdict::Banned(at(1)));
        assert_eq!(guard.look(ip(1), at(301)), Verdict::Open);
    }

    #[test]
    fn a_good_key_or_a_long_time_makes_good() {
        let mut guard = Guard::new(SPEC);
        (0..2).for_each(|_| guard.failed(ip(1), at(0)));
        guard.succeeded(ip(1));
        guard.failed(ip(1), at(0));
        assert_eq!(guard.look(ip(1), at(0)), Verdict::Open);
        guard.failed(ip(1), at(0));
        guard.failed(ip(1), at(700));
        assert_eq!(guard.look(ip(1), at(700)), Verdict::Open, "that was long ago");
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_an_ipv4_peer_the_same_in_both_forms() {
        let mut guard = Guard::new(GuardSpec { free: 0, ..SPEC });
        guard.failed("2001:db8::1".parse().unwrap(), at(0));
        let verdict = |peer: &str| guard.look(peer.parse().unwrap(), at(0));
        assert_eq!(verdict("2001:db8::ffff:2"), Verdict::Wait(at(1)));
        assert_eq!(verdict("2001:db8:0:1::1"), Verdict::Open);
        let mut guard = Guard::new(GuardSpec { free: 0, ..SPEC });
        guard.failed("192.0.2.1".parse().unwrap(), at(0));
        assert_ne!(guard.look("::ffff:192.0.2.1".parse().unwrap(), at(0)), Verdict::Open);
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_the_newest_stay() {
        let mut guard = Guard::new(GuardSpec { free: 0, ..SPEC });
        for n in 0..20_000 {
            guard.failed(ip(n), Micros(n.into()));
            assert!(guard.offenders.len() <= ADDRESSES_MAX);
        }
        assert_ne!(guard.look(ip(19_999), Micros(20_000)), Verdict::Open);
        assert!(guard.offenders.len() >= ADDRESSES_KEPT);
    }

    #[test]
    fn without_a_limit_nobody_is_locked_out() {
        let mut guard = Guard::new(GuardSpec { ban_after: 0, ..SPEC });
        (0..1_000).for_each(|_| guard.failed(ip(1), at(0)));
        assert_eq!(guard.look(ip(1), at(0)), Verdict::Wait(DELAY_MAX));
    }
}
