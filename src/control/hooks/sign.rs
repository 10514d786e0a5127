//! The signature by which a hook's server knows that a request is ours, and not an old one again.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of the signature's header: HMAC-SHA256 with the secret over the timestamp, a dot and
/// the body, in hex. The timestamp is sent beside it, in seconds since 1970.
pub(super) fn signature(secret: &str, timestamp_s: u64, body: &[u8]) -> String {
    // Keys of all lengths are taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf '1700000000.{}' | openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn others_compute_the_same() {
        let wanted = "sha256=d3793e2b4103edfbd98cc19591832f5fad701d413db9fcae0ae7dab8184ed207";
        assert_eq!(signature("Jefe", 1_700_000_000, b"{}"), wanted);
        assert_ne!(signature("Jefe", 1_700_000_001, b"{}"), wanted);
        assert_ne!(signature("jefe", 1_700_000_000, b"{}"), wanted);
    }
}
