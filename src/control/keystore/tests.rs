//! Tests of key stores: one suite that runs on each of them, and what only Redis has to do.

mod redis;
mod sentinel;
mod server;
mod suite;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// Time for what takes a moment. Machines that run tests may be slow and busy.
const SOON: Duration = Duration::from_secs(30);

/// The time of day, as the file system has it: seconds since 1970.
fn unix_secs() -> u64 {
    let written = tempfile::tempfile().unwrap().metadata().unwrap().modified().unwrap();
    written.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn keys_on(store: impl KeyStore + 'static) -> Keys {
    Keys::new(Arc::new(store), unix_secs)
}

/// Polls until `look` gives something.
async fn wait_until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let found = tokio::time::timeout(SOON, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("still waiting until {what}"))
}

#[tokio::test]
async fn the_embedded_store_does_all_that_a_store_does() {
    let dir = tempfile::tempdir().unwrap();
    suite::run(&keys_on(embedded::open(dir.path()).unwrap())).await;
}

#[tokio::test]
async fn the_embedded_store_in_memory_passes_too_and_writes_nothing() {
    let store = embedded::in_memory().unwrap();
    suite::run(&keys_on(store.clone())).await;
    let key = store.development_key("live/a", 1_000_000).unwrap();
    assert_ne!(store.development_key("live/a", 1_000_000).unwrap().key.hash(), key.key.hash());
    store.no_development_key(1_000_000).unwrap();
    assert!(!std::path::Path::new("development-key").exists());
}
