//! Layout: where a picture of some size lies in its layer's box.

use super::model::{Arrangement, ArrangementKind, Fit};
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

/// From the pixels that places are written in to those of a canvas or a surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Transform {
    x: f64,
    y: f64,
    across: f64,
    down: f64,
}

impl Default for Transform {
    fn default() -> Self {
        Self { x: 0.0, y: 0.0, across: 1.0, down: 1.0 }
    }
}

impl Transform {
    /// Each edge on the nearest pixel, so that neighbours still touch.
    pub(super) fn rect(&self, rect: Rect) -> Rect {
        #[expect(clippy::cast_possible_truncation, reason = "saturates; places are checked")]
        let near = |at: f64| (at + 0.5).floor() as i32;
        let side = |from: i32, length: i32, begin: f64, scale: f64| {
            let first = near(begin + f64::from(from) * scale);
            let last = near(begin + (f64::from(from) + f64::from(length)) * scale);
            (first, last.saturating_sub(first).max(1))
        };
        let (x, w) = side(rect.x, rect.w, self.x, self.across);
        let (y, h) = side(rect.y, rect.h, self.y, self.down);
        Rect { x, y, w, h }
    }

    /// The same for places that are counted from `(x, y)`.
    pub(super) fn moved(&self, x: i32, y: i32) -> Self {
        let (x, y) = (f64::from(x) * self.across, f64::from(y) * self.down);
        Self { x: self.x + x, y: self.y + y, ..*self }
    }

    /// The same to pixels that are counted from elsewhere.
    pub(super) fn shifted(&self, x: i32, y: i32) -> Self {
        Self { x: self.x + f64::from(x), y: self.y + f64::from(y), ..*self }
    }

    /// By how much letters grow.
    #[expect(clippy::cast_possible_truncation, reason = "a ratio of canvas sides")]
    pub(super) const fn scale(&self) -> f32 {
        self.across.min(self.down) as f32
    }
}

/// The places of `count` layers in a box of `w` x `h`, each at least 2 x 2.
pub(super) fn arranged(
    Arrangement { kind, gap, .. }: Arrangement,
    count: usize,
    (w, h): (i32, i32),
) -> Vec<Rect> {
    let count = i32::try_from(count).unwrap_or(i32::MAX).max(1);
    let gap = i32::try_from(gap).unwrap_or(i32::MAX).min(w.min(h) / 2);
    // Cell `at` of `of` along a side, and its length: what is left over goes to the first ones.
    let cell = |at: i32, of: i32, side: i32| {
        let free = (side - gap * (of + 1)).max(2 * of);
        let begin = |n: i32| free * n / of + gap * (n + 1);
        (begin(at), (begin(at + 1) - gap - begin(at)).max(2))
    };
    let boxed = |(x, w): (i32, i32), (y, h): (i32, i32)| Rect { x, y, w, h };
    let columns = (1..count).find(|columns| columns * columns >= count).unwrap_or(1);
    let rows = (count + columns - 1) / columns;
    let of = |at: i32| match kind {
        ArrangementKind::Row => boxed(cell(at, count, w), cell(0, 1, h)),
        ArrangementKind::Column => boxed(cell(0, 1, w), cell(at, count, h)),
        ArrangementKind::Grid => {
            let (row, last) = (at / columns, count - (rows - 1) * columns);
            let spare = if row == rows - 1 { columns - last } else { 0 };
            let (x, wide) = cell(at % columns, columns, w);
            boxed((x + spare * (wide + gap) / 2, wide), cell(row, rows, h))
        }
        ArrangementKind::SideBySide => {
            let (x, wide) = cell(at, count, w);
            let high = (i64::from(wide) * i64::from(h) / i64::from(w.max(1))).max(2);
            let high = i32::try_from(high).unwrap_or(h);
            boxed((x, wide), ((h - high) / 2, high))
        }
        ArrangementKind::PictureInPicture if at == 0 => boxed((0, w), (0, h)),
        ArrangementKind::PictureInPicture => {
            let (wide, high) = ((w / 4).max(2), (h / 4).max(2));
            boxed((w - at * (wide + gap), wide), (h - high - gap, high))
        }
    };
    (0..count).map(of).collect()
}

