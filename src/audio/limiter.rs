//! True-peak limiter at the end of the bus: looks ahead, so that its gain falls before a peak and
//! in no step.

use super::ramp::from_db;
use super::true_peak::{BLOCK, DELAY, TruePeak};
use crate::media::CHANNELS;

/// Samples per channel over which the gain is averaged: how long it takes to fall, 1.3 ms.
const ATTACK: usize = 64;

/// Samples before and after a peak for which the gain that it needs is held as well: the signal
/// between samples is made of several.
const AROUND: usize = 2;

/// Samples for which the lowest gain is held.
const HOLD: usize = ATTACK + 2 * AROUND;

/// Samples per channel by which what comes out is later than what went in: 1.5 ms.
pub(super) const LATENCY: usize = ATTACK + AROUND + DELAY;

/// Share of the way back to unity that the gain makes per sample: 99 % in 100 ms.
const RELEASE: f32 = 0.000_96;

/// Close enough to unity to be unity again.
const RELEASED: f32 = 0.999_9;

/// How much lower than the ceiling peaks are brought: what moves the gain moves them a little.
const MARGIN_DB: f32 = 0.05;

/// A stereo-linked true-peak limiter.
#[derive(Debug)]
pub(super) struct Limiter {
    ceiling: f32,
    between: TruePeak,
    /// The last samples, the oldest at `at`.
    held: [[f32; CHANNELS]; LATENCY],
    at: usize,
    /// Gains that the last samples need, the next place in it, and the lowest of them.
    needed: [f32; HOLD],
    needed_at: usize,
    lowest: f32,
    /// After the release.
    released: f32,
    /// The last of those, the next place in it, and their sum.
    averaged: [f32; ATTACK],
    averaged_at: usize,
    sum: f64,
}

impl Limiter {
    /// One that lets nothing above this many dBTP.
    pub(super) fn new(ceiling_dbtp: f32) -> Self {
        Self {
            ceiling: from_db(ceiling_dbtp),
            between: TruePeak::default(),
            held: [[0.0; CHANNELS]; LATENCY],
            at: 0,
            needed: [1.0; HOLD],
            needed_at: 0,
            lowest: 1.0,
            released: 1.0,
            averaged: [1.0; ATTACK],
            averaged_at: 0,
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            sum: ATTACK as f64,
        }
    }

    /// What no sample is above from now on; the gain goes there in no step.
    pub(super) fn set_ceiling(&mut self, ceiling_dbtp: f32) {
        self.ceiling = from_db(ceiling_dbtp);
    }

