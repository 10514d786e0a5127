//! RTMP by hand: what stands on the wire, seen by a peer that shares no code with the program.

use std::collections::HashMap;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::amf::Amf;
use crate::wait::SOON;

/// A connection after the handshake.
pub(crate) struct Wire {
    socket: TcpStream,
    input: BufReader<TcpStream>,
    chunks: HashMap<u32, Chunks>,
    chunk_size: usize,
}

/// A whole message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) time: u32,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The values of a command or of data; nothing for other messages.
    pub(crate) fn values(&self) -> Vec<Amf> {
        if matches!(self.kind, COMMAND | DATA) { Amf::read_all(&self.body) } else { Vec::new() }
    }

    /// The name of a command; empty for other messages.
    pub(crate) fn command(&self) -> String {
        let is_command = self.kind == COMMAND;
        let name = self.values().first().map(|name| name.as_text().to_owned());
        name.filter(|_| is_command).unwrap_or_default()
    }

    /// Code, level and description of an `onStatus`.
    pub(crate) fn status(&self) -> Option<[String; 3]> {
        let values = self.values();
        let info = values.get(3).filter(|_| self.command() == "onStatus")?;
        Some(["code", "level", "description"].map(|name| info.field(name).as_text().to_owned()))
    }

    pub(crate) fn is_video_header(&self) -> bool {
        self.kind == VIDEO && self.body.get(1) == Some(&0)
    }

    pub(crate) fn is_audio_header(&self) -> bool {
        self.kind == AUDIO && self.body.get(1) == Some(&0)
    }

    /// A picture, key or not.
    pub(crate) fn is_picture(&self) -> bool {
        self.kind == VIDEO && self.body.get(1) == Some(&1)
    }

    pub(crate) fn is_key(&self) -> bool {
        self.is_picture() && self.body[0] >> 4 == 1
    }
}

const SET_CHUNK_SIZE: u8 = 1;
pub(crate) const USER_CONTROL: u8 = 4;
pub(crate) const AUDIO: u8 = 8;
pub(crate) const VIDEO: u8 = 9;
pub(crate) const DATA: u8 = 18;
pub(crate) const COMMAND: u8 = 20;

/// What the chunks of one id have said so far.
#[derive(Default)]
struct Chunks {
    time: u32,
    step: u32,
    length: usize,
    kind: u8,
    stream: u32,
    extended: bool,
    part: Vec<u8>,
}

impl Wire {
    /// Connects and shakes hands, the simple way.
    pub(crate) fn open(port: u16) -> Self {
        Self::open_behind(port, b"")
    }

