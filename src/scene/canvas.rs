//! Canvas: a frame being drawn, and the few operations that put things on it, each inside a clip.
//!
//! Every clip has even edges and lies on the canvas. What an operation writes to a pixel does not
//! depend on the clip, so that drawing piece by piece gives the same picture as drawing all at
//! once.

use super::asset::{Asset, Cover, OPAQUE, coarse, int, px};
use super::kernel::{Kernels, Key, RowsMut, copy, fill};
use super::layer_style::BlendMode;
use super::surface::Surface;
use super::transition::Progress;
use super::wipe_mask::WipeMask;
use crate::frame::{Frame, FrozenFrame, PlaneMut};
use crate::media::Rect;

/// Colour of what is not there.
static NOTHING: [u8; 1 << 15] = [0; 1 << 15];

/// A frame or a surface being drawn.
#[derive(Debug)]
pub(super) struct Canvas<'a> {
    /// Y, Cb, Cr; of a surface also alpha at both resolutions, which every operation draws as if it
    /// were a colour that is white wherever something is.
    planes: [Option<PlaneMut<'a>>; 5],
    kernels: &'static Kernels,
    /// A row of bytes as wide as the canvas, for what has to be mixed in two steps.
    scratch: &'a mut [u8],
}

/// A picture with its place: `crop` of it goes to `dest`, which is as large and on the canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) frame: &'a FrozenFrame,
    pub(super) dest: Rect,
    pub(super) crop: Rect,
}

impl<'a> Canvas<'a> {
    /// To draw into a frame. `scratch` is at least as long as its rows.
    pub(super) fn on_frame(
        frame: &'a mut Frame,
        kernels: &'static Kernels,
        scratch: &'a mut [u8],
    ) -> Self {
        let [y, cb, cr] = frame.planes_mut().map(Some);
        Self { planes: [y, cb, cr, None, None], kernels, scratch }
    }

    /// To draw into a surface. `scratch` is at least as long as its rows.
    pub(super) fn on_surface(
        surface: &'a mut Surface,
        kernels: &'static Kernels,
        scratch: &'a mut [u8],
    ) -> Self {
        Self { planes: surface.planes_mut().map(Some), kernels, scratch }
    }
}

