//! One file while it is being written: what is in memory, what is in the file, and its end.

use std::io;

use super::disk::Sink;
use super::flv::{Flv, Patch};
use super::mp4::Mp4;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Open<F> {
    pub(super) file: F,
    pub(super) name: String,
    pub(super) container: Container,
    /// What has not been written yet: whole tags, or whole boxes.
    pub(super) pending: Vec<u8>,
    /// What has been.
    pub(super) written: u64,
    /// Time of the stream at which the file begins.
    pub(super) base: u32,
    /// Milliseconds in the file.
    pub(super) length: u32,
    /// It has to end: the next keyframe begins another one.
    pub(super) is_over: bool,
}

#[derive(Debug)]
pub(super) enum Container {
    Flv(Flv),
    Mp4(Box<Mp4>),
}

impl<F: Sink> Open<F> {
    /// Writes what is pending; with `all` also what the container holds back.
    pub(super) fn write(&mut self, all: bool) -> io::Result<()> {
        if let (Container::Mp4(mp4), true) = (&mut self.container, all) {
            mp4.take(true, &mut self.pending);
        }
        self.append()
    }

    fn append(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.append(&self.pending) {
            // A part may be in the file: without it the file ends with something whole.
            self.file.cut(self.written)?;
            self.pending.clear();
            return Err(error);
        }
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Completes the file. With `write`, what is pending goes into it first.
    pub(super) fn end(&mut self, write: bool) -> io::Result<()> {
        let mut result = Ok(());
        if write {
            if let Container::Mp4(mp4) = &mut self.container {
                mp4.end(&mut self.pending);
            }
            result = self.append();
        }
        if let Container::Flv(flv) = &self.container {
            let patches = flv.end(self.length, self.written).into_iter().chain([flv.tracks()]);
            for Patch { offset, bytes } in patches {
                // Nothing has been written yet if even that failed.
                if offset < self.written {
                    let patched = self.file.patch(offset, &bytes);
                    result = result.and(patched);
                }
            }
        }
        let synced = self.file.sync();
        result.and(synced)
    }
}
