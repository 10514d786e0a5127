//! Fonts: finds them and draws text into images, at load time only.

use std::sync::Arc;

use cosmic_text::fontdb::{Database, Family, Query, Source as FontSource, Weight};
use cosmic_text::{
    Align as Aligned, Attrs, Buffer, FeatureTag, FontFeatures, FontSystem, Metrics, Shaping,
    SwashCache, SwashContent, SwashImage, Wrap,
};
use image::RgbaImage;

use super::asset::{cover, int32};
use super::error::Error;
use super::kernel::mul255;
use super::model::{Align, Color, Overflow, TextStyle};
use super::resolve::PlacedLayer;

/// Largest font file that is read.
const FONT_BYTES_MAX: u64 = 64 << 20;

/// Longest text of a layer.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Heights a line may have, pixels.
const LINE_MIN: f32 = 4.0;
const LINE_MAX: f32 = 2_048.0;

/// Letters that fonts remember when they are kept for the next scene.
const LETTERS_MAX: usize = 4_096;

/// How near to the largest size that fits letters are shrunk, pixels.
const SHRINK_STEP: f32 = 0.25;

/// Size of the letters in a line of height 1: leaves the room that Inter was drawn for.
const LETTERS_PER_LINE: f32 = 0.82;

/// The family inside the program.
const BUILT_IN: &str = "Inter";

/// Inter, under the SIL Open Font License (assets/fonts/OFL.txt).
pub(super) static INTER: [&[u8]; 3] = [
    include_bytes!("../../assets/fonts/Inter-Regular.otf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
    include_bytes!("../../assets/fonts/Inter-Bold.otf"),
];

/// The fonts of this machine and the one inside the program.
#[derive(Debug)]
pub(super) struct Fonts {
    system: FontSystem,
    cache: SwashCache,
    /// The machine's fonts are read when something first asks for them.
    has_machine_fonts: bool,
    /// Those of files that layers name are there.
    has_files: bool,
}

/// A family and the nearest weight it has.
#[derive(Clone, Debug)]
pub(super) struct Face {
    family: String,
    weight: Weight,
}

/// How to set a text in its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Lines break between words; the first is at the top.
    Top,
    /// Lines break between words; together they are in the middle.
    Middle,
    /// Lines break between words; the last is at the bottom.
    Bottom,
    /// One line of figures of equal width, at the top.
    Figures,
    /// One line, in the middle.
    OneLine,
}

impl Fonts {
    /// With the built-in font only, until another is asked for.
    pub(super) fn new() -> Self {
        let mut db = Database::new();
        for data in INTER {
            db.load_font_source(FontSource::Binary(Arc::new(data)));
        }
        let system = FontSystem::new_with_locale_and_db("en-US".to_owned(), db);
        Self { system, cache: SwashCache::new(), has_machine_fonts: false, has_files: false }
    }

    /// Whether only the built-in font is there, so that what is drawn next looks as it would with
    /// new ones, and few letters are remembered.
    pub(super) fn is_built_in(&self) -> bool {
        !self.has_machine_fonts && !self.has_files && self.cache.image_cache.len() < LETTERS_MAX
    }

    /// Finds the font that `style` asks for, and checks that it and `text` can be drawn.
    pub(super) fn face(
        &mut self,
        layer: &PlacedLayer,
        style: &TextStyle,
        text: &str,
    ) -> Result<Face, Error> {
        let advice = |advice: String| Error::Layer { layer: layer.name.clone(), advice };
        if !(LINE_MIN..=LINE_MAX).contains(&style.size) {
            return Err(advice(format!("make the text size {LINE_MIN} to {LINE_MAX} pixels")));
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(advice(format!("keep the text to {TEXT_BYTES_MAX} bytes")));
        }
        let family = match style.font.as_deref() {
            None => Ok(BUILT_IN.to_owned()),
            Some(path) if is_path(path) => self.family_in_file(path),
            Some(name) => self.family_called(name),
        };
        let family = family.map_err(|cause| Error::Font {
            layer: layer.name.clone(),
            font: style.font.clone().unwrap_or_default(),
            cause,
        })?;
        let face = self.nearest(family, style.weight);
        if !self.has_machine_fonts && !self.has_letters(&face, text) {
            self.read_machine_fonts();
        }
        Ok(face)
    }

