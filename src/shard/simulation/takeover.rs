//! Takeover: all cores are written down at once, and others go on from that with fresh rings and
//! limits, as in a node that takes the place of another one.

use std::sync::Arc;

use proptest::prelude::*;

use super::node::{Ends, parts};
use super::rng::Rng;
use super::run_in;
use super::runs::runs;
use super::world::{BEGIN, World};
use crate::limits::{Audiences, NodeLimits};
use crate::media::Micros;
use crate::ring::Bell;
use crate::shard::core::ShardCore;
use crate::shard::io::Core;
use crate::shard::peers::Peer;
use crate::shard::snapshot::{ShardSnapshot, SnapshotError, opened, sealed};
use crate::shard::spec::{ShardParts, ShardSpec};
use crate::shard::streams::Mesh;

/// Steps of runs with takeovers, if nobody says how many.
const STEPS: u64 = 1_000_000;

/// Times that all rings are read before a takeover that is to lose nothing.
const READINGS: usize = 6;

/// When cores are replaced, by numbers of their own: the world decides the same without them.
#[derive(Debug)]
pub(super) struct Takeovers {
    rng: Rng,
    pub(super) count: u64,
    /// In what cores were found: see [`STATES`].
    pub(super) found: [u64; STATES.len()],
}

/// States in which cores are found when they are written down.
pub(super) const STATES: [&str; 11] = [
    "a message of which a viewer has a part",
    "a message of which a publisher has sent a part",
    "control bytes that wait",
    "a full socket",
    "an RTMP viewer",
    "a web viewer",
    "a publisher",
    "an output that pushes",
    "a pull that plays",
    "a peer that waits for control",
    "something in the rings between shards",
];

impl Takeovers {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed ^ 0x7a6e_0ff5), count: 0, found: [0; STATES.len()] }
    }
}

impl World {
    /// Replaces all cores once in so many calls, if they are replaced at all.
    pub(super) fn perhaps_take_over(&mut self, calls: usize) -> Result<(), String> {
        let Some(takeovers) = &mut self.takeovers else { return Ok(()) };
        if !takeovers.rng.once_in(calls) {
            return Ok(());
        }
        takeovers.count += 1;
        let readings = if takeovers.rng.once_in(2) { 1 } else { READINGS };
        let now = self.now;
        for _ in 0..readings {
            (0..self.nodes.len())
                .try_for_each(|shard| self.call(shard, |core, _| core.read_rings(now)))?;
        }
        let found = self.nodes.iter().map(|node| node.core.states());
        let found = found.fold([false; STATES.len()], |mut all, found| {
            all.iter_mut().zip(found).for_each(|(all, found)| *all |= found);
            all
        });
        if let Some(takeovers) = &mut self.takeovers {
            let counts = takeovers.found.iter_mut().zip(found);
            counts.for_each(|(count, found)| *count += u64::from(found));
        }
        self.take_over()
    }

    /// Replaces all cores.
    fn take_over(&mut self) -> Result<(), String> {
        let now = self.now;
        let mut written = Vec::new();
        for shard in 0..self.nodes.len() {
            let mut snapshot = Ok(ShardSnapshot::default());
            self.call(shard, |core, net| snapshot = core.save(now, net))?;
            written.push(snapshot.map_err(|error| error.to_string())?);
        }
        self.control.receive(now, &mut self.nodes)?;
        let stats = self.nodes.iter().map(|node| Arc::clone(&node.stats)).collect();
        self.limits = Arc::new(NodeLimits::new(&self.limit_spec, stats));
        let names = written.iter().flat_map(|snapshot| snapshot.streams.clone());
        let audiences = Audiences::of_streams(names);
        let bells: Vec<_> = self.nodes.iter().map(|_| Bell::new()).collect();
        let meshes = Mesh::of_capacity(&bells, self.mesh_ring);
        let mut restored = Vec::new();
        for ((number, mesh), snapshot) in meshes.into_iter().enumerate().zip(&written) {
            let (parts, ends) = self.parts(number, mesh, &bells[number]);
            let core = ShardCore::restore(&snapshot.bytes, parts, &audiences, now);
            let core = core.map_err(|error| error.to_string())?;
            // What is over at once, such as an output that is gone, is still to be closed.
            let mut left = snapshot.peers.clone();
            left.retain(|entry| !core.shared.leaving.iter().any(|out| out.id == entry.id));
            if core.sockets() != left {
                let (before, after) = (&snapshot.peers, core.sockets());
                return Err(format!("peers were {before:?}, and are {after:?}"));
            }
            restored.push((core, ends));
        }
        for (node, (core, ends)) in self.nodes.iter_mut().zip(restored) {
            node.core = core;
            (node.commands, node.settings, node.reports) = ends;
            node.has_more = true;
        }
        (0..self.nodes.len()).try_for_each(|shard| self.call(shard, |_, _| {}))
    }

