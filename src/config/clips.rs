//! Clip settings, `[clips]`: where clips of streams are, and how many are kept.

use std::path::PathBuf;

use super::fault::Faults;
use super::field::folder;
use super::section::Section;

/// `[clips]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipsConfig {
    /// The folder; by default `clips` in the data directory.
    pub folder: Option<PathBuf>,
    /// All clips together, bytes, 2^20 to 2^44. The oldest make room.
    pub total_bytes_max: u64,
    /// Clips, 1 to 10000. The oldest make room.
    pub files_max: usize,
}

impl Default for ClipsConfig {
    fn default() -> Self {
        Self { folder: None, total_bytes_max: 10 << 30, files_max: 1_000 }
    }
}

/// Reads `[clips]`.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> ClipsConfig {
    let default = ClipsConfig::default();
    let folder = folder(&mut s, faults);
    let total = s.whole(faults, "total_bytes_max", 1 << 20..=1_u64 << 44);
    let files = s.whole(faults, "files_max", 1..=10_000_usize);
    s.finish(faults);
    ClipsConfig {
        folder,
        total_bytes_max: total.unwrap_or(default.total_bytes_max),
        files_max: files.unwrap_or(default.files_max),
    }
}
