//! Resolved scene: a scene with the scenes inside it and the overlays above it, each layer at its
//! place in pixels.

use std::collections::HashMap;

use super::asset::int32;
use super::error::Error;
use super::keyframes::Tracks;
use super::layer_motion::LayerMotion;
use super::layer_style::{BlendMode, ChromaKey, LayerStyle};
use super::layout::{self, Transform};
use super::model::{
    Arrangement, Color, DRAWN_LAYERS_MAX, DataSource, Fit, LAYERS_MAX, Layer, Scene, Source, Warm,
    single_layers,
};
use super::motion::PlacedMotion;
use super::scaled_source::scaled;
use crate::media::{Rect, Size};

/// How deep groups and scenes may lie in each other. Deeper ones are refused.
const DEPTH_MAX: usize = 8;

/// Farthest from the canvas' corner that a box may begin, pixels.
const PLACE_MAX: i32 = 16_384;

/// Most pixels of a layer that moves, canvases: all of it is kept, also what is not seen.
const MOVING_CANVASES_MAX: i64 = 4;

/// What is beside the canvas in a picture of another shape.
const BLACK: Color = Color { r: 0, g: 0, b: 0, a: 255 };

/// A scene with all that it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedScene {
    pub(super) size: Size,
    pub(super) background: Color,
    /// Lowest first.
    pub(super) layers: Vec<Node>,
    /// The first of `layers` that is an overlay.
    pub(super) overlays_from: usize,
    /// Whether each layer and group says that it is visible, by its whole name.
    pub(super) visible: HashMap<String, bool>,
}

/// A layer at its place.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedLayer {
    /// With the names of the groups and scenes that it is in, such as `panel/title`.
    pub name: String,
    /// What it shows; neither a group nor a scene.
    pub source: Source,
    /// Its box, pixels.
    pub place: Rect,
    /// How the picture fills the box.
    pub fit: Fit,
    /// How large a picture is made that is to stay unscaled: a part of its own size.
    pub scale: f32,
    /// What is done to its picture.
    pub style: LayerStyle,
    /// What its text is bound to.
    pub data: Option<DataSource>,
    /// From when on its input is decoded.
    pub warm: Warm,
}

/// What is done to a surface before it is put on what is below.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Effects {
    pub(super) blend: BlendMode,
    pub(super) chroma_key: Option<ChromaKey>,
    /// Radius of the corners of a box on the surface.
    pub(super) corners: Option<(u32, Rect)>,
}

/// Something that is drawn: a layer, or a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Opacity; 0 if it is not shown.
    pub(super) alpha: u8,
    /// What its group leaves of the canvas; even edges.
    pub(super) clip: Rect,
    pub(super) kind: Kind,
    /// How it moves; only groups do.
    pub(super) motion: Option<Box<PlacedMotion>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are layers")]
pub(super) enum Kind {
    /// A layer.
    Layer(PlacedLayer),
    /// Layers that are drawn on a surface of their own first, which covers the node's `clip`; their
    /// places are counted from its corner.
    Group(Vec<Node>, Effects),
}

impl ResolvedScene {
    /// Resolves `scene` for a canvas of `size`. `find` gives the channel's other scenes by their
    /// names.
    ///
    /// # Errors
    /// What is wrong with the text of the scene, of a scene inside it or of an overlay.
    pub fn new<'a>(
        scene: &'a Scene,
        size: Size,
        overlays: &'a [Layer],
        find: &dyn Fn(&str) -> Option<&'a Scene>,
    ) -> Result<Self, Error> {
        Self::onto(scene, (size, size), overlays, find)
    }

    /// The same drawn at another size, `onto`: all of the canvas, scaled by one factor, in the
    /// middle of black. Positions, letters, borders and speeds are scaled; pictures are made for
    /// the boxes that they have there.
    ///
    /// # Errors
    /// As [`ResolvedScene::new`], and if a box is too small or too large at that size.
    pub fn onto<'a>(
        scene: &'a Scene,
        (size, onto): (Size, Size),
        overlays: &'a [Layer],
        find: &dyn Fn(&str) -> Option<&'a Scene>,
    ) -> Result<Self, Error> {
        let sides = (size.rect().w, size.rect().h);
        let (transform, covered) = layout::inset(onto.rect(), Fit::Contain, sides);
        let mut resolver =
            Resolver { size, onto, find, scenes: Vec::new(), visible: HashMap::new() };
        let whole = Within {
            prefix: String::new(),
            sides,
            transform,
            clip: covered.even().intersect(onto.rect()),
            shown: true,
            arrangement: None,
            depth: 0,
        };
        let (mut layers, mut background) = (Vec::new(), scene.background);
        if whole.clip != onto.rect() {
            layers.push(ground("", background, &whole));
            background = BLACK;
        }
        resolver.add_all(&scene.layers, &whole, &mut layers)?;
        let overlays_from = layers.len();
        let above = Within { prefix: "overlay/".to_owned(), ..whole };
        resolver.add_all(overlays, &above, &mut layers)?;
        Ok(Self { size: onto, background, layers, overlays_from, visible: resolver.visible })
    }

    /// The same of a scene that shows no other, without overlays.
    ///
    /// # Errors
    /// As [`ResolvedScene::new`].
    pub fn alone(scene: &Scene, size: Size) -> Result<Self, Error> {
        Self::new(scene, size, &[], &|_| None)
    }

    /// Whether the overlays of another are the same.
    #[must_use]
    pub fn has_overlays_of(&self, other: &Self) -> bool {
        self.layers.get(self.overlays_from..) == other.layers.get(other.overlays_from..)
    }

    /// The size of its canvas.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// All of its layers, those in groups too.
    #[must_use]
    pub fn layers(&self) -> Vec<&PlacedLayer> {
        let mut all = Vec::new();
        collect(&self.layers, &mut all);
        all
    }
}

