//! Key store health, for readers that do not wait.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How a store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should.
    Works,
    /// Its disk is full.
    DiskFull,
    /// Its file cannot be used.
    Broken,
    /// Redis does not answer.
    Away,
    /// Redis does not let us do what we have to.
    Refused,
}

const ALL: [State; 5] = [State::Works, State::DiskFull, State::Broken, State::Away, State::Refused];

impl State {
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::Works => None,
            Self::DiskFull => Some("the disk of the key store is full"),
            Self::Broken => Some("the file of the key store cannot be used"),
            Self::Away => Some("Redis, where they are kept, does not answer"),
            Self::Refused => Some("Redis, where they are kept, refuses this node"),
        }
    }
}

/// How a store did at the last question.
#[derive(Debug, Default)]
pub(super) struct Health(AtomicUsize);

impl Health {
    /// What is wrong, in words without secrets.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        ALL.get(self.0.load(Ordering::Relaxed)).and_then(|state| state.words())
    }

    /// How it does now; gives whether it did so before.
    pub(super) fn is_still(&self, now: State) -> bool {
        self.0.swap(now as usize, Ordering::Relaxed) == now as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_words_and_a_change_is_seen_once() {
        let health = Health::default();
        assert!(health.trouble().is_none() && health.is_still(State::Works));
        for state in ALL {
            health.is_still(state);
            assert_eq!(health.trouble(), state.words());
            assert!(health.is_still(state));
        }
        assert!(!health.is_still(State::Works));
    }
}
