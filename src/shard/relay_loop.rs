//! Relay loops: a stream is never offered to where it has come from, in its grace time it is absent
//! for relays, and a stream that feeds itself is cut.

use super::shared::Shared;
use super::stream_id::StreamId;
use crate::event::NodeEvent;
use crate::rtmp::Relaying;

/// What is said of a stream that came back to where it has been.
pub(super) const LOOP: &str =
    "the stream feeds itself: it has come from here, so it is not taken again";

/// Whether a stream is kept from a peer that relays it: nobody feeds it now, or it has come from
/// there.
pub(super) fn is_kept_from(shared: &Shared, name: &str, relaying: &Relaying) -> bool {
    let to = relaying.goes_to.first();
    !shared.streams.is_taken(name) || to.is_some_and(|to| shared.streams.hops(name).contains(to))
}

/// A stream that fed itself was cut at `source`.
pub(super) fn report_loop(shared: &mut Shared, stream: StreamId, source: String) {
    let Some(stream) = shared.streams.get(stream) else { return };
    let stream = stream.name.to_string();
    shared.cx.report_node(NodeEvent::RelayLoop { stream, source });
}
