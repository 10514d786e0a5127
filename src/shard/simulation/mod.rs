//! Simulation: several cores, everybody who connects to them, and control, over links and a clock
//! that a seed drives. No sockets, threads or sleeps: a run is the same on every machine.
//!
//! In some runs cores panic, and are rebuilt. After every call, and now and then for everything at
//! once, invariants are checked that hold whatever the world does: see `invariants` and
//! `programme`. A run that finds one broken says its seed; that seed becomes a line of [`FOUND`].
//!
//! `SIM_STEPS` is how many steps to take (a call of a core, or something that a peer does),
//! `SIM_SEED` where to begin, `SIM_RUN` the seed of one run alone.

mod control;
mod env;
mod flv;
mod invariants;
mod loss;
mod net;
mod node;
mod peers;
mod programme;
mod rng;
mod runs;
mod servers;
mod settings;
mod takeover;
mod wire;
mod world;

use self::invariants::Waits;
use self::runs::runs;
use self::world::World;
use crate::media::Micros;
use crate::shard::io::Core;

/// Steps of a run before it grows calm.
const RUN_STEPS: u64 = 100_000;

/// Steps between two looks at everything.
const LOOK_STEPS: u64 = 128;

/// Steps if nobody says how many: a few seconds' with optimisation.
const STEPS: u64 = 2_000_000;

/// Seeds of runs that find something where a fault that was mended comes back. They do as long as
/// the world makes the same choices: after a change of it, look for others.
const FOUND: &[u64] = &[
    // A player that was told that nothing more comes was let in, and sent its stream.
    0xbeeb_8da1_658e_ec67,
    // A reader took the number of one that left, and was not sent what was new.
    0x6775_dc77_0156_4f61,
    // Audio came from another shard without the header that was lost before it.
    0x9758_35de_1c97_56ce,
    // A shard took the former owner of a stream for the present one.
    0x5d3e_47ec_ad6e_f3d4,
    // A reader that was overrun got pictures of a source that had left with its headers.
    0x12a7_64fb_66ab_c9cf,
    // Two shards let somebody in at once: the one that gave way lacked the other's headers.
    0x9ceb_a930_3488_3ea8,
    // What a subscription that had ended still brought came before the headers of the next one.
    0xad29_b412_15d9_1939,
];

/// One run. Says how many steps it took.
fn run(seed: u64) -> Result<u64, String> {
    run_in(World::new(seed), seed)
}

/// The same in a world that is there.
fn run_in(mut world: World, seed: u64) -> Result<u64, String> {
    let mut waits = Waits::default();
    let found = (|| {
        while world.steps < RUN_STEPS {
            world.step()?;
            if world.steps.is_multiple_of(LOOK_STEPS) {
                world.check(&mut waits)?;
            }
        }
        world.grow_calm();
        rounds(&mut world, &mut waits, Micros::from_secs(12))?;
        let viewers = world.viewers();
        rounds(&mut world, &mut waits, Micros::from_secs(3))?;
        world.check_viewers(&viewers)?;
        world.stop()?;
        rounds(&mut world, &mut waits, Micros::from_millis(1_900))?;
        if world.is_finished() { Ok(()) } else { Err("a core does not end".to_owned()) }
    })();
    let (steps, now) = (world.steps, world.now);
    let shards = world.nodes.len();
    let at = |fault| format!("seed {seed:#x}, {shards} shards, step {steps}, {now:?}: {fault}");
    found.map_err(at)?;
    world.check_end().map_err(at)?;
    Ok(steps)
}

/// So much time in which nothing goes wrong.
fn rounds(world: &mut World, waits: &mut Waits, time: Micros) -> Result<(), String> {
    let end = world.now + time;
    for round in 0_u32.. {
        if world.now >= end {
            break;
        }
        world.calm_round()?;
        if round.is_multiple_of(16) {
            world.check(waits)?;
        }
    }
    Ok(())
}

impl World {
    fn grow_calm(&mut self) {
        self.is_calm = true;
        self.control.is_calm = true;
        for node in &mut self.nodes {
            node.net.heal();
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        self.is_stopping = true;
        let now = self.now;
        (0..self.nodes.len()).try_for_each(|shard| self.call(shard, |core, _| core.stop(now)))
    }
}

#[test]
fn no_invariant_breaks_whatever_peers_and_control_do() {
    runs(run, STEPS);
}

#[test]
fn what_was_found_once_stays_mended() {
    for seed in FOUND {
        run(*seed).unwrap_or_else(|fault| panic!("{fault}"));
    }
}
