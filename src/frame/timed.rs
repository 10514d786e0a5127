//! Timed pictures and audio blocks, from decoders to the composer and the mixer.

use super::pool::FrozenFrame;
use crate::media::{CHANNELS, Micros};

/// Samples per channel in a full [`AudioBlock`].
pub const BLOCK_SAMPLES: usize = 1_024;

/// Something a source of pictures says.
#[derive(Debug)]
pub enum PictureEvent {
    /// A picture in canvas format, already at the size it has on the canvas.
    Picture {
        /// The picture.
        frame: FrozenFrame,
        /// When to show it, on the node's clock.
        at: Micros,
    },
    /// The source has ended for now (its publisher left): fade to the slate.
    Ended,
    /// The source cannot be played now: show what stands for it until a picture comes.
    Failed,
}

impl PictureEvent {
    /// The same for one more reader.
    #[must_use]
    pub fn share(&self) -> Self {
        match self {
            Self::Picture { frame, at } => Self::Picture { frame: frame.share(), at: *at },
            Self::Ended => Self::Ended,
            Self::Failed => Self::Failed,
        }
    }
}

/// A block of interleaved stereo samples at 48 kHz, -1.0 to 1.0, by value: no allocation, no pool.
#[derive(Clone, Debug)]
pub struct AudioBlock {
    /// When its first sample is to be heard, on the node's clock.
    pub at: Micros,
    /// Samples per channel that are in use, at most [`BLOCK_SAMPLES`].
    pub samples: usize,
    /// Left, right, left, right...
    pub data: [f32; BLOCK_SAMPLES * CHANNELS],
}
