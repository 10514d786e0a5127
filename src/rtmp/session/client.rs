//! The connecting side: publishes to, or plays from, another server.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::frame::{PacketBuf, PacketPool};
use crate::media::{Kind, Micros};
use crate::rtmp::amf0::Value;
use crate::rtmp::limits::{ACK_WINDOW, CHUNK_SIZE_MAX};
use crate::rtmp::message::{Command, event};
use crate::rtmp::{
    Capabilities, Error, Hops, Login, Query, Relaying, StreamName, Url, capabilities, handshake,
    relaying,
};

use super::inbox::Item;
use super::link::Link;
use super::status::saturate;

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Goal {
    /// Send a stream.
    Publish,
    /// Receive one.
    Play,
}

/// Whom a client session talks to, and how. [`ClientSpec::new`] fills in the usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSpec {
    /// Application.
    pub app: String,
    /// Everything of the address before the stream name.
    pub tc_url: String,
    /// Query that `connect` puts behind both; what [`ClientEvent::Authenticate`] says goes here.
    pub query: Query,
    /// Whom to be at a server that asks.
    pub login: Option<Login>,
    /// Stream name with its query; usually a key.
    pub name: StreamName,
    /// Publish or play.
    pub goal: Goal,
    /// Size of the chunks we publish with, bytes, 128 to 0xFFFFFF (clamped).
    pub chunk_size: u32,
    /// Time from the start to `Started`.
    pub start_timeout: Micros,
    /// While playing: without any byte for this long the server is gone. A server that is
    /// published to owes us nothing, and may stay silent.
    pub silence_timeout: Micros,
    /// Whether to tell the server that we know Enhanced RTMP; some ingests refuse the fields.
    pub enhanced: bool,
    /// Whether to sign the handshake, for servers that only trust a "genuine" player.
    pub digest: bool,
    /// What we say about the stream if we relay it.
    pub relaying: Relaying,
}

impl ClientSpec {
    /// The usual client for an address.
    #[must_use]
    pub fn new(url: &Url, goal: Goal) -> Self {
        Self {
            app: url.app().to_owned(),
            tc_url: url.tc_url(),
            query: url.app_query().clone(),
            login: url.login().cloned(),
            name: url.name().clone(),
            goal,
            chunk_size: 60_000,
            start_timeout: Micros::from_secs(10),
            silence_timeout: Micros::from_secs(30),
            enhanced: false,
            digest: false,
            relaying: Relaying::default(),
        }
    }
}

/// What the server of a client does. No text here repeats the stream name.
#[derive(Debug)]
pub enum ClientEvent {
    /// The stream is open: media may be sent on this message stream, or will come.
    Started {
        /// Message stream id.
        stream_id: u32,
    },
    /// A message of the stream we play; never empty.
    Message {
        /// What it carries.
        kind: Kind,
        /// Milliseconds modulo 2^32, as the server sent them.
        time: u32,
        /// RTMP body: an FLV tag's body, or AMF0 data with a name first.
        body: PacketBuf,
    },
    /// The server does not let us: close. `NetStream.Publish.BadName` often means that our own
    /// last session is still alive there.
    Refused {
        /// Status code, such as `NetStream.Publish.Denied`.
        code: String,
        /// The server's words.
        description: String,
    },
    /// The server wants another `connect`, with this in [`ClientSpec::query`]: close, and connect
    /// again at once. Never twice in a row with the same query.
    Authenticate {
        /// The query; it proves who we are.
        query: Query,
    },
    /// The server sends us elsewhere before the stream could start: close, and connect there.
    Redirect {
        /// Where to; the name and login are ours.
        to: Box<Url>,
    },
    /// The server is about to leave, or wants us elsewhere: finish when it suits, and connect
    /// again. The stream goes on until then.
    Reconnect {
        /// Where to; the address we have if the server named none.
        to: Box<Url>,
    },
    /// The server has ended a stream that was started: close.
    Ended {
        /// Status code, such as `NetStream.Play.UnpublishNotify`.
        code: String,
        /// The server's words.
        description: String,
    },
}