    /// What a shard is given that takes over, and control's ends of its rings.
    fn parts(&self, number: usize, mesh: Mesh, bell: &Arc<Bell>) -> (ShardParts, Ends) {
        let core = &self.nodes[number].core;
        // What control has not told the shard yet comes as a command.
        let mut outputs = self.control.outputs_of(number);
        outputs.retain(|spec| core.outputs.contains_key(&spec.id));
        let mut pulls = self.control.pulls_of(number, self.nodes.len());
        pulls.retain(|spec| core.pulls.contains_key(&spec.id));
        for spec in &mut pulls {
            spec.linger = core.pulls.get(&spec.id).and_then(|pull| pull.spec.linger);
        }
        let spec = ShardSpec { number, ..self.spec.clone() };
        let stats = &self.nodes[number].stats;
        let (parts, ends) = parts(spec, mesh, bell, (&self.limits, &self.packets), stats);
        let pulled = self.control.pulled(self.nodes.len());
        (ShardParts { outputs, pulls, pulled, ..parts }, ends)
    }
}

impl ShardCore {
    /// Which of [`STATES`] it is in.
    fn states(&self) -> [bool; STATES.len()] {
        let connections = || {
            self.peers.table.iter().filter_map(|(_, peer)| match peer {
                Peer::Connection(connection) => Some(connection),
                _ => None,
            })
        };
        let plays = |name: &str| {
            connections().any(|it| it.out.stream.is_some() && it.protocol_name() == name)
        };
        [
            connections().any(|it| it.out.stream.is_some() && !it.out.is_between()),
            connections().any(|it| it.published().is_some() && it.is_within_message()),
            connections().any(|it| it.out.holds_back()),
            connections().any(|it| it.out.is_blocked()),
            plays("rtmp"),
            plays("http-flv") || plays("ws-flv"),
            connections().any(|it| it.published().is_some()),
            self.outputs.values().any(|output| output.reads().is_some()),
            self.pulls.values().any(|pull| pull.stream.is_some()),
            connections().any(|it| it.awaits_answer()),
            self.shared.streams.mesh.has_mail(),
        ]
    }
}

/// One run in which all cores are replaced now and then.
fn run_with_takeovers(seed: u64) -> Result<u64, String> {
    let mut world = World::new(seed);
    world.takeovers = Some(Takeovers::new(seed));
    run_in(world, seed)
}

/// A world some steps after its beginning at `now`, without takeovers.
fn world_at(seed: u64, now: Micros, steps: u64) -> World {
    let mut world = World::begun_at(seed, now);
    (0..steps).for_each(|_| world.step().unwrap());
    world
}

impl World {
    /// Writes down shard `number`.
    fn written(&mut self, number: usize) -> ShardSnapshot {
        let (now, mut snapshot) = (self.now, Ok(ShardSnapshot::default()));
        self.call(number, |core, net| snapshot = core.save(now, net)).unwrap();
        snapshot.unwrap()
    }

    /// Reads a shard back, without putting it into the world.
    fn read_back(&self, bytes: &[u8], number: usize) -> Result<ShardCore, SnapshotError> {
        let bells: Vec<_> = self.nodes.iter().map(|_| Bell::new()).collect();
        let mesh = Mesh::of_capacity(&bells, self.mesh_ring).swap_remove(number);
        let (parts, _ends) = self.parts(number, mesh, &bells[number]);
        ShardCore::restore(bytes, parts, &Audiences::default(), self.now)
    }
}

