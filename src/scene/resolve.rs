//! Resolved scene: a scene with the scenes inside it and the overlays above it, each layer at its
//! place in pixels.

use std::collections::HashSet;

use super::asset::int32;
use super::error::Error;
use super::layer_style::{BlendMode, ChromaKey, LayerStyle};
use super::layout::{self, Transform};
use super::model::{
    Arrangement, ClockSpec, Color, DRAWN_LAYERS_MAX, Fit, LAYERS_MAX, Layer, Scene, Source,
    TextStyle, TickerSpec,
};
use crate::media::{Rect, Size};

/// How deep groups and scenes may lie in each other. Deeper ones are refused.
const DEPTH_MAX: usize = 8;

/// Farthest from the canvas' corner that a box may begin, pixels.
const PLACE_MAX: i32 = 16_384;

/// The smallest letters that a scene is scaled to, pixels.
const LETTERS_MIN: f32 = 4.0;

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
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
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
        let mut resolver = Resolver { size, find, scenes: Vec::new(), names: HashSet::new() };
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
        Ok(Self { size: onto, background, layers, overlays_from })
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

impl Scene {
    /// Whether it shows the scene called `name` inside it, or inside one that it shows.
    #[must_use]
    pub fn shows<'a>(&'a self, name: &str, find: &dyn Fn(&str) -> Option<&'a Self>) -> bool {
        let mut seen = HashSet::new();
        let mut to_see = vec![self];
        while let Some(scene) = to_see.pop() {
            for inner in scene.inner_scenes() {
                if inner == name {
                    return true;
                }
                if seen.insert(inner) {
                    to_see.extend(find(inner));
                }
            }
        }
        false
    }

    /// The names of the scenes that its layers show.
    #[must_use]
    pub fn inner_scenes(&self) -> Vec<&str> {
        inner_scenes(&self.layers)
    }
}

/// The names of the scenes that these layers show.
#[must_use]
pub fn inner_scenes(layers: &[Layer]) -> Vec<&str> {
    let mut names = Vec::new();
    for layer in layers {
        match &layer.source {
            Source::Scene(name) => names.push(name.as_str()),
            Source::Group(group) => names.extend(inner_scenes(&group.layers)),
            _ => {}
        }
    }
    names
}

fn collect<'a>(nodes: &'a [Node], all: &mut Vec<&'a PlacedLayer>) {
    for node in nodes {
        match &node.kind {
            Kind::Layer(layer) => all.push(layer),
            Kind::Group(nodes, _) => collect(nodes, all),
        }
    }
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
    find: &'f dyn Fn(&str) -> Option<&'a Scene>,
    /// The scenes inside each other that are being resolved, outermost first.
    scenes: Vec<&'a str>,
    /// Of all layers so far.
    names: HashSet<String>,
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
        if !self.names.insert(name.clone()) {
            return Err(Error::Duplicate(name));
        }
        if self.names.len() > DRAWN_LAYERS_MAX {
            return Err(Error::Drawn);
        }
        check(&name, written)?;
        let place = within.transform.rect(written);
        check(&name, place)?;
        let shown = within.shown && layer.visible;
        let alpha = if shown { layer.alpha } else { 0 };
        match &layer.source {
            Source::Group(group) => {
                let inner = Within {
                    prefix: format!("{name}/"),
                    sides: (written.w, written.h),
                    transform: within.transform.moved(written.x, written.y),
                    clip: place.even().intersect(within.clip),
                    shown: alpha > 0,
                    arrangement: group.arrangement,
                    depth: within.depth + 1,
                };
                let effects = effects(&layer.style, place, within);
                self.add_group(&name, (alpha, None, effects), (&group.layers, inner), nodes)
            }
            Source::Scene(scene) => {
                let (inner, scene) = self.enter(layer, scene, (&name, place), within)?;
                let inner = Within { shown: alpha > 0, ..inner };
                let background = Some(scene.background);
                let effects = effects(&layer.style, place, within);
                let style = (alpha, background, effects);
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
                let layer = PlacedLayer { name, source, place, fit: layer.fit, scale, style };
                let shown = seen_at(&layer).intersect(within.clip);
                if effects == Effects::default() || shown.is_empty() {
                    nodes.push(Node { alpha, clip: within.clip, kind: Kind::Layer(layer) });
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
        (name, place): (&str, Rect),
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
            clip: covered.even().intersect(within.clip),
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
        (alpha, background, effects): (u8, Option<Color>, Effects),
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
        if alpha == 255 && plain || alpha == 0 || within.clip.is_empty() {
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
        nodes.push(Node { alpha, clip, kind: Kind::Group(inner, effects.on(clip)) });
        Ok(())
    }
}

/// Whether a layer among these goes on what is below by another way than covering it.
fn blends(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| match &layer.source {
        Source::Group(group) => blends(&group.layers),
        _ => layer.style.blend != BlendMode::Over,
    })
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
    let inner = Node { alpha: 255, clip, kind: Kind::Layer(layer) };
    Node { alpha, clip: shown, kind: Kind::Group(vec![inner], effects.on(shown)) }
}

/// The background of a scene inside another.
fn ground(name: &str, color: Color, within: &Within) -> Node {
    let layer = PlacedLayer {
        name: format!("{name}/"),
        source: Source::Color(color),
        place: within.clip,
        fit: Fit::Fill,
        scale: 1.0,
        style: LayerStyle::default(),
    };
    let alpha = if within.shown { 255 } else { 0 };
    Node { alpha, clip: within.clip, kind: Kind::Layer(layer) }
}

/// A source as it is when its scene is shown at another size.
fn scaled(source: &Source, scale: f32) -> Source {
    let mut source = source.clone();
    if (scale - 1.0).abs() < f32::EPSILON {
        return source;
    }
    let letters = |style: &mut TextStyle| style.size = (style.size * scale).max(LETTERS_MIN);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = |pixels: u32| (f64::from(pixels) * f64::from(scale)).round() as u32;
    match &mut source {
        Source::Text { style, text_box, .. } => {
            letters(style);
            text_box.padding = whole(text_box.padding);
            if let Some(outline) = &mut text_box.outline {
                outline.width = whole(outline.width).max(1);
            }
        }
        Source::Live { style, .. }
        | Source::Frames { style, .. }
        | Source::Clock(ClockSpec { style, .. }) => letters(style),
        Source::Ticker(TickerSpec { style, speed, gap, .. }) => {
            letters(style);
            *speed = whole(*speed).max(1);
            *gap = gap.map(whole);
        }
        _ => {}
    }
    source
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
