//! Probe of the streams for the simulation: what the invariants look at.

use std::sync::Arc;

use super::{Stream, Streams};
use crate::shard::stream_id::StreamId;

impl Streams {
    /// Names, and the streams that have them.
    pub(in crate::shard) fn names(&self) -> impl Iterator<Item = (&Arc<str>, StreamId)> {
        self.by_name.iter().map(|(name, id)| (name, *id))
    }
}

impl Stream {
    /// Whether it is over, and only readers that are still to be told have it.
    pub(in crate::shard) const fn has_ended(&self) -> bool {
        self.is_over
    }

    /// Whether all that its readers can be sent has been offered to them.
    pub(in crate::shard) const fn is_offered(&self) -> bool {
        !self.is_dirty && self.merger.due().is_none()
    }

    /// Shards that read it.
    pub(in crate::shard) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }
}
