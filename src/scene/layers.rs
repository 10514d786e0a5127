//! Loaded layers: what is drawn of a scene, and of groups that are drawn as one.

use std::sync::Arc;

use image::{Rgba, RgbaImage};

use super::asset::{Asset, px};
use super::canvas::{Canvas, Placed};
use super::color::bytes;
use super::damage::{Damage, area, around};
use super::input_key::InputKey;
use super::kernel::{Kernels, Key};
use super::layer_style::ChromaKey;
use super::motion::{Motion, Pose};
use super::resample::resample;
use super::resolve::Effects;
use super::source::{Input, Painter, covered};
use super::surface::Surface;
use super::tick::Tick;
use crate::media::{Micros, Rect};
use crate::stats::{LayerCost, Timer};

/// An opaque layer that hides less than one part in this of a region is not worth splitting it for.
const SPLIT_WORTH: i64 = 8;

/// How often a region is split around opaque layers.
const SPLITS_MAX: u32 = 3;

/// Layers on a canvas or a surface, lowest first.
#[derive(Debug)]
pub(super) struct Layers(pub(super) Vec<Prepared>);

/// A loaded layer or group.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) name: String,
    /// What its pictures are: a layer of another scene with the same takes them over.
    pub(super) input: Option<InputKey>,
    /// Number of its source in an asset cache: two with the same look the same.
    pub(super) source: Option<u64>,
    pub(super) content: Content,
    pub(super) alpha: u8,
    /// It covers nothing outside; even edges.
    pub(super) clip: Rect,
    /// Where it is counted what this costs, if anybody wants to know.
    pub(super) cost: Option<Arc<LayerCost>>,
}

/// What a loaded layer draws.
#[derive(Debug)]
pub(super) enum Content {
    /// A source.
    Painter(Painter),
    /// Layers on a surface that lies at the layer's `clip`.
    Group(Box<Group>),
}

/// Layers that are drawn on a surface, and only where they change; the surface is then put on the
/// canvas as one picture.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) layers: Layers,
    surface: Surface,
    /// What of the surface is not drawn yet.
    pending: Damage,
    pub(super) effects: Effects,
    chroma_key: Option<Key>,
    /// What it takes away of the surface's corners.
    corners: Option<Asset>,
    pub(super) motion: Option<Motion>,
    /// Whether what is seen of it in another size is to be made anew.
    is_stale: bool,
}

