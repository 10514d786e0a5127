//! References between the parts of a shard that was read from a snapshot: each leads to what it is
//! about.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::shard::connection::Connection;
use crate::shard::io::PeerId;
use crate::shard::output::Output;
use crate::shard::peers::{Peer, Peers};
use crate::shard::pull::Pull;
use crate::shard::shared::Shared;
use crate::shard::streams::Source;

/// The error says what the state contradicts itself about.
pub(super) fn check(
    shared: &Shared,
    peers: &Peers,
    outputs: &BTreeMap<usize, Output>,
    pulls: &BTreeMap<usize, Pull>,
) -> Result<(), &'static str> {
    let connection = |id| match peers.table.get(id) {
        Some(Peer::Connection(connection)) => Some(&**connection),
        _ => None,
    };
    let mut readers = HashMap::new();
    for (id, stream) in shared.streams.all() {
        if stream.readers.iter().any(|reader| readers.insert(*reader, id).is_some()) {
            return Err("who reads a stream");
        }
        if let Source::Publisher(peer) = stream.source
            && connection(peer).and_then(Connection::published) != Some(id)
        {
            return Err("who publishes a stream");
        }
    }
    let (mut outgoing, mut players, mut publishers) = (0, HashSet::new(), HashSet::new());
    for (id, peer) in peers.table.iter() {
        let own = |client: Option<(PeerId, bool)>| client.is_some_and(|(peer, _)| peer == id);
        let reads = match peer {
            Peer::Connection(connection) if connection.out.id == id => {
                let (for_stream, for_name) = connection.waits();
                players.extend(for_stream.then_some(id));
                publishers.extend(for_name.then_some(id));
                connection.out.stream
            }
            Peer::Output(number) if own(outputs.get(number).and_then(Output::peer)) => {
                outgoing += 1;
                outputs.get(number).and_then(Output::reads)
            }
            Peer::Pull(number) if own(pulls.get(number).and_then(Pull::peer)) => {
                outgoing += 1;
                None
            }
            _ => return Err("a peer"),
        };
        if readers.remove(&id) != reads {
            return Err("what a peer reads");
        }
    }
    let dialed = outputs.values().filter(|output| output.peer().is_some()).count()
        + pulls.values().filter(|pull| pull.peer().is_some()).count();
    let are = |known: &[PeerId], waiting: &HashSet<PeerId>| {
        known.len() == waiting.len() && known.iter().all(|peer| waiting.contains(peer))
    };
    if !readers.is_empty() || outgoing != dialed {
        return Err("peers that are not there");
    }
    if !are(&shared.waiting_players, &players) || !are(&shared.waiting_publishers, &publishers) {
        return Err("who waits");
    }
    Ok(())
}
