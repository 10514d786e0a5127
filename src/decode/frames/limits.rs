//! Limits and sizes of the protocol.

/// First number of a hello after its type: `SMFR`.
pub(super) const MAGIC: u32 = u32::from_ne_bytes(*b"SMFR");

/// Version of the protocol. Clients of another one are refused.
pub(super) const VERSION: u32 = 1;

/// Most slots of a client. A hello with more is refused.
pub(super) const SLOTS_MAX: u32 = 8;

/// Most pixels of a picture: 4096 x 2304. A hello with more is refused.
pub(super) const PIXELS_MAX: u32 = 4_096 * 2_304;

/// Most rectangles of a frame. A frame with more is refused: 0 says that all has changed.
pub(super) const RECTANGLES_MAX: u32 = 16;

/// Most frames a second. Further ones wait in the connection, as their client then does.
pub const FRAMES_PER_SECOND_MAX: u32 = 120;

/// Bytes of a hello, of a frame without rectangles, and of each of these.
pub(super) const HELLO_BYTES: usize = 32;
pub(super) const FRAME_BYTES: usize = 24;
pub(super) const RECTANGLE_BYTES: usize = 16;

/// [`RECTANGLES_MAX`], as a length.
pub(super) const RECTANGLES: usize = RECTANGLES_MAX as usize;

/// Bytes of the longest message of a client.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = FRAME_BYTES + RECTANGLES * RECTANGLE_BYTES;
