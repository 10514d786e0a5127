//! One colour.

use image::{Rgba, RgbaImage};

use super::Painter;
use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::color::bytes;
use crate::scene::kernel::mul255;
use crate::scene::model::Color;

/// One colour in a box with even edges.
#[derive(Debug)]
pub(in crate::scene) struct Fill {
    rect: Rect,
    color: [u8; 3],
    alpha: u8,
}

/// A box with an odd edge has half-covered chroma samples, which only an asset can hold.
pub(super) fn load(place: Rect, color: Color, canvas: Rect) -> Painter {
    if place == place.even() {
        return Painter::Fill(Fill { rect: place, color: bytes(color), alpha: color.a });
    }
    let seen = place.intersect(canvas);
    let (w, h) = (seen.w.unsigned_abs(), seen.h.unsigned_abs());
    let image = RgbaImage::from_pixel(w, h, Rgba([color.r, color.g, color.b, color.a]));
    Painter::Still(Asset::new(&image, (seen.x, seen.y), canvas))
}

impl Fill {
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
