//! Requests to [`super::Keys`] and their answers.

use std::fmt;

use super::StoreError;
use crate::keys::{
    AddressRange, Alias, KeyHash, KeyInfo, KeyLimits, KeyType, Shown, StreamKey, Takeover,
};

/// How long a new key is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As its type says: 30 days, 24 hours, or without end.
    #[default]
    OfType,
    /// This many seconds from now.
    Seconds(u64),
    /// Without end.
    Endless,
}

/// A key to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Public name it publishes under; a name without an application means `live/NAME`.
    pub stream: String,
    /// Kind of key.
    pub key_type: KeyType,
    /// Whose it is.
    pub owner: String,
    /// A note for people.
    pub label: String,
    /// How long it is good for.
    pub lifetime: Lifetime,
    /// Where it may be used from; empty for anywhere.
    pub allowed_ips: Vec<AddressRange>,
    /// A name that stands for it.
    pub alias: Option<String>,
    /// What a publisher may use up.
    pub limits: KeyLimits,
    /// Whether a second publisher takes the first one's place.
    pub takeover: Takeover,
}

impl NewKey {
    /// A regular key for a stream, all else by default.
    #[must_use]
    pub fn for_stream(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            key_type: KeyType::Regular,
            owner: String::new(),
            label: String::new(),
            lifetime: Lifetime::OfType,
            allowed_ips: Vec::new(),
            alias: None,
            limits: KeyLimits::default(),
            takeover: Takeover::default(),
        }
    }
}

/// A key as those who manage keys see it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its hash.
    pub hash: KeyHash,
    /// What is known about it.
    pub info: KeyInfo,
    /// Names that stand for it, sorted.
    pub aliases: Vec<Alias>,
}

impl KeyView {
    /// The first 16 hexadecimal digits of its hash.
    #[must_use]
    pub fn id(&self) -> String {
        self.hash.id()
    }
}

/// A new key: the one time that it can be seen.
#[derive(Clone, Debug)]
pub struct Made {
    /// The secret.
    pub key: StreamKey,
    /// What is known about it.
    pub view: KeyView,
}

/// What a peer's key or alias leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The key.
    pub key: KeyHash,
    /// What is known about it.
    pub info: KeyInfo,
    /// What was shown.
    pub shown: Shown,
}

/// How a key was used since the last time that was written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Unix time, seconds, of the last publisher; `None` for no new one.
    pub last_used_at: Option<u64>,
    /// Times it was shown and refused.
    pub failed: u64,
}

/// Why something could not be done with a key.
#[derive(Debug)]
pub enum KeyError {
    /// There is no such key or alias: look at the list.
    NotFound(String),
    /// Something that was given cannot be: correct it.
    Invalid(String),
    /// The name is taken, or somebody else changed the same key: look again.
    Conflict(String),
    /// The store does not work.
    Store(StoreError),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text) | Self::Invalid(text) | Self::Conflict(text) => f.write_str(text),
            Self::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for KeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotFound(_) | Self::Invalid(_) | Self::Conflict(_) => None,
        }
    }
}
