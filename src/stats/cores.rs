//! Figures of threads that panicked.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cell::SharedCounter;

/// What a thread of the node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreRole {
    /// Draws and mixes all channels.
    Compose,
    /// Serves connections.
    Shard,
    /// Encodes video or audio of a channel.
    Encoder,
    /// Decodes an input of a channel.
    Decoder,
    /// Writes a recording.
    Recording,
    /// Loads files for a channel, or takes it apart.
    Loader,
}

impl CoreRole {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 6] =
        [Self::Compose, Self::Shard, Self::Encoder, Self::Decoder, Self::Recording, Self::Loader];

    /// The value of the `role` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Shard => "shard",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
            Self::Recording => "recording",
            Self::Loader => "loader",
        }
    }
}

/// Threads that panicked.
#[derive(Debug, Default)]
pub struct CoreStats {
    lost: [SharedCounter; CoreRole::ALL.len()],
    missing: ArcSwap<Vec<String>>,
}

impl CoreStats {
    /// One more thread of this role has panicked.
    pub fn lost(&self, role: CoreRole) {
        self.lost[role as usize].add(1);
    }

    /// How many there were so far, by role in the order of [`CoreRole::ALL`].
    #[must_use]
    pub fn losses(&self) -> [u64; CoreRole::ALL.len()] {
        std::array::from_fn(|index| self.lost[index].get())
    }

    /// What the node is without from now on, in words.
    pub fn set_missing(&self, missing: Vec<String>) {
        self.missing.store(Arc::new(missing));
    }

    /// What the node is without.
    #[must_use]
    pub fn missing(&self) -> Arc<Vec<String>> {
        self.missing.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_counted_by_role_and_what_is_missing_is_named() {
        let stats = CoreStats::default();
        for role in [CoreRole::Shard, CoreRole::Shard, CoreRole::Loader] {
            stats.lost(role);
        }
        assert_eq!(stats.losses(), [0, 2, 0, 0, 0, 1]);
        stats.set_missing(vec!["shard 1".to_owned()]);
        assert_eq!(*stats.missing(), ["shard 1"]);
    }
}
