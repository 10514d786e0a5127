//! A shard: one pinned core that accepts peers, keeps the logs of the streams it needs, and sends
//! them to its readers. Everything here runs on one thread; other cores are reached over rings.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use glommio::timer::Timer;

use super::connection::{self, Connection, Mail};
use super::decode::TapEvent;
use super::feed::Feed;
use super::hub::{Hub, Source};
use super::mesh::{Mesh, MeshMessage};
use super::parts::{ShardParts, ShardSpec};
use super::push::{self, OutputTask};
use super::reader::Reader;
use super::socket;
use crate::command::{FromShard, ToShard};
use crate::event::{Event, NodeEvent};
use crate::frame::PacketPool;
use crate::keys::{DecisionCache, KeyHash};
use crate::media::Micros;
use crate::ring::Sender;
use crate::runtime::{Clock, guarded};
use crate::stats::{ShardStats, ViewerDrop};
use crate::stream::{Cursor, Message, Start, StreamLog};
use crate::tls::Acceptor;

/// Bytes read from a peer at once.
const READ_BYTES: usize = 256 << 10;

/// How often deadlines of all connections are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How long a stopping shard waits for its peers to take what it still has for them.
const STOP_LIMIT: Micros = Micros::from_millis(1_000);

/// A reader that has taken nothing for this long is gone.
pub(super) const BLOCKED_MAX: Micros = Micros::from_secs(10);

/// The state of a running shard.
pub(super) struct Shard {
    pub(super) spec: ShardSpec,
    pub(super) clock: Clock,
    pub(super) packets: PacketPool,
    pub(super) stats: Arc<ShardStats>,
    /// Where peers' bytes land; one buffer serves all, because each read is digested at once.
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) keys: RefCell<DecisionCache>,
    key_waiters: RefCell<HashMap<KeyHash, Vec<u32>>>,
    hubs: RefCell<HashMap<Arc<str>, Rc<Hub>>>,
    idle_taps: RefCell<Vec<(Arc<str>, Sender<TapEvent>)>>,
    dirty: RefCell<VecDeque<Rc<Hub>>>,
    pump: RefCell<Option<Waker>>,
    connections: RefCell<HashMap<u32, Rc<Connection>>>,
    next_connection: Cell<u32>,
    reports: RefCell<Sender<FromShard>>,
    pub(super) mesh: RefCell<Mesh>,
    outputs: RefCell<Vec<Rc<OutputTask>>>,
    stopping: Cell<bool>,
    seed: Cell<u64>,
}

/// Runs a shard until control says stop.
pub async fn shard(parts: ShardParts) {
    let ShardParts { spec, listener, bell, mut commands, reports, mesh, feeds, .. } = parts;
    let stop = parts.stopping;
    let shard = Rc::new(Shard {
        keys: RefCell::new(DecisionCache::default()),
        spec,
        clock: parts.clock,
        packets: parts.packets,
        stats: parts.stats,
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
        key_waiters: RefCell::default(),
        hubs: RefCell::default(),
        idle_taps: RefCell::new(parts.taps),
        dirty: RefCell::default(),
        pump: RefCell::default(),
        connections: RefCell::default(),
        next_connection: Cell::new(1),
        reports: RefCell::new(reports),
        mesh: RefCell::new(mesh),
        outputs: RefCell::default(),
        stopping: Cell::new(false),
        seed: Cell::new(parts.seed),
    });
    let mut feeds: Vec<Feed> = feeds.into_iter().map(|feed| Feed::open(&shard, feed)).collect();
    for spec in parts.outputs {
        let task = OutputTask::new(spec);
        shard.outputs.borrow_mut().push(Rc::clone(&task));
        spawn(&shard, push::run(Rc::clone(&shard), shard.outputs.borrow().len() - 1, task));
    }
    glommio::spawn_local(accept(Rc::clone(&shard), listener, None)).detach();
    if let Some((listener, tls)) = parts.secure {
        glommio::spawn_local(accept(Rc::clone(&shard), listener, Some(tls))).detach();
    }
    glommio::spawn_local(pump(Rc::clone(&shard))).detach();
    glommio::spawn_local(sweep(Rc::clone(&shard))).detach();

    while !stop.load(Ordering::Acquire) {
        std::future::poll_fn(|cx| {
            bell.poll(cx, || {
                stop.load(Ordering::Acquire)
                    || !commands.is_empty()
                    || shard.mesh.borrow().has_mail()
                    || feeds.iter().any(Feed::has_mail)
            })
        })
        .await;
        for feed in &mut feeds {
            feed.drain(&shard);
        }
        shard.read_mesh();
        while let Some(command) = commands.pop() {
            shard.obey(command);
        }
        glommio::yield_if_needed().await;
    }
    shard.stopping.set(true);
    for feed in &mut feeds {
        feed.finish(&shard);
    }
    say_goodbye(&shard).await;
}