#[test]
fn no_invariant_breaks_where_cores_are_replaced_by_what_was_written_of_them() {
    runs(run_with_takeovers, STEPS);
}

#[test]
fn cores_are_replaced_while_every_kind_of_peer_is_in_the_middle_of_something() {
    let mut found = [0; STATES.len()];
    for seed in 0..24 {
        let mut world = World::new(seed);
        world.takeovers = Some(Takeovers::new(seed));
        (0..50_000).for_each(|_| world.step().unwrap_or_else(|fault| panic!("{seed}: {fault}")));
        let takeovers = world.takeovers.unwrap();
        assert!(takeovers.count > 10, "{}", takeovers.count);
        found.iter_mut().zip(takeovers.found).for_each(|(all, found)| *all += found);
    }
    for (state, count) in STATES.iter().zip(found) {
        assert!(count > 0, "no core was written down with {state}: {found:?}");
    }
}

#[test]
fn the_same_state_is_the_same_bytes_on_every_clock() {
    // Stamps of pings count milliseconds modulo 2^32; some limits count whole seconds.
    let later = BEGIN + Micros::from_millis(125 << 32);
    for seed in 0..8 {
        let steps = 2_000 + 1_000 * seed;
        let [mut one, mut other] = [BEGIN, later].map(|now| world_at(seed, now, steps));
        for number in 0..one.nodes.len() {
            assert_eq!(one.written(number).bytes, other.written(number).bytes, "seed {seed}");
        }
    }
}

#[test]
fn what_is_read_back_is_written_as_the_same_bytes_on_another_clock() {
    for seed in 0..8 {
        let mut world = world_at(seed, BEGIN, 4_000);
        let first = world.written(0);
        let mut bytes = first.bytes;
        let mut again = Vec::new();
        // The first time asks anew what was asked, which is part of the state from then on.
        for _ in 0..2 {
            let mut core = world.read_back(&bytes, 0).unwrap();
            let saved = core.save(world.now, &mut world.nodes[0].net).unwrap();
            assert_eq!(saved.peers, first.peers, "seed {seed}");
            again.push(saved.bytes.clone());
            bytes = saved.bytes;
            world.now = world.now + Micros::from_secs(3_600);
        }
        assert!(again[0] == again[1], "seed {seed}");
    }
}

#[test]
fn bytes_that_are_no_snapshot_of_this_shard_are_refused_with_what_to_do() {
    let mut world = world_at(3, BEGIN, 3_000);
    let good = world.written(0).bytes;
    assert_eq!(world.read_back(b"", 0).err(), Some(SnapshotError::Foreign));
    assert_eq!(world.read_back(&good[1..], 0).err(), Some(SnapshotError::Foreign));
    let mut other = good.clone();
    other[8] += 1;
    assert_eq!(world.read_back(&other, 0).err(), Some(SnapshotError::Format(2)));
    for at in (9..good.len()).step_by(101) {
        assert!(world.read_back(&good[..at], 0).is_err(), "cut at {at}");
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        assert!(world.read_back(&changed, 0).is_err(), "changed at {at}");
    }
    let more = [opened(&good).unwrap(), b"x"].concat();
    let more = world.read_back(&sealed(&more), 0).err().unwrap();
    assert!(more.to_string().contains("connect again"), "{more}");
    let mut alone = World::new(1);
    let mut seed = 2;
    while alone.nodes.len() == world.nodes.len() {
        alone = World::new(seed);
        seed += 1;
    }
    let shards = world.nodes.len();
    let other = alone.read_back(&good, 0).err();
    assert_eq!(other, Some(SnapshotError::OtherShard(0, shards)), "of another number of shards");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The digest finds every change; here it is made anew, so that all the rest is reached.
    #[test]
    fn whatever_is_changed_in_a_snapshot_it_is_refused_or_read(
        seed in 0..4_u64,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in proptest::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut world = world_at(seed, BEGIN, 2_500);
        let mut payload = opened(&world.written(0).bytes).unwrap().to_vec();
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len()));
        }
        drop(world.read_back(&sealed(&payload), 0));
    }
}
