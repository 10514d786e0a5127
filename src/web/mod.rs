//! HTTP as far as a player needs it, without sockets and without a clock: one request per
//! connection, answered with a stream (HTTP-FLV, or FLV over a WebSocket) or with a short text.
//!
//! A [`Session`] is driven like those of `rtmp`: `feed` what the socket gave, drain `poll_event`,
//! send `output` and `consume_output` what was sent, `tick` now and then. The stream itself does
//! not pass through it. No panic on any input, memory bounded (see [`request::HEAD_BYTES_MAX`]).

mod answer;
mod cors;
mod frames;
pub mod proxy;
mod request;
mod session;

pub use cors::{Cors, METHODS, PREFLIGHT_SECONDS};
#[cfg(fuzzing)]
pub use request::HEAD_BYTES_MAX;
pub use session::{Event, Overdue, Session};

/// Whether a connection that begins with this byte is that of an HTTP client: methods are written
/// in capital letters, and no version of RTMP is one.
#[must_use]
pub const fn begins_request(first: u8) -> bool {
    first.is_ascii_uppercase()
}
