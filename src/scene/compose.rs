//! Draws a scene into frames, tick by tick, touching only what changed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::canvas::Canvas;
use super::damage::{Damage, History, area, around};
use super::error::Error;
use super::kernel::{Kernels, Level};
use super::model::Scene;
use super::prepare::{Prepared, PreparedScene};
use super::tick::Tick;
use crate::frame::{Frame, FrozenFrame, Geometry, PictureEvent, Pool};
use crate::media::{PixelFormat, Rect, Size};
use crate::ring::Receiver;

/// An opaque layer that hides less than one part in this of a region is not worth splitting it for.
const SPLIT_WORTH: i64 = 8;

/// How often a region is split around opaque layers.
const SPLITS_MAX: u32 = 3;

/// Tells composers apart in the marks that frames keep.
static COMPOSERS: AtomicU64 = AtomicU64::new(1);

/// Draws one programme's scene.
///
/// At each tick, `compose` asks every layer what changed, takes a frame from the pool, and redraws
/// in it what changed since that frame was drawn: a slot keeps its pixels while it is free. When
/// nothing changed the previous frame is given again; when one picture covers everything it is
/// given as it is. Frames held here: the previous one, and one per live or video layer.
///
/// After the first ticks nothing here allocates.
#[derive(Debug)]
pub struct Composer {
    scene: PreparedScene,
    kernels: &'static Kernels,
    history: History,
    /// The whole canvas is new: at the start, and when the scene is replaced.
    is_new: bool,
    /// The newest frame, and the mark of what it shows.
    last: Option<(FrozenFrame, u64)>,
    scratch: Box<[u8]>,
    drawn: u64,
}

/// What a tick gave.
#[derive(Debug)]
pub enum Composed {
    /// A frame that differs from the one before.
    Fresh(FrozenFrame),
    /// The frame before, once more: nothing changed.
    Same(FrozenFrame),
    /// Every frame of the pool is in use: count the tick as dropped. Nothing that changed is lost;
    /// the next frame shows it.
    NoFrame,
}

impl Composer {
    /// Loads `scene` for a canvas of `size`. Kernels are the widest this machine has, but not above
    /// `level`.
    ///
    /// # Errors
    /// As [`PreparedScene::new`].
    pub fn new(scene: &Scene, size: Size, level: Level) -> Result<Self, Error> {
        Ok(Self::with_scene(PreparedScene::new(scene, size)?, level))
    }

    /// Shows a scene that is loaded already.
    #[must_use]
    pub fn with_scene(scene: PreparedScene, level: Level) -> Self {
        let canvas = scene.size.rect();
        let scratch = vec![0; scene.size.width() as usize].into_boxed_slice();
        Self {
            scene,
            kernels: Kernels::at(level),
            history: History::new(canvas, COMPOSERS.fetch_add(1, Ordering::Relaxed)),
            is_new: true,
            last: None,
            scratch,
            drawn: 0,
        }
    }

