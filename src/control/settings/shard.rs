//! From the configuration to what a shard is told.

use std::sync::Arc;

use crate::config::{Config, Publish, StartAt, StreamConfig};
use crate::control::settings::keys::key_rules;
use crate::control::settings::limits::peer_limits;
use crate::shard::{HookRules, ProtectedStream, PublishPolicy, ShardSpec};
use crate::stream::{DropPolicy, LogLimits, Start};

/// What shard `number` is told, also about hooks; not yet which node it is of.
pub(crate) fn shard_spec(config: &Config, number: usize, hooks: HookRules) -> ShardSpec {
    let rtmp = &config.rtmp;
    ShardSpec {
        number,
        node: 0,
        origin: Arc::default(),
        chunk_size: rtmp.chunk_size,
        ping: rtmp.ping,
        ping_timeout: rtmp.ping_timeout,
        handshake_timeout: rtmp.handshake_timeout,
        gop_cache: rtmp.gop_cache,
        start: match config.delivery.start {
            StartAt::Keyframe => Start::Keyframe,
            StartAt::Live => Start::Live,
        },
        cors: Arc::new(config.delivery.cors.clone()),
        log: LogLimits {
            bytes: config.delivery.log_bytes,
            millis: config.delivery.log_ms,
            ..LogLimits::default()
        },
        merge: config.delivery.merge,
        low_latency: config.low_latency_streams().map(Arc::from).collect(),
        drop: DropPolicy {
            high_ms: config.delivery.lag_high_ms,
            low_ms: config.delivery.lag_low_ms,
        },
        publish: match rtmp.publish {
            Publish::Key => PublishPolicy::Key,
            Publish::Open => PublishPolicy::Open,
        },
        protected: config.streams.iter().map(protected).collect(),
        keys: key_rules(config),
        peer: peer_limits(config),
        hooks,
        grace: rtmp.grace,
        fill_audio: config.delivery.fill_audio.clone().into(),
    }
}

fn protected(stream: &StreamConfig) -> ProtectedStream {
    ProtectedStream { name: stream.name.as_str().into(), source: stream.source.as_str().into() }
}
