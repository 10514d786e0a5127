//! Frame counter: the number of the tick as black and white blocks, which programs read from the
//! picture again: how long it took to where it is seen.

use crate::media::{FRAME_BLOCKS, Rect, frame_block_edge, frame_blocks, is_white_block};
use crate::scene::canvas::Canvas;
use crate::scene::color::{BLACK, WHITE};
use crate::scene::damage::Damage;
use crate::scene::tick::Tick;

/// A row of blocks.
#[derive(Clone, Debug)]
pub(in crate::scene) struct FrameCounter {
    place: Rect,
    /// White blocks, the first in the highest of [`FRAME_BLOCKS`] bits.
    shown: u64,
}

impl FrameCounter {
    pub(super) const fn new(place: Rect) -> Self {
        Self { place: place.even(), shown: 0 }
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let new = frame_blocks(tick.n);
        let changed = new ^ self.shown;
        (0..FRAME_BLOCKS)
            .filter(|n| is_white_block(changed, *n))
            .for_each(|n| damage.add(self.block(n)));
        self.shown = new;
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        for n in 0..FRAME_BLOCKS {
            let color = if is_white_block(self.shown, n) { WHITE } else { BLACK };
            canvas.fill(self.block(n).intersect(clip), color, opacity);
        }
    }

    /// Where a block is: all of them fill the box, with even edges.
    fn block(&self, n: u32) -> Rect {
        let edge = |n: u32| {
            let way = frame_block_edge(self.place.w.unsigned_abs(), n);
            self.place.x + i32::try_from(way).unwrap_or(0)
        };
        let right = if n + 1 == FRAME_BLOCKS { self.place.x + self.place.w } else { edge(n + 1) };
        Rect { x: edge(n), w: right - edge(n), ..self.place }
    }

    pub(super) const fn rect(&self) -> Rect {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Rect = Rect { x: 10, y: 4, w: 642, h: 20 };

    #[test]
    fn they_fill_the_box_and_only_those_that_change_are_drawn_again() {
        let mut counter = FrameCounter::new(PLACE);
        let mut right = PLACE.x;
        for n in 0..FRAME_BLOCKS {
            let block = counter.block(n);
            assert_eq!((block.x, block.x & 1), (right, 0));
            right = block.x + block.w;
        }
        assert_eq!(right, PLACE.x + PLACE.w);
        let mut at = |n| {
            let mut damage = Damage::none(Rect { x: 0, y: 0, w: 800, h: 40 });
            counter.update(&Tick { n, ..Tick::default() }, &mut damage);
            damage.rects().to_vec()
        };
        at(6);
        assert!(at(6).is_empty());
        let last = counter_block(31);
        // Its last bit, and the last of the check.
        assert!(at(7).iter().any(|rect| rect.contains(last)));
    }

    fn counter_block(n: u32) -> Rect {
        FrameCounter::new(PLACE).block(n)
    }
}
