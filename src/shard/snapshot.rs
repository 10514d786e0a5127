//! Snapshot of a shard: its state as bytes, from which another shard goes on, such as that of a
//! node that takes over with the sockets of this one.
//!
//! Written are peers, streams, and what is waited for. Rings, figures, limits and pools are those
//! of the reader; permits are taken of them again. A snapshot holds secrets (keys of
//! outputs, queries of peers): it is for a pipe between two processes, not for a file.

mod attach;
mod references;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::attach::Attached;
use super::core::ShardCore;
use super::io::{Io, PeerId};
use super::keys::SavedKeys;
use super::outbound::Outbound;
use super::output::Output;
use super::peers::{Peer, Peers, client_of};
use super::pull::Pull;
use super::query::Query;
use super::send_state::SendState;
use super::spec::{ShardParts, ShardSpec};
use super::streams::{Mesh, Streams};
use crate::command::{Scope, ShardQuery};
use crate::frame::saved::{reading, writing};
use crate::limits::Audiences;
use crate::media::Micros;
use crate::media::instants::relative_to;

/// Begins every snapshot.
const MAGIC: [u8; 8] = *b"SMSHARD\n";

/// The form of what follows. It changes with every change of a type that is written.
const FORMAT: u16 = 1;

/// Bytes of the digest (BLAKE3) over the rest.
const DIGEST_BYTES: usize = 32;

/// Why an encrypted connection is not handed over.
const ENCRYPTED: &str = "the node is replaced, and an encrypted connection cannot be handed over";

/// A shard that was written down.
#[derive(Clone, Debug, Default)]
pub struct ShardSnapshot {
    /// For [`ShardCore::restore`].
    pub bytes: Vec<u8>,
    /// The peers whose sockets belong to it.
    pub peers: Vec<PeerEntry>,
    /// The streams that it knows of. Those of all shards make up the [`Audiences`] of the node.
    pub streams: Vec<Arc<str>>,
    /// Peers that are not part of it, and why: they have been ended, and their sockets are closed.
    pub ended: Vec<(PeerId, &'static str)>,
}

/// A peer whose socket is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// Its number, which stays.
    pub id: PeerId,
    /// What it is.
    pub kind: PeerKind,
    /// Where it comes from; of outgoing connections only the socket knows.
    pub address: Option<SocketAddr>,
    /// Whether an outgoing TCP connection is still being made.
    pub is_connecting: bool,
}

/// What a peer is to its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerKind {
    /// It shakes hands, waits for an answer, or is idle between streams.
    Pending,
    /// It publishes.
    Publisher,
    /// It plays.
    Viewer,
    /// A connection of an output.
    Output,
    /// A connection of a pull.
    Pull,
}

