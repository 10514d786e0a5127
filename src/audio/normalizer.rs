//! Loudness normaliser: moves the bus slowly to a target, by its short-term loudness.

use super::loudness::Loudness;
use super::ramp::{Ramp, from_db};
use crate::media::SAMPLE_RATE;

/// Quieter audio says nothing about a programme's loudness: the gain stays, LUFS.
const QUIET_LUFS: f64 = -50.0;

/// The most that the gain moves in a tenth of a second, decibels: 1 dB per second.
const STEP_DB: f64 = 0.1;

/// The most that is added and taken away, decibels.
const GAIN_DB_MAX: f64 = 20.0;

/// Samples in which a step is carried out: as long as it takes until the next.
const STEP_SAMPLES: u32 = SAMPLE_RATE / 10;

/// The gain that brings a programme to its target.
#[derive(Debug)]
pub(super) struct Normalizer {
    target: Option<f64>,
    loudness: Loudness,
    gain_db: f64,
    gain: Ramp,
}

impl Normalizer {
    /// To so many LUFS; without a target it does nothing.
    pub(super) fn new(target_lufs: Option<i32>) -> Self {
        let (loudness, gain) = (Loudness::new(), Ramp::at(1.0));
        Self { target: target_lufs.map(f64::from), loudness, gain_db: 0.0, gain }
    }

    /// Goes for another target from now on, or back to the audio as it is.
    pub(super) fn set_target(&mut self, target_lufs: Option<i32>) {
        self.target = target_lufs.map(f64::from);
    }

    /// Takes interleaved samples there, where they lie.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        for _ in 0..self.loudness.feed(samples) {
            self.step();
        }
        self.gain.apply(samples);
    }

    fn step(&mut self) {
        let heard = self.loudness.short_term();
        let wanted = match self.target {
            Some(_) if heard.min(self.loudness.momentary()) < QUIET_LUFS => return,
            Some(target) => (target - heard).clamp(-GAIN_DB_MAX, GAIN_DB_MAX),
            None => 0.0,
        };
        self.gain_db += (wanted - self.gain_db).clamp(-STEP_DB, STEP_DB);
        #[expect(clippy::cast_possible_truncation, reason = "a gain is of single precision")]
        let gain = from_db(self.gain_db as f32);
        self.gain.go(gain, STEP_SAMPLES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    /// A second of a 1 kHz sine at so many decibels below full scale.
    fn second(db: f32) -> Vec<f32> {
        let value = |n: u16| (TAU * f32::from(n) / 48.0).sin() * from_db(db);
        (0..48_000).flat_map(|n| [value(n); 2]).collect()
    }

    #[test]
    fn a_programme_comes_to_its_target_at_a_decibel_per_second_and_silence_changes_nothing() {
        for (db, target) in [(-30.0, -23), (-8.0, -16), (-20.0, -14)] {
            let (mut normalizer, mut measured) = (Normalizer::new(Some(target)), Loudness::new());
            for n in 0..16 {
                let mut samples = second(db);
                normalizer.apply(&mut samples);
                measured.feed(&samples);
                if n == 3 {
                    let moved = measured.momentary() - f64::from(db);
                    assert!(moved.abs() > 0.5 && moved.abs() < 4.1, "{moved}");
                }
            }
            let found = measured.short_term();
            assert!((found - f64::from(target)).abs() < 0.2, "{target}: {found}");
            let before = normalizer.gain_db;
            for _ in 0..10 {
                normalizer.apply(&mut vec![0.0; 96_000]);
            }
            assert!((normalizer.gain_db - before).abs() < 0.31, "{before}");
        }
    }

    #[test]
    fn switched_off_the_audio_is_as_it_was_after_a_while() {
        let mut normalizer = Normalizer::new(Some(-16));
        for _ in 0..5 {
            normalizer.apply(&mut second(-30.0));
        }
        normalizer.set_target(None);
        for _ in 0..7 {
            normalizer.apply(&mut second(-30.0));
        }
        let (mut out, samples) = (second(-30.0), second(-30.0));
        normalizer.apply(&mut out);
        assert_eq!(out, samples);
    }
}
