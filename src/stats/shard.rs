//! Counters of a shard.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use super::cell::{Counter, Gauge, read_all};
use super::limit::Limit;
use super::loops::LoopActivity;
use super::stream_latency::StreamLatencies;
use crate::probes;

/// How an attempt to publish or play ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was let in.
    Ok,
    /// The key, its addresses or a hook said no.
    Denied,
    /// The name is in use or malformed.
    BadName,
    /// There is no such stream.
    NotFound,
    /// The node could not decide, such as without its key store.
    Error,
    /// A limit of the node or of the stream is reached.
    Limit,
}

impl Attempt {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Denied, Self::BadName, Self::NotFound, Self::Error, Self::Limit];

    /// The value of the `status` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::BadName => "bad_name",
            Self::NotFound => "not_found",
            Self::Error => "error",
            Self::Limit => "limit",
        }
    }
}

/// What went wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The peer broke the protocol.
    Protocol,
    /// The peer was too slow.
    Timeout,
    /// The socket failed.
    Io,
    /// A bug in this program: the connection ended, nothing else did.
    Panic,
    /// The handshake was not completed.
    Handshake,
}

impl ErrorKind {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 5] =
        [Self::Protocol, Self::Timeout, Self::Io, Self::Panic, Self::Handshake];

    /// The value of the `kind` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Io => "io",
            Self::Panic => "panic",
            Self::Handshake => "handshake",
        }
    }
}

/// Why a reader did not get messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerDrop {
    /// It lagged and jumped forward to a keyframe: counted in messages.
    Jumped,
    /// It lagged, no keyframe was there, and video was left out until one came: counted in
    /// messages.
    Skipped,
    /// It lagged so far that the log had let go of its place: counted in times.
    Overrun,
}

impl ViewerDrop {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::Jumped, Self::Skipped, Self::Overrun];

    /// The value of the `reason` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Jumped => "jumped",
            Self::Skipped => "skipped",
            Self::Overrun => "overrun",
        }
    }
}

/// Who reads streams beside their audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherReader {
    /// An output or a push.
    Output,
    /// A preview in the dashboard.
    Preview,
    /// An input of a scene.
    Input,
    /// A recording.
    Recording,
}

impl OtherReader {
    /// All of them, in the order of their figures.
    pub const ALL: [Self; 4] = [Self::Output, Self::Preview, Self::Input, Self::Recording];

    /// The value of the `kind` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Preview => "preview",
            Self::Input => "input",
            Self::Recording => "recording",
        }
    }

    /// What several counted, together.
    pub fn sum(parts: impl Iterator<Item = [usize; Self::ALL.len()]>) -> [usize; Self::ALL.len()] {
        let mut all = [0; Self::ALL.len()];
        for part in parts {
            all.iter_mut().zip(part).for_each(|(all, count)| *all += count);
        }
        all
    }
}

/// The counters of one shard. All writing methods are for that shard only.
#[derive(Debug, Default)]
pub struct ShardStats {
    counters: CachePadded<Counters>,
    activity: Arc<LoopActivity>,
    latencies: Arc<StreamLatencies>,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: Counter,
    refused: Counter,
    publish: [Counter; Attempt::ALL.len()],
    play: [Counter; Attempt::ALL.len()],
    errors: [Counter; ErrorKind::ALL.len()],
    drops: [Counter; ViewerDrop::ALL.len()],
    limits: [Counter; Limit::ALL.len()],
    bytes_in: Counter,
    bytes_out: Counter,
    sends: Counter,
    blocked: Counter,
    reports_lost: Counter,
    hops: Counter,
    hops_lost: Counter,
    connections: Gauge,
    streams: Gauge,
    viewers: Gauge,
    other_readers: [Gauge; OtherReader::ALL.len()],
    promised_bps: Gauge,
}

impl ShardStats {
    /// The latency of its streams.
    #[must_use]
    pub const fn latencies(&self) -> &Arc<StreamLatencies> {
        &self.latencies
    }

    /// A connection was let in.
    pub fn connection_accepted(&self) {
        self.counters.accepted.add(1);
    }

