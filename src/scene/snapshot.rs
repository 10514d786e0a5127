//! Snapshot: a frame as the RGB image that a screen would show.

use image::{Rgb, RgbImage};

use super::color::rgb;
use crate::frame::FrozenFrame;

/// A frame in I420, as sRGB. Each 2x2 block of pixels has one colour, as in the frame.
#[must_use]
pub fn snapshot(frame: &FrozenFrame) -> RgbImage {
    let geometry = frame.geometry();
    let strides: Vec<_> = geometry.planes().iter().map(|plane| plane.stride).collect();
    let size = geometry.size();
    RgbImage::from_fn(size.width(), size.height(), |x, y| {
        let (x, y) = (x as usize, y as usize);
        let sample = |plane: usize| {
            let coarse = plane.min(1);
            let at = (y >> coarse) * strides[plane] + (x >> coarse);
            frame.plane(plane).get(at).copied().unwrap_or(0)
        };
        Rgb(rgb([sample(0), sample(1), sample(2)]))
    })
}
