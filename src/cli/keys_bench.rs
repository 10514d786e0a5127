//! Benchmark of a key store, `stream-manager bench keys`: making, finding, listing and deleting
//! keys through what a node asks it with.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::cli::KeysBench;
use crate::config::{KeyStoreKind, KeysConfig};
use crate::control::keystore::redis::Redis;
use crate::control::keystore::{KeyStore, Keys, NewKey, embedded};
use crate::control::settings::keys::{keys_on, redis_spec};
use crate::keys::{CacheSpec, Decision, DecisionCache, KeyHash, Lookup, Moment, StreamKey, decide};
use crate::load::{Failure, Report, Times};
use crate::runtime::Clock;

/// Keys that are looked up again and again in a shard's memory: fewer than it holds.
const WARM_KEYS: usize = 3_000;

/// Look-ups in a shard's memory.
const WARM_LOOKUPS: usize = 1_000_000;

/// Where the peer is that the decisions are made for.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Measures a store and leaves it as empty as it was.
///
/// # Errors
/// If there are keys in it already, or it does not work; in words.
pub fn keys_bench(bench: &KeysBench) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(bench))
}

async fn run(bench: &KeysBench) -> Result<String, Failure> {
    let clock = Clock::start();
    let store = open(bench)?;
    let keys = keys_on(store, clock);
    let found = keys.list().await?.len();
    if found > 0 {
        return Err(format!(
            "there are {found} keys in this store already; name an empty directory with --store, \
             or a Redis database without keys with --redis"
        )
        .into());
    }
    let mut made = Vec::new();
    let measured = measure(bench, &keys, clock, &mut made).await;
    // Also after a failure: nobody else has made keys here.
    let began = clock.now();
    let removed = remove(&keys, &made, bench.parallel).await;
    let mut report = measured?;
    removed?;
    rate(&mut report, "delete at once", made.len(), clock.now().since(began).secs_f64());
    Ok(report.text(bench.json))
}

fn open(bench: &KeysBench) -> Result<Arc<dyn KeyStore>, Failure> {
    if let Some(url) = &bench.redis {
        let config = KeysConfig {
            store: KeyStoreKind::Redis,
            redis_urls: vec![url.as_str().into()],
            ..KeysConfig::default()
        };
        return Ok(Arc::new(Redis::new(&redis_spec(&config))?));
    }
    let dir = bench.store.as_deref().unwrap_or_else(|| Path::new("."));
    Ok(Arc::new(embedded::open(dir)?))
}

async fn measure(
    bench: &KeysBench,
    keys: &Keys,
    clock: Clock,
    made: &mut Vec<StreamKey>,
) -> Result<Report, Failure> {
    let count = bench.count as usize;
    let mut report = Report::default();
    report.number("keys", bench.count.into(), "", 0);

    let (began, mut times) = (clock.now(), Times::default());
    for number in 0..count {
        let before = clock.now();
        made.push(keys.create(NewKey::for_stream(&format!("live/bench-{number}"))).await?.key);
        times.add(clock.now().since(before).0);
    }
    rate(&mut report, "create one by one", count, clock.now().since(began).secs_f64());
    report.times("create", &times);

    let (began, mut times) = (clock.now(), Times::default());
    let mut decisions = Vec::new();
    for key in &*made {
        let before = clock.now();
        decisions.push(validate(keys, key, clock).await?);
        times.add(clock.now().since(before).0);
    }
    rate(&mut report, "validate cold one by one", count, clock.now().since(began).secs_f64());
    report.times("validate cold", &times);

    let began = clock.now();
    let jobs = made.iter().map(|key| {
        let (keys, key) = (keys.clone(), key.clone());
        async move { validate(&keys, &key, clock).await.map(drop) }
    });
    at_once(bench.parallel, jobs).await?;
    rate(&mut report, "validate cold at once", count, clock.now().since(began).secs_f64());

    warm(&mut report, made, decisions, clock)?;

    let began = clock.now();
    let listed = keys.list().await?.len();
    let took = clock.now().since(began).secs_f64();
    if listed != count {
        return Err(format!("{listed} of {count} keys are in the list").into());
    }
    report.number("list all", took * 1e3, "ms", 1);
    Ok(report)
}

