//! Input pool of a channel: what is decoded for its layers, each source at the same sizes once for
//! all of its scenes.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::frame::PictureEvent;
use crate::media::{Micros, Orientation, Rect};
use crate::pipeline::FanOut;
use crate::ring::Sender;
use crate::scene::{Fit, InputSource, PlacedLayer};

/// The inputs of one channel. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputPool(Arc<Inputs>);

#[expect(clippy::disallowed_types, reason = "held for a moment, by threads that load")]
type Inputs = std::sync::Mutex<Vec<Input>>;

/// One that is decoded.
#[derive(Debug)]
struct Input {
    key: InputId,
    pictures: FanOut,
    /// Set once pictures of a live stream have come in.
    fed: Arc<AtomicBool>,
    /// Since when it is decoded.
    since: Micros,
}

/// What tells two inputs of a channel apart: what is decoded, and for which boxes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputId {
    pub(super) source: InputSource,
    /// On the canvas, and at each other size that the scene is drawn at.
    pub(super) shown: Vec<Shown>,
}

/// What decides how large pictures are made for a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) place: Rect,
    pub(super) fit: Fit,
    pub(super) scale: f32,
    pub(super) orientation: Orientation,
}

impl Shown {
    /// Of pictures that nobody sees.
    pub(super) const SMALL: Self = Self {
        place: Rect { x: 0, y: 0, w: 16, h: 16 },
        fit: Fit::Fill,
        scale: 1.0,
        orientation: Orientation::UPRIGHT,
    };

    pub(super) fn of(layer: &PlacedLayer) -> Self {
        let orientation = layer.style.orientation();
        Self { place: layer.place, fit: layer.fit, scale: layer.scale, orientation }
    }
}

impl PartialEq for Shown {
    /// Where the box lies says nothing of the pictures' size.
    fn eq(&self, other: &Self) -> bool {
        let sides = |it: &Self| (it.place.w, it.place.h, it.fit, it.scale.to_bits());
        sides(self) == sides(other) && self.orientation == other.orientation
    }
}

impl InputPool {
    fn inputs(&self) -> MutexGuard<'_, Vec<Input>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the pictures of an input to these rings too, of which each has its place among the
    /// sizes, if it is decoded; whether pictures of it have come in, and since when it is decoded.
    pub(super) fn join(
        &self,
        id: &InputId,
        rings: &mut Vec<(usize, Sender<PictureEvent>)>,
    ) -> Option<(Arc<AtomicBool>, Micros)> {
        let mut inputs = self.inputs();
        inputs.retain(|input| !input.pictures.is_ended());
        let input = inputs.iter().find(|input| input.key == *id)?;
        rings.drain(..).for_each(|(size, ring)| input.pictures.add(size, ring));
        Some((Arc::clone(&input.fed), input.since))
    }

    /// Takes an input that is decoded from now on.
    pub(super) fn put(
        &self,
        key: InputId,
        pictures: FanOut,
        (fed, since): (Arc<AtomicBool>, Micros),
    ) {
        self.inputs().push(Input { key, pictures, fed, since });
    }

    /// The pictures of an input, if it is decoded.
    pub(super) fn find(&self, id: &InputId) -> Option<FanOut> {
        let inputs = self.inputs();
        let mut running = inputs.iter().filter(|input| !input.pictures.is_ended());
        running.find(|input| input.key == *id).map(|input| input.pictures.clone())
    }

    /// Has these decoded whether somebody takes them or not, as far as they are, and lets go of all
    /// others that nobody takes.
    pub(super) fn keep_warm(&self, warm: &[InputId]) {
        self.inputs().retain(|input| {
            let is_warm = warm.contains(&input.key);
            input.pictures.set_warm(is_warm);
            !input.pictures.is_ended() && (is_warm || input.pictures.is_taken())
        });
    }

    /// Lets go of all of them: each ends once nobody takes it.
    pub(super) fn clear(&self) {
        self.inputs().clear();
    }

    /// How many are decoded.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.inputs().len()
    }
}

/// One that is forgotten ends once nobody takes it.
impl Drop for Input {
    fn drop(&mut self) {
        self.pictures.let_go();
    }
}