    /// Draws `text` into `image`, in the style's colour and alignment.
    pub(super) fn draw(
        &mut self,
        image: &mut RgbaImage,
        text: &str,
        (face, style): (&Face, &TextStyle),
        setting: Setting,
    ) {
        let buffer = self.lay_out(text, (face, style), Some(image.width()), setting);
        let free = (pixels(image.height()) - height(&buffer)).max(0.0);
        let top = match setting {
            Setting::Top | Setting::Figures => 0.0,
            Setting::Middle | Setting::OneLine => (free / 2.0).round(),
            Setting::Bottom => free.round(),
        };
        for run in buffer.layout_runs() {
            for glyph in run.glyphs {
                let glyph = glyph.physical((0.0, run.line_y + top), 1.0);
                if let Some(letter) = self.cache.get_image(&mut self.system, glyph.cache_key) {
                    put(image, letter, (glyph.x, glyph.y), style.color);
                }
            }
        }
    }

    /// How wide `text` would be on one line, pixels.
    pub(super) fn width(&mut self, text: &str, look: (&Face, &TextStyle), setting: Setting) -> f32 {
        let buffer = self.lay_out(text, look, None, setting);
        buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max)
    }

    /// How high `text` is where it is `width` wide, pixels.
    pub(super) fn height(&mut self, text: &str, look: (&Face, &TextStyle), width: u32) -> f32 {
        height(&self.lay_out(text, look, Some(width), Setting::Top))
    }

    /// The text and the style as it takes for the text to fit into a box of `sides`, pixels.
    pub(super) fn fitted(
        &mut self,
        text: &str,
        (face, style): (&Face, &TextStyle),
        overflow: Overflow,
        sides: (u32, u32),
    ) -> (String, TextStyle) {
        let (mut text, mut style) = (text.to_owned(), style.clone());
        match overflow {
            _ if self.fits(&text, (face, &style), sides) => {}
            Overflow::Clip => {}
            Overflow::Shrink => {
                let (mut fits, mut full) = (LINE_MIN, style.size);
                while full - fits > SHRINK_STEP {
                    style.size = f32::midpoint(fits, full);
                    match self.fits(&text, (face, &style), sides) {
                        true => fits = style.size,
                        false => full = style.size,
                    }
                }
                style.size = fits;
            }
            Overflow::Ellipsis => {
                let ends: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
                let cut = |end: usize| format!("{}\u{2026}", text[..end].trim_end());
                let fit = ends.partition_point(|end| self.fits(&cut(*end), (face, &style), sides));
                text = cut(ends[fit.saturating_sub(1)]);
            }
        }
        (text, style)
    }

    /// Whether all lines of the text, broken between words, are inside of a box of `sides`.
    fn fits(&mut self, text: &str, style: (&Face, &TextStyle), (w, h): (u32, u32)) -> bool {
        let buffer = self.lay_out(text, style, Some(w), Setting::Top);
        // A line alone is as high as it is, and one word may be wider than the box.
        let is_narrow = buffer.layout_runs().all(|run| run.line_w <= pixels(w) + 0.5);
        is_narrow && height(&buffer) <= pixels(h) + 0.5
    }

    fn lay_out(
        &mut self,
        text: &str,
        (face, style): (&Face, &TextStyle),
        width: Option<u32>,
        setting: Setting,
    ) -> Buffer {
        let metrics = Metrics::new(style.size * LETTERS_PER_LINE, style.size);
        let mut buffer = Buffer::new(&mut self.system, metrics);
        buffer.set_size(width.map(pixels), None);
        let mut attrs = Attrs::new().family(Family::Name(&face.family)).weight(face.weight);
        if setting == Setting::Figures {
            let mut features = FontFeatures::new();
            features.enable(FeatureTag::new(b"tnum"));
            attrs = attrs.font_features(features);
        }
        if matches!(setting, Setting::Figures | Setting::OneLine) {
            buffer.set_wrap(Wrap::None);
        }
        let align = match style.align {
            Align::Left => Aligned::Left,
            Align::Center => Aligned::Center,
            Align::Right => Aligned::Right,
        };
        buffer.set_text(text, &attrs, Shaping::Advanced, Some(align));
        buffer.shape_until_scroll(&mut self.system, false);
        buffer
    }

    fn family_in_file(&mut self, path: &str) -> Result<String, String> {
        let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
        // Only a plain file is opened: to open a pipe would wait for whoever writes into it.
        if !about.is_file() {
            return Err("it is not a file".to_owned());
        }
        if about.len() > FONT_BYTES_MAX {
            return Err(format!("the file is above {} MiB", FONT_BYTES_MAX >> 20));
        }
        let data = std::fs::read(path).map_err(|error| error.to_string())?;
        self.has_files = true;
        let db = self.system.db_mut();
        let faces = db.load_font_source(FontSource::Binary(Arc::new(data)));
        faces
            .first()
            .and_then(|id| db.face(*id))
            .and_then(|face| face.families.first())
            .map(|(family, _)| family.clone())
            .ok_or_else(|| "the file is not a TrueType or OpenType font".to_owned())
    }

    fn family_called(&mut self, name: &str) -> Result<String, String> {
        if let Some(family) = self.find(name) {
            return Ok(family);
        }
        self.read_machine_fonts();
        self.find(name).ok_or_else(|| "this machine has no such family".to_owned())
    }

    /// The family as its font spells it.
    fn find(&self, name: &str) -> Option<String> {
        let mut families = self.system.db().faces().flat_map(|face| &face.families);
        families
            .find(|(family, _)| family.eq_ignore_ascii_case(name))
            .map(|(found, _)| found.clone())
    }

    fn read_machine_fonts(&mut self) {
        if !self.has_machine_fonts {
            self.system.db_mut().load_system_fonts();
            self.has_machine_fonts = true;
        }
    }

    fn nearest(&self, family: String, weight: u16) -> Face {
        let weight = Weight(weight.clamp(100, 900));
        let db = self.system.db();
        let query = Query { families: &[Family::Name(&family)], weight, ..Query::default() };
        let found = db.query(&query).and_then(|id| db.face(id)).map(|face| face.weight);
        Face { weight: found.unwrap_or(weight), family }
    }

    fn has_letters(&mut self, face: &Face, text: &str) -> bool {
        let families = &[Family::Name(&face.family)];
        let query = Query { families, weight: face.weight, ..Query::default() };
        let Some(id) = self.system.db().query(&query) else { return false };
        let Some(font) = self.system.get_font(id, face.weight) else { return false };
        let letters = font.as_swash().charmap();
        text.chars().all(|c| c.is_whitespace() || c.is_control() || letters.map(c) != 0)
    }
}

