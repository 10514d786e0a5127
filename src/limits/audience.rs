//! Viewer counts of a stream over all shards, and their limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands for any number of viewers.
const ANY: u32 = u32::MAX;

/// The viewers of one stream. Its home makes it; all shards share it, and look at it when a viewer
/// comes or goes.
#[derive(Debug)]
pub struct Audience {
    most: AtomicU32,
    seated: AtomicU32,
}

/// That a viewer is counted, until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct ViewerPermit(Arc<Audience>);

impl Default for Audience {
    /// Nobody yet, and no limit.
    fn default() -> Self {
        Self { most: AtomicU32::new(ANY), seated: AtomicU32::new(0) }
    }
}

impl Audience {
    /// From now on at most so many viewers are let in; `None` for any number. Who is in stays.
    pub fn set_most(&self, most: Option<u32>) {
        self.most.store(most.unwrap_or(ANY), Ordering::Relaxed);
    }

    /// How many viewers are let in at most; `None` for any number.
    #[must_use]
    pub fn most(&self) -> Option<u32> {
        Some(self.most.load(Ordering::Relaxed)).filter(|most| *most != ANY)
    }

    /// A permit for a viewer who had one already, however many there are.
    pub fn enter_again(self: &Arc<Self>) -> ViewerPermit {
        self.seated.fetch_add(1, Ordering::Relaxed);
        ViewerPermit(Arc::clone(self))
    }

    /// A permit for one more viewer; `None` if there are as many as there may be.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Option<ViewerPermit> {
        let before = self.seated.fetch_add(1, Ordering::Relaxed);
        // Taken first and looked at then: of two who come at once only one gets the last permit.
        let permit = ViewerPermit(Arc::clone(self));
        (before < self.most.load(Ordering::Relaxed)).then_some(permit)
    }
}

/// In a snapshot: the limit alone. Who is seated takes a permit again.
impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.most.load(Ordering::Relaxed).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = AtomicU32::new(u32::deserialize(deserializer)?);
        Ok(Self { most, seated: AtomicU32::new(0) })
    }
}

/// The audiences of a node's streams by name, when its shards are read from snapshots: shards that
/// shared one share it again.
#[derive(Debug, Default)]
pub struct Audiences(BTreeMap<Arc<str>, Arc<Audience>>);

impl Audiences {
    /// Of the streams of these names, which all shards of the node know.
    pub fn of_streams(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self(names.into_iter().map(|name| (name, Arc::default())).collect())
    }

    /// That of a stream. One that is not among them has an audience of its own.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<Audience> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
impl Audience {
    /// How many viewers are in.
    pub(crate) fn seated(&self) -> u32 {
        self.seated.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl ViewerPermit {
    pub(crate) const fn audience(&self) -> &Arc<Audience> {
        &self.0
    }
}

impl Drop for ViewerPermit {
    fn drop(&mut self) {
        self.0.seated.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_seated_as_may_be_until_one_leaves() {
        let audience = Arc::new(Audience::default());
        let held: Vec<_> = (0..3).map(|_| audience.enter().unwrap()).collect();
        audience.set_most(Some(2));
        assert!(audience.enter().is_none() && audience.enter().is_none());
        drop(held);
        let _both = [audience.enter().unwrap(), audience.enter().unwrap()];
        assert!(audience.enter().is_none(), "those who were refused took no permit, nor left one");
        audience.set_most(None);
        assert!(audience.enter().is_some());
    }

    #[test]
    fn shards_that_seat_at_once_never_pass_the_limit() {
        let audience = Arc::new(Audience::default());
        audience.set_most(Some(5));
        let seated = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let Some(permit) = audience.enter() else { continue };
                        assert!(seated.fetch_add(1, Ordering::SeqCst) < 5);
                        seated.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(audience.seated.load(Ordering::Relaxed), 0);
    }
}
