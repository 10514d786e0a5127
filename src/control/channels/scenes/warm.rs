//! Warm inputs of a channel: those that are decoded before their scenes are on the air.

use super::{ChannelScenes, Scenes};
use crate::control::channels::input_pool::InputId;
use crate::control::channels::sources::{FILE_LEAD, Sources};
use crate::scene::{PlacedLayer, Warm};

impl Scenes {
    /// Has all inputs of the channel at place `at` decoded that are to be warm now, and lets go of
    /// those that nobody needs; loads what is in preview, if that has changed.
    pub(super) fn settle_inputs(&mut self, at: usize) {
        let is_rebound = self.is_preview_rebound(at);
        let programme = &mut self.channels[at];
        let Some(ends) = &programme.ends else { return };
        let inputs = ends.inputs.clone();
        if ends.changes.is_closed() {
            // The channel has stopped, and the node may wait for its decoders.
            return inputs.clear();
        }
        let is_unsettled = std::mem::take(&mut programme.is_unsettled) || is_rebound;
        let are_running = |ids: &[InputId]| ids.iter().all(|id| inputs.find(id).is_some());
        if !is_unsettled && are_running(&programme.warm) {
            inputs.keep_warm(&programme.warm);
            return;
        }
        let wanted = programme.warm_inputs();
        programme.warm = wanted.iter().flat_map(Sources::ids).collect();
        inputs.keep_warm(&programme.warm);
        if !are_running(&programme.warm) {
            let (decoders, start) = (self.decoders_of(at), self.clock.now() + FILE_LEAD);
            for sources in wanted {
                match sources.start(&decoders, start) {
                    Ok(started) => self.subscriptions.extend(started.subscriptions),
                    Err(error) => tracing::warn!("channel {}: {error}", decoders.channel),
                }
            }
        }
        self.load_preview(at);
    }
}

impl ChannelScenes {
    /// The inputs that are to be warm: of each scene those that always are, and of the one in
    /// preview all that may be.
    fn warm_inputs(&self) -> Vec<Sources> {
        let library = self.library();
        let preview = self.preview.as_ref().map(|preview| preview.scene.as_str());
        let scenes = library.scenes.iter().map(|it| it.name.as_str());
        let wanted = scenes.filter_map(|scene| {
            let is_warm = |layer: &&PlacedLayer| match layer.warm {
                Warm::Always => true,
                Warm::Preview => preview == Some(scene),
                Warm::Off => false,
            };
            let drawn = library.named(scene)?.ok()?;
            let mut sources = Sources::default();
            for size in drawn.sizes() {
                sources.want_warm(size.layers().into_iter().filter(is_warm));
            }
            Some(sources)
        });
        wanted.collect()
    }
}
