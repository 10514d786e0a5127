//! Peers that meet a limit: how that is counted.

use std::io;
use std::net::IpAddr;

use super::Connection;
use crate::pipeline::shard::Shard;
use crate::rtmp;
use crate::stats::Limit;

impl Connection {
    /// Counts a deadline that has passed, unless the connection is ending already.
    pub(super) fn count_late(&self, shard: &Shard, limit: Limit) {
        if self.closing.borrow().is_none() {
            shard.stats.error_timeout();
            shard.stats.limit_met(limit);
        }
    }

    /// The proxy says whose connection this is: that one is counted, or kept out.
    ///
    /// # Errors
    /// Why it is kept out.
    pub(super) fn count_as(&self, shard: &Shard, ip: IpAddr) -> Result<(), String> {
        let mut place = self.place.borrow_mut();
        let Some(place) = place.as_mut() else { return Ok(()) };
        shard.opens_to_named(place, ip).map_err(|limit| {
            shard.stats.connection_refused(limit);
            format!("{ip} has met a limit: {}", limit.label())
        })
    }
}

/// Counts a socket that fails, and puts it into words.
pub(super) fn broken(shard: &Shard, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the peer reset".to_owned(),
        _ => {
            shard.stats.error_io();
            format!("socket: {error}")
        }
    }
}

/// Counts a broken rule of the protocol, or a limit of one connection, and puts it into words.
pub(super) fn broken_rule(shard: &Shard, error: &rtmp::Error) -> String {
    match error {
        // The peer has broken no rule.
        rtmp::Error::Full(_) => {
            shard.stats.limit_met(Limit::Buffers);
            return error.to_string();
        }
        rtmp::Error::Limit(_) => shard.stats.limit_met(Limit::PerConnection),
        _ => {}
    }
    shard.stats.error_protocol();
    error.to_string()
}
