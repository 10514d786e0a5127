//! Level meters: peak and RMS, written by the mixer and read from anywhere.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::media::{CHANNELS, SAMPLE_RATE};

/// How fast a peak falls, decibels per second.
const FALL_DB_PER_SECOND: f32 = 20.0;

/// Time constant of the RMS level, seconds.
const RMS_SECONDS: f32 = 0.3;

/// Levels of every input and of the bus. Readers see each value whole, though two values may come
/// from neighbouring calls of the mixer.
#[derive(Debug)]
pub struct Meters {
    inputs: Box<[Cell]>,
    bus: Cell,
}

/// How loud something is, both channels together, as a factor: 1.0 is full scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Highest recent sample; falls by 20 dB per second.
    pub peak: f32,
    /// Root of the mean square over about 300 ms.
    pub rms: f32,
}

impl Level {
    /// The peak in decibels below full scale, -120 for silence.
    #[must_use]
    pub fn peak_db(&self) -> f32 {
        to_db(self.peak)
    }

    /// The RMS level in decibels below full scale, -120 for silence.
    #[must_use]
    pub fn rms_db(&self) -> f32 {
        to_db(self.rms)
    }
}

impl Meters {
    pub(super) fn new(inputs: usize) -> Self {
        Self { inputs: (0..inputs).map(|_| Cell::default()).collect(), bus: Cell::default() }
    }

    /// Level of an input after its gain, by its place in the mixer's specs.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<Level> {
        self.inputs.get(index).map(Cell::get)
    }

    /// Level of the mixed audio, after the limiter.
    #[must_use]
    pub fn bus(&self) -> Level {
        self.bus.get()
    }

    pub(super) fn set_input(&self, index: usize, level: Level) {
        if let Some(cell) = self.inputs.get(index) {
            cell.set(level);
        }
    }

    pub(super) fn set_bus(&self, level: Level) {
        self.bus.set(level);
    }
}

#[derive(Debug, Default)]
struct Cell {
    peak: AtomicU32,
    rms: AtomicU32,
}

impl Cell {
    fn get(&self) -> Level {
        let load = |value: &AtomicU32| f32::from_bits(value.load(Ordering::Relaxed));
        Level { peak: load(&self.peak), rms: load(&self.rms) }
    }

    fn set(&self, level: Level) {
        self.peak.store(level.peak.to_bits(), Ordering::Relaxed);
        self.rms.store(level.rms.to_bits(), Ordering::Relaxed);
    }
}

/// What one meter remembers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    peak: f32,
    mean_square: f32,
}

impl Meter {
    /// Takes interleaved samples into account.
    pub(super) fn feed(&mut self, samples: &[f32]) {
        if samples.is_empty() {
            return;
        }
        let (mut peak, mut sum) = (0.0_f32, 0.0_f32);
        for value in samples {
            peak = peak.max(value.abs());
            sum += value * value;
        }
        #[expect(clippy::cast_precision_loss, reason = "chunks are short")]
        let (values, rate) = (samples.len() as f32, (SAMPLE_RATE as usize * CHANNELS) as f32);
        let seconds = values / rate;
        let fallen = self.peak * 10.0_f32.powf(-FALL_DB_PER_SECOND / 20.0 * seconds);
        self.peak = peak.max(fallen);
        let keep = (-seconds / RMS_SECONDS).exp();
        self.mean_square = self.mean_square * keep + sum / values * (1.0 - keep);
        if self.peak < 1e-6 {
            // Far below the last bit of any encoder: no denormal numbers.
            *self = Self::default();
        }
    }

    pub(super) fn level(&self) -> Level {
        Level { peak: self.peak, rms: self.mean_square.sqrt() }
    }
}

fn to_db(factor: f32) -> f32 {
    20.0 * factor.max(1e-6).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_square_wave_reads_its_height() {
        let mut meter = Meter::default();
        for _ in 0..300 {
            meter.feed(&[0.5, -0.5].repeat(480));
        }
        let level = meter.level();
        assert!((level.peak_db() + 6.02).abs() < 0.01, "{level:?}");
        assert!((level.rms_db() + 6.02).abs() < 0.05, "{level:?}");
    }

    #[test]
    fn a_peak_falls_twenty_decibels_in_a_second_and_silence_is_the_floor() {
        let mut meter = Meter::default();
        meter.feed(&[1.0, 0.0]);
        for _ in 0..100 {
            meter.feed(&[0.0; 960]);
        }
        assert!((meter.level().peak_db() + 20.0).abs() < 0.1, "{:?}", meter.level());
        for _ in 0..1_000 {
            meter.feed(&[0.0; 960]);
        }
        assert_eq!(meter.level(), Level::default());
        assert!((meter.level().peak_db() + 120.0).abs() < 0.01);
    }
}
