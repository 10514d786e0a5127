//! From what the configuration says about limits to what the shards ask.

use std::sync::Arc;

use crate::config::Config;
use crate::limits::{LimitSpec, NodeLimits};
use crate::pipeline::PeerLimits;
use crate::stats::ShardStats;

/// What all shards of the node share; these are their figures.
pub(super) fn node_limits(config: &Config, shards: Vec<Arc<ShardStats>>) -> Arc<NodeLimits> {
    let limits = &config.limits;
    let spec = LimitSpec {
        connections_max: u32::try_from(config.rtmp.connections_max).unwrap_or(u32::MAX),
        connections_per_ip_max: limits.connections_per_ip_max,
        connects_per_minute: limits.connects_per_minute,
        publishes_per_minute: limits.publishes_per_minute,
        egress_max_bps: limits.egress_max_bps,
    };
    Arc::new(NodeLimits::new(&spec, shards))
}

/// What every shard grants one peer.
pub(super) fn peer_limits(config: &Config) -> PeerLimits {
    PeerLimits {
        idle: config.limits.idle_timeout,
        blocked: config.limits.blocked_timeout,
        buffer_bytes: config.limits.buffer_bytes_max,
        pace_bps: config.delivery.viewer_pace_bps,
        pace_percent: config.delivery.viewer_pace_percent,
    }
}
