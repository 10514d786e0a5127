//! Audio framer: cuts a run of mixed samples into frames of the size an AAC encoder takes.

use crate::frame::BLOCK_SAMPLES;
use crate::media::CHANNELS;

/// Interleaved values of one full frame.
const FRAME_VALUES: usize = BLOCK_SAMPLES * CHANNELS;

/// Collects interleaved stereo samples and gives them back 1024 per channel at a time, each frame
/// with the number of its first sample.
#[derive(Debug)]
pub struct AudioFramer {
    pending: Box<[f32; FRAME_VALUES]>,
    filled: usize,
    first_sample: u64,
}

impl AudioFramer {
    /// An empty framer whose first sample is number 0.
    #[must_use]
    pub fn new() -> Self {
        Self { pending: Box::new([0.0; FRAME_VALUES]), filled: 0, first_sample: 0 }
    }

    /// Appends interleaved samples and calls `frame` with every frame that is now full: the number
    /// of its first sample since the start, and its 1024 x 2 values.
    pub fn push(&mut self, mut samples: &[f32], mut frame: impl FnMut(u64, &[f32])) {
        while !samples.is_empty() {
            let take = samples.len().min(FRAME_VALUES - self.filled);
            let (now, later) = samples.split_at(take);
            self.pending[self.filled..self.filled + take].copy_from_slice(now);
            self.filled += take;
            samples = later;
            if self.filled == FRAME_VALUES {
                frame(self.first_sample, &self.pending[..]);
                self.first_sample += BLOCK_SAMPLES as u64;
                self.filled = 0;
            }
        }
    }

    /// Goes on with the sample of this number; what waits for its frame to become full is left out.
    pub const fn restart_at(&mut self, sample: u64) {
        self.first_sample = sample;
        self.filled = 0;
    }

    /// Samples per channel that wait for their frame to become full.
    #[cfg(test)]
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.filled / CHANNELS
    }
}

impl Default for AudioFramer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn frames_hold_every_sample_once_whatever_the_pieces() {
        let all: Vec<f32> = (0..20_000).map(|n| n as f32).collect();
        for piece in [2, 66, 1_600, 2_048, 2_050, 9_000] {
            let mut framer = AudioFramer::new();
            let (mut firsts, mut values) = (Vec::new(), Vec::new());
            for part in all.chunks(piece) {
                framer.push(part, |first, data| {
                    firsts.push(first);
                    values.extend_from_slice(data);
                });
            }
            assert_eq!(firsts, [0, 1_024, 2_048, 3_072, 4_096, 5_120, 6_144, 7_168, 8_192]);
            assert_eq!(values, all[..9 * 2_048]);
            assert_eq!(framer.pending(), 10_000 - 9 * 1_024);
        }
    }
}
