//! Limits of a connection: deadlines that have passed are counted, and the receive low-water mark
//! follows the pictures of a publisher.

use super::Connection;
use crate::shard::io::Action;
use crate::shard::shared::Shared;
use crate::stats::Limit;

/// Below this size a picture could pass unnoticed like audio does, and would be late.
const PICTURE_BYTES_MIN: usize = 2 << 10;

impl Connection {
    /// Counts a deadline that has passed, unless the connection is ending already.
    pub(super) fn count_late(&self, shared: &Shared, limit: Limit) {
        if self.closing.is_none() {
            shared.cx.stats.error_timeout();
            shared.cx.stats.limit_met(limit);
        }
    }

    /// A picture of so many bytes has come whole: others like it will follow.
    pub(super) fn expect_pictures_like(&mut self, shared: &mut Shared, bytes: usize) {
        self.low_water.see_picture();
        self.set_low_water(shared, bytes >= PICTURE_BYTES_MIN);
    }

    /// Asks for the rest of a message of which a part has come, however small it is.
    pub(super) fn expect_rest_of_message(&mut self, shared: &mut Shared) {
        if !self.protocol.is_between_messages() {
            self.set_low_water(shared, false);
        }
    }

    /// Looks a few times a second whether pictures still come: if not, audio is taken as it comes.
    pub(super) fn expect_fewer_pictures(&mut self, shared: &mut Shared) {
        if !self.low_water.take_seen_picture() {
            self.set_low_water(shared, false);
        }
    }

    pub(super) fn set_low_water(&mut self, shared: &mut Shared, on: bool) {
        // Under TLS nobody knows how much of a message has come.
        if self.out.link.is_none()
            && let Some(bytes) = self.low_water.set(on)
        {
            shared.cx.act(Action::ReceiveLowWater(self.out.id, bytes));
        }
    }
}
