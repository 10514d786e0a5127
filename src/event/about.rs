//! Connection facts in events: what a peer says about itself, and the holder of the key it shows.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// What is known of a connection beside its address. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct About {
    /// `rtmp`, `rtmps`, `http-flv`, `ws-flv` or `http-snapshot`.
    pub protocol: &'static str,
    /// The URL of its application: scheme, host and the first part of the path. Empty if it did
    /// not say.
    pub tc_url: String,
    /// Name and version of the program, as it gives them. Empty if it did not say.
    pub agent: String,
}

/// The protocols that connections speak.
const PROTOCOLS: [&str; 5] = ["rtmp", "rtmps", "http-flv", "ws-flv", "http-snapshot"];

/// What stands in a snapshot.
#[derive(Deserialize)]
struct SavedAbout {
    protocol: String,
    tc_url: String,
    agent: String,
}

impl<'de> Deserialize<'de> for About {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SavedAbout { protocol, tc_url, agent } = SavedAbout::deserialize(deserializer)?;
        let protocol = PROTOCOLS.into_iter().find(|known| *known == protocol);
        Ok(Self { protocol: protocol.unwrap_or_default(), tc_url, agent })
    }
}

/// Whose key a connection publishes with. Holds no secret: the id is the beginning of a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyHolder {
    /// The key's id, 16 hexadecimal digits.
    pub key: String,
    /// Whose it is; empty if nobody said, or if the store was away.
    pub owner: Arc<str>,
    /// The note of its key; empty if there is none.
    pub label: Arc<str>,
}
