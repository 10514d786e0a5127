//! Invariants: what must be so after every call, now and then, when all is calm, and at the end.

use std::collections::HashMap;
use std::sync::Arc;

use super::node::{NAMES, Node};
use super::world::World;
use crate::limits::Audience;
use crate::media::Micros;
use crate::shard::connection::{Connection, Doing};
use crate::shard::core::ShardCore;
use crate::shard::io::{Core, PeerId};
use crate::shard::output::Output;
use crate::shard::peers::Peer;
use crate::shard::pull::Pull;
use crate::shard::send_state::SendState;
use crate::shard::streams::{Source, Stream};
use crate::stats::{Attempt, ErrorKind};

/// Longest time in which a connection may do the same without publishing or playing.
const WAIT_MAX: Micros = Micros::from_secs(20);

/// Longest time in which the name of a server may be looked up.
const RESOLVE_MAX: Micros = Micros::from_secs(40);

impl ShardCore {
    /// What must be so after every call.
    pub(super) fn check_call(&self) -> Result<(), String> {
        match self.shared.cx.notices.front() {
            Some(notice) => Err(format!("{notice:?} waits for the next call")),
            None => Ok(()),
        }
    }

    /// Whether what this peer sends is counted.
    pub(super) fn counts_input(&self, id: PeerId) -> bool {
        matches!(self.peers.table.get(id), Some(Peer::Connection(_) | Peer::Pull(_)))
    }

    fn connections(&self) -> impl Iterator<Item = (PeerId, &Connection)> {
        self.peers.table.iter().filter_map(|(id, peer)| match peer {
            Peer::Connection(connection) => Some((id, &**connection)),
            _ => None,
        })
    }
}

/// A player of a shard, and the last keyframe that it has: source and number.
pub(super) type Viewer = (usize, PeerId, Option<(u32, u32)>);

/// Since when connections have been waiting, and for what.
#[derive(Debug, Default)]
pub(super) struct Waits(HashMap<(usize, PeerId), (Doing, u32, Micros)>);

impl World {
    /// What must be so between any two calls. Looks at everything.
    pub(super) fn check(&self, waits: &mut Waits) -> Result<(), String> {
        let mut seated: HashMap<*const Audience, (u32, u32)> = HashMap::new();
        let (mut connections, mut admitted) = (0, [0; 2]);
        for (number, node) in self.nodes.iter().enumerate() {
            check_peers(node)?;
            check_streams(node)?;
            check_figures(node)?;
            for (_, connection) in node.core.connections() {
                connections += 1;
                if let Some(audience) = connection.audience() {
                    let known = seated.entry(Arc::as_ptr(audience));
                    known.or_insert_with(|| (audience.seated(), 0)).1 += 1;
                }
            }
            for (_, stream) in node.core.shared.streams.all() {
                let known = seated.entry(Arc::as_ptr(&stream.audience));
                known.or_insert_with(|| (stream.audience.seated(), 0));
            }
            let figures = node.stats.read();
            admitted[0] += figures.publish[Attempt::Ok as usize];
            admitted[1] += figures.play[Attempt::Ok as usize];
            self.check_waits(number, waits)?;
        }
        if self.limits.connections() != connections {
            let counted = self.limits.connections();
            return Err(format!("{counted} connections are counted, {connections} are there"));
        }
        if let Some((counted, there)) = seated.values().find(|(counted, there)| counted != there) {
            return Err(format!("{counted} viewers of a stream are counted, {there} are there"));
        }
        let told = [self.control.admitted[1], self.control.admitted[2]];
        let is_all_told = self.nodes.iter().all(|node| node.reports.is_empty());
        if is_all_told && told != admitted {
            return Err(format!("{admitted:?} were let in to publish and to play, {told:?} told"));
        }
        self.check_names()
    }

