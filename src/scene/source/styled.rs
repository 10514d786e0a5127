//! Styles of still pictures, applied once at load: round corners, a border, mirroring, turning by
//! any angle, and a shadow.

use image::{Rgba, RgbaImage};

use crate::media::Rect;
use crate::scene::asset::{Asset, cover, int32};
use crate::scene::error::Error;
use crate::scene::kernel::mul255;
use crate::scene::layer_style::{Border, Flip, Shadow};
use crate::scene::model::Color;
use crate::scene::resolve::PlacedLayer;

/// Most pixels of a picture with a style: a larger one is refused.
const PIXELS_MAX: u64 = 1 << 24;

/// The picture of a layer, its corner at `at` on the canvas, as the layer's style has it.
pub(super) fn styled(
    image: RgbaImage,
    at: (i32, i32),
    layer: &PlacedLayer,
    canvas: Rect,
) -> Result<Asset, Error> {
    let style = &layer.style;
    if !style.changes_picture() {
        return Ok(Asset::new(&image, at, canvas));
    }
    let shadow =
        style.shadow.map_or(0, |it| it.blur + it.x.unsigned_abs().max(it.y.unsigned_abs()));
    let (w, h) = image.dimensions();
    let reach = |side: u32| u64::from(side) * 3 / 2 + 2 * u64::from(shadow);
    if reach(w) * reach(h) > PIXELS_MAX {
        return Err(Error::Layer {
            layer: layer.name.clone(),
            advice: format!(
                "its picture of {w}x{h} pixels is too large to be turned, rounded, bordered or to \
                 have a shadow; keep it to {PIXELS_MAX} pixels with what is around it"
            ),
        });
    }
    let mut image = image;
    round_corners(&mut image, style.corner_radius, style.border);
    mirror(&mut image, style.flip);
    let (mut image, mut at) = turned(image, at, style.rotation);
    if let Some(shadow) = style.shadow {
        (image, at) = with_shadow(&image, at, shadow);
    }
    Ok(Asset::new(&image, at, canvas))
}

/// Takes away what is outside of the round corners, and draws the border along the edge.
fn round_corners(image: &mut RgbaImage, radius: u32, border: Option<Border>) {
    if radius == 0 && border.is_none() {
        return;
    }
    let sides = image.dimensions();
    let width = border.map_or(0, |it| it.width);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        if let Some(Border { color, .. }) = border {
            let inside = covered(sides, radius, width, (x, y));
            let Color { r, g, b, a } = color;
            cover(&mut pixel.0, [r, g, b, mul255(a, 255 - inside)]);
        }
        pixel.0[3] = mul255(pixel.0[3], covered(sides, radius, 0, (x, y)));
    }
}

/// How much of a pixel lies in a box with round corners, `inset` pixels smaller on each side: 0 to
/// 255.
pub(in crate::scene) fn covered(
    (w, h): (u32, u32),
    radius: u32,
    inset: u32,
    (x, y): (u32, u32),
) -> u8 {
    let radius = radius.min(w / 2).min(h / 2);
    let radius = f64::from(radius.saturating_sub(inset));
    let inset = f64::from(inset);
    // From the middle, as all four corners are alike.
    let along = |at: u32, side: u32| {
        let half = f64::from(side) / 2.0;
        (f64::from(at) + 0.5 - half).abs() - (half - inset - radius)
    };
    let (dx, dy) = (along(x, w), along(y, h));
    let beyond = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius;
    byte((0.5 - beyond).clamp(0.0, 1.0) * 255.0)
}

fn mirror(image: &mut RgbaImage, flip: Flip) {
    if flip.is_across() {
        image::imageops::flip_horizontal_in_place(image);
    }
    if flip.is_down() {
        image::imageops::flip_vertical_in_place(image);
    }
}

/// The picture turned clockwise by tenths of a degree around its middle, and its corner.
fn turned(image: RgbaImage, (x, y): (i32, i32), tenths: u16) -> (RgbaImage, (i32, i32)) {
    let (w, h) = image.dimensions();
    let quarter = match tenths {
        0 => return (image, (x, y)),
        900 => image::imageops::rotate90(&image),
        1_800 => return (image::imageops::rotate180(&image), (x, y)),
        2_700 => image::imageops::rotate270(&image),
        _ => return turned_freely(&image, (x, y), tenths),
    };
    let at = (x + (int32(w) - int32(h)).div_euclid(2), y + (int32(h) - int32(w)).div_euclid(2));
    (quarter, at)
}

