//! Counters of a stream on its shard.

use std::cell::Cell;

use crate::command::TrackPart;
use crate::media::{Kind, Micros};

/// Time over which the rate of a stream is a mean, at least.
const RATE_SPAN: Micros = Micros::from_secs(1);

/// The figures of a stream since its source came.
#[derive(Debug, Default)]
pub(super) struct Figures {
    since: Cell<Micros>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    audio: Track,
    video: Track,
    /// When the rates were measured, and the bytes in and out by then.
    measured: Cell<(Micros, u64, u64)>,
    bitrate_bps: Cell<f64>,
    out_bps: Cell<f64>,
}

/// One kind of a stream's messages.
#[derive(Debug, Default)]
struct Track {
    bytes: Cell<u64>,
    /// The bytes when the rate was measured.
    measured: Cell<u64>,
    bitrate_bps: Cell<f64>,
    /// Timestamp of the newest message, milliseconds modulo 2^32.
    newest_ms: Cell<Option<u32>>,
}

impl Track {
    fn begin(&self) {
        self.bytes.set(0);
        self.measured.set(0);
        self.bitrate_bps.set(0.0);
        self.newest_ms.set(None);
    }

    fn measure(&self, seconds: f64) {
        let bytes = self.bytes.get();
        self.bitrate_bps.set(8.0 * (bytes - self.measured.get()) as f64 / seconds);
        self.measured.set(bytes);
    }

    const fn part(&self) -> TrackPart {
        TrackPart { bitrate_bps: self.bitrate_bps.get(), newest_ms: self.newest_ms.get() }
    }
}

impl Figures {
    /// A source has come.
    pub(super) fn begin(&self, now: Micros) {
        self.since.set(now);
        self.bytes_in.set(0);
        self.bytes_out.set(0);
        self.measured.set((now, 0, 0));
        self.bitrate_bps.set(0.0);
        self.out_bps.set(0.0);
        self.audio.begin();
        self.video.begin();
    }

    /// A message came, with this timestamp in milliseconds modulo 2^32.
    pub(super) fn add_in(&self, kind: Kind, time: u32, bytes: usize) {
        self.bytes_in.set(self.bytes_in.get() + bytes as u64);
        let track = match kind {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
            Kind::Data => return,
        };
        track.bytes.set(track.bytes.get() + bytes as u64);
        track.newest_ms.set(Some(time));
    }

    /// Bytes went to a reader.
    pub(super) fn add_out(&self, bytes: u64) {
        self.bytes_out.set(self.bytes_out.get() + bytes);
    }

    /// Measures the rates, if it is time. To be called a few times a second.
    pub(super) fn measure(&self, now: Micros) {
        let (then, bytes_in, bytes_out) = self.measured.get();
        let passed = now.since(then);
        if passed >= RATE_SPAN {
            let seconds = passed.secs_f64();
            let rate = |bytes: u64, before: u64| 8.0 * (bytes - before) as f64 / seconds;
            self.bitrate_bps.set(rate(self.bytes_in.get(), bytes_in));
            self.out_bps.set(rate(self.bytes_out.get(), bytes_out));
            self.audio.measure(seconds);
            self.video.measure(seconds);
            self.measured.set((now, self.bytes_in.get(), self.bytes_out.get()));
        }
    }

    pub(super) const fn since(&self) -> Micros {
        self.since.get()
    }

    pub(super) const fn bytes_in(&self) -> u64 {
        self.bytes_in.get()
    }

    pub(super) const fn bytes_out(&self) -> u64 {
        self.bytes_out.get()
    }

    pub(super) const fn bitrate_bps(&self) -> f64 {
        self.bitrate_bps.get()
    }

    /// Bits per second to readers.
    pub(super) const fn out_bps(&self) -> f64 {
        self.out_bps.get()
    }

    pub(super) const fn audio(&self) -> TrackPart {
        self.audio.part()
    }

    pub(super) const fn video(&self) -> TrackPart {
        self.video.part()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second_and_starts_anew_with_a_source() {
        let figures = Figures::default();
        figures.begin(Micros::from_secs(5));
        for (ms, expected) in [(5_500, 0.0), (6_000, 16_000.0), (6_500, 16_000.0)] {
            figures.add_in(Kind::Video, ms, 1_000);
            figures.measure(Micros::from_millis(u64::from(ms)));
            assert!((figures.bitrate_bps() - expected).abs() < 1e-9, "{ms}");
        }
        figures.begin(Micros::from_secs(9));
        assert_eq!((figures.bytes_in(), figures.since()), (0, Micros::from_secs(9)));
        assert!(figures.bitrate_bps().abs() < 1e-9);
        assert_eq!(figures.video(), TrackPart::default());
    }

    #[test]
    fn each_track_has_a_rate_and_a_time_of_its_own() {
        let figures = Figures::default();
        figures.begin(Micros(0));
        figures.add_in(Kind::Video, 40, 3_000);
        figures.add_in(Kind::Audio, 60, 500);
        figures.add_in(Kind::Data, 99, 100);
        figures.add_out(2_000);
        figures.measure(RATE_SPAN);
        let track = |bitrate_bps, ms| TrackPart { bitrate_bps, newest_ms: Some(ms) };
        assert_eq!(figures.video(), track(24_000.0, 40));
        assert_eq!(figures.audio(), track(4_000.0, 60));
        assert!((figures.out_bps() - 16_000.0).abs() < 1e-9);
    }
}
