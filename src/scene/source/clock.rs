//! The time of day to the millisecond. Its figures are drawn once, at load; a tick puts the ones that
//! changed into their cells.

use image::RgbaImage;

use super::Loader;
use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Align, Layer, TextStyle};
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

/// Glyphs, and the cells they are put in. Cells have even edges, so that glyphs can be moved.
#[derive(Debug)]
pub(in crate::scene) struct Clock {
    /// At the canvas' corner.
    glyphs: Vec<Asset>,
    cells: [Rect; CELLS],
    shown: [usize; CELLS],
}

impl Clock {
    pub(super) fn load(
        layer: &Layer,
        style: &TextStyle,
        loader: &mut Loader,
    ) -> Result<Self, Error> {
        let (place, fonts) = (layer.place, loader.fonts());
        let centred = TextStyle { align: Align::Center, ..style.clone() };
        let face = fonts.face(layer, style, "0123456789:.")?;
        let widths = GLYPHS.map(|glyph| even(fonts.width(glyph, &face, style)));
        let figure = widths[..10].iter().copied().max().unwrap_or(2);
        let height = even(style.size);
        let glyphs = GLYPHS.iter().zip(widths).enumerate().map(|(number, (glyph, width))| {
            let width = if number < COLON { figure } else { width };
            let mut image = RgbaImage::new(width.unsigned_abs(), height.unsigned_abs());
            fonts.draw(&mut image, glyph, (&face, &centred), Setting::Figures);
            let cell = Rect { x: 0, y: 0, w: width, h: height };
            Asset::new(&image, (0, 0), cell)
        });
        let glyphs = glyphs.collect();
        let shapes = figures(0).map(|glyph| if glyph < COLON { figure } else { widths[glyph] });
        let free = place.w - shapes.iter().sum::<i32>();
        let mut x = match style.align {
            Align::Left => place.x,
            Align::Center => place.x + free / 2,
            Align::Right => place.x + free,
        } & !1;
        let cells = shapes.map(|w| {
            x += w;
            Rect { x: x - w, y: place.y & !1, w, h: height }
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
            if let Some(glyph) = self.glyphs.get(*glyph) {
                canvas.asset(glyph, (cell.x, cell.y), clip.intersect(*cell), opacity);
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

/// The next even number of pixels.
#[expect(clippy::cast_possible_truncation, reason = "letters are at most a few thousand pixels")]
fn even(width: f32) -> i32 {
    let width = width.ceil().clamp(2.0, 16_384.0) as i32;
    width + (width & 1)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let layer = Layer {
            name: "clock".to_owned(),
            source: Source::Clock(style.clone()),
            place: Rect { x: 101, y: 11, w: 500, h: 60 },
            fit: Fit::Fill,
            z: 0,
            alpha: 255,
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
        assert_eq!(damage.rects(), [tens.union(ones)]);
    }

    #[test]
    fn cells_are_even_in_line_and_end_at_the_edge() {
        let clock = clock();
        assert!(clock.cells.iter().all(|cell| cell.even() == *cell));
        assert!(clock.cells.windows(2).all(|pair| pair[0].x + pair[0].w == pair[1].x));
        let rect = clock.rect();
        assert!((600..=601).contains(&(rect.x + rect.w)), "{rect:?}");
    }
}
