//! Compose core of a node: its thread, and the rings by which channels reach it and come back.

use std::io;
use std::sync::Arc;

use crate::control::channels::context::ChannelContext;
use crate::control::threads::{ThreadPlace, ThreadRole};
use crate::pipeline::{COMPOSED_MAX, ChannelStage, ComposeCore};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{NICE_PINNED, StopFlag};
use crate::stats::CoreRole;

/// Channels that may wait for the compose core, which takes them between two ticks. They come one
/// at a time.
const COMPOSE_QUEUE: usize = 4;

/// The rings to and from the compose core.
pub(crate) type ComposeRings = (Sender<ChannelStage>, Receiver<ChannelStage>);

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
    let core = ComposeCore::new(channels, (to_come, gone), stopping, context.clock);
    let role = ThreadRole { role: CoreRole::Compose, of: String::new() };
    let place = ThreadPlace { name: "compose", cpus: &context.compose_cpus, nice: NICE_PINNED };
    context.composers.spawn(role, place, Some(stop), move || core.run())?;
    Ok((add, stopped))
}
