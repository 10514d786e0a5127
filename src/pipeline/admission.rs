//! Admission of peers: a shard asks the node's limits when a peer comes, and turns away those who
//! meet one.

use std::net::IpAddr;

use super::hub::Hub;
use super::shard::Shard;
use crate::limits::{Place, Seat};
use crate::stats::Limit;

impl Shard {
    /// Whether a peer at `ip` may connect. A trusted proxy may as long as the node takes any: whom
    /// it speaks for is looked at when it says so.
    ///
    /// # Errors
    /// The limit that keeps it out.
    pub(super) fn opens_to(&self, ip: IpAddr) -> Result<Place, Limit> {
        if self.trusts(ip) {
            return self.limits.connect_proxy();
        }
        self.limits.connect(ip, self.clock.now())
    }

    /// Whether the peer at `ip`, for whom the proxy at `place` speaks, may connect.
    ///
    /// # Errors
    /// The limit that keeps it out.
    pub(super) fn opens_to_named(&self, place: &mut Place, ip: IpAddr) -> Result<(), Limit> {
        self.limits.name(place, ip, self.clock.now())
    }

    /// Takes one more viewer of `hub`, who is promised its part of what may go out of the node.
    ///
    /// # Errors
    /// Why it is not taken; that is counted.
    pub(super) fn seat(&self, hub: &Hub) -> Result<Seat, &'static str> {
        let Some(seat) = hub.audience().enter() else {
            self.stats.limit_met(Limit::Viewers);
            return Err("this stream has as many viewers as its key allows");
        };
        let needed = hub.log.borrow().bitrate_bps();
        if !self.limits.egress().admits(needed, &self.stats) {
            self.stats.limit_met(Limit::Egress);
            return Err("this server sends as much as it may; try again later");
        }
        Ok(seat)
    }
}
