//! Playback of a video file or a playlist: what may be wished of it, and how it goes.

use std::sync::Arc;

use crate::media::{Micros, PlaylistItem};

/// What a player is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaybackCommand {
    /// Go on after a pause; from the in point once it has ended, or from the first item of a
    /// playlist.
    Play,
    /// Stay at the picture that is shown, in silence.
    Pause,
    /// Play from the in point.
    Restart,
    /// Go to this position of the file, and go on as before: playing or paused. One that has ended
    /// is paused there.
    Seek(Micros),
    /// Something with the items of a playlist.
    Items(ItemCommand),
}

/// What a player is to do with the items of its playlist. Places count from 0, in the order in
/// which the items are played in this round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemCommand {
    /// Go to the next one at once; the last one of a list that does not loop is over then.
    Next,
    /// Go to the one before at once: to the last one from the first, of a list that loops.
    Previous,
    /// Go to the one at this place at once.
    Skip(usize),
    /// Put one at this place, or at the end.
    Insert {
        /// The place.
        place: Option<usize>,
        /// What is put there.
        item: PlaylistItem,
    },
    /// Take out the one at this place; the one that plays goes on.
    Remove(usize),
}

/// Which items a playlist plays, as it is now. Times are on the node's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaylistView {
    /// What is seen or heard now, with its place, unless that was taken out meanwhile, and when it
    /// began.
    pub now: Option<(Option<usize>, PlaylistItem, Micros)>,
    /// What follows, with its place, and when it begins, as far as that is known.
    pub next: Option<(Option<usize>, PlaylistItem, Option<Micros>)>,
    /// All of them, in the order of this round.
    pub items: Vec<PlaylistItem>,
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
    /// Where in the file it is: in the one that is played, of a playlist.
    pub position: Micros,
    /// How long the file is, if it says so.
    pub duration: Option<Micros>,
    /// The items, if it is a playlist.
    pub playlist: Option<Arc<PlaylistView>>,
}
