//! Equalizer of three bands: biquads of the audio EQ cookbook (R. Bristow-Johnson), in the
//! transposed direct form II.

use std::f32::consts::{SQRT_2, TAU};

use super::strip_spec::EqSpec;
use crate::media::{CHANNELS, SAMPLE_RATE};

/// Where the low shelf is half way, hertz.
const LOW_HZ: f32 = 800.0;

/// Middle of the bell: as far from the one shelf as from the other, hertz.
const MID_HZ: f32 = 2_000.0;

/// Where the high shelf is half way, hertz.
const HIGH_HZ: f32 = 5_000.0;

/// Width of the bell: it is half as high, in decibels, near the middles of the shelves.
const MID_Q: f32 = 0.5;

/// What is left of a sound below this is nothing: it would go on as denormal numbers.
const NOTHING: f32 = 1e-20;

/// The bands of one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Equalizer {
    bands: [Biquad; 3],
}

impl Equalizer {
    pub(super) fn new(spec: &EqSpec) -> Self {
        let EqSpec { low_db, mid_db, high_db } = *spec;
        Self {
            bands: [Biquad::low_shelf(low_db), Biquad::bell(mid_db), Biquad::high_shelf(high_db)],
        }
    }

    /// Takes the place of `old`: it rings on as that one would.
    pub(super) fn follow(&mut self, old: &Self) {
        self.bands.iter_mut().zip(&old.bands).for_each(|(new, old)| new.state = old.state);
    }

    /// Filters interleaved stereo samples where they lie, each by all bands at once: a band waits
    /// for its own last sample, and the others work meanwhile.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        let mut bands = self.bands;
        for pair in samples.chunks_exact_mut(CHANNELS) {
            let into = [pair[0], pair[1]];
            let out = bands.iter_mut().fold(into, |values, band| band.next(values));
            pair.copy_from_slice(&out);
        }
        bands.iter_mut().for_each(Biquad::settle);
        self.bands = bands;
    }
}

/// A filter of second order for both channels.
#[derive(Clone, Copy, Debug)]
struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
    /// Two sums, of each channel.
    state: [[f32; CHANNELS]; 2],
}

impl Biquad {
    fn new(b: [f32; 3], a: [f32; 3]) -> Self {
        let (b, a) = (b.map(|value| value / a[0]), [a[1] / a[0], a[2] / a[0]]);
        Self { b, a, state: [[0.0; CHANNELS]; 2] }
    }

    fn bell(db: f32) -> Self {
        let (root, sin, cos) = parts(db, MID_HZ);
        let alpha = sin / (2.0 * MID_Q);
        let b = [1.0 + alpha * root, -2.0 * cos, 1.0 - alpha * root];
        Self::new(b, [1.0 + alpha / root, -2.0 * cos, 1.0 - alpha / root])
    }

    fn low_shelf(db: f32) -> Self {
        let (root, sin, cos) = parts(db, LOW_HZ);
        Self::shelf(root, sin, cos)
    }

    fn high_shelf(db: f32) -> Self {
        let (root, sin, cos) = parts(db, HIGH_HZ);
        // The cookbook's high shelf is its low shelf with the other sign of the cosine, and of
        // the terms of one sample.
        let low = Self::shelf(root, sin, -cos);
        let ([b0, b1, b2], [a1, a2]) = (low.b, low.a);
        Self { b: [b0, -b1, b2], a: [-a1, a2], ..low }
    }

    fn shelf(root: f32, sin: f32, cos: f32) -> Self {
        let slope = root.sqrt() * sin * SQRT_2;
        let (more, less) = (root + 1.0, root - 1.0);
        let b = [
            root * (more - less * cos + slope),
            2.0 * root * (less - more * cos),
            root * (more - less * cos - slope),
        ];
        let a = [more + less * cos + slope, -2.0 * (less + more * cos), more + less * cos - slope];
        Self::new(b, a)
    }

    /// What comes out for the next sample of each channel.
    #[inline]
    fn next(&mut self, into: [f32; CHANNELS]) -> [f32; CHANNELS] {
        let ([b0, b1, b2], [a1, a2], [first, second]) = (self.b, self.a, self.state);
        let mut out = [0.0; CHANNELS];
        for n in 0..CHANNELS {
            out[n] = b0 * into[n] + first[n];
            // What came out is added last: the next sample waits for it.
            self.state[0][n] = b1 * into[n] + second[n] - a1 * out[n];
            self.state[1][n] = b2 * into[n] - a2 * out[n];
        }
        out
    }

    /// Ends what is too quiet to be heard.
    fn settle(&mut self) {
        let state = self.state.as_flattened_mut().iter_mut();
        state.filter(|value| value.abs() < NOTHING).for_each(|value| *value = 0.0);
    }
}

/// The root of the gain, and sine and cosine of the frequency.
fn parts(db: f32, hz: f32) -> (f32, f32, f32) {
    #[expect(clippy::cast_precision_loss, reason = "a rate is exact in a float")]
    let (sin, cos) = (TAU * hz / SAMPLE_RATE as f32).sin_cos();
    (10.0_f32.powf(db / 40.0), sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain at a frequency, decibels, once the filter has settled.
    fn gain_db(spec: &EqSpec, hz: f32) -> f32 {
        let mut samples: Vec<f32> = Vec::new();
        for n in 0..24_000_u16 {
            let value = (TAU * hz * f32::from(n) / 48_000.0).sin() * 0.1;
            samples.extend([value, value]);
        }
        let power = |samples: &[f32]| samples[24_000..].iter().map(|v| v * v).sum::<f32>();
        let before = power(&samples);
        Equalizer::new(spec).apply(&mut samples);
        10.0 * (power(&samples) / before).log10()
    }

    #[test]
    fn each_band_lifts_its_own_tones() {
        let flat = EqSpec::default();
        for (spec, hz) in [
            (EqSpec { low_db: 12.0, ..flat }, 50.0),
            (EqSpec { mid_db: 12.0, ..flat }, 2_000.0),
            (EqSpec { high_db: 12.0, ..flat }, 18_000.0),
        ] {
            assert!((gain_db(&spec, hz) - 12.0).abs() < 0.3, "{spec:?}: {}", gain_db(&spec, hz));
        }
        assert!(gain_db(&EqSpec { low_db: -20.0, ..flat }, 10_000.0).abs() < 0.3);
        assert!(gain_db(&EqSpec { high_db: -20.0, ..flat }, 100.0).abs() < 0.3);
        assert!((gain_db(&EqSpec { low_db: -20.0, ..flat }, 60.0) + 20.0).abs() < 0.5);
        assert!((gain_db(&EqSpec { low_db: 6.0, ..flat }, LOW_HZ) - 3.0).abs() < 0.1);
        assert!((gain_db(&EqSpec { high_db: 6.0, ..flat }, HIGH_HZ) - 3.0).abs() < 0.1);
    }

    #[test]
    fn a_flat_equalizer_changes_no_bit_and_silence_ends_in_zeros() {
        let mut samples = [0.3, -0.7].repeat(500);
        let before = samples.clone();
        Equalizer::new(&EqSpec::default()).apply(&mut samples);
        assert_eq!(samples, before);
        let mut eq = Equalizer::new(&EqSpec { low_db: 9.0, mid_db: -9.0, high_db: 9.0 });
        eq.apply(&mut samples);
        for _ in 0..200 {
            samples.fill(0.0);
            eq.apply(&mut samples);
        }
        assert!(samples.iter().all(|value| value.abs() < f32::MIN_POSITIVE));
    }
}
