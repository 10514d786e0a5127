//! Audio mix model: inputs with gains, mixed into one stereo bus.

use crate::media::{NetworkInput, VideoClip};

/// Most inputs of one mixer.
pub const INPUTS_MAX: usize = 32;

/// One input of the mixer.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Unique in its mixer.
    pub name: String,
    /// Where its audio comes from.
    pub source: Source,
    /// Gain in decibels, -90 to +24; 0 leaves the audio as it is.
    pub gain_db: f32,
    /// Whether it is silent for now.
    pub mute: bool,
}

/// Where audio comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A quiet, slowly moving chord, made by the program.
    Bed,
    /// A sine of this many hertz.
    Tone(f32),
    /// A 1 kHz beep in the first 100 ms of every second of programme time (see the `flash` layer).
    Beep,
    /// The audio of the video file that the layer of this name shows.
    Video(VideoClip),
    /// The audio of the live stream with this public name.
    Live(String),
    /// The audio of a stream of another server.
    Network(NetworkInput),
}
