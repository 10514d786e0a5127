//! The running node: what can be seen of it, and its end.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, watch};

use super::plan::ProcessChanges;
use super::spawn::Running;
use crate::config::Config;
use crate::control::ControlHandle;
use crate::control::channels::build::FrameInput;
use crate::control::config_store::ConfigStore;
use crate::control::controller::Controller;
use crate::control::event_queue::EventQueue;
use crate::control::hooks::Subscriber;
use crate::control::http::HttpRules;
use crate::control::keystore::{DevelopmentKey, Keys};
use crate::control::stream_snapshots::StreamSnapshots;
use crate::event::NodeEvent;
use crate::runtime::{Clock, CorePlan};
use crate::stats::Registry;
use crate::tls::Acceptor;

/// A running node. It owns its threads, its ports and its files: dropping it ends it as
/// [`Node::stop`] does.
pub struct Node {
    /// Ends before everything else here.
    pub(super) running: Running,
    pub(super) clock: Clock,
    pub(super) registry: Arc<Registry>,
    pub(super) events: EventQueue,
    pub(super) subscribers: broadcast::Sender<NodeEvent>,
    pub(super) controller: Option<Controller>,
    pub(super) handle: ControlHandle,
    pub(super) snapshots: Arc<StreamSnapshots>,
    pub(super) fatal: watch::Receiver<bool>,
    pub(super) development_key: Option<DevelopmentKey>,
    pub(super) keys: Option<Keys>,
    pub(super) frame_input: Option<FrameInput>,
    pub(super) rtmp: SocketAddr,
    pub(super) plan: CorePlan,
    pub(super) tls: Option<Acceptor>,
    pub(super) http: Arc<ArcSwap<HttpRules>>,
    pub(super) config_store: ConfigStore,
    /// Given back last.
    pub(super) _process: ProcessChanges,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node on {}", self.rtmp)
    }
}

impl Node {
    /// Where the running node is asked about its streams, scenes and outputs, and told to change
    /// them. Answers come once its controller runs.
    #[must_use]
    pub fn handle(&self) -> ControlHandle {
        self.handle.clone()
    }

    /// Pictures of the node's streams.
    #[must_use]
    pub(super) const fn snapshots(&self) -> &Arc<StreamSnapshots> {
        &self.snapshots
    }

    /// What meets peers by TLS on the RTMPS port, if there is one.
    #[must_use]
    pub const fn tls(&self) -> Option<&Acceptor> {
        self.tls.as_ref()
    }

    /// What is in use: what it was started with, and above it what was changed since.
    #[must_use]
    pub fn in_use(&self) -> Arc<Config> {
        self.config_store.in_use()
    }

    /// Which CPU does what.
    #[must_use]
    pub const fn plan(&self) -> &CorePlan {
        &self.plan
    }

    /// The node's clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The node's figures.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where it listens for RTMP.
    #[must_use]
    pub const fn rtmp(&self) -> SocketAddr {
        self.rtmp
    }

    /// The node's own key to try things with, if it has one.
    #[must_use]
    pub const fn development_key(&self) -> Option<&DevelopmentKey> {
        self.development_key.as_ref()
    }

    /// The keys of its store, if publishing needs one.
    #[must_use]
    pub const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    pub(super) const fn http_rules(&self) -> &Arc<ArcSwap<HttpRules>> {
        &self.http
    }

    pub(super) const fn events(&self) -> &EventQueue {
        &self.events
    }

    /// Where the controller is told what has happened.
    pub(super) const fn inbox(&self) -> Option<&EventQueue> {
        self.running.inbox.as_ref()
    }

    /// Hears every event from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        Subscriber::to(&self.subscribers)
    }

    /// The control plane's side of the shards, to be run by the caller's runtime; once.
    pub(super) const fn take_controller(&mut self) -> Option<Controller> {
        self.controller.take()
    }

    /// Comes when the node has lost a core without which it is to end.
    pub(super) fn core_lost(&self) -> impl Future<Output = ()> + use<> {
        let mut fatal = self.fatal.clone();
        async move {
            if fatal.wait_for(|is_fatal| *is_fatal).await.is_err() {
                // Nobody watches any more.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) const fn take_frame_input(&mut self) -> Option<FrameInput> {
        self.frame_input.take()
    }

    /// Ends the node: channels first, then encoders hand over what they hold, then the shards say
    /// goodbye to their peers. Takes at most about two and a half seconds.
    pub fn stop(mut self) {
        self.running.stop();
    }
}
