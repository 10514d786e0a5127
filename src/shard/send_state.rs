//! Send state: the part of a peer that the send loop touches.

/// The part of a peer that the send loop touches: a third of a cache line.
///
/// While `place` names a message, the peer takes all messages of its stream from there on as they
/// lie in the log, and the rest of its `Outbound` is not looked at. It is put in step before
/// anything else uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendState {
    /// Number of the next message in the log; [`SendState::ALONE`] or [`SendState::BLOCKED`].
    pub(super) place: u64,
    /// Bytes sent since the peer was last put in step.
    pub(super) bytes: u64,
    /// Whether it speaks TLS, so that what it takes is sealed for it alone.
    pub(super) is_sealed: bool,
}

impl SendState {
    /// Of a new peer.
    pub(super) const NEW: Self = Self { place: Self::ALONE, bytes: 0, is_sealed: false };
    /// The peer has something of its own to send, or leaves something out.
    pub(super) const ALONE: u64 = u64::MAX;
    /// The peer's socket is full.
    pub(super) const BLOCKED: u64 = u64::MAX - 1;
}
