//! Listens to what others change in Redis, and comes back when it was away.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{RedisResult, cmd};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::link::server;
use super::{CHANNEL, Inner};
use crate::control::keystore::Notice;
use crate::keys::KeyHash;

/// How often a silent connection is tried.
pub(super) const PING: Duration = Duration::from_secs(2);

/// The first pause after a failure; it doubles.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest one.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Listens for as long as somebody wants to hear.
pub(super) async fn watch(store: Arc<Inner>) {
    let mut pause = PAUSE_MIN;
    let mut policy = String::new();
    while store.changes.receiver_count() > 0 {
        let limit = store.settings.timeout * 3;
        match timeout(limit, subscribe(&store)).await {
            Ok(Ok((sink, messages))) => {
                pause = PAUSE_MIN;
                // Whatever was said meanwhile was not heard.
                drop(store.changes.send(Notice::Unsure));
                look_at_policy(&store, &mut policy).await;
                listen(&store, sink, messages).await;
            }
            Ok(Err(error)) => tracing::debug!("changes of keys cannot be heard: {error}"),
            Err(_) => tracing::debug!("changes of keys cannot be heard: no answer"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Says that Redis may throw away keys for want of memory, once for each policy that does so.
async fn look_at_policy(store: &Inner, told: &mut String) {
    let asked = store.on_link(|mut link| async move {
        let mut answers = Vec::new();
        for part in link.parts().await? {
            let info = cmd("INFO").arg("memory").take();
            answers.push(link.ask_part::<String>(part.as_ref(), info).await?);
        }
        Ok(answers)
    });
    match asked.await {
        Ok(answers) => {
            let evicting = answers.iter().find_map(|info| evicting_policy(info));
            let policy = evicting.unwrap_or_default();
            if !policy.is_empty() && policy != told {
                tracing::warn!(
                    "Redis at {:?} may throw away stream keys when its memory is full \
                     (maxmemory-policy {policy}); set maxmemory-policy noeviction",
                    store.settings
                );
            }
            policy.clone_into(told);
        }
        Err(error) => tracing::info!(
            "whether Redis throws away keys cannot be seen ({error}); its user needs +info"
        ),
    }
}

/// The policy by which Redis throws away keys, if it does.
fn evicting_policy(info: &str) -> Option<&str> {
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"))?.trim();
    (policy != "noeviction").then_some(policy)
}

async fn subscribe(store: &Inner) -> RedisResult<(PubSubSink, PubSubStream)> {
    let client = server(&store.settings, &store.next).await?;
    let mut listener = client.get_async_pubsub().await?;
    listener.subscribe(CHANNEL).await?;
    Ok(listener.split())
}

/// Until the connection is gone, or does not answer.
async fn listen(store: &Inner, mut sink: PubSubSink, mut messages: PubSubStream) {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                let hash = str::from_utf8(message.get_payload_bytes()).ok();
                let hash = hash.and_then(|text| KeyHash::from_hex(text.trim()));
                // Another program's words may mean any key.
                drop(store.changes.send(hash.map_or(Notice::Unsure, Notice::Changed)));
            }
            () = store.moved.notified() => return,
            _ = pings.tick() => {
                let answer = timeout(store.settings.timeout, sink.ping::<redis::Value>()).await;
                if !matches!(answer, Ok(Ok(_))) || store.changes.receiver_count() == 0 {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_that_throws_away_keys_is_seen() {
        let of = |policy: &str| format!("# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:{policy}\r\n");
        for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
            assert_eq!(evicting_policy(&of(policy)), Some(policy));
        }
        assert_eq!(evicting_policy(&of("noeviction")), None);
        assert_eq!(evicting_policy("# Memory\r\n"), None);
    }
}
