//! Connections that peers have made to the node: what they ask for by RTMP or HTTP, and what
//! becomes of that.

mod close;
mod credentials;
mod fault;
mod hook;
mod http;
mod limits;
mod low_water;
mod name;
mod picture_limits;
mod play;
#[cfg(test)]
mod probe;
mod protocol;
mod proxy;
mod publish;
mod relay;
mod request;
mod resume;
mod snapshot;
mod view;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use self::close::Closing;
use self::credentials::Credentials;
pub(super) use self::fault::broken;
use self::fault::broken_rule;
use self::low_water::LowWater;
#[cfg(test)]
pub(super) use self::probe::Doing;
use self::protocol::{Protocol, ProtocolEvent};
use self::proxy::{Proxied, ProxyHeader};
use self::request::{Pending, Request, SnapshotWait};
use super::admission::{Admitted, trusts};
use super::io::{Action, Io, PeerId};
use super::outbound::Outbound;
use super::relay_loop::{LOOP, report_loop};
use super::shared::Shared;
use super::stream_id::StreamId;
use crate::command::Params;
use crate::event::{ClientId, LifeCycle, Stage};
use crate::frame::PacketBuf;
use crate::limits::ViewerPermit;
use crate::media::{Kind, Micros};
use crate::rtmp::limits::FEED_BYTES_MAX;
use crate::rtmp::{PlayRefusal, PublishRefusal, Relaying, Server, ServerEvent, ServerSpec};
use crate::stats::Limit;
use crate::stream::{Flags, Merge};
use crate::tls::Link;

/// What the peer is to the node.
#[derive(Serialize, Deserialize)]
enum Role {
    /// Shaking hands, connecting, or idle between streams.
    Pending,
    /// Waits for the answer about its key, or about the name that it wants.
    AwaitsKey,
    /// Waits for leave to do something.
    AwaitsHook(Box<Pending>),
    /// Wants to play a stream that nobody feeds yet; refused at the time given.
    AwaitsStream(Arc<str>, #[serde(with = "crate::media::instants")] Micros),
    /// Waits for a picture of a stream.
    AwaitsSnapshot(Box<SnapshotWait>),
    Publisher(StreamId),
    Player(StreamId),
}

/// One connection.
#[derive(Serialize, Deserialize)]
pub(super) struct Connection {
    pub(super) out: Outbound,
    /// That it is counted.
    admitted: Admitted,
    /// That it is counted as a viewer.
    #[serde(skip)]
    permit: Option<ViewerPermit>,
    /// Where it comes from, also if a trusted proxy stands between.
    address: SocketAddr,
    /// The PROXY protocol header before the peer's own bytes, until it is complete.
    proxy_header: Option<ProxyHeader>,
    /// With what it publishes, or asks to.
    credentials: Credentials,
    /// What it says about relaying, if it is a node that does.
    relaying: Option<Relaying>,
    protocol: Protocol,
    role: Role,
    life: LifeCycle,
    /// Set once the connection is to end: why, and when at the latest.
    #[serde(with = "crate::media::instants")]
    closing: Option<(String, Micros)>,
    /// Whether the peer has been told that nothing more will come. Until it closes too, what it
    /// says is read and forgotten: a socket that is closed with something unread, or that is sent
    /// something, is reset, which takes back what the peer has not read.
    has_ended: bool,
    bytes_in: u64,
    /// Whether the driver leaves what it sends in its socket.
    is_paused: bool,
    low_water: LowWater,
    /// Questions to control so far.
    questions: u32,
    /// Whether it plays for the dashboard, and is no audience.
    is_preview: bool,
    /// Requests to play that were refused since it last played.
    refused_plays: u32,
}

impl Connection {
    /// A peer has connected from `address`.
    pub(super) fn new(
        shared: &mut Shared,
        id: PeerId,
        link: Option<Box<Link>>,
        (address, admitted): (SocketAddr, Admitted),
    ) -> Self {
        let cx = &mut shared.cx;
        let spec = ServerSpec {
            chunk_size: cx.spec.chunk_size,
            pings: cx.spec.pings(),
            handshake_timeout: cx.spec.handshake_timeout,
            idle_timeout: cx.spec.peer.idle,
            buffer_bytes: cx.spec.peer.buffer_bytes,
            ..ServerSpec::default()
        };
        let client = ClientId::from_random(cx.random());
        let mut server = Server::new(spec, cx.now, cx.random());
        server.join(Arc::clone(cx.limits.messages()));
        Self {
            out: Outbound::new(id, link),
            proxy_header: trusts(cx, address.ip()).then(ProxyHeader::default),
            admitted,
            permit: None,
            address,
            credentials: Credentials::default(),
            relaying: None,
            protocol: Protocol::new(server),
            role: Role::Pending,
            life: LifeCycle::new(client, cx.now, Some(address)),
            closing: None,
            has_ended: false,
            bytes_in: 0,
            is_paused: false,
            low_water: LowWater::default(),
            questions: 0,
            is_preview: false,
            refused_plays: 0,
        }
    }

