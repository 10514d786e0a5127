//! Loudness meter (ITU-R BS.1770-4, EBU Tech 3341) of stereo at 48 kHz: momentary, short-term and
//! integrated, in memory that does not grow.

use crate::media::{CHANNELS, SAMPLE_RATE};
use crate::stats::SILENCE_DB;

/// Samples per channel from one value to the next: a quarter of a gating block, 100 ms.
const STEP: u32 = SAMPLE_RATE / 10;

/// Steps of a gating block and of momentary loudness: 400 ms.
const MOMENTARY_STEPS: usize = 4;

/// Steps of short-term loudness: 3 s.
const SHORT_TERM_STEPS: usize = 30;

/// Gating blocks that are quieter do not count, LUFS.
const ABSOLUTE_GATE: f64 = -70.0;

/// Those that are so much quieter than the mean of the others do not count either, LU.
const RELATIVE_GATE: f64 = 10.0;

/// Classes of gating blocks, a tenth of an LU each from the absolute gate on. What is louder than
/// +10 LUFS is in the last.
const CLASSES: usize = 800;

/// Loudness of one stereo signal.
#[derive(Debug)]
pub(super) struct Loudness {
    weighting: [Biquad; 2],
    /// Of the step that is not full yet: the sum of its squares, and its samples.
    sum: f64,
    count: u32,
    /// Mean squares of the last steps, both channels added, and the place of the next.
    steps: [f64; SHORT_TERM_STEPS],
    next: usize,
    /// Steps since integration began, as far as that matters.
    integrated_steps: usize,
    gated: Box<[Class; CLASSES]>,
    momentary: f64,
    short_term: f64,
    integrated: f64,
}

/// Gating blocks of about the same loudness.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    blocks: u32,
    /// Of their mean squares.
    sum: f64,
}

impl Loudness {
    pub(super) fn new() -> Self {
        let silence = f64::from(SILENCE_DB);
        Self {
            weighting: [Biquad::new(HEAD), Biquad::new(HIGH_PASS)],
            sum: 0.0,
            count: 0,
            steps: [0.0; SHORT_TERM_STEPS],
            next: 0,
            integrated_steps: 0,
            gated: Box::new([Class::default(); CLASSES]),
            momentary: silence,
            short_term: silence,
            integrated: silence,
        }
    }

    /// Loudness of the last 400 ms, LUFS.
    pub(super) const fn momentary(&self) -> f64 {
        self.momentary
    }

    /// Loudness of the last 3 s, LUFS.
    pub(super) const fn short_term(&self) -> f64 {
        self.short_term
    }

    /// Gated loudness since the last reset, LUFS.
    pub(super) const fn integrated(&self) -> f64 {
        self.integrated
    }

    /// Integrates anew.
    pub(super) fn reset_integrated(&mut self) {
        self.gated.fill(Class::default());
        self.integrated_steps = 0;
        self.integrated = f64::from(SILENCE_DB);
    }

    /// Takes interleaved samples into account; how many steps came to their ends in them.
    pub(super) fn feed(&mut self, samples: &[f32]) -> u32 {
        let mut ended = 0;
        let mut rest = samples;
        while !rest.is_empty() {
            let room = (STEP - self.count) as usize * CHANNELS;
            let (now, later) = rest.split_at(rest.len().min(room));
            self.add(now);
            rest = later;
            if self.count == STEP {
                self.end_step();
                ended += 1;
            }
        }
        self.weighting.iter_mut().for_each(Biquad::settle);
        ended
    }

    fn add(&mut self, samples: &[f32]) {
        let [mut head, mut high_pass] = self.weighting;
        let mut sum = 0.0;
        for pair in samples.chunks_exact(CHANNELS) {
            let [left, right] = high_pass.next(head.next([pair[0].into(), pair[1].into()]));
            sum += left * left + right * right;
        }
        self.weighting = [head, high_pass];
        self.sum += sum;
        #[expect(clippy::cast_possible_truncation, reason = "at most a step")]
        let count = (samples.len() / CHANNELS) as u32;
        self.count += count;
    }

