//! RTMP chunk demuxer: kind and first bytes of each message (RTMP 1.0 section 5.3).

use super::{COMMAND, SET_CHUNK_SIZE};
use crate::load::programme::PEEK;

/// Bytes of handshake that come first: S0, S1 and S2 say nothing that matters here.
const GREETING: usize = 1 + 2 * 1536;

/// First bytes that are kept of commands, to see which status they carry.
const COMMAND_PEEK: usize = 256;

/// Servers use chunk streams below this for what they send.
const IDS: usize = 64;

/// One connection's place in the bytes of its server.
#[derive(Debug)]
pub(in crate::load) struct ChunkDemuxer {
    greeting: usize,
    chunk_size: usize,
    head: [u8; 16],
    head_len: usize,
    /// Bytes of the current chunk that are still to come, and of which id it is.
    left: usize,
    id: usize,
    streams: Vec<Option<Box<Chunks>>>,
    /// Bytes that are told of each body but those of commands.
    peek: usize,
}

#[derive(Debug, Default)]
struct Chunks {
    length: usize,
    kind: u8,
    extended: bool,
    missing: usize,
    start: Vec<u8>,
}

impl Default for ChunkDemuxer {
    fn default() -> Self {
        Self::new(PEEK)
    }
}

impl ChunkDemuxer {
    /// Tells so many bytes of each message.
    pub(in crate::load) const fn new(peek: usize) -> Self {
        Self {
            greeting: GREETING,
            chunk_size: 128,
            head: [0; 16],
            head_len: 0,
            left: 0,
            id: 0,
            streams: Vec::new(),
            peek,
        }
    }

    /// Takes bytes; tells kind and first bytes of each message that ends.
    pub(in crate::load) fn take(&mut self, mut bytes: &[u8], mut message: impl FnMut(u8, &[u8])) {
        let greeting = self.greeting.min(bytes.len());
        self.greeting -= greeting;
        bytes = &bytes[greeting..];
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                let peek = self.peek;
                self.chunks().take(&bytes[..count], peek);
                bytes = &bytes[count..];
            } else {
                self.head[self.head_len.min(15)] = first;
                self.head_len += 1;
                bytes = rest;
                if self.head_len < self.head_wanted() {
                    continue;
                }
                self.begin();
            }
            if self.left == 0 && self.chunks().missing == 0 {
                self.end(&mut message);
            }
        }
    }

    fn chunks(&mut self) -> &mut Chunks {
        if self.streams.len() < IDS {
            self.streams.resize_with(IDS, || None);
        }
        self.streams[self.id].get_or_insert_default()
    }

    /// Bytes of the chunk header of which the first bytes are there.
    fn head_wanted(&mut self) -> usize {
        let format = self.head[0] >> 6;
        self.id = usize::from(self.head[0] & 0x3f);
        let basic = match format {
            0 => 12,
            1 => 8,
            2 => 4,
            _ => 1,
        };
        let extended = if format == 3 {
            self.chunks().extended
        } else {
            self.head_len >= 4 && self.head[1..4] == [0xff; 3]
        };
        basic + if extended { 4 } else { 0 }
    }

    fn begin(&mut self) {
        let (head, chunk_size) = (self.head, self.chunk_size);
        let format = head[0] >> 6;
        self.head_len = 0;
        let chunks = self.chunks();
        if format < 3 {
            chunks.extended = head[1..4] == [0xff; 3];
        }
        if format < 2 {
            chunks.length = head[4..7].iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
            chunks.kind = head[7];
        }
        if chunks.missing == 0 {
            chunks.missing = chunks.length;
            chunks.start.clear();
        }
        self.left = chunks.missing.min(chunk_size);
    }

    fn end(&mut self, message: &mut impl FnMut(u8, &[u8])) {
        let chunks = self.chunks();
        let (kind, start) = (chunks.kind, &chunks.start[..]);
        message(kind, start);
        if let (SET_CHUNK_SIZE, [a, b, c, d, ..]) = (kind, start) {
            self.chunk_size = (u32::from_be_bytes([*a, *b, *c, *d]) as usize).max(1);
        }
    }
}

impl Chunks {
    fn take(&mut self, bytes: &[u8], peek: usize) {
        let kept = if self.kind == COMMAND { COMMAND_PEEK } else { peek };
        let room = kept.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(&bytes[..room]);
        self.missing -= bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::demux::{AUDIO, VIDEO};

    #[test]
    fn messages_are_told_whatever_the_pieces_they_come_in() {
        let mut wire = vec![0; GREETING];
        wire.extend([2, 0, 0, 0, 0, 0, 4, SET_CHUNK_SIZE, 0, 0, 0, 0, 0, 0, 0, 10]);
        wire.extend([6, 0xff, 0xff, 0xff, 0, 0, 25, VIDEO, 1, 0, 0, 0, 1, 2, 3, 4]);
        wire.extend([7; 10]);
        wire.extend([0xc6, 1, 2, 3, 4]);
        wire.extend([8; 10]);
        wire.extend([0xc6, 1, 2, 3, 4]);
        wire.extend([9; 5]);
        wire.extend([4, 0, 0, 0, 0, 0, 2, AUDIO, 1, 0, 0, 0, 0xaf, 1]);
        let video = [&[7; 10][..], &[8; 10], &[9]].concat();
        for size in 1..wire.len() {
            let mut demuxer = ChunkDemuxer::default();
            let mut told = Vec::new();
            for piece in wire.chunks(size) {
                demuxer.take(piece, |kind, start| told.push((kind, start.to_vec())));
            }
            assert_eq!(told.len(), 3, "pieces of {size}");
            assert_eq!(told[1], (VIDEO, video.clone()));
            assert_eq!(told[2], (AUDIO, vec![0xaf, 1]));
        }
    }

    #[test]
    fn garbage_does_no_harm() {
        let noise: Vec<u8> =
            (0..60_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        ChunkDemuxer::default().take(&noise, |_, _| {});
    }
}