    /// Takes what the peer said.
    ///
    /// # Errors
    /// Why the connection ends at once.
    pub(super) fn received(&mut self, shared: &mut Shared, bytes: &[u8]) -> Result<(), String> {
        self.bytes_in += bytes.len() as u64;
        shared.cx.stats.bytes_in(bytes.len() as u64);
        if self.closing.is_some() {
            return Ok(());
        }
        let Some(bytes) = self.after_proxy_header(shared, bytes)? else { return Ok(()) };
        let fed = bytes.chunks(FEED_BYTES_MAX).try_for_each(|piece| {
            let fed = self.protocol.feed(&shared.cx, piece);
            self.attend(shared);
            fed
        });
        self.expect_rest_of_message(shared);
        fed.map_err(|error| broken_rule(&shared.cx, &error))
    }

    /// The peer's own bytes among those that have come, encrypted ones if it speaks TLS; `None`
    /// while the header of a proxy is not complete.
    ///
    /// # Errors
    /// If the header is broken, or the peer that it names has met a limit.
    pub(super) fn after_proxy_header<'a>(
        &mut self,
        shared: &Shared,
        bytes: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, String> {
        let Some(header) = &mut self.proxy_header else { return Ok(Some(Cow::Borrowed(bytes))) };
        let Some(Proxied { source, bytes }) = header.take(bytes)? else { return Ok(None) };
        if let Some(source) = source {
            let ip = source.ip();
            self.address = source;
            self.life.set_peer(source);
            self.admitted.name(&shared.cx, ip).map_err(|limit| {
                shared.cx.stats.connection_refused(limit);
                format!("{ip} has met a limit: {}", limit.label())
            })?;
        }
        self.proxy_header = None;
        Ok(Some(Cow::Owned(bytes)))
    }

    /// Does what the peer asked.
    fn attend(&mut self, shared: &mut Shared) {
        while let Some(event) = self.protocol.poll_event() {
            match event {
                ProtocolEvent::Rtmp(event) => self.on_event(shared, event),
                ProtocolEvent::Web(event) => self.on_request(shared, event),
            }
        }
    }

    /// After anything that may have answered the peer's request: takes what the peer has sent
    /// meanwhile, and says whether it is to be read.
    pub(super) fn go_on(&mut self, shared: &mut Shared) {
        if self.closing.is_none() {
            self.attend(shared);
        }
        let pauses = self.closing.is_none() && !self.protocol.wants_input();
        if std::mem::replace(&mut self.is_paused, pauses) != pauses {
            shared.cx.act(Action::Read(self.out.id, !pauses));
        }
    }

    /// Moves what the protocol wants to say to the sending half, which sends it between messages.
    pub(super) fn pass_on(&mut self) {
        let output = self.protocol.output();
        if output.is_empty() {
            return;
        }
        let count = output.len();
        if let Err(error) = self.out.queue(output) {
            self.closing = Some((error.to_string(), Micros(0)));
        }
        self.protocol.consume_output(count);
    }

    fn on_event(&mut self, shared: &mut Shared, event: ServerEvent) {
        match event {
            ServerEvent::Connect(connect) => {
                tracing::debug!("connection {}: connect from {}", self.out.id, connect.flash_ver);
                self.introduce(connect.tc_url, connect.flash_ver);
                self.relaying = connect.relaying;
                self.begin(shared, Stage::Connect, &connect.app);
                self.after_hooks(shared, Request::Connect, Params::default());
            }
            ServerEvent::Publish { app, name, query } => {
                self.on_publish(shared, &app, &name, &query);
            }
            ServerEvent::Play { app, name, query } => {
                let params = Self::params(&shared.cx, &query, None);
                self.note_preview(&query);
                self.ask_to_play(shared, format!("{app}/{}", name.expose()), params);
            }
            ServerEvent::Message { kind, time, body } => self.on_message(shared, kind, time, body),
            ServerEvent::PublishEnd | ServerEvent::PlayEnd => {
                self.withdraw();
                let over = self.stream_of_relay();
                self.say_goodbye(shared);
                self.leave_stream(shared, "ended");
                if let Some(stream) = over {
                    shared.streams.end(&mut shared.cx, stream);
                }
            }
            ServerEvent::Playback => self.on_playback(shared),
            ServerEvent::Seek => self.on_seek(shared),
            ServerEvent::Refused(reason) => self.close(shared.cx.now, reason),
            ServerEvent::PeerClosed => self.close(shared.cx.now, "the peer closed"),
        }
    }

