//! Chunk headers as we write them (Adobe RTMP 1.0 section 5.3.1).

/// Fields of a message that its first chunk carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Chunk stream id, 2 to 63: the one-byte form (section 5.3.1.1).
    pub chunk_stream: u8,
    /// Absolute time, milliseconds modulo 2^32.
    pub time: u32,
    /// Body length, at most 2^24 - 1.
    pub length: u32,
    /// Message type id (section 5.4 and 7.1).
    pub type_id: u8,
    /// Message stream id.
    pub stream_id: u32,
}

/// Times from here on go into the extended timestamp field (section 5.3.1.3).
pub const EXTENDED_TIME: u32 = 0xff_ffff;

/// The bytes of one chunk header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; 16],
    len: u8,
}

impl HeaderBytes {
    fn push(&mut self, bytes: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += u8::try_from(bytes.len()).unwrap_or(0);
    }
}

impl std::ops::Deref for HeaderBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl MessageHeader {
    /// Type 0, the first chunk of a message: 12 bytes, or 16 with an extended timestamp.
    #[must_use]
    pub fn first(&self) -> HeaderBytes {
        let mut header = HeaderBytes { bytes: [0; 16], len: 0 };
        header.push(&[self.chunk_stream & 0x3f]);
        header.push(&self.time.min(EXTENDED_TIME).to_be_bytes()[1..]);
        header.push(&self.length.to_be_bytes()[1..]);
        header.push(&[self.type_id]);
        header.push(&self.stream_id.to_le_bytes());
        self.push_extended(&mut header);
        header
    }

    /// Type 3, each later chunk of the message: 1 byte, or 5 with an extended timestamp.
    #[must_use]
    pub fn continuation(&self) -> HeaderBytes {
        let mut header = HeaderBytes { bytes: [0; 16], len: 0 };
        header.push(&[0xc0 | (self.chunk_stream & 0x3f)]);
        self.push_extended(&mut header);
        header
    }

    fn push_extended(&self, header: &mut HeaderBytes) {
        if self.time >= EXTENDED_TIME {
            header.push(&self.time.to_be_bytes());
        }
    }
}
