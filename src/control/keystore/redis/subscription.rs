//! Redis subscription: kept up for as long as somebody wants to hear of changes, and made anew
//! whenever it breaks.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{Client, RedisResult};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Inner;

/// How often a silent connection is tried.
const PING: Duration = Duration::from_secs(2);

/// The first pause after a failure; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Whom a subscription is for.
pub(super) trait Subscriber {
    /// What it listens to, for the log.
    const WHAT: &str;
    /// Where that is said.
    const CHANNEL: &str;
    /// Questions to servers until it is subscribed; each may take the timeout.
    const STEPS: u32;

    /// The server that says it now.
    async fn server(&mut self, store: &Inner) -> RedisResult<Client>;

    /// It listens; whatever was said before was not heard.
    async fn begun(&mut self, store: &Inner);

    /// Something is said.
    async fn heard(&mut self, store: &Inner, message: &[u8]);
}

/// Listens for as long as somebody wants to hear of changes.
pub(super) async fn keep_up<S: Subscriber>(store: Arc<Inner>, mut subscriber: S) {
    let mut pause = PAUSE_MIN;
    while store.changes.receiver_count() > 0 {
        let limit = store.settings.timeout * S::STEPS;
        match timeout(limit, subscribe(&store, &mut subscriber)).await {
            Ok(Ok(listener)) => {
                pause = PAUSE_MIN;
                subscriber.begun(&store).await;
                let (sink, messages) = listener.split();
                listen(&store, &mut subscriber, sink, messages).await;
            }
            Ok(Err(error)) => tracing::debug!("{} cannot be heard: {error}", S::WHAT),
            Err(_) => tracing::debug!("{} cannot be heard: no answer", S::WHAT),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn subscribe<S: Subscriber>(store: &Inner, subscriber: &mut S) -> RedisResult<PubSub> {
    let mut listener = subscriber.server(store).await?.get_async_pubsub().await?;
    listener.subscribe(S::CHANNEL).await?;
    Ok(listener)
}

/// Until the connection is gone, does not answer, or leads to a server that is the master no more.
async fn listen<S: Subscriber>(
    store: &Inner,
    subscriber: &mut S,
    mut sink: PubSubSink,
    mut messages: PubSubStream,
) {
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                subscriber.heard(store, message.get_payload_bytes()).await;
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
