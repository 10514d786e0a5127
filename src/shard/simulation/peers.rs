//! Peers that connect to a shard: publishers, players, and those who say nothing that makes sense.

use super::env::{Env, Next};
use super::flv::WebPlayer;
use super::programme::{Audit, Made, Programme};
use super::rng::Rng;
use super::servers::{Destination, PullServer};
use super::wire::{self, Amf, Head, Reader, Take};
use crate::media::Micros;

/// Who is at the other end of a link.
#[derive(Debug)]
pub(super) enum Remote {
    Publisher(Box<Publisher>),
    Player(Box<Player>),
    Web(Box<WebPlayer>),
    Destination(Box<Destination>),
    PullServer(Box<PullServer>),
    GarbagePeer(GarbagePeer),
}

impl Remote {
    /// Hears what the core has sent.
    pub(super) fn receive(&mut self, env: &mut Env<'_>, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Publisher(it) => it.receive(env, bytes),
            Self::Player(it) => it.receive(env, bytes),
            Self::Web(it) => it.receive(env.sources, bytes),
            Self::Destination(it) => it.receive(env, bytes),
            Self::PullServer(it) => it.receive(env, bytes),
            Self::GarbagePeer(_) => Ok(()),
        }
    }

    /// Says something, or not.
    pub(super) fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        match self {
            Self::Publisher(it) => it.act(env, out),
            Self::Player(it) => it.act(env, out),
            Self::Web(it) => it.act(env, out),
            Self::Destination(it) => it.act(env, out),
            Self::PullServer(it) => it.act(env, out),
            Self::GarbagePeer(it) => it.act(env, out),
        }
    }

    /// What it is, in a finding.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Publisher(_) => "a publisher".to_owned(),
            Self::Player(it) => format!(
                "a player of {:?} on message stream {} that did {:?}",
                it.asked, it.stream_id, it.did
            ),
            Self::Web(_) => "a web player".to_owned(),
            Self::Destination(_) => "a destination".to_owned(),
            Self::PullServer(_) => "a server that is pulled from".to_owned(),
            Self::GarbagePeer(_) => "a stranger".to_owned(),
        }
    }

    /// What it has got, if it plays.
    pub(super) fn audit(&self) -> Option<&Audit> {
        match self {
            Self::Player(it) if it.is_playing => Some(&it.audit),
            Self::Web(it) => Some(&it.audit),
            _ => None,
        }
    }
}

/// The part of a client that every RTMP peer has.
#[derive(Debug, Default)]
struct Session {
    reader: Reader,
    pongs: Vec<u8>,
}

impl Session {
    /// Reads, answers pings, and gives `take` the rest.
    fn receive(&mut self, bytes: &[u8], take: Take<'_>) -> Result<(), String> {
        let Self { reader, pongs } = self;
        reader.read(bytes, &mut |head, body| {
            if let (4, [0, 6, data @ ..]) = (head.type_id, body) {
                wire::pong(pongs, data);
            }
            take(head, body)
        })
    }
}

fn says(body: &[u8], code: &str) -> bool {
    body.windows(code.len()).any(|window| window == code.as_bytes())
}

/// An encoder.
#[derive(Debug)]
pub(super) struct Publisher {
    session: Session,
    has_begun: bool,
    /// What it publishes under: a key or a name.
    shown: String,
    /// The stream's name, once it is let in.
    name: usize,
    chunk: usize,
    programme: Option<Programme>,
    /// Until when it sends nothing.
    silent_until: Micros,
    is_deaf: bool,
    is_refused: bool,
    made: Vec<Made>,
}

impl Publisher {
    pub(super) fn new(rng: &mut Rng, shown: String, name: usize) -> Self {
        Self {
            session: Session::default(),
            has_begun: false,
            shown,
            name,
            chunk: rng.pick(&[128, 128, 200, 4_096]),
            programme: None,
            silent_until: Micros(0),
            is_deaf: rng.once_in(20),
            is_refused: false,
            made: Vec::new(),
        }
    }

    fn receive(&mut self, env: &mut Env<'_>, bytes: &[u8]) -> Result<(), String> {
        let Self { session, programme, name, is_refused, .. } = self;
        session.receive(bytes, &mut |head, body| {
            if head.type_id != 20 {
                return Ok(());
            }
            if says(body, "NetStream.Publish.Start") {
                *programme = Some(env.sources.begin(*name, env.rng, env.now));
            } else if says(body, "NetStream.Publish.") || says(body, "Rejected") {
                *programme = None;
                *is_refused = true;
            }
            Ok(())
        })
    }

    fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        if !std::mem::replace(&mut self.has_begun, true) {
            wire::hello(out);
            let size = u32::try_from(self.chunk).unwrap().to_be_bytes();
            wire::message(out, Head { type_id: 1, stream_id: 0, time: 0 }, &size, 128);
            self.connect(out);
        }
        if !self.is_deaf || env.is_calm {
            out.append(&mut self.session.pongs);
        }
        if self.is_refused && (env.is_calm || env.rng.once_in(3)) {
            return Next::Leave;
        }
        let Some(programme) = &mut self.programme else {
            return if env.rng.once_in(2_000) { Next::Leave } else { Next::Stay };
        };
        if !env.is_calm {
            if env.rng.once_in(3_000) {
                let pause = env.rng.pick(&[1_000, 3_000, 6_000]);
                self.silent_until = env.now + Micros::from_millis(pause);
            }
            if env.rng.once_in(400) {
                return self.leave(env.rng, out);
            }
            if self.silent_until > env.now {
                return Next::Stay;
            }
        }
        programme.make(env.rng, env.now, &mut self.made);
        for (type_id, time, body) in self.made.drain(..) {
            wire::message(out, Head { type_id, stream_id: 1, time }, &body, self.chunk);
        }
        Next::Stay
    }

    fn connect(&self, out: &mut Vec<u8>) {
        // The chunk size holds for commands too.
        let mut said = Vec::new();
        wire::connect(&mut said, "live");
        wire::command(&mut said, 0, "createStream", 2.0, &[Amf::Null]);
        let publish = [Amf::Null, Amf::Text(&self.shown), Amf::Text("live")];
        wire::command(&mut said, 1, "publish", 3.0, &publish);
        out.extend(rechunked(&said, self.chunk));
    }

    /// Leaves in one of the ways that there are.
    fn leave(&mut self, rng: &mut Rng, out: &mut Vec<u8>) -> Next {
        match rng.below(4) {
            0 => Next::Reset,
            1 => Next::Leave,
            way => {
                self.programme = None;
                let mut said = Vec::new();
                wire::command(&mut said, 0, "deleteStream", 4.0, &[Amf::Null, Amf::Number(1.0)]);
                if way == 2 {
                    // Publishes again, on the same connection.
                    wire::command(&mut said, 0, "createStream", 2.0, &[Amf::Null]);
                    let publish = [Amf::Null, Amf::Text(&self.shown), Amf::Text("live")];
                    wire::command(&mut said, 1, "publish", 3.0, &publish);
                }
                out.extend(rechunked(&said, self.chunk));
                if way == 2 { Next::Stay } else { Next::Leave }
            }
        }
    }
}

/// Commands in chunks of 128 bytes, anew in chunks of another size.
fn rechunked(said: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reader = Reader::without_handshake();
    let read = reader.read(said, &mut |head, body| {
        wire::message(&mut out, head, body, size);
        Ok(())
    });
    read.unwrap();
    out
}

/// A player that speaks RTMP.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about a player, each by itself")]
pub(super) struct Player {
    session: Session,
    has_begun: bool,
    /// The streams that it has asked for on this connection.
    pub(super) asked: Vec<usize>,
    /// On which message stream it plays.
    stream_id: u32,
    is_preview: bool,
    pub(super) audit: Audit,
    pub(super) is_playing: bool,
    is_over: bool,
    is_deaf: bool,
    /// What it has asked for since it began, for a finding.
    did: Vec<usize>,
    /// Whether it has asked to be sent all, after it had not.
    wants_all: bool,
}

impl Player {
    pub(super) fn new(rng: &mut Rng, name: usize) -> Self {
        Self {
            session: Session::default(),
            has_begun: false,
            asked: vec![name],
            stream_id: if rng.once_in(5) { 2 } else { 1 },
            is_preview: rng.once_in(10),
            audit: Audit::default(),
            is_playing: false,
            is_over: false,
            is_deaf: rng.once_in(20),
            did: Vec::new(),
            wants_all: true,
        }
    }

