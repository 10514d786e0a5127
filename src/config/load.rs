//! Configuration files: read within a limit, and parsed.

use std::path::Path;

use super::fault::Errors;
use super::model::Config;
use super::read;
use super::text_file::{FILE_BYTES_MAX, TOO_LARGE, read_text};

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
