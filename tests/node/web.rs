//! HTTP, FLV and WebSocket by hand: what stands on the wire, seen by a client that shares no code
//! with the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::wait::SOON;

/// An answer whose body may still be coming.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines after the first, in small letters.
    pub(crate) head: String,
    pub(crate) body: Body,
}

/// What follows the head: bytes up to the end of the connection, or chunks.
pub(crate) struct Body {
    socket: BufReader<TcpStream>,
    /// Bytes to come of the present chunk, if it comes in chunks.
    chunk: Option<usize>,
    /// Whether the last chunk has come.
    is_over: bool,
}

impl Body {
    /// Whether it said that it was over before the connection was.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.socket.read_line(&mut line)?;
        assert!(line.is_empty() || line.ends_with("\r\n"), "{line:?}");
        Ok(line.trim_end().to_owned())
    }
}

impl Read for Body {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let Some(left) = self.chunk else { return self.socket.read(to) };
        if self.is_over {
            return Ok(0);
        }
        if left == 0 {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(0); // the connection broke
            }
            let left = usize::from_str_radix(&line, 16).expect("the length of a chunk");
            self.chunk = Some(left);
            self.is_over = left == 0 && self.line()?.is_empty();
            return if self.is_over { Ok(0) } else { self.read(to) };
        }
        let room = to.len().min(left);
        let count = self.socket.read(&mut to[..room])?;
        self.chunk = Some(left - count);
        if left == count {
            assert_eq!(self.line()?, "", "behind a chunk");
        }
        Ok(count)
    }
}

/// One tag of an FLV file.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) kind: u8,
    pub(crate) time: u32,
    pub(crate) body: Vec<u8>,
}

impl Tag {
    pub(crate) fn is_header(&self) -> bool {
        self.kind != 18 && self.body[1] == 0
    }

    /// A picture, key or not.
    pub(crate) fn is_picture(&self) -> bool {
        self.kind == 9 && self.body[1] == 1
    }

    pub(crate) fn is_key(&self) -> bool {
        self.is_picture() && self.body[0] >> 4 == 1
    }
}

impl Answer {
    /// Asks for `path` with these further lines, each ending in a line feed.
    pub(crate) fn to(port: u16, method: &str, path: &str, more: &str) -> Self {
        let more = more.replace('\n', "\r\n");
        let host = format!("Host: 127.0.0.1:{port}");
        Self::to_bytes(port, format!("{method} {path} HTTP/1.1\r\n{host}\r\n{more}\r\n").as_bytes())
    }

    /// Sends these bytes.
    pub(crate) fn to_bytes(port: u16, request: &[u8]) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.write_all(request).unwrap();
        let mut socket = BufReader::with_capacity(64 << 10, socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let head = rest.to_ascii_lowercase();
        let chunk = head.contains("transfer-encoding: chunked").then_some(0);
        Self { status, head, body: Body { socket, chunk, is_over: false } }
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The rest as text, up to the end of the connection.
    pub(crate) fn text(mut self) -> String {
        let mut text = String::new();
        self.body.read_to_string(&mut text).unwrap();
        text
    }

    /// The file's header: which tracks it announces.
    pub(crate) fn flv_header(&mut self) -> u8 {
        header_flags(&take(&mut self.body, 13).expect("a file"))
    }

    /// The next tag; nothing at the end.
    pub(crate) fn tag(&mut self) -> Option<Tag> {
        let mut head = take(&mut self.body, 11)?;
        let len = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        head.extend(take(&mut self.body, len + 4).expect("a whole tag"));
        Some(whole_tag(&head))
    }

    /// The next frame of a WebSocket: its first byte and what it carries.
    pub(crate) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = take(&mut self.body, 2)?;
        let len = match head[1] {
            126 => {
                let len = take(&mut self.body, 2).unwrap();
                u64::from(u16::from_be_bytes(len.try_into().unwrap()))
            }
            127 => u64::from_be_bytes(take(&mut self.body, 8).unwrap().try_into().unwrap()),
            len @ 0..=125 => len.into(),
            masked => panic!("a server does not mask: {masked}"),
        };
        let payload = take(&mut self.body, usize::try_from(len).unwrap()).expect("a whole frame");
        Some((head[0], payload))
    }

    /// Sends a frame as a WebSocket client does.
    pub(crate) fn say(&mut self, first: u8, payload: &[u8]) {
        let mask = [0xa5, 0x5a, 0x0f, 0xf0];
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.body.socket.get_mut().write_all(&frame).unwrap();
    }
}

/// The flags of a file's header, which has to be one.
pub(crate) fn header_flags(header: &[u8]) -> u8 {
    assert_eq!((&header[..4], &header[5..]), (&b"FLV\x01"[..], &[0, 0, 0, 9, 0, 0, 0, 0][..]));
    header[4]
}

/// A tag from its first byte to the size that follows it.
pub(crate) fn whole_tag(bytes: &[u8]) -> Tag {
    let (tag, size) = bytes.split_at(bytes.len() - 4);
    assert_eq!(usize::try_from(u32::from_be_bytes(size.try_into().unwrap())).unwrap(), tag.len());
    let time = u32::from_be_bytes([tag[7], tag[4], tag[5], tag[6]]);
    Tag { kind: tag[0], time, body: tag[11..].to_vec() }
}

fn take(input: &mut impl Read, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
