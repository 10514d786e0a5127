//! Asset settings, `[assets]`: where files for scenes are uploaded to, and how many.

use std::path::PathBuf;

use super::fault::Faults;
use super::field::folder;
use super::section::Section;

/// `[assets]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetsConfig {
    /// The folder; by default `assets` in the data directory.
    pub folder: Option<PathBuf>,
    /// Largest file that is taken, bytes, 1024 to 2^32.
    pub file_bytes_max: u64,
    /// All files together, bytes, 1024 to 2^44.
    pub total_bytes_max: u64,
    /// Files, 1 to 10000.
    pub files_max: usize,
}

impl Default for AssetsConfig {
    fn default() -> Self {
        Self { folder: None, file_bytes_max: 64 << 20, total_bytes_max: 4 << 30, files_max: 1_000 }
    }
}

/// Reads `[assets]`.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> AssetsConfig {
    let default = AssetsConfig::default();
    let folder = folder(&mut s, faults);
    let file = s.whole(faults, "file_bytes_max", 1_024..=1_u64 << 32);
    let total = s.whole(faults, "total_bytes_max", 1_024..=1_u64 << 44);
    let files = s.whole(faults, "files_max", 1..=10_000_usize);
    s.finish(faults);
    AssetsConfig {
        folder,
        file_bytes_max: file.unwrap_or(default.file_bytes_max),
        total_bytes_max: total.unwrap_or(default.total_bytes_max),
        files_max: files.unwrap_or(default.files_max),
    }
}
