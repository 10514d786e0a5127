//! Stamp of a file, by which it is told whether it was written or replaced since.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file's place on the disk, its length, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    written: (i64, i64),
}

impl FileStamp {
    /// Of the file as it is now; `None` if it is not there. May wait for a disk, or for a server
    /// that does not answer.
    pub fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let written = (found.mtime(), found.mtime_nsec());
        Some(Self { inode: found.ino(), bytes: found.len(), written })
    }
}