/// Why a shard cannot be written down, or not be read back. `Display` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// The state cannot be written.
    Unwritable(String),
    /// The bytes are no snapshot.
    Foreign,
    /// The snapshot has this other format.
    Format(u16),
    /// The bytes have been changed, or cut.
    Damaged,
    /// The digest is right, and the state cannot be read.
    Unreadable(String),
    /// It is of this shard, of so many.
    OtherShard(usize, usize),
    /// The state contradicts itself about this.
    Contradiction(&'static str),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EMPTY: &str = "start the shard without it: its peers have to connect again";
        match self {
            Self::Unwritable(what) => {
                write!(f, "the shard cannot be written down ({what}): let it go on as it is")
            }
            Self::Foreign => write!(f, "this is no snapshot of a shard; {EMPTY}"),
            Self::Format(format) => write!(
                f,
                "the snapshot has format {format}, and this program reads {FORMAT}; {EMPTY}"
            ),
            Self::Damaged => write!(f, "the snapshot was changed or cut on its way; {EMPTY}"),
            Self::Unreadable(what) => write!(f, "the snapshot cannot be read ({what}); {EMPTY}"),
            Self::OtherShard(number, shards) => write!(
                f,
                "the snapshot is of shard {number} of {shards}: give it to that one, of a node \
                 with as many"
            ),
            Self::Contradiction(what) => {
                write!(f, "the snapshot contradicts itself about {what}; {EMPTY}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

/// What is written. [`Read`] has the same fields in the same order.
#[derive(Serialize)]
struct Written<'a> {
    number: usize,
    shards: usize,
    node: u64,
    chunk_size: u32,
    seed: u64,
    newest_term: u64,
    #[serde(with = "crate::media::instants")]
    next_look: Micros,
    #[serde(with = "crate::media::instants")]
    stopping: Option<Micros>,
    queries: Vec<(u64, &'a Scope, usize)>,
    ready: &'a VecDeque<PeerId>,
    waiting_players: &'a [PeerId],
    waiting_publishers: &'a [PeerId],
    keys: SavedKeys,
    streams: &'a Streams,
    outputs: &'a BTreeMap<usize, Output>,
    pulls: &'a BTreeMap<usize, Pull>,
    peers: &'a Peers,
}

/// What is read.
#[derive(Deserialize)]
struct Read {
    number: usize,
    shards: usize,
    /// The node's number, by which others know its streams.
    node: u64,
    /// What its peers were told.
    chunk_size: u32,
    /// Of the pseudo-random numbers.
    seed: u64,
    newest_term: u64,
    #[serde(with = "crate::media::instants")]
    next_look: Micros,
    #[serde(with = "crate::media::instants")]
    stopping: Option<Micros>,
    /// Number, scope, and how many were ended so far.
    queries: Vec<(u64, Scope, usize)>,
    ready: VecDeque<PeerId>,
    waiting_players: Vec<PeerId>,
    waiting_publishers: Vec<PeerId>,
    keys: SavedKeys,
    streams: Streams,
    outputs: BTreeMap<usize, Output>,
    pulls: BTreeMap<usize, Pull>,
    peers: Peers,
}

impl ShardCore {
    /// Writes the shard down at `now`, for [`ShardCore::restore`]. Encrypted connections are ended:
    /// their keys cannot be handed over.
    ///
    /// First the rings are to be read ([`super::Core::read_rings`]) of all shards, as long as they
    /// have mail: what is left in them is lost, and made up for as if the shards had been slow.
    /// Afterwards the driver does what the core asks for, as always, and hands over the sockets.
    /// Should that fail, the shard may go on.
    ///
    /// # Errors
    /// [`SnapshotError::Unwritable`]; the shard goes on then.
    pub fn save(&mut self, now: Micros, io: &mut impl Io) -> Result<ShardSnapshot, SnapshotError> {
        self.shared.cx.now = now;
        let ended = self.end_encrypted();
        self.handle_notices();
        self.close_leaving(io);
        self.shared.streams.lose_unheard();
        self.each_outbound(Outbound::step_in);
        let written = self.written();
        let payload = relative_to(now, || writing(|| postcard::to_stdvec(&written)));
        self.each_outbound(|out, line| out.step_out(line));
        let payload = payload.map_err(|error| SnapshotError::Unwritable(error.to_string()))?;
        let (peers, streams) = (self.sockets(), self.shared.streams.known());
        Ok(ShardSnapshot { bytes: sealed(&payload), peers, streams, ended })
    }

    /// Goes on from a snapshot, with the rings, limits and pools of `parts`, on a clock that says
    /// `now`. Deadlines are as far away as they were. Ages end where the clock began: a node that
    /// takes over does well to take over the epoch too.
    ///
    /// Of `parts`, outputs and pulls go on with their connections if they are what they were;
    /// others begin, and those that are missing say goodbye. Subscriptions begin as new
    /// ones do, and so do channels, whose streams go on with them. `audiences` is one for all
    /// shards of the node. The driver has to know the sockets of [`ShardSnapshot::peers`], to call
    /// [`super::Core::writable`] for each, whose readiness may have been told before, and to do
    /// what the core asks for: a peer may be over at once.
    ///
    /// # Errors
    /// Says what to do instead.
    pub fn restore(
        bytes: &[u8],
        mut parts: ShardParts,
        audiences: &Audiences,
        now: Micros,
    ) -> Result<Self, SnapshotError> {
        let payload = opened(bytes)?;
        let read: Read = relative_to(now, || {
            reading(&parts.packets, || {
                let (read, rest) = postcard::take_from_bytes(payload)
                    .map_err(|error| SnapshotError::Unreadable(error.to_string()))?;
                let more = || SnapshotError::Unreadable("something follows".to_owned());
                rest.is_empty().then_some(read).ok_or_else(more)
            })
        })?;
        if (read.number, read.shards) != (parts.spec.number, parts.mesh.shards()) {
            return Err(SnapshotError::OtherShard(read.number, read.shards));
        }
        let mesh = std::mem::take(&mut parts.mesh);
        let attached = Attached::taken_from(&mut parts);
        parts.spec = ShardSpec { node: read.node, chunk_size: read.chunk_size, ..parts.spec };
        let mut core = Self::new(parts, now);
        core.adopt(read, mesh, audiences, attached).map_err(SnapshotError::Contradiction)?;
        core.handle_notices();
        Ok(core)
    }

    /// The peers that have sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<PeerEntry> {
        let entries = self.peers.table.iter().filter_map(|(id, peer)| {
            let outgoing = |kind, client: Option<(PeerId, bool)>| {
                let is_connecting = client.is_some_and(|(_, is_connecting)| is_connecting);
                Some(PeerEntry { id, kind, address: None, is_connecting })
            };
            match peer {
                Peer::Connection(connection) => {
                    let kind = match (connection.published(), connection.out.stream) {
                        (Some(_), _) => PeerKind::Publisher,
                        (None, Some(_)) => PeerKind::Viewer,
                        (None, None) => PeerKind::Pending,
                    };
                    let address = Some(connection.address());
                    Some(PeerEntry { id, kind, address, is_connecting: false })
                }
                Peer::Output(number) => {
                    outgoing(PeerKind::Output, self.outputs.get(number).and_then(Output::peer))
                }
                Peer::Pull(number) => {
                    outgoing(PeerKind::Pull, self.pulls.get(number).and_then(Pull::peer))
                }
                Peer::Closing | Peer::Busy => None,
            }
        });
        entries.collect()
    }

    /// Ends the peers that cannot be written.
    fn end_encrypted(&mut self) -> Vec<(PeerId, &'static str)> {
        let mut ended = Vec::new();
        for id in self.peers.table.keys() {
            let is_encrypted = match self.peers.table.get(id) {
                Some(Peer::Connection(connection)) => connection.out.link.is_some(),
                _ => self.client(id).is_some_and(|client| client.out.link.is_some()),
            };
            if is_encrypted {
                match self.peers.take(id) {
                    Some(connection) => self.end_connection(connection, ENCRYPTED),
                    None => self.client_failed(id, ENCRYPTED.to_owned()),
                }
                ended.push((id, ENCRYPTED));
            }
        }
        ended
    }

    /// Calls `each` for the sending half of each peer.
    fn each_outbound(&mut self, mut each: impl FnMut(&mut Outbound, &mut SendState)) {
        let Self { peers: Peers { table, send_states, .. }, outputs, pulls, .. } = self;
        for (id, peer) in table.iter_mut() {
            let state = &mut send_states[id.index()];
            if let Peer::Connection(connection) = peer {
                each(&mut connection.out, state);
            } else if let Some(client) = client_of(Some(peer), outputs, pulls) {
                each(&mut client.out, state);
            }
        }
    }

    fn written(&self) -> Written<'_> {
        let Self { shared, peers, outputs, pulls, queries, next_look, stopping, .. } = self;
        let spec = &shared.cx.spec;
        Written {
            number: spec.number,
            shards: shared.streams.mesh.shards(),
            node: spec.node,
            chunk_size: spec.chunk_size,
            seed: shared.cx.seed,
            newest_term: shared.streams.mesh.newest_term(),
            next_look: *next_look,
            stopping: *stopping,
            queries: queries
                .iter()
                .map(|query| (query.answer.number, &query.scope, query.answer.kicked))
                .collect(),
            ready: &shared.cx.ready,
            waiting_players: &shared.waiting_players,
            waiting_publishers: &shared.waiting_publishers,
            keys: shared.keys.saved(),
            streams: &shared.streams,
            outputs,
            pulls,
            peers,
        }
    }

    /// Becomes what was read. The error says what that contradicts itself about.
    fn adopt(
        &mut self,
        read: Read,
        mesh: Mesh,
        audiences: &Audiences,
        mut attached: Attached,
    ) -> Result<(), &'static str> {
        let Self { shared, peers, outputs, pulls, .. } = self;
        let pulled = std::mem::take(&mut shared.streams.pulled);
        (shared.cx.seed, shared.streams, *peers) = (read.seed, read.streams, read.peers);
        shared.streams.set_pulled(pulled);
        shared.streams.resume(&shared.cx, mesh, read.newest_term, audiences)?;
        if !peers.resume() {
            return Err("the table of peers");
        }
        let numbers;
        (*outputs, *pulls, numbers) = attached.dialers(read.outputs, read.pulls);
        numbers.apply(peers, &mut shared.streams)?;
        shared.waiting_players = read.waiting_players;
        shared.waiting_publishers = read.waiting_publishers;
        references::check(shared, peers, outputs, pulls)?;
        for (_, peer) in peers.table.iter_mut() {
            if let Peer::Connection(connection) = peer {
                connection.resume(shared)?;
            }
        }
        if !outputs.values_mut().all(|output| output.resume(shared)) {
            return Err("an output");
        }
        if !pulls.values_mut().all(|pull| pull.resume(shared)) {
            return Err("a pull");
        }
        shared.keys.resume(&mut shared.cx, read.keys);
        shared.cx.ready = read.ready;
        (self.next_look, self.stopping) = (read.next_look, read.stopping);
        self.each_outbound(|out, line| out.step_out(line));
        for (number, scope, kicked) in read.queries {
            let mut query = Query::new(ShardQuery { number, scope }, self.peers.table.keys());
            query.answer.kicked = kicked;
            self.queries.push_back(query);
        }
        self.attach(attached);
        Ok(())
    }
}

/// A snapshot of this payload.
pub(super) fn sealed(payload: &[u8]) -> Vec<u8> {
    let digest = blake3::hash(payload);
    [&MAGIC[..], &FORMAT.to_le_bytes(), digest.as_bytes(), payload].concat()
}

/// The payload of a snapshot.
pub(super) fn opened(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(SnapshotError::Foreign)?;
    let (format, rest) = rest.split_first_chunk().ok_or(SnapshotError::Damaged)?;
    match u16::from_le_bytes(*format) {
        FORMAT => {}
        other => return Err(SnapshotError::Format(other)),
    }
    let (digest, payload) =
        rest.split_first_chunk::<DIGEST_BYTES>().ok_or(SnapshotError::Damaged)?;
    let is_whole = blake3::hash(payload) == *digest;
    is_whole.then_some(payload).ok_or(SnapshotError::Damaged)
}
