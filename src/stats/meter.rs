//! Rates: what changed between two readings, over the time between them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::registry::{Registry, Snapshot};
use crate::media::Micros;

/// Readings that a rate spans at most: with one each second, rates are means over five seconds.
const SPAN: usize = 6;

/// Measures frame rates and bitrates, and leaves them in the registry for all who read it.
#[derive(Debug)]
pub struct Meter {
    registry: Arc<Registry>,
    readings: VecDeque<Reading>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Micros,
    bytes_in: u64,
    bytes_out: u64,
    /// Frames and bytes of each channel.
    channels: Vec<(u64, u64)>,
}

impl Meter {
    /// A meter for these figures. There is one per node: it writes the rates.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, readings: VecDeque::with_capacity(SPAN) }
    }

    /// Reads everything at `now`, about once a second, and updates the rates.
    pub fn tick(&mut self, now: Micros) -> Snapshot {
        let newest = self.read(now);
        if self.readings.len() == SPAN {
            self.readings.pop_front();
        }
        let oldest = self.readings.front().unwrap_or(&newest);
        let per_s = |from: u64, to: u64| rate(to.saturating_sub(from), now.since(oldest.at));
        let (bytes_in, bytes_out) = (oldest.bytes_in, oldest.bytes_out);
        self.registry.set_rates(
            now,
            8.0 * per_s(bytes_in, newest.bytes_in),
            8.0 * per_s(bytes_out, newest.bytes_out),
        );
        let spans = oldest.channels.iter().zip(&newest.channels);
        for (entry, (old, new)) in self.registry.channels.iter().zip(spans) {
            entry.stats.set_rates(per_s(old.0, new.0), 8.0 * per_s(old.1, new.1));
        }
        self.readings.push_back(newest);
        self.registry.snapshot()
    }

    fn read(&self, at: Micros) -> Reading {
        let snapshot = self.registry.snapshot();
        let channels = snapshot.channels.iter().map(|channel| {
            let figures = &channel.figures;
            (figures.frames, figures.video_bytes + figures.sound_bytes)
        });
        Reading {
            at,
            bytes_in: snapshot.node.bytes_in,
            bytes_out: snapshot.node.bytes_out,
            channels: channels.collect(),
        }
    }
}

/// `count` per second over `time`; zero over no time at all.
fn rate(count: u64, time: Micros) -> f64 {
    if time == Micros(0) { 0.0 } else { count as f64 / time.secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ChannelEntry, ShardStats};

    fn registry() -> Arc<Registry> {
        let channel =
            ChannelEntry { name: "demo".into(), stream: "live/demo".into(), stats: Arc::default() };
        let shards = vec![Arc::new(ShardStats::default())];
        Arc::new(Registry::new(shards, vec![channel], Vec::new()))
    }

    #[test]
    fn the_first_reading_has_no_rate() {
        let registry = registry();
        registry.channels[0].stats.encoded(10, true);
        let snapshot = Meter::new(registry).tick(Micros::from_secs(3));
        assert!(snapshot.channels[0].figures.fps.abs() < f64::EPSILON);
        assert!((snapshot.uptime_s - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_rate_is_the_mean_of_the_last_readings_and_forgets_older_ones() {
        let registry = registry();
        let mut meter = Meter::new(Arc::clone(&registry));
        let mut fps = Vec::new();
        for second in 0..20_u64 {
            let per_second = if second < 10 { 60 } else { 30 };
            for _ in 0..per_second {
                registry.channels[0].stats.encoded(1_000, false);
            }
            registry.shards[0].bytes_out(500);
            let snapshot = meter.tick(Micros::from_secs(second));
            fps.push(snapshot.channels[0].figures.fps);
        }
        assert!((fps[5] - 60.0).abs() < 1e-9 && (fps[19] - 30.0).abs() < 1e-9, "{fps:?}");
        assert!(fps[12] < 60.0 && fps[12] > 30.0, "{fps:?}");
        let snapshot = registry.snapshot();
        assert!((snapshot.channels[0].figures.bitrate_bps - 240_000.0).abs() < 1e-6);
        assert!((snapshot.out_bps - 4_000.0).abs() < 1e-6);
    }

    #[test]
    fn two_readings_at_the_same_time_give_no_infinite_rate() {
        let registry = registry();
        let mut meter = Meter::new(Arc::clone(&registry));
        meter.tick(Micros(5));
        registry.channels[0].stats.encoded(1, false);
        let snapshot = meter.tick(Micros(5));
        assert!(snapshot.channels[0].figures.fps.is_finite());
    }
}
