//! Ticker source: text that runs through its box, to a side or upwards. Its letters are drawn once
//! for each quarter of a pixel, so that any speed is smooth; a tick only chooses one and its place.

use image::{Rgba, RgbaImage};

use super::loader::Loader;
use crate::media::Rect;
use crate::scene::asset::{Asset, int32};
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Align, Direction, TextStyle, TickerSpec};
use crate::scene::resolve::PlacedLayer;
use crate::scene::tick::Tick;

/// Longest text that runs, pixels. A longer one is refused.
const LENGTH_MAX: u32 = 16_384;

/// Places of the letters within a pixel.
const STEPS: u8 = 4;

/// Images of the letters: one for each place within two pixels, which share a sample of colour.
const PHASES: u8 = 2 * STEPS;

/// Letters that run, drawn at each place that they can have on the canvas' grid of colours.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Ticker {
    /// Letters whose corner is at 0, moved by so many steps.
    phases: Box<[Asset]>,
    place: Rect,
    /// What of the box has letters at any time, on the canvas.
    seen: Rect,
    direction: Direction,
    /// Pixels per second.
    speed: u32,
    /// Length of the letters, of what follows until they come again, and of the box; steps.
    length: i64,
    period: i64,
    room: i64,
    /// How far the first letters have come, steps.
    gone: i64,
}

impl Ticker {
    pub(super) fn load(
        layer: &PlacedLayer,
        spec: &TickerSpec,
        loader: &mut Loader,
    ) -> Result<Self, Error> {
        let place = layer.place.even();
        let image = letters(layer, place, spec, loader)?;
        let is_upright = spec.direction.is_upright();
        let (length, room) =
            if is_upright { (image.height(), place.h) } else { (image.width(), place.w) };
        let phases =
            (0..PHASES).map(|phase| phase_of(&image, phase, is_upright)).collect::<Box<[_]>>();
        let seen = seen(place, &phases, is_upright).intersect(loader.canvas);
        let length = steps(i64::from(length));
        let gap = i64::from(spec.gap.unwrap_or_else(|| room.unsigned_abs()).max(1));
        Ok(Self {
            phases,
            place,
            seen,
            direction: spec.direction,
            speed: spec.speed,
            length,
            period: length + steps(gap),
            room: steps(i64::from(room)),
            gone: 0,
        })
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let way = u128::from(tick.programme.0) * u128::from(self.speed) * u128::from(STEPS);
        let gone = i64::try_from(way / 1_000_000).unwrap_or(i64::MAX);
        if gone != self.gone {
            self.gone = gone;
            damage.add(self.rect());
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        let clip = clip.intersect(self.rect());
        for at in self.letters() {
            let (whole, phase) = self.placed(at);
            let (x, y) = if self.direction.is_upright() {
                (self.place.x, whole)
            } else {
                (whole, self.place.y)
            };
            canvas.asset(&self.phases[phase], (x, y), clip, opacity);
        }
    }

    /// Where the letters begin that are in the box, the newest first. Those that would have come in
    /// before the programme began have not.
    fn letters(&self) -> impl Iterator<Item = i64> + '_ {
        let come = (0..=self.gone / self.period).map(|n| self.newest() - n * self.period);
        come.take_while(|at| *at > -self.length)
    }

    /// How far the beginning of the newest letters is from where they leave the box, steps.
    fn newest(&self) -> i64 {
        self.room - self.gone % self.period
    }

    /// Where letters that begin at `at` are on the canvas: an even number of pixels, and which of
    /// the images.
    fn placed(&self, at: i64) -> (i32, usize) {
        let at = match self.direction {
            Direction::Left | Direction::Up => at,
            Direction::Right | Direction::Down => self.room - at - self.length,
        };
        let origin = if self.direction.is_upright() { self.place.y } else { self.place.x };
        let (at, two) = (steps(i64::from(origin)) + at, i64::from(PHASES));
        let whole = i32::try_from(at.div_euclid(two) * 2).unwrap_or(i32::MIN / 2);
        (whole, usize::try_from(at.rem_euclid(two)).unwrap_or(0))
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.phases.iter()
    }

    /// Where letters run, which are cut off at the box.
    pub(super) const fn rect(&self) -> Rect {
        self.seen
    }
}

/// The box, no wider across than letters are.
fn seen(place: Rect, phases: &[Asset], is_upright: bool) -> Rect {
    let letters = phases.iter().fold(Rect::default(), |all: Rect, one| all.union(one.rect()));
    let across = if is_upright {
        Rect { x: place.x + letters.x, w: letters.w, ..place }
    } else {
        Rect { y: place.y + letters.y, h: letters.h, ..place }
    };
    across.intersect(place)
}

