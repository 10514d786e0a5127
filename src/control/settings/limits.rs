//! Limit settings: from the configuration to the rules that shards ask.

use std::sync::Arc;

use crate::config::Config;
use crate::limits::{GuardSpec, LimitSpec, NodeLimits};
use crate::shard::PeerLimits;
use crate::stats::ShardStats;

/// Connections that an address may have at least if the configuration leaves it to the node: a
/// tenth of all.
const PER_IP_MIN: u32 = 100;

/// What all shards of the node share; these are their figures.
pub(crate) fn node_limits(config: &Config, shards: Vec<Arc<ShardStats>>) -> Arc<NodeLimits> {
    Arc::new(NodeLimits::new(&limit_spec(config), shards))
}

/// The limits that they share.
pub(crate) fn limit_spec(config: &Config) -> LimitSpec {
    let limits = &config.limits;
    LimitSpec {
        connections_max: u32::try_from(config.rtmp.connections_max).unwrap_or(u32::MAX),
        connections_per_ip_max: limits.connections_per_ip_max.unwrap_or_else(|| {
            u32::try_from(config.rtmp.connections_max / 10).unwrap_or(u32::MAX).max(PER_IP_MIN)
        }),
        connects_per_minute: limits.connects_per_minute,
        publishes_per_minute: limits.publishes_per_minute,
        egress_max_bps: limits.egress_max_bps,
        buffer_bytes_total: limits.buffer_bytes_total,
        guard: GuardSpec {
            ban_after: config.keys.ban_after,
            ban: config.keys.ban,
            ..GuardSpec::default()
        },
    }
}

/// What every shard grants one peer.
pub(crate) fn peer_limits(config: &Config) -> PeerLimits {
    PeerLimits {
        idle: config.limits.idle_timeout,
        blocked: config.limits.blocked_timeout,
        buffer_bytes: config.limits.buffer_bytes_max,
        pace_bps: config.delivery.viewer_pace_bps,
        pace_percent: config.delivery.viewer_pace_percent,
    }
}