fn turned_freely(image: &RgbaImage, (x, y): (i32, i32), tenths: u16) -> (RgbaImage, (i32, i32)) {
    let (sin, cos) = (f64::from(tenths) / 10.0).to_radians().sin_cos();
    let (w, h) = (f64::from(image.width()), f64::from(image.height()));
    let wide = (w * cos.abs() + h * sin.abs()).ceil() + 2.0;
    let high = (w * sin.abs() + h * cos.abs()).ceil() + 2.0;
    // The corner is on a pixel, so the middle of the new picture may lie half a pixel beside.
    let left = (f64::from(x) + (w - wide) / 2.0).floor();
    let top = (f64::from(y) + (h - high) / 2.0).floor();
    let middle = (f64::from(x) + w / 2.0 - left, f64::from(y) + h / 2.0 - top);
    let turned = RgbaImage::from_fn(side(wide), side(high), |col, row| {
        let (dx, dy) = (f64::from(col) + 0.5 - middle.0, f64::from(row) + 0.5 - middle.1);
        let from = (dx * cos + dy * sin + w / 2.0 - 0.5, dy * cos - dx * sin + h / 2.0 - 0.5);
        between(image, from)
    });
    (turned, (int(left), int(top)))
}

/// The mixture of the four pixels around a point; colours weigh as much as they cover.
fn between(image: &RgbaImage, (x, y): (f64, f64)) -> Rgba<u8> {
    let (left, top) = (x.floor(), y.floor());
    let (right, below) = (x - left, y - top);
    let mut sums = [0.0; 4];
    for (dx, dy, weight) in [
        (0, 0, (1.0 - right) * (1.0 - below)),
        (1, 0, right * (1.0 - below)),
        (0, 1, (1.0 - right) * below),
        (1, 1, right * below),
    ] {
        let place = u32::try_from(int(left) + dx).ok().zip(u32::try_from(int(top) + dy).ok());
        let Some(pixel) = place.and_then(|(x, y)| image.get_pixel_checked(x, y)) else { continue };
        let [r, g, b, a] = pixel.0.map(f64::from);
        let covers = a * weight;
        sums = [sums[0] + r * covers, sums[1] + g * covers, sums[2] + b * covers, sums[3] + covers];
    }
    let [r, g, b, a] = sums;
    if a <= 0.0 { Rgba([0; 4]) } else { Rgba([byte(r / a), byte(g / a), byte(b / a), byte(a)]) }
}

/// The picture on its shadow, and the corner of both.
fn with_shadow(image: &RgbaImage, (x, y): (i32, i32), shadow: Shadow) -> (RgbaImage, (i32, i32)) {
    let Shadow { x: right, y: down, blur, color } = shadow;
    let blur = int32(blur);
    // How far the shadow reaches beyond the picture on each side.
    let (left, above) = ((blur - right).max(0), (blur - down).max(0));
    let wide = int32(image.width()) + left + (blur + right).max(0);
    let high = int32(image.height()) + above + (blur + down).max(0);
    let (wide, high) = (wide.unsigned_abs(), high.unsigned_abs());
    let mut alpha = vec![0.0_f32; wide as usize * high as usize];
    for (col, row, pixel) in image.enumerate_pixels() {
        let at = (int32(col) + left + right, int32(row) + above + down);
        if let (Ok(col), Ok(row)) = (usize::try_from(at.0), usize::try_from(at.1)) {
            alpha[row * wide as usize + col] = f32::from(pixel.0[3]);
        }
    }
    blurred(&mut alpha, (wide as usize, high as usize), blur.unsigned_abs() as usize);
    let mut out = RgbaImage::from_fn(wide, high, |col, row| {
        let alpha = alpha[row as usize * wide as usize + col as usize];
        Rgba([color.r, color.g, color.b, mul255(byte(f64::from(alpha)), color.a)])
    });
    for (col, row, pixel) in image.enumerate_pixels() {
        let (col, row) = (col + left.unsigned_abs(), row + above.unsigned_abs());
        cover(&mut out.get_pixel_mut(col, row).0, pixel.0);
    }
    (out, (x - left, y - above))
}

/// Three means over a third of `reach` to each side, one after the other: nearly a bell.
fn blurred(alpha: &mut [f32], (wide, high): (usize, usize), reach: usize) {
    let mut line = Vec::new();
    for part in 0..3 {
        let half = (reach + part) / 3;
        if half == 0 {
            continue;
        }
        for row in 0..high {
            mean(alpha, &mut line, (row * wide, 1, wide), half);
        }
        for col in 0..wide {
            mean(alpha, &mut line, (col, wide, high), half);
        }
    }
}