/// What a node does when a shard does not know a key.
async fn validate(keys: &Keys, key: &StreamKey, clock: Clock) -> Result<Decision, Failure> {
    let hash = KeyHash::of(key.expose());
    let found = keys.look_up(&hash, None).await?.ok_or("a key that was made is not there")?;
    let at = Moment { now: clock.now(), unix_s: clock.unix_secs() };
    allowed(&decide(found.key, &found.info, found.shown, at), clock)
}

fn allowed(decision: &Decision, clock: Clock) -> Result<Decision, Failure> {
    match decision.for_peer(PEER, clock.now()) {
        Decision::Deny(denial) => Err(format!("a good key was refused: {denial}").into()),
        allowed @ Decision::Allow(_) => Ok(allowed),
    }
}

/// What a shard does that knows a key: it hashes what it is shown and asks its memory.
fn warm(
    report: &mut Report,
    made: &[StreamKey],
    decisions: Vec<Decision>,
    clock: Clock,
) -> Result<(), Failure> {
    let mut cache = DecisionCache::new(CacheSpec::default());
    for (key, decision) in made.iter().zip(decisions).take(WARM_KEYS) {
        cache.insert(key.hash(), decision, clock.now());
    }
    let began = clock.now();
    for key in made.iter().take(WARM_KEYS).cycle().take(WARM_LOOKUPS) {
        match cache.lookup(&KeyHash::of(key.expose()), clock.now()) {
            Lookup::Hit(decision) => drop(allowed(&decision, clock)?),
            Lookup::Miss { .. } => return Err("a shard has forgotten a key".into()),
        }
    }
    rate(report, "validate warm", WARM_LOOKUPS, clock.now().since(began).secs_f64());
    Ok(())
}

async fn remove(keys: &Keys, made: &[StreamKey], parallel: u32) -> Result<(), Failure> {
    let jobs = made.iter().map(|key| {
        let (keys, hash) = (keys.clone(), key.hash().to_string());
        async move { Ok(keys.delete(&hash).await?) }
    });
    at_once(parallel, jobs).await
}

/// Does all the jobs, so many at a time.
async fn at_once<F>(parallel: u32, jobs: impl Iterator<Item = F>) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    for job in jobs {
        if under_way.len() >= parallel as usize
            && let Some(done) = under_way.join_next().await
        {
            done??;
        }
        under_way.spawn(job);
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(report: &mut Report, name: &'static str, count: usize, seconds: f64) {
    report.number(name, count as f64 / seconds.max(1e-9), "per second", 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(dir: &Path) -> KeysBench {
        let store = Some(dir.to_owned());
        KeysBench { store, redis: None, count: 5, parallel: 2, json: true }
    }

    fn stored(dir: &Path) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Arc::new(embedded::open(dir).unwrap());
        runtime.block_on(keys_on(store, Clock::start()).list()).unwrap().len()
    }

    #[test]
    fn an_empty_store_is_measured_and_empty_again() {
        let dir = tempfile::tempdir().unwrap();
        let text = keys_bench(&bench(dir.path())).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(figures["create_us"]["samples"], 5, "{text}");
        for name in ["validate_warm_per_second", "delete_at_once_per_second", "list_all_ms"] {
            assert!(figures[name].as_f64().unwrap() > 0.0, "{name} in {text}");
        }
        assert_eq!(stored(dir.path()), 0);
    }

    #[test]
    fn a_store_with_keys_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = embedded::open(dir.path()).unwrap();
        store.development_key("live/dev", Clock::start().unix_secs()).unwrap();
        drop(store);
        let told = keys_bench(&bench(dir.path())).unwrap_err().to_string();
        assert!(told.contains("1 keys") && told.contains("empty"), "{told}");
        assert_eq!(stored(dir.path()), 1);
    }
}
