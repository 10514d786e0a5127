//! Plain files: those of a disk, and not a pipe or a device that calls itself one.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a plain file for reading. To open a pipe would wait for whoever writes into it.
///
/// # Errors
/// If it is not there, cannot be read, or is something else.
pub fn open_plain(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_refused_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&pipe, dir.path()] {
            assert_eq!(open_plain(path).unwrap_err().to_string(), "it is not a file");
        }
        let missing = open_plain(&dir.path().join("none")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