    fn check_waits(&self, number: usize, waits: &mut Waits) -> Result<(), String> {
        let core = &self.nodes[number].core;
        for (id, connection) in core.connections() {
            let doing = connection.doing();
            if let Some(by) = connection.closes_by()
                && self.now.since(by) > Micros::from_secs(10)
            {
                let out = &connection.out;
                let state = (out.is_blocked(), out.is_queued, core.shared.cx.ready.contains(&id));
                return Err(format!(
                    "{id:?}, {doing:?}, was to be closed by {by:?}; full, queued, ready: {state:?}"
                ));
            }
            if matches!(doing, Doing::Publishes(_) | Doing::Plays(_)) {
                waits.0.remove(&(number, id));
                continue;
            }
            let events = connection.questions_so_far();
            let now = (doing, events, self.now);
            let known = waits.0.entry((number, id)).or_insert(now);
            if (known.0, known.1) != (doing, events) {
                *known = now;
            }
            if self.now.since(known.2) > WAIT_MAX {
                return Err(format!("{id:?} has been {doing:?} since {:?}", known.2));
            }
        }
        let outputs = core.outputs.values().filter_map(Output::unresolved_since);
        let pulls = core.pulls.values().filter_map(Pull::unresolved_since);
        if let Some(since) = outputs.chain(pulls).find(|at| self.now.since(*at) > RESOLVE_MAX) {
            return Err(format!("an output or a pull has waited for an address since {since:?}"));
        }
        waits.0.retain(|(shard, id), _| *shard != number || core.peers.table.get(*id).is_some());
        Ok(())
    }

    /// A name has one source, once all shards have heard of it.
    fn check_names(&self) -> Result<(), String> {
        if !self.nodes.iter().all(|node| node.core.shared.streams.mesh.is_quiet()) {
            return Ok(());
        }
        for name in NAMES {
            let feeds =
                |node: &Node| node.core.shared.streams.named(name).is_some_and(Stream::is_fed_here);
            let fed: Vec<_> = (0..self.nodes.len()).filter(|at| feeds(&self.nodes[*at])).collect();
            let [owner] = fed[..] else {
                if fed.is_empty() {
                    continue;
                }
                return Err(format!("{name} is fed at shards {fed:?}"));
            };
            for (number, node) in self.nodes.iter().enumerate() {
                let known = node.core.shared.streams.mesh.owner(name);
                if number != owner && known != Some(owner) {
                    return Err(format!("{name} is fed at {owner}, and {number} has {known:?}"));
                }
            }
        }
        Ok(())
    }

    /// What must be so once all is over.
    pub(super) fn check_end(self) -> Result<(), String> {
        let Self { nodes, control, limits, packets, .. } = self;
        for (number, node) in nodes.iter().enumerate() {
            let core = &node.core;
            let left = (core.peers.table.len(), core.outputs.len(), core.pulls.len());
            if left != (0, 0, 0) {
                return Err(format!("shard {number} is left with {left:?} peers, outputs, pulls"));
            }
            let shared = &core.shared;
            let waiting = (shared.waiting_players.len(), shared.waiting_publishers.len());
            if waiting != (0, 0) {
                return Err(format!("shard {number} is left with {waiting:?} that wait"));
            }
            for (_, stream) in shared.streams.all() {
                if !stream.readers.is_empty() || stream.audience.seated() > 0 {
                    return Err(format!("shard {number} is left with readers of {}", stream.name));
                }
            }
        }
        if control.queries > 0 {
            return Err(format!("{} queries were not answered", control.queries));
        }
        if control.open_stages() > 0 {
            return Err(format!("{} stages never end", control.open_stages()));
        }
        drop(nodes);
        drop(control);
        let left = (limits.connections(), limits.messages().held(), packets.in_use());
        if left != (0, 0, 0) {
            return Err(format!("{left:?} connections, bytes of messages and packets are left"));
        }
        Ok(())
    }
}

