//! Hears from a sentinel that another server has become the master, and forgets connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_lite::StreamExt;
use redis::RedisResult;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Inner;
use super::watch::{PAUSE_MAX, PAUSE_MIN, PING};
use crate::control::keystore::Notice;

/// Where sentinels say that. The message is the master's name, its old host and port, and the new.
const CHANNEL: &str = "+switch-master";

impl Inner {
    /// Another server has become the master: the old one is asked nothing more.
    async fn master_moved(&self) {
        self.link.lock().await.1 = None;
        self.moved.notify_waiters();
        // Whatever was said meanwhile was not heard.
        drop(self.changes.send(Notice::Unsure));
    }

    /// Forgets the connection of this number, unless there is a newer one already.
    pub(super) async fn drop_link(&self, number: u64) {
        let mut slot = self.link.lock().await;
        if slot.0 == number {
            slot.1 = None;
        }
    }
}

/// Listens for as long as somebody wants to hear of changes.
pub(super) async fn follow(store: Arc<Inner>) {
    let (mut pause, mut turn) = (PAUSE_MIN, 0);
    while store.changes.receiver_count() > 0 {
        match timeout(store.settings.timeout * 2, subscribe(&store, turn)).await {
            Ok(Ok((sink, messages))) => {
                pause = PAUSE_MIN;
                // It may have happened while nobody listened.
                store.master_moved().await;
                listen(&store, sink, messages).await;
            }
            Ok(Err(error)) => tracing::debug!("a sentinel cannot be heard: {error}"),
            Err(_) => tracing::debug!("a sentinel cannot be heard: no answer"),
        }
        turn += 1;
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn subscribe(store: &Inner, turn: usize) -> RedisResult<(PubSubSink, PubSubStream)> {
    let first = store.next.load(Ordering::Relaxed);
    let mut listener = store.settings.sentinel(first + turn)?.get_async_pubsub().await?;
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
                let text = str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
                if is_about(text, &store.settings.master) {
                    tracing::info!("Redis: another server is the master now");
                    store.master_moved().await;
                }
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

/// Whether the message is about this master.
fn is_about(message: &str, master: &str) -> bool {
    message.split(' ').next() == Some(master)
}

#[cfg(test)]
mod tests {
    use super::is_about;

    #[test]
    fn only_the_own_master_counts() {
        assert!(is_about("keys 192.0.2.1 6379 192.0.2.2 6379", "keys"));
        assert!(!is_about("keys2 192.0.2.1 6379 192.0.2.2 6379", "keys"));
        assert!(!is_about("", "keys"));
    }
}
