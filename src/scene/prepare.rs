//! Scene loading: from a scene as its author wrote it to one that can be drawn.

use std::collections::HashMap;
use std::sync::Arc;

use super::asset_cache::AssetCache;
use super::canvas::Canvas;
use super::color::bytes;
use super::damage::Damage;
use super::error::Error;
use super::fonts::Fonts;
use super::input_key::InputKey;
use super::kernel::Kernels;
use super::layers::{Content, Group, Layers, Prepared};
use super::motion::Motion;
use super::needed_file::needs_file;
use super::resolve::{Kind, Node, PlacedLayer, ResolvedScene};
use super::source::{InputState, Loader, Painter, stand_in};
use super::tick::Tick;
use crate::frame::{Frame, PictureEvent};
use crate::media::{Micros, Size};
use crate::ring::Receiver;
use crate::stats::{LayerCost, Timer};

/// A scene with everything loaded, ready to be swapped in at one tick. Loading may take seconds,
/// and so may dropping one: do both away from the compose core.
#[derive(Debug)]
pub struct PreparedScene {
    pub(super) size: Size,
    pub(super) background: [u8; 3],
    /// Those of the scene, and from `overlays_from` on those above whatever scene there is.
    pub(super) layers: Layers,
    overlays_from: usize,
    visible: HashMap<String, bool>,
    /// A row as wide as the widest that is drawn on, for a composer that has a shorter one.
    pub(super) scratch: Box<[u8]>,
}

impl PreparedScene {
    /// Loads every file and font of `scene`. Video files are not opened.
    ///
    /// # Errors
    /// The first thing that cannot be shown, with the layer's name and what to do about it.
    pub fn new(scene: &ResolvedScene) -> Result<Self, Error> {
        let (prepared, faults) = Self::with_placeholders(scene)?;
        faults.into_iter().next().map_or(Ok(prepared), Err)
    }

    /// The same with a labelled placeholder in each layer whose picture cannot be shown, and the
    /// built-in font where another cannot be had; what is wrong, at most one fault for each layer.
    ///
    /// # Errors
    /// What no file or font can mend: [`Error::Layer`].
    pub fn with_placeholders(scene: &ResolvedScene) -> Result<(Self, Vec<Error>), Error> {
        Self::load(scene, Loader::new(scene.size.rect()), &uncached).map(|(made, ..)| made)
    }

    /// The same with sources of a cache, which keeps what is loaded for it.
    ///
    /// # Errors
    /// As [`PreparedScene::with_placeholders`].
    pub fn with_cache(
        scene: &ResolvedScene,
        cache: &AssetCache,
    ) -> Result<(Self, Vec<Error>), Error> {
        let mut loader = Loader::new(scene.size.rect());
        loader.fonts = cache.take_fonts();
        let (made, fonts) = Self::load(scene, loader, &|layer, loader| {
            cache.painter(layer, loader.canvas, || Painter::load(layer, loader))
        })?;
        fonts.into_iter().for_each(|fonts| cache.keep_fonts(fonts));
        Ok(made)
    }

    /// The same without looking at any file or font: each layer that needs one has its placeholder,
    /// with `cause` as what is wrong.
    ///
    /// # Errors
    /// As [`PreparedScene::with_placeholders`].
    pub fn without_files(scene: &ResolvedScene, cause: &str) -> Result<(Self, Vec<Error>), Error> {
        let loader = Loader::new(scene.size.rect());
        let made = Self::load(scene, loader, &|layer, loader| match needs_file(layer) {
            Some(fault) => Err(fault(cause.to_owned())),
            None => uncached(layer, loader),
        });
        made.map(|(made, _)| made)
    }

    /// Loads every source with `painter`; the scene with what is wrong, and the fonts.
    fn load(
        scene: &ResolvedScene,
        mut loader: Loader,
        painter: &LoadPainter<'_>,
    ) -> Result<(Loaded, Option<Fonts>), Error> {
        let mut faults = Vec::new();
        let layers = load_all(&scene.layers, painter, &mut loader, &mut faults)?;
        let background = bytes(scene.background);
        let ResolvedScene { size, overlays_from, .. } = *scene;
        let visible = scene.visible.clone();
        let scratch = vec![0; layers.width_max().max(size.width() as usize)].into_boxed_slice();
        let scene = Self { size, background, layers, overlays_from, visible, scratch };
        Ok(((scene, faults), loader.fonts))
    }

    /// Gives the live, video or frames layer called `layer` its pictures. They stay in the ring
    /// until they are due. A ring that was there before is dropped.
    ///
    /// # Errors
    /// Gives the ring back if the scene has no such layer.
    pub fn attach(
        &mut self,
        layer: &str,
        pictures: Receiver<PictureEvent>,
    ) -> Result<(), Receiver<PictureEvent>> {
        match self.layers.find_input(&|name, _| name == layer) {
            Some(input) => {
                input.attach(pictures);
                Ok(())
            }
            None => Err(pictures),
        }
    }

