//! Threads of a node that run: the compose core, encoders and decoders, shards, and the writers of
//! recordings. They end in the order in which their work flows.

use std::io;
use std::sync::Arc;

use super::start_error::StartError;
use crate::control::channels::context::ChannelContext;
use crate::control::event_queue::EventQueue;
use crate::control::threads::Threads;
use crate::control::watchdog::WatchdogThread;
use crate::media::Micros;
use crate::runtime::{Clock, CorePlan, CoreWatch, Driver, DriverParts, Pinned, StopFlag};
use crate::shard::{ShardCore, ShardParts};

/// How long the compose core may take to end: it looks at its stop flag between two ticks.
const COMPOSE_LIMIT: Micros = Micros::from_secs(1);

/// How long encoders may take to hand over what they still hold when the node stops.
const DRAIN_LIMIT: Micros = Micros::from_millis(1_200);

/// How long a slow disk may hold up the node's end.
const WRITE_LIMIT: Micros = Micros::from_secs(2);

/// Everything of a node that runs. Dropping it ends it.
pub(super) struct Running {
    clock: Clock,
    /// The compose core, and those in whose place it came.
    pub(super) composers: Threads,
    /// Encoders, decoders and what loads for them.
    pub(super) threads: Threads,
    shards: Vec<ShardThread>,
    /// What watches the loops of those above.
    watchdog: Option<WatchdogThread>,
    /// Where the controller is told of events, once somebody tells it.
    pub(super) inbox: Option<EventQueue>,
    /// The writers of recordings, which end after the shards: nothing is lost.
    pub(super) writers: Threads,
}

impl Running {
    /// Nothing runs yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            composers: Threads::default(),
            threads: Threads::default(),
            shards: Vec::new(),
            watchdog: None,
            inbox: None,
            writers: Threads::default(),
        }
    }

    /// Starts the next shard.
    pub(super) fn start_shard(
        &mut self,
        plan: &CorePlan,
        parts: (DriverParts, ShardParts),
        stop: StopFlag,
    ) -> Result<(), StartError> {
        let shard = spawn_shard(plan, parts, stop).map_err(StartError::Thread)?;
        self.shards.push(shard);
        Ok(())
    }

    /// Starts what watches the node's loops and clocks, and tells of loops that stall.
    pub(super) fn start_watchdog(
        &mut self,
        context: &ChannelContext,
        plan: &CorePlan,
    ) -> Result<(), StartError> {
        let (loops, origin) = (Arc::clone(&context.loops), Arc::clone(&context.origin));
        let (cpus, events) = (plan.control.clone(), Arc::clone(&context.events));
        self.inbox = Some(Arc::clone(&events));
        let tell = move |event| drop(events.force_push(event));
        let started = WatchdogThread::start((loops, origin), cpus, self.clock, tell);
        self.watchdog = Some(started.map_err(StartError::Thread)?);
        Ok(())
    }

    /// Where each shard tells its panics.
    pub(super) fn shard_watches(&self) -> Vec<Arc<CoreWatch>> {
        self.shards.iter().map(|shard| Arc::clone(shard.driver.watch())).collect()
    }

    /// Everything that is watched beside the shards.
    pub(super) fn watched(&self) -> Vec<Threads> {
        vec![self.composers.clone(), self.threads.clone(), self.writers.clone()]
    }

    /// Ends everything: channels first, then encoders hand over what they hold, then the shards say
    /// goodbye to their peers, and recordings are completed.
    pub(super) fn stop(&mut self) {
        self.watchdog = None;
        if !self.composers.finish(self.clock, COMPOSE_LIMIT) {
            tracing::error!("the compose core does not end: it is left behind");
        }
        if !self.threads.finish(self.clock, DRAIN_LIMIT) {
            tracing::warn!("an encoder or a file is too slow: a thread is left behind");
        }
        self.shards.iter().for_each(|shard| shard.stop.stop());
        for ShardThread { driver, .. } in self.shards.drain(..) {
            if let Err(error) = driver.join() {
                tracing::error!("a shard ended badly: {error}");
            }
        }
        if !self.writers.finish(self.clock, WRITE_LIMIT) {
            tracing::warn!("a disk is too slow: the end of a recording is lost");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A shard that runs.
struct ShardThread {
    driver: Driver,
    stop: StopFlag,
}

/// A turn of a shard that takes longer is told of. A turn is bounded in what it reads and sends, to
/// a few milliseconds.
pub(super) const SHARD_TURN_LIMIT: Micros = Micros::from_millis(20);

/// The name of a shard's thread.
pub(super) fn shard_name(number: usize) -> String {
    format!("shard-{number}")
}

/// Starts a shard on its core.
fn spawn_shard(
    plan: &CorePlan,
    (driver, parts): (DriverParts, ShardParts),
    stop: StopFlag,
) -> io::Result<ShardThread> {
    let (number, clock) = (parts.spec.number, driver.clock);
    let place = Pinned::Spinning(plan.net[number], plan.net_spin);
    let name = shard_name(number);
    let driver = Driver::spawn(plan.driver.kind, &name, place, driver, move || {
        ShardCore::new(parts, clock.now())
    })?;
    Ok(ShardThread { driver, stop })
}
