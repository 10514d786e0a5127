//! Placeholder of a layer whose file or font cannot be had.

use std::path::Path;

use image::{Rgba, RgbaImage};

use super::loader::Loader;
use crate::scene::asset::Asset;
use crate::scene::error::Error;
use crate::scene::fonts::Setting;
use crate::scene::model::{Align, Color, TextStyle};
use crate::scene::resolve::PlacedLayer;

/// The box of a placeholder: dark, and what is below it can still be seen.
const SHADE: Rgba<u8> = Rgba([15, 18, 27, 176]);

const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };

/// Height of a placeholder's lines, pixels; less in a low box.
const LINE: f32 = 28.0;
const LINE_MIN: f32 = 8.0;

/// Lines that fill a low box.
const LINES: f32 = 4.0;

/// Letters of a placeholder.
const CHARS_MAX: usize = 200;

/// A dark box that fills the layer's, with the layer's name and its file's.
pub(super) fn labelled(
    layer: &PlacedLayer,
    path: &Path,
    loader: &mut Loader,
) -> Result<Asset, Error> {
    // A box may be far larger than the canvas; only what can be seen is drawn.
    let seen = layer.place.even().intersect(loader.canvas);
    let (w, h) = (seen.w.unsigned_abs(), seen.h.unsigned_abs());
    let mut image = RgbaImage::from_pixel(w, h, SHADE);
    if !seen.is_empty() {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let label: String = format!("{}\n{name}", layer.name).chars().take(CHARS_MAX).collect();
        #[expect(clippy::cast_precision_loss, reason = "pixels of a canvas")]
        let size = (h as f32 / LINES).clamp(LINE_MIN, LINE);
        let (weight, color, align) = (600, WHITE, Align::Center);
        let style =
            TextStyle { font: None, fallback_fonts: Vec::new(), size, weight, color, align };
        let fonts = loader.fonts();
        // Letters that the built-in font lacks are no reason to read the machine's.
        let face = fonts.face(layer, &style, "")?;
        fonts.draw(&mut image, &label, (&face, &style), Setting::Middle);
    }
    Ok(Asset::new(&image, (seen.x, seen.y), loader.canvas))
}
