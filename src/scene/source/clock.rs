//! Clock source: a time, or how long it takes to one. Its characters are drawn once, at load; a
//! tick puts the ones that changed into their cells.

use image::RgbaImage;

use super::loader::Loader;
use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Align, ClockSpec, TextStyle};
use crate::scene::resolve::PlacedLayer;
use crate::scene::tick::Tick;
use crate::scene::time_format::{TIME_CHARS_MAX, TimeFormat, TimeText};

/// A character that the clock may show.
#[derive(Clone, Debug)]
struct Glyph {
    character: char,
    /// At the canvas' corner, and one pixel to the right of it: assets move by even distances, so a
    /// cell at an odd place takes the second.
    assets: [Asset; 2],
    /// Pixels to the next. All figures have that of the widest, so that nothing trembles.
    width: f32,
}

/// A character in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// Which of the glyphs.
    glyph: usize,
    rect: Rect,
}

/// Glyphs, and the cells they are put in.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Clock {
    time: TimeFormat,
    align: Align,
    place: Rect,
    height: i32,
    /// In the order of their characters.
    glyphs: Vec<Glyph>,
    text: TimeText,
    cells: [Cell; TIME_CHARS_MAX],
    /// How many of them are shown.
    length: usize,
}

impl Clock {
    pub(super) fn load(
        layer: &PlacedLayer,
        ClockSpec { style, time }: &ClockSpec,
        loader: &mut Loader,
    ) -> Result<Self, Error> {
        let fonts = loader.fonts();
        let centred = TextStyle { align: Align::Center, ..style.clone() };
        let characters = time.characters();
        let face = fonts.face(layer, style, &characters.iter().collect::<String>())?;
        let mut width =
            |c: char| fonts.width(c.encode_utf8(&mut [0; 4]), (&face, style), Setting::Figures);
        let figure = ('0'..='9').map(&mut width).fold(1.0, f32::max);
        let widths: Vec<_> = characters
            .iter()
            .map(|c| if c.is_ascii_digit() { figure } else { width(*c) })
            .collect();
        let height = whole(style.size.ceil());
        let glyph = |(character, width): (char, f32)| {
            let (w, h) = (whole(width.ceil()).max(1), height);
            let mut image = RgbaImage::new(w.unsigned_abs(), h.unsigned_abs());
            let text = character.encode_utf8(&mut [0; 4]).to_owned();
            fonts.draw(&mut image, &text, (&face, &centred), Setting::Figures);
            let assets = [0, 1].map(|x| Asset::new(&image, (x, 0), Rect { x, y: 0, w, h }));
            Glyph { character, assets, width }
        };
        let glyphs = characters.into_iter().zip(widths).map(glyph).collect();
        Ok(Self {
            time: (**time).clone(),
            align: style.align,
            place: layer.place,
            height,
            glyphs,
            text: TimeText::default(),
            cells: [Cell::default(); TIME_CHARS_MAX],
            length: 0,
        })
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        self.time.write(tick.unix_ms, &mut self.text);
        let (cells, length) = self.arranged();
        let (shown, new) = (&self.cells[..self.length], &cells[..length]);
        for at in 0..shown.len().max(new.len()) {
            let (shown, new) = (shown.get(at), new.get(at));
            if shown != new {
                [shown, new].into_iter().flatten().for_each(|cell| damage.add(cell.rect));
            }
        }
        (self.cells, self.length) = (cells, length);
    }

