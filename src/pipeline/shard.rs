//! A shard: one pinned core that accepts peers, keeps the logs of the streams it needs, and sends
//! them to its readers. Everything here runs on one thread; other cores are reached over rings.

mod live;
mod mail;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use glommio::timer::Timer;

use super::connection::{self, Connection, Mail};
use super::feed::Feeds;
use super::held::{self, Held};
use super::hub::{Hub, SENDS_AT_ONCE, Source};
use super::mesh::{Have, Mesh, MeshMessage};
use super::parts::{RelayParts, ShardParts, ShardSpec};
use super::push::{self, OutputTask};
use super::reader::Reader;
use super::relay::Relay;
use super::rules::SettingsRing;
use super::socket;
use super::sweep::Sweeps;
use super::watch::{self, Watch};
use crate::command::{FromShard, TapEvent};
use crate::event::{Event, NodeEvent};
use crate::frame::PacketPool;
use crate::keys::{DecisionCache, KeyHash};
use crate::limits::{NodeLimits, Place};
use crate::media::Micros;
use crate::ring::Sender;
use crate::rtmp::{Hops, Url};
use crate::runtime::{Clock, guarded};
use crate::stats::{OtherReader, ShardStats, ViewerDrop};
use crate::stream::{Due, Message, StreamLog};
use crate::tls::{Acceptor, Connector};

/// Bytes read from a peer at once.
const READ_BYTES: usize = 256 << 10;

/// Wait after a failure to accept: out of descriptors, some may be let go meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a stopping shard waits for its peers to take what it still has for them.
const STOP_LIMIT: Micros = Micros::from_millis(1_800);

/// An output that has taken nothing for this long is gone.
pub(super) const BLOCKED_MAX: Micros = Micros::from_secs(10);

/// The state of a running shard.
pub(super) struct Shard {
    pub(super) rules: RefCell<Rc<ShardSpec>>,
    pub(super) settings: SettingsRing,
    pub(super) clock: Clock,
    pub(super) packets: PacketPool,
    pub(super) stats: Arc<ShardStats>,
    pub(super) limits: Arc<NodeLimits>,
    /// Where peers' bytes land; one buffer serves all, because each read is digested at once.
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) keys: RefCell<DecisionCache>,
    pub(super) key_waiters: RefCell<HashMap<KeyHash, Vec<u32>>>,
    /// Set if control could not be asked about keys again: the next sweep tries.
    pub(super) recheck_due: Cell<bool>,
    pub(super) hubs: RefCell<HashMap<Arc<str>, Rc<Hub>>>,
    pub(super) feeds: Feeds,
    pub(super) idle_taps: RefCell<Vec<(Arc<str>, Sender<TapEvent>)>>,
    dirty: RefCell<VecDeque<Rc<Hub>>>,
    pump: RefCell<Option<Waker>>,
    pub(super) held: Held,
    pub(super) watch: Watch,
    pub(super) connections: RefCell<HashMap<u32, Rc<Connection>>>,
    next_connection: Cell<u32>,
    sweeps: Sweeps,
    pub(super) reports: RefCell<Sender<FromShard>>,
    pub(super) mesh: RefCell<Mesh>,
    outputs: RefCell<BTreeMap<usize, Rc<OutputTask>>>,
    pub(super) relay: Relay,
    stopping: Cell<bool>,
    seed: Cell<u64>,
    /// Whom to trust when we connect by TLS, or why we cannot.
    pub(super) trust: RefCell<Result<Connector, String>>,
}

/// Runs a shard until control says stop.
pub async fn shard(parts: ShardParts) {
    let ShardParts { spec, listener, bell, mut commands, reports, mesh, feeds, pulse, .. } = parts;
    let stop = parts.stopping;
    let RelayParts { pulls, pulled, records } = parts.relay;
    pulse.attach();
    let shard = Rc::new(Shard {
        keys: RefCell::new(DecisionCache::new(spec.keys.cache)),
        recheck_due: Cell::new(false),
        rules: RefCell::new(Rc::new(spec)),
        clock: parts.clock,
        packets: parts.packets,
        stats: parts.stats,
        limits: parts.limits,
        scratch: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
        key_waiters: RefCell::default(),
        hubs: RefCell::default(),
        feeds: Feeds::default(),
        idle_taps: RefCell::new(parts.taps),
        dirty: RefCell::default(),
        pump: RefCell::default(),
        held: Held::default(),
        watch: Watch::new(),
        connections: RefCell::default(),
        next_connection: Cell::new(1),
        sweeps: Sweeps::default(),
        reports: RefCell::new(reports),
        mesh: RefCell::new(mesh),
        outputs: RefCell::default(),
        relay: Relay::new(records, pulled),
        stopping: Cell::new(false),
        seed: Cell::new(parts.seed),
        trust: RefCell::new(parts.trust),
        settings: RefCell::new(parts.settings),
    });
    shard.feeds.begin(&shard, feeds);
    for spec in parts.outputs {
        shard.add_output(spec);
    }
    for spec in pulls {
        shard.relay.pull(&shard, spec);
    }
    begin(&shard, listener, parts.secure);

    while !stop.load(Ordering::Acquire) {
        std::future::poll_fn(|cx| {
            bell.poll(cx, || {
                stop.load(Ordering::Acquire)
                    || !commands.is_empty()
                    || shard.mesh.borrow().has_mail()
                    || shard.feeds.have_mail()
                    || shard.sweeps.are_due(shard.clock.now())
            })
        })
        .await;
        pulse.beat();
        shard.feeds.drain(&shard);
        shard.read_mesh();
        while let Some(command) = commands.pop() {
            shard.obey(command);
        }
        shard.sweep();
        glommio::yield_if_needed().await;
    }
    shard.stopping.set(true);
    shard.feeds.finish(&shard);
    say_goodbye(&shard).await;
}

