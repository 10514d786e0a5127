//! Live node: a whole node inside another program.

use std::sync::Arc;

use super::control_thread::{ControlThread, start_control};
use crate::command::{Answer, Ask};
use crate::config::Config;
use crate::control::ControlHandle;
use crate::control::channels::build::Frames;
use crate::control::event_queue::EventQueue;
use crate::control::hooks::{Hooks, Subscriber};
use crate::event::NodeEvent;
use crate::node::plan::{ProcessAccess, Setup};
use crate::node::running::Node;
use crate::node::start::start;
use crate::node::start_error::StartError;

/// A whole node inside another program: it composes the scenes of its configuration, and is asked
/// and changed while it runs. Without HTTP; the control plane has a thread of its own.
#[derive(Debug)]
pub struct LiveNode {
    node: Option<Node>,
    controller: Option<ControlThread>,
    handle: ControlHandle,
    events: EventQueue,
}

impl LiveNode {
    /// Starts everything that `config` describes but `[http]`. What is changed later ends with it,
    /// whatever `state` says: the program knows what it has changed. Stream keys are kept in
    /// `data_dir` if the configuration names one, and in memory otherwise.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Hooks::new())
    }

    /// The same with hooks, which are asked before anybody connects, publishes or plays.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start_with(config: &Config, hooks: Hooks) -> Result<Self, StartError> {
        Self::start_in(config, hooks, ProcessAccess::default())
    }

    /// The same for a node that may change something of its process while it runs.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running, and no port is bound.
    pub fn start_in(
        config: &Config,
        hooks: Hooks,
        process: ProcessAccess,
    ) -> Result<Self, StartError> {
        let setup = Setup { frames: Frames::Composed, is_program: false, process, hooks };
        let mut node = start(config, setup)?;
        let store = node.keys().cloned();
        let cpus = node.plan().control.clone();
        let controller = node.take_controller();
        let controller = controller.map(|it| start_control(it, store, &cpus)).transpose()?;
        let (handle, events) = (node.handle(), Arc::clone(node.events()));
        Ok(Self { node: Some(node), controller, handle, events })
    }

    /// The node, to look at.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Hears every event from now on; `None` if it has been stopped.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        self.node.as_ref().map(Node::subscribe)
    }

    /// Asks about streams, connections, scenes and outputs, or changes them: the same that the API
    /// offers. Waits for the answer.
    #[must_use]
    pub fn ask(&self, ask: Ask) -> Answer {
        futures_lite::future::block_on(self.handle.ask_patiently(ask))
    }

    /// What has happened since the last call, oldest first. At most 1024 events wait; then older
    /// ones make room for newer ones.
    pub fn events(&self) -> impl Iterator<Item = NodeEvent> + '_ {
        std::iter::from_fn(|| self.events.pop())
    }

    /// Ends everything in order, as [`StreamManager::stop`](crate::StreamManager::stop) does.
    pub fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop();
        }
        self.controller = None;
    }
}

impl Drop for LiveNode {
    fn drop(&mut self) {
        self.stop();
    }
}