    /// A connection was turned away at the door.
    pub fn connection_refused(&self, limit: Limit) {
        self.counters.refused.add(1);
        self.limit_met(limit);
    }

    /// A peer was turned away or ended because of a limit.
    pub fn limit_met(&self, limit: Limit) {
        self.counters.limits[limit as usize].add(1);
    }

    /// Somebody asked to publish.
    pub fn publish_attempt(&self, attempt: Attempt) {
        self.counters.publish[attempt as usize].add(1);
    }

    /// Somebody asked to play.
    pub fn play_attempt(&self, attempt: Attempt) {
        self.counters.play[attempt as usize].add(1);
    }

    /// Bytes came from peers.
    pub fn bytes_in(&self, bytes: u64) {
        self.counters.bytes_in.add(bytes);
    }

    /// Bytes went to peers.
    pub fn bytes_out(&self, bytes: u64) {
        self.counters.bytes_out.add(bytes);
    }

    /// So many readers took so many bytes together.
    pub fn sent(&self, readers: u64, bytes: u64) {
        self.counters.sends.add(readers);
        self.counters.bytes_out.add(bytes);
    }

    /// So many sockets were full.
    pub fn send_blocked(&self, sockets: u64) {
        self.counters.blocked.add(sockets);
    }

    /// A connection failed.
    pub fn error(&self, kind: ErrorKind) {
        self.counters.errors[kind as usize].add(1);
    }

    /// The peer broke the protocol.
    pub fn error_protocol(&self) {
        self.error(ErrorKind::Protocol);
    }

    /// The peer was too slow.
    pub fn error_timeout(&self) {
        self.error(ErrorKind::Timeout);
    }

    /// A socket failed.
    pub fn error_io(&self) {
        self.error(ErrorKind::Io);
    }

    /// A task of this program panicked.
    pub fn error_panic(&self) {
        self.error(ErrorKind::Panic);
    }

    /// The handshake was not completed.
    pub fn error_handshake(&self) {
        self.error(ErrorKind::Handshake);
    }

    /// Readers lost this much, in the unit of the reason.
    pub fn viewer_dropped(&self, reason: ViewerDrop, count: u64) {
        self.counters.drops[reason as usize].add(count);
    }

    /// A report to control did not fit its ring.
    pub fn report_lost(&self) {
        self.counters.reports_lost.add(1);
    }

    /// A message of a stream went to another shard, or was lost because that one does not keep up.
    pub fn hopped(&self, sent: bool) {
        if !sent {
            probes::hop_lost();
        }
        let counter = if sent { &self.counters.hops } else { &self.counters.hops_lost };
        counter.add(1);
    }

    /// What there is now: connections, and live streams whose home this shard is. A copy of another
    /// shard's stream is not counted, or it would count on each shard that has viewers for it.
    pub fn active(&self, connections: usize, streams: usize) {
        self.counters.connections.set_count(connections);
        self.counters.streams.set_count(streams);
    }

    /// How many peers play now, and how many others read streams.
    pub fn readers(&self, viewers: usize, others: [usize; OtherReader::ALL.len()]) {
        self.counters.viewers.set_count(viewers);
        for (gauge, count) in self.counters.other_readers.iter().zip(others) {
            gauge.set_count(count);
        }
    }

    /// What this shard's readers need in all, bits per second, by the mean rates of what they read.
    pub fn promise(&self, bps: f64) {
        self.counters.promised_bps.set(bps);
    }

    /// What was said last by [`ShardStats::promise`]. For any thread.
    #[must_use]
    pub fn promised_bps(&self) -> f64 {
        self.counters.promised_bps.get()
    }

