//! Store of the configuration in use: one thread knows the file and the changes made since, writes
//! them down, and reads the file again for a reload. The disk may take its time; nobody but that
//! thread waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::config::{Becomes, Config, Difference, Errors, KeepState, Kept, Part, Step};
use crate::control::durable;
use crate::control::kept_documents::{self, Documents};
use crate::runtime::Worker;

/// Name of the file in the data directory.
const FILE_NAME: &str = "state.toml";

/// Largest file that is read, bytes. A larger one is something else.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Orders that may wait for the thread. Further changes are not kept, which is told.
const ORDERS_MAX: usize = 1_024;

/// How long it waits before it tries again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// How long the end of the thread waits for the disk.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// Reads the configuration again, as at the start.
pub(crate) type Load = Arc<dyn Fn() -> Result<Config, Errors> + Send + Sync>;

/// The way from what is in use to what the file says now.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the file says.
    file: Config,
    /// The same with the changes above it.
    wanted: Config,
    pub(crate) difference: Difference,
    /// What became of changes that do not fit the file any more.
    pub(crate) told: Vec<String>,
}

impl Plan {
    /// What the node would be told from then on.
    pub(crate) const fn wanted(&self) -> &Config {
        &self.wanted
    }
}

enum Order {
    /// A part was changed.
    Changed(Box<Becomes>),
    /// A part was turned on or off.
    Switched(Part, bool),
    /// A document was pushed, or is to be forgotten.
    Document(String, Option<Value>),
    /// Say so when all that was ordered before is on the disk.
    Written(oneshot::Sender<()>),
    /// Read the file, and say what that would change.
    Plan(Load, oneshot::Sender<Result<Box<Plan>, Errors>>),
    /// These steps of a plan have been taken, but for those that failed.
    Settle(Box<Plan>, Vec<Step>, oneshot::Sender<()>),
}

/// What became of a part of the node.
#[derive(Debug)]
pub(crate) enum Change {
    /// This.
    Becomes(Box<Becomes>),
    /// It was turned on or off.
    Switched(Part, bool),
}

/// The way to the thread. Clones lead to the same; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct ConfigStore {
    thread: Arc<StoreThread>,
    in_use: Arc<ArcSwap<Config>>,
    /// Those that were kept, until they are taken.
    documents: Documents,
}

/// The thread. Dropping it ends it, once it has done what it was told before.
struct StoreThread {
    /// Both are there until it ends.
    orders: Option<SyncSender<Order>>,
    worker: Option<Worker<()>>,
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.orders = None;
        if self.worker.take().is_some_and(|worker| !worker.join_within(FINISH_LIMIT)) {
            tracing::warn!("the disk is too slow: the last changes may be lost");
        }
    }
}

impl ConfigStore {
    /// Takes what the file says, and above it what was kept `on_disk`, if anything is: that is in
    /// use.
    pub(crate) fn open(file: &Config, cpus: Vec<usize>, on_disk: bool) -> io::Result<Self> {
        let mut books = StoreState::open(file, on_disk);
        let (in_use, documents) = (Arc::clone(&books.in_use), books.documents.clone());
        let (orders, taken) = sync_channel(ORDERS_MAX);
        let worker = Worker::spawn("state", cpus, 0, move || books.run(&taken))?;
        let thread = StoreThread { orders: Some(orders), worker: Some(worker) };
        Ok(Self { thread: Arc::new(thread), in_use, documents })
    }

    /// The documents that a node begins with.
    pub(crate) fn take_documents(&mut self) -> Documents {
        std::mem::take(&mut self.documents)
    }

    /// What is in use now.
    pub(crate) fn in_use(&self) -> Arc<Config> {
        self.in_use.load_full()
    }

    /// A change came true.
    pub(crate) fn take(&self, change: Change) {
        self.order(match change {
            Change::Becomes(becomes) => Order::Changed(becomes),
            Change::Switched(part, on) => Order::Switched(part, on),
        });
    }

    /// A part was changed.
    pub(crate) fn changed(&self, becomes: Becomes) {
        self.order(Order::Changed(Box::new(becomes)));
    }

    /// A document was pushed for texts of scenes, or is to be forgotten.
    pub(crate) fn document(&self, name: String, document: Option<Value>) {
        self.order(Order::Document(name, document));
    }

    /// Comes when all that was changed so far is on the disk, or cannot be brought there.
    pub(crate) fn written(&self) -> oneshot::Receiver<()> {
        let (say, heard) = oneshot::channel();
        self.order(Order::Written(say));
        heard
    }

    /// What the file would change now.
    pub(crate) fn plan(&self, load: Load) -> oneshot::Receiver<Result<Box<Plan>, Errors>> {
        let (say, heard) = oneshot::channel();
        self.order(Order::Plan(load, say));
        heard
    }

