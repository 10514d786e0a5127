//! Configuration files: read within a limit, and parsed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::fault::Errors;
use super::model::Config;
use super::read;

/// Largest configuration file, bytes. A larger one is something else: it is refused unread.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;

const TOO_LARGE: &str = "is larger than 1 MiB, so it is no configuration; name another file";

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong in it, or that it cannot be read.
    pub fn load(path: &Path) -> Result<Self, Errors> {
        Self::load_as(path, false)
    }

    /// The same for an operator who may be `knowing`: who means it if anybody may publish.
    ///
    /// # Errors
    /// Everything that is wrong in it, or that it cannot be read.
    pub fn load_as(path: &Path, knowing: bool) -> Result<Self, Errors> {
        let origin = path.display().to_string();
        match read_text(path) {
            Ok(text) => parse_as(&text, &origin, knowing),
            Err(text) => Err(Errors::about(&origin, text)),
        }
    }

    /// Reads a text of at most 1 MiB; `origin` is what errors call it. Files that it names are
    /// looked for, and relative paths start at the working directory.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Errors> {
        parse_as(text, origin, false)
    }
}

/// Parses a text for an operator who may be `knowing`: see [`Config::load_as`].
pub(super) fn parse_as(text: &str, origin: &str, knowing: bool) -> Result<Config, Errors> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Errors::about(origin, TOO_LARGE));
    }
    let mut defaults = Config::empty();
    defaults.rtmp.knowing = knowing;
    read::document(text, origin, defaults)
}

/// The text of a file, or what is wrong with it.
fn read_text(path: &Path) -> Result<String, String> {
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
