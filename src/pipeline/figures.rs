//! What a shard counts about one of its streams, for whoever asks.

use std::cell::Cell;

use crate::media::Micros;

/// Time over which the rate of a stream is a mean, at least.
const RATE_SPAN: Micros = Micros::from_secs(1);

/// The figures of a stream since its source came.
#[derive(Debug, Default)]
pub(super) struct Figures {
    since: Cell<Micros>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    /// When the rate was measured, and the bytes by then.
    measured: Cell<(Micros, u64)>,
    bitrate_bps: Cell<f64>,
}

impl Figures {
    /// A source has come.
    pub(super) fn begin(&self, now: Micros) {
        self.since.set(now);
        self.bytes_in.set(0);
        self.bytes_out.set(0);
        self.measured.set((now, 0));
        self.bitrate_bps.set(0.0);
    }

    /// A message came.
    pub(super) fn add_in(&self, bytes: usize) {
        self.bytes_in.set(self.bytes_in.get() + bytes as u64);
    }

    /// Bytes went to a reader.
    pub(super) fn add_out(&self, bytes: u64) {
        self.bytes_out.set(self.bytes_out.get() + bytes);
    }

    /// Measures the rate, if it is time. To be called a few times a second.
    pub(super) fn measure(&self, now: Micros) {
        let (then, before) = self.measured.get();
        let passed = now.since(then);
        if passed >= RATE_SPAN {
            let bytes = self.bytes_in.get();
            self.bitrate_bps.set(8.0 * (bytes - before) as f64 / passed.secs_f64());
            self.measured.set((now, bytes));
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second_and_starts_anew_with_a_source() {
        let figures = Figures::default();
        figures.begin(Micros::from_secs(5));
        for (ms, expected) in [(5_500, 0.0), (6_000, 16_000.0), (6_500, 16_000.0)] {
            figures.add_in(1_000);
            figures.measure(Micros::from_millis(ms));
            assert!((figures.bitrate_bps() - expected).abs() < 1e-9, "{ms}");
        }
        figures.begin(Micros::from_secs(9));
        assert_eq!((figures.bytes_in(), figures.since()), (0, Micros::from_secs(9)));
        assert!(figures.bitrate_bps().abs() < 1e-9);
    }
}
