//! Rebuild of a shard after a panic where no peer alone is to blame: its peers are gone, and it
//! begins anew with what it was given.

use super::batch::ReaderGroup;
use super::core::{PLAIN_BYTES, ShardCore};
use super::keys::Keys;
use super::shared::Shared;
use crate::command::ShardReport;
use crate::media::{Micros, caught};

/// Why peers end whose shard is rebuilt.
const LOST: &str = "internal error";

impl ShardCore {
    /// Ends all peers, and empties everything but what other threads share with the shard. Names,
    /// channels, outputs, pulls and subscriptions stay; outputs and pulls connect again by
    /// themselves.
    pub(super) fn begin_anew(&mut self, now: Micros) {
        self.shared.cx.now = now;
        for id in self.peers.table.keys() {
            // What the panic has left may be such that it cannot be ended in order. It is let go.
            drop(caught(|| match self.peers.take(id) {
                Some(connection) => self.end_connection(connection, LOST),
                None => self.client_failed(id, LOST.to_owned()),
            }));
        }
        self.peers.clear();
        self.group = ReaderGroup::default();
        self.plain = vec![0; PLAIN_BYTES].into_boxed_slice();
        self.next_look = now;
        let queries = std::mem::take(&mut self.queries);
        let Shared { cx, streams, keys, waiting_players, waiting_publishers, leaving } =
            &mut self.shared;
        for query in queries {
            // Each is answered once, with what has been found.
            cx.report(ShardReport::Answer(Box::new(query.answer)));
        }
        *keys = Keys::new(cx.spec.keys.cache);
        waiting_players.clear();
        waiting_publishers.clear();
        leaving.clear();
        streams.rebuild(cx);
        // All of these are about peers.
        cx.ready.clear();
        cx.notices.clear();
        cx.actions.clear();
    }
}
