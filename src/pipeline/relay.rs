//! A shard's pulls and recordings: who wants which, and where they are.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::hub::Hub;
use super::mesh::MeshMessage;
use super::parts::PULL_HOME;
use super::pull::{self, PullTask};
use super::record::RecordTap;
use super::shard::{Shard, spawn};
use crate::command::{PullSpec, RecordFeed};
use crate::media::Micros;
use crate::rtmp::Hops;
use crate::stream::Prints;

/// The pulls and recordings of one shard.
pub(super) struct Relay {
    pulls: RefCell<BTreeMap<usize, Rc<PullTask>>>,
    /// Streams that are pulled, here or at [`PULL_HOME`].
    pulled: RefCell<Arc<[Arc<str>]>>,
    records: RefCell<Vec<Rc<RefCell<RecordTap>>>>,
}

impl Relay {
    pub(super) fn new(records: Vec<RecordFeed>, pulled: Vec<Arc<str>>) -> Self {
        let tap = |feed| Rc::new(RefCell::new(RecordTap::new(feed)));
        let records = records.into_iter().map(tap);
        Self {
            pulls: RefCell::default(),
            pulled: RefCell::new(pulled.into()),
            records: RefCell::new(records.collect()),
        }
    }

    /// Starts a pull.
    pub(super) fn pull(&self, shard: &Rc<Shard>, spec: PullSpec) {
        let id = spec.id;
        let task = PullTask::new(spec);
        self.pulls.borrow_mut().insert(id, Rc::clone(&task));
        let ours = Rc::clone(shard);
        spawn(shard, async move {
            pull::run(Rc::clone(&ours), id, task).await;
            ours.relay.pulls.borrow_mut().remove(&id);
        });
    }

    /// Lets a pull begin, or say goodbye and wait.
    pub(super) fn switch_pull(&self, pull: usize, on: bool) {
        self.task(pull).iter().for_each(|task| task.switch(on));
    }

    /// Lets a pull say goodbye, and forgets it.
    pub(super) fn remove_pull(&self, pull: usize) {
        self.task(pull).iter().for_each(|task| task.stop());
    }

    /// The streams that are pulled from now on.
    pub(super) fn set_pulled(&self, streams: Arc<[Arc<str>]>) {
        *self.pulled.borrow_mut() = streams;
    }

    fn task(&self, pull: usize) -> Option<Rc<PullTask>> {
        self.pulls.borrow().get(&pull).cloned()
    }

    /// The pulls of a stream: one, unless another has just been removed.
    fn pulls_of(&self, name: &str) -> Vec<Rc<PullTask>> {
        let pulls = self.pulls.borrow();
        pulls.values().filter(|task| task.stream() == name).cloned().collect()
    }

    /// Lets recordings of a stream that begins take part in it.
    pub(super) fn attach(&self, hub: &Hub) {
        let records = self.records.borrow();
        let ours = records.iter().filter(|tap| *tap.borrow().stream() == hub.name);
        ours.for_each(|tap| hub.add_record(Rc::clone(tap)));
    }

    /// Whether a stream of this name is recorded here.
    pub(super) fn records(&self, name: &str) -> bool {
        self.records.borrow().iter().any(|tap| **tap.borrow().stream() == *name)
    }

    /// One more recording. If its stream is there, it begins with what a late viewer would be sent.
    pub(super) fn record(&self, shard: &Shard, feed: RecordFeed) {
        let name = Arc::clone(&feed.stream);
        let tap = Rc::new(RefCell::new(RecordTap::new(feed)));
        self.records.borrow_mut().push(Rc::clone(&tap));
        let Some(hub) = shard.find(&name) else { return };
        // A stream that was found elsewhere has begun here, with all of its recordings.
        if hub.has_record(&tap) {
            return;
        }
        if hub.is_live() {
            tap.borrow_mut().begin(&hub.log.borrow());
        }
        hub.add_record(tap);
    }

    /// Lets go of recordings that have been stopped.
    pub(super) fn drop_closed_records(&self) {
        self.records.borrow_mut().retain(|tap| !tap.borrow().is_closed());
    }

    /// Control's answer to a pull's question for an address.
    pub(super) fn resolved(&self, pull: usize, address: Result<SocketAddr, String>) {
        if let Some(task) = self.task(pull) {
            task.resolved(address);
        }
    }

    /// Somebody reads this stream or waits for it, or would relay it to `goes_to`: tells the pull
    /// that can bring it.
    pub(super) fn want(&self, shard: &Shard, name: &str, goes_to: &Hops) {
        if shard.spec().number == PULL_HOME {
            let now = shard.clock.now();
            self.pulls_of(name).iter().for_each(|task| task.want(now, goes_to));
        } else if let Some(name) = self.pulled.borrow().iter().find(|pulled| ***pulled == *name) {
            let word = MeshMessage::Want(Arc::clone(name), goes_to.clone());
            shard.mesh.borrow_mut().send(PULL_HOME, word);
        }
    }

    /// Deadlines, and who wants what is pulled on demand.
    pub(super) fn sweep(&self, shard: &Shard, now: Micros) {
        let pulled = Arc::clone(&self.pulled.borrow());
        for name in &*pulled {
            let hub = shard.hubs.borrow().get(name).cloned();
            let is_read = hub.is_some_and(|hub| hub.readers() > 0);
            if is_read {
                self.want(shard, name, &Hops::default());
            }
            for connection in shard.connections.borrow().values() {
                if connection.asks_for(name) {
                    connection.want(shard, name);
                }
            }
        }
        self.tasks().iter().for_each(|task| task.sweep(now));
    }

    fn tasks(&self) -> Vec<Rc<PullTask>> {
        self.pulls.borrow().values().cloned().collect()
    }

    /// What a stream was whose source has left, for a pull of it; nothing if there is none.
    pub(super) fn prints(&self, hub: &Hub) -> Prints {
        let is_pulled = self.pulled.borrow().contains(&hub.name);
        if is_pulled { Prints::of(&hub.log.borrow()) } else { Prints::default() }
    }

    /// The source of a stream has left it, which was this.
    pub(super) fn left(&self, name: &str, was: &Prints, now: Micros) {
        self.pulls_of(name).iter().for_each(|task| task.stream_left(was, now));
    }

    /// A publisher takes the place of the pull that feeds a stream; false if none does.
    pub(super) fn make_way(&self, shard: &Shard, name: &str) -> bool {
        self.pulls_of(name).iter().any(|task| task.make_way(shard))
    }

    /// The operator `actor` ends whoever feeds a stream: how many pulls did.
    pub(super) fn kick(&self, shard: &Shard, name: &str, actor: &Arc<str>) -> usize {
        self.pulls_of(name).iter().filter(|task| task.kick(shard, actor)).count()
    }

    /// The node stops.
    pub(super) fn stop(&self) {
        self.tasks().iter().for_each(|task| task.stop());
    }

    pub(super) fn is_finished(&self) -> bool {
        self.tasks().iter().all(|task| task.is_finished())
    }
}
