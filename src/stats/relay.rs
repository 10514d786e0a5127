//! What pulls and recordings count.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use super::cell::{Counter, Gauge};
use super::line::{LineFigures, LineStats};

/// The figures of one recording: the shard counts what it hands over, the writer what it writes.
#[derive(Debug, Default)]
pub struct RecordStats {
    shard: CachePadded<HandedOver>,
    writer: CachePadded<Written>,
}

#[derive(Debug, Default)]
struct HandedOver {
    bytes: Counter,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct Written {
    taken_bytes: Counter,
    bytes: Counter,
    files: Counter,
    stops: Counter,
    writing: Gauge,
}

impl RecordStats {
    /// For the shard: a message of so many bytes is on its way to the writer.
    pub fn handed_over(&self, bytes: usize) {
        self.shard.bytes.add(bytes as u64);
    }

    /// For the shard: messages were left out because the writer is behind.
    pub fn dropped(&self, messages: u64) {
        self.shard.dropped.add(messages);
    }

    /// For the writer: a message of so many bytes has come.
    pub fn taken(&self, bytes: usize) {
        self.writer.taken_bytes.add(bytes as u64);
    }

    /// For the writer: so many bytes went to files.
    pub fn wrote(&self, bytes: u64) {
        self.writer.bytes.add(bytes);
    }

    /// For the writer: a file was begun.
    pub fn file_begun(&self) {
        self.writer.files.add(1);
    }

    /// For the writer: it could not go on.
    pub fn stopped(&self) {
        self.writer.stops.add(1);
    }

    /// For the writer: whether a file is being written.
    pub fn set_writing(&self, writing: bool) {
        self.writer.writing.set_count(usize::from(writing));
    }

    /// Bytes on their way to the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.shard.bytes.get().saturating_sub(self.writer.taken_bytes.get())
    }

    /// All figures, for any thread.
    #[must_use]
    pub fn read(&self) -> RecordFigures {
        RecordFigures {
            writing: self.writer.writing.get_count() > 0,
            bytes: self.writer.bytes.get(),
            files: self.writer.files.get(),
            stops: self.writer.stops.get(),
            dropped: self.shard.dropped.get(),
            queued_bytes: self.queued_bytes(),
        }
    }
}

/// What a recording had counted at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFigures {
    /// Whether a file is being written.
    pub writing: bool,
    /// Bytes in files.
    pub bytes: u64,
    /// Files begun.
    pub files: u64,
    /// Times it could not go on: a full disk, a folder that cannot be used.
    pub stops: u64,
    /// Messages left out because the disk was too slow.
    pub dropped: u64,
    /// Bytes that wait for the disk.
    pub queued_bytes: u64,
}

/// A pull's figures and what it is called.
#[derive(Clone, Debug)]
pub struct PullEntry {
    /// Its name.
    pub name: String,
    /// The local stream that it feeds.
    pub stream: String,
    /// Its figures.
    pub stats: Arc<LineStats>,
}

/// A recording's figures and what it is called.
#[derive(Clone, Debug)]
pub struct RecordEntry {
    /// Its name.
    pub name: String,
    /// The stream that it records.
    pub stream: String,
    /// Its figures.
    pub stats: Arc<RecordStats>,
}

/// A pull at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSnapshot {
    /// Its name.
    pub name: String,
    /// The local stream that it feeds.
    pub stream: String,
    /// Its figures.
    pub figures: LineFigures,
}

/// A recording at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSnapshot {
    /// Its name.
    pub name: String,
    /// The stream that it records.
    pub stream: String,
    /// Its figures.
    pub figures: RecordFigures,
}

impl PullEntry {
    pub(super) fn read(&self) -> PullSnapshot {
        let (name, stream) = (self.name.clone(), self.stream.clone());
        PullSnapshot { name, stream, figures: self.stats.read() }
    }
}

impl RecordEntry {
    pub(super) fn read(&self) -> RecordSnapshot {
        let (name, stream) = (self.name.clone(), self.stream.clone());
        RecordSnapshot { name, stream, figures: self.stats.read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_disk_is_what_was_handed_over_and_not_taken() {
        let stats = RecordStats::default();
        stats.handed_over(700);
        stats.taken(300);
        assert_eq!(stats.read().queued_bytes, 400);
    }
}
