//! Clock source: the time of day to the millisecond. Its figures are drawn once, at load; a tick
//! puts the ones that changed into their cells.

use image::RgbaImage;

use super::loader::Loader;
use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Align, TextStyle};
use crate::scene::resolve::PlacedLayer;
use crate::scene::tick::Tick;

/// `HH:MM:SS.mmm`.
const CELLS: usize = 12;

/// What a cell can show, by glyph number.
const GLYPHS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ":", "."];

const COLON: usize = 10;
const POINT: usize = 11;

/// Which glyph a cell shows before the first tick.
const BLANK: usize = usize::MAX;

const DAY_MS: u64 = 86_400_000;

/// Glyphs, and the cells they are put in.
#[derive(Debug)]
pub(in crate::scene) struct Clock {
    /// At the canvas' corner, and one pixel to the right of it: assets move by even distances, so a
    /// cell at an odd place takes the second.
    glyphs: Vec<[Asset; 2]>,
    cells: [Rect; CELLS],
    shown: [usize; CELLS],
}

impl Clock {
    pub(super) fn load(
        layer: &PlacedLayer,
        style: &TextStyle,
        loader: &mut Loader,
    ) -> Result<Self, Error> {
        let (place, fonts) = (layer.place, loader.fonts());
        let centred = TextStyle { align: Align::Center, ..style.clone() };
        let face = fonts.face(layer, style, "0123456789:.")?;
        let widths = GLYPHS.map(|glyph| fonts.width(glyph, (&face, style), Setting::Figures));
        let figure = widths[..COLON].iter().copied().fold(1.0, f32::max);
        let width = |glyph: usize| if glyph < COLON { figure } else { widths[glyph] };
        let height = whole(style.size.ceil());
        let glyphs = GLYPHS.iter().enumerate().map(|(number, glyph)| {
            let (w, h) = (whole(width(number).ceil()), height);
            let mut image = RgbaImage::new(w.unsigned_abs(), h.unsigned_abs());
            fonts.draw(&mut image, glyph, (&face, &centred), Setting::Figures);
            [0, 1].map(|x| Asset::new(&image, (x, 0), Rect { x, y: 0, w, h }))
        });
        let glyphs = glyphs.collect();
        let shapes = figures(0);
        let length = whole(shapes.iter().map(|glyph| width(*glyph)).sum());
        let left = match style.align {
            Align::Left => place.x,
            Align::Center => place.x + (place.w - length) / 2,
            Align::Right => place.x + place.w - length,
        };
        let mut along = 0.0;
        let cells = shapes.map(|glyph| {
            let x = left + whole(along);
            along += width(glyph);
            Rect { x, y: place.y & !1, w: whole(width(glyph).ceil()), h: height }
        });
        Ok(Self { glyphs, cells, shown: [BLANK; CELLS] })
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let new = figures(tick.unix_ms);
        for ((new, shown), cell) in new.into_iter().zip(&mut self.shown).zip(&self.cells) {
            if new != *shown {
                *shown = new;
                damage.add(*cell);
            }
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        for (glyph, cell) in self.shown.iter().zip(&self.cells) {
            if let Some([even, odd]) = self.glyphs.get(*glyph) {
                let glyph = if cell.x & 1 == 0 { even } else { odd };
                canvas.asset(glyph, (cell.x & !1, cell.y), clip, opacity);
            }
        }
    }

    pub(super) fn rect(&self) -> Rect {
        self.cells.iter().fold(Rect::default(), |all: Rect, cell| all.union(*cell))
    }
}

/// The glyph number of each cell at a time of day.
fn figures(unix_ms: u64) -> [usize; CELLS] {
    let ms = unix_ms % DAY_MS;
    let digit = |value: u64| usize::try_from(value % 10).unwrap_or(0);
    let (s, m, h) = (ms / 1_000 % 60, ms / 60_000 % 60, ms / 3_600_000);
    [
        digit(h / 10),
        digit(h),
        COLON,
        digit(m / 10),
        digit(m),
        COLON,
        digit(s / 10),
        digit(s),
        POINT,
        digit(ms / 100),
        digit(ms / 10),
        digit(ms),
    ]
}

/// The nearest whole number of pixels.
#[expect(clippy::cast_possible_truncation, reason = "a line of figures is far below 2^31 pixels")]
fn whole(length: f32) -> i32 {
    length.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::layer_style::LayerStyle;
    use crate::scene::model::{Color, Fit, Source};

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 640, h: 128 };

    fn clock() -> Clock {
        let style = TextStyle {
            font: None,
            size: 48.0,
            weight: 600,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align: Align::Right,
        };
        let layer = PlacedLayer {
            name: "clock".to_owned(),
            source: Source::Clock(style.clone()),
            place: Rect { x: 101, y: 11, w: 500, h: 60 },
            fit: Fit::Fill,
            style: LayerStyle::default(),
        };
        Clock::load(&layer, &style, &mut Loader::new(CANVAS)).unwrap()
    }

    #[test]
    fn it_shows_the_time_of_day() {
        let text = |ms| figures(ms).map(|glyph| GLYPHS[glyph]).concat();
        assert_eq!(text(0), "00:00:00.000");
        assert_eq!(text(1_700_000_000_123), "22:13:20.123");
        assert_eq!(text(DAY_MS * 20_000 - 1), "23:59:59.999");
    }

    #[test]
    fn a_tick_damages_only_the_figures_that_changed() {
        let mut clock = clock();
        let at = |ms| Tick { unix_ms: ms, ..Tick::default() };
        clock.update(&at(1_000), &mut Damage::none(CANVAS));
        let mut damage = Damage::none(CANVAS);
        clock.update(&at(1_000), &mut damage);
        assert!(damage.is_empty());
        clock.update(&at(1_017), &mut damage);
        let [.., tens, ones] = clock.cells;
        assert_eq!(damage.rects(), [tens.even().union(ones.even())]);
    }

    #[test]
    fn cells_follow_each_other_and_end_at_the_edge() {
        let clock = clock();
        for pair in clock.cells.windows(2) {
            assert!((pair[0].x + pair[0].w - pair[1].x).abs() <= 1, "{pair:?}");
        }
        let rect = clock.rect();
        assert!((600..=602).contains(&(rect.x + rect.w)), "{rect:?}");
    }

    #[test]
    fn the_ink_of_a_glyph_stays_in_its_cell_at_odd_and_even_places() {
        let clock = clock();
        for (number, glyph) in clock.glyphs.iter().enumerate() {
            let cell = clock.cells[[0, 2, 8][number.saturating_sub(COLON - 1)]];
            for (x, asset) in (0..).zip(glyph) {
                let place = Rect { x, y: 0, w: cell.w + 1, h: cell.h };
                assert!(place.even().contains(asset.rect()), "{number} {:?}", asset.rect());
                assert!(!asset.rect().is_empty());
            }
        }
    }
}
