//! Start position of a viewer, and the keyframe that it may need.

use std::rc::Rc;
use std::sync::Arc;

use super::hub::{Hub, Source};
use super::mesh::MeshMessage;
use super::reader::Reader;
use super::shard::Shard;
use crate::stream::{Cursor, Framing, Start};

impl Shard {
    /// Starts a viewer at the place late ones start at.
    pub(super) fn add_reader(&self, hub: &Hub, reader: &Rc<Reader>, framing: Framing) {
        reader.set_cursor(Some(Cursor::new(self.spec().start).framed(framing)));
        self.pace_viewer(hub, reader);
        hub.add_reader(Rc::clone(reader));
        self.want_key_for_start(hub);
    }

    /// Asks for a keyframe if readers that start would wait for the next one.
    pub(super) fn want_key_for_start(&self, hub: &Hub) {
        if self.spec().start == Start::Live {
            self.want_key(hub);
        }
    }

    /// Asks for a keyframe if the source is an encoder of this node, once a second at most.
    pub(super) fn want_key(&self, hub: &Hub) {
        if !hub.may_ask_for_key(self.clock.now()) {
            return;
        }
        match hub.source() {
            Source::Channel(switch) => switch.request_key(),
            Source::Shard(home) => {
                let wish = MeshMessage::KeyWanted(Arc::clone(&hub.name));
                self.mesh.borrow_mut().send(home, wish);
            }
            Source::Publisher | Source::Pull | Source::Nobody(_) => {}
        }
    }
}
