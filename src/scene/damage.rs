//! Damage: short lists of rectangles that changed on the canvas, and their history.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::media::{Rect, Size};

/// Most rectangles in a list. When it is full, the two that waste least are joined.
const RECTS_MAX: usize = 16;

/// How many changes are remembered. A frame drawn before them is drawn anew.
const HISTORY: usize = 64;

/// The same as a number of changes.
const HISTORY_CHANGES: u64 = 64;

/// Bits of a mark that count changes; the rest tell composers apart.
const CHANGE_BITS: u32 = 40;

/// Tells histories apart in the marks that frames keep.
static HISTORIES: AtomicU64 = AtomicU64::new(1);

/// A region of the canvas as a few rectangles with even edges, which may overlap.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    canvas: Rect,
    rects: [Rect; RECTS_MAX],
    len: usize,
}

impl Damage {
    /// All of a picture of this size.
    #[must_use]
    pub fn whole(size: Size) -> Self {
        Self::all(size.rect())
    }

    /// Nothing of `canvas`.
    pub(super) const fn none(canvas: Rect) -> Self {
        Self { canvas, rects: [Rect { x: 0, y: 0, w: 0, h: 0 }; RECTS_MAX], len: 0 }
    }

    /// All of `canvas`.
    pub(super) fn all(canvas: Rect) -> Self {
        let mut all = Self::none(canvas);
        all.add(canvas);
        all
    }

    /// The rectangles.
    #[must_use]
    pub fn rects(&self) -> &[Rect] {
        &self.rects[..self.len]
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds what of `rect` lies on the canvas, grown to even edges.
    pub(super) fn add(&mut self, rect: Rect) {
        let mut new = rect.even().intersect(self.canvas);
        if new.is_empty() {
            return;
        }
        // A joined rectangle may swallow further ones, so look again after each join.
        while let Some(at) = self.rects().iter().position(|old| waste(*old, new) <= 0) {
            new = new.union(self.take(at));
        }
        if self.len == RECTS_MAX {
            let cheapest = (0..self.len).min_by_key(|at| waste(self.rects[*at], new));
            let joined = new.union(self.take(cheapest.unwrap_or(0)));
            return self.add(joined);
        }
        self.rects[self.len] = new;
        self.len += 1;
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for rect in other.rects() {
            self.add(*rect);
        }
    }

    fn take(&mut self, at: usize) -> Rect {
        self.len -= 1;
        self.rects.swap(at, self.len);
        self.rects[self.len]
    }
}

/// Pixels that would be drawn needlessly if the two were one; negative if they overlap so much that
/// joining saves work.
fn waste(a: Rect, b: Rect) -> i64 {
    area(a.union(b)) - area(a) - area(b)
}

/// What of `outer` is not in `inner`: above, below, left, right; some may be empty.
pub(super) fn around(outer: Rect, inner: Rect) -> [Rect; 4] {
    let inner = outer.intersect(inner);
    if inner.is_empty() {
        return [outer, Rect::default(), Rect::default(), Rect::default()];
    }
    let (right, bottom) = (inner.x + inner.w, inner.y + inner.h);
    [
        Rect { h: inner.y - outer.y, ..outer },
        Rect { y: bottom, h: outer.y + outer.h - bottom, ..outer },
        Rect { x: outer.x, y: inner.y, w: inner.x - outer.x, h: inner.h },
        Rect { x: right, y: inner.y, w: outer.x + outer.w - right, h: inner.h },
    ]
}

/// Pixels in `rect`.
pub(super) fn area(rect: Rect) -> i64 {
    if rect.is_empty() { 0 } else { i64::from(rect.w) * i64::from(rect.h) }
}

/// The last changes of one composer's canvas. Each state of the canvas has a mark, which frames
/// keep (see `frame::Frame::content`).
#[derive(Debug)]
pub(super) struct History {
    canvas: Rect,
    /// Changes so far, above the composer's own number.
    mark: u64,
    ring: Box<[Damage]>,
}

impl History {
    /// Of a canvas on which nothing has been drawn.
    pub(super) fn begin(canvas: Rect) -> Self {
        Self::new(canvas, HISTORIES.fetch_add(1, Ordering::Relaxed))
    }

    /// `composer` must differ between composers that may share a pool.
    fn new(canvas: Rect, composer: u64) -> Self {
        let ring = vec![Damage::none(canvas); HISTORY].into_boxed_slice();
        Self { canvas, mark: composer << CHANGE_BITS, ring }
    }

