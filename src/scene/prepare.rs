//! Scene loading: from a scene as its author wrote it to one that can be drawn.

use std::path::PathBuf;

use super::color::bytes;
use super::damage::Damage;
use super::error::Error;
use super::model::{Fit, LAYERS_MAX, Layer, Scene, Source, TextStyle};
use super::source::{Input, InputState, Loader, Painter, stand_in};
use super::tick::Tick;
use crate::frame::PictureEvent;
use crate::media::{Micros, Rect, Size};
use crate::ring::Receiver;

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
    /// What its pictures are: a layer of another scene with the same takes them over.
    input: Option<InputKey>,
    pub(super) painter: Painter,
    pub(super) alpha: u8,
}

/// What the pictures of a live or video layer are: whose, and how large. When one scene follows
/// another, a layer of the new one with the same key goes on with the pictures of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputKey {
    layer: String,
    origin: Origin,
    /// Width and height of the box, which the pictures are scaled for.
    sides: (i32, i32),
    fit: Fit,
}

/// Where the pictures of an input come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Live(String),
    Video(PathBuf),
}

impl InputKey {
    /// The key of a live or video layer; other layers have none.
    #[must_use]
    pub fn of(layer: &Layer) -> Option<Self> {
        let origin = match &layer.source {
            Source::Live { stream, .. } => Origin::Live(stream.clone()),
            Source::Video(path) => Origin::Video(path.clone()),
            _ => return None,
        };
        let place = layer.place.even();
        let (sides, fit) = ((place.w, place.h), layer.fit);
        Some(Self { layer: layer.name.clone(), origin, sides, fit })
    }
}

impl PreparedScene {
    /// Loads every file and font of `scene` for a canvas of `size`. Video files are not opened.
    ///
    /// # Errors
    /// The first thing that cannot be shown, with the layer's name and what to do about it.
    pub fn new(scene: &Scene, size: Size) -> Result<Self, Error> {
        let (prepared, faults) = Self::with_placeholders(scene, size)?;
        faults.into_iter().next().map_or(Ok(prepared), Err)
    }

    /// The same with a labelled placeholder in each layer whose picture cannot be shown, and the
    /// built-in font where another cannot be had; what is wrong, at most one fault for each layer.
    ///
    /// # Errors
    /// What no file or font can mend: [`Error::Layers`], [`Error::Duplicate`], [`Error::Layer`].
    pub fn with_placeholders(scene: &Scene, size: Size) -> Result<(Self, Vec<Error>), Error> {
        Self::load(scene, size, Painter::load)
    }

    /// The same without looking at any file or font: each layer that needs one has its placeholder,
    /// with `cause` as what is wrong.
    ///
    /// # Errors
    /// As [`PreparedScene::with_placeholders`].
    pub fn without_files(
        scene: &Scene,
        size: Size,
        cause: &str,
    ) -> Result<(Self, Vec<Error>), Error> {
        Self::load(scene, size, |layer, loader| match needs_file(layer) {
            Some(fault) => Err(fault(cause.to_owned())),
            None => Painter::load(layer, loader),
        })
    }

    fn load(
        scene: &Scene,
        size: Size,
        painter: impl Fn(&Layer, &mut Loader) -> Result<Painter, Error>,
    ) -> Result<(Self, Vec<Error>), Error> {
        if scene.layers.len() > LAYERS_MAX {
            return Err(Error::Layers(scene.layers.len()));
        }
        let mut order: Vec<&Layer> = scene.layers.iter().collect();
        order.sort_by_key(|layer| layer.z);
        let mut loader = Loader::new(size.rect());
        let mut layers: Vec<Prepared> = Vec::with_capacity(order.len());
        let mut faults = Vec::new();
        for layer in order {
            if layers.iter().any(|other| other.name == layer.name) {
                return Err(Error::Duplicate(layer.name.clone()));
            }
            check(layer)?;
            let painter = match painter(layer, &mut loader) {
                Ok(painter) => painter,
                Err(fault @ (Error::File { .. } | Error::Font { .. })) => {
                    let painter = stand_in(layer, &fault, &mut loader)?;
                    faults.push(fault);
                    painter
                }
                Err(error) => return Err(error),
            };
            let (name, input) = (layer.name.clone(), InputKey::of(layer));
            layers.push(Prepared { name, input, painter, alpha: layer.alpha });
        }
        Ok((Self { size, background: bytes(scene.background), layers }, faults))
    }

    /// The live or video layer called `name`.
    pub(super) fn input(&mut self, name: &str) -> Option<&mut Input> {
        let layer = self.layers.iter_mut().find(|layer| layer.name == name)?;
        match &mut layer.painter {
            Painter::Input(input) => Some(input),
            _ => None,
        }
    }

