//! Text source: letters that stand still, of text layers, and the slates of live inputs.

use image::{Rgba, RgbaImage};

use super::gradient;
use super::loader::Loader;
use super::styled::styled;
use crate::scene::asset::{Asset, cover, int32};
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::kernel::mul255;
use crate::scene::model::{Color, Outline, Overflow, TextBox, TextStyle, VerticalAlign};
use crate::scene::resolve::PlacedLayer;

/// The card behind a slate's letters: its top and its bottom.
const CARD: (Color, Color) =
    (Color { r: 30, g: 36, b: 51, a: 255 }, Color { r: 15, g: 18, b: 27, a: 255 });

/// A text layer: in its box, cut off at its edges.
pub(super) fn load(
    layer: &PlacedLayer,
    text: &str,
    (style, text_box): (&TextStyle, &TextBox),
    loader: &mut Loader,
) -> Result<Asset, Error> {
    let setting = match text_box.vertical_align {
        VerticalAlign::Top => Setting::Top,
        VerticalAlign::Middle => Setting::Middle,
        VerticalAlign::Bottom => Setting::Bottom,
    };
    let inner = inside(layer, text_box.padding);
    let letters = letters(&inner, text, (style, setting, text_box.overflow), loader)?;
    let image = match text_box {
        TextBox { padding: 0, background: None, outline: None, .. } => letters,
        text_box => boxed(&letters, layer, text_box),
    };
    styled(image, (layer.place.x, layer.place.y), layer, loader.canvas)
}

/// A slate: an opaque card that fills the layer's box, with letters in the middle.
pub(super) fn slate(
    layer: &PlacedLayer,
    text: &str,
    style: &TextStyle,
    loader: &mut Loader,
) -> Result<Asset, Error> {
    let place = layer.place.even();
    let boxed = PlacedLayer { place, ..layer.clone() };
    let image = letters(&boxed, text, (style, Setting::Middle, Overflow::Clip), loader)?;
    let card = gradient::opaque(place, CARD, loader.canvas);
    let letters = Asset::new(&image, (place.x, place.y), loader.canvas);
    Ok(card.under(&letters))
}

/// The layer with a box that is smaller by so many pixels on each side, and a pixel at least.
fn inside(layer: &PlacedLayer, padding: u32) -> PlacedLayer {
    let mut inner = layer.clone();
    let side = |side: i32| (side - 2 * int32(padding)).max(1);
    (inner.place.w, inner.place.h) = (side(inner.place.w), side(inner.place.h));
    inner
}

fn letters(
    layer: &PlacedLayer,
    text: &str,
    (style, setting, overflow): (&TextStyle, Setting, Overflow),
    loader: &mut Loader,
) -> Result<RgbaImage, Error> {
    let sides = (layer.place.w.unsigned_abs(), layer.place.h.unsigned_abs());
    let mut image = RgbaImage::new(sides.0, sides.1);
    let fonts = loader.fonts();
    let face = fonts.face(layer, style, text)?;
    let (text, style) = fonts.fitted(text, (&face, style), overflow, sides);
    fonts.draw(&mut image, &text, (&face, &style), setting);
    Ok(image)
}

/// The letters in the middle of the layer's whole box, on its background, with their outline.
fn boxed(letters: &RgbaImage, layer: &PlacedLayer, text_box: &TextBox) -> RgbaImage {
    let (w, h) = (layer.place.w.unsigned_abs(), layer.place.h.unsigned_abs());
    let Color { r, g, b, a } = text_box.background.unwrap_or(Color { r: 0, g: 0, b: 0, a: 0 });
    let mut image = RgbaImage::from_pixel(w, h, Rgba([r, g, b, a]));
    let corner = (int32(w - letters.width()) / 2, int32(h - letters.height()) / 2);
    if let Some(outline) = text_box.outline {
        draw_outline(&mut image, letters, corner, outline);
    }
    for (x, y, pixel) in letters.enumerate_pixels() {
        if let Some(below) = at(&mut image, (corner.0 + int32(x), corner.1 + int32(y))) {
            cover(&mut below.0, pixel.0);
        }
    }
    image
}

