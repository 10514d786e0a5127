//! The accepting side: encoders publish to it, players play from it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::frame::{Budget, PacketBuf, PacketPool};
use crate::media::{Kind, Micros, Pings};
use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{CHUNK_SIZE_MAX, PARTIAL_BYTES_MAX, PENDING_BYTES_MAX};
use crate::rtmp::message::{event, type_id};
use crate::rtmp::name::App;
use crate::rtmp::{
    Capabilities, Error, Hops, Query, StreamName, capabilities, handshake, relaying,
};

use super::link::Link;
use super::playback::Playback;
use super::status::{Connect, PlayRefusal, PublishRefusal, RECONNECT_REQUEST, info};

/// How a server session behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Size of the chunks we send, bytes, 128 to 0xFFFFFF (clamped). FFmpeg publishes with the
    /// same, so small values cost at ingest too.
    pub chunk_size: u32,
    /// Window the peer is asked to acknowledge, bytes.
    pub window_ack: u32,
    /// When the peer is pinged, and given up.
    pub pings: Pings,
    /// Time from the first byte of the connection to a complete `connect`.
    pub handshake_timeout: Micros,
    /// How long a connected peer may neither publish nor play.
    pub idle_timeout: Micros,
    /// Bytes of unfinished messages of a peer once it publishes; before, at most
    /// [`PENDING_BYTES_MAX`] of them.
    pub buffer_bytes: usize,
}

impl Default for ServerSpec {
    fn default() -> Self {
        Self {
            chunk_size: 60_000,
            window_ack: 5_000_000,
            pings: Pings { every: Micros::from_secs(30), timeout: Micros::from_secs(60) },
            handshake_timeout: Micros::from_secs(10),
            idle_timeout: Micros::from_secs(60),
            buffer_bytes: PARTIAL_BYTES_MAX,
        }
    }
}

