//! Admission limits: who may connect, how often, and how much goes out. Pure. What the shards share
//! are single atomics, looked at when a peer comes and never per message.

mod address_table;
mod audience;
mod connection_limit;
mod egress;
mod guard;
mod rates;

use std::net::IpAddr;
use std::sync::Arc;

pub use audience::{Audience, Audiences, ViewerPermit};
pub use connection_limit::{ConnectionLimit, ConnectionPermit};
pub use egress::Egress;
pub use guard::{Asked, Guard, GuardSpec, KeyAttempt};
pub use rates::Rates;

use crate::frame::Budget;
use crate::media::Micros;
use crate::stats::{Limit, ShardStats};

/// The limits of a node; 0 is no limit, but for connections in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSpec {
    /// Connections at once, of all shards.
    pub connections_max: u32,
    /// Connections at once of one address (of IPv6 the network of 64 bits).
    pub connections_per_ip_max: u32,
    /// Connections a minute of one address; as many may come at once.
    pub connects_per_minute: u32,
    /// Attempts to publish a minute of one address; as many may come at once.
    pub publishes_per_minute: u32,
    /// Bits per second that all viewers and outputs may need.
    pub egress_max_bps: u64,
    /// Bytes of unfinished messages of all peers.
    pub buffer_bytes_total: usize,
    /// What wrong keys lead to.
    pub guard: GuardSpec,
}

/// What the shards of a node ask when a peer comes.
#[derive(Debug)]
pub struct NodeLimits {
    connections: ConnectionLimit,
    connects: Rates,
    publishes: Rates,
    egress: Egress,
    messages: Arc<Budget>,
    guard: Guard,
}

impl NodeLimits {
    /// Nobody is there yet. `shards` are the figures of all of them.
    #[must_use]
    pub fn new(spec: &LimitSpec, shards: Vec<Arc<ShardStats>>) -> Self {
        Self {
            connections: ConnectionLimit::new(spec.connections_max, spec.connections_per_ip_max),
            connects: Rates::new(spec.connects_per_minute),
            publishes: Rates::new(spec.publishes_per_minute),
            egress: Egress::new(spec.egress_max_bps, shards),
            messages: Arc::new(Budget::new(spec.buffer_bytes_total)),
            guard: Guard::new(spec.guard),
        }
    }

    /// Lets other limits hold from now on; nobody who is there has to go.
    pub fn set(&self, spec: &LimitSpec) {
        self.connections.set(spec.connections_max, spec.connections_per_ip_max);
        self.connects.set(spec.connects_per_minute);
        self.publishes.set(spec.publishes_per_minute);
        self.egress.set(spec.egress_max_bps);
        self.messages.set(spec.buffer_bytes_total);
        self.guard.set(&spec.guard);
    }

    /// A peer at `ip` connects; the permit is given to [`NodeLimits::leave`] when it has gone.
    ///
    /// # Errors
    /// The limit that keeps it out.
    pub fn connect(&self, ip: IpAddr, now: Micros) -> Result<ConnectionPermit, Limit> {
        if !self.connects.take(ip, now) {
            return Err(Limit::ConnectRate);
        }
        self.connections.enter(ip)
    }

    /// A trusted proxy connects, whose peers are counted one by one.
    ///
    /// # Errors
    /// If the node takes no further connections.
    pub fn connect_proxy(&self) -> Result<ConnectionPermit, Limit> {
        self.connections.enter_unnamed()
    }

    /// The proxy at `place` speaks for `ip`: that one is counted from here on.
    ///
    /// # Errors
    /// The limit that keeps it out; the place is still to be left.
    pub fn name(&self, place: &mut ConnectionPermit, ip: IpAddr, now: Micros) -> Result<(), Limit> {
        if !self.connects.take(ip, now) {
            return Err(Limit::ConnectRate);
        }
        self.connections.name(place, ip)
    }

    /// A connection that was counted by the node before this one: it counts here too, whatever the
    /// limits are; as one of `ip`, if that is known.
    pub fn readmit(&self, ip: Option<IpAddr>) -> ConnectionPermit {
        self.connections.readmit(ip)
    }

    /// The connection has gone.
    pub fn leave(&self, place: ConnectionPermit) {
        self.connections.leave(place);
    }

    /// Whether a peer at `ip` may ask to publish now; that counts as asking.
    #[must_use]
    pub fn may_publish(&self, ip: IpAddr, now: Micros) -> bool {
        self.publishes.take(ip, now)
    }

    /// Connections that are counted.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> u32 {
        self.connections.all()
    }

    /// Memory for unfinished messages of peers.
    #[must_use]
    pub const fn messages(&self) -> &Arc<Budget> {
        &self.messages
    }

    /// Who tries keys.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What goes out of the node.
    #[must_use]
    pub const fn egress(&self) -> &Egress {
        &self.egress
    }
}
