//! Faults of a connection: counted, and put into words.

use std::io;

use crate::rtmp;
use crate::shard::context::Context;
use crate::stats::Limit;

/// Counts a socket that fails, and puts it into words.
pub(in crate::shard) fn broken(cx: &Context, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the peer reset".to_owned(),
        _ => {
            cx.stats.error_io();
            format!("socket: {error}")
        }
    }
}

/// Counts a broken rule of the protocol, or a limit of one connection, and puts it into words.
pub(super) fn broken_rule(cx: &Context, error: &rtmp::Error) -> String {
    match error {
        // The peer has broken no rule.
        rtmp::Error::Full(_) => {
            cx.stats.limit_met(Limit::Buffers);
            return error.to_string();
        }
        rtmp::Error::Limit(_) => cx.stats.limit_met(Limit::PerConnection),
        _ => {}
    }
    cx.stats.error_protocol();
    error.to_string()
}
