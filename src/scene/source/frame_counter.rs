//! Frame counter: the number of the tick as black and white blocks, which programs read from the
//! picture again: how long it took to where it is seen.

use crate::media::Rect;
use crate::scene::canvas::Canvas;
use crate::scene::color::{BLACK, WHITE};
use crate::scene::damage::Damage;
use crate::scene::tick::Tick;

/// Blocks of the number, the highest bit first.
const NUMBER_BITS: u32 = 32;

/// Blocks behind it: the sum of the number's bytes, inverted, so that neither black nor white alone
/// is a number.
const CHECK_BITS: u32 = 8;

/// Blocks beside each other.
const BLOCKS: u32 = NUMBER_BITS + CHECK_BITS;

/// A row of blocks.
#[derive(Clone, Debug)]
pub(in crate::scene) struct FrameCounter {
    place: Rect,
    /// White blocks, the first in the highest of [`BLOCKS`] bits.
    shown: u64,
}

impl FrameCounter {
    pub(super) const fn new(place: Rect) -> Self {
        Self { place: place.even(), shown: 0 }
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let new = blocks(tick.n);
        let changed = new ^ self.shown;
        (0..BLOCKS).filter(|n| is_white(changed, *n)).for_each(|n| damage.add(self.block(n)));
        self.shown = new;
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        for n in 0..BLOCKS {
            let color = if is_white(self.shown, n) { WHITE } else { BLACK };
            canvas.fill(self.block(n).intersect(clip), color, opacity);
        }
    }

    /// Where a block is: all of them fill the box, with even edges.
    fn block(&self, n: u32) -> Rect {
        let edge = |n: u32| {
            let way = u64::from(self.place.w.unsigned_abs()) * u64::from(n) / u64::from(BLOCKS);
            self.place.x + (i32::try_from(way).unwrap_or(0) & !1)
        };
        let right = if n + 1 == BLOCKS { self.place.x + self.place.w } else { edge(n + 1) };
        Rect { x: edge(n), w: right - edge(n), ..self.place }
    }

    pub(super) const fn rect(&self) -> Rect {
        self.place
    }
}

/// The blocks of a number.
fn blocks(number: u64) -> u64 {
    let number = number & u64::from(u32::MAX);
    let sum = number.to_le_bytes().into_iter().fold(0, u8::wrapping_add);
    number << CHECK_BITS | u64::from(!sum)
}

const fn is_white(blocks: u64, n: u32) -> bool {
    blocks >> (BLOCKS - 1 - n) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Rect = Rect { x: 10, y: 4, w: 642, h: 20 };

    #[test]
    fn blocks_are_the_number_and_its_check() {
        let bits = |n: u64| format!("{:040b}", blocks(n));
        assert_eq!(bits(0), format!("{:032b}{:08b}", 0, 0xFF));
        assert_eq!(bits(0x0102_0304), format!("{:032b}{:08b}", 0x0102_0304, 0xF5));
        assert_eq!(blocks(1 << 32 | 7), blocks(7));
    }

    #[test]
    fn they_fill_the_box_and_only_those_that_change_are_drawn_again() {
        let mut counter = FrameCounter::new(PLACE);
        let mut right = PLACE.x;
        for n in 0..BLOCKS {
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
