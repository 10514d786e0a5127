//! The world of a run: shards joined by their rings, everybody who connects to them, and time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::control::{Control, key_of};
use super::env::{Env, Next};
use super::flv::WebPlayer;
use super::loss;
use super::net::{Link, Net, PeerEnd};
use super::node::{NAMES, Node, parts};
use super::peers::{GarbagePeer, Player, Publisher, Remote};
use super::programme::Sources;
use super::rng::Rng;
use super::servers::{Destination, PullServer};
use super::settings;
use super::takeover::Takeovers;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::limits::{LimitSpec, NodeLimits};
use crate::media::Micros;
use crate::ring::Bell;
use crate::shard::core::ShardCore;
use crate::shard::io::{Action, Closed, Core, PeerId};
use crate::shard::peers::Peer;
use crate::shard::spec::{PublishPolicy, ShardParts, ShardSettings, ShardSpec};
use crate::shard::streams::Mesh;
use crate::stats::ShardStats;

/// Peers that come by themselves, of each shard.
const PEERS_MAX: usize = 12;

/// What the clock says at first.
pub(super) const BEGIN: Micros = Micros::from_secs(100);

/// Steps, and calm rounds, until cores are replaced by copies of themselves, on average.
const STEPS_OF_CORE: usize = 1_500;
const ROUNDS_OF_CORE: usize = 60;

