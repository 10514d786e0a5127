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
    drawn: Arc<Drawn>,
    timer: Timer,
}

/// What a layer took, whatever scenes it was in.
#[derive(Debug, Default)]
struct Drawn {
    nanos: Counter,
    pixels: Counter,
}

impl LayerCost {
    /// Of the layer of this name.
    #[must_use]
    pub fn new(name: &str, timer: Timer) -> Self {
        let (cache_bytes, drawn) = Default::default();
        Self { name: name.to_owned(), cache_bytes, drawn, timer }
    }

    /// Of the layer that takes the place of this one, and goes on with its counts.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { drawn: Arc::clone(&self.drawn), ..Self::new(&self.name, self.timer.clone()) }
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
        self.drawn.nanos.add((self.timer.0)().saturating_sub(began));
        self.drawn.pixels.add(pixels);
        done
    }

    /// All that was counted, for any thread.
    #[must_use]
    pub fn read(&self) -> LayerFigures {
        LayerFigures {
            name: self.name.clone(),
            cache_bytes: self.cache_bytes.get(),
            nanos: self.drawn.nanos.get(),
            pixels: self.drawn.pixels.get(),
        }
    }
}

/// What a layer had cost at one moment, since a scene with it came on the air after one without.
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

/// What the cache of loaded pictures holds, and what it was good for since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssetCacheFigures {
    /// Sources of layers that are kept.
    pub entries: usize,
    /// Bytes of their pictures.
    pub bytes: usize,
    /// What these may be at most.
    pub bytes_max: usize,
    /// Layers that found their source here.
    pub hits: u64,
    /// Layers whose source was loaded.
    pub misses: u64,
    /// Sources that had to go for others.
    pub evictions: u64,
}