/// What a peer of a server does.
#[derive(Debug)]
pub enum ServerEvent {
    /// It wants to connect: answer with `accept_connect` or `refuse_connect`, at any time. Whatever
    /// it asks or sends in between waits.
    Connect(Box<Connect>),
    /// It wants to publish: answer with `accept_publish` or `refuse_publish`, at any time. Media
    /// that it sends without waiting for that comes as `Message` events once it is accepted.
    Publish {
        /// Application.
        app: String,
        /// Stream name, or key.
        name: StreamName,
        /// Query.
        query: Query,
    },
    /// It wants to play: answer with `accept_play` or `refuse_play`, at any time.
    Play {
        /// Application.
        app: String,
        /// Stream name, or key.
        name: StreamName,
        /// Query.
        query: Query,
    },
    /// It published a message; never empty, and only after `accept_publish`.
    Message {
        /// What it carries.
        kind: Kind,
        /// Milliseconds modulo 2^32, as the peer sent them.
        time: u32,
        /// RTMP body: an FLV tag's body, or AMF0 data with a name first.
        body: PacketBuf,
    },
    /// It has stopped publishing, or withdrawn its request; an answer to that request is still to
    /// be given, and then has no effect.
    PublishEnd,
    /// It has stopped playing, or withdrawn its request, as with `PublishEnd`.
    PlayEnd,
    /// What it wants to be sent of the stream that it plays, or has asked to play, has changed: see
    /// [`Server::playback`]. It has been answered.
    Playback,
    /// It wants to be sent that stream as a new player is, from where new players begin. It has
    /// been answered.
    Seek,
    /// Its request was unusable and has been refused already, with this text: send the output,
    /// linger, close.
    Refused(&'static str),
    /// It said `close`: send the output and close.
    PeerClosed,
}

/// One accepted connection.
///
/// After every `feed`, and after every answer to a request, drain `poll_event` and send `output`.
/// `tick` at least once a second. Events come one at a time: what the peer sent after one is acted
/// on when the owner asks for the next, so that the same bytes give the same events and the same
/// output, however they were cut, to an owner that answers at once.
#[derive(Debug, Serialize, Deserialize)]
pub struct Server {
    spec: ServerSpec,
    pub(super) link: Link,
    pub(super) state: State,
    pub(super) role: Role,
    /// What the peer said about Enhanced RTMP.
    pub(super) caps: Capabilities,
    /// Whether the peer is a node that relays.
    pub(super) is_relay: bool,
    /// Through where the stream comes that such a peer plays.
    path: Hops,
    /// Since when `role` is idle.
    #[serde(with = "crate::media::instants")]
    pub(super) idle_since: Micros,
    pub(super) playback: Playback,
    /// Message streams that were made for it: 1 to this.
    pub(super) streams: u32,
    #[serde(skip)]
    pub(super) events: VecDeque<ServerEvent>,
    /// Media messages of a peer that was not publishing.
    pub(super) ignored: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum State {
    Handshake {
        #[serde(with = "crate::media::instants")]
        by: Micros,
        handshake: handshake::Server,
    },
    AwaitConnect {
        #[serde(with = "crate::media::instants")]
        by: Micros,
    },
    Asked {
        transaction: f64,
        app: App,
    },
    Connected {
        app: App,
    },
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    Idle,
    /// The owner is deciding.
    Asked(Request, u32),
    /// The peer changed its mind; the owner's answer is still to come, and must not be taken for
    /// the answer to a later request.
    Withdrawn(Request),
    Active(Request, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    Publish,
    Play,
}

impl Server {
    /// A connection accepted at `now`. `random` fills the handshake; it needs not be secret.
    #[must_use]
    pub fn new(spec: ServerSpec, now: Micros, random: [u8; 32]) -> Self {
        let spec = ServerSpec { chunk_size: spec.chunk_size.clamp(128, CHUNK_SIZE_MAX), ..spec };
        let handshake = handshake::Server::new(random);
        let mut link = Link::new(now);
        link.set_buffer(spec.buffer_bytes.min(PENDING_BYTES_MAX), false);
        Self {
            spec,
            link,
            state: State::Handshake { by: now + spec.handshake_timeout, handshake },
            role: Role::Idle,
            caps: Capabilities::default(),
            is_relay: false,
            path: Hops::default(),
            idle_since: now,
            playback: Playback::default(),
            streams: 0,
            events: VecDeque::new(),
            ignored: 0,
        }
    }

    /// Takes all of `input`, at most [`crate::rtmp::limits::FEED_BYTES_MAX`] at a time.
    ///
    /// # Errors
    /// If the connection has to be closed. Events from before the fault can still be polled.
    pub fn feed(&mut self, input: &[u8], now: Micros, pool: &PacketPool) -> Result<(), Error> {
        self.link.receive(input.len(), now);
        let mut input = input;
        if let State::Handshake { by, handshake } = &mut self.state {
            if !handshake.read(&mut input, self.link.raw_output())? {
                return Ok(());
            }
            self.state = State::AwaitConnect { by: *by };
        }
        self.link.check()?;
        while self.link.take(&mut input, pool)? {
            self.go_on();
            self.link.check()?;
        }
        Ok(())
    }

    /// What has happened, in order. A fault that is found on the way is an error of the next `feed`
    /// or `tick`.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.go_on();
        self.events.pop_front()
    }

    /// Whether the peer is to be read. `false` while much of what it sent waits for the answer to
    /// its request: leave the rest in its socket until then. To feed it nevertheless is an error
    /// after a while.
    #[must_use]
    pub const fn wants_input(&self) -> bool {
        !self.is_asking() || self.link.has_room()
    }

    /// Checks deadlines and pings.
    ///
    /// # Errors
    /// If the peer is too slow or gone, or broke a rule in what has been acted on since `feed`.
    pub fn tick(&mut self, now: Micros) -> Result<(), Error> {
        self.link.advance(now);
        self.link.check()?;
        if !self.wants_input() {
            self.link.pardon_silence();
        }
        let now = self.link.now();
        match self.state {
            State::Handshake { by, .. } if now >= by => {
                return Err(Error::Late("no complete handshake"));
            }
            State::AwaitConnect { by } if now >= by => return Err(Error::Late("no connect")),
            State::Connected { .. } | State::Refused
                if self.role == Role::Idle
                    && now.since(self.idle_since) >= self.spec.idle_timeout =>
            {
                return Err(Error::Idle);
            }
            State::Connected { .. } => {
                return self.link.keep_alive(self.spec.pings);
            }
            _ => {}
        }
        self.link.check_silence(self.spec.pings.timeout)
    }

    /// Bytes of [`Server::output`] that were taken have not left at `now`: a peer cannot have
    /// answered what is among them. Before `tick`, as long as that is so.
    pub fn hold_back(&mut self, now: Micros) {
        self.link.hold_back(now);
    }

    /// Answers `Connect`; what has been waiting for that comes with the next events.
    pub fn accept_connect(&mut self) {
        let State::Asked { transaction, app } = &self.state else { return };
        let (transaction, app) = (*transaction, app.clone());
        self.link.announce_window(self.spec.window_ack);
        let mut bandwidth = [0, 0, 0, 0, 2];
        bandwidth[..4].copy_from_slice(&self.spec.window_ack.to_be_bytes());
        self.link.send(type_id::PEER_BANDWIDTH, 0, &bandwidth);
        self.link.announce_chunk_size(self.spec.chunk_size);
        let properties = Value::object([
            ("fmsVer", "FMS/3,0,1,123".into()),
            ("capabilities", 31.0.into()),
            ("mode", 1.0.into()),
        ]);
        let mut success = info(false, "NetConnection.Connect.Success", "Connection succeeded.");
        if let Value::Object(members) = &mut success {
            // AMF3 is not spoken, whatever was asked for.
            members.push(("objectEncoding".to_owned(), 0.0.into()));
            if self.caps.is_enhanced() {
                members.extend(capabilities::ours());
            }
            members.extend(self.is_relay.then(relaying::heeds));
        }
        self.link.command(0, "_result", transaction, &[properties, success]);
        self.state = State::Connected { app };
        self.idle_since = self.link.now();
    }

    /// Answers `Connect` with a refusal; close after the output has left and a short linger.
    pub fn refuse_connect(&mut self, description: &str) {
        let State::Asked { transaction, .. } = self.state else { return };
        self.reject_connect(transaction, description);
    }

    /// The bytes of its unfinished messages come from a budget that connections share: so that many
    /// peers together take up no more than the node can give.
    pub fn join(&mut self, budget: Arc<Budget>) {
        self.link.join(budget);
    }

    /// It was read from a snapshot: it goes on where it was, with this budget. `false` if it
    /// contradicts itself.
    #[must_use]
    pub fn resume(&mut self, budget: &Arc<Budget>) -> bool {
        let handshake_fits = match &self.state {
            State::Handshake { handshake, .. } => handshake.is_whole(),
            _ => true,
        };
        handshake_fits && self.link.resume(Some(budget))
    }

    /// Answers `Publish`: messages come with the next events, from the first that the peer sent
    /// after its request. `false` if the peer has withdrawn it.
    pub fn accept_publish(&mut self) -> bool {
        self.accept_publish_with("Publishing.")
    }

    /// The same with a text for the publisher's user.
    pub fn accept_publish_with(&mut self, description: &str) -> bool {
        let Some(stream_id) = self.settle(Request::Publish) else { return false };
        self.role = Role::Active(Request::Publish, stream_id);
        self.link.set_buffer(self.spec.buffer_bytes, true);
        let start = info(false, "NetStream.Publish.Start", description);
        self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, start]);
        true
    }

