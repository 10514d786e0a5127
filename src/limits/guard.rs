//! Guard against key guessing: wrong keys from one address delay its next attempt, and then ban it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::address_table::AddressTable;
use crate::media::{Micros, network_of};

/// Addresses remembered at once. In a flood of more, those go first that have failed least.
const ADDRESSES_MAX: usize = 16_384;

/// Keys remembered that were good here, each by itself and with its address. Beyond, others make
/// room.
const KNOWN_MAX: usize = 16_384;

/// Time without a wrong key after which an address is forgotten.
const FORGOTTEN: Micros = Micros::from_secs(600);

/// The longest wait before a ban.
const DELAY_MAX: Micros = Micros::from_secs(60);

/// A word holds the time of the last wrong key in these steps, how many there were, and a hash of
/// the address. The time repeats after five months, long after the word is over.
const STEP_US: u64 = 50_000;
const TIME_BITS: u32 = 28;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const COUNT_BITS: u32 = 14;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const TAG_MASK: u64 = !((1 << (TIME_BITS + COUNT_BITS)) - 1);

/// How strict it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSpec {
    /// Wrong keys that cost nothing; after each further one the wait doubles, from one second.
    pub free: u32,
    /// Wrong keys after which the address may not guess for long; 0 for never.
    pub ban_after: u32,
    /// For how long.
    pub ban: Micros,
}

impl Default for GuardSpec {
    /// Five mistakes are free, twenty stop an address for ten minutes.
    fn default() -> Self {
        Self { free: 5, ban_after: 20, ban: Micros::from_secs(600) }
    }
}

/// A key that is shown.
#[derive(Clone, Copy, Debug)]
pub struct KeyAttempt<'a> {
    /// Who shows it.
    pub peer: IpAddr,
    /// Its hash.
    pub key: &'a [u8; 32],
    /// Whether it is of a form that can be found by trying.
    pub is_guessable: bool,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The key may be looked up. It counts as wrong from now on, until [`Guard::refund`].
    Counted(Charge),
    /// The address has to wait for so long, but this key is looked up all the same: it was good
    /// here before, or nobody finds one like it by trying. If it is wrong, the peer has to wait.
    Excused(Micros),
    /// Nothing is looked up: try again after this time.
    Wait(Micros),
}

/// What an attempt costs until its key has turned out to be none of the wrong ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Charge {
    number: usize,
    before: u64,
    after: u64,
}

/// Wrong keys by address. All shards share one. An IPv6 peer is its network of 64 bits: it owns all
/// of that.
///
/// An attempt counts when it is made, so that who tries many keys at once, on whichever shards,
/// gets no more answers than who tries them one after the other.
#[derive(Debug)]
pub struct Guard {
    free: u32,
    ban_after: AtomicU32,
    /// Microseconds.
    ban: AtomicU64,
    addresses: AddressTable,
    known: AddressTable,
}

impl Guard {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(spec: GuardSpec) -> Self {
        Self {
            free: spec.free,
            ban_after: AtomicU32::new(spec.ban_after),
            ban: AtomicU64::new(spec.ban.0),
            addresses: AddressTable::new(ADDRESSES_MAX),
            known: AddressTable::new(KNOWN_MAX),
        }
    }

    /// Is as strict as `spec` says from now on, also about what was counted before.
    pub fn set(&self, spec: &GuardSpec) {
        self.ban_after.store(spec.ban_after, Ordering::Relaxed);
        self.ban.store(spec.ban.0, Ordering::Relaxed);
    }

    /// A peer shows a key at `now`.
    #[must_use]
    pub fn ask(&self, attempt: &KeyAttempt<'_>, now: Micros) -> Asked {
        let home = self.addresses.home(attempt.peer);
        let tag = home.hash & TAG_MASK;
        let now = (now.0 / STEP_US) & TIME_MASK;
        loop {
            let mine = self.addresses.window(home).find(|(_, word)| word & TAG_MASK == tag);
            // Otherwise one that is over is given up, or that has failed least.
            let spare =
                || self.addresses.window(home).min_by_key(|(_, word)| self.weight(*word, now));
            let Some((number, word)) = mine.or_else(spare) else { return Asked::Wait(DELAY_MAX) };
            let count =
                if word & TAG_MASK == tag && !self.is_over(word, now) { count_of(word) } else { 0 };
            let left = if count > 0 { self.left(word, now) } else { 0 };
            if left > 0 {
                let left = Micros(left * STEP_US);
                let is_excused = !attempt.is_guessable || self.is_known_at(attempt);
                return if is_excused { Asked::Excused(left) } else { Asked::Wait(left) };
            }
            let after = tag | ((count + 1).min(COUNT_MAX) << TIME_BITS) | now;
            if self.addresses.change(number, word, after) {
                return Asked::Counted(Charge { number, before: word, after });
            }
        }
    }

