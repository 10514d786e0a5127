//! Open file of a recording: what is in memory, what is in the file, and its end.

use std::io;

use super::disk::Sink;
use super::flv::{Flv, Patch};
use super::model::RecordSpec;
use super::mp4::Mp4;
use super::times::{AHEAD_MS_MAX, distance};
use super::tracks::Tracks;

/// Longest file, milliseconds: the times of FLV tags have a sign. A longer one is split.
const FILE_MS_MAX: u32 = i32::MAX.unsigned_abs();

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Open<F> {
    pub(super) file: F,
    pub(super) name: String,
    pub(super) container: Container,
    /// The tracks that it has.
    pub(super) tracks: Tracks,
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
    /// It has been told that something is left out.
    pub(super) is_incomplete: bool,
}

#[derive(Debug)]
pub(super) enum Container {
    Flv(Flv),
    Mp4(Box<Mp4>),
}

impl<F: Sink> Open<F> {
    /// Bytes that have not been written.
    pub(super) fn waiting_bytes(&self) -> usize {
        let held = match &self.container {
            Container::Flv(_) => 0,
            Container::Mp4(mp4) => mp4.pending_bytes(),
        };
        self.pending.len() + held
    }

    /// Whether a message of this time belongs into another file, if one can begin with it.
    pub(super) fn is_full(&self, time: u32, spec: &RecordSpec) -> bool {
        let bytes = self.written + self.waiting_bytes() as u64;
        let length = self.length.max(distance(self.base, time).max(0).unsigned_abs());
        (spec.split_s > 0 && length >= spec.split_s.saturating_mul(1_000))
            || (spec.split_bytes > 0 && bytes >= spec.split_bytes)
            || length >= FILE_MS_MAX - AHEAD_MS_MAX.unsigned_abs()
    }

    /// Makes pending what the container holds back until there is enough of it.
    pub(super) fn gather(&mut self) {
        if let Container::Mp4(mp4) = &mut self.container {
            mp4.flush(&mut self.pending);
        }
    }

    /// Writes what is pending; with `all` also what the container holds back.
    pub(super) fn write(&mut self, all: bool) -> io::Result<()> {
        if all {
            self.gather();
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
        for Patch { offset, bytes } in self.last_words(write && result.is_ok()) {
            // Nothing has been written yet if even that failed.
            if offset < self.written {
                let patched = self.file.patch(offset, &bytes);
                result = result.and(patched);
            }
        }
        let synced = self.file.sync();
        result.and(synced)
    }

    /// What is known about the file at its end, and belongs to its beginning.
    fn last_words(&self, is_whole: bool) -> Vec<Patch> {
        match &self.container {
            Container::Flv(flv) => {
                flv.end(self.length, self.written).into_iter().chain([flv.tracks()]).collect()
            }
            Container::Mp4(mp4) if is_whole => {
                let (offset, bytes) = mp4.length();
                vec![Patch { offset, bytes }]
            }
            Container::Mp4(_) => Vec::new(),
        }
    }
}