    /// The same behind a proxy that says this first.
    pub(crate) fn open_behind(port: u16, proxy: &[u8]) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.write_all(proxy).unwrap();
        socket.write_all(&[&[3], &[0; 1536][..]].concat()).unwrap();
        let mut s0s1s2 = [0; 1 + 2 * 1536];
        socket.read_exact(&mut s0s1s2).unwrap();
        assert_eq!(s0s1s2[0], 3, "the version of RTMP");
        socket.write_all(&s0s1s2[1..1537]).unwrap();
        Self::over(socket)
    }

    /// Shakes hands with somebody who connected to us.
    pub(crate) fn accept(mut socket: TcpStream) -> std::io::Result<Self> {
        socket.set_read_timeout(Some(SOON))?;
        let mut c0c1 = [0; 1537];
        socket.read_exact(&mut c0c1)?;
        socket.write_all(&[&[3], &[0; 1536][..], &c0c1[1..]].concat())?;
        socket.read_exact(&mut [0; 1536])?;
        Ok(Self::over(socket))
    }

    fn over(socket: TcpStream) -> Self {
        let input = BufReader::with_capacity(64 << 10, socket.try_clone().unwrap());
        Self { socket, input, chunks: HashMap::new(), chunk_size: 128 }
    }

    /// Connects to the application `live` and opens a message stream, whose id it gives.
    pub(crate) fn stream(port: u16) -> (Self, u32) {
        Self::open(port).connected(port)
    }

    /// Connects to the application `live` of the server that was reached at `port`.
    pub(crate) fn connected(self, port: u16) -> (Self, u32) {
        let mut wire = self;
        let url = format!("rtmp://127.0.0.1:{port}/live");
        let about = Amf::object(&[("app", "live"), ("tcUrl", &url), ("flashVer", "LNX 9,0,124,2")]);
        wire.command(0, &[Amf::text("connect"), Amf::Number(1.0), about]);
        wire.result(1.0);
        wire.command(0, &[Amf::text("createStream"), Amf::Number(2.0), Amf::Null]);
        let result = wire.result(2.0);
        let Some(Amf::Number(id)) = result.get(3) else { panic!("no stream: {result:?}") };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let id = *id as u32;
        (wire, id)
    }

    /// A viewer of `live/NAME`.
    pub(crate) fn play(port: u16, name: &str) -> Self {
        let (mut wire, id) = Self::stream(port);
        wire.command(id, &[Amf::text("play"), Amf::Number(0.0), Amf::Null, Amf::text(name)]);
        wire
    }

    /// Asks to publish as `live/NAME` and gives code, level and description of the answer.
    pub(crate) fn publish(&mut self, stream: u32, name: &str) -> [String; 3] {
        let values = [Amf::Null, Amf::text(name), Amf::text("live")];
        self.command(stream, &[&[Amf::text("publish"), Amf::Number(3.0)], &values[..]].concat());
        self.status()
    }

    /// Code, level and description of the next status.
    pub(crate) fn status(&mut self) -> [String; 3] {
        loop {
            let message = self.next().expect("a status");
            if let Some(status) = message.status() {
                return status;
            }
        }
    }

    /// Waits for the result of a command.
    fn result(&mut self, transaction: f64) -> Vec<Amf> {
        loop {
            let message = self.next().expect("an answer to a command");
            let values = message.values();
            if values.get(1) == Some(&Amf::Number(transaction)) {
                assert_eq!(message.command(), "_result", "{values:?}");
                return values;
            }
        }
    }

    /// Sends a command with these arguments behind its object, which is null.
    pub(crate) fn say(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[Amf]) {
        let head = [Amf::text(name), Amf::Number(transaction), Amf::Null];
        self.command(stream, &[&head[..], arguments].concat());
    }

    /// What comes before the answer to this call.
    pub(crate) fn until_result(&mut self, transaction: f64) -> Vec<Message> {
        let mut seen = Vec::new();
        loop {
            let message = self.next().expect("an answer to a command");
            if message.values().get(1) == Some(&Amf::Number(transaction)) {
                return seen;
            }
            seen.push(message);
        }
    }

    /// Sends a command on a message stream.
    pub(crate) fn command(&mut self, stream: u32, values: &[Amf]) {
        let mut body = Vec::new();
        values.iter().for_each(|value| value.write(&mut body));
        self.send(COMMAND, stream, 0, &body).unwrap();
    }

    /// Sends a message in chunks of 128 bytes.
    pub(crate) fn send(
        &mut self,
        kind: u8,
        stream: u32,
        time: u32,
        body: &[u8],
    ) -> std::io::Result<()> {
        self.socket.write_all(&Self::bytes_of(kind, stream, time, body))
    }

    /// What [`Wire::send`] sends.
    pub(crate) fn bytes_of(kind: u8, stream: u32, time: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![3];
        bytes.extend(&time.to_be_bytes()[1..]);
        bytes.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend(stream.to_le_bytes());
        for (number, part) in body.chunks(128).enumerate() {
            if number > 0 {
                bytes.push(0xc3);
            }
            bytes.extend(part);
        }
        bytes
    }

    /// The first chunk of a message of `length` bytes, and no more of it.
    pub(crate) fn send_part(&mut self, kind: u8, stream: u32, length: u32) -> std::io::Result<()> {
        let mut bytes = vec![3, 0, 0, 0];
        bytes.extend(&length.to_be_bytes()[1..]);
        bytes.push(kind);
        bytes.extend(stream.to_le_bytes());
        bytes.extend([7; 128]);
        self.socket.write_all(&bytes)
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The next message; `None` once the peer has closed.
    pub(crate) fn next(&mut self) -> Option<Message> {
        self.next_or_end().ok()
    }

    /// The next message, or how the connection ended: `UnexpectedEof` if the peer has closed it in
    /// order.
    pub(crate) fn next_or_end(&mut self) -> Result<Message, ErrorKind> {
        loop {
            match self.read_chunk() {
                Ok(Some(message)) if message.kind == SET_CHUNK_SIZE => {
                    let size = u32::from_be_bytes(message.body[..4].try_into().unwrap());
                    self.chunk_size = usize::try_from(size).unwrap();
                }
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    let waited =
                        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    assert!(!waited, "the peer has been silent for {SOON:?}");
                    return Err(error.kind());
                }
            }
        }
    }

    /// The next message for which `wanted` holds.
    pub(crate) fn find(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.next().unwrap_or_else(|| panic!("closed before {what}"));
            if wanted(&message) {
                return message;
            }
        }
    }

    /// Reads one chunk, and gives the message that it completes.
    fn read_chunk(&mut self) -> std::io::Result<Option<Message>> {
        let input = &mut self.input;
        let [first] = read(input)?;
        let id = match first & 0x3f {
            0 => 64 + u32::from(read::<1>(input)?[0]),
            1 => 64 + u32::from(u16::from_le_bytes(read(input)?)),
            id => id.into(),
        };
        let chunks = self.chunks.entry(id).or_default();
        let format = first >> 6;
        let begins = chunks.part.is_empty();
        let mut stamp = 0;
        if format < 3 {
            stamp = read_u24(input)?;
            chunks.extended = stamp == 0xff_ffff;
        }
        if format < 2 {
            chunks.length = usize::try_from(read_u24(input)?).unwrap();
            chunks.kind = read::<1>(input)?[0];
        }
        if format == 0 {
            chunks.stream = u32::from_le_bytes(read(input)?);
        }
        if chunks.extended {
            stamp = u32::from_be_bytes(read(input)?);
        }
        match format {
            0 => (chunks.time, chunks.step) = (stamp, stamp),
            1 | 2 => {
                chunks.step = stamp;
                chunks.time = chunks.time.wrapping_add(stamp);
            }
            _ if begins => chunks.time = chunks.time.wrapping_add(chunks.step),
            _ => {}
        }
        let have = chunks.part.len();
        let end = chunks.length.min(have + self.chunk_size);
        chunks.part.resize(end, 0);
        input.read_exact(&mut chunks.part[have..])?;
        if end < chunks.length {
            return Ok(None);
        }
        let Chunks { time, kind, stream, .. } = *chunks;
        Ok(Some(Message { kind, stream, time, body: std::mem::take(&mut chunks.part) }))
    }
}

fn read<const N: usize>(input: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_u24(input: &mut impl Read) -> std::io::Result<u32> {
    let [a, b, c] = read(input)?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}
