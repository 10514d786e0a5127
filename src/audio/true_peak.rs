//! True-peak estimation (ITU-R BS.1770-4, annex 2): the highest value between samples, found by
//! oversampling four times with the filter that stands there.

use crate::media::CHANNELS;

/// Coefficients of the first two phases of the interpolating filter (BS.1770-4, annex 2, table).
/// The other two are these backwards.
const PHASES: [[f32; TAPS]; 2] = [
    [
        0.001_708_984_4,
        0.010_986_328,
        -0.019_653_32,
        0.033_203_125,
        -0.059_448_242,
        0.137_329_1,
        0.972_167_97,
        -0.102_294_92,
        0.047_607_422,
        -0.026_611_328,
        0.014_892_578,
        -0.008_300_781,
    ],
    [
        -0.029_174_805,
        0.029_296_875,
        -0.051_757_812,
        0.089_111_33,
        -0.166_503_9,
        0.465_087_9,
        0.779_785_16,
        -0.200_317_38,
        0.101_562_5,
        -0.058_227_54,
        0.033_081_055,
        -0.018_920_898,
    ],
];

/// Samples that one value between two of them is made of.
const TAPS: usize = 12;

/// Samples that are heard before the one whose surroundings are known.
pub(super) const DELAY: usize = TAPS / 2;

/// Samples per channel worked on at once: what the compiler makes wide instructions of.
pub(super) const BLOCK: usize = 64;

/// Samples per channel whose sums the compiler keeps in registers.
const LANES: usize = 8;

/// The most that a value between samples is above the highest of those that it is made of: the sum
/// of a phase's magnitudes is 2.02.
const RISE_MAX: f32 = 2.05;

/// Half of what the coefficients of a phase and of its mirror image have in common, and half of
/// what they differ by, for a sample and the one as far from the other end. With these the values
/// of both phases are the sum and the difference of the same two numbers, and the higher magnitude
/// of the two is the sum of theirs.
const HALVES: [[[f32; TAPS / 2]; 2]; 2] = [halves(&PHASES[0]), halves(&PHASES[1])];

const fn halves(phase: &[f32; TAPS]) -> [[f32; TAPS / 2]; 2] {
    let mut halves = [[0.0; TAPS / 2]; 2];
    let mut tap = 0;
    while tap < TAPS / 2 {
        halves[0][tap] = (phase[tap] + phase[TAPS - 1 - tap]) * 0.5;
        halves[1][tap] = (phase[tap] - phase[TAPS - 1 - tap]) * 0.5;
        tap += 1;
    }
    halves
}

/// What the filter has heard last of each channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TruePeak {
    before: [[f32; TAPS - 1]; CHANNELS],
}

/// What a block of one channel is made of: the samples before it, and its own.
type Window = [f32; TAPS - 1 + BLOCK];

impl TruePeak {
    /// For at most [`BLOCK`] interleaved pairs: the highest value around the one [`DELAY`] before
    /// each, of both channels, between samples and at them.
    pub(super) fn next(&mut self, samples: &[f32]) -> [f32; BLOCK] {
        let mut peaks = [0.0; BLOCK];
        for window in self.take_in(samples) {
            add(&window, &mut peaks);
        }
        peaks
    }

    /// The highest value of all of these interleaved pairs and between them, as far as it is known,
    /// or `least`, if that is higher.
    pub(super) fn highest(&mut self, samples: &[f32], least: f32) -> f32 {
        samples.chunks(BLOCK * CHANNELS).fold(least, |highest, block| {
            let window = self.take_in(block);
            let most = window.as_flattened().iter().fold(0.0_f32, |most, it| most.max(it.abs()));
            if most * RISE_MAX <= highest {
                return highest;
            }
            let mut peaks = [0.0; BLOCK];
            window.iter().for_each(|window| add(window, &mut peaks));
            let peaks = &peaks[..block.len() / CHANNELS];
            peaks.iter().fold(highest, |highest, peak| highest.max(*peak))
        })
    }

