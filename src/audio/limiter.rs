//! Limiter: keeps the bus under full scale without look-ahead: instant attack, slow release, smooth
//! knee.

/// Below this peak (-6 dBFS) nothing is changed.
const KNEE: f32 = 0.5;

/// What no sample reaches (-1 dBFS).
const CEILING: f32 = 0.891_250_9;

/// Share of the way back to unity that the gain makes per sample: 99 % in 100 ms.
const RELEASE: f32 = 0.000_96;

/// Close enough to unity to be unity again.
const RELEASED: f32 = 0.999_9;

/// A stereo-linked peak limiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter {
    gain: f32,
}

impl Limiter {
    pub(super) const fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Limits interleaved stereo samples where they lie.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        for pair in samples.chunks_exact_mut(2) {
            let peak = pair[0].abs().max(pair[1].abs());
            if self.gain < 1.0 {
                self.gain += (1.0 - self.gain) * RELEASE;
                if self.gain > RELEASED {
                    self.gain = 1.0;
                }
            } else if peak <= KNEE {
                continue;
            }
            if peak > KNEE {
                self.gain = self.gain.min(curve(peak) / peak);
            }
            pair[0] *= self.gain;
            pair[1] *= self.gain;
        }
    }
}

/// The loudest that a peak above the knee may come out: leaves the knee at slope 1 and approaches
/// the ceiling.
fn curve(peak: f32) -> f32 {
    let over = peak - KNEE;
    let room = CEILING - KNEE;
    if over > 1e6 { CEILING } else { KNEE + room * over / (over + room) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_comes_out_above_the_ceiling(
            samples in proptest::collection::vec(-100.0_f32..100.0, 2..400),
        ) {
            let mut out = samples;
            out.truncate(out.len() / 2 * 2);
            Limiter::new().apply(&mut out);
            prop_assert!(out.iter().all(|value| value.abs() <= CEILING + 1e-6), "{:?}", out);
        }

        #[test]
        fn quiet_audio_passes_bit_for_bit(
            samples in proptest::collection::vec(-0.5_f32..=0.5, 2..400),
        ) {
            let mut out = samples.clone();
            Limiter::new().apply(&mut out);
            prop_assert_eq!(out, samples);
        }
    }

    #[test]
    fn even_the_largest_number_is_limited() {
        let mut out = [f32::MAX, f32::MIN, 1e30, -1.0];
        Limiter::new().apply(&mut out);
        assert!(out.iter().all(|value| value.abs() <= CEILING + 1e-6), "{out:?}");
    }

    #[test]
    fn both_channels_are_turned_down_alike_and_come_back() {
        let mut limiter = Limiter::new();
        let mut loud = [2.0, 0.4];
        limiter.apply(&mut loud);
        assert!((loud[1] / loud[0] - 0.2).abs() < 1e-6);
        let mut quiet = vec![0.25; 48_000];
        limiter.apply(&mut quiet);
        assert!(quiet[0] < 0.2);
        assert!(quiet[9_600] > 0.245, "back within 100 ms: {}", quiet[9_600]);
        assert_eq!(quiet[47_999].to_bits(), 0.25_f32.to_bits());
    }

    #[test]
    fn the_louder_input_is_never_the_quieter_output() {
        let steps = (500..40_000_u16).map(|n| curve(f32::from(n) / 1_000.0));
        let values: Vec<f32> = steps.collect();
        assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((values[0] - KNEE).abs() < 1e-6);
    }
}
