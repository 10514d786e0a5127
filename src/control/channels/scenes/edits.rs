//! Edits of what a channel can show, which are all made or none: by one request for a scene or for
//! the overlays, or by a transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::library::{Library, Target, stack};
use crate::config::merge;
use crate::config::{
    NamedScene, SCENES_MAX, checked_name, from_document, overlays_from_document,
    overlays_to_document, to_document, warm_fault,
};
use crate::scene::{ResolvedScene, Scene};

/// Merge patches (RFC 7396) of layers by their names, such as `panel/title` for one in a group.
pub(super) type LayerKeys = BTreeMap<String, Map<String, Value>>;

/// What becomes of scenes and overlays.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits {
    /// New documents; `None` forgets the scene.
    pub(super) scenes: BTreeMap<String, Option<Value>>,
    /// Keys of layers of scenes.
    pub(super) layers: BTreeMap<String, LayerKeys>,
    pub(super) overlays: Option<Value>,
    pub(super) overlay_layers: LayerKeys,
    /// The scene that is on the air then; as before if nothing is said.
    pub(super) active: Option<String>,
    /// Whether what is wrong is told with the path of its field in a transaction.
    pub(super) has_paths: bool,
}

/// What edits came to.
#[derive(Debug, Default)]
pub(super) struct Edited {
    /// In the form of scenes.
    pub(super) becomes: Vec<(Target, Scene)>,
    pub(super) gone: Vec<String>,
    /// Each that was changed, resolved by itself, after its path in a transaction.
    pub(super) resolved: Vec<(String, ResolvedScene)>,
}

impl Edits {
    /// That one thing becomes what a document says.
    pub(super) fn of(target: &Target, document: Value) -> Self {
        match target {
            Target::Scene(name) => {
                Self { scenes: [(name.clone(), Some(document))].into(), ..Self::default() }
            }
            Target::Overlays => Self { overlays: Some(document), ..Self::default() },
        }
    }

    /// That keys of one layer become what a merge patch says.
    pub(super) fn of_layer(target: Target, layer: String, keys: Map<String, Value>) -> Self {
        let layers = LayerKeys::from([(layer, keys)]);
        match target {
            Target::Scene(name) => Self { layers: [(name, layers)].into(), ..Self::default() },
            Target::Overlays => Self { overlay_layers: layers, ..Self::default() },
        }
    }

    /// Makes them, in a library that is of no more use if something is wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn make(&self, library: &mut Library) -> Result<Edited, Vec<String>> {
        let (mut edited, mut faults) = (Edited::default(), Vec::new());
        let named: BTreeSet<_> = self.scenes.keys().chain(self.layers.keys()).collect();
        for name in named {
            match self.scene(name, library) {
                Ok(Some(scene)) => edited.becomes.push((Target::Scene(name.clone()), scene)),
                Ok(None) => edited.gone.push(name.clone()),
                Err(found) => faults.extend(found),
            }
        }
        match self.stack(library) {
            Ok(Some(layers)) => edited.becomes.push((Target::Overlays, layers)),
            Ok(None) => {}
            Err(found) => faults.extend(found),
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        library.scenes.retain(|it| !edited.gone.contains(&it.name));
        for (target, scene) in &edited.becomes {
            library.put(target, scene);
        }
        if let Some(active) = &self.active {
            library.active.clone_from(active);
        }
        self.check(library)?;
        let path_of = |target: &Target| match target {
            Target::Scene(name) => format!("scenes.{name}"),
            Target::Overlays => "overlays".to_owned(),
        };
        for (target, scene) in &edited.becomes {
            let path = path_of(target);
            let resolved = library.alone(scene);
            let resolved = resolved.map_err(|faults| self.at(&path, faults))?;
            edited.resolved.push((path, resolved));
        }
        let has_overlays = edited.becomes.iter().any(|(target, _)| *target == Target::Overlays);
        for NamedScene { name, scene } in &library.scenes {
            let changed = |(target, _): &(Target, Scene)| library.scene_shows(name, target);
            if !has_overlays && !edited.becomes.iter().any(changed) {
                continue;
            }
            let drawn = library.drawn(scene);
            drawn.map_err(|faults| self.at(&format!("scenes.{name}"), faults))?;
        }
        Ok(edited)
    }