    /// The key of this attempt was no guess: it does not count.
    pub fn refund(&self, charge: Charge) {
        loop {
            let word = self.addresses.get(charge.number);
            if word & TAG_MASK != charge.after & TAG_MASK || count_of(word) == 0 {
                return;
            }
            let new = if word == charge.after { charge.before } else { word - (1 << TIME_BITS) };
            if self.addresses.change(charge.number, word, new) {
                return;
            }
        }
    }

    /// The key of this attempt is good.
    pub fn opened(&self, attempt: &KeyAttempt<'_>) {
        self.remember(attempt.key);
        self.remember(&(network_of(attempt.peer), attempt.key));
    }

    /// Whether a key was good here lately: who shows it does not guess.
    #[must_use]
    pub fn is_known(&self, key: &[u8; 32]) -> bool {
        self.has(key)
    }

    fn is_known_at(&self, attempt: &KeyAttempt<'_>) -> bool {
        self.has(&(network_of(attempt.peer), attempt.key))
    }

    fn has(&self, what: &impl std::hash::Hash) -> bool {
        let home = self.known.home_of(what);
        self.known.window(home).any(|(_, word)| word == home.hash)
    }

    fn remember(&self, what: &impl std::hash::Hash) {
        if self.has(what) {
            return;
        }
        let home = self.known.home_of(what);
        let free = self.known.window(home).find(|(_, word)| *word == 0);
        if let Some((number, word)) = free.or_else(|| self.known.window(home).next()) {
            // Who was faster remembers something too; this one is remembered the next time.
            let _is_first = self.known.change(number, word, home.hash);
        }
    }

    /// Steps for which an address still has to wait.
    fn left(&self, word: u64, now: u64) -> u64 {
        let count = count_of(word);
        let ban_after = u64::from(self.ban_after.load(Ordering::Relaxed));
        let delay = match count.saturating_sub(self.free.into()) {
            _ if ban_after > 0 && count >= ban_after => Micros(self.ban.load(Ordering::Relaxed)),
            0 => Micros(0),
            n => DELAY_MAX.min(Micros::from_secs(1 << (n - 1).min(16))),
        };
        (delay.0 / STEP_US).saturating_sub(age(word, now))
    }

    fn is_over(&self, word: u64, now: u64) -> bool {
        self.left(word, now) == 0 && age(word, now) >= FORGOTTEN.0 / STEP_US
    }

    /// How much would be lost with a word.
    fn weight(&self, word: u64, now: u64) -> u64 {
        if word == 0 || self.is_over(word, now) { 0 } else { count_of(word) }
    }
}

const fn count_of(word: u64) -> u64 {
    (word >> TIME_BITS) & COUNT_MAX
}