    /// The cells of the text, and how many they are.
    fn arranged(&self) -> ([Cell; TIME_CHARS_MAX], usize) {
        let mut cells = [Cell::default(); TIME_CHARS_MAX];
        let glyph_of = |c: &char| self.glyphs.binary_search_by_key(c, |glyph| glyph.character).ok();
        let known = || self.text.chars().iter().filter_map(glyph_of);
        let place = self.place;
        let room = || place.w - whole(known().map(|glyph| self.glyphs[glyph].width).sum());
        let left = match self.align {
            Align::Left => place.x,
            Align::Center => place.x + room() / 2,
            Align::Right => place.x + room(),
        };
        let (mut along, mut length) = (0.0, 0);
        for (cell, glyph) in cells.iter_mut().zip(known()) {
            let width = self.glyphs[glyph].width;
            let rect = Rect {
                x: left + whole(along),
                y: place.y & !1,
                w: whole(width.ceil()),
                h: self.height,
            };
            *cell = Cell { glyph, rect };
            along += width;
            length += 1;
        }
        (cells, length)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        for Cell { glyph, rect } in &self.cells[..self.length] {
            let [even, odd] = &self.glyphs[*glyph].assets;
            let glyph = if rect.x & 1 == 0 { even } else { odd };
            canvas.asset(glyph, (rect.x & !1, rect.y), clip, opacity);
        }
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.glyphs.iter().flat_map(|glyph| &glyph.assets)
    }

    pub(super) fn rect(&self) -> Rect {
        self.cells[..self.length].iter().fold(Rect::default(), |all, cell| all.union(cell.rect))
    }
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
    use crate::scene::model::{Color, Fit, Source, Warm};

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 640, h: 128 };

    fn clock(pattern: &str) -> Clock {
        let style = TextStyle {
            font: None,
            fallback_fonts: Vec::new(),
            size: 48.0,
            weight: 600,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align: Align::Right,
        };
        let spec = ClockSpec { style, time: Box::new(TimeFormat::clock("UTC", pattern).unwrap()) };
        let layer = PlacedLayer {
            name: "clock".to_owned(),
            source: Source::Clock(spec.clone()),
            place: Rect { x: 101, y: 11, w: 500, h: 60 },
            fit: Fit::Fill,
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
            warm: Warm::default(),
        };
        let mut clock = Clock::load(&layer, &spec, &mut Loader::new(CANVAS)).unwrap();
        clock.update(&at(1_000), &mut Damage::none(CANVAS));
        clock
    }

    fn at(unix_ms: u64) -> Tick {
        Tick { unix_ms, ..Tick::default() }
    }

    #[test]
    fn a_tick_damages_only_the_figures_that_changed() {
        let mut clock = clock("%H:%M:%S%.3f");
        let mut damage = Damage::none(CANVAS);
        clock.update(&at(1_000), &mut damage);
        assert!(damage.is_empty());
        clock.update(&at(1_017), &mut damage);
        let [.., tens, ones] = &clock.cells[..clock.length] else { panic!("two figures") };
        assert_eq!(damage.rects(), [tens.rect.even().union(ones.rect.even())]);
    }

    #[test]
    fn a_text_that_becomes_shorter_damages_what_it_leaves() {
        let mut clock = clock("%-d %B");
        let before = clock.rect();
        let mut damage = Damage::none(CANVAS);
        // The first of May.
        clock.update(&at(120 * 86_400_000), &mut damage);
        let after = clock.rect();
        assert!(after.w < before.w && after.x + after.w == before.x + before.w);
        let damaged = damage.rects().iter().fold(Rect::default(), |all, rect| all.union(*rect));
        assert!(damaged.contains(before) && damaged.contains(after), "{damaged:?}");
    }

    #[test]
    fn cells_follow_each_other_and_end_at_the_edge() {
        let clock = clock("%H:%M:%S%.3f");
        for pair in clock.cells[..clock.length].windows(2) {
            assert!((pair[0].rect.x + pair[0].rect.w - pair[1].rect.x).abs() <= 1, "{pair:?}");
        }
        let rect = clock.rect();
        assert!((600..=602).contains(&(rect.x + rect.w)), "{rect:?}");
    }

    #[test]
    fn the_ink_of_a_glyph_stays_in_its_cell_at_odd_and_even_places() {
        let clock = clock("%H:%M:%S%.3f");
        for glyph in clock.glyphs.iter().filter(|glyph| "0123456789:.".contains(glyph.character)) {
            for (x, asset) in (0..).zip(&glyph.assets) {
                let place = Rect { x, y: 0, w: whole(glyph.width.ceil()) + 1, h: clock.height };
                assert!(place.even().contains(asset.rect()), "{glyph:?}");
                assert!(!asset.rect().is_empty());
            }
        }
    }
}
