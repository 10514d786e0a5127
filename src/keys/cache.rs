//! One shard's memory of recent decisions, so that most keys are answered without leaving the core,
//! and each of the others is asked about once however many peers show it.

use std::collections::HashMap;

use super::key::KeyHash;
use super::policy::{Decision, Denial};
use crate::media::Micros;

/// Keys remembered. At the limit what is over goes first, then refusals, then what ends soonest.
const ENTRIES_MAX: usize = 4_096;

/// Entries left after making room, so that a flood of keys pays for it rarely.
const ENTRIES_KEPT: usize = ENTRIES_MAX / 8 * 7;

/// How long nobody asks a store again that did not answer.
const AWAY_TTL: Micros = Micros::from_secs(1);

/// How long an answer may take before the question is put again.
const ANSWER_LIMIT: Micros = Micros::from_secs(5);

/// How long decisions are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSpec {
    /// A good key is good without asking again, until its end at the latest.
    pub allow: Micros,
    /// A bad key is bad without asking again.
    pub deny: Micros,
}

impl Default for CacheSpec {
    /// 30 seconds and 3 seconds.
    fn default() -> Self {
        Self { allow: Micros::from_secs(30), deny: Micros::from_secs(3) }
    }
}

/// What is known about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// This, but for the peer's address.
    Hit(Decision),
    /// Nothing yet: wait for the answer.
    Miss {
        /// Whether nobody has asked yet: this caller asks control.
        first: bool,
    },
}

/// Recent decisions by the hash of what was shown (a key or an alias), bounded.
#[derive(Debug, Default)]
pub struct DecisionCache {
    spec: CacheSpec,
    entries: HashMap<KeyHash, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` while the answer is awaited.
    decision: Option<Decision>,
    until: Micros,
}

impl DecisionCache {
    /// Without any decision.
    #[must_use]
    pub fn new(spec: CacheSpec) -> Self {
        Self { spec, entries: HashMap::new() }
    }

    /// Remembers what comes from now on for as long as `spec` says.
    pub const fn set_spec(&mut self, spec: CacheSpec) {
        self.spec = spec;
    }

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

    /// Control's answer. A good key is remembered until it ends at the latest.
    pub fn insert(&mut self, hash: KeyHash, decision: Decision, now: Micros) {
        let until = match &decision {
            Decision::Allow(grant) => {
                let until = now + self.spec.allow;
                grant.until.map_or(until, |end| until.min(end))
            }
            Decision::Deny(Denial::StoreAway) => now + AWAY_TTL.min(self.spec.deny),
            Decision::Deny(_) => now + self.spec.deny,
        };
        if !self.entries.contains_key(&hash) {
            self.make_room(now);
        }
        self.entries.insert(hash, Entry { decision: Some(decision), until });
    }

    /// The key has changed, or what the alias stands for: what is known under this hash is
    /// forgotten, and what is known about aliases of that key.
    pub fn invalidate(&mut self, hash: &KeyHash) {
        self.entries.retain(|shown, entry| {
            let of_key = match &entry.decision {
                Some(Decision::Allow(grant)) => grant.key == *hash,
                Some(Decision::Deny(_)) | None => false,
            };
            shown != hash && !of_key
        });
    }

    /// Any key may have changed: only the questions that are under way are remembered.
    pub fn clear(&mut self) {
        self.entries.retain(|_, entry| entry.decision.is_none());
    }

    /// Whether this was shown lately, as a key or an alias, good or not.
    #[must_use]
    pub fn has(&self, shown: &KeyHash) -> bool {
        self.entries.contains_key(shown)
    }

    /// The hashes of what was shown lately, in order.
    #[must_use]
    pub fn shown(&self) -> Vec<KeyHash> {
        let mut shown: Vec<_> = self.entries.keys().copied().collect();
        shown.sort_unstable_by_key(|hash| *hash.as_bytes());
        shown
    }

    /// This was shown lately, and what was decided about it is not known any more.
    pub fn note_shown(&mut self, hash: KeyHash) {
        if self.entries.len() < ENTRIES_MAX {
            self.entries.entry(hash).or_insert(Entry { decision: None, until: Micros(0) });
        }
    }

    /// Keys remembered or asked about.
    #[cfg(test)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
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
    use crate::keys::policy::{Moment, Shown, decide};

    fn start() -> Moment {
        Moment { now: Micros(0), unix_s: 0 }
    }

    fn granted(key: KeyHash, info: &KeyInfo) -> Decision {
        decide(key, info, Shown::Key, start())
    }

    fn allow() -> Decision {
        granted(key(0), &KeyInfo::new(KeyType::Regular, "live/a", 0))
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
        assert!(cache.has(&key(1)) && cache.has(&key(2)) && !cache.has(&key(3)));
    }

    #[test]
    fn a_question_without_an_answer_is_put_again() {
        let mut cache = DecisionCache::default();
        cache.lookup(&key(1), at(0));
        assert_eq!(cache.lookup(&key(1), at(5)), Lookup::Miss { first: true });
    }

    #[test]
    fn decisions_last_as_long_as_they_are_told_to_and_none_beyond_the_end_of_its_key() {
        let mut cache = DecisionCache::new(CacheSpec { allow: at(60), deny: at(5) });
        let mut brief = KeyInfo::new(KeyType::Regular, "live/a", 0);
        brief.expires_at = Some(110);
        let brief = granted(key(1), &brief);
        let away = Decision::Deny(Denial::StoreAway);
        let all = [(allow(), 60), (Decision::unknown(), 5), (brief, 10), (away, 1)];
        for (decision, lasts) in all {
            cache.insert(key(1), decision.clone(), at(100));
            let last = at(100 + lasts) - Micros(1);
            assert_eq!(cache.lookup(&key(1), last), Lookup::Hit(decision));
            assert_eq!(cache.lookup(&key(1), at(100 + lasts)), Lookup::Miss { first: true });
        }
    }

    #[test]
    fn a_changed_key_is_asked_about_at_once_also_by_its_aliases() {
        let mut cache = DecisionCache::default();
        let alias = KeyHash::of("studio");
        cache.insert(key(0), allow(), at(0));
        cache.insert(alias, allow(), at(0));
        cache.insert(key(9), Decision::unknown(), at(0));
        cache.invalidate(&key(0));
        assert_eq!(cache.lookup(&key(0), at(1)), Lookup::Miss { first: true });
        assert_eq!(cache.lookup(&alias, at(1)), Lookup::Miss { first: true });
        assert_eq!(cache.lookup(&key(9), at(1)), Lookup::Hit(Decision::unknown()));
    }

    #[test]
    fn when_anything_may_have_changed_only_open_questions_are_kept() {
        let mut cache = DecisionCache::default();
        cache.insert(key(0), allow(), at(0));
        cache.lookup(&key(1), at(0));
        cache.clear();
        assert_eq!(cache.lookup(&key(0), at(1)), Lookup::Miss { first: true });
        assert_eq!(cache.lookup(&key(1), at(1)), Lookup::Miss { first: false });
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