fn check_peers(node: &Node) -> Result<(), String> {
    let core = &node.core;
    let mut links = node.net.ids();
    if let Some(id) = links.find(|id| core.peers.table.get(*id).is_none()) {
        return Err(format!("{id:?} has a socket and is no peer"));
    }
    let sockets = node.net.ids().count();
    if sockets + core.shared.leaving.len() < core.peers.table.len() {
        return Err(format!("{} peers with {sockets} sockets", core.peers.table.len()));
    }
    let count = core.connections().count();
    if count != core.peers.connections() {
        return Err(format!("{count} connections, counted as {}", core.peers.connections()));
    }
    let shared = &core.shared;
    let (mut players, mut publishers) = (0, 0);
    for (id, connection) in core.connections() {
        let doing = connection.doing();
        players += usize::from(doing == Doing::AwaitsStream);
        publishers += usize::from(connection.awaits_name());
        match doing {
            Doing::AwaitsStream if !shared.waiting_players.contains(&id) => {
                return Err(format!("{id:?} waits for a stream, and nobody knows"));
            }
            Doing::Publishes(stream) if !shared.is_fed_by(stream, id) => {
                return Err(format!("{id:?} publishes a stream that another source feeds"));
            }
            Doing::Plays(stream) => {
                let reads = connection.out.stream == Some(stream);
                let stream = shared.streams.get(stream);
                let known = stream.is_some_and(|stream| stream.readers.contains(&id));
                if !reads || !known {
                    return Err(format!("{id:?} plays, and is no reader: {reads} {known}"));
                }
            }
            _ if connection.out.stream.is_some() => {
                return Err(format!("{id:?} reads a stream and does not play"));
            }
            _ => {}
        }
        if connection.audience().is_some() != matches!(doing, Doing::Plays(_)) {
            return Err(format!("{id:?} is {doing:?} and has a permit, or plays and has none"));
        }
    }
    if players != shared.waiting_players.len() || publishers != shared.waiting_publishers.len() {
        return Err(format!(
            "{players} players and {publishers} publishers wait; known are {:?} and {:?}",
            shared.waiting_players, shared.waiting_publishers
        ));
    }
    Ok(())
}

fn check_streams(node: &Node) -> Result<(), String> {
    let (core, streams) = (&node.core, &node.core.shared.streams);
    for (name, id) in streams.names() {
        if !streams.get(id).is_some_and(|stream| stream.name == *name && !stream.has_ended()) {
            return Err(format!("the name {name} has no stream"));
        }
    }
    let limits = core.shared.cx.spec.log;
    for (id, stream) in streams.all() {
        let name = &stream.name;
        if stream.has_ended() != (streams.local(name) != Some(id)) {
            return Err(format!("a stream {name} that nobody finds"));
        }
        if stream.has_ended() && stream.readers.is_empty() {
            return Err(format!("a stream {name} that is over and has no readers"));
        }
        for (at, reader) in stream.readers.iter().enumerate() {
            if stream.readers[..at].contains(reader) {
                return Err(format!("{reader:?} reads {name} twice"));
            }
            let (is_output, reads) = match core.peers.table.get(*reader) {
                Some(Peer::Connection(it)) => (false, it.doing() == Doing::Plays(id)),
                Some(Peer::Output(_)) => (true, true),
                _ => return Err(format!("{reader:?} reads {name} and is gone")),
            };
            if !reads || is_output != stream.outputs.contains(reader) {
                return Err(format!("{reader:?} reads {name}: {reads}, output: {is_output}"));
            }
            let place = core.peers.send_states[reader.index()].place;
            let is_behind = place < SendState::BLOCKED && place != stream.log.end();
            let is_offered = stream.is_offered() && !node.has_more;
            let is_queued = core.shared.cx.ready.contains(reader);
            if is_behind && (place > stream.log.end() || is_offered && !is_queued) {
                let end = stream.log.end();
                return Err(format!("{reader:?} stands at {place} of {name}, which ends at {end}"));
            }
        }
        let all = || stream.outputs.iter().chain(&stream.relays);
        if let Some(other) = all().find(|peer| !stream.readers.contains(peer)) {
            return Err(format!("{other:?} is an output or a relay of {name} and no reader"));
        }
        if stream.subscribers() > 0 && !stream.is_owned() {
            return Err(format!("{name} has subscribers and is of another shard"));
        }
        if let Source::Publisher(peer) = stream.source
            && !matches!(core.peers.table.get(peer), Some(Peer::Connection(it))
                if it.doing() == Doing::Publishes(id))
        {
            return Err(format!("{name} is fed by {peer:?}, which does not publish it"));
        }
        let count = stream.log.end() - stream.log.first();
        // The group that goes on is kept whole, within the bytes.
        let most = limits.bytes.max(32 << 10) as u64 / 256 + limits.messages as u64 + 1;
        if count > most.max(4_200) {
            return Err(format!("the log of {name} has {count} messages"));
        }
    }
    Ok(())
}

