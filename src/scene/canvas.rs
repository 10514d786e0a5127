//! Canvas: a frame being drawn, and the few operations that put things on it, each inside a clip.
//!
//! Every clip has even edges and lies on the canvas. What an operation writes to a pixel does not
//! depend on the clip, so that drawing piece by piece gives the same picture as drawing all at
//! once.

use super::asset::{Asset, Cover, int, px};
use super::kernel::{Kernels, copy, fill};
use crate::frame::{FrozenFrame, PlaneMut};
use crate::media::Rect;

/// A frame being drawn.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    pub(super) planes: [PlaneMut<'a>; 3],
    pub(super) kernels: &'static Kernels,
    /// A row of bytes as wide as the canvas, for what has to be mixed in two steps.
    pub(super) scratch: &'a mut [u8],
}

/// A picture with its place: `crop` of it goes to `dest`, which is as large and on the canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) frame: &'a FrozenFrame,
    pub(super) dest: Rect,
    pub(super) crop: Rect,
}

impl Canvas<'_> {
    /// One colour, `opacity` of it.
    pub(super) fn fill(&mut self, area: Rect, color: [u8; 3], opacity: u8) {
        for (index, (plane, value)) in self.planes.iter_mut().zip(color).enumerate() {
            let area = Area::of(area, index);
            if opacity == 255 {
                for y in area.top..area.bottom {
                    fill(row(plane, y, &area), value);
                }
                continue;
            }
            let source = &mut self.scratch[..area.right - area.left];
            fill(source, value);
            for y in area.top..area.bottom {
                (self.kernels.mix)(row(plane, y, &area), source, opacity);
            }
        }
    }

    /// An asset, moved by an even `(dx, dy)` from its own place.
    pub(super) fn asset(&mut self, asset: &Asset, (dx, dy): (i32, i32), clip: Rect, opacity: u8) {
        let place = asset.rect();
        let place = Rect { x: place.x + dx, y: place.y + dy, ..place };
        let seen = place.intersect(clip);
        if seen.is_empty() || opacity == 0 {
            return;
        }
        let kernels = self.kernels;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            let (area, origin) = (Area::of(seen, index), corner(place, index));
            for y in area.top..area.bottom {
                let source = asset.row(index, offset(y, origin.1));
                for span in source.spans {
                    let from = offset(area.left, origin.0).max(span.from);
                    let to = offset(area.right, origin.0).min(span.to);
                    if from >= to {
                        continue;
                    }
                    let left = position(from, origin.0);
                    let dst = row(plane, y, &Area { left, right: left + to - from, ..area });
                    let src = &source.pixels[from..to];
                    match (span.cover, opacity) {
                        (Cover::Opaque, 255) => copy(dst, src),
                        (Cover::Opaque, _) => (kernels.mix)(dst, src, opacity),
                        (Cover::Mixed, 255) => (kernels.blend)(dst, src, &source.alpha[from..to]),
                        (Cover::Mixed, _) => {
                            (kernels.blend_faded)(dst, src, &source.alpha[from..to], opacity);
                        }
                    }
                }
            }
        }
    }

    /// A picture, `opacity` of it.
    pub(super) fn picture(&mut self, picture: Placed<'_>, clip: Rect, opacity: u8) {
        let seen = picture.dest.intersect(clip);
        if seen.is_empty() || opacity == 0 {
            return;
        }
        let mix = self.kernels.mix;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            let area = Area::of(seen, index);
            for y in area.top..area.bottom {
                let src = picture.row(index, y, &area);
                let dst = row(plane, y, &area);
                if opacity == 255 { copy(dst, src) } else { mix(dst, src, opacity) }
            }
        }
    }

    /// On its way from an opaque asset (`weight` 0) to a picture (255), `opacity` of the mixture,
    /// where both are.
    pub(super) fn between(
        &mut self,
        picture: Placed<'_>,
        asset: &Asset,
        clip: Rect,
        (weight, opacity): (u8, u8),
    ) {
        let place = asset.opaque_rect();
        let seen = picture.dest.intersect(place).intersect(clip);
        if seen.is_empty() {
            return;
        }
        let kernels = self.kernels;
        for (index, plane) in self.planes.iter_mut().enumerate() {
            let (area, origin) = (Area::of(seen, index), corner(place, index));
            for y in area.top..area.bottom {
                let a = picture.row(index, y, &area);
                let from = offset(area.left, origin.0);
                let b = &asset.row(index, offset(y, origin.1)).pixels[from..from + a.len()];
                let dst = row(plane, y, &area);
                if opacity == 255 {
                    (kernels.fade)(dst, a, b, weight);
                } else {
                    let mixed = &mut self.scratch[..a.len()];
                    (kernels.fade)(mixed, a, b, weight);
                    (kernels.mix)(dst, mixed, opacity);
                }
            }
        }
    }
}

impl<'a> Placed<'a> {
    /// What of the picture's plane goes to row `y` of the canvas' plane inside `area`.
    fn row(&self, plane: usize, y: usize, area: &Area) -> &'a [u8] {
        let coarse = plane.min(1);
        let dest = Area::of(self.dest, plane);
        let stride = self.frame.geometry().planes().get(plane).map_or(0, |plane| plane.stride);
        let line = (px(self.crop.y) >> coarse) + y - dest.top;
        let from = (px(self.crop.x) >> coarse) + area.left - dest.left;
        &self.frame.plane(plane)[line * stride + from..][..area.right - area.left]
    }
}

/// A rectangle in the samples of one plane.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Area {
    /// `rect` lies on the canvas.
    fn of(rect: Rect, plane: usize) -> Self {
        let coarse = plane.min(1);
        Self {
            left: px(rect.x) >> coarse,
            right: px(rect.x + rect.w) >> coarse,
            top: px(rect.y) >> coarse,
            bottom: px(rect.y + rect.h) >> coarse,
        }
    }
}

/// The corner of `rect`, which may lie left of or above the canvas.
fn corner(rect: Rect, plane: usize) -> (i32, i32) {
    (rect.x >> plane.min(1), rect.y >> plane.min(1))
}

/// How far `at` lies after `origin`.
fn offset(at: usize, origin: i32) -> usize {
    usize::try_from(int(at) - origin).unwrap_or(0)
}

/// The sample that lies `offset` after `origin`.
fn position(offset: usize, origin: i32) -> usize {
    px(int(offset) + origin)
}

fn row<'p>(plane: &'p mut PlaneMut<'_>, y: usize, area: &Area) -> &'p mut [u8] {
    &mut plane.data[y * plane.stride..][area.left..area.right]
}