impl Layers {
    /// Moves all layers to `tick` and adds what looks different now.
    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let at = Some(tick.programme);
        self.change(damage, at, &mut |painter, _, changed| painter.update(tick, changed));
    }

    /// Shows in the inputs whose pictures `new` has taken over what that shows; adds what may look
    /// different.
    pub(super) fn mirror(&mut self, new: &mut Self, damage: &mut Damage) {
        self.change(damage, None, &mut |painter, key, changed| {
            if let (Painter::Input(from), Some(key)) = (painter, key)
                && let Some(to) = new.find_input(&|_, other| other == Some(key))
            {
                from.mirror(to, changed);
            }
        });
    }

    /// Changes every source with `each`, which says what of it looks different. What moves goes to
    /// where it is at that programme time.
    fn change(
        &mut self,
        damage: &mut Damage,
        at: Option<Micros>,
        each: &mut dyn FnMut(&mut Painter, Option<&InputKey>, &mut Damage),
    ) {
        for Prepared { input, content, alpha, clip, cost, .. } in &mut self.0 {
            let is_seen = *alpha > 0;
            match content {
                Content::Painter(painter) => {
                    let mut changed = Damage::none(*clip);
                    counted(cost.as_ref(), 0, || each(painter, input.as_ref(), &mut changed));
                    if is_seen {
                        damage.add_all(&changed);
                    }
                }
                Content::Group(group) => {
                    let mut changed = Damage::none(group.surface.rect());
                    group.layers.change(&mut changed, at, each);
                    group.pending.add_all(&changed);
                    let before = if is_seen { *clip } else { Rect::default() };
                    if let Some(pose) = group.moved(at, !changed.is_empty()) {
                        (*clip, *alpha) = (pose.seen, pose.alpha);
                        damage.add(before);
                        damage.add(if pose.alpha > 0 { pose.seen } else { Rect::default() });
                        continue;
                    }
                    for rect in changed.rects().iter().filter(|_| is_seen) {
                        damage.add(Rect { x: rect.x + clip.x, y: rect.y + clip.y, ..*rect });
                    }
                }
            }
        }
    }

    /// All of every group is drawn anew, as the canvas is.
    pub(super) fn invalidate(&mut self) {
        for layer in &mut self.0 {
            if let Content::Group(group) = &mut layer.content {
                group.layers.invalidate();
                group.pending = Damage::all(group.surface.rect());
                group.is_stale = true;
            }
        }
    }

    /// Draws the groups' surfaces, as far as they have changed; luma pixels drawn.
    pub(super) fn render(&mut self, kernels: &'static Kernels, scratch: &mut [u8]) -> u64 {
        let groups = self.0.iter_mut().filter(|layer| layer.alpha > 0);
        groups.fold(0, |drawn, layer| match &mut layer.content {
            Content::Group(group) => drawn + group.render(kernels, scratch),
            Content::Painter(_) => drawn,
        })
    }

    /// Draws the lowest `count` in `damage` on a background; luma pixels drawn.
    pub(super) fn redraw(
        &self,
        count: usize,
        canvas: &mut Canvas<'_>,
        damage: &Damage,
        background: [u8; 3],
    ) -> u64 {
        let (mut drawn, layers) = (0, self.0.get(..count).unwrap_or(&self.0));
        for rect in damage.rects() {
            draw(layers, canvas, *rect, Some(background), SPLITS_MAX);
            drawn += u64::try_from(area(*rect)).unwrap_or(0);
        }
        drawn
    }

    /// Draws those above the lowest `count` on what is there.
    pub(super) fn draw_above(&self, count: usize, canvas: &mut Canvas<'_>, clip: Rect) {
        for layer in self.0.get(count..).unwrap_or_default() {
            layer.draw(canvas, clip);
        }
    }

    /// Counts from now on what each layer costs, by this timer: adds where, lowest first. One whose
    /// name is `known` goes on with its counts, and a group of one layer counts as that.
    pub(super) fn measure(
        &mut self,
        (timer, known): (&Timer, &[Arc<LayerCost>]),
        costs: &mut Vec<Arc<LayerCost>>,
    ) {
        for Prepared { name, content, cost, .. } in &mut self.0 {
            let (name, bytes) = match content {
                Content::Painter(painter) => (name.clone(), painter.cache_bytes()),
                Content::Group(group) => {
                    group.layers.measure((timer, known), costs);
                    let inside = group.layers.0.iter().filter_map(|layer| layer.cost.as_deref());
                    let names: Vec<_> = inside.map(LayerCost::name).collect();
                    (names.join("+"), group.cache_bytes())
                }
            };
            let counted = costs.iter().find(|other| other.name() == name).cloned();
            let counted = counted.unwrap_or_else(|| {
                let before = known.iter().find(|other| other.name() == name);
                let new = || LayerCost::new(&name, timer.clone());
                costs.push(Arc::new(before.map_or_else(new, |before| before.next())));
                Arc::clone(&costs[costs.len() - 1])
            });
            counted.keeps(bytes);
            *cost = Some(counted);
        }
    }

    /// Calls `each` with the motion of every layer that moves, those in groups too.
    pub(super) fn each_motion(&mut self, each: &mut dyn FnMut(&mut Motion)) {
        for layer in &mut self.0 {
            if let Content::Group(group) = &mut layer.content {
                group.motion.iter_mut().for_each(&mut *each);
                group.layers.each_motion(each);
            }
        }
    }

    /// The motion of the layer of this name.
    pub(super) fn find_motion(&self, name: &str) -> Option<&Motion> {
        self.0.iter().find_map(|layer| match &layer.content {
            Content::Group(group) => {
                let own = group.motion.as_ref().filter(|motion| motion.name() == name);
                own.or_else(|| group.layers.find_motion(name))
            }
            Content::Painter(_) => None,
        })
    }

    /// Pixels of the widest surface.
    pub(super) fn width_max(&self) -> usize {
        let widths = self.0.iter().map(|layer| match &layer.content {
            Content::Group(group) => px(group.surface.rect().w).max(group.layers.width_max()),
            Content::Painter(_) => 0,
        });
        widths.max().unwrap_or(0)
    }

    /// Calls `each` with every live and video layer, those in groups too.
    pub(super) fn each_input(&mut self, each: &mut dyn FnMut(&str, Option<&InputKey>, &mut Input)) {
        for layer in &mut self.0 {
            match &mut layer.content {
                Content::Painter(Painter::Input(input)) => {
                    each(&layer.name, layer.input.as_ref(), input);
                }
                Content::Painter(_) => {}
                Content::Group(group) => group.layers.each_input(each),
            }
        }
    }

    /// The live or video layer that `is` it.
    pub(super) fn find_input(
        &mut self,
        is: &dyn Fn(&str, Option<&InputKey>) -> bool,
    ) -> Option<&mut Input> {
        self.0.iter_mut().find_map(|layer| match &mut layer.content {
            Content::Painter(Painter::Input(input)) => {
                is(&layer.name, layer.input.as_ref()).then_some(input)
            }
            Content::Painter(_) => None,
            Content::Group(group) => group.layers.find_input(is),
        })
    }
}

