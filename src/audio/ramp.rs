//! Ramp: a value that moves to its target in a straight line, so that no change is a click.

/// A gain on its way to a target, one step per sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    now: f32,
    target: f32,
    step: f32,
    left: u32,
}

impl Ramp {
    /// At rest at `value`.
    pub(super) const fn at(value: f32) -> Self {
        Self { now: value, target: value, step: 0.0, left: 0 }
    }

    /// Starts to move to `target`, which it reaches in `samples`; nothing if it goes there already.
    #[expect(clippy::float_cmp, reason = "targets are set, never computed from each other")]
    pub(super) fn go(&mut self, target: f32, samples: u32) {
        if self.target == target {
            return;
        }
        let samples = samples.max(1);
        self.target = target;
        #[expect(clippy::cast_precision_loss, reason = "a ramp is a minute at most")]
        let steps = samples as f32;
        self.step = (target - self.now) / steps;
        self.left = samples;
    }

    /// Where it is going.
    pub(super) const fn target(&self) -> f32 {
        self.target
    }

    /// Whether it has arrived.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.left == 0
    }

    /// The value for the next sample.
    pub(super) fn next(&mut self) -> f32 {
        if self.left > 0 {
            self.left -= 1;
            // From its end, so that nothing adds up on a long way.
            #[expect(clippy::cast_precision_loss, reason = "a ramp is a minute at most")]
            let left = self.left as f32;
            self.now = self.target - self.step * left;
        }
        self.now
    }

    /// Multiplies interleaved stereo samples by the values of their times.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        let moving = usize::try_from(self.left).unwrap_or(usize::MAX).min(samples.len() / 2);
        let (moving, steady) = samples.split_at_mut(moving * 2);
        for pair in moving.chunks_exact_mut(2) {
            let gain = self.next();
            pair[0] *= gain;
            pair[1] *= gain;
        }
        let gain = self.now;
        if gain.to_bits() != 1.0_f32.to_bits() {
            steady.iter_mut().for_each(|value| *value *= gain);
        }
    }
}

/// The factor of a gain in decibels.
pub(super) fn from_db(db: f32) -> f32 {
    10.0_f32.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_arrives_exactly_and_takes_its_time() {
        let mut ramp = Ramp::at(1.0);
        ramp.go(0.0, 4);
        let values: Vec<f32> = (0..6).map(|_| ramp.next()).collect();
        assert_eq!(values, [0.75, 0.5, 0.25, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_change_of_mind_starts_where_the_ramp_is() {
        let mut ramp = Ramp::at(0.0);
        ramp.go(1.0, 4);
        let mut samples = [1.0; 4];
        ramp.apply(&mut samples);
        assert_eq!(samples.to_vec(), [0.25, 0.25, 0.5, 0.5]);
        ramp.go(0.0, 2);
        let mut samples = [1.0; 6];
        ramp.apply(&mut samples);
        assert_eq!(samples.to_vec(), [0.25, 0.25, 0.0, 0.0, 0.0, 0.0]);
    }
}
