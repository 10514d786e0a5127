//! Compose core of a node: its thread, and the rings by which channels reach it and come back.

use std::io;
use std::sync::Arc;

use crate::control::channels::context::ChannelContext;
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::media::Micros;
use crate::pipeline::{COMPOSED_MAX, ChannelStage, ComposeCore};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{NICE_PINNED, StopFlag};
use crate::stats::{CoreRole, LoopActivity};

/// Channels that may wait for the compose core, which takes them between two ticks. They come one
/// at a time.
const COMPOSE_QUEUE: usize = 4;

/// The rings to and from the compose core.
pub(crate) type ComposeRings = (Sender<ChannelStage>, Receiver<ChannelStage>);

/// Name of the compose core's thread.
const THREAD: &str = "compose";

/// A turn of the compose core that takes longer is told of: no channel that is to have 25 frames a
/// second has them then.
const TURN_LIMIT: Micros = Micros::from_millis(40);

/// Starts the compose core with these channels.
///
/// # Errors
/// If the system has no thread for it.
pub(crate) fn start_compose(
    context: &ChannelContext,
    channels: Vec<ChannelStage>,
) -> io::Result<ComposeRings> {
    let bell = Bell::new();
    let stop = StopFlag::new(Arc::clone(&bell));
    let (add, to_come) = channel(COMPOSE_QUEUE, Arc::clone(&bell));
    let (gone, stopped) = channel(COMPOSED_MAX, Arc::clone(&context.controller));
    let stopping = (Arc::clone(stop.flag()), bell);
    let activity = Arc::<LoopActivity>::default();
    context.loops.put(THREAD, TURN_LIMIT, Arc::clone(&activity));
    let core = ComposeCore::new(channels, (to_come, gone), stopping, (context.clock, activity));
    let role = ThreadRole { role: CoreRole::Compose, of: String::new() };
    let place = ThreadPlace { name: THREAD, cpus: &context.compose_cpus, nice: NICE_PINNED };
    context.composers.spawn(role, place, Some(stop), move || core.run())?;
    Ok((add, stopped))
}
