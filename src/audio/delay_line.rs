//! Delay line: holds interleaved stereo samples back by a fixed time.

use super::ramp::Ramp;
use crate::media::{CHANNELS, SAMPLE_RATE};

/// Samples in which audio rises that begins in its middle: 5 ms.
const RISE_SAMPLES: u32 = SAMPLE_RATE / 200;

/// A ring of samples; all of its memory is taken when it is made.
#[derive(Debug)]
pub(super) struct DelayLine {
    held: Box<[f32]>,
    next: usize,
    /// How much is heard of what goes in: all, but for where it begins in the middle of audio.
    rise: Ramp,
}

impl DelayLine {
    /// One of so many milliseconds; none for 0.
    pub(super) fn new(ms: u32) -> Option<Self> {
        let samples = usize::try_from(u64::from(ms) * u64::from(SAMPLE_RATE) / 1_000).ok()?;
        let held = vec![0.0; samples * CHANNELS].into_boxed_slice();
        (samples > 0).then_some(Self { held, next: 0, rise: Ramp::at(1.0) })
    }

    /// Goes on with the newest of what `old` holds. What it holds longer than that is silent, and
    /// what comes then rises.
    pub(super) fn follow(&mut self, old: Option<&Self>) {
        let (held, next) = old.map_or((&[][..], 0), |old| (&old.held[..], old.next));
        let count = self.held.len().min(held.len());
        let (newer, older) = held.split_at(next);
        let place = self.held.len() - count;
        let mut into = &mut self.held[place..];
        let mut skip = held.len() - count;
        for part in [older, newer] {
            let left_out = skip.min(part.len());
            skip -= left_out;
            let part = &part[left_out..];
            into[..part.len()].copy_from_slice(part);
            into = &mut into[part.len()..];
        }
        self.next = 0;
        if place > 0 {
            self.rise = Ramp::at(0.0);
            self.rise.go(1.0, RISE_SAMPLES);
            self.rise.apply(&mut self.held[place..]);
        }
    }

    /// Puts samples in and takes as many of those out that have been held long enough.
    pub(super) fn apply(&mut self, samples: &mut [f32]) {
        self.rise.apply(samples);
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
    #[test]
    fn one_that_takes_the_place_of_another_goes_on_with_the_newest_that_it_holds() {
        let input = |from: u16| (from..from + 96).map(f32::from).collect::<Vec<_>>();
        for (before, after) in [(2, 1), (1, 2), (3, 3)] {
            let mut old = DelayLine::new(before).unwrap();
            for n in 0..5 {
                old.apply(&mut input(1 + 96 * n)[..]);
            }
            let mut new = DelayLine::new(after).unwrap();
            new.follow(Some(&old));
            let mut out = Vec::new();
            for n in 5..15 {
                let mut part = input(1 + 96 * n);
                new.apply(&mut part);
                out.extend(part);
            }
            let delay = usize::try_from(after).unwrap() * 96;
            let held = usize::try_from(before).unwrap().min(delay / 96) * 96;
            assert!(out[..delay - held].iter().all(|value| value.abs() < 0.5), "nothing older");
            let first = f32::from(481 - u16::try_from(held).unwrap());
            let expected: Vec<f32> = (0..960 - delay + held)
                .map(|n| first + f32::from(u16::try_from(n).unwrap()))
                .collect();
            let rise = if held < delay { 240 * 2 } else { 0 };
            assert_eq!(out[delay - held + rise..], expected[rise..], "{before} {after}");
        }
    }
}
