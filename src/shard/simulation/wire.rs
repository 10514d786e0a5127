//! RTMP as a stranger speaks it, written after the specification and sharing nothing with `rtmp`:
//! commands and media in chunks, and a reader that refuses what is no valid chunk stream.

/// Bytes that either side says before its first chunk: version and two blocks of the handshake.
pub(super) const HANDSHAKE: usize = 1 + 2 * 1_536;

/// A value of AMF0.
pub(super) enum Amf<'a> {
    Number(f64),
    Text(&'a str),
    Bool(bool),
    Null,
    Object(&'a [(&'a str, &'a str)]),
}

fn amf(out: &mut Vec<u8>, value: &Amf<'_>) {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        out.extend(text.as_bytes());
    };
    match value {
        Amf::Number(number) => {
            out.push(0);
            out.extend(number.to_be_bytes());
        }
        Amf::Bool(flag) => out.extend([1, u8::from(*flag)]),
        Amf::Text(value) => {
            out.push(2);
            text(out, value);
        }
        Amf::Object(members) => {
            out.push(3);
            for (name, value) in *members {
                text(out, name);
                amf(out, &Amf::Text(value));
            }
            out.extend([0, 0, 9]);
        }
        Amf::Null => out.push(5),
    }
}

/// A command, or data with its name first, as a body.
pub(super) fn body(values: &[Amf<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    values.iter().for_each(|value| amf(&mut body, value));
    body
}

/// Version, block and answer of a client that does not wait for the server's.
pub(super) fn hello(out: &mut Vec<u8>) {
    out.push(3);
    out.resize(out.len() + 2 * 1_536, 0);
}

/// What a message is and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) type_id: u8,
    pub(super) stream_id: u32,
    pub(super) time: u32,
}

