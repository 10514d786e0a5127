//! Redis changes: what others change in the key store is told, and a Redis that may throw keys away
//! is warned of.

use redis::{Client, RedisResult, cmd};

use super::link::server;
use super::subscription::Subscriber;
use super::{CHANNEL, Inner};
use crate::control::keystore::Notice;
use crate::keys::KeyHash;

/// Who listens to the changes.
#[derive(Default)]
pub(super) struct Watch {
    /// The policy that was warned of.
    policy: String,
}

impl Subscriber for Watch {
    const WHAT: &str = "changes of keys";
    const CHANNEL: &str = CHANNEL;
    const STEPS: u32 = 3;

    async fn server(&mut self, store: &Inner) -> RedisResult<Client> {
        server(&store.settings, &store.next).await
    }

    async fn begun(&mut self, store: &Inner) {
        // Whatever was said meanwhile was not heard.
        drop(store.changes.send(Notice::Unsure));
        look_at_policy(store, &mut self.policy).await;
    }

    async fn heard(&mut self, store: &Inner, message: &[u8]) {
        let hash = str::from_utf8(message).ok();
        let hash = hash.and_then(|text| KeyHash::from_hex(text.trim()));
        // Another program's words may mean any key.
        drop(store.changes.send(hash.map_or(Notice::Unsure, Notice::Changed)));
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