/// One connection to a server.
///
/// Send `output` right after `new`. After every `feed` drain `poll_event`, and send `output`.
/// `tick` at least once a second. Events come one at a time: what the server sent after one is
/// acted on when the owner asks for the next, so that the same bytes give the same events and the
/// same output, however they were cut.
#[derive(Debug, Serialize, Deserialize)]
pub struct Client {
    pub(super) spec: ClientSpec,
    link: Link,
    pub(super) step: Step,
    #[serde(with = "crate::media::instants")]
    start_by: Micros,
    /// Makes our answers to challenges differ.
    pub(super) nonce: u32,
    caps: Capabilities,
    /// Whether the server heeds what we say about relaying.
    is_heeded: bool,
    /// Through where the stream that we play has come, if the server says so.
    pub(super) path: Option<Hops>,
    #[serde(skip)]
    pub(super) events: VecDeque<ClientEvent>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Step {
    Handshake(handshake::Client),
    Connecting,
    Creating,
    Starting(u32),
    Started(u32),
    Over,
}

/// Transaction ids: fixed, because each call is made once.
pub(super) mod call {
    pub(crate) const CONNECT: f64 = 1.0;
    pub(crate) const RELEASE_STREAM: f64 = 2.0;
    pub(crate) const FC_PUBLISH: f64 = 3.0;
    pub(crate) const CREATE_STREAM: f64 = 4.0;
    pub(crate) const START: f64 = 5.0;
    pub(crate) const FC_UNPUBLISH: f64 = 6.0;
    pub(crate) const DELETE_STREAM: f64 = 7.0;
}

/// Buffer that a player says it has, milliseconds.
const BUFFER_MS: u32 = 3_000;

impl Client {
    /// A connection made at `now`. `random` fills the handshake; it needs not be secret.
    #[must_use]
    pub fn new(spec: ClientSpec, now: Micros, random: [u8; 32]) -> Self {
        let mut link = Link::new(now);
        let handshake = handshake::Client::new(random, spec.digest, link.raw_output());
        let start_by = now + spec.start_timeout;
        let [a, b, c, d, ..] = random;
        Self {
            spec,
            link,
            step: Step::Handshake(handshake),
            start_by,
            nonce: u32::from_be_bytes([a, b, c, d]),
            caps: Capabilities::default(),
            is_heeded: false,
            path: None,
            events: VecDeque::new(),
        }
    }

    /// It was read from a snapshot: it goes on where it was. `false` if it contradicts itself.
    #[must_use]
    pub fn resume(&mut self) -> bool {
        let handshake_fits = match &self.step {
            Step::Handshake(handshake) => handshake.is_whole(),
            _ => true,
        };
        handshake_fits && self.link.resume(None)
    }