    fn receive(&mut self, env: &Env<'_>, bytes: &[u8]) -> Result<(), String> {
        let Self { session, asked, audit, is_playing, is_over, stream_id, .. } = self;
        session.receive(bytes, &mut |head, body| match head.type_id {
            8 | 9 | 18 => {
                if head.stream_id != *stream_id {
                    return Err(format!("media on message stream {}", head.stream_id));
                }
                if head.type_id != 18 && !*is_playing {
                    return Err("media before it was let in, or after the end".to_owned());
                }
                if head.type_id == 18 && says(body, "SampleAccess") {
                    return Ok(());
                }
                audit.message(env.sources, asked, (head.type_id, head.time, body))
            }
            20 => {
                if says(body, "NetStream.Play.Reset") {
                    *audit = Audit::default();
                    *is_playing = true;
                } else if says(body, "the newest pictures") {
                    // The answer to a seek.
                    audit.begin_anew();
                } else if says(body, "NetStream.Play.UnpublishNotify") {
                    *is_playing = false;
                    *is_over = true;
                } else if says(body, "NetStream.Play.") && !says(body, "Play.Start")
                    || says(body, "Rejected")
                {
                    *is_over = true;
                }
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        if !std::mem::replace(&mut self.has_begun, true) {
            wire::hello(out);
            wire::connect(out, "live");
            (0..self.stream_id).for_each(|_| {
                wire::command(out, 0, "createStream", 2.0, &[Amf::Null]);
            });
            self.play(env, out);
        }
        if !self.is_deaf || env.is_calm {
            out.append(&mut self.session.pongs);
        }
        if env.is_calm {
            if !std::mem::replace(&mut self.wants_all, true) {
                let on = [Amf::Null, Amf::Bool(true)];
                let go_on = [Amf::Null, Amf::Bool(false), Amf::Number(0.0)];
                wire::command(out, self.stream_id, "receiveVideo", 0.0, &on);
                wire::command(out, self.stream_id, "receiveAudio", 0.0, &on);
                wire::command(out, self.stream_id, "pause", 0.0, &go_on);
            }
            return if self.is_over { Next::Leave } else { Next::Stay };
        }
        if self.is_over && env.rng.once_in(10) {
            if env.rng.once_in(3) {
                return Next::Leave;
            }
            self.is_over = false;
            self.ask_for_another(env, out);
        }
        if env.rng.once_in(150) {
            return self.do_something(env, out);
        }
        Next::Stay
    }

    fn play(&self, env: &Env<'_>, out: &mut Vec<u8>) {
        let name = self.asked.last().map_or("", |name| env.names[*name]);
        let name = name.strip_prefix("live/").unwrap();
        let query = if self.is_preview { "?preview=1" } else { "" };
        let name = format!("{name}{query}");
        wire::command(out, self.stream_id, "play", 5.0, &[Amf::Null, Amf::Text(&name)]);
    }

    fn ask_for_another(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) {
        self.asked.push(env.rng.below(env.names.len()));
        self.play(env, out);
    }

    fn do_something(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        let stream_id = self.stream_id;
        let flag = Amf::Bool(env.rng.once_in(2));
        self.wants_all = false;
        let what = env.rng.below(8);
        self.did.push(what);
        match what {
            0 => wire::command(out, stream_id, "receiveVideo", 0.0, &[Amf::Null, flag]),
            1 => wire::command(out, stream_id, "receiveAudio", 0.0, &[Amf::Null, flag]),
            2 | 3 => {
                let values = [Amf::Null, flag, Amf::Number(0.0)];
                wire::command(out, stream_id, "pause", 0.0, &values);
            }
            4 => {
                wire::command(out, stream_id, "seek", 0.0, &[Amf::Null, Amf::Number(0.0)]);
            }
            5 => {
                let number = Amf::Number(stream_id.into());
                wire::command(out, 0, "deleteStream", 0.0, &[Amf::Null, number]);
                self.ask_for_another(env, out);
            }
            6 => return Next::Leave,
            _ => return Next::Reset,
        }
        Next::Stay
    }
}

/// Somebody who says what makes no sense, a part of what does, or nothing.
#[derive(Debug)]
pub(super) struct GarbagePeer {
    said: Vec<u8>,
}

impl GarbagePeer {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let mut said = Vec::new();
        match rng.below(4) {
            0 => {}
            1 => said.extend(b"GET /live/a.flv HTTP/1.1\r\nHost: x\r\nRange"),
            way => {
                wire::hello(&mut said);
                if way == 3 {
                    wire::connect(&mut said, "live");
                }
                said.truncate(1 + rng.below(said.len() + 100));
                if rng.once_in(2) {
                    said.extend((0..rng.below(300)).map(|_| rng.next().to_be_bytes()[0]));
                }
            }
        }
        Self { said }
    }

    fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        out.append(&mut self.said);
        if env.is_calm || env.rng.once_in(300) { Next::Leave } else { Next::Stay }
    }
}