    /// The canvas as it is now.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Remembers a change; the canvas has a new mark.
    pub(super) fn push(&mut self, damage: &Damage) {
        self.mark += 1;
        let slot = slot(self.mark);
        self.ring[slot] = *damage;
    }

    /// Everything that changed since the canvas had `mark`: all of it, if that is unknown.
    pub(super) fn since(&self, mark: u64) -> Damage {
        let changes = self.mark.wrapping_sub(mark);
        let changes_ever = self.mark & ((1 << CHANGE_BITS) - 1);
        // A mark of another composer, or of an untouched slot, is far away or before the first.
        if changes > HISTORY_CHANGES || changes >= changes_ever {
            return Damage::all(self.canvas);
        }
        let mut damage = Damage::none(self.canvas);
        for change in mark + 1..=self.mark {
            damage.add_all(&self.ring[slot(change)]);
        }
        damage
    }
}

fn slot(mark: u64) -> usize {
    usize::try_from(mark % HISTORY_CHANGES).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 640, h: 360 };

    fn at(x: i32, y: i32, w: i32, h: i32) -> Rect {
        Rect { x, y, w, h }
    }

    fn covers(damage: &Damage, x: i32, y: i32) -> bool {
        damage.rects().iter().any(|rect| rect.contains(at(x, y, 1, 1)))
    }

    #[test]
    fn what_was_added_stays_covered_however_much_is_joined() {
        let mut damage = Damage::none(CANVAS);
        let spots: Vec<Rect> =
            (0..60).map(|i| at(i * 97 % 640, i * 53 % 360, 3 + i % 9, 2)).collect();
        for spot in &spots {
            damage.add(*spot);
            assert!(damage.rects().len() <= RECTS_MAX);
        }
        for spot in spots {
            assert!(covers(&damage, spot.x, spot.y), "{spot:?}");
        }
        assert!(damage.rects().iter().all(|r| r.even() == *r && CANVAS.contains(*r)));
    }

    #[test]
    fn neighbours_become_one_and_strangers_stay_apart() {
        let mut damage = Damage::none(CANVAS);
        damage.add(at(0, 0, 10, 10));
        damage.add(at(10, 0, 10, 10));
        damage.add(at(200, 200, 10, 10));
        damage.add(at(700, 0, 10, 10));
        assert_eq!(damage.rects(), [at(0, 0, 20, 10), at(200, 200, 10, 10)]);
    }

    #[test]
    fn what_lies_around_a_rectangle_is_the_rest_of_the_other() {
        let outer = at(10, 10, 20, 20);
        for inner in [at(14, 12, 4, 6), at(0, 0, 15, 15), at(10, 10, 20, 20), at(90, 0, 9, 9)] {
            let parts = around(outer, inner);
            for (x, y) in (0..40).flat_map(|x| (0..40).map(move |y| (x, y))) {
                let spot = at(x, y, 1, 1);
                let in_parts = parts.iter().filter(|part| part.contains(spot)).count();
                let expected = outer.contains(spot) && !inner.contains(spot);
                assert_eq!(in_parts, usize::from(expected), "{inner:?} {x} {y}");
            }
        }
    }

    #[test]
    fn a_frame_needs_what_changed_since_it_was_drawn() {
        let mut history = History::new(CANVAS, 3);
        history.push(&Damage::all(CANVAS));
        let first = history.mark();
        let mut change = Damage::none(CANVAS);
        change.add(at(4, 4, 2, 2));
        history.push(&change);
        assert_eq!(history.since(first).rects(), [at(4, 4, 2, 2)]);
        assert!(history.since(history.mark()).is_empty());
    }

    #[test]
    fn a_frame_too_old_never_drawn_or_of_another_composer_is_drawn_anew() {
        let mut other = History::new(CANVAS, 1);
        let mut history = History::new(CANVAS, 2);
        for _ in 0..HISTORY_CHANGES {
            history.push(&Damage::none(CANVAS));
            other.push(&Damage::none(CANVAS));
        }
        let old = history.mark();
        for _ in 0..HISTORY_CHANGES {
            history.push(&Damage::none(CANVAS));
        }
        assert!(history.since(old).is_empty());
        history.push(&Damage::none(CANVAS));
        for mark in [old, 0, other.mark(), u64::MAX] {
            assert_eq!(history.since(mark).rects(), [CANVAS]);
        }
    }
}