/// Draws everything in `rect`, beginning with the highest layer that hides all below it. Where
/// one hides a good part, the rest is drawn apart.
fn draw(
    layers: &[Prepared],
    canvas: &mut Canvas<'_>,
    rect: Rect,
    background: Option<[u8; 3]>,
    splits: u32,
) {
    if rect.is_empty() {
        return;
    }
    let mut first = None;
    for (index, layer) in layers.iter().enumerate().rev() {
        let hidden = layer.opaque().intersect(rect);
        if hidden == rect {
            first = Some(index);
            break;
        }
        // Splitting pays only if there is something below to be spared.
        if splits > 0 && index > 0 && area(hidden) * SPLIT_WORTH >= area(rect) {
            draw(layers, canvas, hidden, background, splits - 1);
            for part in around(rect, hidden) {
                draw(layers, canvas, part, background, splits - 1);
            }
            return;
        }
    }
    match (first, background) {
        (None, Some(color)) => canvas.fill(rect, color, 255),
        (None, None) => canvas.clear(rect),
        (Some(_), _) => {}
    }
    for layer in &layers[first.unwrap_or(0)..] {
        layer.draw(canvas, rect);
    }
}

impl Prepared {
    /// Where it may show anything now.
    pub(super) fn bounds(&self) -> Rect {
        match &self.content {
            Content::Painter(painter) => painter.bounds().intersect(self.clip),
            Content::Group(_) => self.clip,
        }
    }

    /// Where it hides everything below now; even edges.
    pub(super) fn opaque(&self) -> Rect {
        match &self.content {
            Content::Painter(painter) if self.alpha == 255 => painter.opaque().intersect(self.clip),
            _ => Rect::default(),
        }
    }

    /// The picture that it shows whole and alone, if it is one.
    pub(super) fn whole_picture(&self) -> Option<Placed<'_>> {
        match &self.content {
            Content::Painter(painter) if self.alpha == 255 => painter.whole_picture(),
            _ => None,
        }
    }

    fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect) {
        let seen = self.bounds().intersect(clip);
        if self.alpha == 0 || seen.is_empty() {
            return;
        }
        let pixels = u64::try_from(area(seen)).unwrap_or(0);
        counted(self.cost.as_ref(), pixels, || match &self.content {
            Content::Painter(painter) => {
                painter.draw(canvas, clip.intersect(self.clip), self.alpha);
            }
            Content::Group(group) => {
                let corner = (self.clip.x, self.clip.y);
                group.put(canvas, corner, seen, self.alpha);
            }
        });
    }
}

/// Does `work`, and counts what it costs if that is wanted.
fn counted(cost: Option<&Arc<LayerCost>>, pixels: u64, work: impl FnOnce()) {
    match cost {
        Some(cost) => cost.count(pixels, work),
        None => work(),
    }
}

impl Group {
    /// Layers on a surface as large as `rect`, which has even sides.
    pub(super) fn new(
        layers: Layers,
        rect: Rect,
        effects: &Effects,
        motion: Option<Motion>,
    ) -> Self {
        let surface = Surface::new(rect);
        let pending = Damage::all(surface.rect());
        let (effects, is_stale) = (effects.clone(), true);
        let chroma_key = effects.chroma_key.as_ref().map(key_of);
        let corners = effects.corners.map(|(radius, place)| outside(radius, place, surface.rect()));
        Self { layers, surface, pending, effects, chroma_key, corners, motion, is_stale }
    }