    /// Lets the inputs take what is due at `now`, before the scene is shown, so that it begins with
    /// pictures. Whether all that are `awaited`, by the names of their layers, have some now, and
    /// some for later.
    pub fn preroll(&mut self, now: Micros, awaited: impl Fn(&str) -> bool) -> bool {
        let mut ready = true;
        self.layers.each_input(&mut |name, _, input| {
            ready &= input.preroll(now) || !awaited(name);
        });
        ready
    }

    /// Inputs have received nothing, and take nothing until they are given pictures anew.
    pub fn forget_pictures(&mut self) {
        self.layers.each_input(&mut |_, _, input| input.exchange(&mut InputState::default()));
    }

    /// Counts from now on what each layer costs, by this timer; where, lowest layer first. Layers
    /// of names that are `known` go on with their counts.
    #[must_use]
    pub fn measure(&mut self, timer: &Timer, known: &[Arc<LayerCost>]) -> Vec<Arc<LayerCost>> {
        let mut costs = Vec::new();
        self.layers.measure((timer, known), &mut costs);
        costs
    }

    /// Moves all layers to `tick`; what looks different now.
    pub(super) fn update(&mut self, tick: &Tick) -> Damage {
        let mut damage = Damage::none(self.size.rect());
        self.layers.update(tick, &mut damage);
        damage
    }

    /// Takes over what the layers of `old` receive, where a layer here has the same key.
    pub(super) fn take_inputs(&mut self, old: &mut Self) {
        old.layers.each_input(&mut |_, key, from| {
            let is_same = |_: &str, other: Option<&InputKey>| key.is_some() && other == key;
            if let Some(to) = self.layers.find_input(&is_same) {
                let mut state = InputState::default();
                from.exchange(&mut state);
                to.exchange(&mut state);
            }
        });
    }

    /// Goes on with the motion of layers of the same names. Where `old` gives way to this at once,
    /// what is different of them begins to change.
    pub(super) fn follow(&mut self, old: &Self, changes: bool) {
        self.layers.each_motion(&mut |motion| {
            if let Some(old) = old.layers.find_motion(motion.name()) {
                motion.follow(old, changes);
            } else if let Some(was_visible) = old.visible.get(motion.name())
                && changes
            {
                motion.begin(*was_visible);
            }
        });
    }

    /// Goes on with what of `old` looks the same, once it has taken its inputs; where the two may
    /// differ.
    pub(super) fn reuse(&mut self, old: &mut Self) -> Damage {
        match self.background == old.background {
            true => self.layers.reuse(&mut old.layers, self.size.rect()),
            false => Damage::all(self.size.rect()),
        }
    }

    /// Draws what lies in `damage`, with overlays or without; luma pixels drawn.
    pub(super) fn redraw(
        &mut self,
        frame: &mut Frame,
        (damage, with_overlays): (&Damage, bool),
        kernels: &'static Kernels,
        scratch: &mut [u8],
    ) -> u64 {
        let inside = self.layers.render(kernels, scratch);
        let mut canvas = Canvas::on_frame(frame, kernels, scratch);
        let count = if with_overlays { usize::MAX } else { self.overlays_from };
        inside + self.layers.redraw(count, &mut canvas, damage, self.background)
    }

