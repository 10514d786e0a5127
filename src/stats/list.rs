//! Parts of the node that come and go while it runs, with their figures; readers never wait.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A list that control changes and anybody reads.
#[derive(Debug)]
pub(super) struct List<T>(ArcSwap<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T> List<T> {
    pub(super) fn new(entries: Vec<T>) -> Self {
        Self(ArcSwap::from_pointee(entries))
    }

    pub(super) fn read(&self) -> Arc<Vec<T>> {
        self.0.load_full()
    }
}

impl<T: Clone> List<T> {
    pub(super) fn add(&self, entry: &T) {
        self.0.rcu(|list| list.iter().chain([entry]).cloned().collect::<Vec<_>>());
    }

    /// Puts an entry in the place of the one that is meant, or at the end.
    pub(super) fn put(&self, entry: &T, is_meant: impl Fn(&T) -> bool) {
        self.0.rcu(|list| {
            let mut list = Vec::clone(list);
            match list.iter().position(&is_meant) {
                Some(at) => list[at] = entry.clone(),
                None => list.push(entry.clone()),
            }
            list
        });
    }

    pub(super) fn remove(&self, is_meant: impl Fn(&T) -> bool) {
        let kept = |entry: &&T| !is_meant(entry);
        self.0.rcu(|list| list.iter().filter(kept).cloned().collect::<Vec<_>>());
    }
}
