//! Image source: a picture from a file, or several that follow each other, scaled once.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::{FilterType, crop_imm, resize};
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgba,
    RgbaImage,
};

use super::animation::{Animation, BYTES_MAX, Frames};
use super::avif::{self, is_avif};
use super::styled::styled;
use super::svg::{Svg, is_svg};
use crate::media::{Rect, Size, open_plain};
use crate::scene::asset::{Asset, int32, px};
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

/// Bytes of a pixel as it is drawn.
const RGBA_BYTES: u64 = 4;

static LOGO: &[u8] = include_bytes!("../../../assets/logo.png");

/// A picture that is loaded.
pub(super) enum Picture {
    Still(Asset),
    Animated(Animation),
}

/// Loads the file at `path` for its layer.
pub(super) fn load(layer: &PlacedLayer, path: &Path, canvas: Rect) -> Result<Picture, Error> {
    let fault = |cause| Error::File { layer: layer.name.clone(), path: path.to_owned(), cause };
    match open(path).and_then(decode).map_err(fault)? {
        Decoded::Still(image) => place(image, layer, canvas).map(Picture::Still),
        Decoded::Svg(svg) => {
            let (w, h) = drawn_size(layer, svg.size);
            put(&svg.draw(w, h).map_err(fault)?, layer, canvas).map(Picture::Still)
        }
        Decoded::Frames(mut frames) => {
            let (w, h) = drawn_size(layer, frames.pictures[0].dimensions());
            let bytes = frames.pictures.len() * 4 * px(int32(w)) * px(int32(h));
            if bytes > BYTES_MAX {
                return Err(fault(format!(
                    "at {w}x{h} its {} pictures take more than {} MiB; make it a video",
                    frames.pictures.len(),
                    BYTES_MAX >> 20
                )));
            }
            let pictures = std::mem::take(&mut frames.pictures).into_iter();
            let pictures: Result<_, Error> =
                pictures.map(|image| place(image, layer, canvas)).collect();
            Ok(Picture::Animated(frames.animation(pictures?)))
        }
    }
}

/// A picture made small, for who chooses among files.
#[derive(Debug)]
pub struct Preview {
    /// The usual end of the name of such a file, such as `png`.
    pub format: &'static str,
    /// The first picture, if it is animated.
    pub image: RgbaImage,
}

/// Reads a whole picture file, and makes the picture small enough for its sides to be at most
/// `side` pixels.
///
/// # Errors
/// What is wrong with it, if it cannot be shown.
pub fn preview(path: &Path, side: u32) -> Result<Preview, String> {
    let mut file = open(path)?;
    let head = file.fill_buf().map_err(|error| error.to_string())?;
    let format = match is_svg(head) {
        true => Some("svg"),
        false => image::guess_format(head).ok().and_then(|it| it.extensions_str().first().copied()),
    };
    let image = match decode(file)? {
        Decoded::Still(image) => image,
        Decoded::Frames(mut frames) => frames.pictures.swap_remove(0),
        Decoded::Svg(svg) => {
            let (w, h) = smaller(svg.size, side);
            svg.draw(w, h)?
        }
    };
    let (w, h) = smaller(image.dimensions(), side);
    Ok(Preview { format: format.unwrap_or_default(), image: scaled(image, w, h) })
}

/// The same shape with sides of at most so many pixels.
fn smaller((w, h): (u32, u32), side: u32) -> (u32, u32) {
    let longest = w.max(h).max(1);
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longest)).max(1);
    let fit = |length| u32::try_from(scaled(length)).unwrap_or(side);
    if longest <= side { (w, h) } else { (fit(w), fit(h)) }
}

/// Reads a still picture from a file; what is wrong with it, if it cannot be read.
pub(in crate::scene) fn read(path: &Path) -> Result<DynamicImage, String> {
    decode_still(open(path)?)
}

fn open(path: &Path) -> Result<BufReader<File>, String> {
    let file = open_plain(path).map_err(|error| error.to_string())?;
    let bytes = file.metadata().map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("it is above {} MiB", FILE_BYTES_MAX >> 20));
    }
    Ok(BufReader::new(file))
}

/// Loads a picture that is part of the program.
pub(super) fn built_in(layer: &PlacedLayer, name: BuiltIn, canvas: Rect) -> Result<Asset, Error> {
    let bytes = match name {
        BuiltIn::Logo => LOGO,
    };
    let fault =
        |cause: String| Error::File { layer: layer.name.clone(), path: name.name().into(), cause };
    place(decode_still(Cursor::new(bytes)).map_err(fault)?.into_rgba8(), layer, canvas)
}

/// What a file holds.
enum Decoded {
    Still(RgbaImage),
    Frames(Frames),
    Svg(Box<Svg>),
}

