//! One peer that knocked: the task that reads its bytes, digests them through the sans-IO session,
//! and waits for room when the pump finds its socket full.

mod deadline;
mod goodbye;
mod hook;
mod http;
mod listen;
mod patience;
mod picture;
mod place;
mod play;
mod proxy;
mod publish;
mod relay;
mod talk;
mod view;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use glommio::net::TcpStream;

use self::talk::{Heard, Talk};
use super::hub::Hub;
use super::loops::LOOP;
use super::reader::Reader;
use super::shard::Shard;
use super::wire::{Received, Socket, flush, receive};
use crate::command::{Params, Refusal};
use crate::event::{ClientId, LifeCycle, Stage};
use crate::frame::PacketBuf;
use crate::keys::{Decision, KeyHash};
use crate::limits::{Place, Seat};
use crate::media::{Kind, Micros};
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{PlayRefusal, PublishRefusal, Relaying, Server, ServerEvent, ServerSpec};
use crate::stats::Limit;
use crate::stream::{Flags, Merge};
use deadline::{broken, broken_rule};
use hook::{Waiting, Wish};
use listen::Listening;
use patience::Patience;
use play::says_preview;
use proxy::Preface;
use publish::Ticket;

/// What others tell a connection; it reads this when it is woken.
#[derive(Debug)]
pub(super) enum Mail {
    /// The answer about the key with this hash.
    Key(KeyHash, Decision),
    /// Whether the place of another publisher is free.
    Place(bool),
    /// The hooks' answer to the question of this number.
    Hook(u32, Refusal),
    /// The stream it waits for is there.
    StreamBegan,
    /// The stream it plays has ended.
    StreamEnded,
    /// An operator ends it: this one, if that is known.
    Kicked(Arc<str>),
    /// The node stops.
    Stop,
}

/// What the peer is to the node.
enum Role {
    /// Shaking hands, connecting, or idle between streams.
    Pending,
    /// Waits for the answer about its key.
    AwaitsKey,
    /// Waits for leave to do something.
    AwaitsHook(Box<Waiting>),
    /// Wants to play a stream that nobody feeds yet; refused at the time given.
    AwaitsStream(Box<str>, Micros),
    Publisher(Rc<Hub>),
    Player(Rc<Hub>),
}

/// One peer.
pub(super) struct Connection {
    number: u32,
    /// That it is counted.
    place: RefCell<Option<Place>>,
    /// That it is counted as a viewer.
    seat: Cell<Option<Seat>>,
    /// Where it comes from, also if a trusted proxy stands between.
    peer: Cell<SocketAddr>,
    /// What a proxy says first.
    preface: RefCell<Option<Preface>>,
    /// With what it publishes.
    ticket: RefCell<Ticket>,
    /// What it says about relaying, if it is a node that does.
    relaying: RefCell<Option<Relaying>>,
    session: RefCell<Talk>,
    reader: Rc<Reader>,
    role: RefCell<Role>,
    life: RefCell<LifeCycle>,
    mailbox: RefCell<VecDeque<Mail>>,
    /// Set once the connection is to end: why, and when at the latest.
    closing: RefCell<Option<(String, Micros)>>,
    /// Whether the peer has been told that nothing more will come. Until it closes too, what it
    /// says is read and forgotten: a socket that is closed with something unread, or that is sent
    /// something, takes the goodbye back.
    has_ended: Cell<bool>,
    bytes_in: Cell<u64>,
    patience: Patience,
    listening: Listening,
    /// Questions to hooks so far.
    questions: Cell<u32>,
    /// Whether it plays for the dashboard, and is no audience.
    is_preview: Cell<bool>,
    /// Requests to play that were refused since it last played.
    refused_plays: Cell<u32>,
}

/// Runs the connection to its end and says why it ended.
pub(super) async fn run(
    shard: Rc<Shard>,
    connection: Rc<Connection>,
    mut socket: TcpStream,
) -> String {
    loop {
        match poll_fn(|cx| connection.turn(&shard, &mut socket, cx)).await {
            Ok(()) => glommio::yield_if_needed().await,
            Err(reason) => {
                connection.reader.farewell();
                let closing = connection.closing.take();
                return closing.map_or(reason, |(first, _)| first);
            }
        }
    }
}

