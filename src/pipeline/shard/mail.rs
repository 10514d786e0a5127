//! Commands of control and messages of other shards, as a shard obeys them.

use std::rc::Rc;

use super::live::survey;
use super::{Mail, Shard, spawn};
use crate::command::ToShard;
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
            ToShard::Feed(feed) => self.feeds.add(self, *feed),
            ToShard::AddPull(spec) => self.relay.pull(self, *spec),
            ToShard::SwitchPull { pull, on } => self.relay.switch_pull(pull, on),
            ToShard::RemovePull { pull } => self.relay.remove_pull(pull),
            ToShard::Pulled(streams) => self.relay.set_pulled(streams),
            ToShard::PullResolved { pull, address } => self.relay.resolved(pull, address),
            ToShard::Resolved { output, address } => {
                if let Some(output) = self.output(output) {
                    output.resolved(address);
                }
            }
            ToShard::Survey(order) => spawn(self, survey(Rc::clone(self), order)),
            ToShard::Tap(name, tap) => self.add_tap(name, tap),
            ToShard::Record(feed) => self.relay.record(self, feed),
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
                MeshMessage::Up(name, audience, hops) => {
                    self.up_elsewhere(&name, from, (audience, hops));
                }
                MeshMessage::Left(name, newest, was) => {
                    self.left_elsewhere(&name, from, (newest, &was));
                }
                MeshMessage::Down(name) => self.down_elsewhere(&name, from),
                MeshMessage::Subscribe(name, have) => self.subscribe(&name, from, have),
                MeshMessage::Unsubscribe(name) => self.unsubscribe(&name, from),
                MeshMessage::MakeWay(name, takes) => self.asked_to_make_way(&name, from, takes),
                MeshMessage::Stays(name) => self.tell_place(&name, false),
                MeshMessage::Want(name, goes_to) => self.relay.want(self, &name, &goes_to),
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
}
