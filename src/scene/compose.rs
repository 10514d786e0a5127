//! Composer: draws a scene into frames, tick by tick, touching only what changed.

use super::change::{Change, Mixer, Retired, Running};
use super::damage::{Damage, History};
use super::error::Error;
use super::kernel::{Kernels, Level};
use super::model::Scene;
use super::prepare::PreparedScene;
use super::resolve::ResolvedScene;
use super::tick::Tick;
use crate::frame::{Frame, FrozenFrame, Geometry, PictureEvent, Pool};
use crate::media::{PixelFormat, Size};
use crate::ring::Receiver;

/// Draws one programme's scene.
///
/// At each tick, `compose` asks every layer what changed, takes a frame from the pool, and redraws
/// in it what changed since that frame was drawn: a slot keeps its pixels while it is free. If
/// nobody looks at the previous frame any more it is that one, of which the least is to be redrawn.
/// When nothing changed the previous frame is given again; when one picture covers everything it is
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
    /// Where the scene is another than the one before.
    changed: Damage,
    /// The newest frame, and the mark of what it shows.
    last: Option<(FrozenFrame, u64)>,
    running: Option<Running>,
    /// What is no longer shown, until it is fetched.
    retired: [Option<Retired>; RETIRED_MAX],
    scratch: Box<[u8]>,
    drawn: u64,
}

