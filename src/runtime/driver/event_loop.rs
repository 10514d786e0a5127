//! Event loop of a core: waits for readiness, time and mail, reads, lets the core send, and does
//! what it asks for. One thread runs it, and nothing else on that thread waits.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::time::Duration;

use super::doorbell::Doorbell;
use super::epoll::{self, Events};
use super::pacing::ReadPacing;
use super::parts::{DriverKind, DriverParts};
use super::send_ring::SendRing;
use super::socket;
use super::sockets::{Is, Sockets};
use super::turns::Turns;
use super::watch::CoreWatch;
use crate::media::{Micros, caught};
use crate::ring::Bell;
use crate::runtime::Clock;
use crate::shard::{Action, Closed, Core, PeerId};

/// Bytes read from a peer before others have their turn.
const READ_BYTES: usize = 256 << 10;

/// Peers read before mail, deadlines and sends have their turn.
const READS_AT_ONCE: usize = 64;

/// Sends before others have their turn: about a millisecond of them.
const SENDS_AT_ONCE: usize = 128;

/// Sends right after a read, before the next peer is read: what came goes on at once if it has few
/// readers.
const SENDS_AFTER_READ: usize = 16;

/// Connections accepted before others have their turn.
const ACCEPTS_AT_ONCE: usize = 64;

/// Wait after a failure to accept: out of descriptors, some may be let go meanwhile.
const ACCEPT_PAUSE: Micros = Micros::from_millis(100);

/// Time in which an outgoing connection must stand. Tests do not wait for so long.
const CONNECT_LIMIT: Micros = Micros::from_millis(if cfg!(test) { 50 } else { 5_000 });

/// Longest sleep, so that a deadline that is far away has a length the kernel takes.
const SLEEP_MAX: Micros = Micros::from_secs(60);

/// Longest sleep while the core ends.
const STOP_SLEEP_MAX: Micros = Micros::from_millis(20);

/// Token of the doorbell in the epoll set. No peer has it, nor those of listeners right below it.
const DOORBELL: u64 = u64::MAX;

/// What a loop needs beside its core, and what may fail at the start.
pub(super) struct Equipment {
    // Dropped in this order: who sees its connection end finds nobody listening.
    listeners: Vec<Listener>,
    sockets: Sockets,
    doorbell: Doorbell,
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    clock: Clock,
    user_timeout: Micros,
    spin: Duration,
    turns: Turns,
}

/// A listening socket.
struct Listener {
    socket: TcpListener,
    is_secure: bool,
    /// Whether somebody may wait there.
    is_ready: bool,
    /// When it is looked at again after a failure.
    paused_until: Micros,
}

/// A core, its sockets, and what is to be done next.
pub(super) struct EventLoop<C> {
    core: C,
    with: Equipment,
    events: Events,
    scratch: Box<[u8]>,
    /// Peers whose sockets are to be read, in turn.
    to_read: VecDeque<PeerId>,
    /// Outgoing connections, oldest first, and when each has to stand.
    connecting: VecDeque<(Micros, PeerId)>,
    pacing: ReadPacing,
    /// Whether the core has more to send.
    has_more: bool,
    is_stopping: bool,
}

impl Equipment {
    pub(super) fn new(kind: DriverKind, parts: DriverParts, spin: Duration) -> io::Result<Self> {
        let ring = match kind {
            DriverKind::Glommio => Some(SendRing::new()?),
            DriverKind::Epoll => None,
        };
        let (sockets, doorbell) = (Sockets::new(ring, parts.clock)?, Doorbell::new()?);
        sockets.epoll.add(&doorbell, DOORBELL)?;
        let mut listeners = Vec::new();
        for (token, (socket, is_secure)) in (0..DOORBELL).rev().zip(parts.listeners) {
            socket.set_nonblocking(true)?;
            sockets.epoll.add(&socket, token)?;
            let paused_until = Micros(0);
            listeners.push(Listener { socket, is_secure, is_ready: true, paused_until });
        }
        let DriverParts { bell, stopping, clock, user_timeout, activity, .. } = parts;
        let turns = Turns::of(&activity);
        Ok(Self { listeners, sockets, doorbell, bell, stopping, clock, user_timeout, spin, turns })
    }
}

impl<C: Core> EventLoop<C> {
    pub(super) fn new(core: C, with: Equipment) -> Self {
        Self {
            core,
            with,
            events: Events::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            to_read: VecDeque::new(),
            connecting: VecDeque::new(),
            pacing: ReadPacing::default(),
            has_more: true,
            is_stopping: false,
        }
    }

