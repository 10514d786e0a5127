//! Layout: where a picture of some size lies in its layer's box.

use super::model::Fit;
use crate::media::{Rect, Size};

/// How a picture is scaled, and which part of it goes where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The size to scale the whole picture to.
    pub scaled: Size,
    /// Where it lands on the canvas; even edges.
    pub dest: Rect,
    /// The part of the scaled picture that lands there; as large as `dest`, even edges.
    pub crop: Rect,
}

/// Places a picture of `source` size in the box `place`.
///
/// Edges are even, because a canvas has one colour sample per two by two pixels. A picture is never
/// scaled below [`Size::SIDE_MIN`] or above [`Size::SIDE_MAX`]; in a smaller box it is cut off.
#[must_use]
pub fn fit(place: Rect, fit: Fit, source: Size) -> Placement {
    let place = place.even();
    let (w, h) = scale(place, fit, (source.width(), source.height()));
    let scaled = Size::new(side(w), side(h)).unwrap_or(source);
    let (dest, crop) = centre(place, scaled);
    Placement { scaled, dest, crop }
}

/// Where a picture that already has its size on the canvas goes: in the middle of `place`, cut off
/// at its edges. Gives the place on the canvas and the part of the picture that goes there.
#[must_use]
pub fn centre(place: Rect, scaled: Size) -> (Rect, Rect) {
    let (place, whole) = (place.even(), scaled.rect());
    let (x, from_x, w) = middle(place.x, place.w, whole.w);
    let (y, from_y, h) = middle(place.y, place.h, whole.h);
    (Rect { x, y, w, h }, Rect { x: from_x, y: from_y, w, h })
}

/// Width and height of a `w` x `h` picture in the box, at least 1 each, before any rounding to
/// even.
pub(super) fn scale(place: Rect, fit: Fit, (w, h): (u32, u32)) -> (u32, u32) {
    let (box_w, box_h) = (positive(place.w), positive(place.h));
    let (w, h) = (w.max(1), h.max(1));
    // The box is wider than the picture: compare w/h with box_w/box_h without dividing.
    let wider = u64::from(box_w) * u64::from(h) > u64::from(w) * u64::from(box_h);
    let by_width = (box_w, ratio(h, box_w, w));
    let by_height = (ratio(w, box_h, h), box_h);
    match fit {
        Fit::Contain => {
            if wider {
                by_height
            } else {
                by_width
            }
        }
        Fit::Cover => {
            if wider {
                by_width
            } else {
                by_height
            }
        }
        Fit::Fill => (box_w, box_h),
        Fit::None => (w, h),
    }
}

/// `a * b / c`, rounded, at least 1.
fn ratio(a: u32, b: u32, c: u32) -> u32 {
    let (a, b, c) = (u64::from(a), u64::from(b), u64::from(c));
    u32::try_from(((a * b + c / 2) / c).max(1)).unwrap_or(u32::MAX)
}

fn positive(v: i32) -> u32 {
    u32::try_from(v.max(1)).unwrap_or(1)
}

/// The nearest even number that a side of a picture can be.
fn side(v: u32) -> u32 {
    (v.saturating_add(v & 1)).clamp(Size::SIDE_MIN, Size::SIDE_MAX)
}

/// Along one axis: where it starts on the canvas, where in the picture, and how long it is.
fn middle(start: i32, room: i32, length: i32) -> (i32, i32, i32) {
    let free = room - length;
    let half = (free.abs() / 2) & !1;
    if free >= 0 { (start + half, 0, length) } else { (start, half, room) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(w: u32, h: u32) -> Size {
        Size::new(w, h).unwrap()
    }

    const BOX: Rect = Rect { x: 100, y: 50, w: 640, h: 480 };

    #[test]
    fn contain_shows_the_whole_picture_and_leaves_bars() {
        let wide = fit(BOX, Fit::Contain, size(1920, 1080));
        assert_eq!(wide.scaled, size(640, 360));
        assert_eq!(wide.dest, Rect { x: 100, y: 110, w: 640, h: 360 });
        assert_eq!(wide.crop, size(640, 360).rect());
        let tall = fit(BOX, Fit::Contain, size(1080, 1920));
        assert_eq!((tall.scaled, tall.dest.x), (size(270, 480), 284));
    }

    #[test]
    fn cover_fills_the_box_and_cuts_the_picture() {
        let wide = fit(BOX, Fit::Cover, size(1920, 1080));
        assert_eq!(wide.scaled, size(854, 480));
        assert_eq!(wide.dest, BOX);
        assert_eq!(wide.crop, Rect { x: 106, y: 0, w: 640, h: 480 });
    }

    #[test]
    fn fill_stretches_and_none_leaves_as_it_is() {
        assert_eq!(fit(BOX, Fit::Fill, size(16, 16)).scaled, size(640, 480));
        let small = fit(BOX, Fit::None, size(64, 48));
        assert_eq!(small.dest, Rect { x: 388, y: 266, w: 64, h: 48 });
        let large = fit(BOX, Fit::None, size(1920, 1080));
        assert_eq!((large.dest, large.crop.w, large.crop.x), (BOX, 640, 640));
    }

    #[test]
    fn every_placement_is_even_inside_its_box_and_inside_its_picture() {
        let mut state = 7_u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for _ in 0..20_000 {
            let place = Rect {
                x: next(4_000).cast_signed() - 2_000,
                y: next(4_000).cast_signed() - 2_000,
                w: next(3_000).cast_signed() + 1,
                h: next(3_000).cast_signed() + 1,
            };
            let source = size(16 + next(2_000) / 2 * 2, 16 + next(2_000) / 2 * 2);
            for how in [Fit::Contain, Fit::Cover, Fit::Fill, Fit::None] {
                let p = fit(place, how, source);
                assert_eq!((p.dest.even(), p.crop.even()), (p.dest, p.crop));
                assert_eq!((p.dest.w, p.dest.h), (p.crop.w, p.crop.h));
                assert!(place.even().contains(p.dest), "{place:?} {how:?} {source} {p:?}");
                assert!(p.scaled.rect().contains(p.crop), "{place:?} {how:?} {source} {p:?}");
                assert_eq!(centre(place, p.scaled), (p.dest, p.crop));
                if how == Fit::Cover {
                    assert_eq!(p.dest, place.even(), "{source} {p:?}");
                }
            }
        }
    }
}
