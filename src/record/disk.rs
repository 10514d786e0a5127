//! Recording folder: the files that recordings are written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::ffi::free_bytes;

/// A place for files.
pub trait Disk {
    /// A file in it.
    type File: Sink;

    /// Where it is, for people.
    fn place(&self) -> String;

    /// Makes a new file.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken; whatever else the system says.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Bytes that may still be written.
    ///
    /// # Errors
    /// If the system does not say.
    fn free_bytes(&mut self) -> io::Result<u64>;
}

/// A file that is being written.
pub trait Sink {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// If some of them could not be written; an unknown part of them may have been.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Writes `bytes` over what is at `offset`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn patch(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Lets go of what is beyond `length`.
    ///
    /// # Errors
    /// Whatever the system says.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Waits until all that was written is on the disk itself.
    ///
    /// # Errors
    /// If it did not get there.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the file system, made when the first file is.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Disk for Folder {
    type File = File;

    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn create(&mut self, name: &str) -> io::Result<File> {
        fs::create_dir_all(&self.0)?;
        OpenOptions::new().append(false).write(true).create_new(true).open(self.0.join(name))
    }

    fn free_bytes(&mut self) -> io::Result<u64> {
        fs::create_dir_all(&self.0)?;
        free_bytes(&self.0)
    }
}

impl Sink for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn patch(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