    /// Runs the core until it has ended after a stop. Then every socket is closed. A core that
    /// panics loses its peers, is rebuilt, and goes on when its supervisor says so.
    ///
    /// # Errors
    /// If the kernel no longer says which sockets are ready, or the panic of a core that is
    /// stopping or cannot be rebuilt.
    pub(super) fn run(mut self, watch: &CoreWatch) -> Result<(), String> {
        loop {
            match caught(|| self.run_core()) {
                Ok(ended) => return ended.map_err(|error| error.to_string()),
                Err(text) => self.rebuild(text, watch)?,
            }
        }
    }

    /// The core has panicked with this text where no peer alone is to blame.
    fn rebuild(&mut self, text: String, watch: &CoreWatch) -> Result<(), String> {
        tracing::error!("the core failed, and all its peers with it: {text}");
        self.with.sockets.clear();
        self.events.clear();
        self.to_read.clear();
        self.connecting.clear();
        self.has_more = true;
        // What was told of them may be among what was just forgotten.
        self.with.listeners.iter_mut().for_each(|listener| listener.is_ready = true);
        let (core, now) = (&mut self.core, self.with.clock.now());
        self.with.turns.end(now);
        caught(|| core.rebuild(now))?;
        if self.is_stopping {
            return Err(text);
        }
        watch.wait(text);
        let Equipment { bell, stopping, doorbell, .. } = &self.with;
        let may_go_on = || !watch.is_waiting() || stopping.load(Ordering::Acquire);
        while bell.poll(&mut Context::from_waker(doorbell.waker()), may_go_on).is_pending() {
            doorbell.wait(SLEEP_MAX.into());
        }
        Ok(())
    }

    fn run_core(&mut self) -> io::Result<()> {
        let mut now = self.with.clock.now();
        self.act(now);
        while !(self.is_stopping && self.core.is_finished(now)) {
            self.wait(now)?;
            now = self.with.clock.now();
            self.with.turns.begin(now);
            self.round(now);
            // Looking for work, as a shard that spins does, is no work.
            self.with.turns.end(self.with.clock.now());
        }
        Ok(())
    }

    /// One turn for everybody: who is ready is read, then deadlines are looked at, so that a core
    /// that was late hears its peers before it judges them.
    fn round(&mut self, now: Micros) {
        #[cfg(test)]
        crate::runtime::fault::point();
        for at in 0.. {
            let Some((token, ready)) = self.events.get(at) else { break };
            self.take_event(now, token, ready);
        }
        for _ in 0..self.to_read.len().min(READS_AT_ONCE) {
            let Some(peer) = self.to_read.pop_front() else { break };
            self.read(now, peer);
        }
        for at in 0..self.with.listeners.len() {
            self.accept(now, at);
        }
        if self.core.has_mail() {
            #[cfg(test)]
            crate::runtime::fault::point_in("append");
            self.core.at(self.with.clock.stamp());
            self.core.read_rings(now);
            self.act(now);
        }
        self.give_up_late_connects(now);
        if self.core.is_tick_due(now) {
            self.core.tick(now, &mut self.with.sockets);
            self.act(now);
        }
        self.pacing.judge(now);
        if !self.is_stopping && self.with.stopping.load(Ordering::Acquire) {
            self.is_stopping = true;
            // Who comes now is refused by the kernel, rather than left without an answer.
            self.with.listeners.clear();
            self.core.stop(now);
            self.act(now);
        }
        self.has_more = false;
        self.transmit(now, SENDS_AT_ONCE);
    }

    /// Waits until there is something to do. What is ready is in `events` then.
    fn wait(&mut self, now: Micros) -> io::Result<()> {
        let sleep = self.may_sleep(now);
        let is_full = self.events.is_full();
        self.events.clear();
        if sleep == Micros(0) || is_full {
            self.pacing.look(now);
            return self.look();
        }
        if !self.with.spin.is_zero() {
            return self.spin_and_sleep(now, sleep);
        }
        let Some(due) = self.pacing.next_look() else { return self.sleep(sleep) };
        if now < due && !self.arm_bell() {
            self.with.doorbell.wait(sleep.min(due - now).into());
        }
        let now = self.with.clock.now();
        if now < due {
            return Ok(());
        }
        self.pacing.look(now);
        self.look()
    }