/// Starts a task whose panic ends nothing else.
fn spawn(shard: &Rc<Shard>, task: impl Future<Output = ()> + 'static) {
    let shard = Rc::clone(shard);
    glommio::spawn_local(async move {
        if let Err(panic) = guarded(task).await {
            shard.stats.error_panic();
            tracing::error!("a connection's task failed, and only that one: {panic}");
        }
    })
    .detach();
}

async fn accept(shard: Rc<Shard>, listener: TcpListener, tls: Option<Acceptor>) {
    let listener = socket::adopt(listener);
    loop {
        let socket = match listener.accept().await {
            Ok(socket) => socket,
            Err(error) => {
                shard.stats.error_io();
                tracing::warn!("accepting a connection failed: {error}");
                Timer::new(SWEEP).await; // out of descriptors: let some go before the next try
                continue;
            }
        };
        if shard.stopping.get() {
            return;
        }
        let Ok(peer) = socket.peer_addr() else { continue };
        if shard.connections.borrow().len() >= shard.spec.connections_max {
            shard.stats.connection_refused();
            continue;
        }
        let fd = socket.as_raw_fd();
        let reader = match tls.as_ref().map(Acceptor::link) {
            None => Reader::new(fd),
            Some(Ok(link)) => Reader::sealed(fd, link),
            Some(Err(failure)) => {
                tracing::error!("a connection cannot be secured: {failure}");
                continue;
            }
        };
        shard.admit(socket, reader, peer);
    }
}

