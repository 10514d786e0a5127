//! Test bench of the sessions: peers written by hand, and their answers as short texts.

use crate::frame::{PacketPool, PacketPoolSpec};
use crate::media::Micros;
use crate::rtmp::amf0::{Decoder, Value};
use crate::rtmp::chunk::{Message, MessageHeader, Reader, Writer, stream_of};
use crate::rtmp::message::{Command, type_id};
use crate::rtmp::{Error, Server, ServerEvent, ServerSpec};

use super::status::text_of;

pub(super) const T0: Micros = Micros::from_secs(100);

pub(super) fn pool() -> PacketPool {
    thread_local! {
        static POOL: PacketPool =
            PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
    }
    POOL.with(PacketPool::clone)
}

/// C0, C1 and C2 of a simple handshake.
pub(super) fn hello() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * 1_536];
    bytes[0] = 3;
    bytes
}

/// One message in chunks of 128 bytes, or one chunk if `size` is larger.
pub(super) fn message(type_id: u8, stream_id: u32, time: u32, body: &[u8], size: u32) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.set_chunk_size(size);
    let header =
        MessageHeader { chunk_stream: stream_of(type_id), time, length: 0, type_id, stream_id };
    let mut out = Vec::new();
    writer.write(header, body, &mut out);
    out
}

pub(super) fn command(stream_id: u32, name: &str, txn: f64, values: &[Value]) -> Vec<u8> {
    message(type_id::COMMAND, stream_id, 0, &Command::encode(name, txn, values), 128)
}

pub(super) fn connect_object(app: &str) -> Value {
    Value::object([
        ("app", app.into()),
        ("type", "nonprivate".into()),
        ("flashVer", "FMLE/3.0 (compatible; FMSc/1.0)".into()),
        ("tcUrl", format!("rtmp://host/{app}").as_str().into()),
    ])
}

pub(super) fn connect(app: &str) -> Vec<u8> {
    command(0, "connect", 1.0, &[connect_object(app)])
}

/// `name` with a null object and string arguments.
pub(super) fn call(stream_id: u32, name: &str, txn: f64, args: &[&str]) -> Vec<u8> {
    let args = args.iter().map(|text| Value::from(*text));
    let values: Vec<_> = std::iter::once(Value::Null).chain(args).collect();
    command(stream_id, name, txn, &values)
}

pub(super) fn delete_stream() -> Vec<u8> {
    command(0, "deleteStream", 7.0, &[Value::Null, 1.0.into()])
}

/// A server session, its pool, and a reader of what it says.
pub(super) struct Bench {
    pub(super) server: Server,
    pub(super) now: Micros,
    pool: PacketPool,
    greeting_left: usize,
    reader: Reader,
}

impl Bench {
    pub(super) fn new() -> Self {
        let server = Server::new(ServerSpec::default(), T0, [7; 32]);
        let (pool, reader) = (pool(), Reader::default());
        Self { server, now: T0, pool, greeting_left: 1 + 2 * 1_536, reader }
    }

    /// A server that has accepted a connection to `live`.
    pub(super) fn connected() -> Self {
        let mut bench = Self::new();
        bench.feed(&hello()).unwrap();
        bench.feed(&connect("live")).unwrap();
        bench.server.accept_connect();
        bench.events();
        bench.said();
        bench
    }

    /// One that has accepted a publisher.
    pub(super) fn publishing() -> Self {
        let mut bench = Self::connected();
        bench.feed(&call(1, "publish", 5.0, &["show", "live"])).unwrap();
        assert!(bench.server.accept_publish());
        bench.events();
        bench.said();
        bench
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.server.feed(bytes, self.now, &self.pool)
    }

    pub(super) fn tick(&mut self, later: Micros) -> Result<(), Error> {
        self.now = self.now + later;
        self.server.tick(self.now)
    }

    /// Events as texts.
    pub(super) fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.server.poll_event()).map(|event| event_text(&event)).collect()
    }

    /// What the server has said since the last call, as texts.
    pub(super) fn said(&mut self) -> Vec<String> {
        let output = self.server.output().to_vec();
        self.server.consume_output(output.len());
        let greeting = self.greeting_left.min(output.len());
        self.greeting_left -= greeting;
        let mut input = &output[greeting..];
        let mut said = Vec::new();
        while let Some(message) = self.reader.read(&mut input, &self.pool).unwrap() {
            if message.type_id == type_id::SET_CHUNK_SIZE {
                self.reader.set_chunk_size(be32(&message.body));
            }
            said.push(message_text(&message));
        }
        said
    }
}

pub(super) fn event_text(event: &ServerEvent) -> String {
    match event {
        ServerEvent::Connect(connect) => format!("connect {}", connect.app),
        ServerEvent::Publish { app, name, query } => {
            format!("publish {app}/{}?{}", name.expose(), query.expose())
        }
        ServerEvent::Play { app, name, query } => {
            format!("play {app}/{}?{}", name.expose(), query.expose())
        }
        ServerEvent::Message { kind, time, body } => format!("{kind:?} {time} {}", body.len()),
        ServerEvent::PublishEnd => "publish end".to_owned(),
        ServerEvent::PlayEnd => "play end".to_owned(),
        ServerEvent::Playback => "playback".to_owned(),
        ServerEvent::Seek => "seek".to_owned(),
        ServerEvent::Refused(why) => format!("refused: {why}"),
        ServerEvent::PeerClosed => "closed".to_owned(),
    }
}

pub(super) fn message_text(message: &Message) -> String {
    let body = &message.body;
    match message.type_id {
        type_id::SET_CHUNK_SIZE => format!("chunk size {}", be32(body)),
        type_id::ACKNOWLEDGEMENT => format!("ack {}", be32(body)),
        type_id::WINDOW_ACK => format!("window {}", be32(body)),
        type_id::PEER_BANDWIDTH => format!("bandwidth {} {}", be32(body), body[4]),
        type_id::USER_CONTROL => format!("event {} {:?}", body[1], &body[2..]),
        type_id::COMMAND => {
            let command = Command::parse(body).unwrap();
            let result = command.args.first().and_then(Value::as_number);
            let what = match command.object_with("code") {
                Some(info) => text_of(info, "code").to_owned(),
                None => result.map_or_else(String::new, |n| n.to_string()),
            };
            let line =
                format!("{} {} @{} {what}", command.name, command.transaction, message.stream_id);
            line.trim_end().to_owned()
        }
        type_id::DATA => {
            let name = Decoder::new(body).string().unwrap();
            format!("data {name} @{} {} bytes", message.stream_id, body.len())
        }
        other => format!("type {other} @{} {} bytes", message.stream_id, body.len()),
    }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(*bytes.first_chunk().unwrap())
}
