//! Failed assets of the scene on the air: layers that show placeholders, and when their files are
//! looked at again.

use crate::event::NodeEvent;
use crate::media::Micros;
use crate::pipeline::Retry;
use crate::scene;

/// The files and fonts of one scene that cannot be used.
#[derive(Debug, Default)]
pub(super) struct AssetFaults {
    scene: String,
    /// The layers whose files cannot be used.
    layers: Vec<String>,
    /// Those among them that show placeholders. The others show what their files were before.
    placeholders: Vec<String>,
    retry: Retry,
    /// When the files are looked at next.
    next: Micros,
    /// A thread looks at them now.
    looks: bool,
    /// Tells what a thread says about this scene from what it says about an earlier one.
    round: u64,
    /// Something is well again: the scene is to be loaded anew.
    reload: bool,
}

impl AssetFaults {
    /// From now on the channel shows this scene with placeholders for these faults. What everybody
    /// is to be told.
    pub(super) fn settle(
        &mut self,
        of: (&str, &str),
        faults: &[scene::Error],
        now: Micros,
    ) -> Vec<NodeEvent> {
        self.placeholders = layers(faults);
        self.find(of, faults, now)
    }

    /// The files of the scene that the channel goes on to show have these faults now. What
    /// everybody is to be told.
    pub(super) fn find(
        &mut self,
        (channel, scene): (&str, &str),
        faults: &[scene::Error],
        now: Micros,
    ) -> Vec<NodeEvent> {
        let is_same = self.scene == scene;
        let layers = layers(faults);
        let old = std::mem::replace(&mut self.layers, layers);
        scene.clone_into(&mut self.scene);
        (self.looks, self.reload) = (false, false);
        self.round += 1;
        self.retry.reset();
        let retry_in = self.put_off(now);
        let is_told = |layer: &str| is_same && old.iter().any(|it| it == layer);
        let failed = faults.iter().filter_map(|fault| {
            let layer = fault.layer().filter(|layer| !is_told(layer))?.to_owned();
            let (channel, reason) = (channel.to_owned(), fault.to_string());
            Some(NodeEvent::AssetFailed { channel, layer, reason, retry_in })
        });
        let well = old.iter().filter(|layer| is_same && !self.layers.contains(layer));
        let restored = well.map(|layer| {
            let (channel, layer) = (channel.to_owned(), layer.clone());
            NodeEvent::AssetRestored { channel, layer }
        });
        failed.chain(restored).collect()
    }

    /// If it is time to look at the files again: the round, for [`AssetFaults::probed`].
    pub(super) fn due(&mut self, now: Micros) -> Option<u64> {
        if self.layers.is_empty() || self.looks || self.reload || now < self.next {
            return None;
        }
        self.looks = true;
        Some(self.round)
    }

    /// The files are as they were: they are looked at again later. How much later.
    pub(super) fn put_off(&mut self, now: Micros) -> Micros {
        let wait = self.retry.wait();
        (self.looks, self.next) = (false, now + wait);
        wait
    }

    /// What a thread has found.
    pub(super) fn probed(&mut self, round: u64, faults: &[scene::Error], now: Micros) {
        if round != self.round {
            return;
        }
        self.put_off(now);
        self.reload |= layers(faults) != self.layers;
    }

    /// Files have changed.
    pub(super) const fn changed(&mut self) {
        self.reload = true;
    }

    /// The layers that show placeholders.
    pub(super) fn placeholders(&self) -> &[String] {
        &self.placeholders
    }

    /// Whether the scene is to be loaded anew; said once.
    pub(super) const fn take_reload(&mut self) -> bool {
        std::mem::replace(&mut self.reload, false)
    }
}

fn layers(faults: &[scene::Error]) -> Vec<String> {
    faults.iter().filter_map(scene::Error::layer).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(layer: &str) -> scene::Error {
        let (layer, cause) = (layer.to_owned(), "no such file".to_owned());
        scene::Error::File { layer, path: "a.png".into(), cause }
    }

    fn told(events: &[NodeEvent]) -> Vec<(&'static str, &str)> {
        let told = events.iter().map(|event| match event {
            NodeEvent::AssetFailed { layer, .. } => ("failed", layer.as_str()),
            NodeEvent::AssetRestored { layer, .. } => ("restored", layer.as_str()),
            other => panic!("{other}"),
        });
        told.collect()
    }

    #[test]
    fn each_trouble_is_told_once_and_its_end_too() {
        let mut asset_faults = AssetFaults::default();
        let at = |seconds| Micros::from_secs(seconds);
        let (here, both) = (("demo", "main"), [fault("a"), fault("b")]);
        let events = asset_faults.settle(here, &both, at(0));
        assert_eq!(told(&events), [("failed", "a"), ("failed", "b")]);
        assert_eq!(asset_faults.due(at(4)), None);
        let round = asset_faults.due(at(5)).unwrap();
        assert_eq!(asset_faults.due(at(6)), None, "one thread looks at a time");
        asset_faults.probed(round, &both, at(6));
        assert!(!asset_faults.take_reload(), "nothing has changed");
        assert_eq!(asset_faults.due(at(15)), None, "the waits double");
        let round = asset_faults.due(at(16)).unwrap();
        asset_faults.probed(round, &both[1..], at(16));
        assert!(asset_faults.take_reload() && !asset_faults.take_reload());
        assert_eq!(told(&asset_faults.settle(here, &both[1..], at(17))), [("restored", "a")]);
        assert_eq!(told(&asset_faults.settle(here, &[], at(18))), [("restored", "b")]);
        assert_eq!(asset_faults.due(at(1_000)), None);
    }

    #[test]
    fn another_scene_has_its_own_troubles() {
        let mut asset_faults = AssetFaults::default();
        asset_faults.settle(("demo", "main"), &[fault("logo")], Micros(0));
        let round = asset_faults.due(Micros::from_secs(5)).unwrap();
        let events = asset_faults.settle(("demo", "other"), &[fault("logo")], Micros::from_secs(6));
        assert_eq!(told(&events), [("failed", "logo")]);
        asset_faults.probed(round, &[], Micros::from_secs(7));
        assert!(
            !asset_faults.take_reload(),
            "what a thread says of another scene counts for nothing"
        );
    }
}
