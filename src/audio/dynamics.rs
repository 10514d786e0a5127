//! Dynamics: noise gate and compressor of one source, both channels alike.

use super::ramp::from_db;
use super::strip_spec::{CompressorSpec, GateSpec};
use crate::media::{CHANNELS, SAMPLE_RATE};

/// Samples per channel for which a compressor's gain is computed once, and reached in a straight
/// line, and a gate is known to be open: a third of a millisecond.
const STEP: usize = 16;

/// A noise gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    open: f32,
    close: f32,
    /// What the gain rises by per sample.
    rise: f32,
    /// What it falls by.
    fall: f32,
    hold: u32,
    /// Samples that it stays open.
    held: u32,
    is_open: bool,
    gain: f32,
}

impl Gate {
    pub(super) fn new(spec: &GateSpec) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times have a range"
        )]
        let hold = samples(spec.hold_ms) as u32;
        Self {
            open: from_db(spec.open_db),
            close: from_db(spec.close_db.min(spec.open_db)),
            rise: 1.0 / samples(spec.attack_ms),
            fall: 1.0 / samples(spec.release_ms),
            hold,
            held: 0,
            is_open: false,
            gain: 0.0,
        }
    }

    /// Takes the place of `old`; of none, it begins open: what is heard goes on.
    pub(super) fn follow(&mut self, old: Option<&Self>) {
        (self.is_open, self.gain) = old.map_or((true, 1.0), |old| (old.is_open, old.gain));
        self.held = self.hold;
    }

    /// Lets interleaved stereo samples through, or not, where they lie.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        for step in samples.chunks_mut(STEP * CHANNELS) {
            let is_held = self.held as usize >= STEP;
            match self.is_open && self.gain >= 1.0 && is_held {
                true => self.listen(step),
                false => self.shape(step),
            }
        }
    }

    /// Of samples that all go through as they are: it cannot close before their end.
    fn listen(&mut self, samples: &[f32]) {
        for pair in samples.chunks_exact(CHANNELS) {
            let is_heard = pair[0].abs().max(pair[1].abs()) >= self.close;
            self.held = if is_heard { self.hold } else { self.held.saturating_sub(1) };
        }
    }

    fn shape(&mut self, samples: &mut [f32]) {
        for pair in samples.chunks_exact_mut(CHANNELS) {
            let peak = pair[0].abs().max(pair[1].abs());
            if peak > self.open {
                self.is_open = true;
            }
            if peak >= self.close {
                self.held = self.hold;
            } else if self.held > 0 {
                self.held -= 1;
            } else {
                self.is_open = false;
            }
            self.gain = match self.is_open {
                true => (self.gain + self.rise).min(1.0),
                false => (self.gain - self.fall).max(0.0),
            };
            pair[0] *= self.gain;
            pair[1] *= self.gain;
        }
    }
}

/// A compressor: a peak detector with times of attack and release, a hard knee.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compressor {
    threshold: f32,
    /// What the gain is of the excess: its power.
    power: f32,
    attack: f32,
    release: f32,
    output: f32,
    envelope: f32,
    gain: f32,
}

impl Compressor {
    pub(super) fn new(spec: &CompressorSpec) -> Self {
        let output = from_db(spec.output_gain_db);
        Self {
            threshold: from_db(spec.threshold_db),
            power: 1.0 / spec.ratio.max(1.0) - 1.0,
            attack: share(spec.attack_ms),
            release: share(spec.release_ms),
            output,
            envelope: 0.0,
            gain: output,
        }
    }

    /// Takes the place of `old`: it has heard what that one has.
    pub(super) fn follow(&mut self, old: &Self) {
        self.envelope = old.envelope;
        self.gain = self.target();
    }

    /// Compresses interleaved stereo samples where they lie.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        for step in samples.chunks_mut(STEP * CHANNELS) {
            for pair in step.chunks_exact(CHANNELS) {
                let peak = pair[0].abs().max(pair[1].abs());
                // The one that is meant, without a branch that nobody could predict: the shorter of
                // the two times goes further, up or down.
                let rises = self.envelope * (1.0 - self.attack) + peak * self.attack;
                let falls = self.envelope * (1.0 - self.release) + peak * self.release;
                self.envelope = match self.attack >= self.release {
                    true => rises.max(falls),
                    false => rises.min(falls),
                };
            }
            let target = self.target();
            #[expect(clippy::cast_precision_loss, reason = "a step is a few samples")]
            let change = (target - self.gain) / (step.len() / CHANNELS).max(1) as f32;
            for pair in step.chunks_exact_mut(CHANNELS) {
                self.gain += change;
                pair[0] *= self.gain;
                pair[1] *= self.gain;
            }
            self.gain = target;
        }
        if self.envelope < 1e-20 {
            self.envelope = 0.0; // no denormal numbers
        }
    }

    fn target(&self) -> f32 {
        if self.envelope <= self.threshold {
            return self.output;
        }
        (self.envelope / self.threshold).powf(self.power) * self.output
    }
}

