//! Placement figures: how busy each shard is, and what control has placed there.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cell::SharedCounter;

/// The names of what a shard has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacedItems {
    /// Channels.
    pub channels: Vec<String>,
    /// Outputs of channels, as `channel/name`.
    pub outputs: Vec<String>,
    /// Pushes, which belong to no channel.
    pub pushes: Vec<String>,
    /// Pulls.
    pub pulls: Vec<String>,
    /// Recordings that run.
    pub recordings: Vec<String>,
}

/// A shard as control looked at it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardLoad {
    /// The part of its time that it worked and did not wait, 0 to 1, in about the last second.
    pub busy: f64,
    /// What it has.
    pub items: PlacedItems,
}

/// The figures of placement, which control writes.
#[derive(Debug, Default)]
pub struct PlacementStats {
    shards: ArcSwap<Vec<ShardLoad>>,
    outputs_moved: SharedCounter,
    pulls_moved: SharedCounter,
}

impl PlacementStats {
    /// What each shard has and does now.
    pub fn set(&self, shards: Vec<ShardLoad>) {
        self.shards.store(Arc::new(shards));
    }

    /// What was said last by [`PlacementStats::set`], by the shards' numbers; empty at first.
    #[must_use]
    pub fn shards(&self) -> Arc<Vec<ShardLoad>> {
        self.shards.load_full()
    }

    /// An output or a push was moved to another shard while the node ran.
    pub fn output_moved(&self) {
        self.outputs_moved.add(1);
    }

    /// A pull was.
    pub fn pull_moved(&self) {
        self.pulls_moved.add(1);
    }

    /// What was moved since start: outputs with pushes, and pulls.
    #[must_use]
    pub fn moved(&self) -> [u64; 2] {
        [self.outputs_moved.get(), self.pulls_moved.get()]
    }
}
