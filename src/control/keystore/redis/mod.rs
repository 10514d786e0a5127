//! The key store in Redis: one server, Sentinel or Cluster. Several nodes share it.
//!
//! `stream:key:<hash>` is the key's information as JSON and expires with the key,
//! `stream:alias:<alias>` the hash of the key it stands for; the hash of what has changed is said
//! on the channel `stream:key:changes`.

mod failover;
mod fault;
mod link;
mod spec;
mod store;
mod subscription;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use redis::RedisResult;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;

use super::health::{Health, State};
use super::{NOTICES_MAX, Notice, StoreError};
use fault::{is_lost, store_error};
use link::Link;
use spec::Settings;
pub use spec::{RedisMode, RedisSpec};

/// Where changes are told.
pub const CHANNEL: &str = "stream:key:changes";

/// Before the hash in the name of a key's record.
pub const KEY_PREFIX: &str = "stream:key:";

/// Before the alias in the name of its record.
pub const ALIAS_PREFIX: &str = "stream:alias:";

/// Before the hash of what was deleted: among the records of keys, so that the same rights do.
pub const GONE_PREFIX: &str = "stream:key:gone:";

/// Keys in Redis. Nothing connects before the first question; a connection that fails is made anew
/// with the next one. Clones are the same store.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// The present connection, and how many there were.
    link: tokio::sync::Mutex<(u64, Option<Link>)>,
    /// Which of several servers or sentinels is asked first.
    next: AtomicUsize,
    changes: broadcast::Sender<Notice>,
    /// Told when another server has become the master.
    moved: Notify,
    /// Whether somebody listens to what others change.
    watched: AtomicBool,
    /// How the last question was answered; changes are told in the log.
    health: Health,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({:?})", self.0.settings)
    }
}

impl Redis {
    /// A store that has not connected yet.
    ///
    /// # Errors
    /// [`StoreError::Settings`] if that could never work.
    pub fn new(spec: &RedisSpec) -> Result<Self, StoreError> {
        let (changes, _) = broadcast::channel(NOTICES_MAX);
        Ok(Self(Arc::new(Inner {
            settings: Settings::read(spec)?,
            link: tokio::sync::Mutex::new((0, None)),
            next: AtomicUsize::new(0),
            changes,
            moved: Notify::new(),
            watched: AtomicBool::new(false),
            health: Health::default(),
        })))
    }
}

impl Inner {
    /// Does `work` on the connection; once more on a new one if it has just been lost. Ends within
    /// three times the timeout.
    async fn on_link<T, F: Future<Output = RedisResult<T>>>(
        &self,
        work: impl Fn(Link) -> F,
    ) -> Result<T, StoreError> {
        let tried = timeout(self.settings.timeout * 3, async {
            let (number, link) = self.link().await?;
            match work(link).await {
                Err(error) if is_lost(&error) => self.drop_link(number).await,
                settled => return settled,
            }
            let (number, link) = self.link().await?;
            let result = work(link).await;
            if result.as_ref().is_err_and(is_lost) {
                self.drop_link(number).await;
            }
            result
        });
        let result = match tried.await {
            Ok(result) => result.map_err(|error| store_error(&error)),
            Err(_) => Err(StoreError::Away("no answer in time".to_owned())),
        };
        self.say(result.as_ref().err());
        result
    }

    /// How the last question ended; each change is told in the log.
    fn say(&self, error: Option<&StoreError>) {
        let now = match error {
            Some(StoreError::Away(_)) => State::Away,
            Some(StoreError::Refused(_)) => State::Refused,
            _ => State::Works,
        };
        if self.health.is_still(now) {
            return;
        }
        match error.filter(|_| now != State::Works) {
            Some(error) => tracing::warn!("the key store at {:?}: {error}", self.settings),
            None => {
                tracing::info!("the key store at {:?} answers again", self.settings);
                // Who was let in or went on meanwhile is to be looked at.
                drop(self.changes.send(Notice::Unsure));
            }
        }
    }

    async fn link(&self) -> RedisResult<(u64, Link)> {
        let mut slot = self.link.lock().await;
        let link = match &slot.1 {
            Some(link) => link.clone(),
            None => {
                let link = Link::open(&self.settings, &self.next).await?;
                slot.0 += 1;
                slot.1.insert(link).clone()
            }
        };
        Ok((slot.0, link))
    }
}
