//! Test card: colour bars, a grey ramp, and a mark that moves.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::{Asset, int32, px};
use crate::scene::canvas::Canvas;
use crate::scene::color::WHITE;
use crate::scene::damage::{Damage, around};
use crate::scene::tick::Tick;

/// Bars at three quarters of full colour, left to right.
const BARS: [[u8; 3]; 7] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
];

/// How long the mark takes from left to right, microseconds.
const CROSSING_US: u64 = 4_000_000;

/// Bars above, a ramp from black to white below them, and at the bottom the track of the mark.
#[derive(Clone, Debug)]
pub(in crate::scene) struct TestCard {
    card: Asset,
    track: Rect,
    mark: Rect,
}

impl TestCard {
    pub(super) fn load(place: Rect, canvas: Rect) -> Self {
        let place = place.even();
        let seen = place.intersect(canvas);
        let (left, top) = ((seen.x - place.x).unsigned_abs(), (seen.y - place.y).unsigned_abs());
        let (w, h) = (place.w.unsigned_abs().max(1), place.h.unsigned_abs());
        let (bars_end, ramp_end) = (h * 2 / 3, h * 5 / 6);
        let image = RgbaImage::from_fn(seen.w.unsigned_abs(), seen.h.unsigned_abs(), |x, y| {
            let (x, y) = (x + left, y + top);
            let [r, g, b] = if y < bars_end {
                BARS[px(int32(x * 7 / w)).min(6)]
            } else if y < ramp_end {
                [u8::try_from(x * 255 / w.saturating_sub(1).max(1)).unwrap_or(255); 3]
            } else {
                [0; 3]
            };
            Rgba([r, g, b, 255])
        });
        let track_top = (place.y + int32(ramp_end) + 1) & !1;
        let track = Rect { y: track_top, h: place.y + place.h - track_top, ..place };
        let mark = Rect { w: (place.w / 40).max(2) & !1, ..track };
        Self { card: Asset::new(&image, (seen.x, seen.y), canvas), track, mark }
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let way = u64::from((self.track.w - self.mark.w).max(0).unsigned_abs());
        let gone = way * (tick.programme.0 % CROSSING_US) / CROSSING_US;
        let x = self.track.x + (i32::try_from(gone).unwrap_or(0) & !1);
        if x != self.mark.x {
            damage.add(self.mark);
            self.mark.x = x;
            damage.add(self.mark);
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        let mark = self.mark.intersect(clip);
        for rect in around(clip, mark) {
            canvas.asset(&self.card, (0, 0), rect, opacity);
        }
        canvas.fill(mark, WHITE, opacity);
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        std::iter::once(&self.card)
    }

    pub(super) fn rect(&self) -> Rect {
        self.card.rect()
    }
}