/// How a whole canvas of `w` x `h` lies in a box, and what of the box it covers.
pub(super) fn inset(place: Rect, fit: Fit, (w, h): (i32, i32)) -> (Transform, Rect) {
    let [w, h] = [w, h].map(|side| f64::from(side.max(1)));
    let (room_w, room_h) = (f64::from(place.w), f64::from(place.h));
    let (across, down) = (room_w / w, room_h / h);
    let (across, down) = match fit {
        Fit::Contain => (across.min(down), across.min(down)),
        Fit::Cover => (across.max(down), across.max(down)),
        Fit::Fill => (across, down),
        Fit::None => (1.0, 1.0),
    };
    let (x, y) = ((room_w - w * across) / 2.0, (room_h - h * down) / 2.0);
    let transform =
        Transform { x: f64::from(place.x) + x, y: f64::from(place.y) + y, across, down };
    #[expect(clippy::cast_possible_truncation, reason = "sides of a canvas")]
    let canvas = transform.rect(Rect { x: 0, y: 0, w: w as i32, h: h as i32 });
    (transform, canvas.intersect(place))
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

/// The sides that a picture comes to its box with: one that is not scaled for that is `scale` times
/// as large as it is, where all around it is.
#[must_use]
pub fn natural((w, h): (u32, u32), fit: Fit, scale: f32) -> (u32, u32) {
    if fit != Fit::None {
        return (w, h);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let side = |side: u32| (f64::from(side) * f64::from(scale)).round().max(1.0) as u32;
    (side(w), side(h))
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
    use crate::media::Micros;
    use crate::scene::transition::Easing;

    fn size(w: u32, h: u32) -> Size {
        Size::new(w, h).unwrap()
    }

    fn at_once(kind: ArrangementKind, gap: u32) -> Arrangement {
        Arrangement { kind, gap, animate: Micros(0), easing: Easing::Linear }
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
    fn a_canvas_in_a_box_is_scaled_whole_and_its_neighbours_still_touch() {
        let canvas = (1_920, 1_080);
        let (contain, covered) = inset(BOX, Fit::Contain, canvas);
        assert_eq!(covered, Rect { x: 100, y: 110, w: 640, h: 360 });
        let [left, right] = [0, 641].map(|x| contain.rect(Rect { x, y: 540, w: 641, h: 270 }));
        assert_eq!((left.x, left.x + left.w), (100, right.x));
        assert_eq!((left.y, left.h, contain.scale()), (290, 90, 1.0 / 3.0));
        let (cover, covered) = inset(BOX, Fit::Cover, canvas);
        assert_eq!((covered, cover.rect(Rect { x: 960, y: 0, w: 9, h: 9 }).x), (BOX, 420));
        let (fill, covered) = inset(BOX, Fit::Fill, canvas);
        assert_eq!(covered, BOX);
        let whole = Rect { x: 0, y: 0, w: 1_920, h: 1_080 };
        assert_eq!(fill.rect(whole), BOX);
        let (none, covered) = inset(BOX, Fit::None, (320, 180));
        assert_eq!(covered, Rect { x: 260, y: 200, w: 320, h: 180 });
        let inner = none.moved(10, 20).shifted(-260, -200);
        let unit = Rect { x: 0, y: 0, w: 8, h: 8 };
        assert_eq!(inner.rect(unit), Rect { x: 10, y: 20, ..unit });
    }

    #[test]
    fn arranged_layers_share_the_box_without_touching() {
        for (_, kind) in ArrangementKind::WORDS {
            for (count, gap) in [(1, 0), (2, 10), (3, 7), (4, 0), (5, 20), (7, 3), (16, 2)] {
                let places = arranged(at_once(kind, gap), count, (640, 360));
                assert_eq!(places.len(), count);
                let whole = Rect { x: 0, y: 0, w: 640, h: 360 };
                let is_inset = kind == ArrangementKind::PictureInPicture;
                for (at, place) in places.iter().enumerate() {
                    assert!(whole.contains(*place) || is_inset, "{kind:?} {count} {place:?}");
                    let later = places[at + 1..].iter().filter(|_| !is_inset || at > 0);
                    for other in later {
                        assert!(place.intersect(*other).is_empty(), "{kind:?} {count} {gap}");
                    }
                }
            }
        }
        let of = |kind, count| arranged(at_once(kind, 10), count, (640, 360));
        let grid = of(ArrangementKind::Grid, 3);
        assert_eq!(grid[0], Rect { x: 10, y: 10, w: 305, h: 165 });
        assert_eq!(grid[2], Rect { x: 167, y: 185, w: 305, h: 165 });
        let pair = of(ArrangementKind::SideBySide, 2);
        assert_eq!(pair[1], Rect { x: 325, y: 94, w: 305, h: 171 });
        let inset = of(ArrangementKind::PictureInPicture, 2);
        assert_eq!(inset[1], Rect { x: 470, y: 260, w: 160, h: 90 });
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
