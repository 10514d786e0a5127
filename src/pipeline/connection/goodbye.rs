//! Orderly close of a connection: its peer is told, then that nothing more will come, and has a
//! moment to close.

use std::rc::Rc;

use super::{Connection, Role};
use crate::media::Micros;
use crate::pipeline::shard::Shard;
use crate::rtmp::PublishRefusal;

/// How long a peer that is told goodbye may take to read it.
const LINGER: Micros = Micros::from_millis(500);

/// The same when the node stops: all peers at once have much to take.
const STOP_LINGER: Micros = Micros::from_millis(1_500);

impl Connection {
    /// The reason, once a closing connection has no time left. One that has nothing left to say
    /// tells its peer so, and waits for it to close.
    pub(super) fn finished(&self, shard: &Shard) -> Option<String> {
        let closing = self.closing.borrow();
        let (reason, deadline) = closing.as_ref()?;
        if shard.clock.now() >= *deadline {
            return Some(reason.clone());
        }
        let told = self.reader.is_flushed();
        if told && matches!(&*self.role.borrow(), Role::Player(_)) {
            return Some(reason.clone()); // it is not told goodbye
        }
        if told && !self.has_ended.replace(true) {
            self.reader.end_sending();
        }
        None
    }

    /// The node stops: peers that understand it are asked to come back, to whoever answers then;
    /// they, and those that come back anyway, are not told that the stream is over.
    pub(super) fn stop(&self, shard: &Rc<Shard>) {
        const REASON: &str = "the node stops";
        let may_return = self.session.borrow_mut().request_reconnect(None, REASON);
        if !may_return && !self.is_relay() {
            return self.end_within(shard, REASON, STOP_LINGER);
        }
        self.leave_stream(shard, REASON);
        self.pass_on();
        self.close_within(shard, REASON, STOP_LINGER);
    }

    /// Tells the peer that it is over, and closes once it has been told.
    pub(super) fn end_for(&self, shard: &Rc<Shard>, reason: &str) {
        self.end_within(shard, reason, LINGER);
    }

    fn end_within(&self, shard: &Rc<Shard>, reason: &str, limit: Micros) {
        match &*self.role.borrow() {
            Role::Player(_) | Role::AwaitsStream(..) => self.session.borrow_mut().end_play(),
            Role::Publisher(_) => {
                self.session.borrow_mut().end_publish(PublishRefusal::Failed, reason);
            }
            Role::AwaitsHook(waiting) => self.refuse_waiting(waiting.stage(), reason),
            Role::Pending | Role::AwaitsKey => {}
        }
        self.leave_stream(shard, reason);
        self.pass_on();
        self.close_within(shard, reason, limit);
    }

    /// Ends the connection as soon as what waits has been sent and the peer has closed too.
    pub(super) fn close(&self, shard: &Shard, reason: &str) {
        self.close_within(shard, reason, LINGER);
    }

    fn close_within(&self, shard: &Shard, reason: &str, limit: Micros) {
        let deadline = shard.clock.now() + limit;
        let mut closing = self.closing.borrow_mut();
        if closing.is_none() {
            *closing = Some((reason.to_owned(), deadline));
        }
        self.reader.wake();
    }

    /// Ends the connection without waiting.
    pub(super) fn close_now(&self, now: Micros, reason: &str) {
        *self.closing.borrow_mut() = Some((reason.to_owned(), now));
    }
}