/// Means of `2 * half + 1` samples of a line that begins at `from`; beyond its ends is nothing.
fn mean(
    alpha: &mut [f32],
    line: &mut Vec<f32>,
    (from, step, length): (usize, usize, usize),
    half: usize,
) {
    line.clear();
    line.extend((0..length).map(|i| alpha[from + i * step]));
    let count = usize_as_f64(2 * half + 1);
    let mut sum: f64 = line.iter().take(half).map(|a| f64::from(*a)).sum();
    for i in 0..length {
        sum += f64::from(line.get(i + half).copied().unwrap_or(0.0));
        #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
        let value = (sum / count) as f32;
        alpha[from + i * step] = value;
        if let Some(last) = i.checked_sub(half) {
            sum -= f64::from(line[last]);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels, far below 2^52")]
const fn usize_as_f64(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side is checked")]
fn side(length: f64) -> u32 {
    (length as u32).max(1)
}

#[expect(clippy::cast_possible_truncation, reason = "saturates; places are checked")]
const fn int(value: f64) -> i32 {
    value as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgba<u8> = Rgba([255; 4]);

    fn white(w: u32, h: u32) -> RgbaImage {
        RgbaImage::from_pixel(w, h, WHITE)
    }

    #[test]
    fn corners_are_round_and_the_border_follows_them() {
        let mut image = white(40, 30);
        let color = Color { r: 255, g: 0, b: 0, a: 255 };
        round_corners(&mut image, 10, Some(Border { width: 3, color }));
        let at = |x, y| image.get_pixel(x, y).0;
        assert_eq!([at(0, 0)[3], at(39, 29)[3]], [0, 0]);
        assert_eq!([at(20, 0), at(0, 15), at(4, 4)], [[255, 0, 0, 255]; 3]);
        assert_eq!([at(20, 3), at(3, 15), at(20, 15)], [WHITE.0; 3]);
        let covered: u32 = image.pixels().map(|pixel| u32::from(pixel.0[3])).sum();
        let exact = (1_200.0 - (4.0 - std::f64::consts::PI) * 100.0) * 255.0;
        assert!((f64::from(covered) / exact - 1.0).abs() < 0.005, "{covered} {exact}");
    }

    #[test]
    fn a_picture_turns_around_its_middle_and_keeps_what_it_covers() {
        let (image, at) = turned(white(40, 20), (100, 50), 450);
        let total: f64 = image.pixels().map(|pixel| f64::from(pixel.0[3]) / 255.0).sum();
        assert!((total - 800.0).abs() < 8.0, "{total}");
        let middle = (at.0 + int32(image.width()) / 2, at.1 + int32(image.height()) / 2);
        assert!((middle.0 - 120).abs() <= 1 && (middle.1 - 60).abs() <= 1, "{middle:?}");
        let mut mark = RgbaImage::new(40, 20);
        mark.put_pixel(0, 0, WHITE);
        for (tenths, place, corner) in
            [(900, (19, 0), (110, 40)), (1_800, (39, 19), (100, 50)), (2_700, (0, 39), (110, 40))]
        {
            let (image, at) = turned(mark.clone(), (100, 50), tenths);
            assert_eq!((image.get_pixel(place.0, place.1), at), (&WHITE, corner), "{tenths}");
        }
        let clockwise = turned(mark.clone(), (0, 0), 50).0;
        let (x, ..) = clockwise.enumerate_pixels().max_by_key(|(.., pixel)| pixel.0[3]).unwrap();
        assert!(x > 0, "the upper left corner goes to the right");
        mirror(&mut mark, Flip::Both);
        assert_eq!(mark.get_pixel(39, 19), &WHITE);
    }

    #[test]
    fn a_shadow_lies_beside_the_picture_and_is_as_heavy_as_it() {
        let color = Color { r: 0, g: 0, b: 0, a: 255 };
        let (image, at) =
            with_shadow(&white(20, 10), (5, 5), Shadow { x: 30, y: 4, blur: 6, color });
        assert_eq!((at, image.dimensions()), ((5, 3), (56, 22)));
        let shade: f64 =
            image.pixels().filter(|it| it.0[0] == 0).map(|it| f64::from(it.0[3]) / 255.0).sum();
        assert!((shade - 200.0).abs() < 4.0, "{shade}");
        assert_eq!((image.get_pixel(0, 2), image.get_pixel(19, 11)), (&WHITE, &WHITE));
        let sharp = with_shadow(&white(20, 10), (5, 5), Shadow { x: -3, y: 0, blur: 0, color });
        assert_eq!((sharp.1, sharp.0.dimensions()), ((2, 5), (23, 10)));
        assert_eq!(sharp.0.get_pixel(0, 0).0, [0, 0, 0, 255]);
    }
}
