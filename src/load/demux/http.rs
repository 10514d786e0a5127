//! HTTP demuxer: the head of an answer, then FLV in its body or in the frames of a `WebSocket`
//! (RFC 9112, RFC 6455).

use std::fmt;

use super::flv::{FlvDemuxer, NotFlv};
use super::frames::{FrameReader, PING, pong};

/// Longest head of an answer. A longer one is no answer of a media server: the player ends.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Fields of a head at most.
const FIELDS_MAX: usize = 64;

/// Longest line with the length of a chunk. A longer one is an error.
const CHUNK_LINE_BYTES_MAX: usize = 64;

/// One connection's place in the answer of its server.
#[derive(Debug, Default)]
pub(in crate::load) struct HttpDemuxer {
    body: Body,
    flv: FlvDemuxer,
    /// Payload of a ping that has not ended.
    ping: Vec<u8>,
}

/// How the answer brings FLV.
#[derive(Debug)]
enum Body {
    /// Not known yet: the head's bytes so far.
    Head(Vec<u8>),
    /// Up to the connection's end, or to a length that a stream does not reach.
    Plain,
    Chunks(ChunkReader),
    Frames(FrameReader),
}

/// Why an answer cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::load) enum HttpFault {
    /// The server refuses, with this status.
    Status(u16),
    /// It speaks no HTTP, or chunks that are none.
    Malformed,
    /// It sends no FLV.
    NotFlv,
    /// The stream is over.
    Over,
}

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answers with HTTP status {status}"),
            Self::Malformed => f.write_str("the server's answer is no HTTP"),
            Self::NotFlv => f.write_str("the server's answer is no FLV"),
            Self::Over => f.write_str("the stream is over"),
        }
    }
}

impl std::error::Error for HttpFault {}

impl From<NotFlv> for HttpFault {
    fn from(_: NotFlv) -> Self {
        Self::NotFlv
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl HttpDemuxer {
    /// Tells so many bytes of each tag's body.
    pub(in crate::load) fn new(peek: usize) -> Self {
        Self { flv: FlvDemuxer::new(peek), ..Self::default() }
    }

    /// Whether the server has said yes.
    pub(in crate::load) const fn is_accepted(&self) -> bool {
        !matches!(self.body, Body::Head(_))
    }

    /// Takes bytes; tells kind and first bytes of each tag's body that ends. What the server is to
    /// be answered goes to `output`.
    ///
    /// # Errors
    /// If the server refuses, or sends something else than FLV.
    pub(in crate::load) fn take(
        &mut self,
        bytes: &[u8],
        output: &mut Vec<u8>,
        mut message: impl FnMut(u8, &[u8]),
    ) -> Result<(), HttpFault> {
        let Self { body, flv, ping } = self;
        let behind_head;
        let mut bytes = bytes;
        if let Body::Head(head) = body {
            head.extend_from_slice(bytes);
            let Some((next, len)) = read_head(head)? else {
                return if head.len() > HEAD_BYTES_MAX {
                    Err(HttpFault::Malformed)
                } else {
                    Ok(())
                };
            };
            behind_head = head.split_off(len);
            bytes = &behind_head;
            *body = next;
        }
        match body {
            Body::Head(_) => Ok(()),
            Body::Plain => Ok(flv.take(bytes, message)?),
            Body::Chunks(chunks) => chunks.take(bytes, |data| Ok(flv.take(data, &mut message)?)),
            Body::Frames(frames) => frames.take(bytes, |opcode, data, is_last| {
                const BINARY: u8 = 2;
                const CONTINUED: u8 = 0;
                const CLOSE: u8 = 8;
                match opcode {
                    BINARY | CONTINUED => flv.take(data, &mut message)?,
                    CLOSE => return Err(HttpFault::Over),
                    PING => {
                        ping.extend_from_slice(data);
                        if is_last {
                            output.extend(pong(ping));
                            ping.clear();
                        }
                    }
                    _ => {}
                }
                Ok(())
            }),
        }
    }
}

/// How the body comes and where it begins; `None` if the head has not ended.
fn read_head(head: &[u8]) -> Result<Option<(Body, usize)>, HttpFault> {
    const OK: u16 = 200;
    const SWITCHING: u16 = 101;
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let parsed = answer.parse(head).map_err(|_| HttpFault::Malformed)?;
    let httparse::Status::Complete(len) = parsed else { return Ok(None) };
    let is_chunked = answer.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("transfer-encoding")
            && field.value.eq_ignore_ascii_case(b"chunked")
    });
    match answer.code {
        Some(SWITCHING) => Ok(Some((Body::Frames(FrameReader::default()), len))),
        Some(OK) if is_chunked => Ok(Some((Body::Chunks(ChunkReader::default()), len))),
        Some(OK) => Ok(Some((Body::Plain, len))),
        status => Err(HttpFault::Status(status.unwrap_or(0))),
    }
}

