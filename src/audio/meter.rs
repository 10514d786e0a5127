//! Level meter of a stereo signal: peaks, RMS, true peak and loudness.

use super::loudness::Loudness;
use super::true_peak::TruePeak;
use crate::media::{CHANNELS, SAMPLE_RATE};
use crate::stats::{AudioLevels, SILENCE_DB};

/// How fast a peak falls, decibels per second.
const FALL_DB_PER_SECOND: f32 = 20.0;

/// Time constant of the RMS level, seconds.
const RMS_SECONDS: f32 = 0.3;

/// What is lower is silence: far below the last bit of any encoder.
const FLOOR: f32 = 1e-6;

/// Values that are worked on at once: four pairs.
const LANES: usize = 4 * CHANNELS;

/// What one meter remembers.
#[derive(Debug)]
pub(super) struct Meter {
    peak: [f32; CHANNELS],
    mean_square: [f32; CHANNELS],
    true_peak: f32,
    between: TruePeak,
    loudness: Loudness,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            peak: [0.0; CHANNELS],
            mean_square: [0.0; CHANNELS],
            true_peak: 0.0,
            between: TruePeak::default(),
            loudness: Loudness::new(),
        }
    }

    /// Takes interleaved samples into account.
    pub(super) fn feed(&mut self, samples: &[f32]) {
        if samples.is_empty() {
            return;
        }
        let (peak, sum) = peaks_and_squares(samples);
        #[expect(clippy::cast_precision_loss, reason = "chunks are short")]
        let (values, rate) = ((samples.len() / CHANNELS) as f32, SAMPLE_RATE as f32);
        let seconds = values / rate;
        let fall = 10.0_f32.powf(-FALL_DB_PER_SECOND / 20.0 * seconds);
        let keep = (-seconds / RMS_SECONDS).exp();
        for n in 0..CHANNELS {
            self.peak[n] = peak[n].max(above_floor(self.peak[n] * fall));
            let mean = self.mean_square[n] * keep + sum[n] / values * (1.0 - keep);
            self.mean_square[n] = if mean < FLOOR * FLOOR { 0.0 } else { mean };
        }
        self.true_peak = self.between.highest(samples, above_floor(self.true_peak * fall));
        self.loudness.feed(samples);
    }

    /// Measures integrated loudness anew.
    pub(super) fn reset_integrated(&mut self) {
        self.loudness.reset_integrated();
    }

    #[expect(clippy::cast_possible_truncation, reason = "a few digits are told")]
    pub(super) fn levels(&self) -> AudioLevels {
        AudioLevels {
            peak_db: self.peak.map(to_db),
            rms_db: self.mean_square.map(|square| to_db(square.sqrt())),
            true_peak_db: to_db(self.true_peak),
            momentary_lufs: self.loudness.momentary() as f32,
            short_term_lufs: self.loudness.short_term() as f32,
            integrated_lufs: self.loudness.integrated() as f32,
        }
    }
}

/// The highest magnitude of each channel, and the sum of its squares. Several pairs are worked on
/// at once, or each sum would wait for the one before it.
fn peaks_and_squares(samples: &[f32]) -> ([f32; CHANNELS], [f32; CHANNELS]) {
    let (mut peaks, mut sums) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (whole, rest) = samples.as_chunks::<LANES>();
    let mut add = |lane: usize, value: f32| {
        peaks[lane] = peaks[lane].max(value.abs());
        sums[lane] += value * value;
    };
    for values in whole {
        values.iter().enumerate().for_each(|(lane, value)| add(lane, *value));
    }
    rest.iter().enumerate().for_each(|(lane, value)| add(lane, *value));
    let (mut peak, mut sum) = ([0.0_f32; CHANNELS], [0.0_f32; CHANNELS]);
    for lane in 0..LANES {
        peak[lane % CHANNELS] = peak[lane % CHANNELS].max(peaks[lane]);
        sum[lane % CHANNELS] += sums[lane];
    }
    (peak, sum)
}

/// The value, or nothing if it is silence: no denormal numbers.
fn above_floor(value: f32) -> f32 {
    if value < FLOOR { 0.0 } else { value }
}

fn to_db(factor: f32) -> f32 {
    (20.0 * factor.max(FLOOR).log10()).max(SILENCE_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_square_wave_reads_its_height_on_its_own_side() {
        let mut meter = Meter::new();
        for _ in 0..300 {
            meter.feed(&[0.5, 0.0, -0.5, 0.0].repeat(240));
        }
        let levels = meter.levels();
        assert!((levels.peak_db[0] + 6.02).abs() < 0.01, "{levels:?}");
        assert!((levels.rms_db[0] + 6.02).abs() < 0.05, "{levels:?}");
        assert!((levels.peak_db[1] + 120.0).abs() < 0.01, "{levels:?}");
        assert!(levels.true_peak_db >= levels.peak_db[0]);
    }

    #[test]
    fn a_peak_falls_twenty_decibels_in_a_second_and_silence_is_the_floor() {
        let mut meter = Meter::new();
        meter.feed(&[1.0, 0.0]);
        for _ in 0..100 {
            meter.feed(&[0.0; 960]);
        }
        assert!((meter.levels().peak_db[0] + 20.0).abs() < 0.1, "{:?}", meter.levels());
        for _ in 0..1_000 {
            meter.feed(&[0.0; 960]);
        }
        let integrated_lufs = meter.levels().integrated_lufs;
        assert!(integrated_lufs > -70.0, "what was heard was heard");
        meter.reset_integrated();
        assert_eq!(meter.levels(), AudioLevels::SILENCE);
    }
}
