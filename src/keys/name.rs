//! Names around keys: the public one that a key publishes under, the alias that stands for a key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest public stream name, bytes.
const STREAM_BYTES_MAX: usize = 256;

/// Longest alias, bytes.
const ALIAS_BYTES_MAX: usize = 64;

/// Longest owner or label, characters.
const NOTE_CHARS_MAX: usize = 200;

/// The application of a public name that is given without one.
const APP: &str = "live";

/// A name that cannot be taken. The text says what would be good, and does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError(&'static str);

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NameError {}

/// A public stream name: `app/name`; a name alone means `live/name`.
///
/// # Errors
/// If it has other letters than a to z, A to Z, digits, `-`, `_` and `.`, or over 256 bytes.
pub fn public_name(text: &str) -> Result<String, NameError> {
    let whole = if text.contains('/') { text.to_owned() } else { format!("{APP}/{text}") };
    let good = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let shaped = whole.split('/').all(|part| !part.is_empty()) && !whole.contains("..");
    if shaped && whole.len() <= STREAM_BYTES_MAX && whole.chars().all(good) {
        return Ok(whole);
    }
    Err(NameError(
        "a stream is called like \"live/show\": an application, a slash and a name, of letters, \
         digits, - _ and . , at most 256 bytes",
    ))
}

/// An owner or a label: one line of at most 200 characters.
///
/// # Errors
/// If it is longer, or has control characters.
pub fn note(text: &str) -> Result<String, NameError> {
    if text.chars().nth(NOTE_CHARS_MAX).is_some() || text.chars().any(char::is_control) {
        return Err(NameError("owner and label are one line of at most 200 characters each"));
    }
    Ok(text.to_owned())
}

/// Whether a text has the form of a key that this program makes: 64 hexadecimal digits.
#[must_use]
pub fn is_key_shaped(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name that stands for a key: 1 to 64 letters, digits, `-`, `_` and `.`, not of a key's form.
/// What a peer shows may be a secret all the same, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alias(Box<str>);

impl Alias {
    /// Checks a name.
    ///
    /// # Errors
    /// Says what an alias looks like.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_key = is_key_shaped(text);
        let fits = (1..=ALIAS_BYTES_MAX).contains(&text.len()) && text.chars().all(good);
        if fits && !is_key {
            return Ok(Self(text.into()));
        }
        Err(NameError("an alias is 1 to 64 letters, digits, - _ and . , and not a key itself"))
    }

    /// The name. What a peer showed must not reach a log, a metric or an event.
    #[must_use]
    pub const fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alias(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_an_application_and_a_plain_name() {
        assert_eq!(public_name("show").unwrap(), "live/show");
        assert_eq!(public_name("tv/a/b-1.x").unwrap(), "tv/a/b-1.x");
        for bad in ["", "/", "live/", "/a", "a//b", "live/a b", "live/../x", "live/ä"] {
            assert!(public_name(bad).is_err(), "{bad}");
        }
        assert!(public_name(&"a".repeat(300)).is_err());
    }

    #[test]
    fn an_alias_is_short_and_no_key() {
        assert_eq!(Alias::new("studio-A.1").unwrap().expose(), "studio-A.1");
        for bad in ["", "a/b", "a b", "ä", "stream:key:x", &"a".repeat(65), &"0f".repeat(32)] {
            assert!(Alias::new(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Alias::new("s3cret").unwrap()), "Alias(***)");
    }
}
