//! RTMP protocol errors: each closes its connection.

use std::fmt;

/// The connection cannot go on: send what is in `output` if you like, then close. The variants say
/// whom to blame and what to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an RTMP peer (a browser, a scanner, TLS): close at once, without an answer.
    NotRtmp(&'static str),
    /// The peer breaks the protocol: close.
    Protocol(&'static str),
    /// The peer asks for more than a connection may have: close.
    Limit(&'static str),
    /// All peers together have as much as the node gives them: close.
    Full(&'static str),
    /// The peer did not get on in time: close.
    Late(&'static str),
    /// A connected peer neither published nor played in time: close.
    Idle,
    /// Nothing came from the peer for the whole timeout: it is gone, close.
    Silent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRtmp(what) => write!(f, "not an RTMP connection: {what}"),
            Self::Protocol(what) => write!(f, "peer broke the RTMP protocol: {what}"),
            Self::Limit(what) => write!(f, "peer went over a limit: {what}"),
            Self::Full(what) => write!(f, "the node has no more memory for {what}"),
            Self::Late(what) => write!(f, "peer was too slow: {what}"),
            Self::Idle => f.write_str("peer was too slow: neither publishing nor playing"),
            Self::Silent => f.write_str("peer has gone silent: no byte within the timeout"),
        }
    }
}

impl std::error::Error for Error {}