    /// Gives the live or video layer called `layer` its pictures. They stay in the ring until they
    /// are due. A ring that was there before is dropped.
    ///
    /// # Errors
    /// Gives the ring back if the scene has no such layer.
    pub fn attach(
        &mut self,
        layer: &str,
        pictures: Receiver<PictureEvent>,
    ) -> Result<(), Receiver<PictureEvent>> {
        match self.input(layer) {
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
        self.layers.iter_mut().fold(true, |ready, layer| match &mut layer.painter {
            Painter::Input(input) => (input.preroll(now) || !awaited(&layer.name)) && ready,
            _ => ready,
        })
    }

    /// Moves all layers to `tick`; what looks different now.
    pub(super) fn update(&mut self, tick: &Tick) -> Damage {
        let canvas = self.size.rect();
        let (mut seen, mut unseen) = (Damage::none(canvas), Damage::none(canvas));
        for layer in &mut self.layers {
            let changed = if layer.alpha == 0 { &mut unseen } else { &mut seen };
            layer.painter.update(tick, changed);
        }
        seen
    }

    /// Takes over what the layers of `old` receive, where a layer here has the same key.
    pub(super) fn take_inputs(&mut self, old: &mut Self) {
        old.with_successors(self, |from, to| {
            let mut state = InputState::default();
            from.exchange(&mut state);
            to.exchange(&mut state);
        });
    }

    /// Shows in the layers whose pictures `new` has taken over what that shows; adds what may look
    /// different.
    pub(super) fn mirror_inputs(&mut self, new: &mut Self, damage: &mut Damage) {
        self.with_successors(new, |from, to| from.mirror(to, damage));
    }

    fn with_successors(&mut self, new: &mut Self, mut each: impl FnMut(&mut Input, &mut Input)) {
        for from in &mut self.layers {
            let Some(key) = &from.input else { continue };
            let same = |to: &&mut Prepared| to.input.as_ref() == Some(key);
            if let Some(to) = new.layers.iter_mut().find(same)
                && let (Painter::Input(from), Painter::Input(to)) =
                    (&mut from.painter, &mut to.painter)
            {
                each(from, to);
            }
        }
    }
}

/// The fault of a layer whose file or font cannot be had, made from its cause; `None` if it needs
/// neither.
fn needs_file(layer: &Layer) -> Option<impl FnOnce(String) -> Error> {
    let of_font = |style: &TextStyle| style.font.clone().map(|font| (font, true));
    let (what, is_font) = match &layer.source {
        Source::Image(path) => Some((path.display().to_string(), false)),
        Source::Text { style, .. } | Source::Live { style, .. } | Source::Clock(style) => {
            of_font(style)
        }
        Source::Ticker(spec) => of_font(&spec.style),
        _ => None,
    }?;
    let layer = layer.name.clone();
    Some(move |cause| match is_font {
        true => Error::Font { layer, font: what, cause },
        false => Error::File { layer, path: what.into(), cause },
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::model::{Align, Color};

    const PLACE: Rect = Rect { x: 32, y: 16, w: 96, h: 64 };

    fn size() -> Size {
        Size::new(160, 96).unwrap()
    }

    fn scene(sources: Vec<(&str, Source)>) -> Scene {
        let layers = sources.into_iter().map(|(name, source)| Layer {
            name: name.to_owned(),
            source,
            place: PLACE,
            fit: Fit::Contain,
            z: 0,
            alpha: 255,
        });
        Scene { background: Color { r: 0, g: 0, b: 0, a: 255 }, layers: layers.collect() }
    }

    fn text(font: Option<&str>) -> Source {
        let style = TextStyle {
            font: font.map(str::to_owned),
            size: 24.0,
            weight: 400,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align: Align::Left,
        };
        Source::Text { text: "Hello".to_owned(), style }
    }

    #[test]
    fn a_missing_picture_leaves_a_placeholder_at_its_place_and_all_else_as_it_is() {
        let broken = scene(vec![
            ("words", text(None)),
            ("logo", Source::Image("/nowhere/logo.png".into())),
            ("font", text(Some("/nowhere/letters.ttf"))),
        ]);
        let (prepared, faults) = PreparedScene::with_placeholders(&broken, size()).unwrap();
        let layers: Vec<_> = faults.iter().filter_map(Error::layer).collect();
        assert_eq!(layers, ["logo", "font"]);
        let bounds = |index: usize| prepared.layers[index].painter.bounds();
        assert_eq!(bounds(1), PLACE, "the placeholder fills the box");
        assert_eq!(bounds(2), bounds(0), "the text is there, in the built-in font");
        assert!(prepared.layers[1].painter.opaque().is_empty(), "what is below it can be seen");
        let strict = PreparedScene::new(&broken, size()).unwrap_err();
        assert_eq!(strict.layer(), Some("logo"));
    }

    #[test]
    fn what_is_wrong_in_the_text_is_refused_all_the_same() {
        let twice = scene(vec![("a", Source::TestCard), ("a", Source::TestCard)]);
        let refused = PreparedScene::with_placeholders(&twice, size()).unwrap_err();
        assert_eq!(refused, Error::Duplicate("a".to_owned()));
    }

    #[test]
    fn files_that_take_long_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("good.png");
        image::RgbaImage::from_pixel(8, 8, image::Rgba([255; 4])).save(&path).unwrap();
        let good = scene(vec![("logo", Source::Image(path)), ("card", Source::TestCard)]);
        assert!(PreparedScene::new(&good, size()).is_ok());
        let (_, faults) = PreparedScene::without_files(&good, size(), "it takes long").unwrap();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().contains("it takes long"), "{}", faults[0]);
    }
}
