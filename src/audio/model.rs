//! Audio mix model: inputs with gains, mixed into one stereo bus.

use std::ops::RangeInclusive;

use super::strip_spec::{Filters, Mapping};
use crate::media::{NetworkInput, Playlist, VideoClip};

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
    /// Whether only those with this are heard.
    pub solo: bool,
    /// Place between left (-1) and right (1).
    pub pan: f32,
    /// Which channels are heard where.
    pub mapping: Mapping,
    /// How much later it is heard, milliseconds, -500 to 2000. A negative one holds all other
    /// inputs of the mixer back instead.
    pub delay_ms: i32,
    /// What it goes through.
    pub filters: Filters,
}

impl InputSpec {
    /// One that is heard as it is.
    #[must_use]
    pub fn new(name: &str, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            source,
            gain_db: 0.0,
            mute: false,
            solo: false,
            pan: 0.0,
            mapping: Mapping::Stereo,
            delay_ms: 0,
            filters: Filters::NONE,
        }
    }
}

/// What the bus, on which all inputs are added, goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BusSpec {
    /// The loudness that the programme is brought to, one of [`NORMALIZE_LUFS`]; `None` leaves it
    /// as it is.
    pub normalize_lufs: Option<i32>,
    /// What no true peak is above, in [`CEILING_DBTP`].
    pub ceiling_dbtp: f32,
}

impl Default for BusSpec {
    fn default() -> Self {
        Self { normalize_lufs: None, ceiling_dbtp: -1.0 }
    }
}

/// Targets of the loudness normaliser, LUFS: EBU R128, and what platforms play.
pub const NORMALIZE_LUFS: [i32; 3] = [-23, -16, -14];

/// Range of the limiter's ceiling, dBTP.
pub const CEILING_DBTP: RangeInclusive<f32> = -20.0..=0.0;

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
    /// The audio of the files that a playlist layer shows, or of files without pictures, one after
    /// the other.
    Playlist(Playlist),
    /// The audio of the live stream with this public name.
    Live(String),
    /// The audio of a stream of another server.
    Network(NetworkInput),
}
