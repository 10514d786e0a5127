//! Chunks to messages, for any segmentation of the input and any peer's dialect.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::frame::{Budget, PacketBuf, PacketPool, Share};
use crate::media::Micros;
use crate::rtmp::Error;
use crate::rtmp::limits::{
    CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX, CHUNK_STREAMS_MAX, FIRST_RESERVE_BYTES, PARTIAL_BYTES_MAX,
};

use super::header::EXTENDED_TIME;

/// A whole message as it came from the peer.
#[derive(Debug)]
pub struct Message {
    /// Message type id.
    pub type_id: u8,
    /// Absolute time, milliseconds modulo 2^32.
    pub time: u32,
    /// Message stream id.
    pub stream_id: u32,
    /// Body; may be empty.
    pub body: PacketBuf,
}

/// Assembles messages. Call [`Reader::read`] until it returns `None`; apply `SetChunkSize` and
/// `Abort` between two calls.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reader {
    chunk_size: u32,
    streams: Vec<ChunkStream>,
    /// Sum of `reserved` over all streams, and `held`.
    reserved: usize,
    /// Bytes of whole messages that the session holds.
    held: usize,
    /// What that may be at most.
    reserved_max: usize,
    /// What of it comes from the budget of all connections.
    share: Share,
    /// The chunk header being read.
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    /// Bytes taken as a header that turned out to be payload; they come before the input.
    spill: [u8; 4],
    spill_len: usize,
    /// The chunk whose payload is being read: index of its stream, bytes left.
    payload: Option<(usize, usize)>,
    /// When what is read now came.
    #[serde(skip)]
    now: Micros,
}

/// Basic header, message header, extended timestamp.
const HEADER_BYTES_MAX: usize = 3 + 11 + 4;

/// What is remembered of a chunk stream (section 5.3.1.2).
#[derive(Debug, Serialize, Deserialize)]
struct ChunkStream {
    id: u32,
    time: u32,
    /// Added by a type 3 chunk that starts a message.
    delta: u32,
    /// The extended timestamp field, if the last type 0, 1 or 2 chunk had one.
    extended: Option<u32>,
    length: u32,
    type_id: u8,
    stream_id: u32,
    partial: Option<Partial>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Partial {
    body: PacketBuf,
    reserved: usize,
}

/// A parsed chunk header.
#[derive(Clone, Copy, Debug)]
struct ChunkHeader {
    format: u8,
    chunk_stream: u32,
    /// Time or delta, as `format` says; not for format 3.
    time: u32,
    extended: bool,
    /// Length and type of the message, in formats 0 and 1.
    message: Option<(u32, u8)>,
    /// Message stream, in format 0.
    stream_id: u32,
}

enum Parsed {
    /// The header goes on: this many bytes in all must be there.
    Needs(usize),
    /// The header is complete and has this many bytes; any further ones are payload.
    Header(ChunkHeader, usize),
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            chunk_size: CHUNK_SIZE_INITIAL,
            streams: Vec::new(),
            reserved: 0,
            held: 0,
            reserved_max: PARTIAL_BYTES_MAX,
            share: Share::default(),
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            spill: [0; 4],
            spill_len: 0,
            payload: None,
            now: Micros(0),
        }
    }
}

impl Reader {
    /// The peer cuts its chunks to `bytes` from the next chunk on, even within a message. Values
    /// above [`CHUNK_SIZE_MAX`] mean "one chunk"; 0 has no meaning and is ignored, as is the bit
    /// that must be zero.
    pub fn set_chunk_size(&mut self, bytes: u32) {
        let bytes = bytes & 0x7fff_ffff;
        if bytes > 0 {
            self.chunk_size = bytes.min(CHUNK_SIZE_MAX);
        }
    }

    /// What is read from here on came then: messages that begin in it have it as the time of their
    /// first byte, see [`PacketBuf::began`].
    pub const fn set_now(&mut self, now: Micros) {
        self.now = now;
    }

    /// How many bytes may be reserved for unfinished messages from here on, at most
    /// [`PARTIAL_BYTES_MAX`], which is what holds before.
    pub fn set_reserved_max(&mut self, bytes: usize) {
        self.reserved_max = bytes.min(PARTIAL_BYTES_MAX);
    }

