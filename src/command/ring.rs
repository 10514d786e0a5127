//! Messages of the rings between control and a shard.

use std::net::SocketAddr;
use std::sync::Arc;

use super::ChannelSwitch;
use super::demand::TranscodedStreams;
use super::hook::{HookQuestion, HookRequestId, Refusal};
use super::rules::DelayChange;
use super::shard::{
    ChannelSource, OutputSpec, PullSpec, PulledStream, RecordSink, ShardAnswer, ShardQuery,
    SubscriptionEvent,
};
use super::snapshot::{SnapshotFault, SnapshotRequest, StreamSnapshot};
use crate::event::{Event, NodeEvent};
use crate::keys::{Alias, Decision, KeyHash};
use crate::ring::Sender;

/// Control to a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// The answer to a [`ShardReport::KeyQuestion`].
    KeyAnswer {
        /// The key that was asked about.
        hash: KeyHash,
        /// What the store says.
        decision: Decision,
    },
    /// A key or an alias has changed, or any may have: what is remembered about it is no good, and
    /// whoever publishes with it is to be asked about by [`ShardReport::KeyRecheck`].
    KeyChanged {
        /// Hash of the key or of the alias' name; `None` for all.
        hash: Option<KeyHash>,
    },
    /// The answer to a [`ShardReport::KeyRecheck`]: who publishes with this key goes on or ends.
    KeyVerdict {
        /// The key.
        hash: KeyHash,
        /// What the store says now.
        decision: Decision,
    },
    /// The answer to a [`ShardReport::ResolvePull`], in the same form.
    PullResolved {
        /// Number of the pull on its shard.
        pull: usize,
        /// The first address to try.
        address: Result<SocketAddr, String>,
    },
    /// The answer to a [`ShardReport::HookQuestion`].
    HookAnswer {
        /// The question.
        ticket: HookRequestId,
        /// What the hooks say.
        refusal: Refusal,
    },
    /// The answer to a [`ShardReport::SnapshotWanted`].
    Snapshot {
        /// The question.
        ticket: HookRequestId,
        /// The picture, or why there is none.
        snapshot: Result<StreamSnapshot, SnapshotFault>,
    },
    /// The answer to a [`ShardReport::Resolve`]: addresses, or why there are none.
    Resolved {
        /// Number of the output on its shard.
        output: usize,
        /// The first address to try.
        address: Result<SocketAddr, String>,
    },
    /// Tell about streams or connections, or end some: answered with [`ShardReport::Answer`].
    Query(ShardQuery),
    /// One more decoder that wants the stream of this name. It ends when it drops its end.
    Subscription(Arc<str>, Sender<SubscriptionEvent>),
    /// One more channel, whose stream goes on with that of a channel that was stopped, or begins:
    /// answered with [`ShardReport::ChannelOpened`]. It ends when its switch says stop.
    Channel(Box<ChannelSource>),
    /// One more pull.
    AddPull(Box<PullSpec>),
    /// Let this pull begin, or say goodbye and wait.
    SwitchPull {
        /// Its number.
        pull: usize,
        /// Whether it is to pull.
        on: bool,
    },
    /// Let this pull say goodbye, and forget it.
    RemovePull {
        /// Its number.
        pull: usize,
    },
    /// The streams that are pulled from now on, by whichever shard.
    Pulled(Arc<[PulledStream]>),
    /// The streams that are transcoded from others from now on.
    Transcoded(Arc<[TranscodedStreams]>),
    /// One more recording.
    Record(RecordSink),
    /// One more output.
    AddOutput(Box<OutputSpec>),
    /// Let this output begin, or say goodbye and wait.
    SwitchOutput {
        /// Its number.
        output: usize,
        /// Whether it is to push.
        on: bool,
    },
    /// Change the delay of this output.
    DelayOutput {
        /// Its number.
        output: usize,
        /// What is wanted.
        change: DelayChange,
    },
    /// Let this output say goodbye, and forget it.
    RemoveOutput {
        /// Its number.
        output: usize,
    },
}

/// A shard to control.
#[derive(Debug)]
pub enum ShardReport {
    /// Is this key good? Asked once per key, however many connections wait.
    KeyQuestion {
        /// Hash of what was shown; a key itself never leaves the connection.
        hash: KeyHash,
        /// What was shown, if it has the form of an alias.
        alias: Option<Alias>,
    },
    /// Is the key of somebody who publishes still good?
    KeyRecheck {
        /// The key.
        hash: KeyHash,
    },
    /// Somebody publishes with this key from now on.
    KeyUsed {
        /// The key.
        hash: KeyHash,
    },
    /// This key was shown and refused, for a reason other than that it is not known.
    KeyFailed {
        /// Hash of what was shown.
        hash: KeyHash,
    },
    /// May somebody connect, publish or play? Only if there are hooks that decide that.
    HookQuestion(Box<HookQuestion>),
    /// Somebody who may play a stream wants its snapshot.
    SnapshotWanted(SnapshotRequest),
    /// Look up a destination's name, off the data plane.
    Resolve {
        /// Number of the output on its shard.
        output: usize,
        /// Host name or address.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// The answer to a [`ShardCommand::Channel`].
    ChannelOpened {
        /// The channel's.
        switch: Arc<ChannelSwitch>,
        /// Whether its stream is fed by it now; if not, somebody else feeds it.
        is_open: bool,
    },
    /// The answer to a [`ShardCommand::Query`].
    Answer(Box<ShardAnswer>),
    /// Look up the name of a server that is pulled from.
    ResolvePull {
        /// Number of the pull on its shard.
        pull: usize,
        /// Host name or address.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// Something happened to a connection.
    Connection(Event),
    /// Something happened to the node.
    Node(NodeEvent),
}
