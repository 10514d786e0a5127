//! Probes at the borders of stages.

use probe::{probe, probe_lazy};

use crate::media::{FrameId, Micros, Point, Stamps};

/// Functions that each fire the probe of their own name: a frame has passed a stage, which took so
/// long. Arguments: the source of the frame, its number, microseconds.
macro_rules! stages {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(frame: FrameId, took: Micros) {
            probe!(stream_manager, $name, frame.source(), frame.number(), took.0);
        }
    )*};
}

stages! {
    /// The composer has begun with a frame, so long after that was due.
    frame_started;
    /// A frame is drawn.
    frame_composed;
    /// A frame has the size of a rendition.
    frame_scaled;
    /// An encoder's thread has taken a frame, which has waited so long in its ring.
    frame_taken;
    /// The call that gives a frame back has begun, so long after the encoder was given it.
    frame_encoding;
    /// A frame is encoded.
    frame_encoded;
    /// A published message is read, so long after its first byte.
    message_read;
    /// A frame is in the log of the shard that owns its stream.
    frame_appended;
    /// A frame is in the log of another shard.
    frame_received;
    /// The socket of a first viewer has taken a frame.
    frame_sent;
    /// The sockets of all viewers that were not full have taken a frame.
    frame_served;
}

/// A frame has passed the last of its points. Arguments: its source, its number, and microseconds
/// from when it was due until it was drawn, encoded, in the log of the owner, and at its last
/// point; 0 for a point that it has not passed.
#[inline]
pub fn frame_done(stamps: &Stamps, last: Point) {
    let until = |point| stamps.between(Point::Due, point).unwrap_or_default().0;
    probe_lazy!(
        stream_manager,
        frame_done,
        stamps.frame.source(),
        stamps.frame.number(),
        until(Point::Composed),
        until(Point::Encoded),
        until(Point::Appended),
        until(last),
    );
}

/// A packet came out of a video encoder. Arguments: its source, bytes, whether it is a keyframe.
#[inline]
pub fn packet_encoded(source: u16, bytes: usize, is_key: bool) {
    probe!(stream_manager, packet_encoded, source, bytes, is_key);
}

/// A turn of the loop of the composer or of a shard has ended. Argument: microseconds.
#[inline]
pub fn loop_turn(took: Micros) {
    probe!(stream_manager, loop_turn, took.0);
}

/// So many frames wait for the encoder that has most. Arguments: the source, frames.
#[inline]
pub fn frames_waiting(source: u16, frames: u64) {
    probe!(stream_manager, frames_waiting, source, frames);
}

/// A stream's viewers on a shard have all had their turn. Arguments: the source, viewers.
#[inline]
pub fn viewers_sent(source: u16, viewers: u64) {
    probe!(stream_manager, viewers_sent, source, viewers);
}

/// The sockets of so many of these are full. Arguments: the source, viewers.
#[inline]
pub fn viewers_full(source: u16, viewers: u64) {
    probe!(stream_manager, viewers_full, source, viewers);
}
