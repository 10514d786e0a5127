//! Keys on a shard: questions to control, changes that it reports, and the end of publishers who
//! lose their right.

use std::collections::HashSet;
use std::net::IpAddr;
use std::rc::Rc;

use super::connection::{Connection, Mail};
use super::shard::Shard;
use crate::command::FromShard;
use crate::keys::{Alias, Decision, Denial, KeyHash};
use crate::rtmp::PublishRefusal;

impl Shard {
    /// Asks control about a key on behalf of connection `number`.
    pub(super) fn ask_key(&self, hash: KeyHash, alias: Option<Alias>, number: u32, first: bool) {
        self.key_waiters.borrow_mut().entry(hash).or_default().push(number);
        if first {
            self.report(FromShard::KeyQuestion { hash, alias });
        }
    }

    /// Control's answer: for all who wait for it, and for those who come soon.
    pub(super) fn on_key_answer(&self, hash: KeyHash, decision: &Decision) {
        self.keys.borrow_mut().insert(hash, decision.clone(), self.clock.now());
        let waiting = self.key_waiters.borrow_mut().remove(&hash).unwrap_or_default();
        for number in waiting {
            let connection = self.connections.borrow().get(&number).cloned();
            if let Some(connection) = connection {
                connection.mail(Mail::Key(hash, decision.clone()));
            }
        }
    }

    /// A key has changed, or any may have (`None`): whoever publishes with it is asked about.
    pub(super) fn on_key_changed(&self, hash: Option<&KeyHash>) {
        match hash {
            Some(hash) => self.keys.borrow_mut().invalidate(hash),
            None => self.keys.borrow_mut().clear(),
        }
        let live: HashSet<_> = self.connections.borrow().values().filter_map(|c| c.key()).collect();
        for key in live.into_iter().filter(|key| hash.is_none_or(|hash| hash == key)) {
            self.recheck(key);
        }
    }

    /// Asks about a key that somebody publishes with.
    pub(super) fn recheck(&self, hash: KeyHash) {
        if self.reports.borrow_mut().push(FromShard::KeyRecheck { hash }).is_err() {
            self.recheck_due.set(true);
        }
    }

    /// What the store says about a key that somebody may publish with.
    pub(super) fn on_key_verdict(self: &Rc<Self>, hash: &KeyHash, decision: &Decision) {
        if matches!(decision, Decision::Deny(denial) if *denial != Denial::StoreAway) {
            // Who was ended does not come back by what is remembered.
            self.keys.borrow_mut().invalidate(hash);
        }
        for connection in self.all() {
            if connection.key().is_some_and(|key| key == *hash) {
                connection.on_verdict(self, decision);
            }
        }
    }

    /// Asks again what could not be asked.
    pub(super) fn sweep_keys(&self) {
        if self.recheck_due.take() {
            self.on_key_changed(None);
        }
    }

    /// Ends the publisher of `name` if it is silent, or if whoever comes `takes` its place; false
    /// if it stays (or is no publisher of this shard). A pull always makes way.
    pub(super) fn make_way(self: &Rc<Self>, name: &str, takes: bool) -> bool {
        let present = self.all().into_iter().find(|connection| connection.publishes_as(name));
        let Some(present) = present else { return self.relay.make_way(self, name) };
        if !takes && !present.is_silent(self.clock.now()) {
            return false;
        }
        let text = "somebody else publishes under this name now";
        present.end_publisher(self, PublishRefusal::BadName, text);
        true
    }

    /// Whether a proxy at this address is believed when it says who its peer is.
    pub(super) fn trusts(&self, proxy: IpAddr) -> bool {
        self.spec().keys.trusted_proxies.iter().any(|range| range.contains(proxy))
    }

    pub(super) fn report_key_used(&self, hash: KeyHash) {
        self.report(FromShard::KeyUsed { hash });
    }

    pub(super) fn report_key_failed(&self, hash: KeyHash) {
        self.report(FromShard::KeyFailed { hash });
    }

    fn all(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().cloned().collect()
    }
}
