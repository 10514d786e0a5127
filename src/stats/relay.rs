//! Counters of pulls and recordings.

use std::sync::Arc;

use crossbeam::utils::CachePadded;

use super::cell::Counter;
use super::line::{LineFigures, LineStats};
use super::state::{RunState, StateCell};
use crate::probes;

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
    state: StateCell,
}

impl RecordStats {
    /// For the shard: a message of so many bytes is on its way to the writer.
    pub fn handed_over(&self, bytes: usize) {
        self.shard.bytes.add(bytes as u64);
    }

    /// For the shard: messages were left out because the writer is behind.
    pub fn dropped(&self, messages: u64) {
        probes::recording_dropped(messages);
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

    /// For the writer: what it does.
    pub fn set_state(&self, state: RunState) {
        self.writer.state.set(state);
    }

    /// For control, while there is no writer: nothing is on its way any more.
    pub fn settle(&self) {
        self.writer.taken_bytes.add(self.queued_bytes());
    }

    /// For any thread: messages that were left out.
    #[must_use]
    pub fn dropped_messages(&self) -> u64 {
        self.shard.dropped.get()
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
            state: self.writer.state.get(),
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
    /// What it does.
    pub state: RunState,
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
    /// Where from, without what may be secret.
    pub url: String,
    /// `always` or `on-demand`.
    pub mode: &'static str,
    /// Its figures.
    pub stats: Arc<LineStats>,
}

/// A recording's figures, what it is called, and what it was told.
#[derive(Clone, Debug)]
pub struct RecordEntry {
    /// Its name.
    pub name: String,
    /// The stream that it records.
    pub stream: String,
    /// The folder of its files.
    pub dir: String,
    /// `flv` or `mp4`.
    pub format: &'static str,
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
    /// Where from, without what may be secret.
    pub url: String,
    /// `always` or `on-demand`.
    pub mode: &'static str,
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
    /// The folder of its files.
    pub dir: String,
    /// `flv` or `mp4`.
    pub format: &'static str,
    /// Its figures.
    pub figures: RecordFigures,
}

impl PullEntry {
    pub(super) fn read(&self) -> PullSnapshot {
        PullSnapshot {
            name: self.name.clone(),
            stream: self.stream.clone(),
            url: self.url.clone(),
            mode: self.mode,
            figures: self.stats.read(),
        }
    }
}

impl RecordEntry {
    pub(super) fn read(&self) -> RecordSnapshot {
        let (name, stream, dir) = (self.name.clone(), self.stream.clone(), self.dir.clone());
        RecordSnapshot { name, stream, dir, format: self.format, figures: self.stats.read() }
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
        stats.settle();
        assert_eq!(stats.read().queued_bytes, 0);
    }
}