    fn end_step(&mut self) {
        self.steps[self.next] = self.sum / f64::from(STEP);
        self.next = (self.next + 1) % SHORT_TERM_STEPS;
        (self.sum, self.count) = (0.0, 0);
        let block = self.mean(MOMENTARY_STEPS);
        self.momentary = lufs(block);
        self.short_term = lufs(self.mean(SHORT_TERM_STEPS));
        self.integrated_steps = (self.integrated_steps + 1).min(MOMENTARY_STEPS);
        if self.integrated_steps == MOMENTARY_STEPS && self.momentary > ABSOLUTE_GATE {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "above the gate, and it saturates"
            )]
            let place = ((self.momentary - ABSOLUTE_GATE) * 10.0) as usize;
            let class = &mut self.gated[place.min(CLASSES - 1)];
            class.blocks = class.blocks.saturating_add(1);
            class.sum += block;
            self.integrate();
        }
    }

    /// Mean square of the last steps.
    fn mean(&self, steps: usize) -> f64 {
        let before = |n: usize| self.steps[(self.next + SHORT_TERM_STEPS - n) % SHORT_TERM_STEPS];
        #[expect(clippy::cast_precision_loss, reason = "a few steps")]
        let count = steps as f64;
        (1..=steps).map(before).sum::<f64>() / count
    }

    fn integrate(&mut self) {
        let mean = |is_in: &dyn Fn(&Class) -> bool| {
            let used = self.gated.iter().filter(|class| class.blocks > 0 && is_in(class));
            let (blocks, sum) = used.fold((0.0, 0.0), |(blocks, sum), class| {
                (blocks + f64::from(class.blocks), sum + class.sum)
            });
            if blocks > 0.0 { sum / blocks } else { 0.0 }
        };
        let gate = mean(&|_| true) * 10.0_f64.powf(-RELATIVE_GATE / 10.0);
        self.integrated = lufs(mean(&|class| class.sum / f64::from(class.blocks) > gate));
    }
}

/// Loudness of a mean square of both channels (BS.1770-4, equation 2).
fn lufs(mean_square: f64) -> f64 {
    (-0.691 + 10.0 * mean_square.max(1e-30).log10()).max(SILENCE_DB.into())
}

/// `b` and `a` of the first stage, which stands for the head (BS.1770-4, table 1).
const HEAD: [f64; 5] = [
    1.535_124_859_586_97,
    -2.691_696_189_406_38,
    1.198_392_810_852_85,
    -1.690_659_293_182_41,
    0.732_480_774_215_85,
];

/// The same of the second stage, the RLB weighting (table 2).
const HIGH_PASS: [f64; 5] = [1.0, -2.0, 1.0, -1.990_047_454_833_98, 0.990_072_250_366_21];

/// A filter of second order for both channels, in double precision: its poles are close to 1.
#[derive(Clone, Copy, Debug)]
struct Biquad {
    factors: [f64; 5],
    state: [[f64; CHANNELS]; 2],
}

impl Biquad {
    const fn new(factors: [f64; 5]) -> Self {
        Self { factors, state: [[0.0; CHANNELS]; 2] }
    }

    #[inline]
    fn next(&mut self, into: [f64; CHANNELS]) -> [f64; CHANNELS] {
        let ([b0, b1, b2, a1, a2], [first, second]) = (self.factors, self.state);
        let mut out = [0.0; CHANNELS];
        for n in 0..CHANNELS {
            out[n] = b0 * into[n] + first[n];
            // What came out is added last: the next sample waits for it.
            self.state[0][n] = b1 * into[n] + second[n] - a1 * out[n];
            self.state[1][n] = b2 * into[n] - a2 * out[n];
        }
        out
    }

