//! Orderly close of a connection: its peer is told, then that nothing more will come, and has a
//! moment to close.

use super::{Connection, Role};
use crate::media::Micros;
use crate::rtmp::PublishRefusal;
use crate::shard::shared::Shared;

/// How long a peer that is told goodbye may take to read it.
const LINGER: Micros = Micros::from_millis(500);

/// The same when the node stops: all peers at once have much to take.
const STOP_LINGER: Micros = Micros::from_millis(1_500);

/// How far the close of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Closing {
    /// It goes on.
    No,
    /// The peer is to be told that nothing more will come.
    Shutdown,
    /// It waits for the peer to close.
    Waits,
    /// It is over.
    Over,
}

impl Connection {
    /// How far its close has come. One that has nothing left to say tells its peer so, and waits
    /// for it to close.
    pub(in crate::shard) fn closing(&mut self, now: Micros) -> Closing {
        let Some((_, deadline)) = &self.closing else { return Closing::No };
        let is_told = self.out.is_flushed();
        // A player that is still reading its stream is not told goodbye.
        if now >= *deadline || is_told && matches!(self.role, Role::Player(_)) {
            return Closing::Over;
        }
        if is_told && !std::mem::replace(&mut self.has_ended, true) {
            return Closing::Shutdown;
        }
        Closing::Waits
    }

    /// Whether it has something of its own to send, or its close is to go on.
    pub(in crate::shard) fn has_to_send(&self) -> bool {
        let reads = self.out.stream.is_some() && !self.out.is_blocked();
        self.closing.is_some() || self.out.holds_back() || reads
    }

    /// Whether what it would be sent is pointless: it was told that nothing more will come.
    pub(in crate::shard) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The node stops: peers that understand it are asked to come back, to whoever answers then;
    /// they, and those that come back anyway, are not told that the stream is over.
    pub(in crate::shard) fn stop(&mut self, shared: &mut Shared) {
        const REASON: &str = "the node stops";
        let may_return = self.protocol.request_reconnect(None, REASON);
        if !may_return && !self.is_relay() {
            return self.end_within(shared, REASON, STOP_LINGER);
        }
        self.leave_stream(shared, REASON);
        self.close_within(shared.cx.now, REASON, STOP_LINGER);
    }

    /// Tells the peer that it is over, and closes once it has been told.
    pub(in crate::shard) fn end_for(&mut self, shared: &mut Shared, reason: &str) {
        self.end_within(shared, reason, LINGER);
    }

    fn end_within(&mut self, shared: &mut Shared, reason: &str, limit: Micros) {
        match &self.role {
            Role::Player(_) | Role::AwaitsStream(..) | Role::AwaitsSnapshot(_) => {
                self.protocol.end_play();
            }
            Role::Publisher(_) => self.protocol.end_publish(PublishRefusal::Failed, reason),
            Role::AwaitsHook(pending) => self.protocol.refuse(pending.stage(), reason),
            Role::Pending | Role::AwaitsKey => {}
        }
        self.say_goodbye(shared);
        self.leave_stream(shared, reason);
        self.close_within(shared.cx.now, reason, limit);
    }

    /// Ends the connection as soon as what waits has been sent and the peer has closed too.
    pub(super) fn close(&mut self, now: Micros, reason: &str) {
        self.close_within(now, reason, LINGER);
    }

    pub(super) fn close_within(&mut self, now: Micros, reason: &str, limit: Micros) {
        if self.closing.is_none() {
            self.closing = Some((reason.to_owned(), now + limit));
        }
    }

    /// A deadline has passed: ends the connection like [`Connection::close`]. An answer that it
    /// waits for begins nothing any more.
    pub(super) fn close_late(&mut self, shared: &mut Shared, reason: &str) {
        if !matches!(self.role, Role::Player(_)) {
            self.leave_stream(shared, reason);
        }
        self.close(shared.cx.now, reason);
    }

    /// Ends the connection without waiting.
    pub(super) fn close_now(&mut self, now: Micros, reason: &str) {
        self.closing = Some((reason.to_owned(), now));
    }
}
