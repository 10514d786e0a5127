//! Stream keys on a shard: what is remembered about them, and the connections that wait for
//! control's answers.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::io::PeerId;
use crate::command::ShardReport;
use crate::keys::{Alias, CacheSpec, Decision, DecisionCache, Denial, KeyHash};

/// Who waits for the answer about a key.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Waiting {
    /// What was shown, if it has the form of an alias.
    alias: Option<Alias>,
    peers: Vec<PeerId>,
}

/// The keys of a shard as they stand in a snapshot.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct SavedKeys {
    /// What was shown lately.
    shown: Vec<KeyHash>,
    /// In the order of the hashes, so that the same state is always the same bytes.
    waiting: Vec<(KeyHash, Waiting)>,
}

/// The keys of one shard.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) cache: DecisionCache,
    waiting: HashMap<KeyHash, Waiting>,
    /// Set if control could not be asked about keys again: the next look at deadlines tries.
    recheck_due: bool,
}

impl Keys {
    pub(super) fn new(spec: CacheSpec) -> Self {
        Self { cache: DecisionCache::new(spec), waiting: HashMap::new(), recheck_due: false }
    }

    /// What stands in a snapshot. Decisions do not: they may change before it is read.
    pub(super) fn saved(&self) -> SavedKeys {
        let waiting = self.waiting.iter().map(|(hash, waiting)| (*hash, waiting.clone()));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable_by_key(|(hash, _)| *hash.as_bytes());
        SavedKeys { shown: self.cache.shown(), waiting }
    }

    /// Goes on with what was saved: what was asked is asked again, and so are the keys that
    /// somebody publishes with, of which a change may not have been heard.
    pub(super) fn resume(&mut self, cx: &mut Context, saved: SavedKeys) {
        self.recheck_due = true;
        for (hash, waiting) in saved.waiting {
            let _asked_now = self.cache.lookup(&hash, cx.now);
            cx.report(ShardReport::KeyQuestion { hash, alias: waiting.alias.clone() });
            self.waiting.insert(hash, waiting);
        }
        saved.shown.into_iter().for_each(|hash| self.cache.note_shown(hash));
    }

    /// Asks control about a key on behalf of `peer`; only once for all who wait for it.
    pub(super) fn ask(
        &mut self,
        cx: &mut Context,
        hash: KeyHash,
        alias: Option<Alias>,
        (peer, is_first): (PeerId, bool),
    ) {
        let waiting = self.waiting.entry(hash).or_default();
        waiting.peers.push(peer);
        if is_first {
            waiting.alias.clone_from(&alias);
            cx.report(ShardReport::KeyQuestion { hash, alias });
        }
    }

    /// Control's answer, for those who come soon; and those who wait for it.
    pub(super) fn answered(
        &mut self,
        cx: &Context,
        hash: KeyHash,
        decision: &Decision,
    ) -> Vec<PeerId> {
        self.cache.insert(hash, decision.clone(), cx.now);
        self.waiting.remove(&hash).unwrap_or_default().peers
    }

    /// A key has changed, or any may have (`None`). Of those that `live` publishers have, control
    /// is asked again.
    pub(super) fn changed(&mut self, cx: &mut Context, hash: Option<&KeyHash>, live: Vec<KeyHash>) {
        match hash {
            Some(hash) => self.cache.invalidate(hash),
            None => self.cache.clear(),
        }
        for key in live.into_iter().filter(|key| hash.is_none_or(|hash| hash == key)) {
            self.recheck(cx, key);
        }
    }

    /// Asks about a key that somebody publishes with.
    pub(super) fn recheck(&mut self, cx: &mut Context, hash: KeyHash) {
        self.recheck_due |= cx.reports.push(ShardReport::KeyRecheck { hash }).is_err();
    }

    /// Whether there are questions that could not be asked; they are to be asked now.
    pub(super) const fn take_recheck_due(&mut self) -> bool {
        std::mem::replace(&mut self.recheck_due, false)
    }

    /// What the store says about a key that somebody may publish with.
    pub(super) fn on_verdict(&mut self, hash: &KeyHash, decision: &Decision) {
        if matches!(decision, Decision::Deny(denial) if *denial != Denial::StoreAway) {
            // Who was ended does not come back by what is remembered.
            self.cache.invalidate(hash);
        }
    }
}
