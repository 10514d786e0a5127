//! A key as its owner holds it, and the hash that is all a node keeps.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::hex;

/// A stream key: a secret, shown once. `Debug` hides it, and there is no `Display`.
#[derive(Clone)]
pub struct StreamKey(Box<str>);

impl StreamKey {
    /// From 32 bytes of the operating system's generator: 64 hexadecimal digits.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(hex::encode(&random).into())
    }

    /// A key that was made elsewhere, of any form.
    #[must_use]
    pub fn imported(text: &str) -> Self {
        Self(text.into())
    }

    /// The key itself, to be shown to its owner. Must not reach a log, a metric or an event.
    #[must_use]
    pub const fn expose(&self) -> &str {
        &self.0
    }

    /// Why it could be guessed, if it could: for a warning to whoever imports it.
    #[must_use]
    pub fn weakness(&self) -> Option<&'static str> {
        weakness(&self.0)
    }

    /// Whether it has so few characters that nobody should take it in without being told to.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.chars().count() < KEY_CHARS_MIN
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }
}

/// Whether what a peer shows as its key is of a form that can be found by trying: aliases are, and
/// weak keys.
#[must_use]
pub fn is_guessable(shown: &str) -> bool {
    weakness(shown).is_some()
}

fn weakness(key: &str) -> Option<&'static str> {
    let mut seen = [false; 256];
    key.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    match key.chars().count() {
        0..WEAK_CHARS => Some("it is shorter than 20 characters"),
        _ if distinct < WEAK_DISTINCT => Some("it has few different characters"),
        _ => None,
    }
}

/// Characters below which a key that was made elsewhere is refused, unless it is said to be weak.
pub const KEY_CHARS_MIN: usize = 16;

/// Characters below which a key can be found by trying.
const WEAK_CHARS: usize = 20;

/// Different characters below which it can be too: 20 of 8 kinds have 60 bits at most.
const WEAK_DISTINCT: usize = 8;

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(***)")
    }
}

/// Hash of a key. Keys are compared by it, in constant time.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct KeyHash([u8; 32]);

/// Separates these hashes from all others of the same text. Changing it invalidates every key.
const CONTEXT: &str = "stream-manager 2026-01 hash of a stream key";

impl KeyHash {
    /// Of what a peer or an owner gave as the key, taken as it is: hexadecimal or any other text.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(blake3::derive_key(CONTEXT, key.as_bytes()))
    }

    /// Its bytes, as a store keeps them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From a store's bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What people see of it: the first 16 of its hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.0[..8])
    }

    /// From 64 hexadecimal digits, as [`KeyHash`] is displayed; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Display for KeyHash {
    /// 64 hexadecimal digits: the name of the key for those who manage keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({}..)", hex::encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_digits_and_its_debug_form_none_of_them() {
        let key = StreamKey::from_random([0xab; 32]);
        assert_eq!(key.expose(), "ab".repeat(32));
        assert_eq!(format!("{key:?}"), "StreamKey(***)");
    }

    #[test]
    fn any_text_is_hashed_as_it_is() {
        let made = StreamKey::from_random([7; 32]);
        assert_eq!(made.hash(), KeyHash::of(&"07".repeat(32)));
        assert_eq!(StreamKey::imported("my key").hash(), KeyHash::of("my key"));
        assert_ne!(KeyHash::of("my key"), KeyHash::of("My key"));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_called_weak() {
        let weak = |text: &str| StreamKey::imported(text).weakness().is_some();
        assert!(weak("stream-key-123") && weak("") && weak(&"ab".repeat(32)));
        assert!(!weak("correct horse battery staple"));
        assert!(!weak("00112233445566778899aabbccddeeff"));
    }

    #[test]
    fn an_id_is_the_beginning_of_the_hash() {
        let hash = KeyHash::of("");
        assert_eq!(hash.id(), "bda32e1479002ef4");
        assert!(hash.to_string().starts_with(&hash.id()));
    }

    #[test]
    fn stored_hashes_stay_valid() {
        let text = KeyHash::of("").to_string();
        assert_eq!(KeyHash::from_hex(&text), Some(KeyHash::of("")));
        // Written down: a change of the context or the function must not go unseen.
        assert_eq!(&text[..16], "bda32e1479002ef4");
    }
}