/// Steps since the last wrong key.
const fn age(word: u64, now: u64) -> u64 {
    now.wrapping_sub(word) & TIME_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SPEC: GuardSpec = GuardSpec { free: 2, ban_after: 6, ban: Micros::from_secs(300) };
    const KEY: [u8; 32] = [7; 32];

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    fn at(seconds: u64) -> Micros {
        Micros::from_secs(seconds)
    }

    fn guess(peer: IpAddr) -> KeyAttempt<'static> {
        KeyAttempt { peer, key: &[1; 32], is_guessable: true }
    }

    /// A wrong key, and how long the next one has to wait.
    fn fails(guard: &Guard, peer: IpAddr, now: Micros) -> Micros {
        let _counted = guard.ask(&guess(peer), now);
        left(guard, peer, now)
    }

    /// How long a guess has to wait; it does not count.
    fn left(guard: &Guard, peer: IpAddr, now: Micros) -> Micros {
        match guard.ask(&guess(peer), now) {
            Asked::Counted(charge) => {
                guard.refund(charge);
                Micros(0)
            }
            Asked::Wait(left) | Asked::Excused(left) => left,
        }
    }

    #[test]
    fn the_wait_doubles_with_each_wrong_key_until_the_address_is_stopped() {
        let guard = Guard::new(SPEC);
        let mut now = at(0);
        let waits: Vec<_> = (0..6)
            .map(|_| {
                let wait = fails(&guard, ip(1), now);
                now = now + wait;
                wait.0 / 1_000_000
            })
            .collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 300]);
        assert_eq!(left(&guard, ip(2), now), at(0), "others are not meant");
        assert_eq!(left(&guard, ip(1), now), at(0), "it ends");
        assert_eq!(fails(&guard, ip(1), now), at(300), "and begins again with the next one");
    }

    #[test]
    fn a_long_time_makes_good() {
        let guard = Guard::new(SPEC);
        (0..2).for_each(|_| assert_eq!(fails(&guard, ip(1), at(0)), at(0)));
        assert_eq!(fails(&guard, ip(1), at(700)), at(0), "that was long ago");
    }

    #[test]
    fn a_right_key_is_not_counted_and_does_not_wipe_the_count_of_wrong_ones() {
        let guard = Guard::new(SPEC);
        (0..2).for_each(|_| assert_eq!(fails(&guard, ip(1), at(0)), at(0)));
        let right = KeyAttempt { peer: ip(1), key: &KEY, is_guessable: true };
        for second in 1..20 {
            let Asked::Counted(charge) = guard.ask(&right, at(second)) else { panic!("it waits") };
            guard.refund(charge);
            guard.opened(&right);
        }
        assert_eq!(fails(&guard, ip(1), at(20)), at(1), "the third wrong one");
    }

    #[test]
    fn keys_that_nobody_guesses_and_those_that_were_good_here_are_looked_up_all_the_same() {
        let guard = Guard::new(SPEC);
        let right = KeyAttempt { peer: ip(1), key: &KEY, is_guessable: true };
        guard.opened(&right);
        let mut now = at(0);
        (0..6).for_each(|_| now = now + fails(&guard, ip(1), now));
        now = Micros(now.0 - 1_000_000);
        assert_eq!(guard.ask(&guess(ip(1)), now), Asked::Wait(at(1)));
        assert_eq!(guard.ask(&right, now), Asked::Excused(at(1)));
        let random = KeyAttempt { is_guessable: false, ..guess(ip(1)) };
        assert_eq!(guard.ask(&random, now), Asked::Excused(at(1)));
        // The same from an address where it was never good may be a guess.
        let mut now = at(0);
        (0..6).for_each(|_| now = now + fails(&guard, ip(2), now));
        let elsewhere = KeyAttempt { peer: ip(2), ..right };
        assert!(matches!(guard.ask(&elsewhere, Micros(now.0 - 1)), Asked::Wait(_)));
        assert!(guard.is_known(&KEY) && !guard.is_known(&[1; 32]));
    }

    #[test]
    fn guesses_at_once_count_when_they_are_made_on_whichever_shard() {
        let guard = Guard::new(SPEC);
        let looked_up = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        if matches!(guard.ask(&guess(ip(1)), at(5)), Asked::Counted(_)) {
                            looked_up.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(looked_up.into_inner(), 3, "two free ones, and the one that makes it wait");
    }

    #[test]
    fn answers_in_any_order_leave_the_count_of_what_was_wrong() {
        let guard = Guard::new(SPEC);
        let charge = |_| match guard.ask(&guess(ip(1)), at(5)) {
            Asked::Counted(charge) => charge,
            other => panic!("{other:?}"),
        };
        let charges: Vec<_> = (0..3).map(charge).collect();
        guard.refund(charges[0]);
        guard.refund(charges[2]);
        assert_eq!(left(&guard, ip(1), at(5)), at(0), "one wrong key of two free ones");
        assert_eq!(fails(&guard, ip(1), at(5)), at(0));
        assert_eq!(fails(&guard, ip(1), at(5)), at(1));
    }

    #[test]
    fn an_ipv6_peer_is_its_network_and_an_ipv4_peer_the_same_in_both_forms() {
        let guard = Guard::new(GuardSpec { free: 0, ..SPEC });
        let peer = |text: &str| text.parse().unwrap();
        fails(&guard, peer("2001:db8::1"), at(0));
        assert_eq!(left(&guard, peer("2001:db8::ffff:2"), at(0)), at(1));
        assert_eq!(left(&guard, peer("2001:db8:0:1::1"), at(0)), at(0));
        fails(&guard, peer("192.0.2.1"), at(0));
        assert_eq!(left(&guard, peer("::ffff:192.0.2.1"), at(0)), at(1));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory_and_who_failed_most_stays() {
        let guard = Guard::new(SPEC);
        let mut now = at(0);
        (0..6).for_each(|_| now = now + fails(&guard, ip(0), now));
        let now = Micros(now.0 - 1_000_000);
        for n in 1..200_000 {
            assert_eq!(fails(&guard, ip(n), now), at(0), "a newcomer may try");
        }
        assert_eq!(left(&guard, ip(0), now), at(1));
    }

    #[test]
    fn without_a_limit_nobody_is_stopped_for_long() {
        let guard = Guard::new(GuardSpec { ban_after: 0, ..SPEC });
        let mut now = at(0);
        for _ in 0..100 {
            let wait = fails(&guard, ip(1), now);
            assert!(wait <= DELAY_MAX);
            now = now + wait;
        }
        assert_eq!(fails(&guard, ip(1), now), DELAY_MAX);
    }
}
