//! Key of an input: by which a layer of one scene goes on with the pictures of a layer of another.

use std::path::PathBuf;

use super::model::{Fit, Source};
use super::resolve::PlacedLayer;
use crate::media::{NetworkInput, Orientation, VideoClip};

/// What the pictures of a live, network, video or frames layer are: whose, how large, and how they
/// are turned. When one
/// scene follows another, a layer of the new one with the same key goes on with the pictures of the
/// old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputKey {
    layer: String,
    origin: Origin,
    /// Width and height of the box, which the pictures are scaled for.
    sides: (i32, i32),
    fit: Fit,
    orientation: Orientation,
}

/// Where the pictures of an input come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Live(String),
    Video(VideoClip),
    Frames(PathBuf),
    Network(NetworkInput),
}

impl InputKey {
    /// The key of a live, network, video or frames layer; other layers have none.
    #[must_use]
    pub fn of(layer: &PlacedLayer) -> Option<Self> {
        let origin = match &layer.source {
            Source::Live { stream, .. } => Origin::Live(stream.clone()),
            Source::Video { clip, .. } => Origin::Video(clip.clone()),
            Source::Network { input, .. } => Origin::Network(input.clone()),
            Source::Frames { socket, .. } => Origin::Frames(socket.clone()),
            _ => return None,
        };
        let place = layer.place.even();
        let (sides, fit) = ((place.w, place.h), layer.fit);
        let orientation = layer.style.orientation();
        Some(Self { layer: layer.name.clone(), origin, sides, fit, orientation })
    }
}