impl Connection {
    pub(super) fn new(
        shard: &Shard,
        number: u32,
        reader: Reader,
        (peer, place): (SocketAddr, Place),
    ) -> Rc<Self> {
        let rules = shard.spec();
        let spec = ServerSpec {
            chunk_size: rules.chunk_size,
            pings: rules.pings(),
            handshake_timeout: rules.handshake_timeout,
            idle_timeout: rules.peer.idle,
            buffer_bytes: rules.peer.buffer_bytes,
            ..ServerSpec::default()
        };
        let now = shard.clock.now();
        let id = ClientId::from_random(shard.random());
        let mut server = Server::new(spec, now, shard.random());
        server.join(Arc::clone(shard.limits.messages()));
        Rc::new(Self {
            number,
            place: RefCell::new(Some(place)),
            seat: Cell::new(None),
            peer: Cell::new(peer),
            preface: RefCell::new(shard.trusts(peer.ip()).then(Preface::default)),
            ticket: RefCell::default(),
            relaying: RefCell::default(),
            session: RefCell::new(Talk::new(server)),
            reader: Rc::new(reader),
            role: RefCell::new(Role::Pending),
            life: RefCell::new(LifeCycle::new(id, now, Some(peer))),
            mailbox: RefCell::default(),
            closing: RefCell::default(),
            has_ended: Cell::new(false),
            bytes_in: Cell::new(0),
            patience: Patience::default(),
            listening: Listening::default(),
            questions: Cell::new(0),
            is_preview: Cell::new(false),
            refused_plays: Cell::new(0),
        })
    }

    /// Leaves a message for the connection and wakes it.
    pub(super) fn mail(&self, mail: Mail) {
        self.mailbox.borrow_mut().push_back(mail);
        self.reader.wake();
    }

    /// Whether it plays `hub`.
    pub(super) fn plays(&self, hub: &Rc<Hub>) -> bool {
        matches!(&*self.role.borrow(), Role::Player(mine) if Rc::ptr_eq(mine, hub))
    }

    /// One turn: mail, room to write, bytes to read. `Ready(Ok)` asks for another turn after others
    /// had theirs.
    fn turn(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), String>> {
        self.reader.set_waker(cx.waker());
        if let Some(error) = self.reader.take_failure() {
            return Poll::Ready(Err(broken(shard, &error)));
        }
        while let Some(mail) = { self.mailbox.borrow_mut().pop_front() } {
            self.read_mail(shard, mail);
        }
        if !self.has_ended.get()
            && let Err(error) = self.write(shard, socket, cx)
        {
            return Poll::Ready(Err(broken(shard, &error)));
        }
        if let Some(reason) = self.finished(shard) {
            return Poll::Ready(Err(reason));
        }
        let mut socket = Socket { stream: socket, cx };
        let digest = |bytes: &[u8]| self.digest(shard, bytes);
        let mut scratch = shard.scratch.borrow_mut();
        // A proxy speaks before TLS begins.
        let heard = receive(
            &self.reader,
            |input| self.poll_read(shard, &mut socket, input),
            &mut scratch,
            |bytes| self.after_preface(shard, bytes),
            digest,
        );
        heard.map(|heard| match heard {
            Received::Digested(result) => result,
            Received::Closed => Err("the peer closed".to_owned()),
            Received::Broken(error) => Err(broken(shard, &error)),
            Received::Garbled(failure) => {
                shard.stats.error_protocol();
                Err(failure.to_string())
            }
        })
    }

    /// Sends what waits; if the socket is full, arranges to be woken when it is not.
    fn write(&self, shard: &Shard, socket: &mut TcpStream, cx: &mut Context<'_>) -> io::Result<()> {
        let role = self.role.borrow();
        let log = match &*role {
            Role::Player(hub) => Some(hub.log.borrow()),
            _ => None,
        };
        let mut socket = Socket { stream: socket, cx };
        let now = shard.clock.now();
        let sent = flush(&self.reader, log.as_deref(), &shard.spec().drop, &mut socket, now)?;
        shard.stats.bytes_out(sent);
        if let Role::Player(hub) = &*role {
            hub.figures.add_out(sent);
        }
        Ok(())
    }

