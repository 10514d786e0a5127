//! Framing: the forms in which a reader gets messages: RTMP chunks, FLV tags, and FLV tags in
//! chunks of HTTP or in WebSocket frames. Bodies are never copied; what stands around them is
//! computed into a few bytes.

use serde::{Deserialize, Serialize};

use super::message::{Message, STREAM_ID};

/// In which form a reader gets messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// RTMP chunks for a peer that gave the stream this message stream id. With id 1 the bytes are
    /// the same for all readers.
    Chunks(u32),
    /// An FLV file: its header, then a tag per message (Video File Format 10.1 annex E).
    Flv,
    /// The same with the file header, and each tag, in a chunk of HTTP/1.1 (RFC 9112 section 7.1).
    /// The last chunk is for whoever ends the answer to say.
    ChunkedFlv,
    /// The same with the file header, and each tag, in a binary WebSocket frame (RFC 6455).
    WebSocketFlv,
}

impl Default for Framing {
    /// The bytes that all readers share.
    fn default() -> Self {
        Self::Chunks(STREAM_ID)
    }
}

/// What stands around the body of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wrap {
    bytes: [u8; WRAP_BYTES_MAX],
    before: u8,
    after: u8,
}

/// A 64-bit frame header, a tag header, the size of the tag, and the end of a chunk.
const WRAP_BYTES_MAX: usize = FRAME_BYTES_MAX + TAG_BYTES + SIZE_BYTES + LINE_END.len();

/// Of HTTP; behind the length of a chunk, and behind the chunk.
const LINE_END: [u8; 2] = *b"\r\n";

const FRAME_BYTES_MAX: usize = 10;

/// Of a tag's header.
const TAG_BYTES: usize = 11;

/// Of the size of the previous tag, which follows each.
const SIZE_BYTES: usize = 4;

/// Of the file's header and the size of the tag before the first.
const FILE_BYTES: usize = 13;

/// The file's header in a chunk, which takes more than a WebSocket frame.
const OPENING_BYTES_MAX: usize = 3 + FILE_BYTES + LINE_END.len();

/// Slices that one call sends; see [`Framing::messages`].
const SLICES: usize = 64;

impl Wrap {
    pub(super) const BLANK: Self = Self { bytes: [0; WRAP_BYTES_MAX], before: 0, after: 0 };

    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        usize::from(self.before) + usize::from(self.after) <= self.bytes.len()
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.bytes[..usize::from(self.before)]
    }

    pub(super) fn after(&self) -> &[u8] {
        let from = usize::from(self.before);
        &self.bytes[from..from + usize::from(self.after)]
    }

    fn put_before(&mut self, bytes: &[u8]) {
        self.before += self.put(bytes);
    }

    fn put_after(&mut self, bytes: &[u8]) {
        self.after += self.put(bytes);
    }

    fn put(&mut self, bytes: &[u8]) -> u8 {
        let at = usize::from(self.before + self.after);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        u8::try_from(bytes.len()).unwrap_or(0)
    }
}

/// The first bytes of an FLV stream and how many of them have been sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Opening {
    bytes: [u8; OPENING_BYTES_MAX],
    len: u8,
    pub(super) sent: u8,
}

impl Opening {
    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(super) fn is_whole(&self) -> bool {
        usize::from(self.len) <= self.bytes.len() && self.sent < self.len
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[usize::from(self.sent)..usize::from(self.len)]
    }
}

impl Framing {
    /// Whether readers of this form all get the bytes that lie in the messages.
    pub(super) const fn is_shared(self) -> bool {
        matches!(self, Self::Chunks(STREAM_ID))
    }

    /// Messages per gathering that need a [`Wrap`]: of one with two slices or three, a call with
    /// 64 slices has room for no more.
    pub(super) const fn messages(self) -> usize {
        match self {
            Self::Chunks(STREAM_ID) => 0,
            Self::Chunks(_) => SLICES / 2,
            Self::Flv | Self::ChunkedFlv | Self::WebSocketFlv => SLICES / 3,
        }
    }

    /// What stands around the body of `message`.
    pub(super) fn wrap(self, message: &Message) -> Wrap {
        let mut wrap = Wrap::BLANK;
        let body = message.body().len();
        match self {
            Self::Chunks(stream_id) => wrap.put_before(&message.header_for(stream_id)),
            Self::Flv => put_tag(&mut wrap, message),
            Self::ChunkedFlv => {
                let (chunk, len) = chunk_header(TAG_BYTES + body + SIZE_BYTES);
                wrap.put_before(&chunk[..len]);
                put_tag(&mut wrap, message);
                wrap.put_after(&LINE_END);
            }
            Self::WebSocketFlv => {
                let (frame, len) = frame_header(TAG_BYTES + body + SIZE_BYTES);
                wrap.put_before(&frame[..len]);
                put_tag(&mut wrap, message);
            }
        }
        wrap
    }

