//! One webhook: it is asked about what it decides, and told the rest in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::queue_share::QueueShare;
use super::verdict::{Decision, judge};
use crate::config::{HookConfig, OnHookFailure};
use crate::stats::{Delivery, HookDecision, HookStats};

/// Requests to one hook at once about what it decides. Further ones wait, within their deadline.
const ASKED_MAX: usize = 64;

/// Pause before an event is sent again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A webhook of the configuration.
#[derive(Debug)]
pub(super) struct Webhook {
    config: HookConfig,
    client: Client,
    turns: Semaphore,
    stats: Arc<HookStats>,
    /// Set while it does not answer: said once.
    down: AtomicBool,
}

/// An event on its way.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) event: &'static str,
    pub(super) body: Bytes,
}

impl Webhook {
    pub(super) fn new(config: HookConfig, client: Client, stats: Arc<HookStats>) -> Self {
        let (turns, down) = (Semaphore::new(ASKED_MAX), AtomicBool::new(false));
        Self { config, client, turns, stats, down }
    }

    pub(super) const fn config(&self) -> &HookConfig {
        &self.config
    }

    /// Whether it is told of, or asked about, the event of this name.
    pub(super) fn wants(&self, event: &str) -> bool {
        self.config.events.iter().any(|wanted| wanted == event)
    }

    /// Why the peer may not go on, if it may not.
    pub(super) async fn decide(&self, post: Post) -> Option<Arc<str>> {
        let limit = Duration::from(self.config.timeout);
        let asked = async {
            // It is never closed.
            let _turn = self.turns.acquire().await;
            self.client.post(post.event, post.body).await
        };
        let answer = timeout(limit, asked).await;
        let answer = answer.unwrap_or_else(|_| Err("it is asked more than it answers".to_owned()));
        let said = match answer {
            Ok((status, body)) => judge(status, &body),
            Err(text) => Decision::Failed(text),
        };
        match said {
            Decision::Allow => {
                self.stats.decided(HookDecision::Allowed);
                self.is_up();
                None
            }
            Decision::Refuse(reason) => {
                self.stats.decided(HookDecision::Refused);
                self.is_up();
                Some(reason.map_or_else(|| Arc::from("refused by this server's policy"), Arc::from))
            }
            Decision::Failed(text) => {
                self.stats.decided(HookDecision::Failed);
                self.is_down(&text);
                match self.config.on_failure {
                    OnHookFailure::Open => None,
                    OnHookFailure::Closed => {
                        Some(Arc::from("this cannot be decided now; try again"))
                    }
                }
            }
        }
    }

    /// Leaves an event to be told; if too many wait it is dropped.
    pub(super) fn tell(&self, queue: &mpsc::Sender<Post>, post: Post, share: QueueShare) {
        if !share.is_in(queue) || queue.try_send(post).is_err() {
            self.stats.events().add(Delivery::Dropped, 1);
            self.is_down("more events wait than its queue takes; some are dropped");
        }
        self.stats.waiting(queue.max_capacity() - queue.capacity());
    }

    /// Tells what comes, in order, until the other end is dropped and all has been told.
    pub(super) async fn run(self: Arc<Self>, mut queue: mpsc::Receiver<Post>) {
        while let Some(post) = queue.recv().await {
            self.stats.waiting(queue.len() + 1);
            let delivery = self.deliver(&post).await;
            self.stats.events().add(delivery, 1);
            self.stats.waiting(queue.len());
        }
    }

    async fn deliver(&self, post: &Post) -> Delivery {
        let mut pause = PAUSE;
        for attempt in 0..=self.config.retries {
            if attempt > 0 {
                sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
                self.stats.retried();
            }
            let text = match self.client.post(post.event, post.body.clone()).await {
                Ok((200..=299, _)) => {
                    self.is_up();
                    return Delivery::Sent;
                }
                // The same will be refused again, unless it was only too early or too late.
                Ok((status @ 300..=499, _)) if !matches!(status, 408 | 425 | 429) => {
                    self.is_down(&format!("it does not take events: status {status}"));
                    return Delivery::Lost;
                }
                Ok((status, _)) => format!("it answered with status {status}"),
                Err(text) => text,
            };
            self.is_down(&text);
        }
        Delivery::Lost
    }

    fn is_down(&self, text: &str) {
        if !self.down.swap(true, Ordering::Relaxed) {
            tracing::warn!("hook {} at {}: {text}", self.config.name, self.config.url);
        }
    }

    fn is_up(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("hook {} answers again", self.config.name);
        }
    }
}
