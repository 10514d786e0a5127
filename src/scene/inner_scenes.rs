//! Scenes inside a scene: which ones its layers show.

use std::collections::HashSet;

use super::model::{Scene, Source, single_layers};

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

    /// The published streams that its layers show.
    #[must_use]
    pub fn streams(&self) -> Vec<&str> {
        let names = single_layers(&self.layers).into_iter().filter_map(|layer| {
            let Source::Live { stream, .. } = &layer.source else { return None };
            Some(stream.as_str())
        });
        names.collect()
    }

    /// The names of the scenes that its layers show.
    #[must_use]
    pub fn inner_scenes(&self) -> Vec<&str> {
        let names = single_layers(&self.layers).into_iter().filter_map(|layer| {
            let Source::Scene(name) = &layer.source else { return None };
            Some(name.as_str())
        });
        names.collect()
    }
}
