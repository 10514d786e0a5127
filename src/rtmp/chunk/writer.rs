//! Messages to chunks: absolute times and fixed chunk streams, so that the bytes depend on nothing
//! that was sent before.

use serde::{Deserialize, Serialize};

use super::header::MessageHeader;
use crate::rtmp::limits::{CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX};
use crate::rtmp::message::type_id;

/// The chunk stream on which messages of a type leave: 2 control, 3 commands, 4 audio, 5 data, 6
/// video.
#[must_use]
pub const fn stream_of(type_id: u8) -> u8 {
    match type_id {
        type_id::AUDIO => 4,
        type_id::VIDEO => 6,
        type_id::DATA | type_id::DATA_AMF3 => 5,
        type_id::COMMAND | type_id::COMMAND_AMF3 => 3,
        _ => 2,
    }
}

/// Cuts messages into chunks of the size that was announced to the peer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Writer {
    chunk_size: u32,
}

impl Default for Writer {
    /// With the size both sides start with.
    fn default() -> Self {
        Self { chunk_size: CHUNK_SIZE_INITIAL }
    }
}

impl Writer {
    /// Whether it does not contradict itself, as what is read from a snapshot may.
    pub(in crate::rtmp) const fn is_whole(&self) -> bool {
        1 <= self.chunk_size && self.chunk_size <= CHUNK_SIZE_MAX
    }

    /// Later messages are cut to `bytes` (1 to [`CHUNK_SIZE_MAX`], clamped). The caller has told
    /// the peer.
    pub fn set_chunk_size(&mut self, bytes: u32) {
        self.chunk_size = bytes.clamp(1, CHUNK_SIZE_MAX);
    }

    /// Appends a message to `out`. `header.length` is taken from `body`, at most
    /// [`crate::rtmp::limits::MESSAGE_BYTES_MAX`] bytes.
    pub fn write(&self, header: MessageHeader, body: &[u8], out: &mut Vec<u8>) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        debug_assert!(length <= CHUNK_SIZE_MAX, "the length field has 24 bits");
        let header = MessageHeader { length, ..header };
        let size = usize::try_from(self.chunk_size).unwrap_or(usize::MAX);
        out.extend_from_slice(&header.first());
        for (n, piece) in body.chunks(size).enumerate() {
            if n > 0 {
                out.extend_from_slice(&header.continuation());
            }
            out.extend_from_slice(piece);
        }
    }
}