impl Canvas<'_> {
    /// Nothing at all, which only a surface can show.
    pub(super) fn clear(&mut self, area: Rect) {
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
            let area = Area::of(area, index);
            for y in area.top..area.bottom {
                fill(row(plane, y, &area), 0);
            }
        }
    }

    /// One colour, `opacity` of it.
    pub(super) fn fill(&mut self, area: Rect, [y, cb, cr]: [u8; 3], opacity: u8) {
        let color = [y, cb, cr, 255, 255];
        for (index, (plane, value)) in self.planes.iter_mut().flatten().zip(color).enumerate() {
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
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
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

    /// Takes away as much as the asset's alpha says.
    pub(super) fn erase(&mut self, asset: &Asset, clip: Rect) {
        let seen = asset.rect().intersect(clip);
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
            let (area, origin) = (Area::of(seen, index), corner(asset.rect(), index));
            for y in area.top..area.bottom {
                let source = asset.row(coarse(index), offset(y, origin.1));
                for span in source.spans {
                    let from = offset(area.left, origin.0).max(span.from);
                    let to = offset(area.right, origin.0).min(span.to);
                    if from >= to {
                        continue;
                    }
                    let left = position(from, origin.0);
                    let dst = row(plane, y, &Area { left, right: left + to - from, ..area });
                    match span.cover {
                        Cover::Opaque => fill(dst, 0),
                        Cover::Mixed => {
                            let nothing = &NOTHING[..to - from];
                            (self.kernels.blend)(dst, nothing, &source.alpha[from..to]);
                        }
                    }
                }
            }
        }
    }

    /// Takes away what is not behind the edge of a wipe, or what is: all of a surface as large as
    /// the mask.
    pub(super) fn wipe(&mut self, mask: &WipeMask, progress: Progress, is_behind: bool) {
        let edge = mask.edge(progress);
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
            for y in 0..plane.rows {
                let row = &mut plane.data[y * plane.stride..][..plane.width];
                let (drawn, nothing) = (&mut self.scratch[..row.len()], &NOTHING[..row.len()]);
                copy(drawn, row);
                let (behind, before): (&[u8], &[u8]) =
                    if is_behind { (drawn, nothing) } else { (nothing, drawn) };
                (self.kernels.wipe)(row, behind, before, mask.row(coarse(index), y), &edge);
            }
        }
    }

    /// Makes what is near the key's colour transparent, which only a surface can be.
    pub(super) fn chroma_key(&mut self, area: Rect, key: &Key) {
        let (fine, half) = (Area::of(area, 0), Area::of(area, 1));
        let chroma_key = self.kernels.chroma_key;
        for y in half.top..half.bottom {
            chroma_key(&mut rows_mut(&mut self.planes, y, &fine, &half), key);
        }
    }

    /// A surface whose corner is at the even `(x, y)`, `opacity` of it, by a blend mode.
    pub(super) fn surface(
        &mut self,
        (surface, mode): (&Surface, BlendMode),
        (x, y): (i32, i32),
        clip: Rect,
        opacity: u8,
    ) {
        let place = Rect { x, y, ..surface.rect() };
        let seen = place.intersect(clip);
        if seen.is_empty() || opacity == 0 {
            return;
        }
        let Kernels { blend, blend_faded, blend_rgb, .. } = *self.kernels;
        if mode != BlendMode::Over {
            let (fine, half) = (Area::of(seen, 0), Area::of(seen, 1));
            let (place, coarse) = (corner(place, 0), corner(place, 1));
            for y in half.top..half.bottom {
                let from = (offset(fine.left, place.0), offset(half.left, coarse.0));
                let line = offset(y, coarse.1);
                let src = surface.rows(line, from, half.right - half.left);
                let mut dst = rows_mut(&mut self.planes, y, &fine, &half);
                blend_rgb(mode, &mut dst, &src, opacity);
            }
            return;
        }
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
            let (area, origin) = (Area::of(seen, index), corner(place, index));
            let from = offset(area.left, origin.0)..offset(area.right, origin.0);
            for y in area.top..area.bottom {
                let line = offset(y, origin.1);
                let src = &surface.row(index, line)[from.clone()];
                let alpha = &surface.row(3 + coarse(index), line)[from.clone()];
                match opacity {
                    255 => blend(row(plane, y, &area), src, alpha),
                    _ => blend_faded(row(plane, y, &area), src, alpha, opacity),
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
        let Kernels { mix, blend, blend_faded, .. } = *self.kernels;
        let has_alpha = picture.has_alpha();
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
            let area = Area::of(seen, index);
            for y in area.top..area.bottom {
                let src = picture.row(index, y, &area);
                if has_alpha {
                    let (dst, alpha) = (row(plane, y, &area), picture.alpha(index, y, &area));
                    match opacity {
                        255 => blend(dst, src, alpha),
                        _ => blend_faded(dst, src, alpha, opacity),
                    }
                    continue;
                }
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
        for (index, plane) in self.planes.iter_mut().flatten().enumerate() {
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
    /// Whether what is below it may be seen through it.
    pub(super) fn has_alpha(&self) -> bool {
        self.frame.geometry().has_alpha()
    }

    /// What of the picture's alpha goes to row `y` of the canvas' plane inside `area`.
    fn alpha(&self, plane: usize, y: usize, area: &Area) -> &'a [u8] {
        let coarse = coarse(plane);
        let below = self.frame.geometry().planes().get(coarse).map_or(0, |plane| plane.rows / 2);
        self.samples((coarse, below), (plane, y), area)
    }

    /// What of the picture's plane goes to row `y` of the canvas' plane inside `area`.
    fn row(&self, plane: usize, y: usize, area: &Area) -> &'a [u8] {
        match plane {
            0..3 => self.samples((plane, 0), (plane, y), area),
            // Where alpha is drawn as a colour, its colour is itself.
            _ if self.has_alpha() => self.alpha(plane, y, area),
            _ => &OPAQUE[..area.right - area.left],
        }
    }

    /// What of a plane of the frame, from its row `below` on, goes to row `y` of the canvas' plane.
    fn samples(
        &self,
        (plane, below): (usize, usize),
        (of_canvas, y): (usize, usize),
        area: &Area,
    ) -> &'a [u8] {
        let coarse = coarse(of_canvas);
        let dest = Area::of(self.dest, of_canvas);
        let stride = self.frame.geometry().planes().get(plane).map_or(0, |plane| plane.stride);
        let line = below + (px(self.crop.y) >> coarse) + y - dest.top;
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
        let coarse = coarse(plane);
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
    (rect.x >> coarse(plane), rect.y >> coarse(plane))
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

/// Two rows of pixels with row `y` of the chroma that they share.
fn rows_mut<'p>(
    planes: &'p mut [Option<PlaneMut<'_>>; 5],
    y: usize,
    fine: &Area,
    half: &Area,
) -> RowsMut<'p> {
    fn pair<'p>(plane: Option<&'p mut PlaneMut<'_>>, y: usize, area: &Area) -> [&'p mut [u8]; 2] {
        let Some(plane) = plane else { return [&mut [], &mut []] };
        let (above, below) = plane.data.split_at_mut((2 * y + 1) * plane.stride);
        let first = &mut above[2 * y * plane.stride..][area.left..area.right];
        [first, &mut below[area.left..area.right]]
    }
    fn one<'p>(plane: Option<&'p mut PlaneMut<'_>>, y: usize, area: &Area) -> &'p mut [u8] {
        plane.map_or(&mut [], |plane| row(plane, y, area))
    }
    let [luma, cb, cr, alpha, coarse] = planes.each_mut().map(Option::as_mut);
    let alpha = alpha.map(|alpha| {
        let [first, second] = pair(Some(alpha), y, fine);
        [first, second, one(coarse, y, half)]
    });
    RowsMut { luma: pair(luma, y, fine), chroma: [one(cb, y, half), one(cr, y, half)], alpha }
}
