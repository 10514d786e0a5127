//! Gradient source: vertical, dithered so that 8 bits show no bands.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::{Asset, px};
use crate::scene::color::{ONE, samples};
use crate::scene::kernel::div255;
use crate::scene::model::Color;

/// Bayer's 8 x 8 matrix: thresholds in an order that the eye does not see.
const BAYER: [[i64; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

/// From the first colour at the top of the box to the second at its bottom.
pub(super) fn load(place: Rect, colors: (Color, Color), canvas: Rect) -> Asset {
    let is_opaque = colors.0.a == 255 && colors.1.a == 255;
    if is_opaque && place == place.even() {
        opaque(place, colors, canvas)
    } else {
        translucent(place, colors, canvas)
    }
}

/// An opaque gradient over the visible part of a box with even edges.
pub(super) fn opaque(place: Rect, colors: (Color, Color), canvas: Rect) -> Asset {
    let seen = place.intersect(canvas);
    let ends = [colors.0, colors.1].map(|color| samples([color.r, color.g, color.b]));
    let planes = [0, 1, 2].map(|plane: usize| {
        let coarse = plane.min(1);
        let (w, h) = (px(seen.w) >> coarse, px(seen.h) >> coarse);
        let rows = i64::from(place.h >> coarse);
        let above = i64::from((seen.y - place.y) >> coarse);
        let mut bytes = Vec::with_capacity(w * h);
        for (y, line) in (above..).zip(0..h) {
            let (from, to) = (ends[0][plane], ends[1][plane]);
            // The centre of row y lies at (y + 1/2) / rows.
            let value = from + (to - from) * (2 * y + 1) / (2 * rows.max(1));
            bytes.extend((0..w).map(|x| dithered(value, x, line)));
        }
        bytes
    });
    Asset::opaque(seen, planes)
}

/// Rounds up or down by the threshold at this place.
fn dithered(value: i64, x: usize, y: usize) -> u8 {
    let threshold = (2 * BAYER[y % 8][x % 8] + 1) * ONE / 128;
    u8::try_from((value + threshold) / ONE).unwrap_or(u8::MAX)
}

fn translucent(place: Rect, colors: (Color, Color), canvas: Rect) -> Asset {
    let seen = place.intersect(canvas);
    Asset::new(&image(place, colors, seen), (seen.x, seen.y), canvas)
}

/// What of a box lies in `seen` as a picture.
pub(super) fn image(place: Rect, (top, bottom): (Color, Color), seen: Rect) -> RgbaImage {
    let (w, h) = (seen.w.unsigned_abs(), seen.h.unsigned_abs());
    let above = (seen.y - place.y).unsigned_abs();
    let last = u64::from(place.h.unsigned_abs().saturating_sub(1).max(1));
    let between = |a: u8, b: u8, y: u32| {
        let weight = u16::try_from(u64::from(above + y) * 255 / last).unwrap_or(255).min(255);
        div255(u16::from(b) * weight + u16::from(a) * (255 - weight))
    };
    RgbaImage::from_fn(w, h, |_, y| {
        Rgba([
            between(top.r, bottom.r, y),
            between(top.g, bottom.g, y),
            between(top.b, bottom.b, y),
            between(top.a, bottom.a, y),
        ])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 64, h: 256 };

    #[test]
    fn rows_average_to_the_exact_value_and_differ_by_one_at_most() {
        let (from, to) =
            (Color { r: 10, g: 20, b: 40, a: 255 }, Color { r: 60, g: 30, b: 90, a: 255 });
        let asset = load(CANVAS, (from, to), CANVAS);
        let ends = [from, to].map(|c| samples([c.r, c.g, c.b])[0] as f64 / ONE as f64);
        for block in 0..32 {
            let rows = (0..8).map(|i| asset.row(0, block * 8 + i).pixels);
            let sum: u64 = rows.flatten().map(|v| u64::from(*v)).sum();
            let exact = ends[0] + (ends[1] - ends[0]) * (block as f64 * 8.0 + 4.0) / 256.0;
            assert!((sum as f64 / 512.0 - exact).abs() < 0.1, "{block}");
        }
        for y in 0..256 {
            let row = asset.row(0, y).pixels;
            let (min, max) = (row.iter().min().unwrap(), row.iter().max().unwrap());
            assert!(max - min <= 1, "{y}");
        }
    }

    #[test]
    fn a_translucent_one_goes_from_alpha_to_alpha() {
        let (from, to) = (Color { r: 9, g: 9, b: 9, a: 255 }, Color { r: 9, g: 9, b: 9, a: 1 });
        let asset = load(CANVAS, (from, to), CANVAS);
        assert_eq!((asset.row(0, 0).alpha[0], asset.row(0, 255).alpha[0]), (255, 1));
    }
}