/// Steps of so many pixels.
fn steps(pixels: i64) -> i64 {
    pixels * i64::from(STEPS)
}

/// The letters: on one line in the middle of the box, or as a column as wide as it.
fn letters(
    layer: &PlacedLayer,
    place: Rect,
    spec: &TickerSpec,
    loader: &mut Loader,
) -> Result<RgbaImage, Error> {
    let fonts = loader.fonts();
    let face = fonts.face(layer, &spec.style, &spec.text)?;
    let (width, height) = (place.w.unsigned_abs(), place.h.unsigned_abs());
    let is_upright = spec.direction.is_upright();
    let line = spec.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (text, style, length) = if is_upright {
        let length = fonts.height(&spec.text, (&face, &spec.style), width);
        (&spec.text, spec.style.clone(), length)
    } else {
        let style = TextStyle { align: Align::Left, ..spec.style.clone() };
        let length = fonts.width(&line, (&face, &style), Setting::OneLine);
        (&line, style, length)
    };
    let length = whole(length);
    if length > LENGTH_MAX {
        return Err(Error::Layer {
            layer: layer.name.clone(),
            advice: format!(
                "its text is {length} pixels long; keep it to {LENGTH_MAX}: shorten it or make \
                 `size` smaller"
            ),
        });
    }
    let (width, height) = if is_upright { (width, length) } else { (length, height) };
    let mut image = RgbaImage::new(width.max(1), height.max(1));
    let setting = if is_upright { Setting::Top } else { Setting::OneLine };
    fonts.draw(&mut image, text, (&face, &style), setting);
    Ok(image)
}

/// Whole pixels that hold a length, with room for what slants over it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(length: f32) -> u32 {
    (length.ceil() as u32).saturating_add(2)
}

/// The letters moved by so many steps: each pixel is a mixture of two.
fn phase_of(image: &RgbaImage, phase: u8, is_upright: bool) -> Asset {
    let (along, part) = (u32::from(phase / STEPS), u32::from(phase % STEPS));
    let more = along + 1;
    let (w, h) = image.dimensions();
    let (wide, high) = if is_upright { (w, h + more) } else { (w + more, h) };
    let at = |x: u32, y: u32, back: u32| {
        let (x, y) = if is_upright {
            (Some(x), y.checked_sub(back))
        } else {
            (x.checked_sub(back), Some(y))
        };
        let pixel = x.zip(y).and_then(|(x, y)| image.get_pixel_checked(x, y));
        pixel.map_or([0; 4], |pixel| pixel.0)
    };
    let moved = RgbaImage::from_fn(wide, high, |x, y| mixed(at(x, y, along), at(x, y, more), part));
    let within = Rect { x: 0, y: 0, w: int32(wide), h: int32(high) };
    Asset::new(&moved, (0, 0), within)
}