    /// What its loop is doing.
    #[must_use]
    pub const fn activity(&self) -> &Arc<LoopActivity> {
        &self.activity
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> ShardFigures {
        let from = &self.counters;
        ShardFigures {
            accepted: from.accepted.get(),
            refused: from.refused.get(),
            publish: read_all(&from.publish),
            play: read_all(&from.play),
            errors: read_all(&from.errors),
            drops: read_all(&from.drops),
            limits: read_all(&from.limits),
            bytes_in: from.bytes_in.get(),
            bytes_out: from.bytes_out.get(),
            sends: from.sends.get(),
            blocked: from.blocked.get(),
            reports_lost: from.reports_lost.get(),
            hops: from.hops.get(),
            hops_lost: from.hops_lost.get(),
            connections: from.connections.get_count(),
            streams: from.streams.get_count(),
            viewers: from.viewers.get_count(),
            other_readers: from.other_readers.each_ref().map(Gauge::get_count),
            promised_bps: from.promised_bps.get_count(),
        }
    }
}

/// What a shard, or all of them together, had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardFigures {
    /// Connections let in.
    pub accepted: u64,
    /// Connections turned away at the door.
    pub refused: u64,
    /// Attempts to publish, by [`Attempt::ALL`].
    pub publish: [u64; Attempt::ALL.len()],
    /// Attempts to play, by [`Attempt::ALL`].
    pub play: [u64; Attempt::ALL.len()],
    /// Failures, by [`ErrorKind::ALL`].
    pub errors: [u64; ErrorKind::ALL.len()],
    /// What readers lost, by [`ViewerDrop::ALL`].
    pub drops: [u64; ViewerDrop::ALL.len()],
    /// Peers turned away or ended, by [`Limit::ALL`].
    pub limits: [u64; Limit::ALL.len()],
    /// Bytes from peers.
    pub bytes_in: u64,
    /// Bytes to peers.
    pub bytes_out: u64,
    /// Calls to send.
    pub sends: u64,
    /// Times a socket was full.
    pub blocked: u64,
    /// Reports that control did not get.
    pub reports_lost: u64,
    /// Messages of streams that went to other shards.
    pub hops: u64,
    /// Those that other shards were too slow to take.
    pub hops_lost: u64,
    /// Connections there are.
    pub connections: u64,
    /// Live streams.
    pub streams: u64,
    /// Peers that play: the audience.
    pub viewers: u64,
    /// Who else reads streams, in the order of [`OtherReader::ALL`].
    pub other_readers: [u64; OtherReader::ALL.len()],
    /// Bits per second that readers need, by the mean rates of what they read.
    pub promised_bps: u64,
}

impl ShardFigures {
    /// Adds those of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        add_each(&mut self.publish, &other.publish);
        add_each(&mut self.play, &other.play);
        add_each(&mut self.errors, &other.errors);
        add_each(&mut self.drops, &other.drops);
        add_each(&mut self.limits, &other.limits);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.sends += other.sends;
        self.blocked += other.blocked;
        self.reports_lost += other.reports_lost;
        self.hops += other.hops;
        self.hops_lost += other.hops_lost;
        self.connections += other.connections;
        self.streams += other.streams;
        self.viewers += other.viewers;
        add_each(&mut self.other_readers, &other.other_readers);
        self.promised_bps += other.promised_bps;
    }
}

fn add_each<const N: usize>(to: &mut [u64; N], from: &[u64; N]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_its_own_counter() {
        let stats = ShardStats::default();
        for (index, attempt) in Attempt::ALL.into_iter().enumerate() {
            assert_eq!(attempt as usize, index, "{attempt:?}");
            stats.publish_attempt(attempt);
        }
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
            stats.error(kind);
        }
        for (index, reason) in ViewerDrop::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
            stats.viewer_dropped(reason, 2);
        }
        for (index, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, index, "{limit:?}");
            stats.limit_met(limit);
        }
        let figures = stats.read();
        assert_eq!((figures.publish, figures.play), ([1; 6], [0; 6]));
        assert_eq!((figures.errors, figures.drops), ([1; 5], [2; 3]));
        assert_eq!(figures.limits, [1; Limit::ALL.len()]);
    }

    #[test]
    fn shards_add_up() {
        let (one, two) = (ShardStats::default(), ShardStats::default());
        one.connection_accepted();
        one.bytes_out(10);
        one.active(1, 2);
        two.bytes_out(32);
        two.active(4, 2);
        two.readers(3, [1, 2, 3, 4]);
        let mut all = one.read();
        all.merge(&two.read());
        assert_eq!((all.accepted, all.bytes_out), (1, 42));
        assert_eq!(all, ShardFigures { connections: 5, streams: 4, viewers: 3, ..all });
    }
}
