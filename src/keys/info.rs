//! Key records: the settings that a store keeps for a key, as JSON.

use serde::{Deserialize, Serialize};

use super::address::AddressRange;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// Made for an owner.
    Regular,
    /// Stands behind a lasting, human name and can be rotated there; has no end of its own.
    Alias,
    /// Made by the node at its start, to try things with: 24 hours, from anywhere.
    Development,
}

impl KeyType {
    /// `regular`, `alias` or `development`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Alias => "alias",
            Self::Development => "development",
        }
    }

    /// Seconds that a new key of this kind is good for, if its owner does not say.
    #[must_use]
    pub const fn lifetime_s(self) -> Option<u64> {
        const DAY_S: u64 = 24 * 60 * 60;
        match self {
            Self::Regular => Some(30 * DAY_S),
            Self::Alias => None,
            Self::Development => Some(DAY_S),
        }
    }
}

/// What happens when somebody comes with a good key while its stream is being published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// The second is refused while the first is alive; one that is silent loses its place.
    #[default]
    Refuse,
    /// The second takes the first one's place at once.
    Take,
}

/// Limits in a snapshot: all of them in their order. As text they are left out where there are
/// none, which a format without names cannot read back.
pub mod plain_limits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::KeyLimits;

    type All = (Option<u64>, [Option<u32>; 4]);

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(limits: &KeyLimits, serializer: S) -> Result<S::Ok, S::Error> {
        let KeyLimits { bitrate_bps, viewers, max_width, max_height, max_fps } = *limits;
        let all: All = (bitrate_bps, [viewers, max_width, max_height, max_fps]);
        all.serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyLimits, D::Error> {
        let (bitrate_bps, [viewers, max_width, max_height, max_fps]) =
            All::deserialize(deserializer)?;
        Ok(KeyLimits { bitrate_bps, viewers, max_width, max_height, max_fps })
    }
}

/// What whoever publishes with a key may use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeyLimits {
    /// Bits per second of audio and picture together; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_bps: Option<u64>,
    /// Viewers of the stream at once, on all shards of a node; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u32>,
    /// Pixels from left to right, if the stream announces them; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_width: Option<u32>,
    /// Pixels from top to bottom, if the stream announces them; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_height: Option<u32>,
    /// Frames per second, if the stream announces them; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_fps: Option<u32>,
}

/// What is known about a key. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct KeyInfo {
    /// Kind of key.
    #[serde(rename = "type")]
    pub key_type: KeyType,
    /// Whose it is.
    pub owner: String,
    /// Public name it publishes under, such as `live/studio`.
    pub stream: String,
    /// A note for people.
    pub label: String,
    /// Unix time, seconds.
    pub created_at: u64,
    /// Unix time, seconds, from which on it is no good; `None` for never.
    pub expires_at: Option<u64>,
    /// Where it may be used from; empty for anywhere.
    pub allowed_ips: Vec<AddressRange>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Unix time, seconds; `None` for never.
    pub last_used_at: Option<u64>,
    /// How often it was shown and refused: after its end, or from a wrong address.
    pub failed_attempts: u64,
    /// What a publisher may use up.
    pub limits: KeyLimits,
    /// Whether a second publisher takes the first one's place.
    pub takeover: Takeover,
    /// What other programs keep in the record: left as it is.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl KeyInfo {
    /// A new key of a kind, with that kind's lifetime from `now_unix` seconds on.
    #[must_use]
    pub fn new(key_type: KeyType, stream: &str, now_unix: u64) -> Self {
        Self {
            key_type,
            owner: String::new(),
            stream: stream.to_owned(),
            label: String::new(),
            created_at: now_unix,
            expires_at: key_type.lifetime_s().map(|seconds| now_unix.saturating_add(seconds)),
            allowed_ips: Vec::new(),
            revoked: false,
            last_used_at: None,
            failed_attempts: 0,
            limits: KeyLimits::default(),
            takeover: Takeover::default(),
            other: serde_json::Map::new(),
        }
    }

    /// Whether its time is over at `now_unix` seconds.
    #[must_use]
    pub fn is_expired(&self, now_unix: u64) -> bool {
        self.expires_at.is_some_and(|end| now_unix >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_documented_names_and_comes_back_the_same() {
        let mut info = KeyInfo::new(KeyType::Regular, "live/studio", 1_000);
        info.allowed_ips = vec!["192.0.2.0/24".parse().unwrap(), "::1".parse().unwrap()];
        let json = serde_json::to_string(&info).unwrap();
        assert!(json.contains(r#""type":"regular""#), "{json}");
        assert!(json.contains(r#""allowed_ips":["192.0.2.0/24","::1"]"#), "{json}");
        assert!(json.contains(r#""expires_at":2593000"#), "{json}");
        assert_eq!(serde_json::from_str::<KeyInfo>(&json).unwrap(), info);
    }

    #[test]
    fn json_of_another_version_is_read() {
        let json = r#"{"type":"alias","stream":"live/a","added_later":1}"#;
        let info: KeyInfo = serde_json::from_str(json).unwrap();
        assert_eq!((info.key_type, info.expires_at), (KeyType::Alias, None));
        let again = serde_json::to_string(&info).unwrap();
        assert!(again.contains(r#""added_later":1"#), "another program's field is lost: {again}");
    }
}
