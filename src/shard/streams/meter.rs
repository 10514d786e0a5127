//! Counters of a stream on its shard.

use serde::{Deserialize, Serialize};

use crate::command::TrackPart;
use crate::media::{Kind, Micros};

/// Time over which the rate of a stream is a mean, at least.
const RATE_SPAN: Micros = Micros::from_secs(1);

/// What a stream amounts to since its source came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::shard) struct StreamMeter {
    #[serde(with = "crate::media::instants")]
    since: Micros,
    bytes_in: u64,
    bytes_out: u64,
    audio: Track,
    video: Track,
    /// When the rates were measured, and the bytes in and out by then.
    #[serde(with = "crate::media::instants")]
    measured: (Micros, u64, u64),
    bitrate_bps: f64,
    out_bps: f64,
}

/// One kind of a stream's messages.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Track {
    bytes: u64,
    /// The bytes when the rate was measured.
    measured: u64,
    bitrate_bps: f64,
    /// Timestamp of the newest message, milliseconds modulo 2^32.
    newest_ms: Option<u32>,
}

impl Track {
    fn begin(&mut self) {
        self.bytes = 0;
        self.measured = 0;
        self.bitrate_bps = 0.0;
        self.newest_ms = None;
    }

    fn measure(&mut self, seconds: f64) {
        let bytes = self.bytes;
        self.bitrate_bps = 8.0 * (bytes - self.measured) as f64 / seconds;
        self.measured = bytes;
    }

    const fn part(&self) -> TrackPart {
        TrackPart { bitrate_bps: self.bitrate_bps, newest_ms: self.newest_ms }
    }
}

impl StreamMeter {
    /// A source has come.
    pub(in crate::shard) fn begin(&mut self, now: Micros) {
        self.since = now;
        self.bytes_in = 0;
        self.bytes_out = 0;
        self.measured = (now, 0, 0);
        self.bitrate_bps = 0.0;
        self.out_bps = 0.0;
        self.audio.begin();
        self.video.begin();
    }

    /// A message came, with this timestamp in milliseconds modulo 2^32.
    pub(in crate::shard) fn add_in(&mut self, kind: Kind, time: u32, bytes: usize) {
        self.bytes_in += bytes as u64;
        let track = match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
            Kind::Data => return,
        };
        track.bytes += bytes as u64;
        track.newest_ms = Some(time);
    }

    /// Bytes went to a reader.
    pub(in crate::shard) fn add_out(&mut self, bytes: u64) {
        self.bytes_out += bytes;
    }

    /// Measures the rates, if it is time. To be called a few times a second.
    pub(in crate::shard) fn measure(&mut self, now: Micros) {
        let (then, bytes_in, bytes_out) = self.measured;
        let passed = now.since(then);
        if passed >= RATE_SPAN {
            let seconds = passed.secs_f64();
            let rate = |bytes: u64, before: u64| 8.0 * (bytes - before) as f64 / seconds;
            self.bitrate_bps = rate(self.bytes_in, bytes_in);
            self.out_bps = rate(self.bytes_out, bytes_out);
            self.audio.measure(seconds);
            self.video.measure(seconds);
            self.measured = (now, self.bytes_in, self.bytes_out);
        }
    }

    pub(in crate::shard) const fn since(&self) -> Micros {
        self.since
    }

    pub(in crate::shard) const fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    pub(in crate::shard) const fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    pub(in crate::shard) const fn bitrate_bps(&self) -> f64 {
        self.bitrate_bps
    }

    /// Bits per second to readers.
    pub(in crate::shard) const fn out_bps(&self) -> f64 {
        self.out_bps
    }

    pub(in crate::shard) const fn audio(&self) -> TrackPart {
        self.audio.part()
    }

    pub(in crate::shard) const fn video(&self) -> TrackPart {
        self.video.part()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second_and_starts_anew_with_a_source() {
        let mut meter = StreamMeter::default();
        meter.begin(Micros::from_secs(5));
        for (ms, expected) in [(5_500, 0.0), (6_000, 16_000.0), (6_500, 16_000.0)] {
            meter.add_in(Kind::Video, ms, 1_000);
            meter.measure(Micros::from_millis(u64::from(ms)));
            assert!((meter.bitrate_bps() - expected).abs() < 1e-9, "{ms}");
        }
        meter.begin(Micros::from_secs(9));
        assert_eq!((meter.bytes_in(), meter.since()), (0, Micros::from_secs(9)));
        assert!(meter.bitrate_bps().abs() < 1e-9);
        assert_eq!(meter.video(), TrackPart::default());
    }

    #[test]
    fn each_track_has_a_rate_and_a_time_of_its_own() {
        let mut meter = StreamMeter::default();
        meter.begin(Micros(0));
        meter.add_in(Kind::Video, 40, 3_000);
        meter.add_in(Kind::Audio, 60, 500);
        meter.add_in(Kind::Data, 99, 100);
        meter.add_out(2_000);
        meter.measure(RATE_SPAN);
        let track = |bitrate_bps, ms| TrackPart { bitrate_bps, newest_ms: Some(ms) };
        assert_eq!(meter.video(), track(24_000.0, 40));
        assert_eq!(meter.audio(), track(4_000.0, 60));
        assert!((meter.out_bps() - 16_000.0).abs() < 1e-9);
    }
}
