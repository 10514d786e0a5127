//! Playlist events: an item begins, or is left out.

use std::fmt;

use super::printable::Printable;
use super::severity::Severity;

/// Something happened to an item of a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaylistEvent {
    /// The channel.
    pub channel: String,
    /// Its layer or audio source.
    pub layer: String,
    /// The item's file, or where it is named.
    pub file: String,
    /// What happened.
    pub what: PlaylistItemNews,
}

/// What happens to items of playlists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaylistItemNews {
    /// It is played from now on; its place in this round, from 0, unless it was taken out
    /// meanwhile.
    Started(Option<usize>),
    /// It cannot be played and is left out: why, and what to do. Told once until it is played.
    Skipped(String),
}

impl PlaylistEvent {
    /// Its place in this round, if it begins and is there still.
    #[must_use]
    pub const fn index(&self) -> Option<usize> {
        match self.what {
            PlaylistItemNews::Started(index) => index,
            PlaylistItemNews::Skipped(_) => None,
        }
    }

    /// Why it is left out, if it is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.what {
            PlaylistItemNews::Started(_) => None,
            PlaylistItemNews::Skipped(reason) => Some(reason),
        }
    }

    pub(super) const fn severity(&self) -> Severity {
        match self.what {
            PlaylistItemNews::Started(_) => Severity::Info,
            PlaylistItemNews::Skipped(_) => Severity::Warn,
        }
    }

    pub(super) const fn event_name(&self) -> &'static str {
        match self.what {
            PlaylistItemNews::Started(_) => "playlist_item_started",
            PlaylistItemNews::Skipped(_) => "playlist_item_skipped",
        }
    }
}

impl fmt::Display for PlaylistEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, file, layer) = (&self.channel, Printable(&self.file), Printable(&self.layer));
        match &self.what {
            PlaylistItemNews::Started(_) => {
                write!(f, "channel {channel} begins to play {file} in {layer}")
            }
            PlaylistItemNews::Skipped(reason) => {
                write!(f, "channel {channel} leaves out {file} in {layer}: {}", Printable(reason))
            }
        }
    }
}
