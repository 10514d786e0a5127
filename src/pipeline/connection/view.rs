//! A connection as the API shows it.

use std::sync::Arc;

use super::{Connection, Role};
use crate::command::{ClientView, PublisherView};
use crate::event::{ClientId, ConnectionState};

impl Connection {
    /// Its name in events.
    pub(in crate::pipeline) fn id(&self) -> ClientId {
        self.life.borrow().client()
    }

    /// The stream it publishes, and who it is.
    pub(in crate::pipeline) fn publishes(&self) -> Option<(Arc<str>, PublisherView)> {
        match &*self.role.borrow() {
            Role::Publisher(hub) => Some((Arc::clone(&hub.name), self.as_publisher())),
            _ => None,
        }
    }

    fn as_publisher(&self) -> PublisherView {
        let life = self.life.borrow();
        PublisherView {
            id: life.client().to_string(),
            address: self.peer.get(),
            agent: life.about().agent.clone(),
            holder: life.holder().cloned(),
        }
    }

    /// `rtmp`, `rtmps`, `http-flv` or `ws-flv`.
    pub(super) fn protocol(&self) -> &'static str {
        match (self.session.borrow().protocol(), self.reader.link()) {
            ("rtmp", Some(_)) => "rtmps",
            (protocol, _) => protocol,
        }
    }

    /// All about it.
    pub(in crate::pipeline) fn view(&self) -> ClientView {
        let (state, stream) = match &*self.role.borrow() {
            Role::Publisher(hub) => (ConnectionState::Publisher, hub.name.to_string()),
            Role::Player(hub) => (ConnectionState::Player, hub.name.to_string()),
            _ => (ConnectionState::Pending, String::new()),
        };
        let is_preview = state == ConnectionState::Player && self.is_preview.get();
        let drops = self.reader.drops();
        let PublisherView { agent, holder, .. } = self.as_publisher();
        ClientView {
            id: self.id().to_string(),
            address: self.peer.get(),
            state: if is_preview { "preview" } else { state.name() },
            protocol: self.protocol(),
            stream,
            since: self.life.borrow().came(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.reader.bytes(),
            dropped: drops.jumped + drops.skipped,
            agent,
            holder,
        }
    }
}
