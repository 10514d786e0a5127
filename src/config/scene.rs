//! Scenes of a channel, `[[channel.scene]]`.

use std::collections::HashMap;

use super::fault::{Faults, quoted};
use super::field::{needed_name, unique};
use super::layer;
use super::section::{Found, Section};
use crate::media::Size;
use crate::scene::{self, Scene};

/// Most scenes of one channel. Further ones are refused.
pub const SCENES_MAX: usize = 32;

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
    let scene = Scene { background: layer::BLACK, layers: Vec::new() };
    vec![NamedScene { name: MAIN.to_owned(), scene }]
}

/// What a channel's table says about its scenes.
pub(super) struct Scenes {
    pub(super) list: Vec<NamedScene>,
    /// Place of the one that begins.
    pub(super) active: usize,
    /// Whether they are the built-in ones.
    pub(super) demo: bool,
}

/// Reads `background` and `layer` (the scene called `main`), `scene` and `active`.
pub(super) fn read_all(s: &mut Section<'_>, faults: &mut Faults<'_>, canvas: Size) -> Scenes {
    let background = s.parsed(faults, "background", layer::color);
    let layers = s.tables(faults, "layer", "[[channel.layer]]");
    let word = s.any("scene").is_some_and(|value| !value.get_ref().is_array());
    let named = word && s.word(faults, "scene", &[("demo", ())]).is_some();
    if named && let Some(first) = layers.first() {
        let line = faults.line(first.span().start);
        let text = format!("`scene` and the [[channel.layer]] at line {line}: keep one of them");
        faults.add(&s.place("scene"), text);
    } else if named && let Some(background) = &background {
        let text = "`background` goes with [[channel.layer]] tables; leave out it or `scene`";
        faults.add(&background.span, text);
    }
    let further = if word { Vec::new() } else { s.tables(faults, "scene", "[[channel.scene]]") };
    let has_main = !layers.is_empty() || background.is_some();
    let demo = named || !has_main && further.is_empty();
    let mut list = Vec::new();
    let mut seen = HashMap::new();
    if demo {
        list = self::demo(canvas);
    } else if has_main {
        let place = layers.first().map_or_else(|| s.place("background"), |l| l.span().clone());
        seen.insert(MAIN.to_owned(), place.start);
        let background = background.map_or(layer::BLACK, |found| found.value);
        let layers = layer::read_all(layers, faults, canvas);
        list.push(NamedScene { name: MAIN.to_owned(), scene: Scene { background, layers } });
    }
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
    Scenes { list, active, demo }
}

fn read(
    mut s: Section<'_>,
    faults: &mut Faults<'_>,
    canvas: Size,
) -> Option<(Found<String>, Scene)> {
    let name = needed_name(&mut s, faults);
    let background = s.parsed(faults, "background", layer::color);
    let layers = s.tables(faults, "layer", "[[channel.scene.layer]]");
    let layers = layer::read_all(layers, faults, canvas);
    s.finish(faults);
    let background = background.map_or(layer::BLACK, |found| found.value);
    Some((name?, Scene { background, layers }))
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
