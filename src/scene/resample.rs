//! Bilinear scaling of a surface while its layer is on its way from one size to another.

use super::asset::{coarse, px};
use super::surface::Surface;
use crate::frame::PlaneMut;
use crate::media::Rect;

/// Bits of a place in a row behind the point.
const PLACE_BITS: u32 = 16;

/// Bits of a weight.
const WEIGHT_BITS: u32 = 8;

/// One row or column of samples that is made of others.
#[derive(Clone, Copy, Debug)]
struct Axis {
    step: u64,
    last: usize,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let step = ((from as u64) << PLACE_BITS) / to.max(1) as u64;
        Self { step, last: from.saturating_sub(1) }
    }

    /// The two samples that make sample `at`, and the weight of the second.
    fn of(self, at: usize) -> (usize, usize, u32) {
        let centre = at as u64 * self.step + self.step / 2;
        let place = centre.saturating_sub(1 << (PLACE_BITS - 1));
        let first = usize::try_from(place >> PLACE_BITS).unwrap_or(0).min(self.last);
        let weight = (place >> (PLACE_BITS - WEIGHT_BITS)) & ((1 << WEIGHT_BITS) - 1);
        (first, (first + 1).min(self.last), u32::try_from(weight).unwrap_or(0))
    }
}

/// Draws what of a surface is seen when it fills `dest`: its part `seen` comes to the corner of
/// `to`, which is as large or larger. Both have even edges. By whole numbers, so that it is the
/// same on every machine.
pub(super) fn resample(from: &Surface, (dest, seen): (Rect, Rect), to: &mut Surface) {
    let whole = from.rect();
    for (plane, PlaneMut { data, stride, .. }) in to.planes_mut().into_iter().enumerate() {
        let part = |length: i32| px(length) >> coarse(plane);
        let columns = Axis::new(part(whole.w), part(dest.w));
        let rows = Axis::new(part(whole.h), part(dest.h));
        let (left, top) = (part(seen.x - dest.x), part(seen.y - dest.y));
        for y in 0..part(seen.h) {
            let (above, below, down) = rows.of(top + y);
            let (above, below) = (from.row(plane, above), from.row(plane, below));
            let row = &mut data[y * stride..][..part(seen.w)];
            for (x, sample) in row.iter_mut().enumerate() {
                let (first, second, across) = columns.of(left + x);
                *sample = mixed(
                    mixed_twice((above[first], above[second]), across),
                    mixed_twice((below[first], below[second]), across),
                    down,
                );
            }
        }
    }
}

const ONE: u32 = 1 << WEIGHT_BITS;

fn mixed_twice((a, b): (u8, u8), weight: u32) -> u32 {
    u32::from(a) * (ONE - weight) + u32::from(b) * weight
}

fn mixed(a: u32, b: u32, weight: u32) -> u8 {
    let sum = a * (ONE - weight) + b * weight;
    u8::try_from((sum + (1 << (2 * WEIGHT_BITS - 1))) >> (2 * WEIGHT_BITS)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A surface whose luma grows from left to right and from top to bottom.
    fn ramp(w: i32, h: i32) -> Surface {
        let mut surface = Surface::new(Rect { x: 0, y: 0, w, h });
        for PlaneMut { data, width, .. } in surface.planes_mut() {
            for (at, sample) in data.iter_mut().enumerate() {
                *sample = u8::try_from(at % width * 4 + at / width * 4).unwrap();
            }
        }
        surface
    }

    #[test]
    fn the_same_size_is_the_same_picture_and_a_part_is_that_part_of_the_whole() {
        let from = ramp(24, 16);
        for (w, h) in [(24, 16), (40, 10), (6, 30)] {
            let dest = Rect { x: -4, y: 2, w, h };
            let mut whole = Surface::new(Rect { x: 0, y: 0, w: 64, h: 32 });
            resample(&from, (dest, dest), &mut whole);
            let seen = Rect { x: 0, y: 4, w: w - 4, h: h - 4 };
            let mut part = Surface::new(Rect { x: 0, y: 0, w: 64, h: 32 });
            resample(&from, (dest, seen), &mut part);
            for y in 0..px(seen.h) {
                let row = &whole.row(0, y + 2)[4..4 + px(seen.w)];
                assert_eq!(&part.row(0, y)[..px(seen.w)], row);
                assert!(row.is_sorted(), "{row:?}");
            }
            if (w, h) == (24, 16) {
                assert!((0..16).all(|y| whole.row(0, y)[..24] == *from.row(0, y)));
            }
        }
    }
}