    /// Takes all of `input`, at most [`crate::rtmp::limits::FEED_BYTES_MAX`] at a time.
    ///
    /// # Errors
    /// If the connection has to be closed. Events from before the fault can still be polled.
    pub fn feed(&mut self, input: &[u8], now: Micros, pool: &PacketPool) -> Result<(), Error> {
        self.link.receive(input.len(), now);
        let mut input = input;
        if let Step::Handshake(handshake) = &mut self.step {
            if !handshake.read(&mut input, self.link.raw_output())? {
                return Ok(());
            }
            self.connect();
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
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.go_on();
        self.events.pop_front()
    }

    /// Checks deadlines.
    ///
    /// # Errors
    /// If the server is too slow or gone, or broke a rule in what has been acted on since `feed`.
    pub fn tick(&mut self, now: Micros) -> Result<(), Error> {
        self.link.advance(now);
        self.link.check()?;
        match self.step {
            Step::Started(_) if self.spec.goal == Goal::Play => {
                self.link.check_silence(self.spec.silence_timeout)
            }
            Step::Started(_) | Step::Over => Ok(()),
            _ if self.link.now() < self.start_by => Ok(()),
            Step::Handshake(_) => Err(Error::Late("no complete handshake")),
            Step::Connecting => Err(Error::Late("no answer to connect")),
            Step::Creating => Err(Error::Late("no answer to createStream")),
            Step::Starting(_) => Err(Error::Late("no answer to publish or play")),
        }
    }

    /// Says goodbye, so that the server ends the stream now and not at a timeout. Send the output,
    /// then close.
    pub fn finish(&mut self) {
        if let Step::Starting(stream_id) | Step::Started(stream_id) = self.step {
            if self.spec.goal == Goal::Publish {
                self.call("FCUnpublish", call::FC_UNPUBLISH, self.name());
            }
            self.call("deleteStream", call::DELETE_STREAM, f64::from(stream_id).into());
        }
        self.step = Step::Over;
    }

    /// Queues a media message to a server that we publish to, for tests and small uses; nothing if
    /// the stream is not open.
    ///
    /// # Errors
    /// [`Error::Limit`] if it is too long or too much output is waiting; nothing is queued then.
    pub fn write_message(&mut self, kind: Kind, time: u32, body: &[u8]) -> Result<(), Error> {
        match self.step {
            Step::Started(stream_id) if self.spec.goal == Goal::Publish => {
                self.link.media(kind, stream_id, time, body)
            }
            _ => Ok(()),
        }
    }

    /// Bytes to send. Media that is sent past the session goes between two messages: send all of
    /// this first.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.link.output()
    }

    /// The first `n` bytes of [`Client::output`] have been sent.
    pub fn consume_output(&mut self, n: usize) {
        self.link.consume_output(n);
    }

    /// Bytes fed so far.
    #[must_use]
    pub const fn bytes_received(&self) -> u64 {
        self.link.received()
    }

    /// What the server said about Enhanced RTMP in its answer to `connect`.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.caps
    }

    /// Whether the server heeds what [`ClientSpec::relaying`] says: it is a node like us.
    #[must_use]
    pub const fn is_heeded(&self) -> bool {
        self.is_heeded
    }

    /// Through where the stream that we play has come; `None` if the server does not know.
    #[must_use]
    pub const fn path(&self) -> Option<&Hops> {
        self.path.as_ref()
    }

    /// How many of our bytes the server says it has received, modulo 2^32; `None` if it has not
    /// said so yet. Many servers never do.
    #[must_use]
    pub const fn acknowledged(&self) -> Option<u32> {
        self.link.peer_acknowledged()
    }

    fn name(&self) -> Value {
        self.spec.name.expose().into()
    }

    /// A call on the connection with one argument.
    fn call(&mut self, name: &str, transaction: f64, argument: Value) {
        self.link.command(0, name, transaction, &[Value::Null, argument]);
    }

    fn connect(&mut self) {
        let flash_ver = match self.spec.goal {
            Goal::Publish => "FMLE/3.0 (compatible; stream-manager)",
            Goal::Play => "LNX 9,0,124,2",
        };
        let query = match self.spec.query.expose() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let mut members = vec![("app", Value::String(format!("{}{query}", self.spec.app)))];
        if self.spec.goal == Goal::Publish {
            members.push(("type", "nonprivate".into()));
        }
        members.push(("flashVer", flash_ver.into()));
        members.push(("tcUrl", Value::String(format!("{}{query}", self.spec.tc_url))));
        if self.spec.goal == Goal::Play {
            members.push(("fpad", false.into()));
            members.push(("capabilities", 15.0.into()));
            members.push(("audioCodecs", 4_071.0.into()));
            members.push(("videoCodecs", 252.0.into()));
            members.push(("videoFunction", 1.0.into()));
        }
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        let enhanced = capabilities::ours().into_iter().filter(|_| self.spec.enhanced);
        let relaying = self.spec.relaying.members();
        let object = Value::Object(members.chain(enhanced).chain(relaying).collect());
        self.link.command(0, "connect", call::CONNECT, &[object]);
        self.step = Step::Connecting;
    }

