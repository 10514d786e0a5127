//! Relay loop prevention: a stream is never offered to where it has come from, in its grace it is
//! absent for relays, and a source that comes then and brings nothing does not keep it.

use std::rc::Rc;

use super::hub::{Hub, Source};
use super::shard::Shard;
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::rtmp::{Hop, Hops, PublishRefusal, Relaying};

/// How long a publisher that has come within the grace may send neither picture nor sound.
const QUIET_MAX: Micros = Micros::from_secs(5);

/// What is said of a stream that came back to where it has been.
pub(super) const LOOP: &str =
    "the stream feeds itself: it has come from here, so it is not taken again";

impl Shard {
    /// The stream `name` of this node, as other nodes know it.
    pub(super) fn hop_of(&self, name: &str) -> Hop {
        Hop::new(self.spec().node, name)
    }

    /// Through where a stream has come, this node last.
    pub(super) fn hops(&self, name: &str) -> Hops {
        match self.hubs.borrow().get(name) {
            Some(hub) => hub.hops(),
            None => self.mesh.borrow().hops(name),
        }
    }

    /// Whether a stream is kept from a peer that relays it: nobody feeds it now, or it has come
    /// from there.
    pub(super) fn is_kept_from(&self, name: &str, relaying: &Relaying) -> bool {
        let to = relaying.goes_to.first();
        !self.is_taken(name) || to.is_some_and(|to| self.hops(name).contains(to))
    }

    /// The stream comes through `hops` from now on. Who relays it and was told otherwise is left,
    /// and comes back, before anything that came the new way is sent.
    pub(super) fn set_hops(&self, hub: &Rc<Hub>, hops: Hops) {
        if !hub.set_hops(hops) {
            return;
        }
        for output in self.all_outputs() {
            output.comes_another_way(hub);
        }
        let connections: Vec<_> = self.connections.borrow().values().cloned().collect();
        for connection in connections {
            connection.comes_another_way(self, hub);
        }
    }

    /// A stream that fed itself was cut at `source`.
    pub(super) fn report_loop(&self, stream: &str, source: String) {
        let stream = stream.to_owned();
        self.report_node(NodeEvent::RelayLoop { stream, source });
    }

    /// Ends streams whose publisher has not come back in time, and leaves those that have come back
    /// and bring nothing.
    pub(super) fn end_streams_past_grace(self: &Rc<Self>, now: Micros) {
        let grace = self.spec().grace;
        let hubs: Vec<_> = self.hubs.borrow().values().cloned().collect();
        for hub in hubs {
            match hub.source() {
                Source::Nobody(since) if now.since(since) >= grace => self.end_stream(&hub),
                Source::Publisher
                    if hub.is_quiet_for(grace, now)
                        && now.since(hub.figures.since()) >= QUIET_MAX =>
                {
                    self.end_quiet(&hub.name);
                }
                _ => {}
            }
        }
    }

    fn end_quiet(self: &Rc<Self>, name: &str) {
        let all: Vec<_> = self.connections.borrow().values().cloned().collect();
        if let Some(quiet) = all.into_iter().find(|connection| connection.publishes_as(name)) {
            let text = "neither picture nor sound has come; connect again to begin anew";
            quiet.end_publisher(self, PublishRefusal::Failed, text);
        }
    }
}
