//! Text source: letters that stand still, of text layers, and the slates of live inputs.

use image::RgbaImage;

use super::dress::dressed;
use super::gradient;
use super::loader::Loader;
use crate::scene::asset::Asset;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Color, TextStyle};
use crate::scene::resolve::PlacedLayer;

/// The card behind a slate's letters: its top and its bottom.
const CARD: (Color, Color) =
    (Color { r: 30, g: 36, b: 51, a: 255 }, Color { r: 15, g: 18, b: 27, a: 255 });

/// A text layer: from the top of its box, cut off at its edges.
pub(super) fn load(
    layer: &PlacedLayer,
    text: &str,
    style: &TextStyle,
    loader: &mut Loader,
) -> Result<Asset, Error> {
    let image = letters(layer, text, (style, Setting::Top), loader)?;
    dressed(image, (layer.place.x, layer.place.y), layer, loader.canvas)
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
    let image = letters(&boxed, text, (style, Setting::Middle), loader)?;
    let card = gradient::opaque(place, CARD, loader.canvas);
    let letters = Asset::new(&image, (place.x, place.y), loader.canvas);
    Ok(card.under(&letters))
}

fn letters(
    layer: &PlacedLayer,
    text: &str,
    (style, setting): (&TextStyle, Setting),
    loader: &mut Loader,
) -> Result<RgbaImage, Error> {
    let (w, h) = (layer.place.w.unsigned_abs(), layer.place.h.unsigned_abs());
    let mut image = RgbaImage::new(w, h);
    let fonts = loader.fonts();
    let face = fonts.face(layer, style, text)?;
    fonts.draw(&mut image, text, (&face, style), setting);
    Ok(image)
}
