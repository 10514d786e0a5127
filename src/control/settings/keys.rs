//! Key settings: from the configuration to a store, and to rules for the shards.

use std::sync::Arc;

use crate::config::{Config, KeyStoreKind, KeysConfig, OnStoreFailure, Publish, RedisArrangement};
use crate::control::keystore::embedded::Embedded;
use crate::control::keystore::redis::{Redis, RedisMode, RedisSpec};
use crate::control::keystore::{DevelopmentKey, Keys, StoreError, embedded};
use crate::keys::{AddressRange, CacheSpec};
use crate::media::Micros;
use crate::runtime::Clock;
use crate::scene;
use crate::shard::KeyRules;

/// The public name that the development key publishes under: the demo's live input.
const DEVELOPMENT_STREAM: &str = scene::demo::STREAM;

/// The keys of a node, its own to try things with, and the store where that one is; none of them if
/// anybody may publish.
pub(crate) type Opened = (Option<Keys>, Option<DevelopmentKey>, Option<Embedded>);

/// Opens the key store; the embedded one has a development key unless that is turned off. A node
/// inside another program that names no data directory keeps its keys in memory.
pub(crate) fn open_store(
    config: &Config,
    is_program: bool,
    clock: Clock,
) -> Result<Opened, StoreError> {
    if config.rtmp.publish == Publish::Open {
        return Ok((None, None, None));
    }
    match config.keys.store {
        KeyStoreKind::Embedded => {
            let store = match &config.node.data_dir {
                Some(folder) => embedded::open(folder)?,
                None if is_program => embedded::open(config.node.data_dir())?,
                None => embedded::in_memory()?,
            };
            let key = development_key(&store, config, clock)?;
            Ok((Some(keys_on(Arc::new(store.clone()), clock)), key, Some(store)))
        }
        KeyStoreKind::Redis => {
            let store = Redis::new(&redis_spec(&config.keys))?;
            Ok((Some(keys_on(Arc::new(store), clock)), None, None))
        }
    }
}

/// Makes or ends the node's own key, as `[keys]` says. Waits for the disk.
pub(crate) fn development_key(
    store: &Embedded,
    config: &Config,
    clock: Clock,
) -> Result<Option<DevelopmentKey>, StoreError> {
    let now = clock.unix_secs();
    match config.keys.development {
        true => store.development_key(DEVELOPMENT_STREAM, now).map(Some),
        false => store.no_development_key(now).map(|()| None),
    }
}

/// Keys on a store, by the node's time of day.
pub(crate) fn keys_on(store: Arc<dyn crate::control::keystore::KeyStore>, clock: Clock) -> Keys {
    Keys::new(store, move || clock.unix_secs())
}

/// What `[keys]` says about Redis.
pub(crate) fn redis_spec(config: &KeysConfig) -> RedisSpec {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    RedisSpec {
        urls: config.redis_urls.iter().map(|url| url.expose().to_owned()).collect(),
        mode: match config.mode {
            RedisArrangement::Standalone => RedisMode::Standalone,
            RedisArrangement::Sentinel => RedisMode::Sentinel,
            RedisArrangement::Cluster => RedisMode::Cluster,
        },
        master: config.sentinel_master.clone(),
        user: filled(&config.redis_user),
        password: filled(config.redis_password.expose()),
        ca_file: config.ca_file.clone(),
        timeout: config.timeout.into(),
    }
}

/// Proxies whose word about their peers is taken.
pub(crate) fn trusted_proxies(config: &Config) -> Arc<[AddressRange]> {
    // The configuration has read them as what they are.
    config.trusted_proxies.iter().filter_map(|range| range.to_string().parse().ok()).collect()
}

/// What shards are told about keys.
pub(crate) fn key_rules(config: &Config) -> KeyRules {
    let keys = &config.keys;
    KeyRules {
        cache: CacheSpec { allow: keys.cache, deny: keys.cache_denied },
        // So that who publishes is ended within the time for which who comes is remembered.
        recheck: Micros(keys.cache.0 / 2),
        open_when_away: keys.on_store_failure == OnStoreFailure::Allow,
        trusted_proxies: trusted_proxies(config),
    }
}