fn collect<'a>(nodes: &'a [Node], all: &mut Vec<&'a PlacedLayer>) {
    for node in nodes {
        match &node.kind {
            Kind::Layer(layer) => all.push(layer),
            Kind::Group(nodes, _) => collect(nodes, all),
        }
    }
}

/// How layers that are drawn as one are put on what is below.
struct Surfaced {
    alpha: u8,
    background: Option<Color>,
    effects: Effects,
    motion: Option<Box<PlacedMotion>>,
}

/// What layers lie in.
#[derive(Clone)]
struct Within {
    /// Stands before their names.
    prefix: String,
    /// Its width and height, in the pixels that their places are written in.
    sides: (i32, i32),
    /// From those pixels to the surface's.
    transform: Transform,
    /// What of the surface they may cover.
    clip: Rect,
    shown: bool,
    /// What places them, if their positions do not.
    arrangement: Option<Arrangement>,
    depth: usize,
}

struct Resolver<'a, 'f> {
    size: Size,
    /// What is drawn on.
    onto: Size,
    find: &'f dyn Fn(&str) -> Option<&'a Scene>,
    /// The scenes inside each other that are being resolved, outermost first.
    scenes: Vec<&'a str>,
    /// All layers so far.
    visible: HashMap<String, bool>,
}

