//! A peer that is a node like this one, and passes on what it plays, or publishes what it has from
//! elsewhere.

use std::rc::Rc;

use super::{Connection, Role};
use crate::pipeline::hub::Hub;
use crate::pipeline::loops::LOOP;
use crate::pipeline::shard::Shard;
use crate::rtmp::{Hops, PublishRefusal, Relaying};
use crate::stats::Attempt;

impl Connection {
    /// What it says at `connect`.
    pub(super) fn set_relaying(&self, relaying: Option<Relaying>) {
        *self.relaying.borrow_mut() = relaying;
    }

    /// Whether it relays what it plays or publishes.
    pub(super) fn is_relay(&self) -> bool {
        self.relaying.borrow().is_some()
    }

    /// Through where the stream has come that it publishes.
    pub(super) fn relay_path(&self) -> Hops {
        self.relaying.borrow().as_ref().map(|said| said.path.clone()).unwrap_or_default()
    }

    /// Whether the stream is kept from it for now.
    pub(super) fn is_kept_from(&self, shard: &Shard, name: &str) -> bool {
        let relaying = self.relaying.borrow();
        relaying.as_ref().is_some_and(|relaying| shard.is_kept_from(name, relaying))
    }

    /// Whether it waits for the stream, or is a relay that plays it.
    pub(in crate::pipeline) fn asks_for(&self, name: &str) -> bool {
        match &*self.role.borrow() {
            Role::AwaitsStream(wanted, _) => **wanted == *name,
            Role::Player(hub) => self.is_relay() && *hub.name == *name,
            _ => false,
        }
    }

    /// Lets a pull bring the stream that it asks for, unless that would be for this node itself.
    pub(in crate::pipeline) fn want(&self, shard: &Shard, name: &str) {
        let relaying = self.relaying.borrow();
        let goes_to = relaying.as_ref().map(|said| said.goes_to.clone()).unwrap_or_default();
        if !goes_to.contains(shard.hop_of(name)) {
            shard.relay.want(shard, name, &goes_to);
        }
    }

    /// The stream no longer comes the way that a relay was told: it is left without a goodbye, and
    /// comes back.
    pub(in crate::pipeline) fn comes_another_way(&self, shard: &Shard, hub: &Rc<Hub>) {
        if self.is_relay() && self.plays(hub) {
            let reason = "the stream comes another way now";
            self.leave_stream(shard, reason);
            self.close(shard, reason);
        }
    }

    /// The stream that ends for good with its goodbye: whoever relays it says that only then.
    pub(super) fn stream_of_relay(&self) -> Option<Rc<Hub>> {
        match &*self.role.borrow() {
            Role::Publisher(hub) if self.is_relay() => Some(Rc::clone(hub)),
            _ => None,
        }
    }

    pub(super) fn refuse_loop(&self, shard: &Rc<Shard>) {
        shard.stats.publish_attempt(Attempt::BadName);
        self.refuse_publish(shard, PublishRefusal::BadName, LOOP);
    }
}