fn decode(mut file: impl BufRead + Seek) -> Result<Decoded, String> {
    let told = |error: ImageError| error.to_string();
    let head = file.fill_buf().map_err(|error| error.to_string())?;
    if is_svg(head) {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        return Svg::read(&bytes).map(|svg| Decoded::Svg(Box::new(svg)));
    }
    if is_avif(head) {
        return avif::read(file, DECODER_BYTES_MAX / RGBA_BYTES).map(Decoded::Still);
    }
    match image::guess_format(head) {
        Ok(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(file).map_err(told)?;
            decoder.set_limits(limits()).map_err(told)?;
            Frames::read(decoder).map(Decoded::Frames)
        }
        Ok(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(file, limits()).map_err(told)?;
            if decoder.is_apng().map_err(told)? {
                return Frames::read(decoder.apng().map_err(told)?).map(Decoded::Frames);
            }
            still(decoder).map(|image| Decoded::Still(image.into_rgba8()))
        }
        Ok(ImageFormat::WebP) => {
            let mut decoder = WebPDecoder::new(file).map_err(told)?;
            decoder.set_limits(limits()).map_err(told)?;
            if decoder.has_animation() {
                return Frames::read(decoder).map(Decoded::Frames);
            }
            still(decoder).map(|image| Decoded::Still(image.into_rgba8()))
        }
        _ => decode_still(file).map(|image| Decoded::Still(image.into_rgba8())),
    }
}

fn decode_still(file: impl BufRead + Seek) -> Result<DynamicImage, String> {
    let mut reader =
        ImageReader::new(file).with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("it is neither PNG nor JPEG nor WebP nor AVIF nor GIF nor SVG".to_owned());
    }
    reader.limits(limits());
    still(reader.into_decoder().map_err(|error| error.to_string())?)
}

/// The picture of a decoder as it is to be seen: cameras say how theirs are turned.
fn still(mut decoder: impl ImageDecoder) -> Result<DynamicImage, String> {
    let (w, h) = decoder.dimensions();
    let bytes = u64::from(w) * u64::from(h) * RGBA_BYTES;
    if bytes.max(decoder.total_bytes()) > DECODER_BYTES_MAX {
        let limit = DECODER_BYTES_MAX >> 20;
        return Err(format!("its {w}x{h} pixels take more than {limit} MiB; make it smaller"));
    }
    // What cannot be understood of that does not spoil the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    limits
}

/// How wide and high a picture of this size is drawn.
fn drawn_size(layer: &PlacedLayer, size: (u32, u32)) -> (u32, u32) {
    let own = layout::natural(size, layer.fit, layer.scale);
    let (w, h) = layout::scale(layer.place, layer.fit, own);
    (w.min(Size::SIDE_MAX), h.min(Size::SIDE_MAX))
}

/// Scales and places the picture as its layer asks, and cuts it off at the layer's box.
fn place(image: RgbaImage, layer: &PlacedLayer, canvas: Rect) -> Result<Asset, Error> {
    let (w, h) = drawn_size(layer, image.dimensions());
    put(&scaled(image, w, h), layer, canvas)
}

/// The same with a picture of the size that it is drawn at.
fn put(image: &RgbaImage, layer: &PlacedLayer, canvas: Rect) -> Result<Asset, Error> {
    let (w, h) = image.dimensions();
    let x = layer.place.x + (layer.place.w - int32(w)).div_euclid(2);
    let y = layer.place.y + (layer.place.h - int32(h)).div_euclid(2);
    if !layer.style.changes_picture() {
        return Ok(Asset::new(image, (x, y), layer.place.intersect(canvas)));
    }
    // Only what lies in the box has corners, a border and a shadow.
    let picture = Rect { x, y, w: int32(w), h: int32(h) };
    let seen = picture.intersect(layer.place);
    let (left, top) = ((seen.x - x).unsigned_abs(), (seen.y - y).unsigned_abs());
    let (w, h) = (seen.w.unsigned_abs(), seen.h.unsigned_abs());
    let image = crop_imm(image, left, top, w, h).to_image();
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
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
            warm: crate::scene::Warm::default(),
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
            let Picture::Still(asset) = load(&layer(&path, fit), &path, CANVAS).unwrap() else {
                panic!("it is a still picture");
            };
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
    fn a_photograph_is_turned_as_its_camera_says() {
        let photo = RgbaImage::from_fn(32, 16, |x, _| Rgba([if x < 16 { 0 } else { 255 }; 4]));
        let mut jpeg = Vec::new();
        let rgb = DynamicImage::from(photo).into_rgb8();
        rgb.write_to(&mut Cursor::new(&mut jpeg), ImageFormat::Jpeg).unwrap();
        // Behind the begin of the file: one entry, the orientation, a quarter clockwise.
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\
            \x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        jpeg.splice(2..2, exif.iter().copied());
        let image = decode_still(Cursor::new(jpeg)).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), (16, 32));
        assert!(image.get_pixel(8, 4).0[0] < 20 && image.get_pixel(8, 28).0[0] > 235);
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
            let error = load(&layer(path, Fit::Contain), path, CANVAS).err().unwrap().to_string();
            assert!(error.contains("\"logo\""), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
