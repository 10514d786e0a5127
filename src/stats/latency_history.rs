//! History of latency: readings of the last minute, so that it can be said of ten seconds and of a
//! minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::stage::StageFigures;
use crate::media::Micros;

/// Between two readings.
const EVERY: Micros = Micros::from_secs(2);

/// Readings that are kept: of a minute, and the one before it.
const READINGS_MAX: usize = 31;

/// What all threads have counted, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyReading {
    /// When.
    pub at: Micros,
    /// By the public names of streams; under an empty one those that have no figures of their own.
    pub streams: BTreeMap<String, StageFigures>,
    /// By the threads that counted: `compose`, `encode` for all encoders and scalers, and each
    /// shard.
    pub threads: BTreeMap<String, StageFigures>,
}

/// Readings of the last minute, oldest first. Control writes, anybody reads.
#[derive(Debug)]
pub struct LatencyHistory(ArcSwap<Vec<Arc<LatencyReading>>>);

impl Default for LatencyHistory {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Vec::new()))
    }
}

impl LatencyHistory {
    /// Keeps a reading at `now`, if it is time for one.
    pub fn note(&self, now: Micros, read: impl FnOnce() -> LatencyReading) {
        let readings = self.0.load();
        if readings.last().is_some_and(|newest| now.since(newest.at) < EVERY) {
            return;
        }
        let from = (readings.len() + 1).saturating_sub(READINGS_MAX);
        let kept = readings.iter().skip(from).cloned();
        self.0.store(Arc::new(kept.chain([Arc::new(read())]).collect()));
    }

    /// The newest reading that is at least so old at `now`; the oldest that there is, if the node
    /// is younger. `None` before the first.
    #[must_use]
    pub fn before(&self, now: Micros, age: Micros) -> Option<Arc<LatencyReading>> {
        let readings = self.0.load();
        let old = readings.iter().rev().find(|reading| now.since(reading.at) >= age);
        old.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_of_a_minute_are_kept_and_found_by_their_age() {
        let history = LatencyHistory::default();
        let at = Micros::from_secs;
        assert_eq!(history.before(at(5), at(0)), None);
        for second in 1..=200 {
            let reading = LatencyReading { at: at(second), ..LatencyReading::default() };
            history.note(at(second), || reading);
        }
        let old = |age| history.before(at(200), at(age)).map(|reading| reading.at);
        assert_eq!((old(10), old(60), old(62)), (Some(at(189)), Some(at(139)), None));
        assert_eq!(history.0.load().len(), READINGS_MAX);
    }
}
