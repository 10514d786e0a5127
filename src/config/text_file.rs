//! Text files of a configuration: read within a limit, or what is wrong with them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest configuration file, bytes. A larger one is something else: it is refused unread.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;

pub(super) const TOO_LARGE: &str =
    "is larger than 1 MiB, so it is no configuration; name another file";

/// The text of a file, or what is wrong with it.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("cannot be read: {error}; name a file that can be");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte beyond the limit is enough to know, whatever stands behind the name.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(TOO_LARGE.to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8 text; save the file as UTF-8")
    })
}