    /// Acts on what has come up to the next event.
    fn go_on(&mut self) {
        while self.events.is_empty() && self.link.check().is_ok() {
            if !self.is_starting_to_play() {
                self.link.let_go();
            }
            // What a server says of a stream before it says that it plays.
            let waits = |item: &Item| {
                matches!(item, Item::Media { kind: Kind::Data, .. }) && self.is_starting_to_play()
            };
            match self.link.inbox.next().map(waits) {
                None => return,
                Some(true) => self.link.hold_next(),
                Some(false) => {
                    let item = self.link.inbox.take_next();
                    item.into_iter().for_each(|item| self.act_on(item));
                }
            }
        }
    }

    fn is_starting_to_play(&self) -> bool {
        self.spec.goal == Goal::Play && matches!(self.step, Step::Starting(_))
    }

    fn act_on(&mut self, item: Item) {
        match item {
            Item::Answer(answer) => self.link.answer(answer),
            Item::Command { command, .. } => match command.name.as_str() {
                "_result" => self.result(&command),
                "_error" => self.error(&command),
                "onStatus" => self.status(&command),
                "close" => self.end("NetConnection.Connect.Closed", "the server closed"),
                _ => {}
            },
            // Media that nobody asked for is left out.
            Item::Media { .. } if self.spec.goal == Goal::Publish => {}
            Item::Media { kind, time, body } => match self.step {
                Step::Started(_) => {
                    self.events.push_back(ClientEvent::Message { kind, time, body });
                }
                // Some servers send media without saying that play has started.
                Step::Starting(stream_id) => {
                    self.step = Step::Started(stream_id);
                    self.events.push_back(ClientEvent::Started { stream_id });
                    self.link.inbox.put_back(Item::Media { kind, time, body });
                }
                _ => {}
            },
        }
    }

    fn result(&mut self, command: &Command) {
        match self.step {
            Step::Connecting if command.transaction == call::CONNECT => {
                let told = ["fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"];
                let told = told.iter().find_map(|name| command.object_with(name));
                self.caps = told.map_or_else(Capabilities::default, Capabilities::of);
                self.is_heeded = command.object_with("code").is_some_and(relaying::is_heeded);
                match self.spec.goal {
                    Goal::Publish => {
                        self.link
                            .announce_chunk_size(self.spec.chunk_size.clamp(128, CHUNK_SIZE_MAX));
                        self.call("releaseStream", call::RELEASE_STREAM, self.name());
                        self.call("FCPublish", call::FC_PUBLISH, self.name());
                    }
                    Goal::Play => self.link.announce_window(ACK_WINDOW),
                }
                self.link.command(0, "createStream", call::CREATE_STREAM, &[Value::Null]);
                self.step = Step::Creating;
            }
            Step::Creating if command.transaction == call::CREATE_STREAM => {
                let values = std::iter::once(&command.object).chain(&command.args);
                let stream_id = values.filter_map(Value::as_number).next().map_or(1, saturate);
                self.start(stream_id);
            }
            _ => {}
        }
    }

    fn start(&mut self, stream_id: u32) {
        let name = self.name();
        match self.spec.goal {
            Goal::Publish => {
                let values = [Value::Null, name, "live".into()];
                self.link.command(stream_id, "publish", call::START, &values);
            }
            Goal::Play => {
                // -2000: live if there is such a stream, else recorded.
                let values = [Value::Null, name, Value::Number(-2_000.0)];
                self.link.command(stream_id, "play", call::START, &values);
                let mut data = [0; 8];
                data[..4].copy_from_slice(&stream_id.to_be_bytes());
                data[4..].copy_from_slice(&BUFFER_MS.to_be_bytes());
                self.link.user_control(event::SET_BUFFER_LENGTH, &data);
            }
        }
        self.step = Step::Starting(stream_id);
    }
}
