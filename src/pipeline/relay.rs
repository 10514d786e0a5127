//! A shard's pulls and recordings: who wants which, and where they are.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::hub::Hub;
use super::mesh::MeshMessage;
use super::parts::{PULL_HOME, RelayParts};
use super::pull::{self, PullTask};
use super::record::RecordTap;
use super::shard::{Shard, spawn};
use crate::media::Micros;

/// The pulls and recordings of one shard.
pub(super) struct Relay {
    pulls: Vec<Rc<PullTask>>,
    /// Streams that are pulled on demand, here or at [`PULL_HOME`].
    pulled: Vec<Arc<str>>,
    records: Vec<Rc<RefCell<RecordTap>>>,
}

impl Relay {
    pub(super) fn new(parts: RelayParts) -> Self {
        let records = parts.records.into_iter().map(|tap| Rc::new(RefCell::new(tap)));
        Self {
            pulls: parts.pulls.into_iter().map(PullTask::new).collect(),
            pulled: parts.pulled,
            records: records.collect(),
        }
    }

    /// Starts the pulls.
    pub(super) fn start(&self, shard: &Rc<Shard>) {
        for (number, task) in self.pulls.iter().enumerate() {
            spawn(shard, pull::run(Rc::clone(shard), number, Rc::clone(task)));
        }
    }

    /// Lets recordings of a stream that begins take part in it.
    pub(super) fn attach(&self, hub: &Hub) {
        let ours = self.records.iter().filter(|tap| *tap.borrow().stream() == hub.name);
        ours.for_each(|tap| hub.add_record(Rc::clone(tap)));
    }

    /// Whether a stream of this name is recorded here.
    pub(super) fn records(&self, name: &str) -> bool {
        self.records.iter().any(|tap| **tap.borrow().stream() == *name)
    }

    /// Control's answer to a pull's question for an address.
    pub(super) fn resolved(&self, pull: usize, address: Result<SocketAddr, String>) {
        if let Some(task) = self.pulls.get(pull) {
            task.resolved(address);
        }
    }

    /// Somebody reads this stream or waits for it: tells the pull that can bring it.
    pub(super) fn want(&self, shard: &Shard, name: &str) {
        if shard.spec.number == PULL_HOME {
            let now = shard.clock.now();
            let ours = self.pulls.iter().filter(|task| task.stream() == name);
            ours.for_each(|task| task.want(now));
        } else if let Some(name) = self.pulled.iter().find(|pulled| ***pulled == *name) {
            shard.mesh.borrow_mut().send(PULL_HOME, MeshMessage::Want(Arc::clone(name)));
        }
    }

    /// Deadlines, and who wants what is pulled on demand.
    pub(super) fn sweep(&self, shard: &Shard, now: Micros) {
        for name in &self.pulled {
            let hub = shard.hubs.borrow().get(name).cloned();
            let is_read = hub.is_some_and(|hub| hub.readers() > 0);
            if is_read || is_awaited(shard, name) {
                self.want(shard, name);
            }
        }
        self.pulls.iter().for_each(|task| task.sweep(now));
    }

    /// The node stops.
    pub(super) fn stop(&self) {
        self.pulls.iter().for_each(|task| task.stop());
    }

    pub(super) fn is_finished(&self) -> bool {
        self.pulls.iter().all(|task| task.is_finished())
    }
}

/// Whether a player waits for a stream of this name.
fn is_awaited(shard: &Shard, name: &str) -> bool {
    let connections = shard.connections.borrow();
    connections.values().any(|peer| peer.awaited_stream().is_some_and(|wanted| *wanted == *name))
}
