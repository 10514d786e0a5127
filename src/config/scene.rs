//! Scenes of a channel, `[[channel.scene]]`.

use std::collections::HashMap;

use super::fault::{Faults, quoted};
use super::field::{BLACK, color, needed_name, unique};
use super::layer::{self, Within};
use super::section::{Found, Section};
use super::transition;
use crate::media::Size;
use crate::scene::{self, Error, Layer, ResolvedScene, Scene, Source, Warm, single_layers};

/// Most scenes of one channel. Further ones are refused.
pub const SCENES_MAX: usize = 32;

/// Most inputs of one channel with `warm = "always"`; one that several scenes show at one size is
/// one. Further ones are refused: each is a decoder that always runs.
pub const WARM_INPUTS_MAX: usize = 16;

/// Name of the scene that `[[channel.layer]]` describes.
pub(super) const MAIN: &str = "main";

/// A scene of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedScene {
    /// Unique in its channel.
    pub name: String,
    /// What it shows.
    pub scene: Scene,
}

/// The built-in scenes; the first is the one that begins.
pub(super) fn demo(canvas: Size) -> Vec<NamedScene> {
    let scenes = scene::demo::scenes(canvas).into_iter();
    scenes.map(|(name, scene)| NamedScene { name: name.to_owned(), scene }).collect()
}

/// A scene with nothing in it.
pub(super) fn empty() -> Vec<NamedScene> {
    let scene = Scene { background: BLACK, layers: Vec::new(), transition: None };
    vec![NamedScene { name: MAIN.to_owned(), scene }]
}

/// What a channel's table says about its scenes.
pub(super) struct Scenes {
    pub(super) list: Vec<NamedScene>,
    /// Place of the one that begins.
    pub(super) active: usize,
    /// Whether they are the built-in ones.
    pub(super) demo: bool,
    /// What is above each of them.
    pub(super) overlays: Vec<Layer>,
}

/// What a scene shows on a canvas of this size, drawn at the other size, with the scenes of its
/// channel inside it and the channel's overlays above it.
///
/// # Errors
/// If a scene that it shows is not there, or shows it in turn, or a layer cannot be as it is.
pub fn resolve(
    scene: &Scene,
    sizes: (Size, Size),
    scenes: &[NamedScene],
    overlays: &[Layer],
) -> Result<ResolvedScene, Error> {
    let find = |name: &str| scenes.iter().find(|it| it.name == name).map(|it| &it.scene);
    ResolvedScene::onto(scene, sizes, overlays, &find)
}

/// Reads `background` and `layer` (the scene called `main`), `scene`, `overlay` and `active`.
pub(super) fn read_all(s: &mut Section<'_>, faults: &mut Faults<'_>, canvas: Size) -> Scenes {
    let background = s.parsed(faults, "background", color);
    let first = s.first("layer");
    let within = Within::canvas("[[channel.layer]]", "a scene", canvas);
    let layers = layer::read_all(s, "layer", faults, within);
    let word = s.any("scene").is_some_and(|value| !value.get_ref().is_array());
    let named = word && s.word(faults, "scene", &[("demo", ())]).is_some();
    if named && let Some(first) = &first {
        let line = faults.line(first.start);
        let text = format!("`scene` and the [[channel.layer]] at line {line}: keep one of them");
        faults.add(&s.place("scene"), text);
    } else if named && let Some(background) = &background {
        let text = "`background` goes with [[channel.layer]] tables; leave out it or `scene`";
        faults.add(&background.span, text);
    }
    let further = if word { Vec::new() } else { s.tables(faults, "scene", "[[channel.scene]]") };
    let has_main = first.is_some() || background.is_some();
    let demo = named || !has_main && further.is_empty();
    let mut list = Vec::new();
    let mut seen = HashMap::new();
    if demo {
        list = self::demo(canvas);
    } else if has_main {
        let place = first.unwrap_or_else(|| s.place("background"));
        seen.insert(MAIN.to_owned(), place.start);
        let background = background.map_or(BLACK, |found| found.value);
        let scene = Scene { background, layers, transition: None };
        list.push(NamedScene { name: MAIN.to_owned(), scene });
    }
    let within = Within::canvas("[[channel.overlay]]", "a channel's overlays", canvas);
    let overlays = layer::read_all(s, "overlay", faults, within);
    for section in further {
        if list.len() == SCENES_MAX {
            faults.add(section.span(), format!("a channel has at most {SCENES_MAX} scenes"));
            break;
        }
        if let Some((name, scene)) = read(section, faults, canvas) {
            unique(faults, &mut seen, "a scene with the name", &name);
            list.push(NamedScene { name: name.value, scene });
        }
    }
    let active = read_active(s, faults, &list);
    if let Some(fault) = warm_fault(&list) {
        faults.add(&s.place("scene"), fault);
    }
    for named in &list {
        if let Err(error) = resolve(&named.scene, (canvas, canvas), &list, &overlays) {
            let place = seen.get(&named.name).map_or_else(|| s.place("scene"), |at| *at..*at);
            faults.add(&place, format!("scene {}: {error}", quoted(&named.name)));
        }
    }
    Scenes { list, active, demo, overlays }
}

/// What is wrong with the number of inputs that are always decoded, if there are too many.
#[must_use]
pub fn warm_fault(scenes: &[NamedScene]) -> Option<String> {
    let layers = scenes.iter().flat_map(|named| single_layers(&named.scene.layers));
    let is_warm = |layer: &&Layer| layer.source.is_input() && layer.warm == Warm::Always;
    let mut inputs = Vec::<(&Source, _)>::new();
    for layer in layers.filter(is_warm) {
        let input = (&layer.source, (layer.place.w, layer.place.h, layer.fit));
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    (inputs.len() > WARM_INPUTS_MAX).then(|| {
        format!(
            "`warm`: a channel has at most {WARM_INPUTS_MAX} inputs that are \"always\" decoded, \
             not {}; let others be \"preview\"",
            inputs.len()
        )
    })
}

fn read(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    canvas: Size,
) -> Option<(Found<String>, Scene)> {
    let name = needed_name(&mut s, faults);
    let background = s.parsed(faults, "background", color);
    let within = Within::canvas("[[channel.scene.layer]]", "a scene", canvas);
    let layers = layer::read_all(&mut s, "layer", faults, within);
    let transition = transition::read(&mut s, faults);
    s.finish(faults);
    let background = background.map_or(BLACK, |found| found.value);
    Some((name?, Scene { background, layers, transition }))
}

fn read_active(s: &mut Section<'_>, faults: &mut Faults<'_>, list: &[NamedScene]) -> usize {
    if s.any("active").is_some() && list.is_empty() {
        return 0; // the scenes themselves are wrong
    }
    let find = |name: &str| {
        list.iter().position(|scene| scene.name == name).ok_or_else(|| {
            let known: Vec<_> = list.iter().map(|scene| quoted(&scene.name)).collect();
            format!("{} is no scene of this channel; it has {}", quoted(name), known.join(", "))
        })
    };
    s.parsed(faults, "active", find).map_or(0, |found| found.value)
}
