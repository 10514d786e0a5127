//! Solid colour source.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::color::bytes;
use crate::scene::kernel::mul255;
use crate::scene::model::Color;

/// One colour in a box with even edges.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Fill {
    rect: Rect,
    color: [u8; 3],
    alpha: u8,
}

/// The same of a box with an odd edge, which has half-covered chroma samples.
pub(super) fn still(place: Rect, color: Color, canvas: Rect) -> Asset {
    let seen = place.intersect(canvas);
    Asset::new(&image(seen, color), (seen.x, seen.y), canvas)
}

/// All of a box as a picture.
pub(super) fn image(place: Rect, color: Color) -> RgbaImage {
    let (w, h) = (place.w.unsigned_abs(), place.h.unsigned_abs());
    RgbaImage::from_pixel(w, h, Rgba([color.r, color.g, color.b, color.a]))
}

impl Fill {
    /// `None` if an edge is odd.
    pub(super) fn new(place: Rect, color: Color) -> Option<Self> {
        let fill = Self { rect: place, color: bytes(color), alpha: color.a };
        (place == place.even()).then_some(fill)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        canvas.fill(self.rect.intersect(clip), self.color, mul255(self.alpha, opacity));
    }

    pub(super) fn rect(&self) -> Rect {
        if self.alpha == 0 { Rect::default() } else { self.rect }
    }

    pub(super) fn opaque(&self) -> Rect {
        if self.alpha == 255 { self.rect } else { Rect::default() }
    }
}
