//! Flash: white for the first tenth of every second, black otherwise: measures picture against
//! audio.

use crate::media::Rect;
use crate::scene::canvas::Canvas;
use crate::scene::color::{BLACK, WHITE};
use crate::scene::damage::Damage;
use crate::scene::tick::Tick;

/// How long it is white, microseconds.
const WHITE_US: u64 = 100_000;

/// How often it turns white, microseconds.
const PERIOD_US: u64 = 1_000_000;

/// A box that is white or black.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Flash {
    rect: Rect,
    is_white: bool,
}

impl Flash {
    pub(super) const fn new(place: Rect) -> Self {
        Self { rect: place.even(), is_white: false }
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let is_white = tick.programme.0 % PERIOD_US < WHITE_US;
        if is_white != self.is_white {
            self.is_white = is_white;
            damage.add(self.rect);
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        let color = if self.is_white { WHITE } else { BLACK };
        canvas.fill(self.rect.intersect(clip), color, opacity);
    }

    pub(super) const fn rect(&self) -> Rect {
        self.rect
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;

    #[test]
    fn it_is_white_for_the_first_tenth_of_each_second() {
        let rect = Rect { x: 0, y: 0, w: 16, h: 16 };
        let mut flash = Flash::new(rect);
        for (ms, is_white, changes) in [
            (0, true, true),
            (99, true, false),
            (100, false, true),
            (999, false, false),
            (5_050, true, true),
        ] {
            let mut damage = Damage::none(rect);
            let tick = Tick { programme: Micros::from_millis(ms), ..Tick::default() };
            flash.update(&tick, &mut damage);
            assert_eq!((flash.is_white, !damage.is_empty()), (is_white, changes), "{ms} ms");
        }
    }
}
