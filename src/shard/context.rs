//! Context of a shard: the time, its settings, the figures and limits it shares with others, and
//! the queues in which it says what is to be done.

use std::collections::VecDeque;
use std::sync::Arc;

use super::io::{Action, PeerId};
use super::notice::Notice;
use super::spec::ShardSpec;
use crate::command::ShardReport;
use crate::event::{Event, NodeEvent};
use crate::frame::PacketPool;
use crate::limits::NodeLimits;
use crate::media::{Micros, Stamp};
use crate::ring::Sender;
use crate::stats::ShardStats;
use crate::tls::Connector;

/// What everything on a shard may use.
pub(super) struct Context {
    /// The time of the call that is being handled.
    pub(super) now: Micros,
    /// The same more exactly, if the driver has said it since.
    pub(super) stamp: Stamp,
    pub(super) spec: Arc<ShardSpec>,
    pub(super) stats: Arc<ShardStats>,
    pub(super) limits: Arc<NodeLimits>,
    pub(super) packets: PacketPool,
    /// The authorities that are trusted when the shard connects by TLS, or why none are.
    pub(super) trust: Result<Connector, String>,
    pub(super) reports: Sender<ShardReport>,
    /// For the driver.
    pub(super) actions: VecDeque<Action>,
    /// Peers with something of their own to send, beside what streams bring them.
    pub(super) ready: VecDeque<PeerId>,
    /// For other parts of the shard, handled once the present call has been.
    pub(super) notices: VecDeque<Notice>,
    /// State of the pseudo-random numbers.
    pub(super) seed: u64,
}

impl Context {
    /// When the call that is being handled began.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp.max(Stamp::of(self.now))
    }

    /// Bytes for handshakes, ids and jitter; nothing secret is made of them.
    pub(super) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            // splitmix64
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.seed;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// Tells control. A report that finds its ring full is counted as lost.
    pub(super) fn report(&mut self, report: ShardReport) {
        if self.reports.push(report).is_err() {
            self.stats.report_lost();
        }
    }

    pub(super) fn report_event(&mut self, event: Event) {
        self.report(ShardReport::Connection(event));
    }

    pub(super) fn report_node(&mut self, event: NodeEvent) {
        self.report(ShardReport::Node(event));
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }
}
