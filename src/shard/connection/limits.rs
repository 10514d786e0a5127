//! Limits of a connection, how meeting one is counted, and the receive low-water mark of
//! publishers.

use std::io;

use serde::{Deserialize, Serialize};

use super::Connection;
use crate::rtmp;
use crate::shard::context::Context;
use crate::shard::io::Action;
use crate::shard::shared::Shared;
use crate::stats::Limit;

/// Below this size a picture could pass unnoticed like audio does, and would be late.
const PICTURE_BYTES_MIN: usize = 2 << 10;

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
        self.low_water.has_seen_picture = true;
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
        if !std::mem::replace(&mut self.low_water.has_seen_picture, false) {
            self.set_low_water(shared, false);
        }
    }

    pub(super) fn set_low_water(&mut self, shared: &mut Shared, on: bool) {
        // Under TLS nobody knows how much of a message has come.
        if self.out.link.is_none() && std::mem::replace(&mut self.low_water.is_raised, on) != on {
            let bytes = if on { LOW_WATER_BYTES } else { 1 };
            shared.cx.act(Action::ReceiveLowWater(self.out.id, bytes));
        }
    }
}

/// Counts a socket that fails, and puts it into words.
pub(in crate::shard) fn broken(cx: &Context, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the peer reset".to_owned(),
        _ => {
            cx.stats.error_io();
            format!("socket: {error}")
        }
    }
}

/// Counts a broken rule of the protocol, or a limit of one connection, and puts it into words.
pub(super) fn broken_rule(cx: &Context, error: &rtmp::Error) -> String {
    match error {
        // The peer has broken no rule.
        rtmp::Error::Full(_) => {
            cx.stats.limit_met(Limit::Buffers);
            return error.to_string();
        }
        rtmp::Error::Limit(_) => cx.stats.limit_met(Limit::PerConnection),
        _ => {}
    }
    cx.stats.error_protocol();
    error.to_string()
}