    /// The plan was carried out, but for the steps that `failed`.
    pub(crate) fn settle(&self, plan: Box<Plan>, failed: Vec<Step>) -> oneshot::Receiver<()> {
        let (say, heard) = oneshot::channel();
        self.order(Order::Settle(plan, failed, say));
        heard
    }

    /// Who waits for an answer that is not taken hears that nobody will give one.
    fn order(&self, order: Order) {
        let Some(orders) = &self.thread.orders else { return };
        match orders.try_send(order) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::error!("too many changes at once: the last one ends with the node");
            }
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("nobody keeps changes any more: they end with the node");
            }
        }
    }
}

/// What the thread knows.
struct StoreState {
    /// What the file says, as far as it has been applied.
    file: Config,
    kept: Kept,
    documents: Documents,
    in_use: Arc<ArcSwap<Config>>,
    /// Whether anything is written at all.
    on_disk: bool,
    /// Of the changes.
    changes_file: StoreFile,
    documents_file: StoreFile,
}

/// A file, and how far it is from what it is to hold.
struct StoreFile {
    path: PathBuf,
    /// Whether it holds something else.
    unwritten: bool,
    /// Whether it has been told that it cannot be written.
    complained: bool,
}

impl StoreState {
    fn open(file: &Config, on_disk: bool) -> Self {
        let mut file = file.clone();
        if !file.is_as_written() {
            file.forget_text();
        }
        let path = file.node.data_dir().join(FILE_NAME);
        let (mut kept, documents) = match on_disk && keeps(&file) {
            true => (read(&path), kept_documents::read(file.node.data_dir())),
            false => (Kept::default(), Documents::new()),
        };
        let before = kept.clone();
        let (config, told) = kept.over(&file);
        for line in told {
            tracing::warn!("kept changes: {line}");
        }
        if !kept.is_empty() {
            tracing::info!(
                "{} stands above the configuration file: {}",
                path.display(),
                kept.words().join(", ")
            );
        }
        let documents_file = StoreFile::new(file.node.data_dir().join(kept_documents::FILE_NAME));
        let changes_file =
            StoreFile { unwritten: on_disk && kept != before, ..StoreFile::new(path) };
        let in_use = Arc::new(ArcSwap::from_pointee(config));
        Self { file, kept, documents, in_use, on_disk, changes_file, documents_file }
    }

    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            self.write();
            let is_unwritten = self.changes_file.unwritten || self.documents_file.unwritten;
            let order = match self.on_disk && is_unwritten {
                true => match orders.recv_timeout(AGAIN) {
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
                    order => order.ok(),
                },
                false => orders.recv().ok(),
            };
            let Some(order) = order else { return };
            self.follow(order);
            // Those that came meanwhile go to the disk with it.
            orders.try_iter().take(ORDERS_MAX).for_each(|order| self.follow(order));
        }
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Changed(becomes) => self.set(&becomes),
            Order::Switched(part, on) => {
                if let Some(becomes) = switched(&self.in_use.load(), &part, on) {
                    self.set(&becomes);
                }
            }
            Order::Document(name, document) => {
                let before = self.documents.get(&name);
                self.documents_file.unwritten |= before != document.as_ref();
                match document {
                    Some(document) => drop(self.documents.insert(name, document)),
                    None => drop(self.documents.remove(&name)),
                }
            }
            Order::Written(say) => {
                self.write();
                acknowledge(say);
            }
            // Who asked may have gone meanwhile.
            Order::Plan(load, say) => drop(say.send(load().map(|file| Box::new(self.plan(file))))),
            Order::Settle(plan, failed, say) => {
                let failed: Vec<_> = failed.iter().collect();
                self.file = Difference::settled(&self.file, &plan.file, &failed);
                let (config, _) = self.kept.over(&self.file);
                self.in_use.store(Arc::new(config));
                self.changes_file.unwritten = true;
                self.write();
                acknowledge(say);
            }
        }
    }

    fn set(&mut self, becomes: &Becomes) {
        if !self.kept.set(becomes, &self.file) {
            tracing::warn!("there are too many changes to keep: this one ends with the node");
        }
        let (config, _) = self.kept.over(&self.file);
        self.in_use.store(Arc::new(config));
        self.changes_file.unwritten = true;
    }

    /// From what is in use, with the changes in it, to the new file with the same changes.
    fn plan(&self, file: Config) -> Plan {
        let (wanted, told) = self.kept.clone().over(&file);
        let difference = Difference::between(&self.in_use.load(), &wanted);
        Plan { file, wanted, difference, told }
    }

    fn write(&mut self) {
        if !self.on_disk {
            return;
        }
        let Self { kept, documents, changes_file, documents_file, .. } = self;
        let keeps = keeps(&self.file);
        changes_file.write(|| (keeps && !kept.is_empty()).then(|| kept.text()));
        documents_file.write(|| kept_documents::text(documents).filter(|_| keeps));
    }
}