/// Writes a message in chunks of at most `size` bytes.
pub(super) fn message(out: &mut Vec<u8>, head: Head, body: &[u8], size: usize) {
    let chunk_stream = match head.type_id {
        1..=6 => 2,
        8 => 4,
        9 => 6,
        _ => 3,
    };
    let is_extended = head.time >= 0xff_ffff;
    let [_, time @ ..] = head.time.min(0xff_ffff).to_be_bytes();
    let [_, len @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    out.push(chunk_stream);
    out.extend(time);
    out.extend(len);
    out.push(head.type_id);
    out.extend(head.stream_id.to_le_bytes());
    for (at, chunk) in body.chunks(size).enumerate() {
        if at > 0 {
            out.push(0xc0 | chunk_stream);
        }
        if is_extended {
            out.extend(head.time.to_be_bytes());
        }
        out.extend(chunk);
    }
}

/// Writes a command in chunks of the usual 128 bytes.
pub(super) fn command(
    out: &mut Vec<u8>,
    stream_id: u32,
    name: &str,
    number: f64,
    rest: &[Amf<'_>],
) {
    let mut bytes = body(&[Amf::Text(name), Amf::Number(number)]);
    rest.iter().for_each(|value| amf(&mut bytes, value));
    message(out, Head { type_id: 20, stream_id, time: 0 }, &bytes, 128);
}

/// `connect` to an application.
pub(super) fn connect(out: &mut Vec<u8>, app: &str) {
    let members = [("app", app), ("flashVer", "sim"), ("tcUrl", "rtmp://node/live")];
    command(out, 0, "connect", 1.0, &[Amf::Object(&members)]);
}

/// Answers a ping.
pub(super) fn pong(out: &mut Vec<u8>, data: &[u8]) {
    let body = [&[0, 7], data].concat();
    message(out, Head { type_id: 4, stream_id: 0, time: 0 }, &body, 128);
}

/// One chunk stream of a [`Reader`].
#[derive(Debug, Default)]
struct Chunks {
    id: u32,
    time: u32,
    delta: u32,
    len: usize,
    type_id: u8,
    stream_id: u32,
    is_extended: bool,
    is_open: bool,
    body: Vec<u8>,
}

/// Takes a message, or says what is wrong with it.
pub(super) type Take<'a> = &'a mut dyn FnMut(Head, &[u8]) -> Result<(), String>;

/// Reads what a peer is sent (RTMP 1.0 section 5.3), however it is cut.
#[derive(Debug)]
pub(super) struct Reader {
    /// Bytes of the handshake that are still to come.
    handshake: usize,
    size: usize,
    streams: Vec<Chunks>,
    bytes: Vec<u8>,
    at: usize,
}

impl Default for Reader {
    fn default() -> Self {
        let streams = Vec::new();
        Self { handshake: HANDSHAKE, size: 128, streams, bytes: Vec::new(), at: 0 }
    }
}

impl Reader {
    /// Of a chunk stream alone.
    pub(super) fn without_handshake() -> Self {
        Self { handshake: 0, ..Self::default() }
    }

    /// Takes bytes, and gives `take` each message that they complete.
    pub(super) fn read(&mut self, mut bytes: &[u8], take: Take<'_>) -> Result<(), String> {
        let greeting = self.handshake.min(bytes.len());
        if self.handshake == HANDSHAKE && greeting > 0 && bytes[0] != 3 {
            return Err(format!("a handshake that begins with {}", bytes[0]));
        }
        self.handshake -= greeting;
        bytes = &bytes[greeting..];
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
        while let Some((number, next)) = self.chunk()? {
            self.at = next;
            let chunks = &mut self.streams[number];
            if chunks.body.len() < chunks.len {
                continue;
            }
            chunks.is_open = false;
            let body = std::mem::take(&mut chunks.body);
            let head =
                Head { type_id: chunks.type_id, stream_id: chunks.stream_id, time: chunks.time };
            if head.type_id == 1 {
                let size = body.first_chunk().ok_or("a short chunk size")?;
                self.size = u32::from_be_bytes(*size) as usize;
                if self.size == 0 || self.size > 0xff_ffff {
                    return Err(format!("chunks of {} bytes", self.size));
                }
            }
            take(head, &body)?;
            let chunks = &mut self.streams[number];
            chunks.body = body;
            chunks.body.clear();
        }
        Ok(())
    }

    /// Takes the next chunk if it is whole: the place of its chunk stream, and where it ends.
    fn chunk(&mut self) -> Result<Option<(usize, usize)>, String> {
        let mut rest = &self.bytes[self.at..];
        let mut next = |count: usize| -> Option<&[u8]> {
            let (piece, after) = rest.split_at_checked(count)?;
            rest = after;
            Some(piece)
        };
        let Some([first]) = next(1) else { return Ok(None) };
        let (format, id) = (first >> 6, u32::from(first & 63));
        if id < 2 {
            return Err(format!("chunk stream id of {} bytes", id + 2));
        }
        let Some(header) = next([11, 7, 3, 0][usize::from(format)]) else { return Ok(None) };
        let found = self.streams.iter().position(|stream| stream.id == id);
        if found.is_none() && format != 0 {
            return Err(format!("chunk stream {id} begins with a header of type {format}"));
        }
        let number = found.unwrap_or_else(|| {
            self.streams.push(Chunks { id, ..Chunks::default() });
            self.streams.len() - 1
        });
        let chunks = &mut self.streams[number];
        if chunks.is_open && format != 3 {
            return Err(format!("chunk stream {id} begins a message within another"));
        }
        let short = header.first_chunk::<3>().map(|[a, b, c]| u32::from_be_bytes([0, *a, *b, *c]));
        let is_extended = short.map_or(chunks.is_extended, |short| short == 0xff_ffff);
        let stamp = match (is_extended, short) {
            (true, _) => {
                let Some(stamp) = next(4) else { return Ok(None) };
                u32::from_be_bytes(*stamp.first_chunk().unwrap())
            }
            (false, Some(short)) => short,
            (false, None) => chunks.delta,
        };
        let (mut len, mut type_id) = (chunks.len, chunks.type_id);
        if let Some([_, _, _, a, b, c, id]) = header.first_chunk() {
            (len, type_id) = (u32::from_be_bytes([0, *a, *b, *c]) as usize, *id);
        }
        let Some(piece) = next(self.size.min(len - chunks.body.len())) else { return Ok(None) };
        if !chunks.is_open {
            (chunks.len, chunks.type_id, chunks.is_extended) = (len, type_id, is_extended);
            match format {
                0 => {
                    (chunks.time, chunks.delta) = (stamp, 0);
                    let stream_id = header[7..].first_chunk().unwrap();
                    chunks.stream_id = u32::from_le_bytes(*stream_id);
                }
                _ => {
                    chunks.delta = stamp;
                    chunks.time = chunks.time.wrapping_add(stamp);
                }
            }
            if !matches!(type_id, 1..=6 | 8 | 9 | 18 | 20) {
                return Err(format!("a message of type {type_id}"));
            }
            if len == 0 && matches!(type_id, 8 | 9) {
                return Err("a message without a body".to_owned());
            }
            chunks.is_open = true;
        } else if is_extended && stamp != chunks.time {
            return Err("another time within a message".to_owned());
        }
        chunks.body.extend_from_slice(piece);
        let end = self.bytes.len() - rest.len();
        Ok(Some((number, end)))
    }
}