    /// Deadlines: the session's own, a peer that takes nothing, and the end of a goodbye.
    pub(super) fn sweep(self: &Rc<Self>, shard: &Rc<Shard>, now: Micros) {
        let waited = matches!(&*self.role.borrow(), Role::AwaitsStream(_, until) if now >= *until);
        if waited {
            let text = "nobody publishes under this name";
            self.refuse_play(shard, PlayRefusal::StreamNotFound, text);
        }
        self.sweep_ticket(shard, now);
        self.sweep_hook(shard, now);
        if self.has_ended.get() {
            return self.reader.wake(); // the deadline may have passed
        }
        if self.reader.holds_back() {
            self.session.borrow_mut().hold_back(now);
        }
        let late = self.session.borrow_mut().tick(now);
        // What has come is not always read yet when a busy node looks.
        let is_so = |limit| limit != Limit::Silence || !self.reader.has_unread();
        if let Some((limit, error)) = late.err().filter(|(limit, _)| is_so(*limit)) {
            self.count_late(shard, limit);
            self.close(shard, &error);
        }
        if self.reader.blocked_for(now) >= shard.spec().peer.blocked {
            self.count_late(shard, Limit::Blocked);
            self.close_now(now, "the peer has read nothing for too long");
        }
        self.lose_patience();
        let overdue = self.closing.borrow().as_ref().is_some_and(|(_, deadline)| now >= *deadline);
        let session_speaks = !self.session.borrow().output().is_empty();
        if overdue || session_speaks {
            self.pass_on();
            self.reader.wake();
        }
    }

    /// Takes what the peer said.
    fn digest(self: &Rc<Self>, shard: &Rc<Shard>, bytes: &[u8]) -> Result<(), String> {
        self.bytes_in.set(self.bytes_in.get() + bytes.len() as u64);
        shard.stats.bytes_in(bytes.len() as u64);
        let now = shard.clock.now();
        if self.closing.borrow().is_some() {
            return Ok(());
        }
        let Some(bytes) = self.after_preface(shard, bytes)? else { return Ok(()) };
        let bytes = bytes.as_ref();
        let fed = bytes.chunks(FEED_BYTES_MAX).try_for_each(|piece| {
            let fed = self.session.borrow_mut().feed(shard, piece, now);
            self.attend(shard);
            fed
        });
        if let Role::Publisher(hub) = &*self.role.borrow() {
            shard.hurry(hub);
        }
        self.finish_message();
        self.pass_on();
        fed.map_err(|error| broken_rule(shard, &error))
    }

    /// Does what the peer asked.
    fn attend(self: &Rc<Self>, shard: &Rc<Shard>) {
        while let Some(heard) = { self.session.borrow_mut().poll_event() } {
            match heard {
                Heard::Rtmp(event) => self.on_event(shard, event),
                Heard::Web(event) => self.on_request(shard, event),
            }
        }
    }

    /// Moves what the session wants to say to the reader, which sends it between messages.
    fn pass_on(&self) {
        let mut session = self.session.borrow_mut();
        let output = session.output();
        if output.is_empty() {
            return;
        }
        let count = output.len();
        if let Err(error) = self.reader.queue(output) {
            *self.closing.borrow_mut() = Some((error.to_string(), Micros(0)));
        }
        session.consume_output(count);
    }

    fn on_event(self: &Rc<Self>, shard: &Rc<Shard>, event: ServerEvent) {
        match event {
            ServerEvent::Connect(connect) => {
                tracing::debug!("connection {}: connect from {}", self.number, connect.flash_ver);
                self.introduce(connect.tc_url, connect.flash_ver);
                self.set_relaying(connect.relaying);
                self.begin(shard, Stage::Connect, &connect.app);
                self.after_hooks(shard, Wish::Connect, Params::default());
            }
            ServerEvent::Publish { app, name, query } => {
                self.on_publish(shard, &app, &name, &query);
            }
            ServerEvent::Play { app, name, query } => {
                let params = Self::params(shard, &query, None);
                self.is_preview.set(says_preview(&query));
                self.wish_to_play(shard, format!("{app}/{}", name.expose()), params);
            }
            ServerEvent::Message { kind, time, body } => self.on_message(shard, kind, time, body),
            ServerEvent::PublishEnd | ServerEvent::PlayEnd => {
                self.withdraw();
                let over = self.stream_of_relay();
                self.leave_stream(shard, "ended");
                over.iter().for_each(|hub| shard.end_stream(hub));
            }
            ServerEvent::Playback => self.on_playback(shard),
            ServerEvent::Seek => self.on_seek(shard),
            ServerEvent::Refused(reason) => self.close(shard, reason),
            ServerEvent::PeerClosed => self.close(shard, "the peer closed"),
        }
    }
}

