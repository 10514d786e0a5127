//! Test patterns that stand still: colour bars and a zone plate.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::int32;

/// The picture of SMPTE RP 219 colour bars in this box, in 8-bit RGB: what is below black there is
/// black here.
pub(super) fn smpte_bars(place: Rect) -> RgbaImage {
    let (w, h) = (place.w.unsigned_abs(), place.h.unsigned_abs());
    RgbaImage::from_fn(w, h, |x, y| {
        // Twelfths of the height, and parts of the width of which the sides have 21 each and a bar
        // of those between has 18, which are as many as thirds and sixths of bars take.
        let (row, x) = (y * 12 / h.max(1), x * 168 / w.max(1));
        let [r, g, b] = bar(row, x);
        Rgba([r, g, b, 255])
    })
}

/// Parts of the width that each side has, and each of the seven bars between them.
const SIDE: u32 = 21;
const BAR: u32 = 18;

/// Colours of the bars at a level: white, yellow, cyan, green, magenta, red, blue.
const fn color(number: u32, level: u8) -> [u8; 3] {
    let on = [0b111, 0b110, 0b011, 0b010, 0b101, 0b100, 0b001][number as usize];
    [
        if on & 0b100 != 0 { level } else { 0 },
        if on & 0b010 != 0 { level } else { 0 },
        if on & 0b001 != 0 { level } else { 0 },
    ]
}

/// A share of white, in percent.
const fn grey(percent: u8) -> [u8; 3] {
    [(percent as u16 * 255 / 100).to_le_bytes()[0]; 3]
}

fn bar(row: u32, x: u32) -> [u8; 3] {
    let inner = x.checked_sub(SIDE).filter(|x| *x < 7 * BAR);
    let is_left = x < SIDE;
    match (row, inner) {
        (0..7, Some(x)) => color(x / BAR, 191),
        (0..7, None) => grey(40),
        // Full colours beside the three quarters of white.
        (7, Some(x)) if x < BAR => [255; 3],
        (7, Some(_)) => grey(75),
        (7, None) => color(if is_left { 2 } else { 6 }, 255),
        // A ramp between black and white.
        (8, Some(x)) => match x.checked_sub(BAR).filter(|x| *x < 5 * BAR) {
            Some(x) => [u8::try_from(x * 255 / (5 * BAR - 1)).unwrap_or(255); 3],
            None => {
                if x < BAR {
                    [0; 3]
                } else {
                    [255; 3]
                }
            }
        },
        (8, None) => color(if is_left { 1 } else { 5 }, 255),
        (_, None) => grey(15),
        (_, Some(x)) => match x {
            27..63 => [255; 3],
            // Two steps just above black, each a third of a bar wide.
            90..96 => grey(2),
            102..108 => grey(4),
            _ => [0; 3],
        },
    }
}

/// A zone plate: rings whose width falls from the middle to one pixel at the farther edges, which
/// shows what scaling and encoding do to each frequency.
pub(super) fn zone_plate(place: Rect) -> RgbaImage {
    let (w, h) = (place.w.unsigned_abs(), place.h.unsigned_abs());
    let side = f64::from(w.max(h).max(1));
    let from_middle = |n: u32, length: u32| f64::from(int32(2 * n + 1) - int32(length)) / 2.0;
    RgbaImage::from_fn(w, h, |x, y| {
        let (x, y) = (from_middle(x, w), from_middle(y, h));
        let wave = (std::f64::consts::PI * (x * x + y * y) / side).cos();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let level = (127.5 + 127.5 * wave).round() as u8;
        Rgba([level, level, level, 255])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Rect = Rect { x: 0, y: 0, w: 1_920, h: 1_080 };

    #[test]
    fn bars_have_their_colours_and_widths() {
        let image = smpte_bars(PLACE);
        let at = |x: u32, y: u32| image.get_pixel(x, y).0[..3].to_vec();
        assert_eq!((at(100, 100), at(1_900, 100)), (vec![102; 3], vec![102; 3]));
        for (n, expected) in [
            [191, 191, 191],
            [191, 191, 0],
            [0, 191, 191],
            [0, 191, 0],
            [191, 0, 191],
            [191, 0, 0],
            [0, 0, 191],
        ]
        .into_iter()
        .enumerate()
        {
            let middle = 240 + 103 + 206 * u32::try_from(n).unwrap();
            assert_eq!(at(middle, 300), expected, "{n}");
        }
        assert_eq!((at(100, 670), at(1_900, 670)), (vec![0, 255, 255], vec![0, 0, 255]));
        assert_eq!((at(100, 760), at(1_900, 760)), (vec![255, 255, 0], vec![255, 0, 0]));
        assert_eq!((at(700, 1_000), at(1_300, 1_000)), (vec![255; 3], vec![5; 3]));
    }

    #[test]
    fn a_zone_plate_is_the_same_from_all_sides_and_finest_at_the_edge() {
        let image = zone_plate(PLACE);
        let at = |x: u32, y: u32| image.get_pixel(x, y).0[0];
        assert_eq!(at(0, 540), at(1_919, 540));
        assert_eq!(at(700, 0), at(700, 1_079));
        assert!(at(959, 539) > 250, "white in the middle");
        let steps =
            |from: u32| (from..from + 20).map(|x| at(x, 540).abs_diff(at(x + 1, 540))).max();
        assert!(steps(1_890) > Some(200) && steps(960) < Some(20));
    }
}
