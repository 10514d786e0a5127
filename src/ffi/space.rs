//! Free disk space.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that this process may still write to the file system of `path`.
///
/// # Errors
/// If the path is not there or cannot be looked at.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a `statvfs` is plain numbers, for which zero is valid.
    let mut figures: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is zero-terminated, and the call fills in `figures`.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut figures) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_one_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_bytes(dir.path()).unwrap() > 0);
        let missing = free_bytes(&dir.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