    /// How long nothing is due.
    fn may_sleep(&self, now: Micros) -> Micros {
        let can_accept = |listener: &Listener| listener.is_ready && listener.paused_until <= now;
        if self.has_more || !self.to_read.is_empty() || self.with.listeners.iter().any(can_accept) {
            return Micros(0);
        }
        let paused = self.with.listeners.iter().filter(|listener| listener.is_ready);
        let connect = self.connecting.front().map(|(due, _)| *due);
        let due = paused.map(|listener| listener.paused_until).chain(connect).min();
        let sleep = due.map_or(SLEEP_MAX, |due| due.since(now));
        let most = if self.is_stopping { STOP_SLEEP_MAX } else { SLEEP_MAX };
        sleep.min(self.core.next_tick().since(now)).min(most)
    }

    /// Whether a ring has come before the bell was armed; if not, the next one wakes this thread.
    fn arm_bell(&mut self) -> bool {
        let Self { core, with, is_stopping, .. } = self;
        let has_come =
            || core.has_mail() || (!*is_stopping && with.stopping.load(Ordering::Acquire));
        with.bell.poll(&mut Context::from_waker(with.doorbell.waker()), has_come).is_ready()
    }

    fn sleep(&mut self, limit: Micros) -> io::Result<()> {
        let limit = if self.arm_bell() { Micros(0) } else { limit };
        self.with.sockets.epoll.wait(&mut self.events, limit.into())
    }

    fn look(&mut self) -> io::Result<()> {
        self.with.sockets.epoll.wait(&mut self.events, Duration::ZERO)
    }

    /// Looks for work for a while before it sleeps.
    fn spin_and_sleep(&mut self, begun: Micros, sleep: Micros) -> io::Result<()> {
        let mut now = begun;
        while Duration::from(now.since(begun)) < self.with.spin.min(sleep.into()) {
            self.look()?;
            let is_stopped = !self.is_stopping && self.with.stopping.load(Ordering::Acquire);
            if !self.events.is_empty() || self.core.has_mail() || is_stopped {
                return Ok(());
            }
            std::hint::spin_loop();
            now = self.with.clock.now();
        }
        self.sleep(sleep.since(now.since(begun)))
    }

    fn take_event(&mut self, now: Micros, token: u64, ready: u32) {
        if token == DOORBELL {
            return;
        }
        let listener = usize::try_from(DOORBELL - 1 - token).unwrap_or(usize::MAX);
        if let Some(listener) = self.with.listeners.get_mut(listener) {
            listener.is_ready = true;
            return;
        }
        let peer = PeerId::from_raw(token);
        let Some(entry) = self.with.sockets.get_mut(peer) else { return };
        if entry.is(Is::Connecting) {
            if ready & (epoll::WRITABLE | epoll::HANGUP) == 0 {
                return;
            }
            entry.set(Is::Connecting, false);
            match entry.stream.take_error() {
                Ok(None) => self.tell(now, peer, |core| core.connected(now, peer)),
                Ok(Some(error)) | Err(error) => return self.fail(now, peer, error),
            }
        }
        let Some(entry) = self.with.sockets.get_mut(peer) else { return };
        if ready & (epoll::READABLE | epoll::HANGUP) != 0 {
            entry.set(Is::Readable, true);
        }
        if ready & epoll::HANGUP != 0 {
            entry.set(Is::HungUp, true);
        }
        if ready & epoll::BROKEN != 0 && entry.is(Is::Paused) && !entry.is(Is::Ended) {
            let error = entry.stream.take_error().ok().flatten();
            let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
            return self.fail(now, peer, error);
        }
        let is_unblocked = ready & epoll::WRITABLE != 0 && entry.is(Is::Blocked);
        if is_unblocked {
            entry.set(Is::Blocked, false);
        }
        self.queue_read(peer);
        if is_unblocked {
            self.tell(now, peer, |core| core.writable(now, peer));
        }
    }

    /// The peer's socket is read at its turn, if there may be something that the core wants.
    fn queue_read(&mut self, peer: PeerId) {
        let Some(entry) = self.with.sockets.get_mut(peer) else { return };
        if entry.wants_reading() && !entry.is(Is::Queued) {
            entry.set(Is::Queued, true);
            self.to_read.push_back(peer);
        }
    }

    fn read(&mut self, now: Micros, peer: PeerId) {
        let Some(entry) = self.with.sockets.get_mut(peer) else { return };
        entry.set(Is::Queued, false);
        if !entry.wants_reading() {
            return;
        }
        let Self { core, with, scratch, .. } = self;
        match with.sockets.read(peer, scratch) {
            None => return,
            Some(Ok(0)) => guarded(core, now, peer, |core| core.closed(now, peer, Closed::End)),
            Some(Ok(count)) => {
                self.pacing.has_read();
                core.at(with.clock.stamp());
                guarded(core, now, peer, |core| core.received(now, peer, &scratch[..count]));
            }
            Some(Err(error)) => {
                guarded(core, now, peer, |core| core.closed(now, peer, Closed::Error(error)));
            }
        }
        self.act(now);
        self.queue_read(peer);
        self.transmit(now, SENDS_AFTER_READ);
    }