/// Sends what is new to every reader that can take it.
async fn pump(shard: Rc<Shard>) {
    loop {
        let hub = std::future::poll_fn(|cx| {
            if let Some(hub) = shard.dirty.borrow_mut().pop_front() {
                return Poll::Ready(hub);
            }
            *shard.pump.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        hub.set_clean();
        let mut index = 0;
        while let Some(reader) = hub.reader(index) {
            let sent = reader.pump(&hub.log.borrow(), &shard.spec.drop, shard.clock.now());
            if sent > 0 {
                shard.stats.bytes_out(sent);
                shard.stats.sent();
            }
            if reader.is_blocked() {
                shard.stats.send_blocked();
            }
            index += 1;
            glommio::yield_if_needed().await;
        }
    }
}

/// Looks at every deadline there is, a few times a second.
async fn sweep(shard: Rc<Shard>) {
    loop {
        Timer::new(SWEEP).await;
        let now = shard.clock.now();
        let connections: Vec<_> = shard.connections.borrow().values().cloned().collect();
        for connection in connections {
            connection.sweep(&shard, now);
        }
        for output in shard.outputs.borrow().iter() {
            output.sweep(&shard, now);
        }
        shard.end_streams_past_grace(now);
        shard.count_active();
    }
}

/// The end: outputs unpublish, viewers are told, and what is in flight gets a moment to leave.
async fn say_goodbye(shard: &Rc<Shard>) {
    let deadline = shard.clock.now() + STOP_LIMIT;
    for output in shard.outputs.borrow().iter() {
        output.stop();
    }
    let connections: Vec<_> = shard.connections.borrow().values().cloned().collect();
    for connection in connections {
        connection.mail(Mail::Stop);
    }
    let busy = || {
        !shard.connections.borrow().is_empty()
            || shard.outputs.borrow().iter().any(|output| !output.is_finished())
    };
    while busy() && shard.clock.now() < deadline {
        Timer::new(Duration::from_millis(5)).await;
    }
}

impl Shard {
    fn admit(
        self: &Rc<Self>,
        socket: glommio::net::TcpStream,
        reader: Reader,
        peer: SocketAddr,
    ) {
        let number = self.next_connection.get();
        self.next_connection.set(number.wrapping_add(1));
        if let Err(error) = socket::tune(socket.as_raw_fd()) {
            tracing::debug!("socket options of a new connection: {error}");
        }
        self.stats.connection_accepted();
        let connection = Connection::new(self, number, reader, peer);
        self.connections.borrow_mut().insert(number, Rc::clone(&connection));
        let shard = Rc::clone(self);
        glommio::spawn_local(async move {
            let run = connection::run(Rc::clone(&shard), Rc::clone(&connection), socket);
            let reason = match guarded(run).await {
                Ok(reason) => reason,
                Err(panic) => {
                    shard.stats.error_panic();
                    tracing::error!("connection {number} failed, and only that one: {panic}");
                    "internal error".to_owned()
                }
            };
            shard.connections.borrow_mut().remove(&number);
            connection.end(&shard, &reason);
        })
        .detach();
    }

    /// The stream of this name, if somebody feeds it (or may still come back).
    pub(super) fn find(&self, name: &str) -> Option<Rc<Hub>> {
        if let Some(hub) = self.hubs.borrow().get(name) {
            return Some(Rc::clone(hub));
        }
        let home = self.mesh.borrow().home(name)?;
        let hub = self.open(Arc::from(name), Source::Shard(home));
        self.mesh.borrow_mut().send(home, MeshMessage::Subscribe(Arc::clone(&hub.name)));
        Some(hub)
    }

    /// Whether somebody on any shard feeds the stream of this name now.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.hubs.borrow().get(name).is_some_and(|hub| hub.is_live())
            || self.mesh.borrow().home(name).is_some()
    }

    /// Makes the stream `name`, or gives it a new source if its viewers are still waiting.
    pub(super) fn open(&self, name: Arc<str>, source: Source) -> Rc<Hub> {
        if !matches!(source, Source::Shard(_)) {
            self.mesh.borrow_mut().send_all(&MeshMessage::Up(Arc::clone(&name)));
        }
        if let Some(hub) = self.hubs.borrow().get(&name) {
            hub.set_source(source);
            return Rc::clone(hub);
        }
        let log = StreamLog::new(self.spec.log, self.spec.gop_cache);
        let hub = Rc::new(Hub::new(Arc::clone(&name), log, source));
        let mut idle = self.idle_taps.borrow_mut();
        while let Some(at) = idle.iter().position(|(wanted, _)| *wanted == name) {
            hub.add_tap(idle.swap_remove(at).1);
        }
        self.hubs.borrow_mut().insert(name, Rc::clone(&hub));
        self.tell_waiting(&hub.name);
        hub
    }

    /// Tells the players that came before the stream.
    fn tell_waiting(&self, name: &str) {
        for connection in self.connections.borrow().values() {
            if connection.awaited_stream().is_some_and(|wanted| *wanted == *name) {
                connection.mail(Mail::StreamBegan);
            }
        }
    }

    /// A new message of a stream: into its log, to the other shards that read it, to the pump.
    pub(super) fn publish(&self, hub: &Rc<Hub>, message: Message, arrived: Micros) {
        for &other in hub.subscribers.borrow().iter() {
            let message = MeshMessage::Message(Arc::clone(&hub.name), message.clone(), arrived);
            self.mesh.borrow_mut().send(other, message);
        }
        if hub.push(message, arrived) {
            self.dirty.borrow_mut().push_back(Rc::clone(hub));
            if let Some(pump) = self.pump.borrow_mut().take() {
                pump.wake();
            }
        }
    }

    /// Starts a reader at the place late viewers start at.
    pub(super) fn add_reader(&self, hub: &Hub, reader: &Rc<Reader>) {
        reader.set_cursor(Some(Cursor::new(Start::Keyframe)));
        hub.add_reader(Rc::clone(reader));
    }

    /// The publisher of `hub` has gone; its viewers wait for the grace time.
    pub(super) fn source_left(&self, hub: &Rc<Hub>) {
        hub.set_source(Source::Nobody(self.clock.now()));
        hub.end_taps();
    }

    fn end_streams_past_grace(&self, now: Micros) {
        let over = |hub: &Rc<Hub>| match hub.source() {
            Source::Nobody(since) => now.since(since) >= self.spec.grace,
            Source::Channel(_) | Source::Publisher | Source::Shard(_) => false,
        };
        let ended: Vec<_> = self.hubs.borrow().values().filter(|hub| over(hub)).cloned().collect();
        for hub in ended {
            self.end_stream(&hub);
        }
    }

    fn count_active(&self) {
        let hubs = self.hubs.borrow();
        let ours = |hub: &&Rc<Hub>| !matches!(hub.source(), Source::Shard(_)) && hub.is_live();
        self.stats.active(self.connections.borrow().len(), hubs.values().filter(ours).count());
        self.stats.viewers(hubs.values().map(|hub| hub.readers()).sum());
    }

    /// Ends a stream for good: its viewers are told, its taps wait for the next one of the name.
    fn end_stream(&self, hub: &Rc<Hub>) {
        self.hubs.borrow_mut().remove(&hub.name);
        if !matches!(hub.source(), Source::Shard(_)) {
            self.mesh.borrow_mut().send_all(&MeshMessage::Down(Arc::clone(&hub.name)));
        }
        let taps = hub.take_taps().into_iter().map(|tap| (Arc::clone(&hub.name), tap));
        self.idle_taps.borrow_mut().extend(taps);
        let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        for connection in connections {
            if connection.plays(hub) {
                connection.mail(Mail::StreamEnded);
            }
        }
    }

    /// Asks control about a key on behalf of connection `number`.
    pub(super) fn ask_key(&self, hash: KeyHash, peer: SocketAddr, number: u32, first: bool) {
        self.key_waiters.borrow_mut().entry(hash).or_default().push(number);
        if first {
            self.report(FromShard::KeyQuestion { hash, peer: peer.ip() });
        }
    }

    /// Bytes for handshakes, ids and jitter; nothing secret is made of them.
    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            // splitmix64
            self.seed.set(self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
            let mut word = self.seed.get();
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// Adds what a reader was not sent to the shard's figures.
    pub(super) fn count_drops(&self, reader: &Reader) {
        let drops = reader.drops();
        self.stats.viewer_dropped(ViewerDrop::Jumped, drops.jumped);
        self.stats.viewer_dropped(ViewerDrop::Skipped, drops.skipped);
        self.stats.viewer_dropped(ViewerDrop::Overrun, drops.overrun);
    }

    pub(super) fn report(&self, report: FromShard) {
        if self.reports.borrow_mut().push(report).is_err() {
            self.stats.report_lost();
        }
    }

    pub(super) fn report_event(&self, event: Event) {
        self.report(FromShard::Connection(event));
    }

    pub(super) fn report_node(&self, event: NodeEvent) {
        self.report(FromShard::Node(event));
    }

    fn obey(self: &Rc<Self>, command: ToShard) {
        match command {
            ToShard::KeyAnswer { hash, decision } => {
                self.keys.borrow_mut().insert(hash, decision.clone(), self.clock.now());
                let waiting = self.key_waiters.borrow_mut().remove(&hash).unwrap_or_default();
                for number in waiting {
                    let connection = self.connections.borrow().get(&number).cloned();
                    if let Some(connection) = connection {
                        connection.mail(Mail::Key(decision.clone()));
                    }
                }
            }
            ToShard::Resolved { output, address } => {
                if let Some(output) = self.outputs.borrow().get(output) {
                    output.resolved(address);
                }
            }
        }
    }

    fn read_mesh(self: &Rc<Self>) {
        loop {
            let Some((from, message)) = self.mesh.borrow_mut().receive() else { return };
            match message {
                MeshMessage::Up(name) => self.up_elsewhere(&name, from),
                MeshMessage::Down(name) => {
                    self.mesh.borrow_mut().forget(&name, from);
                    if let Some(hub) = self.local(&name, from) {
                        self.source_left(&hub);
                        self.end_stream(&hub);
                    }
                }
                MeshMessage::Subscribe(name) => self.subscribe(&name, from),
                MeshMessage::Message(name, message, arrived) => {
                    if let Some(hub) = self.local(&name, from) {
                        self.publish(&hub, message, arrived);
                    }
                }
            }
        }
    }

    /// The hub of a stream that shard `from` feeds.
    fn local(&self, name: &str, from: usize) -> Option<Rc<Hub>> {
        let hub = Rc::clone(self.hubs.borrow().get(name)?);
        matches!(hub.source(), Source::Shard(home) if home == from).then_some(hub)
    }

    fn up_elsewhere(self: &Rc<Self>, name: &Arc<str>, home: usize) {
        self.mesh.borrow_mut().learn(Arc::clone(name), home);
        let tapped = self.idle_taps.borrow().iter().any(|(wanted, _)| wanted == name);
        if tapped {
            self.find(name);
        }
        self.tell_waiting(name);
    }

    /// Another shard has readers for a stream that is fed here: it gets what a late viewer would.
    fn subscribe(&self, name: &str, from: usize) {
        let Some(hub) = self.hubs.borrow().get(name).cloned() else { return };
        if hub.subscribers.borrow().contains(&from) {
            return;
        }
        hub.subscribers.borrow_mut().push(from);
        let now = self.clock.now();
        for message in hub.log.borrow().catch_up() {
            let message = MeshMessage::Message(Arc::clone(&hub.name), message.clone(), now);
            self.mesh.borrow_mut().send(from, message);
        }
    }
}