impl Connection {
    fn read_mail(self: &Rc<Self>, shard: &Rc<Shard>, mail: Mail) {
        match mail {
            Mail::Key(hash, decision) => self.on_decision(shard, &hash, &decision),
            Mail::Place(is_free) => self.on_place(shard, is_free),
            Mail::Hook(question, refusal) => self.on_hook(shard, question, &refusal),
            Mail::StreamBegan => self.on_stream(shard),
            Mail::StreamEnded => self.end_for(shard, "the stream ended"),
            Mail::Kicked(actor) => {
                self.life.borrow_mut().set_actor(actor);
                self.end_for(shard, "ended by the operator");
            }
            Mail::Stop => self.stop(shard),
        }
    }

    fn on_message(&self, shard: &Rc<Shard>, kind: Kind, time: u32, body: PacketBuf) {
        if !self.keeps_within(shard, kind, &body) {
            return;
        }
        let role = self.role.borrow();
        let Role::Publisher(hub) = &*role else { return };
        let Some(flags) = Flags::of(kind, &body) else { return };
        if kind == Kind::Video && shard.spec().merge == Merge::Frame {
            self.be_patient(body.len());
        }
        if !shard.take_in(hub, flags, (kind, time, body)) {
            let name = Arc::clone(&hub.name);
            drop(role);
            shard.report_loop(&name, format!("publisher {}", self.id()));
            self.end_publisher(shard, PublishRefusal::BadName, LOOP);
        }
    }

    /// Stops publishing or playing; the connection may go on.
    fn leave_stream(&self, shard: &Shard, reason: &str) {
        match self.role.replace(Role::Pending) {
            Role::Pending => {}
            Role::AwaitsKey => self.done(shard, Stage::Publish, reason),
            // The end of `connect` is the end of the connection.
            Role::AwaitsHook(waiting) if waiting.stage() == Stage::Connect => {}
            Role::AwaitsHook(waiting) => self.done(shard, waiting.stage(), reason),
            Role::AwaitsStream(..) => self.done(shard, Stage::Play, reason),
            Role::Publisher(hub) => {
                self.set_patience(false);
                shard.source_left(&hub);
                self.done(shard, Stage::Publish, reason);
            }
            Role::Player(hub) => {
                hub.remove_reader(&self.reader);
                drop(self.seat.take());
                shard.count_drops(&self.reader);
                self.reader.finish_message(&hub.log.borrow());
                self.done(shard, Stage::Play, reason);
            }
        }
    }

    /// The connection is over, whatever the reason.
    pub(super) fn end(&self, shard: &Rc<Shard>, reason: &str) {
        self.listen_alone(shard);
        self.leave_stream(shard, reason);
        self.done(shard, Stage::Connect, reason);
        self.place.take().into_iter().for_each(|place| shard.limits.leave(place));
    }

    fn begin(&self, shard: &Shard, stage: Stage, path: &str) {
        let mut life = self.life.borrow_mut();
        if let Some(event) = life.begin(stage, path, shard.clock.now()) {
            shard.report_event(event);
        }
    }

    fn begun(&self, shard: &Shard, stage: Stage) {
        if let Some(event) = self.life.borrow_mut().begun(stage, shard.clock.now()) {
            shard.report_event(event);
        }
    }

    fn done(&self, shard: &Shard, stage: Stage, reason: &str) {
        let bytes = self.bytes_in.get() + self.reader.bytes();
        let mut life = self.life.borrow_mut();
        if let Some(event) = life.done(stage, shard.clock.now(), bytes, reason) {
            shard.report_event(event);
        }
    }
}
