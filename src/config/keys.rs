//! Stream key settings, `[keys]`: their store, and how strict the node is about them.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::fault::{Faults, quoted};
use super::field::readable;
use super::section::Section;
use crate::media::Micros;

/// Most addresses of Redis.
const URLS_MAX: usize = 64;

/// Where stream keys are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStoreKind {
    /// In a file of the data directory.
    Embedded,
    /// In Redis, which several nodes may share.
    Redis,
}

/// How the Redis servers are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisArrangement {
    /// One server.
    Standalone,
    /// Sentinels say which server is the master.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

/// What happens to new publishers while the store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// They are refused with the reason.
    Deny,
    /// Those that name their stream beside the key are let in.
    Allow,
}

/// A text that must not be shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text. Must not reach a log, a metric or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysConfig {
    /// Where they are kept.
    pub store: KeyStoreKind,
    /// Whether the embedded store has a key of the node's own, to try things with.
    pub development: bool,
    /// Addresses of Redis, each with what it takes to be let in.
    pub redis_urls: Vec<Secret>,
    /// How the servers are arranged.
    pub mode: RedisArrangement,
    /// What the sentinels call the master.
    pub sentinel_master: String,
    /// User of the servers where the URL says none; empty for none.
    pub redis_user: String,
    /// Password of the servers where the URL says none; empty for none.
    pub redis_password: Secret,
    /// Certificates trusted for `rediss://`; without it the system's.
    pub ca_file: Option<PathBuf>,
    /// How long connecting to Redis, and each answer, may take.
    pub timeout: Micros,
    /// What happens while the store does not answer.
    pub on_store_failure: OnStoreFailure,
    /// How long a good key is remembered.
    pub cache: Micros,
    /// How long a bad key is remembered.
    pub cache_denied: Micros,
    /// Wrong keys after which an address is locked out; 0 for never.
    pub ban_after: u32,
    /// For how long.
    pub ban: Micros,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            store: KeyStoreKind::Embedded,
            development: true,
            redis_urls: Vec::new(),
            mode: RedisArrangement::Standalone,
            sentinel_master: "mymaster".to_owned(),
            redis_user: String::new(),
            redis_password: Secret::default(),
            ca_file: None,
            timeout: Micros::from_secs(1),
            on_store_failure: OnStoreFailure::Deny,
            cache: Micros::from_secs(30),
            cache_denied: Micros::from_secs(3),
            ban_after: 20,
            ban: Micros::from_secs(600),
        }
    }
}

/// Reads `[keys]`.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> KeysConfig {
    let default = KeysConfig::default();
    let stores = [("embedded", KeyStoreKind::Embedded), ("redis", KeyStoreKind::Redis)];
    let modes = [
        ("standalone", RedisArrangement::Standalone),
        ("sentinel", RedisArrangement::Sentinel),
        ("cluster", RedisArrangement::Cluster),
    ];
    let failures = [("deny", OnStoreFailure::Deny), ("allow", OnStoreFailure::Allow)];
    let seconds = |n: Option<u32>, or: Micros| n.map_or(or, |n| Micros::from_secs(n.into()));
    let timeout = s.whole(faults, "timeout_ms", 50..=30_000);
    let keys = KeysConfig {
        store: s.word(faults, "store", &stores).unwrap_or(default.store),
        development: s.flag(faults, "development", default.development),
        redis_urls: read_urls(&mut s, faults),
        mode: s.word(faults, "mode", &modes).unwrap_or(default.mode),
        sentinel_master: text(&mut s, faults, "sentinel_master").unwrap_or(default.sentinel_master),
        redis_user: text(&mut s, faults, "redis_user").unwrap_or_default(),
        redis_password: s
            .text(faults, "redis_password")
            .map_or_else(Secret::default, |found| found.value.into()),
        ca_file: read_ca_file(&mut s, faults),
        timeout: timeout.map_or(default.timeout, |ms: u32| Micros::from_millis(ms.into())),
        on_store_failure: s
            .word(faults, "on_store_failure", &failures)
            .unwrap_or(default.on_store_failure),
        cache: seconds(s.whole(faults, "cache_seconds", 1..=3_600), default.cache),
        cache_denied: seconds(
            s.whole(faults, "cache_denied_seconds", 1..=60),
            default.cache_denied,
        ),
        ban_after: s.whole(faults, "ban_after", 0..=10_000).unwrap_or(default.ban_after),
        ban: seconds(s.whole(faults, "ban_seconds", 1..=86_400), default.ban),
    };
    if keys.store == KeyStoreKind::Redis && keys.redis_urls.is_empty() {
        let text = "`store` = \"redis\" needs `redis_url`, such as \"redis://127.0.0.1:6379\"";
        faults.add(&s.place("store"), text);
    }
    s.finish(faults);
    keys
}

/// `redis_url` and `redis_urls` together.
fn read_urls(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<Secret> {
    let one = s.text(faults, "redis_url").filter(|found| !found.value.is_empty());
    let mut urls = Vec::new();
    if let Some(found) = one {
        match url(found.value) {
            Ok(url) => urls.push(url),
            Err(text) => faults.add(&found.span, format!("`redis_url`: {text}")),
        }
    }
    urls.extend(s.texts(faults, "redis_urls", url).unwrap_or_default());
    if urls.len() > URLS_MAX {
        faults.add(&s.place("redis_urls"), format!("`redis_urls` has more than {URLS_MAX}"));
    }
    urls
}

/// The text may hold a password: it is not repeated.
fn url(text: &str) -> Result<Secret, String> {
    let rest = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(text.into()),
        _ => {
            Err("an address of Redis begins with redis:// or (for TLS) rediss://, then the host, \
                  such as \"redis://127.0.0.1:6379\""
                .to_owned())
        }
    }
}

fn text(s: &mut Section<'_>, faults: &mut Faults<'_>, key: &'static str) -> Option<String> {
    let plain = |text: &str| match text.chars().any(char::is_control) {
        true => Err("it is one line without control characters".to_owned()),
        false => Ok(text.to_owned()),
    };
    s.parsed(faults, key, plain).map(|found| found.value)
}

fn read_ca_file(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let found = s.text(faults, "ca_file").filter(|found| !found.value.is_empty())?;
    match readable(found.value) {
        Ok(path) => Some(path),
        Err(text) => {
            faults.add(&found.span, format!("`ca_file`: {text}; name a PEM file that can be read"));
            None
        }
    }
}

/// `trusted_proxies` of `[rtmp]`: addresses and networks.
pub(super) fn read_proxies(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<IpNet> {
    let network = |text: &str| {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or_else(|_| one()).map_err(|_| {
            format!("{} is no address; write one like 192.0.2.7 or 10.0.0.0/8", quoted(text))
        })
    };
    s.texts(faults, "trusted_proxies", network).unwrap_or_default()
}
