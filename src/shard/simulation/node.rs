//! One shard of the world: its core, its sockets, and control's ends of its rings.

use std::sync::Arc;

use super::net::Net;
use crate::command::{FromShard, ToShard};
use crate::ring::{Receiver, Sender};
use crate::shard::core::ShardCore;
use crate::shard::io::PeerId;
use crate::shard::spec::ShardSettings;
use crate::stats::ShardStats;

/// Public names of streams.
pub(super) const NAMES: &[&str] = &["live/a", "live/b", "live/c"];

/// One shard, its sockets, and control's ends of its rings.
pub(super) struct Node {
    pub(super) core: ShardCore,
    pub(super) net: Net,
    pub(super) commands: Sender<ToShard>,
    pub(super) settings: Sender<ShardSettings>,
    pub(super) reports: Receiver<FromShard>,
    pub(super) stats: Arc<ShardStats>,
    pub(super) accepted: u64,
    /// Bytes that were given to connections and pulls.
    pub(super) bytes_in: u64,
    /// Whether the core has more to send.
    pub(super) has_more: bool,
    /// Who has connected, in the order of coming.
    pub(super) peers: Vec<PeerId>,
}

impl Node {
    pub(super) fn command(&mut self, command: ToShard) {
        self.commands.push(command).unwrap();
    }

    pub(super) fn commands_len(&self) -> usize {
        self.commands.len()
    }
}
