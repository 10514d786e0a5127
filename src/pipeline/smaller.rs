//! Smaller pictures of an encoder that has too little time for those in full size: it scales them
//! itself, so that no other encoder has anything of it.

use super::tee::RawFrame;
use crate::encode::{Error, VideoSpec};
use crate::frame::{FrozenFrame, Geometry, Pool};
use crate::scene::kernel::Level;
use crate::scene::{Damage, Scaler};

/// Frames of each smaller size: one being drawn, the last one drawn, one being encoded, the one
/// before it, which the encoder compares it with, and one more that a driver may hold.
const FRAMES: u32 = 5;

/// The sizes of an encoder's pictures.
pub(super) struct Smaller {
    /// Those after the full one.
    sizes: Vec<(Scaler, Pool)>,
    /// The present one: 0 is the full one.
    at: usize,
}

impl Smaller {
    /// Reserves the frames of all smaller sizes that `spec` may come to.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub(super) fn new(spec: &VideoSpec) -> Result<Self, Error> {
        let sizes = spec.sizes().into_iter().skip(1).map(|size| {
            let pool = Pool::new(Geometry::new(size, spec.format), FRAMES);
            let pool = pool.map_err(|error| Error::Device(error.to_string()))?;
            Ok((Scaler::new(spec.size, size, Level::best()), pool))
        });
        Ok(Self { sizes: sizes.collect::<Result<_, Error>>()?, at: 0 })
    }

    /// Pictures have the size at this place from now on.
    pub(super) fn choose(&mut self, at: usize) {
        self.at = at;
    }

    /// Takes note of what a picture changes, whether it is encoded or not.
    pub(super) fn change(&mut self, changed: &Damage) {
        // Those that are not in use as well: their frames may be years old.
        self.sizes.iter_mut().for_each(|(scaler, _)| scaler.change(changed));
    }

    /// The picture in its present size; `None` while all frames of that are in use.
    pub(super) fn picture(&mut self, raw: &RawFrame) -> Option<FrozenFrame> {
        let Some(at) = self.at.checked_sub(1) else { return Some(raw.frame.share()) };
        let (scaler, pool) = self.sizes.get_mut(at)?;
        scaler.scale(&raw.frame, pool)
    }
}
