//! A publisher's sound is sent on with the picture that follows it, so that reading it before that
//! picture is only a waste. While big pictures come, the kernel wakes us for them alone.

use std::cell::Cell;

use super::Connection;

/// Below this, a picture could pass unnoticed like sound does, and would be late.
const PICTURE_BYTES_MIN: usize = 2 << 10;

/// Whether a connection is woken for big messages only.
#[derive(Debug, Default)]
pub(super) struct Patience {
    on: Cell<bool>,
    /// Whether a picture has come since that was last asked.
    seen: Cell<bool>,
}

impl Connection {
    /// A picture of so many bytes has come whole: others like it will follow.
    pub(super) fn be_patient(&self, bytes: usize) {
        self.patience.seen.set(true);
        self.set_patience(bytes >= PICTURE_BYTES_MIN);
    }

    /// Asks for the rest of a message of which a part has come, however small it is.
    pub(super) fn finish_message(&self) {
        if !self.session.borrow().is_between_messages() {
            self.set_patience(false);
        }
    }

    /// Looks a few times a second whether pictures still come: if not, sound is taken as it comes.
    pub(super) fn lose_patience(&self) {
        if !self.patience.seen.replace(false) {
            self.set_patience(false);
        }
    }

    pub(super) fn set_patience(&self, on: bool) {
        if self.patience.on.replace(on) != on {
            self.reader.wait_for_pictures(on);
        }
    }
}