impl StoreFile {
    const fn new(path: PathBuf) -> Self {
        Self { path, unwritten: false, complained: false }
    }

    /// Makes it hold what it is to hold; there is none if that is nothing.
    fn write(&mut self, text: impl FnOnce() -> Option<String>) {
        if !self.unwritten {
            return;
        }
        let done = match text() {
            Some(text) => durable::replace(&self.path, text.as_bytes()),
            None => durable::remove(&self.path),
        };
        self.unwritten = done.is_err();
        match done {
            Ok(()) if self.complained => {
                tracing::info!("changes are kept again, in {}", self.path.display());
            }
            Err(error) if !self.complained => tracing::warn!(
                "what was changed cannot be kept in {}: {error}; make room, or let this user \
                 write there; it is tried again",
                self.path.display()
            ),
            _ => {}
        }
        self.complained = self.unwritten;
    }
}

fn acknowledge(say: oneshot::Sender<()>) {
    if say.send(()).is_err() {
        tracing::debug!("who waited for a change to be kept has gone");
    }
}

/// Whether changes are kept. There is nothing that they could stand above where a program has made
/// the configuration itself.
fn keeps(file: &Config) -> bool {
    file.node.state == KeepState::Keep && file.has_text()
}

/// What was kept, if that can be read. What cannot is put aside and told: it keeps no node down.
fn read(path: &std::path::Path) -> Kept {
    let read = durable::read(path, FILE_BYTES_MAX).map_err(|error| error.to_string());
    match read.and_then(|text| Kept::read(&text.unwrap_or_default())) {
        Ok(kept) => kept,
        Err(fault) => {
            let aside = path.with_extension("toml.bad");
            let moved = std::fs::rename(path, &aside);
            tracing::error!(
                "{} cannot be used ({fault}): the node starts with its file alone; what was kept \
                 is in {}",
                path.display(),
                moved.map_or(path, |()| &aside).display()
            );
            Kept::default()
        }
    }
}