/// Starts the tasks that live as long as the shard.
fn begin(shard: &Rc<Shard>, plain: TcpListener, secure: Option<(TcpListener, Acceptor)>) {
    let accept_by =
        |listener, tls| glommio::spawn_local(accept(Rc::clone(shard), listener, tls)).detach();
    accept_by(plain, None);
    if let Some((listener, tls)) = secure {
        accept_by(listener, Some(tls));
    }
    glommio::spawn_local(pump(Rc::clone(shard))).detach();
    glommio::spawn_local(held::release(Rc::clone(shard))).detach();
    glommio::spawn_local(watch::tick(Rc::clone(shard))).detach();
}

/// Starts a task whose panic ends nothing else.
pub(super) fn spawn(shard: &Rc<Shard>, task: impl Future<Output = ()> + 'static) {
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
                Timer::new(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if shard.stopping.get() {
            return;
        }
        let Ok(peer) = socket.peer_addr().map(socket::plain) else { continue };
        let place = match shard.opens_to(peer.ip()) {
            Ok(place) => place,
            Err(limit) => {
                shard.stats.connection_refused(limit);
                continue;
            }
        };
        let fd = socket.as_raw_fd();
        let reader = match tls.as_ref().map(Acceptor::link) {
            None => Reader::new(fd),
            Some(Ok(link)) => Reader::sealed(fd, link),
            Some(Err(failure)) => {
                tracing::error!("a connection cannot be secured: {failure}");
                shard.limits.leave(place);
                continue;
            }
        };
        shard.admit(socket, reader, (peer, place));
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
        while shard.send_some(&hub, index) {
            index += SENDS_AT_ONCE;
            glommio::yield_if_needed().await;
        }
    }
}

/// The end: outputs unpublish, viewers are told, and what is in flight gets a moment to leave.
async fn say_goodbye(shard: &Rc<Shard>) {
    let deadline = shard.clock.now() + STOP_LIMIT;
    for output in shard.outputs.borrow().values() {
        output.end_with_node();
    }
    shard.relay.stop();
    let connections: Vec<_> = shard.connections.borrow().values().cloned().collect();
    for connection in connections {
        connection.mail(Mail::Stop);
    }
    let busy = || {
        !shard.connections.borrow().is_empty()
            || shard.outputs.borrow().values().any(|output| !output.is_finished())
            || !shard.relay.is_finished()
    };
    while busy() && shard.clock.now() < deadline {
        shard.sweep();
        Timer::new(Duration::from_millis(5)).await;
    }
}