    /// Takes in at most [`BLOCK`] pairs.
    fn take_in(&mut self, samples: &[f32]) -> [Window; CHANNELS] {
        let mut all = [[0.0; TAPS - 1 + BLOCK]; CHANNELS];
        let count = (samples.len() / CHANNELS).min(BLOCK);
        for (channel, (window, before)) in all.iter_mut().zip(&mut self.before).enumerate() {
            window[..TAPS - 1].copy_from_slice(before);
            let pairs = samples.chunks_exact(CHANNELS);
            let own = window[TAPS - 1..].iter_mut().zip(pairs);
            own.for_each(|(into, pair)| *into = pair[channel]);
            before.copy_from_slice(&window[count..][..TAPS - 1]);
        }
        all
    }
}

/// Raises each peak to that of a channel.
fn add(window: &Window, peaks: &mut [f32; BLOCK]) {
    for (at, peaks) in peaks.chunks_exact_mut(LANES).enumerate() {
        let around = &window[at * LANES..][..TAPS - 1 + LANES];
        let mut sums = [[[0.0_f32; LANES]; 2]; 2];
        for tap in 0..TAPS / 2 {
            let (near, far) = (&around[TAPS - 1 - tap..][..LANES], &around[tap..][..LANES]);
            for lane in 0..LANES {
                let (same, other) = (near[lane] + far[lane], near[lane] - far[lane]);
                for (sums, halves) in sums.iter_mut().zip(&HALVES) {
                    sums[0][lane] += halves[0][tap] * same;
                    sums[1][lane] += halves[1][tap] * other;
                }
            }
        }
        let own = &around[TAPS - 1 - DELAY..][..LANES];
        for lane in 0..LANES {
            let of_phases = sums.iter().map(|[same, other]| same[lane].abs() + other[lane].abs());
            peaks[lane] = of_phases.fold(peaks[lane].max(own[lane].abs()), f32::max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Decibels of the true peak of a sine with a fade at both ends, as of a test signal.
    fn true_peak_db(height: f64, period: f64, degrees: f64) -> f32 {
        let samples: Vec<f32> = (0..9_600_u32)
            .flat_map(|n| {
                let fade = f64::from(n.min(9_599 - n)).min(480.0) / 480.0;
                let angle = TAU * (f64::from(n) / period + degrees / 360.0);
                #[expect(clippy::cast_possible_truncation, reason = "samples are of that kind")]
                let value = (angle.sin() * height * fade) as f32;
                [value; 2]
            })
            .collect();
        20.0 * TruePeak::default().highest(&samples, 0.0).log10()
    }

    #[test]
    fn the_true_peaks_of_ebu_tech_3341_cases_15_to_19_are_within_its_tolerances() {
        // EBU Tech 3341 (2016), table 1: -6.0 dBTP +0.2/-0.4 dB, and +3.0 of the last.
        for (height, period, degrees, expected) in [
            (0.5, 4.0, 0.0, -6.0),
            (0.5, 4.0, 45.0, -6.0),
            (0.5, 6.0, 60.0, -6.0),
            (0.5, 8.0, 67.5, -6.0),
            (1.41, 4.0, 45.0, 3.0),
        ] {
            let found = true_peak_db(height, period, degrees);
            let range = expected - 0.4..=expected + 0.2;
            assert!(range.contains(&found), "{height} {period} {degrees}: {found}");
        }
    }

    #[test]
    fn what_is_known_to_be_higher_is_the_highest_and_changes_nothing_later() {
        let loud: Vec<f32> = (0..500_u16).map(|n| (f32::from(n) * 1.7).sin()).collect();
        let (mut one, mut other) = (TruePeak::default(), TruePeak::default());
        assert!((one.highest(&loud, 9.0) - 9.0).abs() < 1e-6);
        other.highest(&loud, 0.0);
        let bits = |peaks: [f32; BLOCK]| peaks.map(f32::to_bits);
        assert_eq!(bits(one.next(&loud[..64])), bits(other.next(&loud[..64])));
    }

    #[test]
    fn odd_pieces_find_the_same() {
        let samples: Vec<f32> = (0..2_000_u16).map(|n| (f32::from(n) * 1.7).sin()).collect();
        let whole = TruePeak::default().highest(&samples, 0.0);
        let mut parts = TruePeak::default();
        let highest = samples.chunks(14).map(|part| parts.highest(part, 0.0)).fold(0.0, f32::max);
        assert!((whole - highest).abs() < 1e-7, "{whole} {highest}");
        assert!(whole > 1.0);
    }
}
