//! Web players: HTTP-FLV and WebSocket-FLV as a stranger reads them, byte by byte.

use super::env::{Env, Next};
use super::programme::{Audit, Sources};
use super::rng::Rng;

/// In which form the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The head of the answer is not complete.
    Head,
    Plain,
    Chunked,
    WebSocket,
    /// Nothing more is to come, or it was refused.
    Over,
}

/// A player that speaks HTTP.
#[derive(Debug)]
pub(super) struct WebPlayer {
    request: String,
    form: Form,
    bytes: Vec<u8>,
    /// What has been taken out of chunks or frames.
    file: Vec<u8>,
    has_file_header: bool,
    pongs: Vec<u8>,
    is_deaf: bool,
    pub(super) asked: Vec<usize>,
    pub(super) audit: Audit,
}

impl WebPlayer {
    pub(super) fn new(rng: &mut Rng, name: usize, path: &str) -> Self {
        let preview = if rng.once_in(5) { "?preview=1" } else { "" };
        let request = match rng.below(4) {
            0 => format!("GET /{path}.flv{preview} HTTP/1.0\r\n\r\n"),
            1 => format!("GET /{path}.flv{preview} HTTP/1.1\r\nHost: node\r\n\r\n"),
            2 => format!("GET /snapshot/{path}.jpg HTTP/1.1\r\nHost: node\r\n\r\n"),
            _ => format!(
                "GET /{path}.flv{preview} HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
        };
        Self {
            request,
            form: Form::Head,
            bytes: Vec::new(),
            file: Vec::new(),
            has_file_header: false,
            pongs: Vec::new(),
            is_deaf: rng.once_in(20),
            asked: vec![name],
            audit: Audit::default(),
        }
    }

    pub(super) fn act(&mut self, env: &mut Env<'_>, out: &mut Vec<u8>) -> Next {
        out.extend(std::mem::take(&mut self.request).bytes());
        if !self.is_deaf || env.is_calm {
            out.append(&mut self.pongs);
        }
        let leaves = match (self.form, env.is_calm) {
            (Form::Over, true) => true,
            (Form::Over, false) => env.rng.once_in(5),
            (_, true) => false,
            _ => env.rng.once_in(800),
        };
        match leaves {
            true if env.rng.once_in(3) => Next::Reset,
            true => Next::Leave,
            false => Next::Stay,
        }
    }

    pub(super) fn receive(&mut self, sources: &Sources, bytes: &[u8]) -> Result<(), String> {
        self.bytes.extend_from_slice(bytes);
        while let Some(used) = self.next()? {
            self.bytes.drain(..used);
        }
        self.tags(sources)
    }

    /// Takes the next part of the answer: how long it was.
    fn next(&mut self) -> Result<Option<usize>, String> {
        let bytes = &self.bytes[..];
        match self.form {
            Form::Head => {
                let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
                let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
                self.form = match status.as_str() {
                    "101" => Form::WebSocket,
                    "200" if head.contains("transfer-encoding: chunked") => Form::Chunked,
                    "200" if head.contains("image/jpeg") => Form::Over,
                    "200" => Form::Plain,
                    "403" | "404" | "408" | "503" => Form::Over,
                    _ => return Err(format!("an answer that begins with {head}")),
                };
                Ok(Some(end + 4))
            }
            Form::Plain => {
                self.file.extend_from_slice(bytes);
                Ok((!bytes.is_empty()).then_some(bytes.len()))
            }
            Form::Chunked => {
                let Some(line) = find(bytes, b"\r\n") else { return Ok(None) };
                let text = std::str::from_utf8(&bytes[..line]).map_err(|e| e.to_string())?;
                let len = usize::from_str_radix(text, 16).map_err(|e| format!("{text}: {e}"))?;
                let Some(chunk) = bytes.get(line + 2..line + len + 4) else { return Ok(None) };
                let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
                    return Err("a chunk of HTTP that does not end".to_owned());
                };
                self.file.extend_from_slice(chunk);
                if len == 0 {
                    self.form = Form::Over;
                }
                Ok(Some(line + len + 4))
            }
            Form::WebSocket => self.frame(),
            Form::Over => Ok((!bytes.is_empty()).then_some(bytes.len())),
        }
    }

    fn frame(&mut self) -> Result<Option<usize>, String> {
        let bytes = &self.bytes[..];
        let (Some(&first), Some(&second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
        let (at, len) = match second {
            126 => {
                let Some(len) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                    return Ok(None);
                };
                (4, usize::from(u16::from_be_bytes(*len)))
            }
            0..126 => (2, usize::from(second)),
            _ => return Err(format!("a frame with {second} as its length")),
        };
        let Some(payload) = bytes.get(at..at + len) else { return Ok(None) };
        match first {
            0x82 => self.file.extend_from_slice(payload),
            0x88 => self.form = Form::Over,
            0x89 => {
                self.pongs.extend([0x8a, 0x80 | second, 0, 0, 0, 0]);
                self.pongs.extend_from_slice(payload);
            }
            _ => return Err(format!("a frame that begins with {first:x}")),
        }
        Ok(Some(at + len))
    }

    /// Reads the FLV file (Video File Format 10.1 annex E).
    fn tags(&mut self, sources: &Sources) -> Result<(), String> {
        let mut at = 0;
        if !self.has_file_header {
            let Some(header) = self.file.get(..13) else { return Ok(()) };
            if header[..4] != *b"FLV\x01" || header[5..] != [0, 0, 0, 9, 0, 0, 0, 0] {
                return Err(format!("a file that begins with {header:x?}"));
            }
            self.has_file_header = true;
            at = 13;
        }
        while let Some(header) = self.file.get(at..at + 11) {
            let [type_id, a, b, c, t1, t2, t3, t0, rest @ ..] = header else { break };
            let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let time = u32::from_be_bytes([*t0, *t1, *t2, *t3]);
            if rest != [0; 3] || !matches!(type_id, 8 | 9 | 18) {
                return Err(format!("a tag that begins with {header:x?}"));
            }
            let Some(tag) = self.file.get(at + 11..at + 11 + len + 4) else { break };
            let (body, size) = tag.split_at(len);
            if size != u32::try_from(len + 11).unwrap().to_be_bytes() {
                return Err(format!("a tag of {len} bytes is followed by {size:x?}"));
            }
            self.audit.message(sources, &self.asked, (*type_id, time, body))?;
            at += 11 + len + 4;
        }
        self.file.drain(..at);
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