    /// Ends what is too quiet to be measured: it would go on as denormal numbers.
    fn settle(&mut self) {
        let state = self.state.as_flattened_mut().iter_mut();
        state.filter(|value| value.abs() < 1e-30).for_each(|value| *value = 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// A 1 kHz sine on both channels in sections of seconds and decibels below full scale, as the
    /// test signals of EBU Tech 3341 are.
    fn play(loudness: &mut Loudness, sections: &[(f64, f64)], mut each: impl FnMut(&Loudness)) {
        let mut n = 0_u32;
        for (seconds, db) in sections {
            let height = 10.0_f64.powf(db / 20.0);
            let mut left = (seconds * 48_000.0).round();
            while left > 0.0 {
                let count = left.min(480.0);
                left -= count;
                let samples: Vec<f32> = (0..480_u32)
                    .take_while(|n| f64::from(*n) < count)
                    .flat_map(|_| {
                        n += 1;
                        let angle = TAU * 1_000.0 * f64::from(n) / 48_000.0;
                        #[expect(clippy::cast_possible_truncation, reason = "of that kind")]
                        let value = (angle.sin() * height) as f32;
                        [value; 2]
                    })
                    .collect();
                if loudness.feed(&samples) > 0 {
                    each(loudness);
                }
            }
        }
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 0.1
    }

    #[test]
    fn tones_of_ebu_tech_3341_cases_1_and_2_measure_the_same_at_every_time_scale() {
        for db in [-23.0, -33.0] {
            let mut loudness = Loudness::new();
            play(&mut loudness, &[(20.0, db)], |_| {});
            let Loudness { momentary, short_term, integrated, .. } = loudness;
            assert!(near(momentary, db) && near(short_term, db) && near(integrated, db));
        }
    }

    #[test]
    fn programmes_of_ebu_tech_3341_cases_3_to_5_are_gated() {
        let quiet = [(10.0, -36.0), (60.0, -23.0), (10.0, -36.0)];
        let silent = [(10.0, -72.0), quiet[0], quiet[1], quiet[2], (10.0, -72.0)];
        let loud = [(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)];
        for sections in [&quiet[..], &silent, &loud] {
            let mut loudness = Loudness::new();
            play(&mut loudness, sections, |_| {});
            assert!(near(loudness.integrated(), -23.0), "{}", loudness.integrated());
        }
    }

    #[test]
    fn case_9_is_steady_at_short_term_and_case_12_at_momentary_time_scale() {
        let (mut loudness, mut steps) = (Loudness::new(), 0);
        play(&mut loudness, &[(1.34, -20.0), (1.66, -30.0)].repeat(5), |now| {
            steps += 1;
            let found = now.short_term();
            assert!(steps <= 30 || near(found, -23.0), "{steps}: {found}");
        });
        let (mut loudness, mut steps) = (Loudness::new(), 0);
        play(&mut loudness, &[(0.18, -20.0), (0.22, -30.0)].repeat(25), |now| {
            steps += 1;
            assert!(steps <= 10 || near(now.momentary(), -23.0), "{steps}: {}", now.momentary());
        });
    }

    #[test]
    fn integration_begins_anew_when_it_is_reset_and_silence_is_the_floor() {
        let mut loudness = Loudness::new();
        play(&mut loudness, &[(3.0, -10.0)], |_| {});
        loudness.reset_integrated();
        assert!((loudness.integrated() + 120.0).abs() < 1e-6);
        play(&mut loudness, &[(0.4, -80.0), (30.0, -30.0)], |_| {});
        assert!(near(loudness.integrated(), -30.0), "{}", loudness.integrated());
        loudness.feed(&vec![0.0; 48_000 * 2 * 4]);
        assert!((loudness.momentary() + 120.0).abs() < 1e-6, "{}", loudness.momentary());
        assert!((loudness.short_term() + 120.0).abs() < 1e-6, "{}", loudness.short_term());
    }
}
