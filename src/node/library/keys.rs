//! Stream keys of a program that embeds the node.

use tokio::sync::mpsc;

use super::parts::Invalid;
use crate::control::keystore::{KeyError, Keys, NewKey};
use crate::keys::{KeyHash, StreamKey, public_name};

/// Keys that may wait to be added or revoked. Further ones are refused.
pub(super) const WORK_MAX: usize = 1_024;

/// What is to be done with a key, on the control thread.
#[derive(Debug)]
pub(super) enum KeyWork {
    /// Let it publish under this name.
    Add(StreamKey, String),
    /// Take it back.
    Revoke(KeyHash),
}

/// A key that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedKey {
    /// Its name for those who manage keys: no secret.
    pub id: String,
    /// Public name it publishes under, and viewers play.
    pub stream: String,
    /// Why the key can be guessed, if it can.
    pub warning: Option<&'static str>,
}

impl KeyWork {
    /// Lets whoever has `key` publish as `stream`.
    ///
    /// # Errors
    /// [`Invalid`] if it is no key, or the name cannot be one.
    pub(super) fn add(key: &str, stream: &str) -> Result<(Self, AddedKey), Invalid> {
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(Invalid("a stream key is one line of text".to_owned()));
        }
        let stream = public_name(stream).map_err(|error| Invalid(error.to_string()))?;
        let key = StreamKey::imported(key);
        let added =
            AddedKey { id: key.hash().id(), stream: stream.clone(), warning: key.weakness() };
        Ok((Self::Add(key, stream), added))
    }
}

/// Does what comes, until the program ends.
pub(super) async fn work(keys: Option<Keys>, mut waiting: mpsc::Receiver<KeyWork>) {
    let Some(keys) = keys else { return std::future::pending().await };
    while let Some(work) = waiting.recv().await {
        let done = match work {
            KeyWork::Add(key, stream) => {
                keys.import(&key, NewKey::for_stream(&stream), true).await.map(drop)
            }
            KeyWork::Revoke(hash) => keys.revoke(&hash.to_string()).await.map(drop),
        };
        match done {
            // A key that is there already was added before an earlier end of the program.
            Ok(()) | Err(KeyError::Conflict(_)) => {}
            Err(error) => tracing::error!("a stream key could not be added or revoked: {error}"),
        }
    }
    std::future::pending::<()>().await;
}
