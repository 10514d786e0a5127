//! Demand for streams that are transcoded while somebody reads them: shards say that they are
//! wanted, and control looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::media::Micros;

/// When somebody last wanted what is transcoded on demand. Every shard writes it, and control reads
/// it.
#[derive(Debug, Default)]
pub struct Demand(AtomicU64);

impl Demand {
    /// Somebody wants it at `now`.
    pub fn want(&self, now: Micros) {
        // One that is later stands: shards have looked at the clock at different times.
        self.0.fetch_max(now.0.saturating_add(1), Ordering::Relaxed);
    }

    /// When somebody last wanted it, if anybody did.
    #[must_use]
    pub fn wanted(&self) -> Option<Micros> {
        self.0.load(Ordering::Relaxed).checked_sub(1).map(Micros)
    }
}

/// Streams that are transcoded from another while somebody reads one of them.
#[derive(Clone, Debug)]
pub struct TranscodedStreams {
    /// The stream that they are transcoded from.
    pub source: Arc<str>,
    /// Their names.
    pub streams: Vec<Arc<str>>,
    /// That of these which readers are given who cannot take the source.
    pub twin: Option<Arc<str>>,
    /// Where it is said that somebody reads one.
    pub demand: Arc<Demand>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wish_counts_whoever_says_so_first() {
        let demand = Demand::default();
        assert_eq!(demand.wanted(), None);
        demand.want(Micros(0));
        assert_eq!(demand.wanted(), Some(Micros(0)));
        demand.want(Micros(9));
        demand.want(Micros(7));
        assert_eq!(demand.wanted(), Some(Micros(9)));
    }
}