    /// What is reserved comes from a budget that connections share, from here on.
    pub fn join(&mut self, budget: Arc<Budget>) {
        self.share.join(budget);
    }

    /// It was read from a snapshot: what it has reserved comes from `budget`, if any. `false` if it
    /// contradicts itself.
    #[must_use]
    pub fn resume(&mut self, budget: Option<&Arc<Budget>>) -> bool {
        let partials = || self.streams.iter().filter_map(|stream| stream.partial.as_ref());
        let parts = partials().map(|partial| partial.reserved);
        let reserved = parts.fold(self.held, usize::saturating_add);
        let fits = |stream: &ChunkStream| {
            let got = stream.partial.as_ref().map_or(0, |partial| partial.body.len());
            got <= usize_of(stream.length)
        };
        let left = |index: usize| {
            let stream = self.streams.get(index)?;
            let got = stream.partial.as_ref()?.body.len();
            usize_of(stream.length).checked_sub(got)
        };
        let payload_fits =
            self.payload.is_none_or(|(index, bytes)| left(index).is_some_and(|it| bytes <= it));
        let is_whole = self.reserved == reserved
            && self.header_len <= self.header.len()
            && self.spill_len <= self.spill.len()
            && self.streams.len() <= CHUNK_STREAMS_MAX
            && (1..=CHUNK_SIZE_MAX).contains(&self.chunk_size)
            && self.streams.iter().all(fits)
            && payload_fits;
        if is_whole && let Some(budget) = budget {
            self.share.rejoin(budget, self.reserved);
        }
        is_whole
    }

    /// The peer has been let in, or not any more: how much of the budget it may have.
    pub const fn let_in(&mut self, is_let_in: bool) {
        self.share.let_in(is_let_in);
    }

    /// Forgets the unfinished message of a chunk stream (section 5.4.2).
    pub fn abort(&mut self, chunk_stream: u32) {
        let Some(index) = self.streams.iter().position(|s| s.id == chunk_stream) else { return };
        if let Some(partial) = self.streams[index].partial.take() {
            self.release(partial.reserved);
        }
        self.payload = self.payload.filter(|(at, _)| *at != index);
    }