    /// That all names are names of what is there when they are made.
    fn check(&self, library: &Library) -> Result<(), Vec<String>> {
        let names: HashSet<_> = library.scenes.iter().map(|it| it.name.as_str()).collect();
        let mut faults = Vec::new();
        if !names.contains(library.active.as_str()) {
            faults.push(format!("active: there is no scene {}; name another", library.active));
        }
        if library.scenes.len() > SCENES_MAX {
            faults.push(format!("scenes: a channel has at most {SCENES_MAX}: take some out"));
        }
        faults.extend(warm_fault(&library.scenes));
        let new = self.scenes.iter().filter(|(_, document)| document.is_some());
        faults.extend(new.filter_map(|(name, _)| checked_name(name).err()));
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What a scene becomes; `None` if it is forgotten.
    fn scene(&self, name: &str, library: &Library) -> Result<Option<Scene>, Vec<String>> {
        let known = library.scenes.iter().find(|it| it.name == name);
        let missing = |path: &str| vec![format!("{path}.{name}: there is no such scene")];
        let mut document = match (self.scenes.get(name), known) {
            (Some(Some(document)), _) => document.clone(),
            (Some(None), Some(_)) => return Ok(None),
            (Some(None), None) => return Err(missing("scenes")),
            (None, Some(NamedScene { scene, .. })) => to_document(scene),
            (None, None) => return Err(missing("layers")),
        };
        let mut path = format!("scenes.{name}");
        if let Some(layers) = self.layers.get(name) {
            path = format!("layers.{name}");
            patch(&mut document, "layer", layers, &path)?;
        }
        let scene = from_document(&document, library.size);
        scene.map(Some).map_err(|faults| self.at(&path, faults))
    }

    /// What the overlays become, in the form of a scene.
    fn stack(&self, library: &Library) -> Result<Option<Scene>, Vec<String>> {
        if self.overlays.is_none() && self.overlay_layers.is_empty() {
            return Ok(None);
        }
        let now = || overlays_to_document(&library.overlays);
        let mut document = self.overlays.clone().unwrap_or_else(now);
        let is_patched = !self.overlay_layers.is_empty();
        let path = if is_patched { "overlay_layers" } else { "overlays" };
        patch(&mut document, "overlay", &self.overlay_layers, path)?;
        let overlays = overlays_from_document(&document, library.size);
        overlays.map(|layers| Some(stack(layers))).map_err(|faults| self.at(path, faults))
    }

    /// Puts the path of what is wrong before it, if this is a transaction.
    pub(super) fn at(&self, path: &str, faults: Vec<String>) -> Vec<String> {
        if !self.has_paths {
            return faults;
        }
        let is_path = |text: &str| text.starts_with("layer[") || text.starts_with("overlay[");
        let told = faults.into_iter().map(|text| match is_path(&text) {
            true => format!("{path}.{text}"),
            false => format!("{path}: {text}"),
        });
        told.collect()
    }
}

/// Patches layers of a document, whose own ones are under `key`.
fn patch(
    document: &mut Value,
    key: &str,
    layers: &LayerKeys,
    path: &str,
) -> Result<(), Vec<String>> {
    let mut faults = Vec::new();
    for (name, keys) in layers {
        let Some(layer) = layer_of(document, key, name) else {
            faults.push(format!("{path}.{name}: there is no such layer"));
            continue;
        };
        merge(layer, keys);
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The layer of this name among those under `key`, or in a group: the names of both with a slash
/// between them.
fn layer_of<'a>(
    within: &'a mut Value,
    key: &str,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    for layer in within.get_mut(key)?.as_array_mut()? {
        let own = layer.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if own == name {
            return layer.as_object_mut();
        }
        let inner = name.strip_prefix(&own).and_then(|rest| rest.strip_prefix('/'));
        if let Some(inner) = inner.filter(|_| layer.get("layer").is_some()) {
            return layer_of(layer, "layer", inner);
        }
    }
    None
}
