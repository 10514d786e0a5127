//! Place of a pinned thread.

use std::time::Duration;

/// Where a driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// On this CPU and no other.
    Cpu(usize),
    /// The same, and it looks for work for this long, or not at all, before it sleeps.
    Spinning(usize, Duration),
    /// Wherever the kernel likes: for tests and machines without a choice.
    Anywhere,
}
