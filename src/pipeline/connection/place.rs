//! A publisher with a good key that waits for the answer of another shard, where somebody publishes
//! under its name.

use std::rc::Rc;

use super::{Connection, Role};
use crate::keys::Grant;
use crate::media::Micros;
use crate::pipeline::shard::Shard;
use crate::rtmp::PublishRefusal;
use crate::stats::Attempt;

/// How long the other shard may take to answer.
const ANSWER_LIMIT: Micros = Micros::from_secs(2);

/// What is waited for.
#[derive(Debug)]
pub(super) struct PlaceWish {
    name: Box<str>,
    /// With what it publishes then.
    grant: Option<Grant>,
    until: Micros,
}

impl Connection {
    /// Asks the shard that feeds `name` to make way; false if there is nobody to ask, or if it was
    /// asked before.
    pub(super) fn ask_for_place(
        &self,
        shard: &Shard,
        name: &str,
        grant: Option<&Grant>,
        takes: bool,
    ) -> bool {
        let mut ticket = self.ticket.borrow_mut();
        if ticket.has_asked || !shard.ask_for_place(name, takes) {
            return false;
        }
        let until = shard.clock.now() + ANSWER_LIMIT;
        ticket.has_asked = true;
        ticket.wish = Some(PlaceWish { name: name.into(), grant: grant.cloned(), until });
        *self.role.borrow_mut() = Role::AwaitsKey;
        true
    }

    /// Whether it waits for the place of the publisher of `name`.
    pub(in crate::pipeline) fn waits_for_place(&self, name: &str) -> bool {
        self.ticket.borrow().wish.as_ref().is_some_and(|wish| *wish.name == *name)
    }

    /// The answer of the other shard.
    pub(super) fn on_place(self: &Rc<Self>, shard: &Rc<Shard>, is_free: bool) {
        let wish = self.ticket.borrow_mut().wish.take();
        let Some(PlaceWish { name, grant, .. }) = wish else { return };
        if !matches!(*self.role.borrow(), Role::AwaitsKey) {
            return; // it has changed its mind
        }
        *self.role.borrow_mut() = Role::Pending;
        if is_free {
            self.start_publishing(shard, &name, grant.as_ref());
        } else {
            self.refuse_name(shard);
        }
        self.pass_on();
    }

    pub(super) fn refuse_name(&self, shard: &Rc<Shard>) {
        shard.stats.publish_attempt(Attempt::BadName);
        let text = "somebody publishes under this name already";
        self.refuse_publish(shard, PublishRefusal::BadName, text);
    }

    /// Gives up when no answer comes.
    pub(super) fn sweep_place(self: &Rc<Self>, shard: &Rc<Shard>, now: Micros) {
        let late = self.ticket.borrow().wish.as_ref().is_some_and(|wish| now >= wish.until);
        if late {
            self.on_place(shard, false);
        }
    }
}
