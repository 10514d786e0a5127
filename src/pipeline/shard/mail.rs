//! What control and the other shards tell a shard.

use std::rc::Rc;
use std::sync::Arc;

use super::live::survey;
use super::{Mail, Shard, spawn};
use crate::command::ToShard;
use crate::pipeline::hub::{Hub, Source};
use crate::pipeline::mesh::MeshMessage;

impl Shard {
    pub(super) fn obey(self: &Rc<Self>, command: ToShard) {
        match command {
            ToShard::KeyAnswer { hash, decision } => self.on_key_answer(hash, &decision),
            ToShard::KeyChanged { hash } => self.on_key_changed(hash.as_ref()),
            ToShard::KeyVerdict { hash, decision } => self.on_key_verdict(&hash, &decision),
            ToShard::HookAnswer { ticket, refusal } => {
                let connection = self.connections.borrow().get(&ticket.connection).cloned();
                if let Some(connection) = connection {
                    connection.mail(Mail::Hook(ticket.question, refusal));
                }
            }
            ToShard::PullResolved { pull, address } => self.relay.resolved(pull, address),
            ToShard::Resolved { output, address } => {
                if let Some(output) = self.output(output) {
                    output.resolved(address);
                }
            }
            ToShard::Survey(order) => spawn(self, survey(Rc::clone(self), order)),
            ToShard::Tap(name, tap) => self.add_tap(name, tap),
            ToShard::AddOutput(spec) => self.add_output(*spec),
            ToShard::SwitchOutput { output, on } => {
                if let Some(output) = self.output(output) {
                    output.switch(on);
                }
            }
            ToShard::RemoveOutput { output } => {
                if let Some(output) = self.output(output) {
                    output.end();
                }
            }
        }
    }

    pub(super) fn read_mesh(self: &Rc<Self>) {
        loop {
            let Some((from, message)) = self.mesh.borrow_mut().receive() else { return };
            match message {
                MeshMessage::Up(name) => self.up_elsewhere(&name, from),
                MeshMessage::Down(name) => {
                    self.mesh.borrow_mut().forget(&name, from);
                    if let Some(hub) = self.local(&name, from) {
                        self.source_left(&hub);
                        self.end_stream(&hub);
                    }
                }
                MeshMessage::Subscribe(name) => self.subscribe(&name, from),
                MeshMessage::Want(name) => self.relay.want(self, &name),
                MeshMessage::KeyWanted(name) => {
                    if let Some(hub) = self.hubs.borrow().get(&name) {
                        self.want_key(hub);
                    }
                }
                MeshMessage::Message(name, message, arrived) => {
                    if let Some(hub) = self.local(&name, from) {
                        self.publish(&hub, message, arrived);
                    }
                }
            }
        }
    }

    /// The hub of a stream that shard `from` feeds.
    fn local(&self, name: &str, from: usize) -> Option<Rc<Hub>> {
        let hub = Rc::clone(self.hubs.borrow().get(name)?);
        matches!(hub.source(), Source::Shard(home) if home == from).then_some(hub)
    }

    fn up_elsewhere(self: &Rc<Self>, name: &Arc<str>, home: usize) {
        self.mesh.borrow_mut().learn(Arc::clone(name), home);
        let tapped = self.idle_taps.borrow().iter().any(|(wanted, _)| wanted == name);
        if tapped || self.relay.records(name) {
            self.find(name);
        }
        self.tell_waiting(name);
    }

    /// Another shard has readers for a stream that is fed here: it gets what a late viewer would.
    fn subscribe(&self, name: &str, from: usize) {
        let Some(hub) = self.hubs.borrow().get(name).cloned() else { return };
        if hub.subscribers.borrow().contains(&from) {
            return;
        }
        hub.subscribers.borrow_mut().push(from);
        let now = self.clock.now();
        for message in hub.log.borrow().catch_up() {
            let message = MeshMessage::Message(Arc::clone(&hub.name), message.clone(), now);
            self.mesh.borrow_mut().send(from, message);
        }
    }
}
