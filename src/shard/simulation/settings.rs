//! Settings of a run: small and short enough that every limit is met within a minute of its time.

use std::sync::Arc;

use super::node::NAMES;
use super::rng::Rng;
use crate::event::Stage;
use crate::keys::CacheSpec;
use crate::limits::{GuardSpec, LimitSpec};
use crate::media::Micros;
use crate::shard::spec::{HookRules, KeyRules, PeerLimits, PublishPolicy, ShardSpec};
use crate::stream::{DropPolicy, LogLimits, Merge, Start};

pub(super) fn spec(rng: &mut Rng) -> ShardSpec {
    let millis = Micros::from_millis;
    let stages = [Stage::Connect, Stage::Publish, Stage::Play];
    ShardSpec {
        number: 0,
        node: 7,
        origin: Arc::default(),
        chunk_size: rng.pick(&[128, 150, 1_000, 60_000]),
        ping: millis(1_000),
        ping_timeout: millis(3_000),
        handshake_timeout: millis(2_000),
        gop_cache: !rng.once_in(3),
        start: if rng.once_in(3) { Start::Live } else { Start::Keyframe },
        cors: Arc::default(),
        log: LogLimits {
            messages: rng.pick(&[8, 32, 100]),
            bytes: rng.pick(&[8 << 10, 32 << 10, 1 << 20]),
            millis: rng.pick(&[300, 1_000, 5_000]),
        },
        merge: rng.pick(&[Merge::Off, Merge::Frame, Merge::Millis(30)]),
        low_latency: NAMES[..rng.pick(&[0, 1])].iter().map(|name| Arc::from(*name)).collect(),
        drop: DropPolicy { high_ms: rng.pick(&[100, 500, 1_000]), low_ms: rng.pick(&[50, 90]) },
        publish: if rng.once_in(4) { PublishPolicy::Open } else { PublishPolicy::Key },
        protected: Arc::from([]),
        keys: KeyRules {
            cache: CacheSpec { allow: millis(3_000), deny: millis(500) },
            recheck: millis(2_000),
            open_when_away: rng.once_in(3),
            trusted_proxies: Arc::default(),
        },
        peer: PeerLimits {
            idle: millis(3_000),
            blocked: millis(2_000),
            buffer_bytes: 64 << 10,
            pace_bps: 0,
            pace_percent: rng.pick(&[0, 0, 150]),
        },
        hooks: HookRules {
            stages: stages.into_iter().filter(|_| rng.once_in(4)).collect(),
            params: Arc::default(),
            answer_timeout: millis(1_000),
            open_when_silent: rng.once_in(2),
        },
        grace: millis(rng.pick(&[0, 400, 2_000])),
        fill_audio: Arc::default(),
    }
}

pub(super) fn limits(rng: &mut Rng) -> LimitSpec {
    LimitSpec {
        connections_max: rng.pick(&[12, 1_000]),
        connections_per_ip_max: rng.pick(&[0, 3]),
        connects_per_minute: rng.pick(&[0, 0, 60]),
        publishes_per_minute: rng.pick(&[0, 0, 30]),
        egress_max_bps: rng.pick(&[0, 0, 2_000_000]),
        buffer_bytes_total: 1 << 20,
        guard: GuardSpec::default(),
    }
}
