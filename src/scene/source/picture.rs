//! Image source: a still picture from a file, scaled once.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::imageops::{FilterType, crop_imm, resize};
use image::{DynamicImage, ImageBuffer, ImageReader, Limits, Rgba, RgbaImage};

use super::styled::styled;
use crate::media::{Rect, Size};
use crate::scene::asset::{Asset, int32};
use crate::scene::error::Error;
use crate::scene::layout;
use crate::scene::model::BuiltIn;
use crate::scene::resolve::PlacedLayer;

/// Largest picture file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Longest side of a picture file, pixels.
const SIDE_MAX: u32 = 16_384;

/// Most memory a decoder may take.
const DECODER_BYTES_MAX: u64 = 512 << 20;

static LOGO: &[u8] = include_bytes!("../../../assets/logo.png");

/// Loads the file at `path` for its layer.
pub(super) fn load(layer: &PlacedLayer, path: &Path, canvas: Rect) -> Result<Asset, Error> {
    let fault = |cause| Error::File { layer: layer.name.clone(), path: path.to_owned(), cause };
    place(read(path).map_err(fault)?.into_rgba8(), layer, canvas)
}

/// Reads a picture file; what is wrong with it, if it cannot be read.
pub(in crate::scene) fn read(path: &Path) -> Result<DynamicImage, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // Only a plain file is opened: to open a pipe would wait for whoever writes into it.
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(format!("it is above {} MiB", FILE_BYTES_MAX >> 20));
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    decode(BufReader::new(file))
}

/// Loads a picture that is part of the program.
pub(super) fn built_in(layer: &PlacedLayer, name: BuiltIn, canvas: Rect) -> Result<Asset, Error> {
    let bytes = match name {
        BuiltIn::Logo => LOGO,
    };
    let fault =
        |cause: String| Error::File { layer: layer.name.clone(), path: name.name().into(), cause };
    place(decode(Cursor::new(bytes)).map_err(fault)?.into_rgba8(), layer, canvas)
}

fn decode(file: impl BufRead + Seek) -> Result<DynamicImage, String> {
    let mut reader =
        ImageReader::new(file).with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("it is neither PNG nor JPEG nor WebP".to_owned());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    reader.decode().map_err(|error| error.to_string())
}

/// Scales and places the picture as its layer asks, and cuts it off at the layer's box.
fn place(image: RgbaImage, layer: &PlacedLayer, canvas: Rect) -> Result<Asset, Error> {
    let (w, h) = layout::scale(layer.place, layer.fit, image.dimensions());
    let (w, h) = (w.min(Size::SIDE_MAX), h.min(Size::SIDE_MAX));
    let image = scaled(image, w, h);
    let x = layer.place.x + (layer.place.w - int32(w)).div_euclid(2);
    let y = layer.place.y + (layer.place.h - int32(h)).div_euclid(2);
    if !layer.style.changes_picture() {
        return Ok(Asset::new(&image, (x, y), layer.place.intersect(canvas)));
    }
    // Only what lies in the box has corners, a border and a shadow.
    let picture = Rect { x, y, w: int32(w), h: int32(h) };
    let seen = picture.intersect(layer.place);
    let (left, top) = ((seen.x - x).unsigned_abs(), (seen.y - y).unsigned_abs());
    let (w, h) = (seen.w.unsigned_abs(), seen.h.unsigned_abs());
    let image = crop_imm(&image, left, top, w, h).to_image();
    styled(image, (seen.x, seen.y), layer, canvas)
}

fn scaled(image: RgbaImage, w: u32, h: u32) -> RgbaImage {
    if image.dimensions() == (w, h) {
        return image;
    }
    if image.pixels().all(|pixel| pixel.0[3] == 255) {
        return resize(&image, w, h, FilterType::Lanczos3);
    }
    // Colours are weighted by alpha, or what lies hidden in transparent pixels would bleed out.
    let deep =
        ImageBuffer::<Rgba<u16>, Vec<u16>>::from_fn(image.width(), image.height(), |x, y| {
            let [r, g, b, a] = image.get_pixel(x, y).0.map(u16::from);
            Rgba([r * a, g * a, b * a, a * 255])
        });
    drop(image);
    let deep = resize(&deep, w, h, FilterType::Lanczos3);
    RgbaImage::from_fn(w, h, |x, y| {
        let [r, g, b, a] = deep.get_pixel(x, y).0.map(u32::from);
        let color = |v: u32| u8::try_from(((v * 255 + a / 2) / a.max(1)).min(255)).unwrap_or(255);
        let alpha = u8::try_from(((a + 127) / 255).min(255)).unwrap_or(255);
        Rgba([color(r), color(g), color(b), alpha])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::layer_style::LayerStyle;
    use crate::scene::model::{Fit, Source};

    const CANVAS: Rect = Rect { x: 0, y: 0, w: 640, h: 360 };

    fn layer(path: &Path, fit: Fit) -> PlacedLayer {
        PlacedLayer {
            name: "logo".to_owned(),
            source: Source::Image(path.to_owned()),
            place: Rect { x: 20, y: 20, w: 200, h: 100 },
            fit,
            style: LayerStyle::default(),
        }
    }

    #[test]
    fn it_is_scaled_and_cut_off_as_its_layer_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("square.png");
        RgbaImage::from_pixel(64, 64, Rgba([200, 100, 50, 255])).save(&path).unwrap();
        for (fit, expected) in [
            (Fit::Contain, Rect { x: 70, y: 20, w: 100, h: 100 }),
            (Fit::Cover, Rect { x: 20, y: 20, w: 200, h: 100 }),
            (Fit::Fill, Rect { x: 20, y: 20, w: 200, h: 100 }),
            (Fit::None, Rect { x: 88, y: 38, w: 64, h: 64 }),
        ] {
            let asset = load(&layer(&path, fit), &path, CANVAS).unwrap();
            assert_eq!(asset.rect(), expected, "{fit:?}");
            assert_eq!(asset.opaque_rect(), expected, "{fit:?}");
        }
    }

    #[test]
    fn colours_hidden_in_transparent_pixels_do_not_bleed() {
        let image = RgbaImage::from_fn(64, 64, |x, _| {
            if x < 32 { Rgba([255, 255, 255, 255]) } else { Rgba([255, 0, 0, 0]) }
        });
        for pixel in scaled(image, 23, 23).pixels().filter(|pixel| pixel.0[3] > 0) {
            assert_eq!(pixel.0[..3], [255, 255, 255]);
        }
    }

    #[test]
    fn a_missing_or_broken_file_is_an_error_with_the_layer_and_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes.png");
        std::fs::write(&text, "hello").unwrap();
        let cut = folder.path().join("cut.png");
        std::fs::write(&cut, &LOGO[..LOGO.len() / 2]).unwrap();
        let missing = folder.path().join("missing.png");
        for path in [&missing, &text, &cut, &folder.path().to_owned()] {
            let error = load(&layer(path, Fit::Contain), path, CANVAS).unwrap_err().to_string();
            assert!(error.contains("\"logo\""), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
