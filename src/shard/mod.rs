//! Shard: one core's peers, the logs of the streams they feed and read, and who may do what. Pure:
//! no descriptor, executor, clock or `async`. Drivers in `runtime` run it.
//!
//! A call of the driver reaches one peer. That may use what all peers of the shard share
//! (`shared`), but no other peer: what it means for others it leaves as a notice, which the core
//! hands out when the peer is done. What is to be sent is left to the send loop, which knows a peer
//! by its cursor in a stream's log.

mod admission;
mod batch;
mod channel;
mod client;
mod clients;
mod connection;
mod context;
mod core;
mod events;
mod io;
mod keys;
mod notice;
mod outbound;
mod output;
mod peers;
mod publication;
mod pull;
mod pull_gate;
mod query;
mod rebuild;
mod relay_loop;
mod send;
mod send_state;
mod shared;
#[cfg(test)]
mod simulation;
mod snapshot;
mod spec;
mod stall;
mod stream_id;
mod streams;
mod substitute;
mod table;
#[cfg(test)]
mod tests;
mod track_order;
mod transcoded;

pub use self::core::ShardCore;
pub use io::{Action, Closed, Core, Io, PeerId, TcpInfo};
#[cfg(test)]
pub use snapshot::{PeerEntry, PeerKind, ShardSnapshot};
pub use spec::{
    HookRules, KeyRules, PeerLimits, ProtectedStream, PublishPolicy, SETTINGS_MAX, ShardParts,
    ShardSettings, ShardSpec,
};
pub use streams::{Mesh, MeshMessage};
