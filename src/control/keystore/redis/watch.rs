//! Listens to what others change in Redis, and comes back when it was away.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use redis::RedisResult;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::link::server;
use super::{CHANNEL, Inner};
use crate::control::keystore::Notice;
use crate::keys::KeyHash;

/// How often a silent connection is tried.
const PING: Duration = Duration::from_secs(2);

/// The first pause after a failure; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Listens for as long as somebody wants to hear.
pub(super) async fn watch(store: Arc<Inner>) {
    let mut pause = PAUSE_MIN;
    while store.changes.receiver_count() > 0 {
        let limit = store.settings.timeout * 3;
        match timeout(limit, subscribe(&store)).await {
            Ok(Ok((sink, messages))) => {
                pause = PAUSE_MIN;
                // Whatever was said meanwhile was not heard.
                drop(store.changes.send(Notice::Unsure));
                listen(&store, sink, messages).await;
            }
            Ok(Err(error)) => tracing::debug!("changes of keys cannot be heard: {error}"),
            Err(_) => tracing::debug!("changes of keys cannot be heard: no answer"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
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
            _ = pings.tick() => {
                let answer = timeout(store.settings.timeout, sink.ping::<redis::Value>()).await;
                if !matches!(answer, Ok(Ok(_))) || store.changes.receiver_count() == 0 {
                    return;
                }
            }
        }
    }
}
