//! Followers of the state: how many there may be at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Followers at once. Further ones are refused.
pub(super) const FOLLOWERS_MAX: usize = 256;

/// Places for followers.
#[derive(Clone, Debug)]
pub(in crate::control::http) struct Followers(Arc<Semaphore>);

impl Default for Followers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(FOLLOWERS_MAX)))
    }
}

impl Followers {
    /// A place for one more, if there is any.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}