/// Whether a font is a file, and no family.
pub(super) fn is_path(font: &str) -> bool {
    let ends = |with: &str| {
        font.len() > with.len()
            && font.is_char_boundary(font.len() - with.len())
            && font[font.len() - with.len()..].eq_ignore_ascii_case(with)
    };
    font.contains('/') || [".ttf", ".otf", ".ttc", ".otc"].into_iter().any(ends)
}

fn height(buffer: &Buffer) -> f32 {
    buffer.layout_runs().map(|run| run.line_top + run.line_height).fold(0.0, f32::max)
}

/// Puts a letter with its origin at `(x, y)`.
fn put(image: &mut RgbaImage, letter: &SwashImage, (x, y): (i32, i32), color: Color) {
    let place = letter.placement;
    let width = usize::try_from(place.width).unwrap_or(0);
    let deep = if letter.content == SwashContent::Mask { 1 } else { 4 };
    if width == 0 {
        return;
    }
    for (dy, row) in (0..).zip(letter.data.chunks_exact(width * deep)) {
        for (dx, sample) in (0..).zip(row.chunks_exact(deep)) {
            let over = match *sample {
                [mask] => [color.r, color.g, color.b, mul255(mask, color.a)],
                [r, g, b, a] => [r, g, b, mul255(a, color.a)],
                _ => continue,
            };
            let (px, py) = (x + place.left + dx, y - place.top + dy);
            if px >= 0 && py >= 0 && px < int32(image.width()) && py < int32(image.height()) {
                cover(&mut image.get_pixel_mut(px.unsigned_abs(), py.unsigned_abs()).0, over);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sides of pictures are far below 2^24")]
const fn pixels(v: u32) -> f32 {
    v as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rect;
    use crate::scene::layer_style::LayerStyle;
    use crate::scene::model::{Fit, Source};

    fn style(font: Option<&str>) -> TextStyle {
        TextStyle {
            font: font.map(str::to_owned),
            size: 40.0,
            weight: 600,
            color: Color { r: 255, g: 255, b: 255, a: 255 },
            align: Align::Left,
        }
    }

    fn layer() -> PlacedLayer {
        PlacedLayer {
            name: "title".to_owned(),
            source: Source::TestCard,
            place: Rect::default(),
            fit: Fit::Fill,
            scale: 1.0,
            style: LayerStyle::default(),
            data: None,
        }
    }

    fn ink(text: &str, style: &TextStyle, setting: Setting) -> Rect {
        let mut fonts = Fonts::new();
        let face = fonts.face(&layer(), style, text).unwrap();
        let mut image = RgbaImage::new(400, 200);
        fonts.draw(&mut image, text, (&face, style), setting);
        let inked = |(x, y, pixel): (u32, u32, &image::Rgba<u8>)| {
            let rect = Rect { x: x.cast_signed(), y: y.cast_signed(), w: 1, h: 1 };
            (pixel.0[3] > 0).then_some(rect)
        };
        image.enumerate_pixels().filter_map(inked).fold(Rect::default(), Rect::union)
    }

    #[test]
    fn letters_follow_alignment_and_setting() {
        let left = ink("Hm", &style(None), Setting::Top);
        let right = ink("Hm", &TextStyle { align: Align::Right, ..style(None) }, Setting::Top);
        let centre = ink("Hm", &TextStyle { align: Align::Center, ..style(None) }, Setting::Middle);
        assert!(left.x < 6 && left.y < 20 && left.h > 15, "{left:?}");
        assert!(right.x + right.w > 394 && right.y == left.y, "{right:?}");
        assert!((centre.x + centre.w / 2 - 200).abs() <= 2, "{centre:?}");
        assert!((centre.y + centre.h / 2 - 100).abs() <= 4, "{centre:?}");
    }

    #[test]
    fn lines_break_between_words() {
        let one = ink("Waiting", &style(None), Setting::Top);
        let four = ink("Waiting for a publisher to come here soon", &style(None), Setting::Top);
        assert!(four.h > one.h + 30 && four.w <= 400, "{one:?} {four:?}");
    }

    #[test]
    fn lines_at_the_bottom_end_where_the_box_ends() {
        let bottom = ink("Hm", &style(None), Setting::Bottom);
        let top = ink("Hm", &style(None), Setting::Top);
        assert_eq!(bottom.y - top.y, 200 - 40, "a line is 40 pixels high");
    }

    const LONG: &str = "What does not fit into its box is made smaller or ends early";

    fn fitted(overflow: Overflow, sides: (u32, u32)) -> (String, TextStyle, bool) {
        let (mut fonts, style) = (Fonts::new(), style(None));
        let face = fonts.face(&layer(), &style, LONG).unwrap();
        let (text, style) = fonts.fitted(LONG, (&face, &style), overflow, sides);
        let fits = fonts.fits(&text, (&face, &style), sides);
        (text, style, fits)
    }

    #[test]
    fn letters_are_shrunk_until_all_of_the_text_is_inside_and_not_further() {
        let (text, small, fits) = fitted(Overflow::Shrink, (400, 80));
        assert!(text == LONG && fits && small.size < 40.0, "{small:?}");
        let (mut fonts, larger) = (Fonts::new(), small.size + 2.0 * SHRINK_STEP);
        let face = fonts.face(&layer(), &small, LONG).unwrap();
        let larger = TextStyle { size: larger, ..small };
        assert!(!fonts.fits(LONG, (&face, &larger), (400, 80)), "{larger:?} would fit");
        let (_, style, _) = fitted(Overflow::Shrink, (400, 400));
        assert!((style.size - 40.0).abs() < f32::EPSILON, "what fits stays");
    }

    #[test]
    fn an_ellipsis_stands_where_the_room_ends() {
        let (text, style, fits) = fitted(Overflow::Ellipsis, (400, 80));
        let begin = text.strip_suffix('\u{2026}').unwrap();
        assert!(fits && LONG.starts_with(begin) && begin.len() > 10, "{text}");
        let mut fonts = Fonts::new();
        let face = fonts.face(&layer(), &style, LONG).unwrap();
        let next = LONG[begin.len()..].trim_start().chars().next().unwrap();
        let more = format!("{begin} {next}\u{2026}");
        assert!(!fonts.fits(&more, (&face, &style), (400, 80)), "{more} would fit");
        assert_eq!(fitted(Overflow::Ellipsis, (400, 400)).0, LONG, "what fits stays");
        assert_eq!(fitted(Overflow::Ellipsis, (4, 4)).0, "\u{2026}", "however small the box is");
        assert_eq!(fitted(Overflow::Clip, (400, 80)).0, LONG);
    }

    #[test]
    fn figures_are_equally_wide() {
        let (mut fonts, style) = (Fonts::new(), style(None));
        let face = fonts.face(&layer(), &style, "").unwrap();
        let widths: Vec<f32> =
            ["0", "1", "7"].map(|text| fonts.width(text, (&face, &style), Setting::Figures)).into();
        assert!(widths.iter().all(|w| (w - widths[0]).abs() < 0.01), "{widths:?}");
    }

    #[test]
    fn the_nearest_weight_is_taken() {
        let mut fonts = Fonts::new();
        for (asked, got) in [(100, 400), (400, 400), (600, 600), (900, 700)] {
            let style = TextStyle { weight: asked, ..style(None) };
            assert_eq!(fonts.face(&layer(), &style, "").unwrap().weight, Weight(got), "{asked}");
        }
    }

    #[test]
    fn a_missing_font_is_named_with_what_to_do() {
        let mut fonts = Fonts::new();
        for font in ["No Such Family", "/no/such/file.ttf"] {
            let error = fonts.face(&layer(), &style(Some(font)), "x").unwrap_err().to_string();
            assert!(error.contains("\"title\"") && error.contains(font), "{error}");
            assert!(error.contains("leave `font` out"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_font_is_refused_and_one_that_is_serves() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (folder.path().join("bad.otf"), folder.path().join("good.otf"));
        std::fs::write(&bad, b"not a font").unwrap();
        std::fs::write(&good, INTER[2]).unwrap();
        let mut fonts = Fonts::new();
        let error = fonts.face(&layer(), &style(bad.to_str()), "x").unwrap_err();
        assert!(error.to_string().contains("not a TrueType"), "{error}");
        assert_eq!(fonts.face(&layer(), &style(good.to_str()), "x").unwrap().family, "Inter");
    }

    #[test]
    fn absurd_sizes_and_texts_are_refused() {
        let mut fonts = Fonts::new();
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(fonts.face(&layer(), &style(None), &long).is_err());
        for size in [f32::NAN, -1.0, 1.0e9] {
            assert!(fonts.face(&layer(), &TextStyle { size, ..style(None) }, "x").is_err());
        }
    }
}
