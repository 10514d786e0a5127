//! Key of an input: by which a layer of one scene goes on with the pictures of a layer of another.

use std::path::PathBuf;

use super::model::{Fit, Source};
use super::resolve::PlacedLayer;
use crate::media::{NetworkInput, Orientation, Playlist, VideoClip};

/// What the pictures of a live, network, video, playlist or frames layer are: whose, how large, and
/// how they are turned. When one scene follows another, a layer of the new one with the same key
/// goes on with the pictures of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputKey {
    layer: String,
    source: InputSource,
    /// Width and height of the box, which the pictures are scaled for.
    sides: (i32, i32),
    fit: Fit,
    orientation: Orientation,
}

/// Where the pictures of an input come from: what is decoded for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// A stream of this node.
    Live(String),
    /// A file.
    Video(VideoClip),
    /// Files, one after the other.
    Playlist(Playlist),
    /// The socket of another program.
    Frames(PathBuf),
    /// A stream of another server.
    Network(NetworkInput),
}

impl InputSource {
    /// What a live, network, video, playlist or frames layer shows; other layers show no input.
    #[must_use]
    pub fn of(layer: &PlacedLayer) -> Option<Self> {
        Some(match &layer.source {
            Source::Live { stream, .. } => Self::Live(stream.clone()),
            Source::Video { clip, .. } => Self::Video(clip.clone()),
            Source::Playlist { playlist, .. } => Self::Playlist(playlist.clone()),
            Source::Network { input, .. } => Self::Network(input.clone()),
            Source::Frames { socket, .. } => Self::Frames(socket.clone()),
            _ => return None,
        })
    }
}

impl InputKey {
    /// The key of a live, network, video, playlist or frames layer; other layers have none.
    #[must_use]
    pub fn of(layer: &PlacedLayer) -> Option<Self> {
        let source = InputSource::of(layer)?;
        let place = layer.place.even();
        let (sides, fit) = ((place.w, place.h), layer.fit);
        let orientation = layer.style.orientation();
        Some(Self { layer: layer.name.clone(), source, sides, fit, orientation })
    }
}
