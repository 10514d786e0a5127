//! Every limit of a connection, and what happens there.

use crate::media::Micros;

/// Longest message body, bytes: what the 24-bit length field holds.
pub const MESSAGE_BYTES_MAX: usize = 0xff_ffff;

/// Chunk streams remembered per connection. A peer that opens one more is closed; encoders use 3
/// to 8.
pub const CHUNK_STREAMS_MAX: usize = 64;

/// Bytes reserved for unfinished messages of one connection: one message of the largest size, the
/// smaller buffer it moves out of, and small ones beside it. Beyond: close.
pub const PARTIAL_BYTES_MAX: usize = 24 << 20;

/// The same of a peer that has not been let in to publish, with what it has sent since it asked:
/// room for its commands, and for the beginning of its stream.
pub const PENDING_BYTES_MAX: usize = HELD_EXCESS * HELD_BYTES_MAX;

/// Bytes reserved on the strength of a message header alone; more only as the body arrives.
pub const FIRST_RESERVE_BYTES: usize = 64 << 10;

/// Largest command or metadata body that is parsed, bytes. A larger command closes the connection,
/// larger metadata is dropped.
pub const PARSE_BYTES_MAX: usize = 256 << 10;

/// Names of metadata members, bytes. Players read them into fixed buffers: members with longer
/// names are left out.
pub const METADATA_NAME_BYTES_MAX: usize = 127;

/// Data message that is looked at for an origin stamp, bytes. A longer one is passed on unread.
pub const ORIGIN_BYTES_MAX: usize = 512;

/// Nesting of AMF values. Deeper is a parse error.
pub const AMF_DEPTH_MAX: usize = 32;

/// AMF values in one body. More is a parse error.
pub const AMF_VALUES_MAX: usize = 4_096;

/// Commands, pings and the like per second of one peer. More: close.
pub const CONTROLS_PER_SECOND_MAX: u32 = 2_000;

/// Messages that wait while the owner decides about what the peer has asked. At these,
/// [`crate::rtmp::Server::wants_input`] says no, and the peer's bytes are left in its socket.
pub const HELD_MESSAGES_MAX: usize = 256;

/// Commands among them, with the same effect.
pub const HELD_COMMANDS_MAX: usize = 16;

/// Bytes of them, and of a message that is not complete, with the same effect.
pub const HELD_BYTES_MAX: usize = 256 << 10;

/// How many times as much an owner may feed nevertheless, because it had read it already. More:
/// close.
pub const HELD_EXCESS: usize = 4;

/// Messages and answers that have not become events yet. A `feed` that makes more fails: within
/// [`FEED_BYTES_MAX`] only an aggregate of very many tags can.
pub const EVENTS_MAX: usize = 8_192;

/// Bytes that a session is fed at most between two drains of its events; its owner cuts longer
/// input into pieces. A message that makes an event takes a byte of header and one of body, so
/// that no burst of messages reaches [`EVENTS_MAX`].
pub const FEED_BYTES_MAX: usize = 2 * EVENTS_MAX;

/// Answers a peer makes us queue without reading them, bytes. More: close.
pub const ANSWERS_BYTES_MAX: usize = 256 << 10;

/// Output of any kind beyond which `write_message` refuses another message, bytes.
pub const OUTPUT_BYTES_MAX: usize = 32 << 20;

/// Application and stream names, bytes after decoding. Longer ones are refused politely.
pub const NAME_BYTES_MAX: usize = 256;

/// Query string of a stream name, bytes. Longer ones are refused politely.
pub const QUERY_BYTES_MAX: usize = 1_024;

/// Text a peer gives us that we repeat (its version, a status description), bytes; cut there.
pub const TEXT_BYTES_MAX: usize = 512;

/// Length of an `rtmp://` address in a configuration, bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// Codec names a peer may list at connect; further ones are ignored.
pub const FOUR_CCS_MAX: usize = 32;

/// Nodes that a stream may pass from relay to relay. One that has come further is taken to go
/// round: it is refused.
pub const RELAY_HOPS_MAX: usize = 16;

/// Smallest window after which we acknowledge, bytes. Smaller wishes are raised to it, so that
/// acknowledgements cannot make up a storm.
pub const ACK_WINDOW_MIN: u32 = 32 << 10;

/// Window until the peer names one, bytes.
pub const ACK_WINDOW: u32 = 2_500_000;

/// Largest chunk size that means anything: no message is longer.
pub const CHUNK_SIZE_MAX: u32 = 0xff_ffff;

/// Chunk size of both directions until one side announces another (RTMP 1.0 section 5.4.1).
pub const CHUNK_SIZE_INITIAL: u32 = 128;

/// The second over which [`CONTROLS_PER_SECOND_MAX`] counts.
pub(super) const CONTROLS_WINDOW: Micros = Micros::from_secs(1);
