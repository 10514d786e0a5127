//! Peers that are nodes like this one: they pass on what they play, or publish what they have from
//! elsewhere.

use std::sync::Arc;

use super::{Connection, Role};
use crate::rtmp::{Hops, PublishRefusal};
use crate::shard::notice::Notice;
use crate::shard::relay_loop::{LOOP, is_kept_from};
use crate::shard::shared::Shared;
use crate::shard::stream_id::StreamId;
use crate::shard::streams::hop_of;
use crate::stats::Attempt;

impl Connection {
    /// Whether it relays what it plays or publishes.
    pub(super) const fn is_relay(&self) -> bool {
        self.relaying.is_some()
    }

    /// Through where the stream has come that it publishes.
    pub(super) fn relay_path(&self) -> Hops {
        self.relaying.as_ref().map(|relaying| relaying.path.clone()).unwrap_or_default()
    }

    /// Whether the stream is kept from it for now.
    pub(super) fn is_kept_from(&self, shared: &Shared, name: &str) -> bool {
        self.relaying.as_ref().is_some_and(|relaying| is_kept_from(shared, name, relaying))
    }

    /// The stream that it waits for, or relays.
    pub(in crate::shard) fn wanted_stream(&self, shared: &Shared) -> Option<Arc<str>> {
        match &self.role {
            Role::AwaitsStream(name, _) => Some(Arc::clone(name)),
            Role::Player(stream) if self.is_relay() => {
                Some(Arc::clone(&shared.streams.get(*stream)?.name))
            }
            _ => None,
        }
    }

    /// Lets a pull bring the stream that it asks for, unless that would be for this node itself.
    pub(in crate::shard) fn want(&self, shared: &mut Shared, name: &Arc<str>) {
        let goes_to = self.relaying.as_ref().map(|relaying| relaying.goes_to.clone());
        let goes_to = goes_to.unwrap_or_default();
        if !goes_to.contains(hop_of(&shared.cx, name)) {
            shared.cx.notify(Notice::Wanted(Arc::clone(name), goes_to));
        }
    }

    /// Its stream no longer comes the way that a relay was told: it is left without a goodbye, and
    /// comes back.
    pub(in crate::shard) fn on_rerouted(&mut self, shared: &mut Shared) {
        let reason = "the stream comes another way now";
        self.leave_stream(shared, reason);
        self.close(shared.cx.now, reason);
    }

    /// The stream that ends for good with its goodbye: whoever relays it says that only then.
    pub(super) const fn stream_of_relay(&self) -> Option<StreamId> {
        match &self.role {
            Role::Publisher(stream) if self.is_relay() => Some(*stream),
            _ => None,
        }
    }

    pub(super) fn refuse_loop(&mut self, shared: &mut Shared) {
        shared.cx.stats.publish_attempt(Attempt::BadName);
        self.refuse_publish(shared, PublishRefusal::BadName, LOOP);
    }
}
