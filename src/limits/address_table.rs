//! A table of single words that all shards share: each belongs to one address.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::media::network_of;

/// Words that are looked at for one address. When they all belong to others, the table says so.
const WINDOW: usize = 32;

/// One word of state per address. A word of 0 belongs to nobody. The hash is keyed by chance, so
/// that nobody can choose addresses that meet in one place.
#[derive(Debug)]
pub(super) struct AddressTable {
    words: Box<[AtomicU64]>,
    keyed: RandomState,
}

/// What an address is in a table: where its words begin, and a hash to tell it from others there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    first: usize,
    pub(super) hash: u64,
}

impl AddressTable {
    /// A table of at least `size` words.
    pub(super) fn new(size: usize) -> Self {
        let words = (0..size.max(WINDOW).next_power_of_two()).map(|_| AtomicU64::new(0)).collect();
        Self { words, keyed: RandomState::new() }
    }

    /// Where `ip` belongs: an IPv6 peer with its whole network of 64 bits.
    pub(super) fn home(&self, ip: IpAddr) -> Home {
        self.home_of(&network_of(ip))
    }

    /// Where anything else belongs.
    pub(super) fn home_of(&self, what: &impl std::hash::Hash) -> Home {
        // A word of 0 belongs to nobody.
        let hash = self.keyed.hash_one(what).max(1);
        let low = usize::try_from(hash & 0xffff_ffff).unwrap_or(0);
        Home { first: low & (self.words.len() - 1), hash }
    }

    /// The words that an address may have, with their numbers.
    pub(super) fn window(&self, home: Home) -> impl Iterator<Item = (usize, u64)> {
        let numbers = (home.first..home.first + WINDOW).map(|n| n & (self.words.len() - 1));
        numbers.map(|number| (number, self.words[number].load(Ordering::Relaxed)))
    }

    /// Changes word `number` from `old` to `new`; false if somebody else was faster.
    pub(super) fn change(&self, number: usize, old: u64, new: u64) -> bool {
        let changed =
            self.words[number].compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
        changed.is_ok()
    }

    pub(super) fn get(&self, number: usize) -> u64 {
        self.words[number].load(Ordering::Relaxed)
    }
}