/// The part as it is, turned on or off.
fn switched(now: &Config, part: &Part, on: bool) -> Option<Becomes> {
    match part {
        Part::Output(channel, name) => {
            let of = now.channels.iter().find(|it| it.name == *channel)?;
            let mut output = of.outputs.iter().find(|it| it.name == *name)?.clone();
            output.enabled = on;
            Some(Becomes::Output(channel.clone(), output))
        }
        Part::Push(name) => {
            let mut push = now.pushes.iter().find(|it| it.name == *name)?.clone();
            push.enabled = on;
            Some(Becomes::Push(push))
        }
        Part::Pull(name) => {
            let mut pull = now.pulls.iter().find(|it| it.name == *name)?.clone();
            pull.enabled = on;
            Some(Becomes::Pull(pull))
        }
        Part::Record(name) => {
            let mut record = now.records.iter().find(|it| it.name == *name)?.clone();
            record.enabled = on;
            Some(Becomes::Record(record))
        }
        Part::Log
        | Part::Scene(..)
        | Part::Overlays(_)
        | Part::Transition(_)
        | Part::OnAir(_)
        | Part::AudioSource(..)
        | Part::AudioBus(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OutputConfig;
    use crate::rtmp::Url;

    const FILE: &str = "[[channel]]\nname = \"a\"\n[[channel.output]]\nname = \"cdn\"\n\
                        url = \"rtmp://h/app/s3cret\"\n";

    fn file(dir: &std::path::Path, text: &str) -> Config {
        let mut config = Config::parse(text, "a file").unwrap();
        config.node.data_dir = Some(dir.to_owned());
        config
    }

    fn added(name: &str) -> Becomes {
        let url = Url::parse("rtmp://h/app/s3cret").unwrap();
        Becomes::Output("a".to_owned(), OutputConfig::to(name, url))
    }

    fn outputs(config_store: &ConfigStore) -> Vec<(String, bool)> {
        let now = config_store.in_use();
        now.channels[0].outputs.iter().map(|it| (it.name.clone(), it.enabled)).collect()
    }

    fn cdn() -> Part {
        Part::Output("a".to_owned(), "cdn".to_owned())
    }

    #[test]
    fn changes_are_in_use_at_once_and_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let want = [("cdn".to_owned(), false), ("new".to_owned(), true)];
        let config_store = ConfigStore::open(&file(dir.path(), FILE), vec![], true).unwrap();
        config_store.changed(added("new"));
        config_store.take(Change::Switched(cdn(), false));
        config_store.written().blocking_recv().unwrap();
        assert_eq!(outputs(&config_store), want);
        // Nobody says that the first ends: it might have been killed.
        let again = ConfigStore::open(&file(dir.path(), FILE), vec![], true).unwrap();
        assert_eq!(outputs(&again), want);
        again.changed(Becomes::Gone(Part::Output("a".to_owned(), "new".to_owned())));
        again.take(Change::Switched(cdn(), true));
        again.written().blocking_recv().unwrap();
        assert!(!dir.path().join(FILE_NAME).exists(), "nothing differs from the file");
    }

    #[test]
    fn pushed_documents_are_there_after_a_restart_and_a_broken_file_keeps_no_node_down() {
        let dir = tempfile::tempdir().unwrap();
        let config = file(dir.path(), FILE);
        let open = |on_disk| ConfigStore::open(&config, vec![], on_disk).unwrap();
        let at_start = || open(true).take_documents();
        assert!(at_start().is_empty());
        let config_store = open(true);
        for (name, document) in [("a", Some(1)), ("b", Some(2)), ("a", Some(3)), ("b", None)] {
            config_store.document(name.to_owned(), document.map(Value::from));
        }
        config_store.written().blocking_recv().unwrap();
        assert_eq!(at_start(), Documents::from([("a".to_owned(), Value::from(3))]));
        assert!(!dir.path().join(FILE_NAME).exists(), "no setting was changed");
        assert!(open(false).take_documents().is_empty());
        // The next one goes on with those that were there.
        drop(config_store);
        let again = open(true);
        again.document("c".to_owned(), Some(Value::Null));
        again.written().blocking_recv().unwrap();
        assert_eq!(at_start().len(), 2);
        std::fs::write(dir.path().join(kept_documents::FILE_NAME), "{").unwrap();
        assert!(at_start().is_empty());
    }

    #[test]
    fn with_the_file_only_changes_end_with_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("[node]\nstate = \"file-only\"\n{FILE}");
        let config_store = ConfigStore::open(&file(dir.path(), &text), vec![], true).unwrap();
        config_store.changed(added("new"));
        config_store.written().blocking_recv().unwrap();
        assert_eq!(outputs(&config_store).len(), 2);
        assert_eq!(
            outputs(&ConfigStore::open(&file(dir.path(), &text), vec![], true).unwrap()).len(),
            1
        );
    }

    #[test]
    fn inside_another_program_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let config_store = ConfigStore::open(&file(dir.path(), FILE), vec![], false).unwrap();
        config_store.changed(added("new"));
        config_store.written().blocking_recv().unwrap();
        assert_eq!(outputs(&config_store).len(), 2);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_state_is_put_aside_and_the_file_alone_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "[[change]]\nkind = \"wh").unwrap();
        let config_store = ConfigStore::open(&file(dir.path(), FILE), vec![], true).unwrap();
        assert_eq!(outputs(&config_store).len(), 1);
        assert!(dir.path().join("state.toml.bad").exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_tried_again_and_nobody_waits_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::write(&data, "a file where the folder should be").unwrap();
        let config_store = ConfigStore::open(&file(&data, FILE), vec![], true).unwrap();
        config_store.changed(added("new"));
        config_store.written().blocking_recv().unwrap();
        assert_eq!(outputs(&config_store).len(), 2);
        std::fs::remove_file(&data).unwrap();
        config_store.written().blocking_recv().unwrap();
        assert!(data.join(FILE_NAME).exists());
    }

    #[test]
    fn a_new_file_is_planned_below_the_changes_and_is_in_use_once_it_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let config_store = ConfigStore::open(&file(dir.path(), FILE), vec![], true).unwrap();
        config_store.changed(added("new"));
        let text = format!("[rtmp]\nport = 1999\n{FILE}").replace("\"cdn\"", "\"other\"");
        let wanted = file(dir.path(), &text);
        let load: Load = Arc::new(move || Ok(wanted.clone()));
        let plan = config_store.plan(Arc::clone(&load)).blocking_recv().unwrap().unwrap();
        let steps: Vec<_> = plan.difference.steps.iter().map(Step::to_string).collect();
        assert_eq!(steps, ["removed output cdn of channel a", "added output other of channel a"]);
        assert_eq!(plan.difference.restart, ["[rtmp] port"]);
        config_store.settle(plan, Vec::new()).blocking_recv().unwrap();
        let names: Vec<_> = outputs(&config_store).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["other", "new"]);
        assert_eq!(config_store.in_use().rtmp.port, 1_935, "that takes a restart");
        let plan = config_store.plan(load).blocking_recv().unwrap().unwrap();
        assert!(plan.difference.steps.is_empty() && plan.difference.restart == ["[rtmp] port"]);
        let bad: Load = Arc::new(|| Config::parse("[nod]\n", "bad"));
        let told = config_store.plan(bad).blocking_recv().unwrap().unwrap_err().to_string();
        assert!(told.contains("nod"), "{told}");
    }
}
