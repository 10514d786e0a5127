//! Files that are there as a whole or as they were before, whatever happens meanwhile: a full
//! disk, a crash, a power cut. Nobody but the node's user can read them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Rights of a file: its owner's alone.
pub const FILE_MODE: u32 = 0o600;

/// Rights of a folder that has to be made.
const FOLDER_MODE: u32 = 0o700;

/// Makes `bytes` what the file at `path` holds: written aside, on the disk, then put in its place.
///
/// # Errors
/// If that is not possible; then the file is as it was, and nothing is left beside it.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_with(path, |aside| write(aside, bytes))
}

/// The same of a file that `make` writes at another place, with nothing there before.
///
/// # Errors
/// What `make` says, or the file system; then the file is as it was, and nothing is left beside it.
pub fn make_with<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    make_folder(folder)?;
    let aside = aside(path);
    // One that an earlier crash has left may have other rights.
    remove(&aside)?;
    let done = make(&aside).and_then(|()| Ok(fs::rename(&aside, path)?));
    if done.is_err() {
        // What is left of it would only be in the way.
        drop(fs::remove_file(&aside));
        return done;
    }
    // The new name, too, has to be on the disk.
    Ok(File::open(folder)?.sync_all()?)
}

/// Makes a folder that is its owner's alone, and those above it, if they are not there.
///
/// # Errors
/// If that is not possible.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// What the file at `path` holds, if there is one.
///
/// # Errors
/// If it cannot be read, is no text, or has more than `bytes_max` bytes.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"));
    }
    Ok(Some(text))
}

/// Forgets the file at `path`, if there is one.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    name.into()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ROOM: u64 = 100;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data/state");
        assert_eq!(read(&path, ROOM).unwrap(), None);
        for text in ["one, which is longer", "two"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(read(&path, ROOM).unwrap().as_deref(), Some(text));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.path().join("data"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 1, "nothing beside it");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path, ROOM).unwrap(), None);
    }

    #[test]
    fn what_a_crash_has_left_aside_is_neither_taken_nor_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"whole").unwrap();
        let left = dir.path().join("state.new");
        fs::write(&left, "ha").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(read(&path, ROOM).unwrap().as_deref(), Some("whole"));
        replace(&path, b"another").unwrap();
        assert_eq!(read(&path, ROOM).unwrap().as_deref(), Some("another"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"whole").unwrap();
        // A folder that is not empty stands where it would be written aside.
        fs::create_dir_all(dir.path().join("state.new/x")).unwrap();
        replace(&path, b"another").unwrap_err();
        assert_eq!(read(&path, ROOM).unwrap().as_deref(), Some("whole"));
        fs::write(&path, "x".repeat(101)).unwrap();
        assert_eq!(read(&path, ROOM).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