/// Scenes that one change may retire: the one that a transition was leaving, and the one that it
/// went to.
pub const RETIRED_MAX: usize = 2;

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
    /// Shows `scene` for a canvas of `size`, which shows no other scene.
    ///
    /// # Errors
    /// As [`ResolvedScene::alone`] and [`PreparedScene::new`].
    pub fn new(scene: &Scene, size: Size, level: Level) -> Result<Self, Error> {
        let scene = ResolvedScene::alone(scene, size)?;
        Ok(Self::with_scene(PreparedScene::new(&scene)?, level))
    }

    /// Shows `scene`. Kernels are the widest this machine has, but not above `level`.
    #[must_use]
    pub fn with_scene(scene: PreparedScene, level: Level) -> Self {
        let canvas = scene.size.rect();
        let mut scene = scene;
        let scratch = std::mem::take(&mut scene.scratch);
        Self {
            scene,
            kernels: Kernels::at(level),
            history: History::begin(canvas),
            is_new: true,
            changed: Damage::none(canvas),
            last: None,
            running: None,
            retired: [None, None],
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
        self.scene.attach(layer, pictures)
    }

    /// Shows another scene from the next tick on, all of it at once, or goes to it by a transition
    /// from then on. Live and video layers with the same [`super::InputKey`] keep their pictures. A
    /// transition that is on its way ends at once. Fetch what is retired by this with
    /// `take_retired`, before the next change and after each tick.
    ///
    /// A scene prepared for another canvas size is retired, and the old one stays.
    pub fn change(&mut self, change: Change) {
        let Change { scene: mut next, mixer } = change;
        if next.size != self.scene.size {
            debug_assert!(false, "a scene was prepared for another canvas");
            self.retire(Retired { scene: next, mixer: None });
            return;
        }
        let is_mixed = mixer.is_some() || self.running.is_some();
        if let Some(running) = self.running.take() {
            self.retire(running.into_retired());
        }
        next.take_inputs(&mut self.scene);
        next.follow(&self.scene, mixer.is_none());
        match is_mixed || self.is_new {
            true => self.is_new = true,
            false => self.changed.add_all(&next.reuse(&mut self.scene)),
        }
        if next.scratch.len() > self.scratch.len() {
            std::mem::swap(&mut next.scratch, &mut self.scratch);
        }
        let old = std::mem::replace(&mut self.scene, next);
        match mixer {
            Some(mixer) => self.running = Some(Running::new(old, mixer)),
            None => self.retire(Retired { scene: old, mixer: None }),
        }
    }

    /// The next scene that is no longer shown, to be dropped elsewhere.
    #[must_use]
    pub fn take_retired(&mut self) -> Option<Retired> {
        self.retired.iter_mut().find_map(Option::take)
    }

    fn retire(&mut self, retired: Retired) {
        match self.retired.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(retired),
            None => debug_assert!(false, "retired scenes were not fetched"),
        }
    }

    /// Composes the frame of `tick`, into a frame of `pool` if anything changed. The pool has I420
    /// frames of the canvas' size.
    pub fn compose(&mut self, tick: &Tick, pool: &Pool) -> Composed {
        self.drawn = 0;
        if let Some(composed) = self.compose_transition(tick, pool) {
            return composed;
        }
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
        let Some(mut frame) = self.frame_of(pool) else { return Composed::NoFrame };
        let damage = self.history.since(frame.content());
        self.drawn +=
            self.scene.redraw(&mut frame, (&damage, true), self.kernels, &mut self.scratch);
        self.finish(frame)
    }

    /// The frame of a tick during a transition. Each scene is drawn by itself, and only what
    /// changed in it; the mixture of the two is new everywhere, and overlays are above it. `None`
    /// if there is no transition, or it is over.
    fn compose_transition(&mut self, tick: &Tick, pool: &Pool) -> Option<Composed> {
        let running = self.running.as_mut()?;
        let Some(progress) = running.progress(tick.at) else {
            let over = self.running.take()?.into_retired();
            self.retire(over);
            self.is_new = true;
            return None;
        };
        let whole = Damage::all(self.scene.size.rect());
        let (mut old, mut new) = (running.from.update(tick), self.scene.update(tick));
        running.from.layers.mirror(&mut self.scene.layers, &mut old);
        if std::mem::take(&mut self.is_new) {
            running.from.layers.invalidate();
            self.scene.layers.invalidate();
            (old, new) = (whole, whole);
        }
        let (kernels, scratch) = (self.kernels, &mut self.scratch);
        let Mixer { from, to, with_overlays, .. } = &mut running.mixer;
        let all = *with_overlays;
        self.drawn += running.from.redraw(from, (&old, all), kernels, scratch);
        self.drawn += self.scene.redraw(to, (&new, all), kernels, scratch);
        self.history.push(&whole);
        let Some(mut frame) = self.frame_of(pool) else { return Some(Composed::NoFrame) };
        let mixer = &self.running.as_ref()?.mixer;
        mixer.draw(&mut frame, progress, (kernels, &mut self.scratch));
        if !mixer.with_overlays {
            self.scene.draw_overlays(&mut frame, (kernels, &mut self.scratch));
        }
        Some(self.finish(frame))
    }

    /// A frame to draw into, if one is free.
    fn frame_of(&mut self, pool: &Pool) -> Option<Frame> {
        let geometry = pool.geometry();
        if geometry.size() != self.scene.size || geometry.format() != PixelFormat::I420 {
            debug_assert!(false, "the pool has frames of another size or format");
            return None;
        }
        if let Some((last, shown)) = self.last.take() {
            match last.into_frame(pool) {
                Ok(frame) => return Some(frame),
                Err(last) => self.last = Some((last, shown)),
            }
        }
        pool.take()
    }

    /// The frame shows the canvas as it is now.
    fn finish(&mut self, mut frame: Frame) -> Composed {
        let mark = self.history.mark();
        frame.set_content(mark);
        let frame = frame.freeze();
        self.last = Some((frame.share(), mark));
        Composed::Fresh(frame)
    }

    /// The mark of the canvas as it is now, for [`Composer::changed_since`].
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.history.mark()
    }

    /// What has changed on the canvas since it had this mark: all of it, if that is long ago.
    #[must_use]
    pub fn changed_since(&self, mark: u64) -> Damage {
        self.history.since(mark)
    }

    /// Draws the whole canvas anew at the next tick, as if all of it had changed.
    pub const fn redraw_all(&mut self) {
        self.is_new = true;
    }

    /// Luma pixels redrawn by the last tick, for metrics.
    #[must_use]
    pub const fn drawn(&self) -> u64 {
        self.drawn
    }

    fn update(&mut self, tick: &Tick) {
        let mut damage = self.scene.update(tick);
        damage.add_all(&self.changed);
        self.changed = Damage::none(self.scene.size.rect());
        if std::mem::take(&mut self.is_new) {
            self.scene.layers.invalidate();
            damage = Damage::all(self.scene.size.rect());
        }
        if !damage.is_empty() {
            self.history.push(&damage);
        }
    }

    /// The picture that alone makes up the canvas, in the very layout of the pool's frames.
    fn whole_picture(&self, geometry: &Geometry) -> Option<&FrozenFrame> {
        let canvas = self.scene.size.rect();
        let mut seen = self.scene.layers.0.iter().rev().filter(|layer| layer.alpha > 0);
        let top = seen.find(|layer| !layer.bounds().intersect(canvas).is_empty())?;
        let picture = top.whole_picture().filter(|_| top.clip == canvas)?;
        let fits = picture.dest == canvas && picture.crop == canvas;
        (fits && picture.frame.geometry() == geometry).then_some(picture.frame)
    }
}

#[cfg(test)]
mod motion_tests;
#[cfg(test)]
mod native_tests;
#[cfg(test)]
mod reuse_tests;
#[cfg(test)]
mod tests;