/// Samples in so many milliseconds, one at least.
fn samples(ms: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is exact in a float")]
    let rate = SAMPLE_RATE as f32;
    (ms / 1_000.0 * rate).max(1.0)
}

/// Share of the way to its goal that a value with this time constant makes per sample.
fn share(ms: f32) -> f32 {
    1.0 - (-1.0 / samples(ms)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A steady square wave of a height in decibels below full scale.
    fn wave(db: f32, samples: usize) -> Vec<f32> {
        let height = from_db(db);
        [height, -height, -height, height].repeat(samples / 2)
    }

    fn db(value: f32) -> f32 {
        20.0 * value.abs().log10()
    }

    fn gate() -> Gate {
        Gate::new(&GateSpec::default())
    }

    #[test]
    fn a_gate_does_the_same_however_its_samples_are_cut() {
        let mut samples = Vec::new();
        for (height, count) in [(0.5, 3_000), (0.001, 20_000), (0.02, 500), (0.5, 7), (0.0, 30_000)]
        {
            samples.extend([height, -height].repeat(count));
        }
        let mut whole = samples.clone();
        gate().apply(&mut whole);
        let (mut gate, mut parts) = (gate(), samples);
        parts.chunks_mut(6).for_each(|part| gate.apply(part));
        let bits = |samples: &[f32]| samples.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert!(bits(&whole) == bits(&parts));
        assert!(whole.contains(&0.5) && whole.ends_with(&[0.0, 0.0]));
    }

    #[test]
    fn a_gate_opens_above_its_upper_threshold_and_closes_after_its_hold() {
        let mut gate = gate();
        let mut quiet = wave(-30.0, 4_800);
        gate.apply(&mut quiet);
        assert!(quiet.iter().all(|value| value.abs() < 1e-9), "closed: never above -26 dB");
        let mut loud = wave(-20.0, 4_800);
        gate.apply(&mut loud);
        assert!(loud[1_199 * 2].abs() < from_db(-20.0), "25 ms of attack");
        assert!((db(loud[1_201 * 2]) + 20.0).abs() < 0.01);
        let mut between = wave(-30.0, 48_000);
        gate.apply(&mut between);
        assert!((db(between[95_999]) + 30.0).abs() < 0.01, "open: never below -32 dB");
        let mut low = wave(-40.0, 48_000);
        gate.apply(&mut low);
        assert!((db(low[9_599 * 2]) + 40.0).abs() < 0.01, "200 ms of hold");
        assert!(db(low[(9_600 + 3_600) * 2]) < -45.0, "half of the release has gone");
        assert!(low[(9_600 + 7_205) * 2..].iter().all(|value| value.abs() < 1e-9));
    }

    #[test]
    fn a_gate_never_jumps() {
        let (mut gate, mut all) = (gate(), vec![0.5; 9_600]);
        gate.apply(&mut all);
        assert!(all[0] < 0.001, "it begins closed: {}", all[0]);
        assert!(all.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.001));
    }

    #[test]
    fn a_compressor_keeps_its_ratio_above_the_threshold_and_nothing_changes_below() {
        let spec = CompressorSpec { ratio: 4.0, ..CompressorSpec::default() };
        for (into, out) in [(-30.0, -30.0), (-18.0, -18.0), (-6.0, -15.0), (0.0, -13.5)] {
            let mut samples = wave(into, 48_000);
            Compressor::new(&spec).apply(&mut samples);
            let last = db(samples[95_999]);
            assert!((last - out).abs() < 0.05, "{into}: {last}");
        }
        let spec = CompressorSpec { output_gain_db: 6.0, ..spec };
        let mut samples = wave(-6.0, 48_000);
        Compressor::new(&spec).apply(&mut samples);
        assert!((db(samples[95_999]) + 9.0).abs() < 0.05);
    }

    #[test]
    fn a_compressor_takes_its_times() {
        let spec = CompressorSpec { ratio: 32.0, attack_ms: 10.0, ..CompressorSpec::default() };
        let mut compressor = Compressor::new(&spec);
        let mut samples = wave(0.0, 4_800);
        compressor.apply(&mut samples);
        assert!(db(samples[10]) > -0.5 && db(samples[9_599]) < -17.0);
        let first = samples.iter().position(|value| db(*value) < -12.0).unwrap_or(0) / 2;
        assert!((300..800).contains(&first), "63 % of the level after 480 samples: {first}");
        let mut samples = wave(-20.0, 48_000);
        compressor.apply(&mut samples);
        assert!(db(samples[0]) < -35.0 && (db(samples[95_999]) + 20.0).abs() < 0.05);
    }
}
