//! Redis fail-over: a sentinel says that another server has become the master, and connections to
//! the former one are forgotten.

use std::sync::atomic::Ordering;

use redis::{Client, RedisResult};

use super::Inner;
use super::subscription::Subscriber;
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

/// Who listens to the sentinels, one after the other when they fail.
#[derive(Default)]
pub(super) struct Failover {
    turn: usize,
}

impl Subscriber for Failover {
    const WHAT: &str = "a sentinel";
    const CHANNEL: &str = CHANNEL;
    const STEPS: u32 = 2;

    async fn server(&mut self, store: &Inner) -> RedisResult<Client> {
        let turn = self.turn;
        self.turn += 1;
        store.settings.sentinel(store.next.load(Ordering::Relaxed) + turn)
    }

    async fn begun(&mut self, store: &Inner) {
        // It may have happened while nobody listened.
        store.master_moved().await;
    }

    async fn heard(&mut self, store: &Inner, message: &[u8]) {
        let text = str::from_utf8(message).unwrap_or_default();
        if is_about(text, &store.settings.master) {
            tracing::info!("Redis: another server is the master now");
            store.master_moved().await;
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