impl<'a> Resolver<'a, '_> {
    fn add_all(
        &mut self,
        layers: &'a [Layer],
        within: &Within,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Error> {
        if layers.len() > LAYERS_MAX {
            return Err(Error::Layers(layers.len()));
        }
        let sides = within.sides;
        let mut places: Vec<_> = layers.iter().map(|it| it.place.within(sides)).collect();
        if let Some(arrangement) = within.arrangement {
            let visible = layers.iter().zip(&mut places).filter(|(layer, _)| layer.visible);
            let visible: Vec<_> = visible.map(|(_, place)| place).collect();
            let arranged = layout::arranged(arrangement, visible.len(), sides);
            visible.into_iter().zip(arranged).for_each(|(place, arranged)| *place = arranged);
        }
        let mut order: Vec<_> = layers.iter().zip(places).collect();
        order.sort_by_key(|(layer, _)| layer.z);
        order.into_iter().try_for_each(|(layer, written)| self.add(layer, written, within, nodes))
    }

    fn add(
        &mut self,
        layer: &'a Layer,
        written: Rect,
        within: &Within,
        nodes: &mut Vec<Node>,
    ) -> Result<(), Error> {
        let name = format!("{}{}", within.prefix, layer.name);
        if self.visible.insert(name.clone(), layer.visible).is_some() {
            return Err(Error::Duplicate(name));
        }
        if self.visible.len() > DRAWN_LAYERS_MAX {
            return Err(Error::Drawn);
        }
        check(&name, written)?;
        let place = within.transform.rect(written);
        check(&name, place)?;
        let shown = within.shown && layer.visible;
        let alpha = if shown { layer.alpha } else { 0 };
        let motion = motion(layer, &name, place, within);
        // What moves is drawn whole, wherever it is, and whether it is seen now or not.
        let (kept, is_drawn) = match motion.is_some() {
            true => (place.even(), within.shown),
            false => (within.clip, alpha > 0),
        };
        match &layer.source {
            Source::Group(group) => {
                let inner = Within {
                    prefix: format!("{name}/"),
                    sides: (written.w, written.h),
                    transform: within.transform.moved(written.x, written.y),
                    clip: place.even().intersect(kept),
                    shown: is_drawn,
                    arrangement: group.arrangement,
                    depth: within.depth + 1,
                };
                let effects = effects(&layer.style, place, within);
                let style = Surfaced { alpha, background: None, effects, motion };
                self.add_group(&name, style, (&group.layers, inner), nodes)
            }
            Source::Scene(scene) => {
                let (inner, scene) = self.enter(layer, scene, (&name, place, kept), within)?;
                let inner = Within { shown: is_drawn, ..inner };
                let background = Some(scene.background);
                let effects = effects(&layer.style, place, within);
                let style = Surfaced { alpha, background, effects, motion };
                let added = self.add_group(&name, style, (&scene.layers, inner), nodes);
                self.scenes.pop();
                added
            }
            source => {
                let scale = within.transform.scale();
                let source = scaled(source, scale);
                let style = layer.style.scaled(scale);
                let mut effects = effects(&layer.style, place, within);
                if source.is_still() {
                    effects.corners = None;
                }
                let (fit, data, warm) = (layer.fit, layer.data.clone(), layer.warm);
                let layer = PlacedLayer { name, source, place, fit, scale, style, data, warm };
                if motion.is_some() {
                    let whole = seen_at(&layer);
                    self.check_moving(&layer.name, whole)?;
                    nodes.push(Node { motion, ..alone(layer, alpha, whole, effects) });
                    return Ok(());
                }
                let shown = seen_at(&layer).intersect(within.clip);
                if effects == Effects::default() || shown.is_empty() {
                    let kind = Kind::Layer(layer);
                    nodes.push(Node { alpha, clip: within.clip, kind, motion: None });
                } else {
                    nodes.push(alone(layer, alpha, shown, effects));
                }
                Ok(())
            }
        }
    }

    /// The scene of a layer, and what its layers lie in.
    fn enter(
        &mut self,
        layer: &Layer,
        scene: &'a str,
        (name, place, kept): (&str, Rect, Rect),
        within: &Within,
    ) -> Result<(Within, &'a Scene), Error> {
        if self.scenes.contains(&scene) {
            let way: Vec<_> = self.scenes.iter().chain([&scene]).copied().collect();
            return Err(Error::Circle { layer: name.to_owned(), way: way.join(" > ") });
        }
        let found = (self.find)(scene)
            .ok_or_else(|| Error::NoScene { layer: name.to_owned(), scene: scene.to_owned() })?;
        self.scenes.push(scene);
        let canvas = self.size.rect();
        let (transform, covered) = layout::inset(place, layer.fit, (canvas.w, canvas.h));
        let inner = Within {
            prefix: format!("{name}/"),
            sides: (canvas.w, canvas.h),
            transform,
            clip: covered.even().intersect(kept),
            shown: within.shown,
            arrangement: None,
            depth: within.depth + 1,
        };
        Ok((inner, found))
    }

    /// Layers as one: among those around them where that looks the same, or on a surface.
    fn add_group(
        &mut self,
        name: &str,
        Surfaced { alpha, background, effects, motion }: Surfaced,
        (layers, within): (&'a [Layer], Within),
        nodes: &mut Vec<Node>,
    ) -> Result<(), Error> {
        if within.depth > DEPTH_MAX {
            let advice = format!("groups and scenes lie in each other at most {DEPTH_MAX} deep");
            return Err(Error::Layer { layer: name.to_owned(), advice });
        }
        let ground = |within: &Within| background.map(|color| ground(name, color, within));
        // What mixes with other layers of a group mixes with nothing else.
        let plain = effects == Effects::default() && !blends(layers);
        let motion = motion.filter(|_| !within.clip.is_empty());
        if motion.is_some() {
            self.check_moving(name, within.clip)?;
        } else if alpha == 255 && plain || alpha == 0 || within.clip.is_empty() {
            nodes.extend(ground(&within));
            return self.add_all(layers, &within, nodes);
        }
        let clip = within.clip;
        let (x, y) = (clip.x, clip.y);
        let inside = Within {
            transform: within.transform.shifted(-x, -y),
            clip: Rect { x: 0, y: 0, ..clip },
            ..within
        };
        let mut inner: Vec<_> = ground(&inside).into_iter().collect();
        self.add_all(layers, &inside, &mut inner)?;
        nodes.push(Node { alpha, clip, kind: Kind::Group(inner, effects.on(clip)), motion });
        Ok(())
    }

    /// That the surface of what moves is not too large.
    fn check_moving(&self, name: &str, Rect { w, h, .. }: Rect) -> Result<(), Error> {
        let canvas = i64::from(self.onto.width()) * i64::from(self.onto.height());
        if i64::from(w) * i64::from(h) <= canvas * MOVING_CANVASES_MAX {
            return Ok(());
        }
        let advice = format!(
            "a layer that moves is at most {MOVING_CANVASES_MAX} times as large as the canvas; \
             its box with its shadow is {w}x{h}"
        );
        Err(Error::Layer { layer: name.to_owned(), advice })
    }
}

/// Whether a layer among these goes on what is below by another way than covering it.
fn blends(layers: &[Layer]) -> bool {
    single_layers(layers).iter().any(|layer| layer.style.blend != BlendMode::Over)
}

impl Effects {
    /// The same with places that are counted from the corner of the surface.
    fn on(self, surface: Rect) -> Self {
        let moved = |rect: Rect| Rect { x: rect.x - surface.x, y: rect.y - surface.y, ..rect };
        Self { corners: self.corners.map(|(radius, rect)| (radius, moved(rect))), ..self }
    }
}

/// What a style does to a surface; `place` is the layer's box.
fn effects(style: &LayerStyle, place: Rect, within: &Within) -> Effects {
    let radius = style.scaled(within.transform.scale()).corner_radius;
    let corners = (radius > 0).then_some((radius, place));
    Effects { blend: style.blend, chroma_key: style.chroma_key, corners }
}

/// Where a layer may show anything; even edges.
fn seen_at(layer: &PlacedLayer) -> Rect {
    let Rect { x, y, w, h } = layer.place;
    if layer.style.rotation == 0 && layer.style.shadow.is_none() || !layer.source.is_still() {
        return layer.place.even();
    }
    let shadow = layer
        .style
        .shadow
        .map_or(0, |it| int32(it.blur + it.x.unsigned_abs().max(it.y.unsigned_abs())));
    let reach = if layer.style.rotation == 0 { 0 } else { w.max(h) } + shadow;
    Rect { x: x - reach, y: y - reach, w: w + 2 * reach, h: h + 2 * reach }.even()
}

/// A layer on a surface of its own.
fn alone(mut layer: PlacedLayer, alpha: u8, shown: Rect, effects: Effects) -> Node {
    (layer.place.x, layer.place.y) = (layer.place.x - shown.x, layer.place.y - shown.y);
    let clip = Rect { x: 0, y: 0, ..shown };
    let inner = Node { alpha: 255, clip, kind: Kind::Layer(layer), motion: None };
    Node { alpha, clip: shown, kind: Kind::Group(vec![inner], effects.on(shown)), motion: None }
}

/// The background of a scene inside another.
fn ground(name: &str, color: Color, within: &Within) -> Node {
    let (name, source, place) = (format!("{name}/"), Source::Color(color), within.clip);
    let (fit, scale, style) = (Fit::Fill, 1.0, LayerStyle::default());
    let (data, warm) = (None, Warm::default());
    let layer = PlacedLayer { name, source, place, fit, scale, style, data, warm };
    let alpha = if within.shown { 255 } else { 0 };
    Node { alpha, clip: within.clip, kind: Kind::Layer(layer), motion: None }
}

/// How a layer moves in what it lies in, if it does.
fn motion(layer: &Layer, name: &str, place: Rect, within: &Within) -> Option<Box<PlacedMotion>> {
    let LayerMotion { show, hide, animation } = &layer.motion;
    let relayout = within.arrangement.filter(|it| it.animate.0 > 0);
    if layer.motion == LayerMotion::default() && relayout.is_none() {
        return None;
    }
    let tracks = animation
        .as_ref()
        .map(|animation| (Tracks::new(animation, layer.place, within.sides), within.transform));
    Some(Box::new(PlacedMotion {
        name: name.to_owned(),
        is_visible: layer.visible,
        is_shown: within.shown,
        alpha: layer.alpha,
        place,
        clip: within.clip,
        show: show.clone(),
        hide: hide.clone(),
        tracks,
        relayout: relayout.map(|it| (it.animate, it.easing)),
    }))
}

fn check(name: &str, Rect { x, y, w, h }: Rect) -> Result<(), Error> {
    let side_max = i32::try_from(Size::SIDE_MAX).unwrap_or(i32::MAX);
    let near = -PLACE_MAX..=PLACE_MAX;
    let sides = 1..=side_max;
    if near.contains(&x) && near.contains(&y) && sides.contains(&w) && sides.contains(&h) {
        return Ok(());
    }
    Err(Error::Layer {
        layer: name.to_owned(),
        advice: format!(
            "its box is {w}x{h} at ({x}, {y}); keep sides to 1..={side_max} and corners within \
             {PLACE_MAX} of the canvas' own"
        ),
    })
}
