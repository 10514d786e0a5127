//! Loss of a core: it panics in the middle of something, its sockets are closed, and it is rebuilt.

use super::net::Net;
use super::rng::Rng;
use super::world::World;
use crate::media::caught;
use crate::shard::core::ShardCore;
use crate::shard::io::Core;

/// Turns of a core between two panics.
const TURNS: usize = 400;

/// Points of injection that a core passes at most before it panics.
const POINTS_MAX: usize = 12;

/// What a panic says that was injected.
const INJECTED: &str = "injected";

/// What says when cores panic in a run of this seed; `None` in most of them. It is apart from what
/// drives the world, so that other runs are what they were before.
pub(super) fn panics(seed: u64) -> Option<Rng> {
    let mut rng = Rng::new(seed.rotate_left(57));
    rng.once_in(3).then_some(rng)
}

impl ShardCore {
    /// A place where no peer alone is to blame for a panic.
    pub(in crate::shard) fn fault_point(&mut self) {
        if let Some(left) = self.fails_in {
            self.fails_in = left.checked_sub(1);
            assert!(left > 0, "{INJECTED}");
        }
    }
}

impl World {
    /// Has a core panic in its next turn, now and then.
    pub(super) fn arm(&mut self, shard: usize) {
        if let Some(panics) = self.panics.as_mut().filter(|_| !self.is_calm)
            && panics.once_in(TURNS)
        {
            self.nodes[shard].core.fails_in = u32::try_from(panics.below(POINTS_MAX)).ok();
        }
    }

    /// Calls a core; one that panics because it was to is rebuilt.
    pub(super) fn call_or_rebuild(
        &mut self,
        shard: usize,
        call: impl FnOnce(&mut ShardCore, &mut Net),
    ) -> Result<(), String> {
        let node = &mut self.nodes[shard];
        match caught(|| call(&mut node.core, &mut node.net)) {
            Ok(()) => return Ok(()),
            Err(text) if text == INJECTED => {}
            Err(text) => return Err(format!("a panic: {text}")),
        }
        let now = self.now;
        for id in node.net.ids().collect::<Vec<_>>() {
            if let Some(mut link) = self.nodes[shard].net.remove(id) {
                // It reads what was sent before the end.
                self.receive(&mut link, usize::MAX)?;
            }
        }
        let node = &mut self.nodes[shard];
        node.peers.clear();
        node.has_more = true;
        caught(|| node.core.rebuild(now)).map_err(|text| format!("it is not rebuilt: {text}"))
    }
}
