//! Key store errors, with what to do about them.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a key store does not work. The text names the path and the way out.
#[derive(Debug)]
pub enum StoreError {
    /// Another node has the file open: stop that one, or use another data directory.
    InUse(PathBuf),
    /// The directory or file cannot be written: give the node the right to, or use another one.
    NotWritable(PathBuf, io::Error),
    /// The disk is full: make room. Nothing was changed.
    DiskFull(PathBuf),
    /// The file is not what we wrote: restore or remove it.
    Damaged(PathBuf, String),
    /// The file does not work: check the disk.
    Broken(PathBuf, String),
    /// There are as many keys as a store holds: remove some.
    TooManyKeys(u64),
    /// Redis does not answer: the node asks again with the next question.
    Away(String),
    /// Redis does not let us do this: correct user, password or rights.
    Refused(String),
    /// The settings of the store cannot work.
    Settings(String),
    /// The record of the key with this id is not what it should be: correct or remove it.
    Record(String, String),
    /// The operating system gives no random bytes, so that no key can be made.
    NoRandomness(io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "the key store {} is in use by another node; stop that node, or give this one \
                 another data directory",
                path.display()
            ),
            Self::NotWritable(path, cause) => write!(
                f,
                "cannot write {}: {cause}; let this user write there, or choose another data \
                 directory",
                path.display()
            ),
            Self::DiskFull(path) => write!(
                f,
                "no space left for the key store {}; free some disk space and try again",
                path.display()
            ),
            Self::Damaged(path, cause) => write!(
                f,
                "the key store {} is damaged ({cause}); restore it from a backup, or move it away \
                 to start with an empty one",
                path.display()
            ),
            Self::Broken(path, cause) => write!(
                f,
                "the key store {} does not work ({cause}); check the disk",
                path.display()
            ),
            Self::TooManyKeys(most) => {
                write!(f, "there are {most} stream keys, and no more fit; remove some first")
            }
            Self::Away(cause) => {
                write!(f, "Redis does not answer ({cause}); check that it runs and can be reached")
            }
            Self::Refused(cause) => {
                write!(f, "Redis refuses this ({cause}); check user, password and rights in [keys]")
            }
            Self::Settings(text) => write!(f, "[keys]: {text}"),
            Self::Record(id, cause) => write!(
                f,
                "the record of the key {id} cannot be read ({cause}); correct or delete it"
            ),
            Self::NoRandomness(cause) => {
                write!(f, "no key can be made: /dev/urandom cannot be read: {cause}")
            }
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotWritable(_, cause) | Self::NoRandomness(cause) => Some(cause),
            Self::InUse(_)
            | Self::DiskFull(_)
            | Self::Damaged(..)
            | Self::Broken(..)
            | Self::Away(_)
            | Self::Refused(_)
            | Self::Settings(_)
            | Self::Record(..)
            | Self::TooManyKeys(_) => None,
        }
    }
}