    /// Answers `Publish` with a refusal that encoders show; close after a short linger.
    /// `description` is for humans. `false` if the peer has withdrawn its request.
    pub fn refuse_publish(&mut self, refusal: PublishRefusal, description: &str) -> bool {
        let Some(stream_id) = self.settle(Request::Publish) else { return false };
        self.error_status(stream_id, refusal.code(), description);
        true
    }

    /// Ends a publisher that was accepted, with the reason that its user sees.
    pub fn end_publish(&mut self, refusal: PublishRefusal, description: &str) {
        if let Role::Active(Request::Publish, stream_id) = self.role {
            self.rest();
            self.error_status(stream_id, refusal.code(), description);
        }
    }

    /// Through where the stream has come that is about to be played: a peer that relays is told.
    pub fn set_path(&mut self, path: Hops) {
        self.path = path;
    }

    /// Answers `Play`; media may be sent once `output` has been. `false` if the peer has withdrawn
    /// its request.
    pub fn accept_play(&mut self) -> bool {
        let Some(stream_id) = self.settle(Request::Play) else { return false };
        self.role = Role::Active(Request::Play, stream_id);
        self.link.user_control(event::STREAM_BEGIN, &stream_id.to_be_bytes());
        for (code, description) in [
            ("NetStream.Play.Reset", "Playing and resetting stream."),
            ("NetStream.Play.Start", "Started playing stream."),
        ] {
            let mut status = info(false, code, description);
            if let (Value::Object(members), true) = (&mut status, self.is_relay) {
                members.push(relaying::path_member(&self.path));
            }
            self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
        }
        let mut access = Vec::new();
        for value in [Value::from("|RtmpSampleAccess"), true.into(), true.into()] {
            value.encode(&mut access);
        }
        self.link.send(type_id::DATA, stream_id, &access);
        true
    }

