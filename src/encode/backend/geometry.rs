//! Geometry check of what an encoder is given.

use crate::encode::Error;
use crate::frame::{FrozenFrame, Geometry};

/// Refuses a frame that is not of the size and format that an encoder was opened for.
pub(super) fn check_geometry(frame: &FrozenFrame, wanted: &Geometry) -> Result<(), Error> {
    if frame.geometry() == wanted {
        return Ok(());
    }
    let (is, wanted) = (frame.geometry().size(), wanted.size());
    Err(Error::Config(format!("a picture of {is} for an encoder of {wanted}")))
}