fn check_figures(node: &Node) -> Result<(), String> {
    let figures = node.stats.read();
    if figures.errors[ErrorKind::Panic as usize] > 0 {
        return Err("a panic".to_owned());
    }
    let told = (figures.accepted, figures.bytes_in, figures.bytes_out, figures.reports_lost);
    let facts = (node.accepted, node.bytes_in, node.net.taken, 0);
    if told != facts {
        return Err(format!(
            "accepted, bytes in, bytes out, reports lost: {told:?}, not {facts:?}"
        ));
    }
    Ok(())
}

impl World {
    /// Players that are to be sent the newest pictures, and the last keyframe that each has.
    pub(super) fn viewers(&self) -> Vec<Viewer> {
        let mut viewers = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            for id in node.net.ids() {
                let Some(Peer::Connection(connection)) = node.core.peers.table.get(id) else {
                    continue;
                };
                let Doing::Plays(stream) = connection.doing() else { continue };
                let Some(stream) = node.core.shared.streams.get(stream) else { continue };
                let is_fed = self.nodes.iter().any(|node| {
                    let stream = node.core.shared.streams.named(&stream.name);
                    matches!(stream, Some(Stream { source: Source::Publisher(_), .. }))
                });
                let key = node.net.audit(id).and_then(|audit| audit.newest_key);
                if is_fed {
                    viewers.push((number, id, key));
                }
            }
        }
        viewers
    }

    /// Whoever could be sent pictures a while ago and can be now has got newer ones.
    pub(super) fn check_viewers(&self, before: &[Viewer]) -> Result<(), String> {
        let now = self.viewers();
        for (shard, id, key) in before {
            let same = now.iter().find(|it| (it.0, it.1) == (*shard, *id));
            if same.is_some_and(|(.., newer)| newer == key) {
                let (what, state) = self.describe(*shard, *id);
                return Err(format!(
                    "{what}, {id:?} of shard {shard}, gets no pictures after {key:?}: {state}"
                ));
            }
        }
        Ok(())
    }

    /// A player and its stream, for a finding.
    fn describe(&self, shard: usize, id: PeerId) -> (String, String) {
        let node = &self.nodes[shard];
        let core = &node.core;
        let Some(Peer::Connection(connection)) = core.peers.table.get(id) else {
            return Default::default();
        };
        let out = &connection.out;
        let Some(stream) = out.stream.and_then(|id| core.shared.streams.get(id)) else {
            return (format!("{:?}", connection.doing()), String::new());
        };
        let log = (stream.log.first(), stream.log.end(), stream.log.newest_key());
        let place = core.peers.send_states[id.index()].place;
        let text = format!(
            "{} from {:?}, log {log:?}, subscribers {}, place {place}, full {}; {out:?}",
            stream.name,
            stream.source,
            stream.subscribers(),
            out.is_blocked()
        );
        (node.net.describe(id), text)
    }

    /// Whether every core has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.nodes.iter().all(|node| node.core.is_finished(self.now))
    }
}