    /// Bytes of `message` in this form.
    pub(super) fn wire_len(self, message: &Message) -> usize {
        let tag = TAG_BYTES + message.body().len() + SIZE_BYTES;
        match self {
            Self::Chunks(_) => message.wire_len(),
            Self::Flv => tag,
            Self::ChunkedFlv => chunk_header(tag).1 + tag + LINE_END.len(),
            Self::WebSocketFlv => frame_header(tag).1 + tag,
        }
    }

    /// Gives `take` the pieces of the wire form from byte `offset` on, until it answers `false`.
    /// `wrap` is that of the message; without one it has the bytes that are shared. Says whether
    /// all were taken.
    pub(super) fn pieces<'a>(
        self,
        message: &'a Message,
        offset: usize,
        wrap: Option<&'a Wrap>,
        take: &mut impl FnMut(&'a [u8]) -> bool,
    ) -> bool {
        let (Self::Flv | Self::ChunkedFlv | Self::WebSocketFlv, Some(wrap)) = (self, wrap) else {
            return message.pieces(offset, wrap.map(Wrap::before), take);
        };
        let mut skip = offset;
        for piece in [wrap.before(), message.body(), wrap.after()] {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            if !take(&piece[skip..]) {
                return false;
            }
            skip = 0;
        }
        true
    }

    /// What comes before the first message, if anything. `audio` and `video` say what the stream
    /// has; if nothing is known yet, both are announced.
    pub(super) fn opening(self, audio: bool, video: bool) -> Option<Opening> {
        let known = audio || video;
        let flags = u8::from(video || !known) | u8::from(audio || !known) << 2;
        let mut file = [0; FILE_BYTES];
        file[..9].copy_from_slice(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9]);
        let mut opening = Opening { bytes: [0; OPENING_BYTES_MAX], len: 0, sent: 0 };
        let (head, head_len) = match self {
            Self::Chunks(_) => return None,
            Self::Flv => ([0; FRAME_BYTES_MAX], 0),
            Self::ChunkedFlv => chunk_header(FILE_BYTES),
            Self::WebSocketFlv => frame_header(FILE_BYTES),
        };
        let tail: &[u8] = if self == Self::ChunkedFlv { &LINE_END } else { &[] };
        let places = opening.bytes.iter_mut();
        let bytes = head[..head_len].iter().chain(&file).chain(tail);
        let count = places.zip(bytes).map(|(place, byte)| *place = *byte).count();
        opening.len = u8::try_from(count).unwrap_or(0);
        Some(opening)
    }
}

/// The tag's header before the body and its size after it.
fn put_tag(wrap: &mut Wrap, message: &Message) {
    let body = u32::try_from(message.body().len()).unwrap_or(u32::MAX).min(0xff_ffff);
    let [_, len @ ..] = body.to_be_bytes();
    let [upper, time @ ..] = message.time().to_be_bytes();
    wrap.put_before(&[message.type_id()]);
    wrap.put_before(&len);
    wrap.put_before(&time);
    wrap.put_before(&[upper, 0, 0, 0]); // the stream id is always 0
    wrap.put_after(&(body + 11).to_be_bytes());
}

/// The header of an unmasked binary frame with a payload of `len` bytes, and how long it is
/// (RFC 6455 section 5.2).
fn frame_header(len: usize) -> ([u8; FRAME_BYTES_MAX], usize) {
    const WHOLE_BINARY: u8 = 0x82;
    let mut header = [0; FRAME_BYTES_MAX];
    header[0] = WHOLE_BINARY;
    if let Ok(len @ ..=125) = u8::try_from(len) {
        header[1] = len;
        return (header, 2);
    }
    if let Ok(len) = u16::try_from(len) {
        header[1] = 126;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        return (header, 4);
    }
    header[1] = 127;
    header[2..].copy_from_slice(&(len as u64).to_be_bytes());
    (header, FRAME_BYTES_MAX)
}

/// The line before a chunk of `len` bytes, and how long that line is.
fn chunk_header(len: usize) -> ([u8; FRAME_BYTES_MAX], usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut header = [0; FRAME_BYTES_MAX];
    // A message has 24 bits of length at most: with a tag around it, seven digits.
    let digits = (len.max(1).ilog2() as usize / 4 + 1).min(FRAME_BYTES_MAX - LINE_END.len());
    for (place, digit) in header[..digits].iter_mut().zip((0..digits).rev()) {
        *place = DIGITS[len >> (4 * digit) & 0xf];
    }
    header[digits..digits + LINE_END.len()].copy_from_slice(&LINE_END);
    (header, digits + LINE_END.len())
}
