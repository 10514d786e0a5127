//! Scene library: what one channel can show, as a loading thread sees it.

use crate::config::{NamedScene, resolve};
use crate::media::Size;
use crate::scene::{Color, Layer, ResolvedScene, Scene, Source};

/// The background of a stack of overlays, which nobody sees.
const BLACK: Color = Color { r: 0, g: 0, b: 0, a: 255 };

/// What somebody writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The scene of this name.
    Scene(String),
    /// The overlays.
    Overlays,
}

/// What a channel can show.
#[derive(Clone, Debug)]
pub(super) struct Library {
    pub(super) size: Size,
    /// What its scenes are drawn at besides.
    pub(super) natives: Vec<Size>,
    pub(super) scenes: Vec<NamedScene>,
    pub(super) overlays: Vec<Layer>,
    /// Name of the scene on the air.
    pub(super) active: String,
}

/// What is on the air.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OnAir {
    /// On the canvas.
    pub(super) scene: ResolvedScene,
    /// At each other size that it is drawn at.
    pub(super) natives: Vec<ResolvedScene>,
}

impl OnAir {
    /// At every size, that of the canvas first.
    pub(super) fn sizes(&self) -> impl Iterator<Item = &ResolvedScene> {
        std::iter::once(&self.scene).chain(&self.natives)
    }
}

/// A stack of overlays in the form of a scene.
pub(super) const fn stack(layers: Vec<Layer>) -> Scene {
    Scene { background: BLACK, layers, transition: None }
}

impl Library {
    /// Takes a scene, or overlays in the form of one, in the place of what was.
    pub(super) fn put(&mut self, target: &Target, scene: &Scene) {
        let Target::Scene(name) = target else {
            self.overlays.clone_from(&scene.layers);
            return;
        };
        let named = NamedScene { name: name.clone(), scene: scene.clone() };
        match self.scenes.iter().position(|it| it.name == *name) {
            Some(place) => self.scenes[place] = named,
            None => self.scenes.push(named),
        }
    }

    /// Whether there is such a layer, such as `panel/title` for one in a group.
    pub(super) fn has_layer(&self, target: &Target, layer: &str) -> bool {
        fn has(layers: &[Layer], name: &str) -> bool {
            layers.iter().any(|layer| match (name.strip_prefix(&layer.name), &layer.source) {
                (Some(""), _) => true,
                (Some(rest), Source::Group(group)) => {
                    rest.strip_prefix('/').is_some_and(|inner| has(&group.layers, inner))
                }
                _ => false,
            })
        }
        match target {
            Target::Scene(name) => {
                self.scenes.iter().any(|it| it.name == *name && has(&it.scene.layers, layer))
            }
            Target::Overlays => has(&self.overlays, layer),
        }
    }

    /// What is on the air.
    pub(super) fn on_air(&self) -> Result<OnAir, Vec<String>> {
        let active = self.scenes.iter().find(|it| it.name == self.active);
        let nothing = stack(Vec::new());
        self.drawn(active.map_or(&nothing, |it| &it.scene))
    }

    /// The scene of this name as it is drawn on the air; nothing if there is none.
    pub(super) fn named(&self, name: &str) -> Option<Result<OnAir, Vec<String>>> {
        let scene = self.scenes.iter().find(|it| it.name == name)?;
        Some(self.drawn(&scene.scene))
    }

    /// A scene as it is drawn on the air.
    pub(super) fn drawn(&self, scene: &Scene) -> Result<OnAir, Vec<String>> {
        let at = |size: &Size| self.resolved(scene, *size, &self.overlays);
        let natives = self.natives.iter().map(at).collect::<Result<_, _>>()?;
        Ok(OnAir { scene: at(&self.size)?, natives })
    }

    /// The scene of this name with the overlays, drawn at this size; nothing if there is no such
    /// scene.
    pub(super) fn drawn_at(&self, name: &str, size: Size) -> Result<ResolvedScene, Vec<String>> {
        let nothing = stack(Vec::new());
        let scene = self.scenes.iter().find(|it| it.name == name);
        self.resolved(scene.map_or(&nothing, |it| &it.scene), size, &self.overlays)
    }

    /// Whether the scene on the air or an overlay shows this.
    pub(super) fn shows(&self, target: &Target) -> bool {
        if *target == Target::Overlays {
            return true;
        }
        let overlays = stack(self.overlays.clone());
        let mut above = overlays.inner_scenes().into_iter();
        self.scene_shows(&self.active, target) || above.any(|it| self.scene_shows(it, target))
    }

    /// Whether the scene of this name is, or shows, that one.
    pub(super) fn scene_shows(&self, name: &str, target: &Target) -> bool {
        let Target::Scene(other) = target else { return false };
        let find = |name: &str| self.scenes.iter().find(|it| it.name == name).map(|it| &it.scene);
        name == other || find(name).is_some_and(|scene| scene.shows(other, &find))
    }

    /// A scene by itself on the canvas, with those that it shows.
    pub(super) fn alone(&self, scene: &Scene) -> Result<ResolvedScene, Vec<String>> {
        self.resolved(scene, self.size, &[])
    }

    fn resolved(
        &self,
        scene: &Scene,
        onto: Size,
        overlays: &[Layer],
    ) -> Result<ResolvedScene, Vec<String>> {
        let resolved = resolve(scene, (self.size, onto), &self.scenes, overlays);
        resolved.map_err(|error| vec![error.to_string()])
    }
}