    /// Draws the overlays on what is there.
    pub(super) fn draw_overlays(
        &self,
        frame: &mut Frame,
        (kernels, scratch): (&'static Kernels, &mut [u8]),
    ) {
        let mut canvas = Canvas::on_frame(frame, kernels, scratch);
        self.layers.draw_above(self.overlays_from, &mut canvas, self.size.rect());
    }
}

/// A scene, and what of it cannot be shown.
type Loaded = (PreparedScene, Vec<Error>);

/// Loads a source; with its number, if it is in a cache.
type LoadPainter<'a> =
    dyn Fn(&PlacedLayer, &mut Loader) -> Result<(Painter, Option<u64>), Error> + 'a;

fn uncached(layer: &PlacedLayer, loader: &mut Loader) -> Result<(Painter, Option<u64>), Error> {
    Ok((Painter::load(layer, loader)?, None))
}

fn load_all(
    nodes: &[Node],
    painter: &LoadPainter<'_>,
    loader: &mut Loader,
    faults: &mut Vec<Error>,
) -> Result<Layers, Error> {
    let mut layers = Vec::with_capacity(nodes.len());
    for Node { alpha, clip, kind, motion } in nodes {
        let (mut alpha, mut clip) = (*alpha, *clip);
        let (name, input, source, content) = match kind {
            Kind::Layer(layer) => {
                // Nothing outside is kept.
                loader.canvas = clip;
                let (painter, source) = match painter(layer, loader) {
                    Ok(loaded) => loaded,
                    Err(fault @ (Error::File { .. } | Error::Font { .. })) => {
                        let painter = stand_in(layer, &fault, loader)?;
                        faults.push(fault);
                        (painter, None)
                    }
                    Err(error) => return Err(error),
                };
                (layer.name.clone(), InputKey::of(layer), source, Content::Painter(painter))
            }
            Kind::Group(nodes, effects) => {
                let inside = load_all(nodes, painter, loader, faults)?;
                let motion = motion.as_deref().map(|it| Motion::new(it.clone(), clip));
                let group = Group::new(inside, clip, effects, motion);
                if let Some(motion) = &group.motion {
                    (alpha, clip) = (motion.pose().alpha, motion.pose().seen);
                }
                (String::new(), None, None, Content::Group(Box::new(group)))
            }
        };
        layers.push(Prepared { name, input, source, content, alpha, clip, cost: None });
    }
    Ok(Layers(layers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;
    use crate::scene::model::{Align, Color, Layer, Scene, Source, TextBox, TextStyle};

    const PLACE: Rect = Rect { x: 32, y: 16, w: 96, h: 64 };

    fn size() -> Size {
        Size::new(160, 96).unwrap()
    }

    fn scene(sources: Vec<(&str, Source)>) -> ResolvedScene {
        let layers = sources
            .into_iter()
            .map(|(name, source)| Layer { place: PLACE.into(), ..Layer::new(name, source) });
        let background = Color { r: 0, g: 0, b: 0, a: 255 };
        ResolvedScene::alone(
            &Scene { background, layers: layers.collect(), transition: None },
            size(),
        )
        .unwrap()
    }

    fn text(font: Option<&str>) -> Source {
        let style = TextStyle {
            font: font.map(str::to_owned),
            fallback_fonts: Vec::new(),
            size: 24.0,
            weight: 400,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align: Align::Left,
        };
        Source::Text { text: "Hello".to_owned(), style, text_box: TextBox::default() }
    }

    #[test]
    fn a_missing_picture_leaves_a_placeholder_at_its_place_and_all_else_as_it_is() {
        let broken = scene(vec![
            ("words", text(None)),
            ("logo", Source::Image("/nowhere/logo.png".into())),
            ("font", text(Some("/nowhere/letters.ttf"))),
        ]);
        let (prepared, faults) = PreparedScene::with_placeholders(&broken).unwrap();
        let layers: Vec<_> = faults.iter().filter_map(Error::layer).collect();
        assert_eq!(layers, ["logo", "font"]);
        let bounds = |index: usize| prepared.layers.0[index].bounds();
        assert_eq!(bounds(1), PLACE, "the placeholder fills the box");
        assert_eq!(bounds(2), bounds(0), "the text is there, in the built-in font");
        assert!(prepared.layers.0[1].opaque().is_empty(), "what is below it can be seen");
        let strict = PreparedScene::new(&broken).unwrap_err();
        assert_eq!(strict.layer(), Some("logo"));
    }

    #[test]
    fn a_spoilt_font_costs_its_own_layer_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters.ttf");
        let letters =
            [("Arabic", "\u{645}\u{628}"), ("Devanagari", "\u{928}\u{92e}\u{94d}\u{938}")];
        let mut random = 1_u32;
        for (name, letters) in letters.into_iter().chain([("Emoji", "\u{1f600}\u{26bd}")]) {
            let kind = if name == "Emoji" { "Color" } else { "Sans" };
            let whole = std::fs::read(format!("examples/fonts/Noto{kind}{name}.ttf")).unwrap();
            for round in 0..60 {
                let mut next = || {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    usize::try_from(random >> 8).unwrap()
                };
                let mut bytes = whole.clone();
                if round % 2 == 0 {
                    bytes.truncate(next() % whole.len());
                } else {
                    for _ in 0..64 {
                        let at = next()
                            % bytes.len().min(if round % 4 == 1 { 4_096 } else { usize::MAX });
                        bytes[at] = u8::try_from(next() & 255).unwrap();
                    }
                }
                std::fs::write(&path, &bytes).unwrap();
                let Source::Text { style, text_box, .. } = text(path.to_str()) else { panic!() };
                let spoilt = Source::Text { text: letters.to_owned(), style, text_box };
                let scene = scene(vec![("spoilt", spoilt), ("words", text(None))]);
                let (prepared, faults) = PreparedScene::with_placeholders(&scene).unwrap();
                assert!(faults.iter().all(|fault| fault.layer() == Some("spoilt")), "{faults:?}");
                assert!(!prepared.layers.0[1].bounds().is_empty());
            }
        }
    }

    #[test]
    fn fonts_that_stand_in_are_among_the_files_of_a_scene() {
        let Source::Text { text, mut style, text_box } = text(None) else { panic!() };
        style.fallback_fonts = vec!["b.ttf".to_owned(), "A Family".to_owned(), "a.ttf".to_owned()];
        let words = Source::Text { text, style, text_box };
        assert_eq!(
            scene(vec![("words", words)]).files(),
            ["a.ttf", "b.ttf"].map(std::path::PathBuf::from)
        );
    }

    #[test]
    fn files_that_take_long_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("good.png");
        image::RgbaImage::from_pixel(8, 8, image::Rgba([255; 4])).save(&path).unwrap();
        let good = scene(vec![("logo", Source::Image(path)), ("card", Source::TestCard)]);
        assert!(PreparedScene::new(&good).is_ok());
        let (_, faults) = PreparedScene::without_files(&good, "it takes long").unwrap();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().contains("it takes long"), "{}", faults[0]);
    }
}
