//! Secret file: the one line that stands for `{secret}` in an address.

use std::io::Read;
use std::path::Path;

use crate::media::open_plain;

/// Longest secret, bytes.
const SECRET_BYTES_MAX: usize = 1_024;

/// What stands for the placeholder in an address; nothing where there is no file. It is read for
/// each try, so that it may change.
///
/// # Errors
/// If it cannot be read, or is no such line. Does not repeat it.
pub(super) fn read(path: Option<&Path>) -> Result<String, String> {
    let Some(path) = path else { return Ok(String::new()) };
    let text = start(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = text.trim();
    if text.is_empty() || text.len() > SECRET_BYTES_MAX || text.contains(char::is_whitespace) {
        let path = path.display();
        return Err(format!("{path} is not one line of 1 to {SECRET_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

/// As much of the file as shows whether it is a secret.
fn start(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    open_plain(path)?.take(SECRET_BYTES_MAX as u64 + 2).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_of_a_file_and_no_fault_repeats_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.secret");
        assert!(read(Some(&file)).unwrap_err().contains("a.secret"));
        for (text, secret) in [("k1\n", Some("k1")), ("", None), ("k1\nk2", None)] {
            std::fs::write(&file, text).unwrap();
            let found = read(Some(&file));
            assert_eq!(found.as_deref().ok(), secret, "{text:?}");
            assert!(found.err().is_none_or(|fault| !fault.contains("k1")));
        }
        std::fs::write(&file, "x".repeat(2_000)).unwrap();
        assert!(read(Some(&file)).is_err());
        assert_eq!(read(None).unwrap(), "");
    }
}
