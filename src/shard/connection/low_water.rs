//! Receive low-water mark of a publisher: below it, what comes does not wake the driver.

use serde::{Deserialize, Serialize};

/// `SO_RCVLOWAT` while pictures come: audio and other small messages do not wake the driver. They
/// are read with the picture that follows, which is when they are sent on.
const LOW_WATER_BYTES: u32 = 512;

/// The receive low-water mark of a publisher. Its audio is sent on with the picture that follows,
/// so that reading it before that picture is only a waste.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct LowWater {
    is_raised: bool,
    /// Whether a picture has come since that was last asked.
    has_seen_picture: bool,
}

impl LowWater {
    /// A picture has come whole.
    pub(super) const fn see_picture(&mut self) {
        self.has_seen_picture = true;
    }

    /// Whether a picture has come since this was last asked.
    pub(super) const fn take_seen_picture(&mut self) -> bool {
        std::mem::replace(&mut self.has_seen_picture, false)
    }

    /// Raises or lowers it: the mark to set, bytes, or `None` if it is set already.
    pub(super) fn set(&mut self, on: bool) -> Option<u32> {
        let changes = std::mem::replace(&mut self.is_raised, on) != on;
        changes.then_some(if on { LOW_WATER_BYTES } else { 1 })
    }
}
