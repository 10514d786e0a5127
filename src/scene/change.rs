//! Change of scenes: another scene for a composer, and the transition to it on its way and once
//! it is over.

use super::error::Error;
use super::kernel::Kernels;
use super::mixing::{Mixing, Pair};
use super::prepare::PreparedScene;
use super::transition::{Easing, Progress, Transition};
use crate::frame::{Frame, Geometry, PictureEvent, Pool};
use crate::media::{Micros, PixelFormat, Size};
use crate::ring::Receiver;

/// Another scene for a composer. Made away from the compose core, because it takes memory.
#[derive(Debug)]
pub struct Change {
    pub(super) scene: PreparedScene,
    pub(super) mixer: Option<Mixer>,
}

/// A transition with everything that it needs. Made away from the compose core, because it takes
/// memory.
#[derive(Debug)]
pub struct PreparedTransition(Option<Mixer>);

/// Where the two scenes of a transition are drawn, each by itself, and how they are mixed.
#[derive(Debug)]
pub(super) struct Mixer {
    pub(super) from: Frame,
    pub(super) to: Frame,
    mixing: Mixing,
    length: Micros,
    easing: Easing,
    /// Overlays are part of both scenes, and not above the mixture.
    pub(super) with_overlays: bool,
}

/// What a composer no longer shows. It may hold much memory: drop it away from the compose core.
#[derive(Debug)]
pub struct Retired {
    #[expect(dead_code, reason = "kept to be dropped")]
    pub(super) scene: PreparedScene,
    #[expect(dead_code, reason = "kept to be dropped")]
    pub(super) mixer: Option<Mixer>,
}

/// A transition on its way. The scene that it goes to is the composer's own.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) from: PreparedScene,
    pub(super) mixer: Mixer,
    start: Option<Micros>,
}

impl PreparedTransition {
    /// The new scene at one frame.
    pub const CUT: Self = Self(None);

    /// For scenes of this size. A stinger takes its pictures, due from 0 on, from `stinger`;
    /// without them it is a cut.
    ///
    /// # Errors
    /// If the memory for two more frames cannot be had, or the picture of a luma wipe cannot be
    /// read.
    pub fn new(
        transition: &Transition,
        size: Size,
        stinger: Option<Receiver<PictureEvent>>,
    ) -> Result<Self, Error> {
        let Some(mixing) = Mixing::new(transition, size, stinger)? else { return Ok(Self::CUT) };
        let pool = Pool::new(Geometry::new(size, PixelFormat::I420), 2);
        let pool = pool.map_err(|error| Error::Memory(error.to_string()))?;
        let (length, easing) = (transition.duration, transition.easing);
        let frames = pool.take().zip(pool.take());
        Ok(Self(frames.map(|(from, to)| {
            let with_overlays = false;
            Mixer { from, to, mixing, length, easing, with_overlays }
        })))
    }
}

impl Change {
    /// Shows `scene` from one tick on.
    #[must_use]
    pub const fn cut(scene: PreparedScene) -> Self {
        Self { scene, mixer: None }
    }

    /// Goes to `scene` by a transition for scenes of its size.
    #[must_use]
    pub fn new(scene: PreparedScene, PreparedTransition(mixer): PreparedTransition) -> Self {
        Self { scene, mixer }
    }

    /// One that is not made, to be dropped elsewhere.
    #[must_use]
    pub fn into_retired(self) -> Retired {
        Retired { scene: self.scene, mixer: self.mixer }
    }

    /// The same where overlays change as well: they take part in the transition. Others are above
    /// it.
    #[must_use]
    pub fn with_overlays(mut self) -> Self {
        if let Some(mixer) = &mut self.mixer {
            mixer.with_overlays = true;
        }
        self
    }
}

impl Mixer {
    /// Draws the mixture of both frames.
    pub(super) fn draw(&self, frame: &mut Frame, progress: Progress, tools: (&Kernels, &mut [u8])) {
        let pair = Pair { from: &self.from, to: &self.to };
        self.mixing.draw(frame, pair, progress, tools);
    }
}

impl Running {
    pub(super) const fn new(from: PreparedScene, mixer: Mixer) -> Self {
        Self { from, mixer, start: None }
    }

    /// How far it has come at `now`; `None` once it is over. The first call is its begin.
    pub(super) fn progress(&mut self, now: Micros) -> Option<Progress> {
        let gone = now.since(*self.start.get_or_insert(now));
        let Mixer { mixing, length, easing, .. } = &mut self.mixer;
        let goes_on = match mixing {
            Mixing::Stinger(stinger) => stinger.advance(gone),
            _ => gone < *length,
        };
        goes_on.then(|| easing.progress(gone, *length))
    }

    pub(super) fn into_retired(self) -> Retired {
        Retired { scene: self.from, mixer: Some(self.mixer) }
    }
}
