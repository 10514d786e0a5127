//! Encoder settings for video and audio.

use crate::media::{AudioCodec, FrameRate, PixelFormat, Size, VideoCodec};

/// A video encoder's task. All fields have been checked by the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoSpec {
    /// Codec.
    pub codec: VideoCodec,
    /// Name of the encoder, one of [`super::encoder_names`]; `None` for the best that works here.
    pub encoder: Option<&'static str>,
    /// The GPU of an encoder that runs on one: the path of its render node, its place on the bus
    /// (`pci-0000:00:02.0`) or a name of its driver; `None` for the first that works.
    pub device: Option<String>,
    /// Size of the pictures.
    pub size: Size,
    /// Pictures per second.
    pub rate: FrameRate,
    /// Format of the pictures it is given.
    pub format: PixelFormat,
    /// Bits per second, constant (VBV of one second, at most of about one megabyte).
    pub bitrate_bps: u32,
    /// Speed preset, by the encoder's own names (`ultrafast` to `veryslow` for x264).
    pub preset: String,
    /// The fastest preset that the encoder may be taken to while it runs; `None` if its speed is
    /// fixed.
    pub fastest_preset: Option<String>,
    /// Tuning, by the encoder's own names (`zerolatency`, `film`...); empty for none.
    pub tune: String,
    /// Profile (`baseline`, `main`, `high`); empty for the encoder's choice.
    pub profile: String,
    /// Pictures from one keyframe to the next.
    pub gop_frames: u32,
    /// Most consecutive B-pictures, 0 to 4.
    pub b_frames: u8,
    /// Encoder threads, at least 1; never "automatic".
    pub threads: u8,
    /// What is kept where even the fastest speed is not enough.
    pub keep: Keep,
}

impl VideoSpec {
    /// Sizes that the pictures may have: the full one, then smaller ones if the frame rate is kept.
    #[must_use]
    pub fn sizes(&self) -> Vec<Size> {
        let smaller = |percent: u32| {
            let side = |side: u32| (side * percent / 200 * 2).max(Size::SIDE_MIN);
            Size::new(side(self.size.width()), side(self.size.height()))
        };
        let smaller = match self.keep {
            Keep::Fps if self.fastest_preset.is_some() => SIDES.map(smaller),
            Keep::Fps | Keep::Resolution => [None; SIDES.len()],
        };
        [self.size].into_iter().chain(smaller.into_iter().flatten()).collect()
    }
}

/// Parts of each side that smaller pictures have, in hundredths, where the frame rate is kept.
pub const SIDES: [u32; 2] = [75, 50];

/// What is kept where even an encoder's fastest speed is not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The size of the pictures: some are left out.
    #[default]
    Resolution,
    /// The frame rate: the pictures are made smaller, and left out only when that is not enough.
    Fps,
}

/// One of the speeds between which an encoder can be taken while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// The preset that it is like, by the encoder's own names.
    pub preset: &'static str,
    /// CPU time of a picture, in parts of what another of the encoder's speeds costs.
    pub cost: u32,
}

/// An audio encoder's task: 48 kHz stereo in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpec {
    /// Codec.
    pub codec: AudioCodec,
    /// Bits per second.
    pub bitrate_bps: u32,
}