    fn on_message(&mut self, shared: &mut Shared, kind: Kind, time: u32, body: PacketBuf) {
        if !self.keeps_within(shared, kind, &body) {
            return;
        }
        let Role::Publisher(stream) = self.role else { return };
        let Some(flags) = Flags::of(kind, &body) else { return };
        if kind == Kind::Video && shared.cx.spec.merge == Merge::Frame {
            self.expect_pictures_like(shared, body.len());
        }
        if !shared.streams.ingest(&mut shared.cx, stream, flags, (kind, time, body)) {
            report_loop(shared, stream, format!("publisher {}", self.id()));
            self.end_publisher(shared, PublishRefusal::BadName, LOOP);
        }
    }

    /// Looks at deadlines: the protocol's own, a peer that takes nothing, and answers that do not
    /// come.
    pub(super) fn tick(&mut self, shared: &mut Shared, io: &mut dyn Io) {
        let now = shared.cx.now;
        if matches!(&self.role, Role::AwaitsStream(_, until) if now >= *until) {
            let text = "nobody publishes under this name";
            self.refuse_play(shared, PlayRefusal::StreamNotFound, text);
        }
        self.check_answer(shared);
        self.check_key(shared);
        self.check_name(shared);
        self.check_hook(shared);
        self.check_snapshot(shared);
        if self.has_ended {
            return;
        }
        if self.out.holds_back() {
            self.protocol.hold_back(now);
        }
        let late = self.protocol.tick(now);
        // What has come is not always read yet when a busy node looks.
        let mut is_so = |limit| limit != Limit::Silence || !io.has_unread(self.out.id);
        if let Some((limit, error)) = late.err().filter(|(limit, _)| is_so(*limit)) {
            self.count_late(shared, limit);
            self.close_late(shared, &error);
        }
        if self.out.blocked_for(now) >= shared.cx.spec.peer.blocked {
            self.count_late(shared, Limit::Blocked);
            self.close_now(now, "the peer has read nothing for too long");
        }
        self.expect_fewer_pictures(shared);
    }

    /// Whether its deadlines are near: others are looked at more rarely.
    pub(super) const fn is_restless(&self) -> bool {
        self.closing.is_some()
            || self.out.is_blocked()
            || !matches!(self.role, Role::Pending | Role::Player(_))
    }

    /// What it publishes, if it does, is over because it says so, or because the node ends it: not
    /// because it was lost.
    fn say_goodbye(&self, shared: &mut Shared) {
        if let Role::Publisher(stream) = self.role
            && shared.is_fed_by(stream, self.out.id)
        {
            shared.streams.say_goodbye(stream);
        }
    }

    /// Stops publishing or playing; the connection may go on.
    fn leave_stream(&mut self, shared: &mut Shared, reason: &str) {
        match std::mem::replace(&mut self.role, Role::Pending) {
            Role::Pending => {}
            Role::AwaitsKey => {
                self.stop_waiting_for_name(shared);
                self.done(shared, Stage::Publish, reason);
            }
            // The end of `connect` is the end of the connection.
            Role::AwaitsHook(pending) if pending.stage() == Stage::Connect => {}
            Role::AwaitsHook(pending) => self.done(shared, pending.stage(), reason),
            Role::AwaitsStream(..) => {
                shared.waiting_players.retain(|peer| *peer != self.out.id);
                self.done(shared, Stage::Play, reason);
            }
            Role::AwaitsSnapshot(_) => self.done(shared, Stage::Play, reason),
            Role::Publisher(stream) => {
                self.set_low_water(shared, false);
                if shared.is_fed_by(stream, self.out.id) {
                    shared.streams.source_left(&mut shared.cx, stream);
                }
                self.done(shared, Stage::Publish, reason);
            }
            Role::Player(_) => {
                shared.streams.remove_reader(&shared.cx, &mut self.out);
                self.permit = None;
                self.done(shared, Stage::Play, reason);
            }
        }
    }

    /// The connection is over, whatever the reason.
    pub(super) fn end(&mut self, shared: &mut Shared, reason: &str) {
        let closing = self.closing.take();
        let reason = closing.as_ref().map_or(reason, |(first, _)| first);
        self.leave_stream(shared, reason);
        self.done(shared, Stage::Connect, reason);
    }

    /// Tells the ends of all that it has begun, and no more.
    pub(super) fn end_stages(&mut self, shared: &mut Shared, reason: &str) {
        for stage in [Stage::Play, Stage::Publish, Stage::Connect] {
            self.done(shared, stage, reason);
        }
    }

    fn begin(&mut self, shared: &mut Shared, stage: Stage, path: &str) {
        if let Some(event) = self.life.begin(stage, path, shared.cx.now) {
            shared.cx.report_event(event);
        }
    }

    fn begun(&mut self, shared: &mut Shared, stage: Stage) {
        if let Some(event) = self.life.begun(stage, shared.cx.now) {
            shared.cx.report_event(event);
        }
    }

    fn done(&mut self, shared: &mut Shared, stage: Stage, reason: &str) {
        let bytes = self.bytes_in + self.out.bytes();
        if let Some(event) = self.life.done(stage, shared.cx.now, bytes, reason) {
            shared.cx.report_event(event);
        }
    }
}
