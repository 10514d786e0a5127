//! Delay line: holds interleaved stereo samples back by a fixed time.

use crate::media::{CHANNELS, SAMPLE_RATE};

/// A ring of samples; all of its memory is taken when it is made.
#[derive(Debug)]
pub(super) struct DelayLine {
    held: Box<[f32]>,
    next: usize,
}

impl DelayLine {
    /// One of so many milliseconds; none for 0.
    pub(super) fn new(ms: u32) -> Option<Self> {
        let samples = usize::try_from(u64::from(ms) * u64::from(SAMPLE_RATE) / 1_000).ok()?;
        let held = vec![0.0; samples * CHANNELS].into_boxed_slice();
        (samples > 0).then_some(Self { held, next: 0 })
    }

    /// Puts samples in and takes as many of those out that have been held long enough.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let count = rest.len().min(self.held.len() - self.next);
            let (now, later) = rest.split_at_mut(count);
            now.swap_with_slice(&mut self.held[self.next..][..count]);
            self.next = (self.next + count) % self.held.len();
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_comes_out_after_the_exact_time_in_whatever_pieces() {
        assert!(DelayLine::new(0).is_none());
        let mut line = DelayLine::new(1).unwrap();
        let mut all: Vec<f32> = (1..=1_000_u16).map(f32::from).collect();
        let expected: Vec<f32> = [0.0].repeat(96).into_iter().chain(all.clone()).collect();
        let mut rest = &mut all[..];
        for count in [2, 100, 300, 98, 500] {
            let (now, later) = rest.split_at_mut(count);
            line.apply(now);
            rest = later;
        }
        assert_eq!(all, expected[..1_000]);
    }
}
