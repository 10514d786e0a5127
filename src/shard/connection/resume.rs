//! Connections in a snapshot: how one goes on when it has been read, and what it is to whoever
//! hands over its socket.

use std::net::SocketAddr;

use super::{Connection, Role};
use crate::shard::io::Action;
use crate::shard::shared::Shared;
use crate::shard::stream_id::StreamId;

impl Connection {
    /// It was read from a snapshot: takes its place among the connections and the viewers again,
    /// and asks again what it waits to hear. The error says what it contradicts itself about.
    pub(in crate::shard) fn resume(&mut self, shared: &mut Shared) -> Result<(), &'static str> {
        self.admitted.resume(&shared.cx, self.address.ip());
        if !self.protocol.resume(shared.cx.limits.messages()) {
            return Err("the session of a connection");
        }
        let stream = self.out.stream.map(|id| shared.streams.get(id));
        let is_known = stream.is_none_or(|stream| stream.is_some());
        let log = stream.flatten().map(|stream| &stream.log);
        if !is_known || !self.out.resume(log) {
            return Err("what a connection is sent");
        }
        match self.role {
            Role::Player(id) => {
                let reader = shared.streams.get(id).filter(|_| self.out.stream == Some(id));
                let Some(stream) = reader else { return Err("a viewer") };
                self.permit = Some(stream.audience.enter_again());
            }
            Role::Publisher(id) if !shared.is_fed_by(id, self.out.id) => {
                return Err("a publisher");
            }
            _ if self.out.stream.is_some() => return Err("a reader"),
            _ => {}
        }
        if !self.ask_hooks(shared) {
            // Control counts as silent once its time is over.
            shared.cx.stats.report_lost();
        }
        self.ask_for_snapshot(shared);
        self.ask_for_name_again(shared);
        if self.is_paused {
            shared.cx.act(Action::Read(self.out.id, false));
        }
        Ok(())
    }

    /// Where it comes from.
    pub(in crate::shard) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The stream that it publishes.
    pub(in crate::shard) const fn published(&self) -> Option<StreamId> {
        match self.role {
            Role::Publisher(stream) => Some(stream),
            _ => None,
        }
    }

    /// Whether it waits for a stream, and whether for a name.
    pub(in crate::shard) const fn waits(&self) -> (bool, bool) {
        let for_stream = matches!(self.role, Role::AwaitsStream(..));
        (for_stream, self.credentials.name_request.is_some())
    }
}
