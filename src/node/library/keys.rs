//! Stream keys of a program that embeds the node.

use tokio::sync::mpsc;

use super::{Invalid, StreamManager};
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

impl StreamManager {
    /// Lets whoever has `key` publish, for 30 days, under a public name made from its hash. It is
    /// known a moment after the manager has started, or after this call if it has.
    ///
    /// # Errors
    /// [`Invalid`] if it is no key, or too many wait.
    pub fn add_stream_key(&mut self, key: &str) -> Result<AddedKey, Invalid> {
        let name = format!("live/{}", KeyHash::of(key).id());
        self.add_stream_key_for(key, &name)
    }

    /// The same under a public name of your choice, such as `live/studio`.
    ///
    /// # Errors
    /// As [`StreamManager::add_stream_key`]; also if the name cannot be one.
    pub fn add_stream_key_for(&mut self, key: &str, stream: &str) -> Result<AddedKey, Invalid> {
        if key.is_empty() || key.chars().any(char::is_control) {
            return Err(Invalid("a stream key is one line of text".to_owned()));
        }
        let stream = public_name(stream).map_err(|error| Invalid(error.to_string()))?;
        let key = StreamKey::imported(key);
        let added =
            AddedKey { id: key.hash().id(), stream: stream.clone(), warning: key.weakness() };
        if let Some(warning) = added.warning {
            tracing::warn!("the stream key {} can be guessed: {warning}", added.id);
        }
        self.hand_over(KeyWork::Add(key, stream))?;
        Ok(added)
    }

    /// Takes a key back: who publishes with it is ended within a second.
    ///
    /// # Errors
    /// [`Invalid`] if too many wait.
    pub fn revoke_stream_key(&mut self, key: &str) -> Result<(), Invalid> {
        self.hand_over(KeyWork::Revoke(KeyHash::of(key)))
    }

    fn hand_over(&mut self, work: KeyWork) -> Result<(), Invalid> {
        let full = || Invalid(format!("{WORK_MAX} stream keys wait already; try again"));
        match &self.controller {
            Some(controller) => controller.key_work.try_send(work).map_err(|_| full()),
            None if self.key_work.len() >= WORK_MAX => Err(full()),
            None => {
                self.key_work.push(work);
                Ok(())
            }
        }
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
