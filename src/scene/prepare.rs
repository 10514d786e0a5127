//! Loading: from a scene as its author wrote it to one that can be drawn.

use std::path::PathBuf;

use super::color::bytes;
use super::error::Error;
use super::model::{LAYERS_MAX, Layer, Scene, Source};
use super::source::{Feed, Input, Loader, Painter};
use crate::media::{Rect, Size};

/// Farthest from the canvas' corner that a box may begin, pixels.
const PLACE_MAX: i32 = 16_384;

/// A scene with everything loaded, ready to be swapped in at one tick. Loading may take seconds,
/// and so may dropping one: do both away from the compose core.
#[derive(Debug)]
pub struct PreparedScene {
    pub(super) size: Size,
    pub(super) background: [u8; 3],
    /// Lowest first.
    pub(super) layers: Vec<Prepared>,
}

/// A loaded layer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) name: String,
    /// What its pictures come from: a live layer of another scene with the same takes them over.
    stream: Option<Stream>,
    pub(super) painter: Painter,
    pub(super) alpha: u8,
}

/// Where the pictures of an input come from.
#[derive(Debug, PartialEq, Eq)]
enum Stream {
    Live(String),
    Video(PathBuf),
}

impl PreparedScene {
    /// Loads every file and font of `scene` for a canvas of `size`.
    ///
    /// # Errors
    /// The first thing that cannot be shown, with the layer's name and what to do about it.
    pub fn new(scene: &Scene, size: Size) -> Result<Self, Error> {
        if scene.layers.len() > LAYERS_MAX {
            return Err(Error::Layers(scene.layers.len()));
        }
        let mut order: Vec<&Layer> = scene.layers.iter().collect();
        order.sort_by_key(|layer| layer.z);
        let mut loader = Loader::new(size.rect());
        let mut layers: Vec<Prepared> = Vec::with_capacity(order.len());
        for layer in order {
            if layers.iter().any(|other| other.name == layer.name) {
                return Err(Error::Duplicate(layer.name.clone()));
            }
            check(layer)?;
            let painter = Painter::load(layer, &mut loader)?;
            let stream = match &layer.source {
                Source::Live { stream, .. } => Some(Stream::Live(stream.clone())),
                Source::Video(path) => Some(Stream::Video(path.clone())),
                _ => None,
            };
            let alpha = layer.alpha;
            layers.push(Prepared { name: layer.name.clone(), stream, painter, alpha });
        }
        Ok(Self { size, background: bytes(scene.background), layers })
    }

    /// The live or video layer called `name`.
    pub(super) fn input(&mut self, name: &str) -> Option<&mut Input> {
        let layer = self.layers.iter_mut().find(|layer| layer.name == name)?;
        match &mut layer.painter {
            Painter::Input(input) => Some(input),
            _ => None,
        }
    }

    /// Takes over what the layers of `old` receive, where a layer has the same name and stream
    /// here.
    pub(super) fn take_inputs(&mut self, old: &mut Self) {
        for from in &mut old.layers {
            let same = |to: &&mut Prepared| to.name == from.name && to.stream == from.stream;
            let Some(to) = self.layers.iter_mut().find(same) else { continue };
            if let (Painter::Input(from), Painter::Input(to)) = (&mut from.painter, &mut to.painter)
            {
                let mut feed = Feed::default();
                from.exchange(&mut feed);
                to.exchange(&mut feed);
            }
        }
    }
}

fn check(layer: &Layer) -> Result<(), Error> {
    let Rect { x, y, w, h } = layer.place;
    let side_max = i32::try_from(Size::SIDE_MAX).unwrap_or(i32::MAX);
    let near = -PLACE_MAX..=PLACE_MAX;
    let sides = 1..=side_max;
    if near.contains(&x) && near.contains(&y) && sides.contains(&w) && sides.contains(&h) {
        return Ok(());
    }
    Err(Error::Layer {
        layer: layer.name.clone(),
        advice: format!(
            "its box is {w}x{h} at ({x}, {y}); keep sides to 1..={side_max} and corners within \
             {PLACE_MAX} of the canvas' own"
        ),
    })
}
