//! Snapshot of a stream: its newest keyframe as a small JPEG, which a shard asks of control for one
//! of its connections.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hook::HookRequestId;

/// Bytes of a snapshot at most: what may wait for a peer, with room for the head before it. Its
/// quality is lowered until it fits.
pub const SNAPSHOT_BYTES_MAX: usize = 60 << 10;

/// Snapshots are so wide, or a multiple of it: whoever asks for all widths asks for few pictures.
const WIDTH_STEP: u32 = 160;

/// Widest snapshot, pixels.
const WIDTH_MAX: u32 = 1_280;

/// Width of a snapshot if nothing is said, pixels.
const WIDTH: u32 = 640;

/// How wide a snapshot is to be at most; a picture that is smaller stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotWidth(u32);

impl SnapshotWidth {
    /// What the parameter `width` of a query says, rounded up to a multiple of 160; 640 if it is
    /// not there.
    ///
    /// # Errors
    /// In words, if it is no number from 1 to 1280.
    pub fn of(asked: Option<&str>) -> Result<Self, &'static str> {
        let asked = asked.map_or(Some(WIDTH), |text| text.parse().ok());
        let asked = asked.filter(|width| (1..=WIDTH_MAX).contains(width));
        let width = asked.ok_or("`width` is a number of pixels from 1 to 1280")?;
        Ok(Self(width.next_multiple_of(WIDTH_STEP)))
    }

    /// Pixels.
    #[must_use]
    pub const fn pixels(self) -> u32 {
        self.0
    }
}

/// The newest keyframe of a stream as a JPEG.
#[derive(Clone, Debug)]
pub struct StreamSnapshot {
    /// Tells it from that of another keyframe, or width; in quotes, as HTTP wants.
    pub etag: Arc<str>,
    /// At most [`SNAPSHOT_BYTES_MAX`].
    pub jpeg: Arc<[u8]>,
}

/// Why there is no snapshot, for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotFault {
    /// The stream gives none now.
    Missing(String),
    /// The node has no time for it; it may be asked for again.
    Busy(String),
}

/// A connection that may play a stream wants its snapshot.
#[derive(Debug)]
pub struct SnapshotRequest {
    /// Stands in the answer.
    pub ticket: HookRequestId,
    /// The stream.
    pub stream: Arc<str>,
    /// How wide.
    pub width: SnapshotWidth,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_few_and_a_wrong_one_is_refused() {
        let of = |text| SnapshotWidth::of(text).map(SnapshotWidth::pixels);
        assert_eq!((of(None), of(Some("1")), of(Some("321"))), (Ok(640), Ok(160), Ok(480)));
        assert_eq!(of(Some("1280")), Ok(1_280));
        for wrong in ["", "0", "1281", "-1", "wide", "99999999999"] {
            assert!(of(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