    /// The canvas' size.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.scene.size
    }

    /// Gives the live or video layer called `layer` its pictures. They stay in the ring until they
    /// are due. A ring that was there before is dropped.
    ///
    /// # Errors
    /// Gives the ring back if the scene has no such layer.
    pub fn input(
        &mut self,
        layer: &str,
        pictures: Receiver<PictureEvent>,
    ) -> Result<(), Receiver<PictureEvent>> {
        match self.scene.input(layer) {
            Some(input) => {
                input.attach(pictures);
                Ok(())
            }
            None => Err(pictures),
        }
    }

    /// Shows another scene from the next tick on, all of it at once. Live and video layers with the
    /// same name and stream keep their pictures. Gives the old scene, to be dropped elsewhere.
    ///
    /// A scene prepared for another canvas size is given back, and the old one stays.
    #[must_use]
    pub fn replace_scene(&mut self, mut prepared: PreparedScene) -> PreparedScene {
        if prepared.size != self.scene.size {
            debug_assert!(false, "a scene was prepared for another canvas");
            return prepared;
        }
        prepared.take_inputs(&mut self.scene);
        self.is_new = true;
        std::mem::replace(&mut self.scene, prepared)
    }

    /// Composes the frame of `tick`, into a frame of `pool` if anything changed. The pool has I420
    /// frames of the canvas' size.
    pub fn compose(&mut self, tick: &Tick, pool: &Pool) -> Composed {
        self.drawn = 0;
        self.update(tick);
        let mark = self.history.mark();
        if let Some((last, shown)) = &self.last
            && *shown == mark
        {
            return Composed::Same(last.share());
        }
        if let Some(picture) = self.whole_picture(pool.geometry()) {
            let picture = picture.share();
            self.last = Some((picture.share(), mark));
            return Composed::Fresh(picture);
        }
        if pool.geometry().size() != self.scene.size
            || pool.geometry().format() != PixelFormat::I420
        {
            debug_assert!(false, "the pool has frames of another size or format");
            return Composed::NoFrame;
        }
        let Some(mut frame) = pool.take() else { return Composed::NoFrame };
        let damage = self.history.since(frame.content());
        self.draw(&mut frame, &damage);
        frame.set_content(mark);
        let frame = frame.freeze();
        self.last = Some((frame.share(), mark));
        Composed::Fresh(frame)
    }

    /// Luma pixels redrawn by the last tick, for metrics.
    #[must_use]
    pub const fn drawn(&self) -> u64 {
        self.drawn
    }

    fn update(&mut self, tick: &Tick) {
        let canvas = self.scene.size.rect();
        let mut damage = Damage::none(canvas);
        let mut unseen = Damage::none(canvas);
        for layer in &mut self.scene.layers {
            let changed = if layer.alpha == 0 { &mut unseen } else { &mut damage };
            layer.painter.update(tick, changed);
        }
        if self.is_new {
            self.is_new = false;
            damage = Damage::all(canvas);
        }
        if !damage.is_empty() {
            self.history.push(&damage);
        }
    }

    /// The picture that alone makes up the canvas, in the very layout of the pool's frames.
    fn whole_picture(&self, geometry: &Geometry) -> Option<&FrozenFrame> {
        let canvas = self.scene.size.rect();
        let shows = |layer: &&Prepared| {
            layer.alpha > 0 && !layer.painter.bounds().intersect(canvas).is_empty()
        };
        let top = self.scene.layers.iter().rev().find(shows)?;
        let picture = top.painter.whole_picture().filter(|_| top.alpha == 255)?;
        let fits = picture.dest == canvas && picture.crop == canvas;
        (fits && picture.frame.geometry() == geometry).then_some(picture.frame)
    }

    fn draw(&mut self, frame: &mut Frame, damage: &Damage) {
        let mut canvas = Canvas {
            planes: frame.planes_mut(),
            kernels: self.kernels,
            scratch: &mut self.scratch,
        };
        for rect in damage.rects() {
            self.scene.draw(&mut canvas, *rect, SPLITS_MAX);
            self.drawn += u64::try_from(area(*rect)).unwrap_or(0);
        }
    }
}

impl PreparedScene {
    /// Draws everything in `rect`, beginning with the highest layer that hides all below it. Where
    /// one hides a good part, the rest is drawn apart.
    fn draw(&self, canvas: &mut Canvas<'_>, rect: Rect, splits: u32) {
        if rect.is_empty() {
            return;
        }
        let mut first = None;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let hidden = layer.opaque().intersect(rect);
            if hidden == rect {
                first = Some(index);
                break;
            }
            // Splitting pays only if there is something below to be spared.
            if splits > 0 && index > 0 && area(hidden) * SPLIT_WORTH >= area(rect) {
                self.draw(canvas, hidden, splits - 1);
                for part in around(rect, hidden) {
                    self.draw(canvas, part, splits - 1);
                }
                return;
            }
        }
        if first.is_none() {
            canvas.fill(rect, self.background, 255);
        }
        for layer in &self.layers[first.unwrap_or(0)..] {
            layer.draw(canvas, rect);
        }
    }
}

impl Prepared {
    fn opaque(&self) -> Rect {
        if self.alpha == 255 { self.painter.opaque() } else { Rect::default() }
    }

    fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect) {
        if self.alpha > 0 && !self.painter.bounds().intersect(clip).is_empty() {
            self.painter.draw(canvas, clip, self.alpha);
        }
    }
}

#[cfg(test)]
mod tests;
