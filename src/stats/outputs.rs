//! The outputs that there are: they come and go while the node runs, and readers never wait.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::registry::OutputEntry;

/// A list that control changes and anybody reads.
#[derive(Debug, Default)]
pub(super) struct OutputList(ArcSwap<Vec<OutputEntry>>);

impl OutputList {
    pub(super) fn new(entries: Vec<OutputEntry>) -> Self {
        Self(ArcSwap::from_pointee(entries))
    }

    pub(super) fn add(&self, entry: &OutputEntry) {
        self.0.rcu(|list| list.iter().chain([entry]).cloned().collect::<Vec<_>>());
    }

    pub(super) fn remove(&self, is_meant: impl Fn(&OutputEntry) -> bool) {
        let kept = |entry: &&OutputEntry| !is_meant(entry);
        self.0.rcu(|list| list.iter().filter(kept).cloned().collect::<Vec<_>>());
    }

    pub(super) fn read(&self) -> Arc<Vec<OutputEntry>> {
        self.0.load_full()
    }
}
