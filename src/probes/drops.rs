//! Probes where something is dropped or late.

use probe::{probe, probe_lazy};

use crate::media::Micros;

/// Frames of a channel were not drawn or not taken. Arguments: its source, the number of the reason
/// (0 a queue was full, 1 the pool was empty, 2 late), frames.
#[inline]
pub fn frames_dropped(source: u16, reason: usize, frames: u64) {
    if frames > 0 {
        probe!(stream_manager, frames_dropped, source, reason, frames);
    }
}

/// A frame was encoded more than two intervals after it was due. Argument: its source.
#[inline]
pub fn frame_late(source: u16) {
    probe!(stream_manager, frame_late, source);
}

/// The audio encoder had no room for a block. Argument: the channel's source.
#[inline]
pub fn audio_dropped(source: u16) {
    probe!(stream_manager, audio_dropped, source);
}

/// The shard had no room for an encoded message. Argument: the channel's source.
#[inline]
pub fn message_dropped(source: u16) {
    probe!(stream_manager, message_dropped, source);
}

/// Another shard had no room for a stream's message.
#[inline]
pub fn hop_lost() {
    probe!(stream_manager, hop_lost);
}

/// A reader that lags goes on at a newer keyframe. Arguments: messages that it is not sent, and how
/// far it lagged, microseconds.
#[inline]
pub fn reader_jumped(messages: u64, lag: Micros) {
    probe!(stream_manager, reader_jumped, messages, lag.0);
}

/// A reader that lags is sent no video until a keyframe comes. Argument: how far it lags,
/// microseconds.
#[inline]
pub fn reader_skipping(lag: Micros) {
    probe!(stream_manager, reader_skipping, lag.0);
}

/// The log has let go of messages that a reader was still to be sent. Argument: messages.
#[inline]
pub fn reader_overrun(messages: u64) {
    probe!(stream_manager, reader_overrun, messages);
}

/// The writer of a recording had no room for messages. Argument: messages.
#[inline]
pub fn recording_dropped(messages: u64) {
    probe!(stream_manager, recording_dropped, messages);
}

/// A peer's socket takes no more. Arguments: the peer's number on its shard, and how long what it
/// is sent next has waited, microseconds: that takes a look into the log.
#[inline]
pub fn socket_full(peer: usize, waited: impl FnOnce() -> Micros) {
    probe_lazy!(stream_manager, socket_full, peer, waited().0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_argument_costs_is_not_paid_while_nobody_is_attached() {
        socket_full(1, || panic!("it was worked out"));
    }
}