impl Shard {
    fn admit(
        self: &Rc<Self>,
        socket: glommio::net::TcpStream,
        reader: Reader,
        peer: (SocketAddr, Place),
    ) {
        let number = self.next_connection.get();
        self.next_connection.set(number.wrapping_add(1));
        if let Err(error) = socket::tune_for(socket.as_raw_fd(), self.spec().peer.blocked) {
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
        self.mesh
            .borrow_mut()
            .send(home, MeshMessage::Subscribe(Arc::clone(&hub.name), Have::Nothing));
        Some(hub)
    }

    /// Makes the stream `name`, or gives it a new source if its viewers are still waiting.
    pub(super) fn open(&self, name: Arc<str>, source: Source) -> Rc<Hub> {
        self.open_by(name, source, &Hops::default())
    }

    /// The same for a stream that has come by a relay, through `path`.
    pub(super) fn open_by(&self, name: Arc<str>, source: Source, path: &Hops) -> Rc<Hub> {
        let is_home = !matches!(source, Source::Shard(_));
        let hops = if is_home { path.with(self.hop_of(&name)) } else { None };
        let hops = hops.unwrap_or_else(|| self.mesh.borrow().hops(&name));
        let known = self.hubs.borrow().get(&name).cloned();
        if let Some(hub) = known {
            self.set_hops(&hub, hops);
            hub.loops.take();
            if is_home {
                self.come_home(&hub);
            }
            hub.set_source(source);
            self.begin_figures(&hub);
            self.tell_waiting(&hub.name);
            return hub;
        }
        let log = StreamLog::new(self.spec().log, self.spec().gop_cache);
        let hub = Rc::new(Hub::new(Arc::clone(&name), log, source));
        hub.set_hops(hops);
        if is_home {
            self.come_home(&hub);
        } else if let Some(audience) = self.mesh.borrow().audience(&name) {
            hub.set_audience(audience);
        }
        self.begin_figures(&hub);
        let mut idle = self.idle_taps.borrow_mut();
        while let Some(at) = idle.iter().position(|(wanted, _)| *wanted == name) {
            hub.add_tap(idle.swap_remove(at).1);
        }
        self.relay.attach(&hub);
        self.hubs.borrow_mut().insert(name, Rc::clone(&hub));
        self.tell_waiting(&hub.name);
        hub
    }

    /// Whether this stream has ended for good: another one of its name would be another.
    pub(super) fn is_over(&self, hub: &Rc<Hub>) -> bool {
        self.hubs.borrow().get(&hub.name).is_none_or(|now| !Rc::ptr_eq(now, hub))
    }

    /// Tells the players that came before the stream.
    pub(super) fn tell_waiting(&self, name: &str) {
        for connection in self.connections.borrow().values() {
            if connection.awaited_stream().is_some_and(|wanted| *wanted == *name) {
                connection.mail(Mail::StreamBegan);
            }
        }
    }

    /// A new message of a stream: into its log, to the other shards that read it, to the pump.
    pub(super) fn publish(&self, hub: &Rc<Hub>, message: Message, arrived: Micros) {
        self.hand_on(hub, &message, arrived);
        match hub.push(message, arrived, self.spec().merge) {
            _ if hub.readers() == 0 => {}
            Due::Now => self.set_dirty(hub),
            Due::At(due) => self.held.add(hub, due),
        }
    }

    /// Tells the pump that there is something to send.
    pub(super) fn set_dirty(&self, hub: &Rc<Hub>) {
        if hub.set_dirty() {
            self.dirty.borrow_mut().push_back(Rc::clone(hub));
            if let Some(pump) = self.pump.borrow_mut().take() {
                pump.wake();
            }
        }
    }

    /// Sends what is new without waiting for the pump's turn, if that is soon done.
    pub(super) fn hurry(&self, hub: &Rc<Hub>) {
        if hub.is_dirty() && hub.readers() <= SENDS_AT_ONCE {
            self.dirty.borrow_mut().retain(|other| !Rc::ptr_eq(other, hub));
            hub.set_clean();
            self.send_some(hub, 0);
        }
    }

    /// Sends to a few readers, from number `from` on, unless there are none.
    fn send_some(&self, hub: &Hub, from: usize) -> bool {
        let round = hub.send_some(from, &self.spec().drop, self.clock.now());
        if let Some(round) = &round {
            self.stats.sent(round.sends, round.bytes);
            self.stats.send_blocked(round.blocked);
        }
        round.is_some()
    }

    /// Looks at every deadline there is, a few times a second.
    fn sweep(self: &Rc<Self>) {
        let now = self.clock.now();
        if !self.sweeps.begin(now) {
            return;
        }
        self.take_settings();
        self.watch.judge(now);
        for connection in self.connections.borrow().values() {
            connection.sweep(self, now);
        }
        for output in self.outputs.borrow().values() {
            output.sweep(self, now);
        }
        self.relay.sweep(self, now);
        self.tend_streams(now);
        self.let_go_unused(now);
        self.sweep_keys();
        self.end_streams_past_grace(now);
        self.count_active();
    }

    fn count_active(&self) {
        let hubs = self.hubs.borrow();
        let ours = |hub: &&Rc<Hub>| !matches!(hub.source(), Source::Shard(_)) && hub.is_live();
        self.stats.active(self.connections.borrow().len(), hubs.values().filter(ours).count());
        let others = OtherReader::sum(hubs.values().map(|hub| hub.other_readers()));
        self.stats.readers(hubs.values().map(|hub| hub.viewers()).sum(), others);
        self.stats.promise(hubs.values().map(|hub| hub.needed_bps()).sum());
    }

    /// Ends a stream for good: its viewers are told, its taps wait for the next one of the name.
    pub(super) fn end_stream(&self, hub: &Rc<Hub>) {
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

    /// The sending side of a connection of ours to `url`.
    ///
    /// # Errors
    /// If it is to be secure and cannot be.
    pub(super) fn reader_to(&self, url: &Url, fd: RawFd) -> Result<Reader, String> {
        if !url.is_secure() {
            return Ok(Reader::new(fd));
        }
        let link = self.trust.borrow().as_ref().map_err(Clone::clone)?.link(url.host());
        link.map(|link| Reader::sealed(fd, link)).map_err(|failure| failure.to_string())
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
}