    fn transmit(&mut self, now: Micros, budget: usize) {
        self.has_more |= self.core.transmit(now, &mut self.with.sockets, budget);
        self.act(now);
    }

    /// Calls the core about one peer and does what it then asks for.
    fn tell(&mut self, now: Micros, peer: PeerId, call: impl FnOnce(&mut C)) {
        guarded(&mut self.core, now, peer, call);
        self.act(now);
    }

    /// The peer's connection is broken.
    fn fail(&mut self, now: Micros, peer: PeerId, error: io::Error) {
        if let Some(entry) = self.with.sockets.get_mut(peer) {
            entry.set(Is::Connecting, false);
            entry.set(Is::Ended, true);
        }
        self.tell(now, peer, |core| core.closed(now, peer, Closed::Error(error)));
    }

    fn accept(&mut self, now: Micros, at: usize) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = self.with.listeners.get_mut(at) else { return };
            if !listener.is_ready || listener.paused_until > now {
                return;
            }
            let is_secure = listener.is_secure;
            match listener.socket.accept() {
                Ok((stream, from)) => self.greet(now, stream, socket::plain(from), is_secure),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    listener.is_ready = false;
                }
                // That connection is gone already; others may wait behind it.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!("accepting a connection failed: {error}");
                    listener.paused_until = now + ACCEPT_PAUSE;
                }
            }
        }
    }

    fn greet(&mut self, now: Micros, stream: TcpStream, from: SocketAddr, is_secure: bool) {
        // It fails where the peer has left already.
        if socket::tune(&stream, self.with.user_timeout).is_err() {
            return;
        }
        let core = &mut self.core;
        match caught(|| core.accepted(now, from, is_secure)) {
            Ok(Some(peer)) => {
                if let Err(error) = self.with.sockets.insert(peer, stream, &[]) {
                    self.fail(now, peer, error);
                }
            }
            Ok(None) => {}
            Err(panic) => tracing::error!("accepting a connection failed: {panic}"),
        }
        self.act(now);
    }

    fn connect(&mut self, now: Micros, peer: PeerId, address: SocketAddr) {
        let begun = socket::connect(address, self.with.user_timeout)
            .and_then(|stream| self.with.sockets.insert(peer, stream, &[Is::Connecting]));
        match begun {
            Ok(()) => self.connecting.push_back((now + CONNECT_LIMIT, peer)),
            Err(error) => {
                guarded(&mut self.core, now, peer, |core| {
                    core.closed(now, peer, Closed::Error(error));
                });
            }
        }
    }

    fn give_up_late_connects(&mut self, now: Micros) {
        while let Some(&(due, peer)) = self.connecting.front() {
            let entry = self.with.sockets.get(peer);
            let is_waiting = entry.is_some_and(|entry| entry.is(Is::Connecting));
            if is_waiting && now < due {
                return;
            }
            self.connecting.pop_front();
            if is_waiting {
                self.fail(now, peer, io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Does what the core asks for.
    fn act(&mut self, now: Micros) {
        while let Some(action) = self.core.next_action() {
            let sockets = &mut self.with.sockets;
            match action {
                Action::Connect { peer, address } => self.connect(now, peer, address),
                Action::Close(peer) => sockets.remove(peer),
                Action::Shutdown(peer) => {
                    if let Some(entry) = sockets.get(peer) {
                        // Where it fails, the connection is gone.
                        drop(entry.stream.shutdown(Shutdown::Write));
                    }
                }
                Action::Pace(peer, bps) => {
                    if let Some(entry) = sockets.get(peer) {
                        socket::pace(&entry.stream, bps);
                    }
                }
                Action::ReceiveLowWater(peer, bytes) => {
                    if let Some(entry) = sockets.get(peer) {
                        socket::receive_low_water(&entry.stream, bytes);
                    }
                }
                Action::Read(peer, wanted) => {
                    if let Some(entry) = sockets.get_mut(peer) {
                        entry.set(Is::Paused, !wanted);
                    }
                    self.queue_read(peer);
                }
            }
        }
    }
}

/// Calls the core about one peer. A panic gives up that peer alone.
fn guarded<C: Core>(core: &mut C, now: Micros, peer: PeerId, call: impl FnOnce(&mut C)) {
    if let Err(text) = caught(|| call(core)) {
        tracing::error!("connection {peer} failed, and only that one: {text}");
        core.panicked(now, peer, &text);
    }
}
