//! Streams in a snapshot: what is lost with the rings when it is written, and how they go on when
//! it has been read.

use std::sync::Arc;

use super::directory::Streams;
use super::mesh::Mesh;
use super::stream::{Source, Stream};
use crate::command::PulledStream;
use crate::limits::Audiences;
use crate::shard::context::Context;
use crate::shard::stream_id::StreamId;

impl Streams {
    /// A snapshot is about to be written. What another shard has not taken out of its ring is lost
    /// to it: it is told everything anew, and goes on with a keyframe where it read.
    pub(in crate::shard) fn lose_unheard(&mut self) {
        for to in self.mesh.unheard() {
            self.mesh.lose(to);
            for (_, stream) in self.table.iter_mut() {
                for other in stream.subscribers.iter_mut().filter(|other| other.shard == to) {
                    (other.waits_for_key, other.lacks_headers) = (true, true);
                }
            }
        }
    }

    /// They were read from a snapshot: they go on over the rings of `mesh`, with terms after
    /// `newest`. The error says what they contradict themselves about.
    pub(in crate::shard) fn resume(
        &mut self,
        cx: &Context,
        mesh: Mesh,
        newest: u64,
        audiences: &Audiences,
    ) -> Result<(), &'static str> {
        if !self.table.resume() {
            return Err("the table of streams");
        }
        if !self.mesh.resume(mesh, newest, audiences) {
            return Err("the shards of streams");
        }
        let is_shard = |shard: usize| shard < self.mesh.shards() && shard != cx.spec.number;
        for (id, stream) in self.table.iter_mut() {
            let is_named = self.by_name.get(&stream.name) == Some(&id);
            let source_fits = !matches!(stream.source, Source::Shard(owner) if !is_shard(owner));
            let subscribers = &stream.subscribers;
            let subscribers_fit = (stream.is_owned() || subscribers.is_empty())
                && subscribers.iter().all(|other| is_shard(other.shard));
            let is_whole = stream.resume(audiences) && source_fits && subscribers_fit;
            if !is_whole || is_named == stream.is_over {
                return Err("a stream");
            }
        }
        let is_there = |id: &StreamId| self.table.get(*id).is_some();
        if !self.by_name.values().all(is_there) {
            return Err("the names of streams");
        }
        // All their readers have their turn again.
        self.dirty.iter_mut().for_each(|progress| progress.from = 0);
        Ok(())
    }

    /// The pulls of this shard have other numbers than when the snapshot was written.
    pub(in crate::shard) fn renumber_pulls(&mut self, number: impl Fn(usize) -> usize) {
        for (_, stream) in self.table.iter_mut() {
            if let Source::Pull(pull) = &mut stream.source {
                *pull = number(*pull);
            }
        }
    }

    /// The encoders of channels have not come along: their streams wait for others.
    pub(in crate::shard) fn leave_channels(&mut self, cx: &mut Context) {
        for id in self.table.keys() {
            if self.get(id).is_some_and(|stream| matches!(stream.source, Source::Channel(_))) {
                self.source_left(cx, id);
            }
        }
    }

    /// The names of all streams that are known, here and at other shards.
    pub(in crate::shard) fn known(&self) -> Vec<Arc<str>> {
        self.by_name.keys().chain(self.mesh.elsewhere()).cloned().collect()
    }

    /// All streams, also those that are over.
    pub(in crate::shard) fn all(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.table.iter()
    }

    /// Streams that can be pulled, as control says now.
    pub(in crate::shard) fn set_pulled(&mut self, pulled: Arc<[PulledStream]>) {
        self.pulled = pulled;
    }
}
