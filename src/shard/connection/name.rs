//! Names that are in use: a publisher with a good key waits until whoever publishes under its name
//! makes way, here or on another shard.

use std::sync::Arc;

use super::credentials::NameRequest;
use super::{Connection, Role};
use crate::keys::{Grant, Takeover};
use crate::media::Micros;
use crate::rtmp::PublishRefusal;
use crate::shard::notice::Notice;
use crate::shard::shared::Shared;
use crate::stats::Attempt;

/// How long another shard may take to answer.
const ANSWER_LIMIT: Micros = Micros::from_secs(2);

impl Connection {
    /// Asks whoever publishes under `name` to make way; false if that was asked before.
    pub(super) fn ask_for_name(
        &mut self,
        shared: &mut Shared,
        name: &Arc<str>,
        grant: Option<&Grant>,
        takes: bool,
    ) -> bool {
        if std::mem::replace(&mut self.credentials.has_asked, true) {
            return false;
        }
        let until = shared.cx.now + ANSWER_LIMIT;
        let (name, grant) = (Arc::clone(name), grant.cloned());
        shared.cx.notify(Notice::NameWanted { name: Arc::clone(&name), takes });
        self.credentials.name_request = Some(NameRequest { name, grant, until });
        self.role = Role::AwaitsKey;
        shared.waiting_publishers.push(self.out.id);
        true
    }

    /// Asks again for the name that it waits for, if it does.
    pub(super) fn ask_for_name_again(&self, shared: &mut Shared) {
        if let Some(NameRequest { name, grant, .. }) = &self.credentials.name_request {
            let takes = grant.as_ref().is_some_and(|grant| grant.takeover == Takeover::Take);
            shared.cx.notify(Notice::NameWanted { name: Arc::clone(name), takes });
        }
    }

    /// Whether it waits for this name.
    pub(in crate::shard) fn waits_for_name(&self, name: &str) -> bool {
        self.credentials.name_request.as_ref().is_some_and(|wanted| *wanted.name == *name)
    }

    /// The answer.
    pub(in crate::shard) fn on_name(&mut self, shared: &mut Shared, is_free: bool) {
        let Some(NameRequest { name, grant, .. }) = self.stop_waiting_for_name(shared) else {
            return;
        };
        if !matches!(self.role, Role::AwaitsKey) {
            return; // it has changed its mind
        }
        self.role = Role::Pending;
        if is_free {
            self.start_publishing(shared, &name, grant.as_ref());
        } else {
            self.refuse_name(shared);
        }
    }

    /// Takes back its request for a name, if it has one.
    pub(super) fn stop_waiting_for_name(&mut self, shared: &mut Shared) -> Option<NameRequest> {
        let request = self.credentials.name_request.take()?;
        shared.waiting_publishers.retain(|peer| *peer != self.out.id);
        Some(request)
    }

    pub(super) fn refuse_name(&mut self, shared: &mut Shared) {
        shared.cx.stats.publish_attempt(Attempt::BadName);
        let text = "somebody publishes under this name already";
        self.refuse_publish(shared, PublishRefusal::BadName, text);
    }

    /// Gives up when no answer comes.
    pub(super) fn check_name(&mut self, shared: &mut Shared) {
        let now = shared.cx.now;
        if self.credentials.name_request.as_ref().is_some_and(|wanted| now >= wanted.until) {
            self.on_name(shared, false);
        }
    }
}
