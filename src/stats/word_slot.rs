//! Word slot: some numbers that belong together, with one writer, which never waits, and readers
//! that never see half of a write.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Numbers that are written together. A reader that meets a write is told nothing.
#[derive(Debug)]
pub(super) struct WordSlot<const N: usize> {
    /// Odd while it is written; 0 before the first time.
    version: AtomicU64,
    words: [AtomicU64; N],
}

impl<const N: usize> Default for WordSlot<N> {
    fn default() -> Self {
        Self { version: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; N] }
    }
}

impl<const N: usize> WordSlot<N> {
    /// For the slot's one writer.
    pub(super) fn write(&self, words: [u64; N]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    /// What was written last; `None` before the first time, and while it is written. For any
    /// thread.
    pub(super) fn read(&self) -> Option<[u64; N]> {
        let version = self.version.load(Ordering::Acquire);
        let words = std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let is_whole = version & 1 == 0 && self.version.load(Ordering::Relaxed) == version;
        (is_whole && version > 0).then_some(words)
    }

    /// One of the numbers, 0 before the first time. For the slot's one writer.
    pub(super) fn word(&self, at: usize) -> u64 {
        self.words[at].load(Ordering::Relaxed)
    }
}
