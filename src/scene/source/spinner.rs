//! Spinner: a ring of dots whose light goes round once in two seconds.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::Asset;
use crate::scene::canvas::Canvas;
use crate::scene::damage::Damage;
use crate::scene::kernel::mul255;
use crate::scene::model::Color;
use crate::scene::tick::Tick;

/// Dots in the ring.
const DOTS: usize = 12;

/// The same, for other arithmetic.
const DOTS_U32: u32 = 12;
const DOTS_US: u64 = 12;

/// One turn, microseconds.
const TURN_US: u64 = 2_000_000;

/// A dot just before the light reaches it again: this much of its colour.
const DIMMEST: u64 = 36;

/// How long a dot takes to light up, as part of a turn.
const RISE: u64 = 24;

/// Dots on a circle, each rendered once for its own place.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Spinner {
    dots: Box<[Asset]>,
    light: [u8; DOTS],
    rect: Rect,
}

impl Spinner {
    pub(super) fn load(place: Rect, color: Color, canvas: Rect) -> Self {
        let side = f64::from(place.w.min(place.h).max(1));
        let centre = (
            f64::from(place.x) + f64::from(place.w) / 2.0,
            f64::from(place.y) + f64::from(place.h) / 2.0,
        );
        let radius = side * 0.085;
        let ring = side / 2.0 - radius - 0.5;
        let dots = (0..DOTS_U32).map(|i| {
            // The first dot is at the top; the rest follow clockwise.
            let angle = std::f64::consts::TAU * f64::from(i) / f64::from(DOTS_U32);
            let at = (centre.0 + ring * angle.sin(), centre.1 - ring * angle.cos());
            dot(at, radius, color, canvas)
        });
        let dots: Box<[Asset]> = dots.collect();
        let rect = dots.iter().fold(Rect::default(), |all: Rect, dot| all.union(dot.rect()));
        Self { dots, light: [0; DOTS], rect }
    }

    pub(super) fn update(&mut self, tick: &Tick, damage: &mut Damage) {
        let now = tick.programme.0 % TURN_US;
        for (i, (dot, light)) in (0..).zip(self.dots.iter().zip(&mut self.light)) {
            let lit_at = TURN_US * i / DOTS_US;
            let new = brightness((now + TURN_US - lit_at) % TURN_US);
            if new != *light {
                *light = new;
                damage.add(dot.rect());
            }
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, clip: Rect, opacity: u8) {
        for (dot, light) in self.dots.iter().zip(self.light) {
            canvas.asset(dot, (0, 0), clip, mul255(light, opacity));
        }
    }

    /// All pictures that it keeps.
    pub(super) fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.dots.iter()
    }

    pub(super) const fn rect(&self) -> Rect {
        self.rect
    }
}

/// How bright a dot is `age` after the light left it: fading, then rising as it comes again.
fn brightness(age: u64) -> u8 {
    let rise = TURN_US / RISE;
    let fall = TURN_US - rise;
    let light = if age < fall {
        // Squared: bright at the head, with a long tail.
        let left = (fall - age) * 1_000 / fall;
        DIMMEST + (255 - DIMMEST) * left * left / 1_000_000
    } else {
        DIMMEST + (255 - DIMMEST) * (age - fall) / rise
    };
    u8::try_from(light).unwrap_or(u8::MAX)
}

/// A disc with smooth edges.
fn dot((x, y): (f64, f64), radius: f64, color: Color, canvas: Rect) -> Asset {
    #[expect(clippy::cast_possible_truncation, reason = "places on a canvas are far below 2^31")]
    let (left, top) = ((x - radius).floor() as i32 - 1, (y - radius).floor() as i32 - 1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a radius is positive and below a canvas' side"
    )]
    let side = (radius * 2.0).ceil() as u32 + 3;
    let image = RgbaImage::from_fn(side, side, |col, row| {
        let dx = f64::from(left) + f64::from(col) + 0.5 - x;
        let dy = f64::from(top) + f64::from(row) + 0.5 - y;
        let covered = (radius + 0.5 - dx.hypot(dy)).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 255 by the clamp"
        )]
        let alpha = (covered * f64::from(color.a)).round() as u8;
        Rgba([color.r, color.g, color.b, alpha])
    });
    Asset::new(&image, (left, top), canvas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 128, h: 128 };

    #[test]
    fn the_brightest_dot_goes_round_once_in_two_seconds() {
        let white = Color { r: 255, g: 255, b: 255, a: 255 };
        let mut spinner = Spinner::load(CANVAS, white, CANVAS);
        for (ms, brightest) in [(0, 0), (500, 3), (1_000, 6), (1_500, 9), (2_000, 0), (7_500, 9)] {
            let tick = Tick { programme: Micros::from_millis(ms), ..Tick::default() };
            spinner.update(&tick, &mut Damage::none(CANVAS));
            assert_eq!(spinner.light[brightest], 255, "{ms} ms");
            assert_eq!(spinner.light.iter().filter(|light| **light == 255).count(), 1, "{ms} ms");
        }
        assert!(CANVAS.contains(spinner.rect()));
    }
}
