//! Connections as the API lists them.

use std::sync::Arc;

use super::{Connection, Role};
use crate::command::{ClientView, PublisherView};
use crate::event::{ClientId, ConnectionState};
use crate::shard::shared::Shared;
use crate::shard::stream_id::StreamId;

impl Connection {
    /// Its name in events.
    pub(in crate::shard) fn id(&self) -> ClientId {
        self.life.client()
    }

    /// The stream it publishes, and who it is.
    pub(in crate::shard) fn publishes(&self, shared: &Shared) -> Option<(Arc<str>, PublisherView)> {
        let Role::Publisher(stream) = self.role else { return None };
        Some((Arc::clone(&shared.streams.get(stream)?.name), self.as_publisher()))
    }

    fn as_publisher(&self) -> PublisherView {
        PublisherView {
            id: self.life.client().to_string(),
            address: self.address,
            agent: self.life.about().agent.clone(),
            holder: self.life.holder().cloned(),
        }
    }

    /// `rtmp`, `rtmps`, `http-flv`, `ws-flv` or `http-snapshot`.
    pub(in crate::shard) fn protocol_name(&self) -> &'static str {
        match (self.protocol.name(), &self.out.link) {
            ("rtmp", Some(_)) => "rtmps",
            (protocol, _) => protocol,
        }
    }

    /// The stream that it publishes or plays.
    const fn stream(&self) -> Option<StreamId> {
        match self.role {
            Role::Publisher(stream) | Role::Player(stream) => Some(stream),
            _ => None,
        }
    }

    /// All about it.
    pub(in crate::shard) fn view(&self, shared: &Shared) -> ClientView {
        let state = match &self.role {
            Role::Publisher(_) => ConnectionState::Publisher,
            Role::Player(_) => ConnectionState::Player,
            _ => ConnectionState::Pending,
        };
        let stream = self.stream().and_then(|stream| shared.streams.get(stream));
        let is_preview = state == ConnectionState::Player && self.is_preview;
        let drops = self.out.drops();
        let PublisherView { agent, holder, .. } = self.as_publisher();
        ClientView {
            id: self.id().to_string(),
            address: self.address,
            state: if is_preview { "preview" } else { state.name() },
            protocol: self.protocol_name(),
            stream: stream.map(|stream| stream.name.to_string()).unwrap_or_default(),
            since: self.life.came(),
            bytes_in: self.bytes_in,
            bytes_out: self.out.bytes(),
            dropped: drops.jumped + drops.skipped,
            agent,
            holder,
        }
    }

    /// The operator `actor` ends it.
    pub(in crate::shard) fn kick(&mut self, shared: &mut Shared, actor: &Arc<str>) {
        self.life.set_actor(Arc::clone(actor));
        self.end_for(shared, "ended by the operator");
    }
}
