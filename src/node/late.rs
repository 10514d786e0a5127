//! Keeper of traces: once a second it looks for what was late in the running node.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::running::Node;
use crate::config::Config;
use crate::control::traces::{TraceError, TraceTrigger, Traces};
use crate::event::NodeEvent;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// What makes the node's traces.
pub(super) fn traces(config: &Config, node: &Node) -> Arc<Traces> {
    let (of, registry) = (&config.node, Arc::clone(node.registry()));
    Arc::new(Traces::new(&of.name, of.data_dir.as_deref(), registry, node.clock()))
}

/// Keeps traces of what is late, to the node's end, if there is a folder for them.
pub(super) fn keep_traces(node: &Node, traces: Arc<Traces>) -> impl Future<Output = ()> + use<> {
    let (clock, registry) = (node.clock(), Arc::clone(node.registry()));
    let inbox = node.inbox().filter(|_| traces.are_kept()).map(Arc::clone);
    async move {
        let Some(events) = inbox else { return };
        let mut trigger = TraceTrigger::default();
        let mut every = interval(LOOK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let Some(reason) = trigger.look(&registry, clock.now()) else { continue };
            let (theirs, unix_ms) = (Arc::clone(&traces), clock.unix_millis());
            match spawn_blocking(move || theirs.keep(unix_ms)).await {
                Ok(Ok(path)) => {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    let file = file.into_owned();
                    drop(events.force_push(NodeEvent::TraceKept { file, reason }));
                }
                Ok(Err(TraceError::Disk(error))) => {
                    tracing::warn!("{reason}, and a trace of it could not be kept: {error}");
                }
                // Somebody has one made at this moment, or they are not kept, or the node ends.
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}
