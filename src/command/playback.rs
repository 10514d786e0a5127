//! Playback of a video file: what may be wished of it, and how it goes.

use crate::media::Micros;

/// What a player is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaybackCommand {
    /// Go on after a pause; from the in point once it has ended.
    Play,
    /// Stay at the picture that is shown, in silence.
    Pause,
    /// Play from the in point.
    Restart,
    /// Go to this position of the file, and go on as before: playing or paused. One that has ended
    /// is paused there.
    Seek(Micros),
}

/// What a player does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaybackState {
    /// The file is being opened.
    Opening,
    /// It plays.
    Playing,
    /// It stays at a picture.
    Paused,
    /// It has been played to its end.
    Ended,
    /// It cannot be played now.
    Failed,
}

impl PlaybackState {
    /// All of them with the words of the API.
    pub const WORDS: [(&str, Self); 5] = [
        ("opening", Self::Opening),
        ("playing", Self::Playing),
        ("paused", Self::Paused),
        ("ended", Self::Ended),
        ("failed", Self::Failed),
    ];
}

/// A player as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybackView {
    /// The layer that shows the file, or the audio source that plays it.
    pub layer: String,
    /// What it does.
    pub state: PlaybackState,
    /// Where in the file it is.
    pub position: Micros,
    /// How long the file is, if it says so.
    pub duration: Option<Micros>,
}