/// `part` quarters of `after`, and the rest of `before`; colours weigh as much as they cover.
fn mixed(before: [u8; 4], after: [u8; 4], part: u32) -> Rgba<u8> {
    let steps = u32::from(STEPS);
    let weights = [u32::from(before[3]) * (steps - part), u32::from(after[3]) * part];
    let total = weights[0] + weights[1];
    if total == 0 {
        return Rgba([0; 4]);
    }
    let channel = |at: usize| {
        let sum = u32::from(before[at]) * weights[0] + u32::from(after[at]) * weights[1];
        u8::try_from((sum + total / 2) / total).unwrap_or(u8::MAX)
    };
    let alpha = u8::try_from((total + steps / 2) / steps).unwrap_or(u8::MAX);
    Rgba([channel(0), channel(1), channel(2), alpha])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::scene::layer_style::LayerStyle;
    use crate::scene::model::{Color, Fit, Source, Warm};

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 320, h: 64 };

    fn ticker(direction: Direction, gap: Option<u32>) -> Ticker {
        let spec = TickerSpec {
            text: "News at ten".to_owned(),
            style: TextStyle {
                font: None,
                fallback_fonts: Vec::new(),
                size: 24.0,
                weight: 400,
                color: Color { r: 255, g: 255, b: 255, a: 255 },
                align: Align::Left,
            },
            direction,
            speed: 100,
            gap,
        };
        let layer = PlacedLayer {
            name: "news".to_owned(),
            source: Source::Ticker(spec.clone()),
            place: Rect { x: 41, y: 3, w: 200, h: 40 },
            fit: Fit::Fill,
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
            warm: Warm::default(),
        };
        Ticker::load(&layer, &spec, &mut Loader::new(CANVAS)).unwrap()
    }

    fn after(mut ticker: Ticker, ms: u64) -> (Ticker, Rect) {
        let mut damage = Damage::none(CANVAS);
        let tick = Tick { programme: Micros::from_millis(ms), ..Tick::default() };
        ticker.update(&tick, &mut damage);
        let changed = damage.rects().iter().fold(Rect::default(), |all, one| all.union(*one));
        (ticker, changed)
    }

    /// Where the newest letters begin, in quarters of a pixel from the canvas' corner.
    fn begin(ticker: &Ticker) -> i64 {
        let (whole, phase) = ticker.placed(ticker.newest());
        steps(i64::from(whole)) + i64::try_from(phase).unwrap()
    }

    #[test]
    fn letters_come_in_at_one_edge_and_run_at_their_speed_in_quarters_of_a_pixel() {
        let begun = ticker(Direction::Left, None);
        let edge = steps(i64::from(begun.place.x + begun.place.w));
        assert_eq!(begin(&begun), edge, "not to be seen yet");
        let (moved, changed) = after(begun, 25);
        assert_eq!((begin(&moved), changed), (edge - 10, moved.rect()), "2.5 pixels");
        let (still, changed) = after(moved, 26);
        assert_eq!((begin(&still), changed), (edge - 10, Rect::default()));
        let right = ticker(Direction::Right, None);
        let left_edge = steps(i64::from(right.place.x));
        let length = right.length;
        assert_eq!(begin(&right), left_edge - length);
        assert_eq!(begin(&after(right, 25).0), left_edge - length + 10);
    }

    #[test]
    fn only_where_letters_run_anything_changes() {
        for (direction, ms) in [(Direction::Left, 900), (Direction::Up, 200)] {
            let (moved, changed) = after(ticker(direction, None), ms);
            let (place, is_upright) = (moved.place, direction.is_upright());
            assert!(place.contains(changed) && changed == moved.rect());
            let (across, box_across) =
                if is_upright { (changed.w, place.w) } else { (changed.h, place.h) };
            assert!(across < box_across * 3 / 4, "{changed:?}");
            // All of the ink is in it.
            for at in moved.letters() {
                let (whole, phase) = moved.placed(at);
                let ink = moved.phases[phase].rect();
                let (x, y) = if is_upright { (place.x, whole) } else { (whole, place.y) };
                let ink = Rect { x: ink.x + x, y: ink.y + y, ..ink }.intersect(place);
                assert!(!ink.is_empty() && changed.contains(ink), "{ink:?} {changed:?}");
            }
        }
    }

    #[test]
    fn they_come_again_behind_a_gap() {
        let (alone, _) = after(ticker(Direction::Up, None), 3_600_000);
        assert_eq!(alone.period, alone.length + alone.room, "one at a time");
        let (close, _) = after(ticker(Direction::Left, Some(8)), 60_000);
        assert!(close.letters().count() >= 2);
        assert_eq!(ticker(Direction::Left, Some(8)).letters().count(), 1, "none has gone before");
        assert_eq!(close.period, close.length + steps(8));
    }

    #[test]
    fn a_place_within_a_pixel_covers_two_by_its_part() {
        let image = RgbaImage::from_pixel(4, 2, Rgba([255, 255, 255, 200]));
        let alpha = |phase| phase_of(&image, phase, false).row(0, 0).alpha.to_vec();
        assert_eq!(alpha(0), [200, 200, 200, 200]);
        assert_eq!(alpha(1)[..5], [150, 200, 200, 200, 50]);
        assert_eq!(alpha(6)[..6], [0, 100, 200, 200, 200, 100]);
        let upright = phase_of(&image, 3, true);
        assert_eq!([0, 1, 2].map(|y| upright.row(0, y).alpha[0]), [50, 200, 150]);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_with_what_to_do() {
        let mut loader = Loader::new(CANVAS);
        let mut layer = PlacedLayer {
            name: "news".to_owned(),
            source: Source::Flash,
            place: CANVAS,
            fit: Fit::Fill,
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
            warm: Warm::default(),
        };
        let ticker = ticker(Direction::Left, None);
        let style = TextStyle {
            font: None,
            fallback_fonts: Vec::new(),
            size: 200.0,
            weight: 400,
            color: Color { r: 0, g: 0, b: 0, a: 255 },
            align: Align::Left,
        };
        let (direction, speed) = (ticker.direction, ticker.speed);
        let spec = TickerSpec { text: "long ".repeat(200), style, direction, speed, gap: None };
        layer.source = Source::Ticker(spec.clone());
        let refused = Ticker::load(&layer, &spec, &mut loader).unwrap_err().to_string();
        assert!(refused.contains("\"news\"") && refused.contains("16384"), "{refused}");
    }
}
