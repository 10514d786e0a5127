//! Connection facts in events: what a peer says about itself, and the holder of the key it shows.

use std::sync::Arc;

/// What is known of a connection beside its address. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `rtmp`, `rtmps`, `http-flv` or `ws-flv`.
    pub protocol: &'static str,
    /// The URL of its application: scheme, host and the first part of the path. Empty if it did
    /// not say.
    pub tc_url: String,
    /// Name and version of the program, as it gives them. Empty if it did not say.
    pub agent: String,
}

/// Whose key a connection publishes with. Holds no secret: the id is the beginning of a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id, 16 hexadecimal digits.
    pub key: String,
    /// Whose it is; empty if nobody said, or if the store was away.
    pub owner: Arc<str>,
    /// The note of its key; empty if there is none.
    pub label: Arc<str>,
}