    /// What has to be done to a region once all layers in it are drawn.
    pub(super) fn finish(&self, canvas: &mut Canvas<'_>, rect: Rect) {
        if let Some(key) = &self.chroma_key {
            canvas.chroma_key(rect, key);
        }
        if let Some(corners) = &self.corners {
            canvas.erase(corners, rect);
        }
    }

    /// Bytes of its surface.
    fn cache_bytes(&self) -> usize {
        self.surface.bytes() + self.corners.as_ref().map_or(0, Asset::bytes)
    }

    /// Moves to that programme time. How it is put on what is below if that is all different: it
    /// moves, or is not where its surface is when something in it changes.
    fn moved(&mut self, at: Option<Micros>, is_changed: bool) -> Option<Pose> {
        let motion = self.motion.as_mut()?;
        let was_wiped = motion.wipe().is_some();
        let is_moved = at.is_some_and(|at| motion.advance(at));
        if is_moved && (was_wiped || motion.wipe().is_some()) {
            self.pending = Damage::all(self.surface.rect());
        }
        self.is_stale |= is_moved || is_changed;
        (is_moved || is_changed).then(|| *motion.pose())
    }

    /// Puts the surface on a canvas.
    fn put(&self, canvas: &mut Canvas<'_>, at: (i32, i32), clip: Rect, opacity: u8) {
        let (mut surface, mut at) = (&self.surface, at);
        if let Some(motion) = &self.motion {
            let Pose { dest, seen, offset: (dx, dy), .. } = *motion.pose();
            at = (dest.x + dx, dest.y + dy);
            if let Some(scaled) = motion.scaled.as_ref().filter(|_| motion.is_scaled()) {
                (surface, at) = (scaled, (seen.x + dx, seen.y + dy));
            }
        }
        canvas.surface((surface, self.effects.blend), at, clip, opacity);
    }

    /// Makes what is seen of it in another size.
    fn scale(&mut self) {
        let Some(motion) = &mut self.motion else { return };
        if !motion.is_scaled() || !std::mem::take(&mut self.is_stale) {
            return;
        }
        let Pose { dest, seen, .. } = *motion.pose();
        if let Some(scaled) = &mut motion.scaled {
            resample(&self.surface, (dest, seen), scaled);
        }
    }

    fn render(&mut self, kernels: &'static Kernels, scratch: &mut [u8]) -> u64 {
        let inside = self.layers.render(kernels, scratch);
        let wipe = self.motion.as_ref().and_then(Motion::wipe);
        if wipe.is_some() && !self.pending.is_empty() {
            self.pending = Damage::all(self.surface.rect());
        }
        let mut surface = std::mem::take(&mut self.surface);
        let mut canvas = Canvas::on_surface(&mut surface, kernels, scratch);
        let mut drawn = 0;
        for rect in self.pending.rects() {
            draw(&self.layers.0, &mut canvas, *rect, None, SPLITS_MAX);
            self.finish(&mut canvas, *rect);
            drawn += u64::try_from(area(*rect)).unwrap_or(0);
        }
        if let Some((mask, progress, is_behind)) = wipe.filter(|_| !self.pending.is_empty()) {
            canvas.wipe(mask, progress, is_behind);
        }
        self.surface = surface;
        self.pending = Damage::none(self.surface.rect());
        self.scale();
        inside + drawn
    }
}

/// A key as the kernel takes it.
fn key_of(key: &ChromaKey) -> Key {
    let [_, cb, cr] = bytes(key.color);
    let chroma = [cb, cr].map(|sample| (f32::from(sample) - 128.0) / 224.0);
    let ChromaKey { similarity, smoothness, spill, .. } = *key;
    Key { chroma, similarity, smoothness, spill }
}

/// What of a surface lies outside of a box with round corners, as a picture whose alpha says how
/// much of it.
fn outside(radius: u32, place: Rect, surface: Rect) -> Asset {
    let sides = (place.w.unsigned_abs(), place.h.unsigned_abs());
    let (w, h) = (surface.w.unsigned_abs(), surface.h.unsigned_abs());
    let image = RgbaImage::from_fn(w, h, |x, y| {
        let at = u32::try_from(x.cast_signed() - place.x).ok();
        let at = at.zip(u32::try_from(y.cast_signed() - place.y).ok());
        let at = at.filter(|(x, y)| *x < sides.0 && *y < sides.1);
        Rgba([0, 0, 0, 255 - at.map_or(0, |at| covered(sides, radius, 0, at))])
    });
    Asset::new(&image, (0, 0), surface)
}
