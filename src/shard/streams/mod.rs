//! The streams of a shard: their table, what enters their logs, and which of them have something to
//! send.

mod delivery;
mod directory;
mod ingest;
mod mesh;
mod meter;
mod origin;
mod ownership;
mod pacing;
#[cfg(test)]
mod probe;
mod resume;
mod stream;
mod subscription;
mod undecodable;

pub(super) use directory::{Streams, hop_of};
pub use mesh::{Mesh, MeshMessage};
pub(super) use stream::{Source, SourceTracks, Stream};
pub(super) use subscription::{RecordSubscription, Subscription};
