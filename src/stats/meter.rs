//! Rates: what changed between two readings, over the time between them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::ChannelStats;
use super::registry::{ChannelEntry, Registry, Snapshot};
use super::transcode::TranscodeEntry;
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
    /// Frames, and bytes of video and of audio, of each encode.
    channels: Vec<(Arc<ChannelStats>, [u64; 3])>,
}

impl Reading {
    fn of(&self, stats: &Arc<ChannelStats>) -> Option<[u64; 3]> {
        let found = self.channels.iter().find(|(other, _)| Arc::ptr_eq(other, stats));
        found.map(|(_, counts)| *counts)
    }
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
        for (stats, new) in &newest.channels {
            // A channel that came later has rates since then.
            let mut readings = self.readings.iter().map(|it| (it.at, it.of(stats)));
            let oldest = readings.find_map(|(at, old)| Some((at, old?)));
            let (at, old) = oldest.unwrap_or((now, *new));
            let per_s = |from: u64, to: u64| rate(to.saturating_sub(from), now.since(at));
            let [frames, video, audio] = [0, 1, 2].map(|at| per_s(old[at], new[at]));
            stats.set_rates(frames, 8.0 * video, 8.0 * audio);
        }
        self.readings.push_back(newest);
        let registry = &self.registry;
        registry.latency_history.note(now, || registry.read_latency(now));
        self.registry.snapshot()
    }

    fn read(&self, at: Micros) -> Reading {
        let snapshot = self.registry.snapshot();
        let channels = self.registry.channels();
        let transcodes = self.registry.transcodes();
        let made = transcodes.iter().flat_map(TranscodeEntry::encodes);
        let channels = channels.iter().flat_map(ChannelEntry::encodes).chain(made).map(|stats| {
            let figures = stats.read();
            let counts = [figures.frames, figures.video_bytes, figures.audio_bytes];
            (Arc::clone(stats), counts)
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
    use crate::stats::ShardStats;

    fn registry() -> Arc<Registry> {
        let shards = vec![Arc::new(ShardStats::default())];
        Arc::new(Registry::new(shards, vec![ChannelEntry::named("demo")], Vec::new()))
    }

    #[test]
    fn the_first_reading_has_no_rate() {
        let registry = registry();
        registry.channels()[0].stats.encoded(10, true);
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
                registry.channels()[0].stats.encoded(1_000, false);
            }
            registry.channels()[0].stats.audio_encoded(125);
            registry.shards[0].bytes_out(500);
            let snapshot = meter.tick(Micros::from_secs(second));
            fps.push(snapshot.channels[0].figures.fps);
        }
        assert!((fps[5] - 60.0).abs() < 1e-9 && (fps[19] - 30.0).abs() < 1e-9, "{fps:?}");
        assert!(fps[12] < 60.0 && fps[12] > 30.0, "{fps:?}");
        let snapshot = registry.snapshot();
        let figures = snapshot.channels[0].figures;
        assert!((figures.bitrate_bps - 241_000.0).abs() < 1e-6);
        assert!((figures.video_bps - 240_000.0).abs() < 1e-6);
        assert!((snapshot.out_bps - 4_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_channel_that_comes_later_has_its_own_rate_whatever_goes_meanwhile() {
        let registry = registry();
        let mut meter = Meter::new(Arc::clone(&registry));
        meter.tick(Micros::from_secs(0));
        registry.remove_channel("demo");
        registry.put_channel(&ChannelEntry::named("later"));
        for second in 1..4 {
            let snapshot = meter.tick(Micros::from_secs(second));
            let fps = snapshot.channels[0].figures.fps;
            let expected = if second == 1 { 0.0 } else { 25.0 };
            assert!((fps - expected).abs() < 1e-9, "{fps} at {second} s");
            (0..25).for_each(|_| registry.channels()[0].stats.encoded(1_000, false));
        }
    }

    #[test]
    fn two_readings_at_the_same_time_give_no_infinite_rate() {
        let registry = registry();
        let mut meter = Meter::new(Arc::clone(&registry));
        meter.tick(Micros(5));
        registry.channels()[0].stats.encoded(1, false);
        let snapshot = meter.tick(Micros(5));
        assert!(snapshot.channels[0].figures.fps.is_finite());
    }
}