/// One connection's place in a body that comes in chunks (RFC 9112 section 7.1).
#[derive(Debug, Default)]
struct ChunkReader {
    line: Vec<u8>,
    left: usize,
    /// Whether what follows is the end of a line behind a chunk.
    is_behind: bool,
}

impl ChunkReader {
    fn take(
        &mut self,
        mut bytes: &[u8],
        mut data: impl FnMut(&[u8]) -> Result<(), HttpFault>,
    ) -> Result<(), HttpFault> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let (chunk, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= chunk.len();
                self.is_behind = self.left == 0;
                data(chunk)?;
                bytes = rest;
                continue;
            }
            bytes = rest;
            match first {
                b'\n' if self.is_behind => self.is_behind = false,
                b'\n' => {
                    self.left = length_of(&self.line)?;
                    self.line.clear();
                    if self.left == 0 {
                        return Err(HttpFault::Over);
                    }
                }
                _ if self.line.len() == CHUNK_LINE_BYTES_MAX => return Err(HttpFault::Malformed),
                b'\r' => {}
                _ if self.is_behind => return Err(HttpFault::Malformed),
                byte => self.line.push(*byte),
            }
        }
        Ok(())
    }
}

/// The length that a line says; what follows a semicolon is an extension.
fn length_of(line: &[u8]) -> Result<usize, HttpFault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|_| HttpFault::Malformed)?;
    usize::from_str_radix(text.trim(), 16).map_err(|_| HttpFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::demux::flv::tests::file;

    /// Kinds and first bytes of messages, what the server is answered, and how it ended.
    type Taken = (Vec<(u8, Vec<u8>)>, Vec<u8>, Result<(), HttpFault>);

    /// What comes of an answer in pieces of `size`.
    fn taken(answer: &[u8], size: usize) -> Taken {
        let (mut demuxer, mut output, mut told) = (HttpDemuxer::default(), Vec::new(), Vec::new());
        let result = answer.chunks(size).try_for_each(|piece| {
            demuxer.take(piece, &mut output, |kind, start| told.push((kind, start.to_vec())))
        });
        (told, output, result)
    }

    #[test]
    fn a_body_is_read_plain_in_chunks_and_in_frames_whatever_the_pieces() {
        let (file, wanted) = file();
        let mut plain = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n".to_vec();
        plain.extend_from_slice(&file);
        let mut chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n".to_vec();
        let mut frames = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".to_vec();
        for part in file.chunks(50) {
            chunks.extend_from_slice(format!("{:x};a=b\r\n", part.len()).as_bytes());
            chunks.extend_from_slice(part);
            chunks.extend_from_slice(b"\r\n");
            frames.extend([0x89, 1, 7, 0x82, u8::try_from(part.len()).unwrap()]);
            frames.extend_from_slice(part);
        }
        for (name, answer) in [("plain", plain), ("chunks", chunks), ("frames", frames)] {
            for size in 1..=answer.len() {
                let (told, output, result) = taken(&answer, size);
                assert_eq!((told, result), (wanted.clone(), Ok(())), "{name}, pieces of {size}");
                let pongs = if name == "frames" { file.chunks(50).count() } else { 0 };
                assert_eq!(output.len(), pongs * 7, "{name}, pieces of {size}");
            }
        }
    }

    #[test]
    fn a_server_that_refuses_ends_or_sends_something_else_is_told() {
        let ends_of = |answer: &[u8]| taken(answer, answer.len()).2;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let cases = [
            (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), HttpFault::Status(404)),
            (b"RTMP/1.1 404 Not Found\r\n\r\n".to_vec(), HttpFault::Malformed),
            (b"HTTP/1.1 200 OK\r\n\r\n<!DOCTYPE html>".to_vec(), HttpFault::NotFlv),
            ([&head[..], b"0\r\n\r\n"].concat(), HttpFault::Over),
            ([&head[..], b"xyz\r\n"].concat(), HttpFault::Malformed),
            ([&head[..], &[b'1'; 80]].concat(), HttpFault::Malformed),
            (vec![b'H'; HEAD_BYTES_MAX + 1], HttpFault::Malformed),
        ];
        for (answer, wanted) in cases {
            assert_eq!(ends_of(&answer), Err(wanted), "{}", String::from_utf8_lossy(&answer));
        }
    }
}
