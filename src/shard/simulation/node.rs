//! One shard of the world: its core, its sockets, and control's ends of its rings.

use std::sync::Arc;

use super::net::Net;
use crate::command::{ShardCommand, ShardReport};
use crate::frame::PacketPool;
use crate::limits::NodeLimits;
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::shard::core::ShardCore;
use crate::shard::io::PeerId;
use crate::shard::spec::{SETTINGS_MAX, ShardParts, ShardSettings, ShardSpec};
use crate::shard::streams::Mesh;
use crate::stats::ShardStats;

/// Commands and reports that may wait.
const RING: usize = 4_096;

/// Public names of streams.
pub(super) const NAMES: &[&str] = &["live/a", "live/b", "live/c"];

/// One shard, its sockets, and control's ends of its rings.
pub(super) struct Node {
    pub(super) core: ShardCore,
    pub(super) net: Net,
    pub(super) commands: Sender<ShardCommand>,
    pub(super) settings: Sender<ShardSettings>,
    pub(super) reports: Receiver<ShardReport>,
    pub(super) stats: Arc<ShardStats>,
    pub(super) accepted: u64,
    /// Bytes that were given to connections and pulls.
    pub(super) bytes_in: u64,
    /// Whether the core has more to send.
    pub(super) has_more: bool,
    /// Who has connected, in the order of coming.
    pub(super) peers: Vec<PeerId>,
}

/// Control's ends of a shard's rings.
pub(super) type Ends = (Sender<ShardCommand>, Sender<ShardSettings>, Receiver<ShardReport>);

/// What a shard is given that has neither outputs nor pulls, and control's ends of its rings.
pub(super) fn parts(
    spec: ShardSpec,
    mesh: Mesh,
    bell: &Arc<Bell>,
    (limits, packets): (&Arc<NodeLimits>, &PacketPool),
    stats: &Arc<ShardStats>,
) -> (ShardParts, Ends) {
    let (commands, from_control) = channel(RING, Arc::clone(bell));
    let (settings, other) = channel(SETTINGS_MAX, Arc::clone(bell));
    let (to_control, reports) = channel(RING, Bell::new());
    let parts = ShardParts {
        spec,
        acceptor: None,
        trust: Err("there is no TLS here".to_owned()),
        commands: from_control,
        settings: other,
        reports: to_control,
        mesh,
        feeds: Vec::new(),
        subscriptions: Vec::new(),
        records: Vec::new(),
        outputs: Vec::new(),
        pulls: Vec::new(),
        pulled: Arc::from([]),
        limits: Arc::clone(limits),
        packets: packets.clone(),
        stats: Arc::clone(stats),
        seed: 0,
    };
    (parts, (commands, settings, reports))
}

impl Node {
    pub(super) fn new(
        core: ShardCore,
        net: Net,
        stats: Arc<ShardStats>,
        (commands, settings, reports): Ends,
    ) -> Self {
        let (accepted, bytes_in, has_more, peers) = (0, 0, true, Vec::new());
        Self { core, net, commands, settings, reports, stats, accepted, bytes_in, has_more, peers }
    }

    pub(super) fn command(&mut self, command: ShardCommand) {
        self.commands.push(command).unwrap();
    }

    pub(super) fn commands_len(&self) -> usize {
        self.commands.len()
    }
}