    /// Answers `Play` with a refusal that players show; the player may ask for another stream.
    /// `false` if the peer has withdrawn its request.
    pub fn refuse_play(&mut self, refusal: PlayRefusal, description: &str) -> bool {
        let Some(stream_id) = self.settle(Request::Play) else { return false };
        self.error_status(stream_id, refusal.code(), description);
        true
    }

    /// The stream has really ended: players stop at this. Not for a publisher's short gap.
    pub fn end_play(&mut self) {
        let Role::Active(Request::Play, stream_id) = self.role else { return };
        self.rest();
        let status = info(false, "NetStream.Play.UnpublishNotify", "The stream has ended.");
        self.link.command(stream_id, "onStatus", 0.0, &[Value::Null, status]);
        self.link.user_control(event::STREAM_EOF, &stream_id.to_be_bytes());
    }

    /// Asks a peer to come back on a new connection, which it does at a time that suits it; at
    /// `tc_url` if given, else at the address it used. `false`, and nothing is said, if it did
    /// not announce at `connect` that it understands (see [`Capabilities::can_reconnect`]).
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        if !matches!(self.state, State::Connected { .. }) || !self.caps.can_reconnect() {
            return false;
        }
        let mut status = info(false, RECONNECT_REQUEST, description);
        if let (Value::Object(members), Some(tc_url)) = (&mut status, tc_url) {
            members.push(("tcUrl".to_owned(), tc_url.into()));
        }
        self.link.command(0, "onStatus", 0.0, &[Value::Null, status]);
        true
    }

    /// What the peer said at `connect` about codecs and Enhanced RTMP; nothing before that.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    /// Queues a media message to a player, for tests and small uses; nothing if nobody plays.
    ///
    /// # Errors
    /// [`Error::Limit`] if it is too long or too much output is waiting; nothing is queued then.
    pub fn write_message(&mut self, kind: Kind, time: u32, body: &[u8]) -> Result<(), Error> {
        match self.role {
            Role::Active(Request::Play, stream_id) => self.link.media(kind, stream_id, time, body),
            _ => Ok(()),
        }
    }

    /// Bytes to send. Media that is sent past the session goes between two messages: send all of
    /// this first.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.link.output()
    }

    /// The first `n` bytes of [`Server::output`] have been sent.
    pub fn consume_output(&mut self, n: usize) {
        self.link.consume_output(n);
    }

    /// Whether everything that came was whole messages.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        self.link.is_between_messages()
    }

    /// Bytes fed so far.
    #[must_use]
    pub const fn bytes_received(&self) -> u64 {
        self.link.received()
    }

    /// Whether messages of the peer reach the owner.
    #[must_use]
    pub const fn is_publishing(&self) -> bool {
        matches!(self.role, Role::Active(Request::Publish, _))
    }

    /// Media messages that were left out, because the peer was not publishing when it sent them: it
    /// had not asked to, was refused, or had stopped.
    #[must_use]
    pub const fn ignored_messages(&self) -> u64 {
        self.ignored
    }

    /// Whether media may be sent to the peer.
    #[must_use]
    pub const fn is_playing(&self) -> bool {
        matches!(self.role, Role::Active(Request::Play, _))
    }

    /// The message stream on which the peer publishes or plays, or has asked to; 1 if it does
    /// neither.
    #[must_use]
    pub const fn stream_id(&self) -> u32 {
        match self.role {
            Role::Asked(_, stream_id) | Role::Active(_, stream_id) => stream_id,
            Role::Idle | Role::Withdrawn(_) => 1,
        }
    }

    /// What the peer wants to be sent of the stream that it plays, or has asked to play.
    #[must_use]
    pub const fn playback(&self) -> Playback {
        self.playback
    }
}