    /// Limits interleaved stereo samples where they lie; they come out [`LATENCY`] later.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        let wanted = self.ceiling * from_db(-MARGIN_DB);
        for block in samples.chunks_mut(BLOCK * CHANNELS) {
            let peaks = self.between.next(block);
            for (pair, peak) in block.chunks_exact_mut(CHANNELS).zip(peaks) {
                let gain = self.gain(if peak > wanted { wanted / peak } else { 1.0 });
                let out = std::mem::replace(&mut self.held[self.at], [pair[0], pair[1]]);
                self.at = (self.at + 1) % LATENCY;
                // The ceiling holds for what is not a number of this world as well.
                pair[0] = (out[0] * gain).clamp(-self.ceiling, self.ceiling);
                pair[1] = (out[1] * gain).clamp(-self.ceiling, self.ceiling);
            }
        }
    }

    /// The gain for the sample that comes out, where the one that goes in needs `needed`.
    fn gain(&mut self, needed: f32) -> f32 {
        let gone = std::mem::replace(&mut self.needed[self.needed_at], needed);
        self.needed_at = (self.needed_at + 1) % HOLD;
        if needed <= self.lowest {
            self.lowest = needed;
        } else if gone <= self.lowest {
            self.lowest = self.needed.iter().copied().fold(1.0, f32::min);
        }
        let risen = self.released + (1.0 - self.released) * RELEASE;
        let risen = if risen > RELEASED { 1.0 } else { risen };
        self.released = risen.min(self.lowest);
        let gone = std::mem::replace(&mut self.averaged[self.averaged_at], self.released);
        self.averaged_at = (self.averaged_at + 1) % ATTACK;
        self.sum += f64::from(self.released) - f64::from(gone);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "rounding to single precision is what makes unity exact again"
        )]
        let mean = (self.sum / ATTACK as f64) as f32;
        mean.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::meter::Meter;
    use proptest::prelude::*;

    const CEILING: f32 = 0.891_250_9;

    fn limiter() -> Limiter {
        Limiter::new(-1.0)
    }

    proptest! {
        #[test]
        fn nothing_comes_out_above_the_ceiling(
            samples in proptest::collection::vec(-100.0_f32..100.0, 2..800),
        ) {
            let mut out = samples;
            out.truncate(out.len() / 2 * 2);
            limiter().apply(&mut out);
            prop_assert!(out.iter().all(|value| value.abs() <= CEILING + 1e-6), "{:?}", out);
        }

        #[test]
        fn quiet_audio_passes_bit_for_bit_and_later(
            samples in proptest::collection::vec(-0.3_f32..=0.3, 400..800),
        ) {
            let mut out = samples.clone();
            out.truncate(out.len() / 2 * 2);
            let count = out.len() - LATENCY * 2;
            limiter().apply(&mut out);
            prop_assert_eq!(&out[LATENCY * 2..], &samples[..count]);
        }
    }

    #[test]
    fn even_the_largest_number_is_limited() {
        let mut out = vec![0.0; 1_000];
        out[..4].copy_from_slice(&[f32::MAX, f32::MIN, 1e30, -1.0]);
        limiter().apply(&mut out);
        assert!(out.iter().all(|value| value.abs() <= CEILING + 1e-6), "{out:?}");
    }

    #[test]
    fn true_peaks_stay_below_the_ceiling_where_samples_alone_would_not_tell() {
        // A quarter of the rate at 45 degrees: its peaks are between its samples.
        for ceiling in [-1.0, -6.0] {
            let (mut limiter, mut meter) = (Limiter::new(ceiling), Meter::new());
            for _ in 0..100 {
                let mut samples = [0.9, 0.9, 0.9, 0.9, -0.9, -0.9, -0.9, -0.9].repeat(120);
                limiter.apply(&mut samples);
                meter.feed(&samples);
            }
            let found = meter.levels().true_peak_db;
            assert!(found <= ceiling + 0.05 && found > ceiling - 0.3, "{found}");
        }
    }

    #[test]
    fn the_gain_falls_before_a_peak_and_moves_in_no_step() {
        let mut out = vec![0.25; 9_600];
        out[4_800..4_804].fill(4.0);
        limiter().apply(&mut out);
        let steps = |from: usize, to: usize| {
            let pairs = out[from..to].chunks(2).map(|pair| pair[0]).collect::<Vec<_>>();
            pairs.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max)
        };
        let peak = 4_800 + LATENCY * 2;
        assert!(out[peak - 2] < 0.1, "low already: {}", out[peak - 2]);
        assert!(steps(LATENCY * 2, peak) < 0.25 / 60.0 && steps(peak + 4, 9_600) < 0.25 / 60.0);
        assert!(out[peak].abs() <= CEILING && out[peak] > 0.5);
    }

    #[test]
    fn both_channels_are_turned_down_alike_and_come_back() {
        let mut limiter = limiter();
        let mut loud = [2.0, 0.4].repeat(4_800);
        limiter.apply(&mut loud);
        let [.., left, right] = loud[..] else { panic!("it has samples") };
        assert!((right / left - 0.2).abs() < 1e-6);
        let mut quiet = vec![0.25; 96_000];
        limiter.apply(&mut quiet);
        assert!(quiet[LATENCY * 2 + 200] < 0.2);
        assert!(quiet[10_000] > 0.245, "back within 100 ms: {}", quiet[10_000]);
        assert_eq!(quiet[95_999].to_bits(), 0.25_f32.to_bits());
    }
}
