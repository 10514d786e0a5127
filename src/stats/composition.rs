//! Composition costs: what each layer of the scene on the air takes of the compose core.

use std::fmt;
use std::sync::Arc;

use super::cell::Counter;

/// Reads a monotonic clock, in nanoseconds.
#[derive(Clone)]
pub struct Timer(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Timer {
    /// A timer that reads `nanos`, which never goes back.
    pub fn new(nanos: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(nanos))
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Timer").finish_non_exhaustive()
    }
}

/// What one layer costs. Counted by the composer, read by any thread.
#[derive(Debug)]
pub struct LayerCost {
    name: String,
    cache_bytes: Counter,
    nanos: Counter,
    pixels: Counter,
    timer: Timer,
}

impl LayerCost {
    /// Of the layer of this name.
    #[must_use]
    pub fn new(name: &str, timer: Timer) -> Self {
        let [cache_bytes, nanos, pixels] = Default::default();
        Self { name: name.to_owned(), cache_bytes, nanos, pixels, timer }
    }

    /// So many bytes of pictures were prepared for it. For who prepares them.
    pub fn keeps(&self, bytes: usize) {
        self.cache_bytes.add(bytes as u64);
    }

    /// As in [`LayerFigures`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does `work` for the layer, which draws so many luma pixels. For the composer.
    pub fn count<T>(&self, pixels: u64, work: impl FnOnce() -> T) -> T {
        let began = (self.timer.0)();
        let done = work();
        self.nanos.add((self.timer.0)().saturating_sub(began));
        self.pixels.add(pixels);
        done
    }

    /// All that was counted, for any thread.
    #[must_use]
    pub fn read(&self) -> LayerFigures {
        LayerFigures {
            name: self.name.clone(),
            cache_bytes: self.cache_bytes.get(),
            nanos: self.nanos.get(),
            pixels: self.pixels.get(),
        }
    }
}

/// What a layer had cost at one moment, since its scene was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFigures {
    /// Its name, with those of the groups and scenes that it is in; of a group that is drawn as
    /// one, the names of its layers, joined by `+`.
    pub name: String,
    /// Bytes of pictures that were prepared for it.
    pub cache_bytes: u64,
    /// Nanoseconds on the compose core.
    pub nanos: u64,
    /// Luma pixels drawn.
    pub pixels: u64,
}