/// Covers what is within the outline's width of any of the letters, their corner at `corner`.
fn draw_outline(image: &mut RgbaImage, letters: &RgbaImage, corner: (i32, i32), outline: Outline) {
    let reach = int32(outline.width) + 1;
    let width = f64::from(outline.width);
    // How much of a pixel at a distance is within the width, 0 to 255.
    let disc: Vec<_> = (-reach..=reach)
        .flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
        .map(|(dx, dy)| (dx, dy, covered(width - f64::from(dx).hypot(f64::from(dy)))))
        .filter(|(.., covered)| *covered > 0)
        .collect();
    let mut mask = image::GrayImage::new(image.width(), image.height());
    for (x, y, pixel) in letters.enumerate_pixels().filter(|(.., pixel)| pixel.0[3] > 0) {
        for (dx, dy, covered) in &disc {
            let (px, py) = (corner.0 + int32(x) + dx, corner.1 + int32(y) + dy);
            let place = u32::try_from(px).ok().zip(u32::try_from(py).ok());
            if let Some(most) = place.and_then(|(px, py)| mask.get_pixel_mut_checked(px, py)) {
                most.0[0] = most.0[0].max(mul255(*covered, pixel.0[3]));
            }
        }
    }
    let Color { r, g, b, a } = outline.color;
    for (below, mask) in image.pixels_mut().zip(mask.pixels()) {
        cover(&mut below.0, [r, g, b, mul255(a, mask.0[0])]);
    }
}

/// How much of a pixel is covered whose middle is so far inside of an edge, pixels: 0 to 255.
fn covered(inside: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let covered = ((inside + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
    covered
}

fn at(image: &mut RgbaImage, (x, y): (i32, i32)) -> Option<&mut Rgba<u8>> {
    image.get_pixel_mut_checked(u32::try_from(x).ok()?, u32::try_from(y).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;
    use crate::scene::layer_style::LayerStyle;
    use crate::scene::model::{Fit, Source, Warm};

    const RED: Color = Color { r: 255, g: 0, b: 0, a: 255 };
    const BLUE: Color = Color { r: 0, g: 0, b: 255, a: 255 };

    /// A white pixel in the middle of a box of 40x30 pixels, as a text of one point.
    fn point(text_box: &TextBox) -> RgbaImage {
        let layer = PlacedLayer {
            name: "title".to_owned(),
            source: Source::TestCard,
            place: Rect { x: 7, y: 9, w: 40, h: 30 },
            fit: Fit::Fill,
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
            warm: Warm::default(),
        };
        let inner = inside(&layer, text_box.padding);
        let (w, h) = (inner.place.w.unsigned_abs(), inner.place.h.unsigned_abs());
        let mut letters = RgbaImage::new(w, h);
        letters.put_pixel(w / 2, h / 2, Rgba([255; 4]));
        boxed(&letters, &layer, text_box)
    }

    #[test]
    fn an_outline_covers_what_is_within_its_width_of_the_letters_and_nothing_else() {
        let outline = Some(Outline { width: 4, color: RED });
        let image = point(&TextBox { outline, padding: 5, ..TextBox::default() });
        assert_eq!(image.dimensions(), (40, 30));
        assert_eq!(image.get_pixel(20, 15).0, [255; 4], "the letter is above it");
        for (x, y, pixel) in image.enumerate_pixels().filter(|(x, y, _)| (*x, *y) != (20, 15)) {
            let distance = (f64::from(x) - 20.0).hypot(f64::from(y) - 15.0);
            match pixel.0 {
                [255, 0, 0, 255] => assert!(distance <= 3.6, "{x} {y}"),
                [.., 0] => assert!(distance >= 4.4, "{x} {y}"),
                [255, 0, 0, _] => assert!((3.4..4.6).contains(&distance), "{x} {y}"),
                other => panic!("{other:?} at {x} {y}"),
            }
        }
    }

    #[test]
    fn a_background_fills_the_whole_box_and_padding_keeps_letters_inside() {
        let image = point(&TextBox { background: Some(BLUE), padding: 14, ..TextBox::default() });
        let letters = image.pixels().filter(|pixel| pixel.0 == [255; 4]).count();
        let behind = image.pixels().filter(|pixel| pixel.0 == [0, 0, 255, 255]).count();
        assert_eq!((letters, behind), (1, 40 * 30 - 1));
        let none = point(&TextBox { padding: 1_024, ..TextBox::default() });
        assert_eq!(none.pixels().filter(|pixel| pixel.0[3] > 0).count(), 1, "a pixel is left");
    }
}
