//! Transition from one scene to the next: a cut at one tick, or a fade over some.

use super::prepare::PreparedScene;
use crate::frame::{Error, Frame, Geometry, Pool};
use crate::media::{Micros, PixelFormat};

/// Another scene for a composer. Made away from the compose core, because it takes memory.
#[derive(Debug)]
pub struct Change {
    pub(super) scene: PreparedScene,
    pub(super) fade: Option<(FadeCanvas, Micros)>,
}

/// Where the two scenes of a fade are drawn, each by itself, before they are mixed.
#[derive(Debug)]
pub(super) struct FadeCanvas {
    pub(super) from: Frame,
    pub(super) to: Frame,
}

/// What a composer no longer shows. It may hold much memory: drop it away from the compose core.
#[derive(Debug)]
pub struct Retired {
    #[expect(dead_code, reason = "kept to be dropped")]
    pub(super) scene: PreparedScene,
    #[expect(dead_code, reason = "kept to be dropped")]
    pub(super) canvas: Option<FadeCanvas>,
}

/// A fade on its way. The scene that it goes to is the composer's own.
#[derive(Debug)]
pub(super) struct Fading {
    pub(super) from: PreparedScene,
    pub(super) canvas: FadeCanvas,
    start: Option<Micros>,
    length: Micros,
}

impl Change {
    /// Shows `scene` from one tick on.
    #[must_use]
    pub const fn cut(scene: PreparedScene) -> Self {
        Self { scene, fade: None }
    }

    /// Fades to `scene` over `length`; a length of 0 is a cut.
    ///
    /// # Errors
    /// If the memory for two more frames cannot be had.
    pub fn fade(scene: PreparedScene, length: Micros) -> Result<Self, Error> {
        if length == Micros(0) {
            return Ok(Self::cut(scene));
        }
        let pool = Pool::new(Geometry::new(scene.size, PixelFormat::I420), 2)?;
        let canvas = pool.take().zip(pool.take()).map(|(from, to)| FadeCanvas { from, to });
        Ok(Self { scene, fade: canvas.map(|canvas| (canvas, length)) })
    }
}

impl Fading {
    pub(super) const fn new(from: PreparedScene, canvas: FadeCanvas, length: Micros) -> Self {
        Self { from, canvas, start: None, length }
    }

    /// How much of the new scene is seen at `now`, 0 to 255; `None` once it is all. The first call
    /// is the fade's beginning.
    pub(super) fn weight(&mut self, now: Micros) -> Option<u8> {
        let gone = now.since(*self.start.get_or_insert(now)).0;
        if gone >= self.length.0 {
            return None;
        }
        u8::try_from(gone * 255 / self.length.0).ok()
    }

    pub(super) fn into_retired(self) -> Retired {
        Retired { scene: self.from, canvas: Some(self.canvas) }
    }
}
