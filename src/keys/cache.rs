//! One shard's memory of recent decisions, so that most keys are answered without leaving the core,
//! and each of the others is asked about once however many peers show it.

use std::collections::HashMap;

use super::key::KeyHash;
use super::policy::Decision;
use crate::media::Micros;

/// Keys remembered. At the limit what is over goes first, then refusals, then what ends soonest.
const ENTRIES_MAX: usize = 4_096;

/// Entries left after making room, so that a flood of keys pays for it rarely.
const ENTRIES_KEPT: usize = ENTRIES_MAX / 8 * 7;

/// How long a good key is good without asking again.
const ALLOW_TTL: Micros = Micros::from_secs(60);

/// How long a bad key is bad without asking again.
const DENY_TTL: Micros = Micros::from_secs(5);

/// How long an answer may take before the question is put again.
const ANSWER_LIMIT: Micros = Micros::from_secs(5);

/// What is known about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// This, for any peer.
    Hit(Decision),
    /// Nothing yet: wait for the answer.
    Miss {
        /// Whether nobody has asked yet: this caller asks control.
        first: bool,
    },
}

/// Recent decisions by key, bounded. Decisions that depend on the peer's address are not kept.
#[derive(Debug, Default)]
pub struct DecisionCache {
    entries: HashMap<KeyHash, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` while the answer is awaited.
    decision: Option<Decision>,
    until: Micros,
}

impl DecisionCache {
    /// What is known at `now`. A [`Lookup::Miss`] with `first` obliges the caller to ask; should no
    /// answer come in 5 s, the next caller is told to.
    pub fn lookup(&mut self, hash: &KeyHash, now: Micros) -> Lookup {
        if let Some(entry) = self.entries.get(hash).filter(|entry| now < entry.until) {
            return match &entry.decision {
                Some(decision) => Lookup::Hit(decision.clone()),
                None => Lookup::Miss { first: false },
            };
        }
        self.make_room(now);
        self.entries.insert(*hash, Entry { decision: None, until: now + ANSWER_LIMIT });
        Lookup::Miss { first: true }
    }

    /// Control's answer: a good key is remembered for 60 s (or until it expires), a bad one for 5.
    pub fn insert(&mut self, hash: KeyHash, decision: Decision, now: Micros) {
        if !decision.holds_for_all() {
            self.entries.remove(&hash);
            return;
        }
        let ttl = match &decision {
            Decision::Allow { valid_s, .. } => {
                valid_s.map_or(ALLOW_TTL, |s| ALLOW_TTL.min(Micros(s.saturating_mul(1_000_000))))
            }
            Decision::Deny(_) => DENY_TTL,
        };
        if !self.entries.contains_key(&hash) {
            self.make_room(now);
        }
        self.entries.insert(hash, Entry { decision: Some(decision), until: now + ttl });
    }

    /// The key has changed: what is known about it is forgotten.
    pub fn invalidate(&mut self, hash: &KeyHash) {
        self.entries.remove(hash);
    }

    /// Keys remembered or asked about.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self, now: Micros) {
        if self.entries.len() < ENTRIES_MAX {
            return;
        }
        self.entries.retain(|_, entry| now < entry.until);
        if self.entries.len() <= ENTRIES_KEPT {
            return;
        }
        self.entries.retain(|_, entry| !matches!(entry.decision, Some(Decision::Deny(_))));
        let Some(excess) = self.entries.len().checked_sub(ENTRIES_KEPT).filter(|n| *n > 0) else {
            return;
        };
        let mut ends: Vec<_> = self.entries.values().map(|entry| entry.until).collect();
        let (_, last_to_go, _) = ends.select_nth_unstable(excess - 1);
        let last_to_go = *last_to_go;
        let mut left = excess;
        self.entries.retain(|_, entry| {
            let goes = left > 0 && entry.until <= last_to_go;
            left -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::info::{KeyInfo, KeyType};
    use crate::keys::policy::{Denial, decide};

    const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn allow() -> Decision {
        decide(&KeyInfo::new(KeyType::Regular, "live/a", 0), 0, PEER)
    }

    fn key(n: usize) -> KeyHash {
        KeyHash::of(&n.to_string())
    }

    fn at(seconds: u64) -> Micros {
        Micros::from_secs(seconds)
    }

    #[test]
    fn the_first_asks_and_the_others_wait_for_its_answer() {
        let mut cache = DecisionCache::default();
        assert_eq!(cache.lookup(&key(1), at(0)), Lookup::Miss { first: true });
        assert_eq!(cache.lookup(&key(1), at(1)), Lookup::Miss { first: false });
        assert_eq!(cache.lookup(&key(2), at(1)), Lookup::Miss { first: true });
        cache.insert(key(1), allow(), at(2));
        assert_eq!(cache.lookup(&key(1), at(3)), Lookup::Hit(allow()));
    }

    #[test]
    fn a_question_without_an_answer_is_put_again() {
        let mut cache = DecisionCache::default();
        cache.lookup(&key(1), at(0));
        assert_eq!(cache.lookup(&key(1), at(5)), Lookup::Miss { first: true });
    }

    #[test]
    fn good_keys_last_a_minute_bad_ones_five_seconds_and_none_beyond_its_expiry() {
        let mut cache = DecisionCache::default();
        let mut brief = KeyInfo::new(KeyType::Regular, "live/a", 0);
        brief.expires_at = Some(10);
        let brief = decide(&brief, 0, PEER);
        for (decision, lasts) in [(allow(), 60), (Decision::unknown(), 5), (brief, 10)] {
            cache.insert(key(1), decision.clone(), at(100));
            assert_eq!(cache.lookup(&key(1), at(99 + lasts)), Lookup::Hit(decision));
            assert_eq!(cache.lookup(&key(1), at(100 + lasts)), Lookup::Miss { first: true });
        }
    }

    #[test]
    fn what_depends_on_the_address_is_asked_about_for_every_peer() {
        let mut cache = DecisionCache::default();
        let mut listed = KeyInfo::new(KeyType::Regular, "live/a", 0);
        listed.allowed_ips = vec!["127.0.0.1".parse().unwrap()];
        for decision in [decide(&listed, 0, PEER), Decision::Deny(Denial::Address)] {
            cache.lookup(&key(1), at(0));
            cache.insert(key(1), decision, at(0));
            assert_eq!(cache.lookup(&key(1), at(0)), Lookup::Miss { first: true });
        }
    }

    #[test]
    fn a_changed_key_is_asked_about_at_once() {
        let mut cache = DecisionCache::default();
        cache.insert(key(1), allow(), at(0));
        cache.invalidate(&key(1));
        assert_eq!(cache.lookup(&key(1), at(1)), Lookup::Miss { first: true });
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_memory_and_does_not_push_out_good_ones() {
        let mut cache = DecisionCache::default();
        cache.insert(key(0), allow(), at(0));
        for n in 1..3 * ENTRIES_MAX {
            cache.lookup(&key(n), at(0));
            cache.insert(key(n), Decision::unknown(), at(0));
            assert!(cache.len() <= ENTRIES_MAX);
        }
        assert_eq!(cache.lookup(&key(0), at(1)), Lookup::Hit(allow()));
        for n in 0..3 * ENTRIES_MAX {
            cache.insert(key(n), allow(), at(2));
            assert!(cache.len() <= ENTRIES_MAX);
        }
        assert!(cache.len() >= ENTRIES_KEPT);
    }
}
