//! Where keys are kept. Synchronous, and never called from the data plane.

pub mod embedded;
mod error;

use std::fmt;

use crate::keys::{KeyHash, KeyInfo, StreamKey};

pub use error::StoreError;

/// Keys a store holds at most. Further ones are refused with the way out.
pub const KEYS_MAX: u64 = 100_000;

/// A place that keeps what is known about keys, by their hashes. Never the keys themselves.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// Makes a new key. This is the one time that it can be seen.
    ///
    /// # Errors
    /// If the store or the operating system's generator does not work, or [`KEYS_MAX`] is reached.
    fn create(&self, info: &KeyInfo) -> Result<StreamKey, StoreError>;

    /// What is known about the key with this hash.
    ///
    /// # Errors
    /// If the store does not work.
    fn get(&self, hash: &KeyHash) -> Result<Option<KeyInfo>, StoreError>;

    /// All keys, in no order.
    ///
    /// # Errors
    /// If the store does not work.
    fn list(&self) -> Result<Vec<(KeyHash, KeyInfo)>, StoreError>;

    /// Adds a key that was made elsewhere, or changes what is known about one.
    ///
    /// # Errors
    /// If the store does not work, or [`KEYS_MAX`] is reached.
    fn put(&self, hash: &KeyHash, info: &KeyInfo) -> Result<(), StoreError>;

    /// Forgets a key; false if there was none.
    ///
    /// # Errors
    /// If the store does not work.
    fn remove(&self, hash: &KeyHash) -> Result<bool, StoreError>;
}

/// A key made at a node's start, to try things with: good for 24 hours from anywhere.
#[derive(Clone, Debug)]
pub struct DevelopmentKey {
    /// The key, to be shown once to whoever started the node.
    pub key: StreamKey,
    /// Public name it publishes under.
    pub stream: String,
    /// Unix time, seconds, from which on it is no good.
    pub expires_at: u64,
}