    /// Whole messages of so many bytes are held for a while: they count as unfinished ones do.
    ///
    /// # Errors
    /// If that is more than the connection, or all of them, may have.
    pub(in crate::rtmp) fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        reserve(&mut self.share, &mut self.reserved, self.reserved_max, bytes)?;
        self.held += bytes;
        Ok(())
    }

    /// No message is held any more.
    pub(in crate::rtmp) fn let_go(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.release(held);
    }

    /// Bytes reserved for messages that are held or not complete.
    pub(in crate::rtmp) const fn reserved(&self) -> usize {
        self.reserved
    }

    /// Whether everything that came was whole messages.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        self.reserved == self.held && self.header_len == 0
    }

    /// Takes bytes off `input` up to the end of one message, or all of them.
    ///
    /// # Errors
    /// If the peer breaks the chunk format or goes over a limit; the reader is then useless.
    pub fn read(&mut self, input: &mut &[u8], pool: &PacketPool) -> Result<Option<Message>, Error> {
        loop {
            let Some((index, left)) = self.payload else {
                let Some(header) = self.read_header(input)? else { return Ok(None) };
                if let Some(message) = self.begin(header, pool)? {
                    return Ok(Some(message));
                }
                continue;
            };
            let (spill, spilled) = (self.spill, self.spill_len > 0);
            let bytes = if spilled { &spill[..self.spill_len] } else { *input };
            if bytes.is_empty() {
                return Ok(None);
            }
            let taken = left.min(bytes.len());
            self.append(index, &bytes[..taken], pool)?;
            self.skip(input, taken);
            if left > taken {
                self.payload = Some((index, left - taken));
                continue;
            }
            self.payload = None;
            if let Some(message) = self.finish(index) {
                return Ok(Some(message));
            }
        }
    }

    /// Collects one chunk header; `None` if the input ends first.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<ChunkHeader>, Error> {
        loop {
            let needed = match self.parse_header()? {
                Parsed::Needs(bytes) => bytes,
                Parsed::Header(header, used) => {
                    self.unread(used);
                    self.header_len = 0;
                    return Ok(Some(header));
                }
            };
            let (spill, spilled) = (self.spill, self.spill_len > 0);
            let bytes = if spilled { &spill[..self.spill_len] } else { *input };
            let taken = bytes.len().min(needed - self.header_len);
            if taken == 0 {
                return Ok(None);
            }
            self.header[self.header_len..self.header_len + taken].copy_from_slice(&bytes[..taken]);
            self.header_len += taken;
            self.skip(input, taken);
        }
    }

    fn parse_header(&self) -> Result<Parsed, Error> {
        let have = &self.header[..self.header_len];
        let Some(&first) = have.first() else { return Ok(Parsed::Needs(1)) };
        let format = first >> 6;
        let basic = match first & 0x3f {
            0 => 2,
            1 => 3,
            _ => 1,
        };
        let fixed = basic + [11, 7, 3, 0][usize::from(format)];
        if have.len() < fixed {
            return Ok(Parsed::Needs(fixed));
        }
        // Section 5.3.1.1: 2 to 63 in one byte, then 64 + a byte, then 64 + a little-endian pair.
        let chunk_stream = match *have {
            [_, low, ..] if basic == 2 => 64 + u32::from(low),
            [_, low, high, ..] if basic == 3 => 64 + u32::from(low) + 256 * u32::from(high),
            _ => u32::from(first & 0x3f),
        };
        let mut header = ChunkHeader {
            format,
            chunk_stream,
            time: 0,
            extended: false,
            message: None,
            stream_id: 0,
        };
        let field = &have[basic..];
        if format == 3 {
            return self.parse_continuation(header, field, basic);
        }
        header.time = be24(field);
        if format < 2 {
            header.message = Some((be24(&field[3..]), field[6]));
        }
        if format == 0 {
            header.stream_id = u32::from_le_bytes([field[7], field[8], field[9], field[10]]);
        }
        if header.time < EXTENDED_TIME {
            return Ok(Parsed::Header(header, fixed));
        }
        let Some(time) = have[fixed..].first_chunk::<4>() else {
            return Ok(Parsed::Needs(fixed + 4));
        };
        header.time = u32::from_be_bytes(*time);
        header.extended = true;
        Ok(Parsed::Header(header, fixed + 4))
    }

    /// A type 3 chunk repeats the extended timestamp (section 5.3.1.3), but many peers leave it out
    /// and some repeat the absolute time where the field was a delta. So: the next bytes are a
    /// timestamp as long as they look like one of the two.
    fn parse_continuation(
        &self,
        header: ChunkHeader,
        field: &[u8],
        basic: usize,
    ) -> Result<Parsed, Error> {
        let Some(stream) = self.streams.iter().find(|s| s.id == header.chunk_stream) else {
            return Err(Error::Protocol("first chunk of a chunk stream has no message header"));
        };
        let Some(extended) = stream.extended else {
            return Ok(Parsed::Header(header, basic));
        };
        let alike = |time: u32| time.to_be_bytes().starts_with(field);
        if !alike(extended) && !alike(stream.time) {
            return Ok(Parsed::Header(header, basic));
        }
        if field.len() < 4 {
            return Ok(Parsed::Needs(basic + field.len() + 1));
        }
        Ok(Parsed::Header(header, basic + 4))
    }

    /// Starts a chunk, and a message if none is under way. Returns the message if it is empty.
    fn begin(&mut self, header: ChunkHeader, pool: &PacketPool) -> Result<Option<Message>, Error> {
        let index = self.stream_index(&header)?;
        let stream = &mut self.streams[index];
        if stream.partial.is_none() {
            stream.start(&header);
            let reserved = usize_of(stream.length).min(FIRST_RESERVE_BYTES);
            reserve(&mut self.share, &mut self.reserved, self.reserved_max, reserved)?;
            let mut body = pool.take(reserved);
            body.set_began(self.now);
            stream.partial = Some(Partial { body, reserved });
        } else if header.format == 0 {
            return Err(Error::Protocol("new message header in the middle of a message"));
        } else if header.message.is_some_and(|m| m != (stream.length, stream.type_id)) {
            return Err(Error::Protocol("message changes its length or type midway"));
        }
        let got = stream.partial.as_ref().map_or(0, |p| p.body.len());
        let left = usize_of(stream.length).saturating_sub(got);
        if left == 0 {
            return Ok(self.finish(index));
        }
        self.payload = Some((index, left.min(usize_of(self.chunk_size))));
        Ok(None)
    }

    fn stream_index(&mut self, header: &ChunkHeader) -> Result<usize, Error> {
        if let Some(index) = self.streams.iter().position(|s| s.id == header.chunk_stream) {
            return Ok(index);
        }
        // A first chunk of type 1 is wrong but common (librtmp's pings, cameras).
        if header.message.is_none() {
            return Err(Error::Protocol("first chunk of a chunk stream has no message header"));
        }
        if self.streams.len() == CHUNK_STREAMS_MAX {
            return Err(Error::Limit("too many chunk streams"));
        }
        self.streams.push(ChunkStream {
            id: header.chunk_stream,
            time: 0,
            delta: 0,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            partial: None,
        });
        Ok(self.streams.len() - 1)
    }

    /// Adds body bytes, moving to a larger packet when the first one is full.
    fn append(&mut self, index: usize, bytes: &[u8], pool: &PacketPool) -> Result<(), Error> {
        let stream = &mut self.streams[index];
        let Some(partial) = &mut stream.partial else { return Ok(()) };
        if partial.body.room() < bytes.len() {
            let least = partial.body.len() + bytes.len();
            let size = usize_of(stream.length).min(least.max(partial.reserved * 4));
            reserve(&mut self.share, &mut self.reserved, self.reserved_max, size)?;
            let mut larger = pool.take(size);
            larger.set_began(partial.body.began());
            larger.extend(&partial.body);
            larger.extend(bytes);
            let smaller = std::mem::replace(partial, Partial { body: larger, reserved: size });
            self.release(smaller.reserved);
            return Ok(());
        }
        partial.body.extend(bytes);
        Ok(())
    }

    /// The message of a stream, if all of it is there.
    fn finish(&mut self, index: usize) -> Option<Message> {
        let stream = &mut self.streams[index];
        let length = usize_of(stream.length);
        let partial = stream.partial.take_if(|p| p.body.len() >= length)?;
        let ChunkStream { type_id, time, stream_id, .. } = *stream;
        self.release(partial.reserved);
        Some(Message { type_id, time, stream_id, body: partial.body })
    }

    /// Bytes of a message that is finished, or not wanted any more.
    fn release(&mut self, bytes: usize) {
        self.reserved -= bytes;
        // Holding less never fails.
        let _is_less = self.share.hold(self.reserved);
    }

    /// Gives back the collected header bytes past `used`: they were payload.
    fn unread(&mut self, used: usize) {
        let extra = &self.header[used..self.header_len];
        let kept = self.spill_len.min(self.spill.len() - extra.len());
        self.spill.copy_within(..kept, extra.len());
        self.spill[..extra.len()].copy_from_slice(extra);
        self.spill_len = kept + extra.len();
    }

    /// Passes over `count` bytes of what comes next: the spill, or else the input.
    fn skip(&mut self, input: &mut &[u8], count: usize) {
        if self.spill_len > 0 {
            self.spill.copy_within(count..self.spill_len, 0);
            self.spill_len -= count;
        } else {
            *input = &input[count..];
        }
    }
}

impl ChunkStream {
    /// Takes over the header of a message's first chunk.
    fn start(&mut self, header: &ChunkHeader) {
        if let Some((length, type_id)) = header.message {
            (self.length, self.type_id) = (length, type_id);
        }
        match header.format {
            0 => {
                self.time = header.time;
                self.stream_id = header.stream_id;
            }
            1 | 2 => self.time = self.time.wrapping_add(header.time),
            _ => self.time = self.time.wrapping_add(self.delta),
        }
        if header.format < 3 {
            // After a type 0 chunk too: section 5.3.1.2.4 counts its timestamp as the delta.
            self.delta = header.time;
            self.extended = header.extended.then_some(header.time);
        }
    }
}

/// Reserves further bytes, within the limits of the connection and of all connections.
fn reserve(share: &mut Share, reserved: &mut usize, max: usize, more: usize) -> Result<(), Error> {
    let all = *reserved + more;
    if all > max {
        return Err(Error::Limit("too many bytes in unfinished messages"));
    }
    if !share.hold(all) {
        return Err(Error::Full("unfinished messages of all peers"));
    }
    *reserved = all;
    Ok(())
}

fn be24(bytes: &[u8]) -> u32 {
    u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2])
}

fn usize_of(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
