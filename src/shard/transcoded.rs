//! Demand for streams that are transcoded from others: who reads them or waits for them here is
//! looked at as often as at deadlines.

use std::sync::Arc;

use super::core::ShardCore;
use crate::rtmp::Hops;

impl ShardCore {
    /// Says which of the streams that are transcoded on demand somebody wants: viewers and outputs
    /// that read them or wait for them, recordings, and scenes.
    pub(super) fn want_transcoded(&mut self) {
        let transcoded = Arc::clone(&self.shared.streams.transcoded);
        for stream in transcoded.iter().flat_map(|of| &of.streams) {
            if self.has_reader(stream) {
                self.want(stream, &Hops::default());
            }
        }
    }

    /// Lets players look again at streams that they wait for to know what they are.
    pub(super) fn look_at_twins(&mut self) {
        let transcoded = Arc::clone(&self.shared.streams.transcoded);
        for source in transcoded.iter().filter(|of| of.twin.is_some()).map(|of| &of.source) {
            for id in self.shared.waiting_players.clone() {
                self.with(id, |connection, shared| {
                    if connection.awaits_stream(source) {
                        connection.on_available(shared);
                    }
                });
            }
        }
    }

    fn has_reader(&self, name: &str) -> bool {
        let streams = &self.shared.streams;
        streams.named(name).is_some_and(super::streams::Stream::is_read)
            || streams.is_wanted(name)
            || self.outputs.values().any(|output| output.wants(name))
            || self.shared.waiting_players.iter().any(|id| {
                self.peers.connection(*id).is_some_and(|connection| connection.awaits_stream(name))
            })
    }
}
