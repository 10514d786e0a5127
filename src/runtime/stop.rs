//! Stop flag: ends a loop that sleeps at a bell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ring::Bell;

/// A flag that says stop, and the bell that wakes the loop which looks at it. Clones are the same.
#[derive(Clone, Debug)]
pub struct StopFlag {
    stopping: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl StopFlag {
    /// For a loop that sleeps at this bell.
    #[must_use]
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { stopping: Arc::default(), bell }
    }

    /// Tells the loop to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether it has been told.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The flag alone, for who has the bell already.
    #[must_use]
    pub const fn flag(&self) -> &Arc<AtomicBool> {
        &self.stopping
    }
}
