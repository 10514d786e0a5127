//! Streams that are transcoded while somebody reads them: shards say that they are wanted, and
//! control looks.

use std::sync::Arc;

use crate::media::LatestTime;

/// Streams that are transcoded from another while somebody reads one of them.
#[derive(Clone, Debug)]
pub struct TranscodedStreams {
    /// The stream that they are transcoded from.
    pub source: Arc<str>,
    /// Their names.
    pub streams: Vec<Arc<str>>,
    /// That of these which readers are given who cannot take the source.
    pub twin: Option<Arc<str>>,
    /// When somebody last wanted one: every shard says so, and control looks.
    pub demand: Arc<LatestTime>,
}
