//! Number of a stream on its shard.

use serde::{Deserialize, Serialize};

use super::table::Key;

/// One stream of a shard, for as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct StreamId {
    index: u32,
    turn: u32,
}

impl Key for StreamId {
    fn new(index: u32, turn: u32) -> Self {
        Self { index, turn }
    }

    fn index(self) -> usize {
        self.index as usize
    }

    fn turn(self) -> u32 {
        self.turn
    }
}
