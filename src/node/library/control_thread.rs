//! Control thread: the control plane of a node that runs inside another program.

use std::time::Duration;

use super::keys::{self, KeyWork};
use crate::control::controller::Controller;
use crate::control::keystore::Keys;
use crate::node::start_error::StartError;
use crate::runtime::Worker;

/// How long the node's end waits for the control plane to tell what is left.
const CONTROL_LIMIT: Duration = Duration::from_millis(1_500);

/// How long the control plane's end waits for what it has asked of the system.
const LOOKUP_LIMIT: Duration = Duration::from_millis(200);

/// The control plane on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct ControlThread {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    worker: Option<Worker<()>>,
    pub(super) key_work: tokio::sync::mpsc::Sender<KeyWork>,
}

impl Drop for ControlThread {
    fn drop(&mut self) {
        self.stop.take();
        if self.worker.take().is_some_and(|worker| !worker.join_within(CONTROL_LIMIT)) {
            tracing::warn!("a hook holds up the control plane: it is left behind");
        }
    }
}

/// Starts the control plane on these CPUs. Stream keys are added to `store` and revoked there.
///
/// # Errors
/// [`StartError::Thread`] if the system has no thread for it.
pub(super) fn start_control(
    controller: Controller,
    store: Option<Keys>,
    cpus: &[usize],
) -> Result<ControlThread, StartError> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (key_work, waiting) = tokio::sync::mpsc::channel(keys::WORK_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let worker = Worker::spawn("control", cpus.to_vec(), 0, move || {
        runtime.block_on(async {
            tokio::select! {
                () = controller.run(stopped) => {}
                () = keys::work(store, waiting) => {}
            }
        });
        // Look-ups of names may take longer than anybody waits for.
        runtime.shutdown_timeout(LOOKUP_LIMIT);
    })
    .map_err(StartError::Thread)?;
    Ok(ControlThread { stop: Some(stop), worker: Some(worker), key_work })
}
