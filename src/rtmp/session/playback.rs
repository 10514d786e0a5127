//! Playback of a player: paused or not, with or without audio and pictures.

use serde::{Deserialize, Serialize};

/// What a player wants to be sent of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playback {
    /// Nothing for now.
    pub paused: bool,
    /// Audio.
    pub audio: bool,
    /// Pictures.
    pub video: bool,
}

impl Default for Playback {
    /// All of it, now.
    fn default() -> Self {
        Self { paused: false, audio: true, video: true }
    }
}
