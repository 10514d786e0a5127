//! Decoder errors, by what the caller does next.

use std::ffi::CStr;
use std::fmt;
use std::path::PathBuf;

use crate::ffi::sys as ffi;
use crate::frame;

/// Why something is not decoded.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be played: give it up and tell the user.
    File {
        /// The file.
        path: PathBuf,
        /// What the library says.
        cause: Fault,
    },
    /// The file can be read but holds nothing to show or hear: give it up and tell the user.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing of the file at its in point: give it up and tell the user.
    InPoint {
        /// The file.
        path: PathBuf,
    },
    /// No file of a playlist can be played: tell the user.
    Playlist {
        /// Its file or folder.
        path: PathBuf,
        /// Why, and what to do.
        cause: String,
    },
    /// The publisher uses a codec that is not decoded here. Said once; go on, the messages are
    /// ignored.
    Unsupported {
        /// The codec's name.
        codec: String,
        /// What to publish instead.
        instead: &'static str,
    },
    /// The decoder cannot be opened with what the publisher says about its stream: go on, its next
    /// header may be better.
    Decoder(Fault),
    /// No memory for pictures of this size: give the source up.
    Memory(frame::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, cause } => {
                write!(f, "cannot play {}: {cause}", path.display())
            }
            Self::Empty { path } => {
                let path = path.display();
                write!(f, "cannot play {path}: no picture or audio in it could be decoded")
            }
            Self::InPoint { path } => {
                let path = path.display();
                write!(f, "cannot play {path}: it ends before `start_ms`; choose an earlier one")
            }
            Self::Playlist { path, cause } => {
                write!(f, "cannot play the playlist of {}: {cause}", path.display())
            }
            Self::Unsupported { codec, instead } => {
                write!(f, "a live input does not decode {codec}; publish {instead}")
            }
            Self::Decoder(cause) => write!(f, "cannot open a decoder: {cause}"),
            Self::Memory(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<frame::Error> for Error {
    fn from(cause: frame::Error) -> Self {
        Self::Memory(cause)
    }
}

/// An error number of the FFmpeg libraries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fault(pub(super) i32);

impl Fault {
    /// No memory.
    pub(super) const MEMORY: Self = Self(-libc::ENOMEM);
    /// An argument that cannot be.
    pub(super) const INVALID: Self = Self(-libc::EINVAL);

    /// The number as a result: negative ones are faults.
    pub(super) const fn check(number: i32) -> Result<i32, Self> {
        if number < 0 { Err(Self(number)) } else { Ok(number) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 128];
        // SAFETY: the buffer is writable for its length, and the call always ends it with a zero.
        unsafe { ffi::av_strerror(self.0, text.as_mut_ptr(), text.len()) };
        // SAFETY: zero-terminated inside `text`, by the call above.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({}: {self})", self.0)
    }
}
