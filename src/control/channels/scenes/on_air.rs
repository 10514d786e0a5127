//! Scene on the air of each channel, for rules about its inputs.

use std::collections::HashSet;

use super::Scenes;
use crate::control::input_rules::OnAir;
use crate::scene::Scene;

impl Scenes {
    /// The scene of a channel and the published streams in it and in the scenes inside it; nothing
    /// of one that shows the frames of another program.
    pub(crate) fn on_air(&self, channel: &str) -> Option<OnAir> {
        let of = self.channels.iter().find(|it| it.name == channel && it.ends.is_some())?;
        let find = |name: &str| of.list.iter().find(|entry| entry.name == name);
        let active = of.list.get(of.active)?;
        let (mut streams, mut seen) = (HashSet::new(), HashSet::new());
        let mut to_see: Vec<&Scene> = vec![&active.scene];
        while let Some(scene) = to_see.pop() {
            streams.extend(scene.streams().into_iter().map(str::to_owned));
            for inner in scene.inner_scenes() {
                if seen.insert(inner) {
                    to_see.extend(find(inner).map(|entry| &entry.scene));
                }
            }
        }
        Some(OnAir { scene: active.name.clone(), streams })
    }
}
