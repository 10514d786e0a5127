//! True-peak estimation (ITU-R BS.1770-4, annex 2): the highest value between samples, found by
//! oversampling four times with the filter that stands there.

use crate::media::CHANNELS;

/// Coefficients of each phase of the interpolating filter (BS.1770-4, annex 2, table).
const PHASES: [[f32; TAPS]; 4] = [
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
    [
        -0.018_920_898,
        0.033_081_055,
        -0.058_227_54,
        0.101_562_5,
        -0.200_317_38,
        0.779_785_16,
        0.465_087_9,
        -0.166_503_9,
        0.089_111_33,
        -0.051_757_812,
        0.029_296_875,
        -0.029_174_805,
    ],
    [
        -0.008_300_781,
        0.014_892_578,
        -0.026_611_328,
        0.047_607_422,
        -0.102_294_92,
        0.972_167_97,
        0.137_329_1,
        -0.059_448_242,
        0.033_203_125,
        -0.019_653_32,
        0.010_986_328,
        0.001_708_984_4,
    ],
];

/// Samples that one value between two of them is made of.
const TAPS: usize = 12;

/// Samples that are heard before the one whose surroundings are known.
pub(super) const DELAY: usize = TAPS / 2;

/// Samples per channel worked on at once: what the compiler makes wide instructions of.
pub(super) const BLOCK: usize = 64;

/// What the filter has heard last of each channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TruePeak {
    before: [[f32; TAPS - 1]; CHANNELS],
}

impl TruePeak {
    /// For at most [`BLOCK`] interleaved pairs: the highest value around the one [`DELAY`] before
    /// each, of both channels, between samples and at them.
    pub(super) fn next(&mut self, samples: &[f32]) -> [f32; BLOCK] {
        let mut peaks = [0.0_f32; BLOCK];
        let count = (samples.len() / CHANNELS).min(BLOCK);
        for (channel, before) in self.before.iter_mut().enumerate() {
            let mut heard = [0.0; TAPS - 1 + BLOCK];
            heard[..TAPS - 1].copy_from_slice(before);
            let own = samples.iter().skip(channel).step_by(CHANNELS);
            heard[TAPS - 1..].iter_mut().zip(own).for_each(|(into, value)| *into = *value);
            before.copy_from_slice(&heard[count..][..TAPS - 1]);
            for phase in &PHASES {
                let mut sums = [0.0_f32; BLOCK];
                for (tap, factor) in phase.iter().enumerate() {
                    let at = &heard[TAPS - 1 - tap..][..BLOCK];
                    sums.iter_mut().zip(at).for_each(|(sum, value)| *sum += factor * value);
                }
                peaks.iter_mut().zip(sums).for_each(|(peak, sum)| *peak = peak.max(sum.abs()));
            }
            let at = &heard[TAPS - 1 - DELAY..][..BLOCK];
            peaks.iter_mut().zip(at).for_each(|(peak, value)| *peak = peak.max(value.abs()));
        }
        peaks
    }

    /// The highest value of all of these interleaved pairs and between them, as far as it is known.
    pub(super) fn highest(&mut self, samples: &[f32]) -> f32 {
        samples.chunks(BLOCK * CHANNELS).fold(0.0, |highest, block| {
            let peaks = self.next(block);
            let peaks = &peaks[..block.len() / CHANNELS];
            peaks.iter().fold(highest, |highest, peak| highest.max(*peak))
        })
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
        20.0 * TruePeak::default().highest(&samples).log10()
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
    fn odd_pieces_find_the_same() {
        let samples: Vec<f32> = (0..2_000_u16).map(|n| (f32::from(n) * 1.7).sin()).collect();
        let whole = TruePeak::default().highest(&samples);
        let mut parts = TruePeak::default();
        let highest = samples.chunks(14).map(|part| parts.highest(part)).fold(0.0, f32::max);
        assert!((whole - highest).abs() < 1e-7, "{whole} {highest}");
        assert!(whole > 1.0);
    }
}
