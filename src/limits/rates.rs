//! Rate limits by address: a token bucket for each.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::address_table::AddressTable;
use crate::media::Micros;

/// Addresses that are remembered at once, for a minute at most. In a flood of more, those go first
/// that have done least.
const ADDRESSES_MAX: usize = 16_384;

/// Tries to change a word that others change at the same time; then the address is let through.
const TRIES_MAX: usize = 16;

/// A word holds a time in these steps, which lasts for years, and a hash of the address.
const STEP_US: u64 = 16;
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The time in which a bucket fills.
const FILL: u64 = 60_000_000 / STEP_US;

/// Buckets of `per_minute` tokens by address, each filled anew within a minute. All shards share
/// one table, in which a bucket is the time at which it will be full again (the virtual scheduling
/// of GCRA, ITU-T I.371): one word, and no clean-up.
#[derive(Debug)]
pub struct Rates {
    per_minute: AtomicU32,
    addresses: AddressTable,
}

impl Rates {
    /// `per_minute` for each address; 0 for any number.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: AtomicU32::new(per_minute), addresses: AddressTable::new(ADDRESSES_MAX) }
    }

    /// Lets another rate hold from now on.
    pub fn set(&self, per_minute: u32) {
        self.per_minute.store(per_minute, Ordering::Relaxed);
    }

    /// Takes a token of `ip`; false if there is none.
    #[must_use]
    pub fn take(&self, ip: IpAddr, now: Micros) -> bool {
        let per_minute = self.per_minute.load(Ordering::Relaxed);
        if per_minute == 0 {
            return true;
        }
        let home = self.addresses.home(ip);
        // Time 0 is that of a word which belongs to nobody.
        let now = (now.0 / STEP_US + 1) & TIME_MASK;
        let token = (FILL / u64::from(per_minute)).max(1);
        for _ in 0..TRIES_MAX {
            let is_mine = |word: &u64| word & !TIME_MASK == home.hash & !TIME_MASK;
            let mine = self.addresses.window(home).find(|(_, word)| is_mine(word) && *word != 0);
            // Otherwise the bucket that is full, or nearest to it, is given up.
            let spare = || self.addresses.window(home).min_by_key(|(_, word)| word & TIME_MASK);
            let Some((number, word)) = mine.or_else(spare) else { return true };
            let full_at = if is_mine(&word) { (word & TIME_MASK).max(now) } else { now };
            if full_at + token > now + token * u64::from(per_minute) {
                return false;
            }
            let new = home.hash & !TIME_MASK | (full_at + token) & TIME_MASK;
            if self.addresses.change(number, word, new) {
                return true;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    fn at(seconds: u64) -> Micros {
        Micros::from_secs(seconds)
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_filled_within_a_minute() {
        let rates = Rates::new(6);
        assert!((0..6).all(|_| rates.take(ip(1), at(100))));
        assert!(!rates.take(ip(1), at(100)) && !rates.take(ip(1), at(109)));
        assert!(rates.take(ip(2), at(109)), "others are not meant");
        assert!(rates.take(ip(1), at(110)), "one token in ten seconds");
        assert!(!rates.take(ip(1), at(110)));
        assert!((0..6).all(|_| rates.take(ip(1), at(200))));
        assert!(!rates.take(ip(1), at(200)), "a bucket holds six");
    }

    #[test]
    fn an_ipv6_network_has_one_bucket() {
        let rates = Rates::new(1);
        assert!(rates.take("2001:db8::1".parse().unwrap(), at(0)));
        assert!(!rates.take("2001:db8::2".parse().unwrap(), at(0)));
        assert!(rates.take("2001:db8:0:1::1".parse().unwrap(), at(0)));
    }

    #[test]
    fn without_a_limit_everybody_is_let_through() {
        let rates = Rates::new(0);
        assert!((0..100_000).all(|_| rates.take(ip(1), at(0))));
    }

    #[test]
    fn the_fastest_rate_is_a_rate() {
        let rates = Rates::new(600_000);
        let taken = (0..700_000).filter(|_| rates.take(ip(1), at(5))).count();
        assert_eq!(taken, 600_000);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory_and_the_busiest_stay_known() {
        let rates = Rates::new(10);
        (0..10).for_each(|_| assert!(rates.take(ip(0), at(0))));
        for n in 1..200_000 {
            assert!(rates.take(ip(n), at(0)), "a newcomer is let through");
        }
        assert!(!rates.take(ip(0), at(0)));
    }

    #[test]
    fn shards_that_take_at_once_take_no_more_than_there_is() {
        let rates = Rates::new(1_000);
        let taken = std::sync::atomic::AtomicUsize::new(0);
        assert!(rates.take(ip(1), at(1)), "its word is there before they meet");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = (0..1_000).filter(|_| rates.take(ip(1), at(1))).count();
                    taken.fetch_add(mine, Ordering::Relaxed);
                });
            }
        });
        let taken = taken.into_inner();
        // Who finds the word busy all the time is let through: that is rare.
        assert!((999..1_020).contains(&taken), "{taken}");
    }
}
