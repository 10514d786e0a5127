//! State that everything on a shard shares: its context, streams and keys.

use super::context::Context;
use super::io::PeerId;
use super::keys::Keys;
use super::outbound::Outbound;
use super::stream_id::StreamId;
use super::streams::{Source, Streams};

/// What a peer may use while it is handled. Other peers are not among it: they hear by notices.
pub(super) struct Shared {
    pub(super) cx: Context,
    pub(super) streams: Streams,
    pub(super) keys: Keys,
    /// Players that wait for a stream.
    pub(super) waiting_players: Vec<PeerId>,
    /// Publishers that wait for a name.
    pub(super) waiting_publishers: Vec<PeerId>,
    /// Sending halves of peers that are over; their sockets are to be closed.
    pub(super) leaving: Vec<Outbound>,
}

impl Shared {
    /// Whether this connection is the source of that stream.
    pub(super) fn is_fed_by(&self, stream: StreamId, peer: PeerId) -> bool {
        let stream = self.streams.get(stream);
        stream.is_some_and(|stream| matches!(stream.source, Source::Publisher(it) if it == peer))
    }
}