/// Everything there is.
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Micros,
    pub(super) nodes: Vec<Node>,
    pub(super) control: Control,
    pub(super) sources: Sources,
    pub(super) limits: Arc<NodeLimits>,
    /// Packets of the cores; those of peers are others.
    pub(super) packets: PacketPool,
    pool: PacketPool,
    pub(super) spec: ShardSpec,
    pub(super) limit_spec: LimitSpec,
    /// Messages that may wait between two shards.
    pub(super) mesh_ring: usize,
    /// When cores are replaced by copies of themselves, if they are.
    pub(super) takeovers: Option<Takeovers>,
    pub(super) steps: u64,
    /// What says when cores panic, in runs in which they do.
    pub(super) panics: Option<Rng>,
    pub(super) is_calm: bool,
    pub(super) is_stopping: bool,
    /// What has come from one end, on its way to the other.
    scratch: Vec<u8>,
    said: Vec<u8>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::begun_at(seed, BEGIN)
    }

    /// The same on a clock that says `now` at first.
    pub(super) fn begun_at(seed: u64, now: Micros) -> Self {
        let mut rng = Rng::new(seed);
        let shards = 1 + rng.below(3);
        let spec = settings::spec(&mut rng);
        let stats: Vec<Arc<ShardStats>> = (0..shards).map(|_| Arc::default()).collect();
        let limit_spec = settings::limits(&mut rng);
        let limits = Arc::new(NodeLimits::new(&limit_spec, stats.clone()));
        let pool = PacketPoolSpec { bytes_max: 16 << 20 };
        let packets = PacketPool::new(pool).unwrap();
        let bells: Vec<_> = (0..shards).map(|_| Bell::new()).collect();
        let mesh_ring = rng.pick(&[16, 16, 64, 256]);
        let meshes = Mesh::of_capacity(&bells, mesh_ring);
        let mut nodes = Vec::new();
        for ((number, mesh), stats) in meshes.into_iter().enumerate().zip(stats) {
            let spec = ShardSpec { number, ..spec.clone() };
            let (parts, ends) = parts(spec, mesh, &bells[number], (&limits, &packets), &stats);
            let parts = ShardParts { seed: rng.next(), ..parts };
            let core = ShardCore::new(parts, now);
            let net = Net::new(Rng::new(rng.next()));
            nodes.push(Node::new(core, net, stats, ends));
        }
        let control = Control::new(Rng::new(rng.next()), NAMES);
        let pool = PacketPool::new(pool).unwrap();
        Self {
            rng,
            now,
            nodes,
            control,
            sources: Sources::default(),
            limits,
            packets,
            pool,
            spec,
            limit_spec,
            mesh_ring,
            takeovers: None,
            steps: 0,
            panics: loss::panics(seed),
            is_calm: false,
            is_stopping: false,
            scratch: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        self.perhaps_take_over(STEPS_OF_CORE)?;
        let shard = self.rng.below(self.nodes.len());
        match self.rng.below(64) {
            0..=3 => self.pass_time(),
            4 => self.arrive(shard),
            5 => {
                if self.rng.once_in(12) {
                    self.control.wish(self.now, self.nodes.len(), NAMES);
                }
                if self.rng.once_in(300) {
                    self.change_settings();
                }
                self.control.speak(self.now, &mut self.nodes);
                Ok(())
            }
            6..=9 => self.turn(shard),
            _ => self.touch(shard),
        }
    }

    fn pass_time(&mut self) -> Result<(), String> {
        let micros = match self.rng.below(400) {
            0 => 3_000_000,
            1..=20 => 100_000 + self.rng.below(300_000),
            21..=200 => self.rng.below(30_000),
            _ => self.rng.below(1_000),
        };
        self.now = self.now + Micros(micros as u64);
        for shard in 0..self.nodes.len() {
            if !self.rng.once_in(8) {
                self.turn(shard)?;
            }
        }
        Ok(())
    }

    /// A driver's turn without readiness of sockets: rings, deadlines, and what is to be sent.
    pub(super) fn turn(&mut self, shard: usize) -> Result<(), String> {
        let now = self.now;
        self.arm(shard);
        if self.nodes[shard].core.has_mail() {
            self.call(shard, |core, _| core.read_rings(now))?;
        }
        if self.nodes[shard].core.is_tick_due(now) {
            self.call(shard, |core, net| core.tick(now, net))?;
        }
        let budget = 1 + self.rng.below(40);
        self.transmit(shard, budget)?;
        self.nodes[shard].core.fails_in = None;
        self.control.receive(now, &mut self.nodes)
    }

    pub(super) fn transmit(&mut self, shard: usize, budget: usize) -> Result<(), String> {
        let now = self.now;
        let mut has_more = false;
        self.call(shard, |core, net| has_more = core.transmit(now, net, budget))?;
        self.nodes[shard].has_more = has_more;
        Ok(())
    }

    /// Calls a core and does what it then asks for.
    pub(super) fn call(
        &mut self,
        shard: usize,
        call: impl FnOnce(&mut ShardCore, &mut Net),
    ) -> Result<(), String> {
        self.call_or_rebuild(shard, call)?;
        let node = &mut self.nodes[shard];
        node.core.check_call()?;
        if let Some(fault) = node.net.fault.take() {
            return Err(fault);
        }
        while let Some(action) = self.nodes[shard].core.next_action() {
            self.act(shard, action)?;
        }
        Ok(())
    }

    fn act(&mut self, shard: usize, action: Action) -> Result<(), String> {
        let node = &mut self.nodes[shard];
        match action {
            Action::Connect { peer, .. } => self.connect(shard, peer)?,
            Action::Close(peer) => {
                node.peers.retain(|id| *id != peer);
                if let Some(mut link) = node.net.remove(peer) {
                    // It reads what was sent before the end.
                    self.receive(&mut link, usize::MAX)?;
                }
            }
            Action::Shutdown(peer) => {
                if let Some(link) = node.net.get(peer) {
                    link.is_shut = true;
                }
            }
            Action::Pace(..) => {}
            Action::ReceiveLowWater(peer, bytes) => {
                if let Some(link) = node.net.get(peer) {
                    link.low_water = bytes as usize;
                }
            }
            Action::Read(peer, wanted) => {
                if let Some(link) = node.net.get(peer) {
                    link.is_paused = !wanted;
                }
            }
        }
        Ok(())
    }

    fn env(&mut self) -> Env<'_> {
        Env {
            now: self.now,
            rng: &mut self.rng,
            sources: &mut self.sources,
            pool: &self.pool,
            names: NAMES,
            is_calm: self.is_calm,
        }
    }

    fn connect(&mut self, shard: usize, peer: PeerId) -> Result<(), String> {
        let fails = !self.is_calm && self.rng.once_in(8);
        let remote = match self.nodes[shard].core.peers.table.get(peer) {
            Some(Peer::Output(number)) => {
                let name = self.control.output(*number).unwrap_or_default();
                Remote::Destination(Box::new(Destination::new(&mut self.env(), name)))
            }
            Some(Peer::Pull(number)) => {
                let name = self.control.pull(*number).unwrap_or_default();
                Remote::PullServer(Box::new(PullServer::new(&mut self.env(), name)))
            }
            // It is over before it has begun.
            _ => return Ok(()),
        };
        if fails {
            let (now, error) = (self.now, ErrorKind::ConnectionRefused.into());
            return self.call(shard, |core, _| core.closed(now, peer, Closed::Error(error)));
        }
        let mut link = Link::new(peer, remote, &mut self.rng);
        link.is_connecting = true;
        self.nodes[shard].peers.push(peer);
        self.nodes[shard].net.insert(link);
        Ok(())
    }

    fn arrive(&mut self, shard: usize) -> Result<(), String> {
        if self.nodes[shard].peers.len() >= PEERS_MAX || self.is_stopping {
            return Ok(());
        }
        let name = self.rng.below(NAMES.len());
        let rng = &mut self.rng;
        let is_open = self.spec.publish == PublishPolicy::Open;
        let remote = match rng.below(10) {
            0..=2 => {
                let key = match rng.below(20) {
                    _ if is_open => NAMES[name].trim_start_matches("live/").to_owned(),
                    0 => "wr0ngK3y-hT4vXw91LmBc7-aQp".to_owned(),
                    1..=4 => format!("x?key={}", key_of(name, rng.once_in(2))),
                    5 => format!("x/{}", key_of(name, false)),
                    _ => key_of(name, rng.once_in(3)),
                };
                Remote::Publisher(Box::new(Publisher::new(rng, key, name)))
            }
            3..=6 => Remote::Player(Box::new(Player::new(rng, name))),
            7 | 8 => Remote::Web(Box::new(WebPlayer::new(rng, name, NAMES[name]))),
            _ => Remote::GarbagePeer(GarbagePeer::new(rng)),
        };
        let ip = Ipv4Addr::new(10, 0, 0, rng.below(12).to_be_bytes()[7]);
        let from = SocketAddr::from((ip, 40_000));
        let (now, mut admitted) = (self.now, None);
        self.call(shard, |core, _| admitted = core.accepted(now, from, false))?;
        if let Some(id) = admitted {
            let link = Link::new(id, remote, &mut self.rng);
            let node = &mut self.nodes[shard];
            node.net.insert(link);
            node.peers.push(id);
            node.accepted += 1;
        }
        Ok(())
    }

    fn change_settings(&mut self) {
        let other = settings::spec(&mut self.rng);
        // Who may publish stays, and peers know the size of chunks that they were told.
        let ShardSpec { publish, chunk_size, .. } = self.spec;
        self.spec = ShardSpec { publish, chunk_size, ..other };
        for node in &mut self.nodes {
            let trust = Err("there is no TLS here".to_owned());
            drop(node.settings.push(ShardSettings { spec: self.spec.clone(), trust }));
        }
    }

    /// Something happens at one link of a shard.
    fn touch(&mut self, shard: usize) -> Result<(), String> {
        let node = &mut self.nodes[shard];
        if node.peers.is_empty() {
            return Ok(());
        }
        let id = node.peers[self.rng.below(node.peers.len())];
        let (now, rng) = (self.now, &mut self.rng);
        let Some(link) = node.net.get(id) else { return Ok(()) };
        match rng.below(32) {
            0..=8 => self.speak(shard, id),
            9..=19 if link.stalled_until <= now => self.listen(shard, id),
            9..=19 => Ok(()),
            20..=28 => self.deliver(shard, id),
            29 | 30 => self.unblock(shard, id),
            _ => {
                match rng.below(60) {
                    0 => link.peer_end = PeerEnd::Reset,
                    1 if link.peer_end == PeerEnd::Open => link.peer_end = PeerEnd::Shut,
                    2..=4 => {
                        let pause = rng.pick(&[300, 1_500, 4_000, 60_000]);
                        link.stalled_until = now + Micros::from_millis(pause);
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    /// The peer says something.
    pub(super) fn speak(&mut self, shard: usize, id: PeerId) -> Result<(), String> {
        let mut said = std::mem::take(&mut self.said);
        said.clear();
        let Self { nodes, rng, sources, pool, now, is_calm, .. } = self;
        let Some(link) = nodes[shard].net.get(id) else { return Ok(()) };
        if link.peer_end == PeerEnd::Open && !link.is_connecting && link.to_core.len() < 20_000 {
            let (now, is_calm) = (*now, *is_calm);
            let mut env = Env { now, rng, sources, pool, names: NAMES, is_calm };
            match link.remote.act(&mut env, &mut said) {
                Next::Stay => {}
                Next::Leave => link.peer_end = PeerEnd::Shut,
                Next::Reset => link.peer_end = PeerEnd::Reset,
            }
            link.to_core.push(&said);
        }
        self.said = said;
        Ok(())
    }

    /// The peer reads some of what it was sent.
    fn listen(&mut self, shard: usize, id: PeerId) -> Result<(), String> {
        let node = &mut self.nodes[shard];
        let Some(mut link) = node.net.remove(id) else { return Ok(()) };
        let most = if self.rng.once_in(3) { 1 + self.rng.below(700) } else { usize::MAX };
        let heard = self.receive(&mut link, most);
        if link.is_shut && link.to_peer.is_empty() && !link.has_heard_end {
            link.has_heard_end = true;
            // Most close then; some never do.
            if link.peer_end == PeerEnd::Open && (self.is_calm || !self.rng.once_in(6)) {
                link.peer_end = PeerEnd::Shut;
            }
        }
        self.nodes[shard].net.insert(*link);
        heard
    }

    pub(super) fn receive(&mut self, link: &mut Link, most: usize) -> Result<(), String> {
        let count = link.to_peer.len().min(most);
        if count == 0 || link.peer_end == PeerEnd::Reset {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        link.read(count, &mut bytes);
        let heard = link.remote.receive(&mut self.env(), &bytes);
        self.scratch = bytes;
        heard.map_err(|fault| format!("{:?}, {}: {fault}", link.id, link.remote.describe()))
    }

    /// The core reads some of what the peer has said.
    fn deliver(&mut self, shard: usize, id: PeerId) -> Result<(), String> {
        let now = self.now;
        let Self { nodes, rng, scratch, .. } = self;
        let node = &mut nodes[shard];
        let Some(link) = node.net.get(id) else { return Ok(()) };
        if link.is_ended || link.is_paused && link.peer_end != PeerEnd::Reset {
            return Ok(());
        }
        if link.is_connecting {
            link.is_connecting = false;
            if rng.once_in(10) && !self.is_calm {
                link.is_ended = true;
                let error = ErrorKind::TimedOut.into();
                return self.call(shard, |core, _| core.closed(now, id, Closed::Error(error)));
            }
            return self.call(shard, |core, _| core.connected(now, id));
        }
        if link.peer_end == PeerEnd::Reset {
            link.is_ended = true;
            let error = ErrorKind::ConnectionReset.into();
            return self.call(shard, |core, _| core.closed(now, id, Closed::Error(error)));
        }
        let waiting = link.to_core.len();
        if waiting == 0 && link.peer_end == PeerEnd::Shut {
            link.is_ended = true;
            return self.call(shard, |core, _| core.closed(now, id, Closed::End));
        }
        if waiting == 0 || waiting < link.low_water && link.peer_end == PeerEnd::Open {
            return Ok(());
        }
        let count = if rng.once_in(3) { 1 + rng.below(waiting) } else { waiting };
        let mut bytes = std::mem::take(scratch);
        link.to_core.take(count, &mut bytes);
        if node.core.counts_input(id) {
            node.bytes_in += count as u64;
        }
        let called = self.call(shard, |core, _| core.received(now, id, &bytes));
        self.scratch = bytes;
        called?;
        if self.rng.once_in(4) {
            return Ok(());
        }
        self.transmit(shard, 16)
    }

    /// The driver says that there is room again.
    fn unblock(&mut self, shard: usize, id: PeerId) -> Result<(), String> {
        let now = self.now;
        let Some(link) = self.nodes[shard].net.get(id) else { return Ok(()) };
        if !link.is_blocked || !link.has_room() && link.peer_end != PeerEnd::Reset {
            return Ok(());
        }
        link.is_blocked = false;
        self.call(shard, |core, _| core.writable(now, id))?;
        if self.rng.once_in(2) { self.transmit(shard, 16) } else { Ok(()) }
    }

    /// A round in which nothing goes wrong: everybody speaks, hears, and has their turn.
    pub(super) fn calm_round(&mut self) -> Result<(), String> {
        self.now = self.now + Micros::from_millis(20);
        self.perhaps_take_over(ROUNDS_OF_CORE)?;
        for shard in 0..self.nodes.len() {
            for id in self.nodes[shard].peers.clone() {
                self.speak(shard, id)?;
                self.listen(shard, id)?;
                self.unblock(shard, id)?;
                self.deliver(shard, id)?;
                self.steps += 4;
            }
            self.turn(shard)?;
            while self.nodes[shard].has_more {
                self.transmit(shard, 64)?;
            }
        }
        self.control.speak(self.now, &mut self.nodes);
        Ok(())
    }
}
