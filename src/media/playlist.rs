//! Playlist: media files that are played one after the other.

use std::path::{Path, PathBuf};

use super::{Micros, VideoClip};

/// Most items of a playlist. A configuration with more is refused; of a folder or an M3U file with
/// more the rest is left out, which is told.
pub const PLAYLIST_ITEMS_MAX: usize = 1_000;

/// Files that a layer shows or an audio source plays one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Where the files come from.
    pub entries: PlaylistEntries,
    /// Whether it begins again at its end.
    pub looped: bool,
    /// Whether every round has an order of its own.
    pub shuffle: bool,
    /// What the orders follow from; without it from when the playlist begins.
    pub seed: Option<u32>,
}

impl Playlist {
    /// The folder or file that it is read from, or its first item.
    #[must_use]
    pub fn place(&self) -> &Path {
        match &self.entries {
            PlaylistEntries::Folder(path) | PlaylistEntries::M3u(path) => path,
            PlaylistEntries::Items(items) => {
                items.first().map_or_else(|| Path::new(""), |it| &it.path)
            }
        }
    }
}

/// Where the files of a playlist come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaylistEntries {
    /// These, at most [`PLAYLIST_ITEMS_MAX`].
    Items(Vec<PlaylistItem>),
    /// The media files of a folder, by their names.
    Folder(PathBuf),
    /// Those that an M3U file names.
    M3u(PathBuf),
}

/// A file of a playlist, and what of it is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaylistItem {
    /// The file.
    pub path: PathBuf,
    /// Where in it playing begins.
    pub in_point: Micros,
    /// Where in it playing ends, if that is before its own end; after the in point.
    pub out_point: Option<Micros>,
}

impl From<PathBuf> for PlaylistItem {
    /// The whole file.
    fn from(path: PathBuf) -> Self {
        Self { path, in_point: Micros(0), out_point: None }
    }
}

impl From<PlaylistItem> for VideoClip {
    /// The item, once.
    fn from(item: PlaylistItem) -> Self {
        let PlaylistItem { path, in_point, out_point } = item;
        Self { path, looped: false, in_point, out_point }
    }
}
