//! Fonts: finds them and draws text into images, at load time only.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use cosmic_text::fontdb::{Database, Family, ID, Query, Source as FontSource, Weight};
use cosmic_text::{
    Align as Aligned, Attrs, Buffer, FeatureTag, FontFeatures, FontSystem, Metrics, Shaping,
    SwashCache, SwashContent, SwashImage, Wrap,
};
use image::RgbaImage;

use super::asset::{cover, int32};
use super::error::Error;
use super::fallback::{Coverage, clusters, found, marks, wants_color};
use super::kernel::mul255;
use super::model::{Align, Color, Overflow, TextStyle};
use super::resolve::PlacedLayer;
use crate::media::open_plain;

/// Largest font file that is read.
const FONT_BYTES_MAX: u64 = 64 << 20;

/// Longest text of a layer.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Most memory of letters that are kept to be drawn again.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Heights a line may have, pixels.
const LINE_MIN: f32 = 4.0;
const LINE_MAX: f32 = 2_048.0;

/// How near to the largest size that fits letters are shrunk, pixels.
const SHRINK_STEP: f32 = 0.25;

/// Size of the letters in a line of height 1: leaves the room that Inter was drawn for.
const LETTERS_PER_LINE: f32 = 0.82;

/// The family inside the program.
const BUILT_IN: &str = "Inter";

/// What stands for the rest of a text.
const ELLIPSIS: &str = "\u{2026}";

/// Inter, under the SIL Open Font License (assets/fonts/OFL.txt).
pub(super) static INTER: [&[u8]; 3] = [
    include_bytes!("../../assets/fonts/Inter-Regular.otf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
    include_bytes!("../../assets/fonts/Inter-Bold.otf"),
];

/// The fonts that texts have asked for, and the one inside the program.
#[derive(Debug)]
pub(super) struct Fonts {
    system: FontSystem,
    cache: SwashCache,
    /// Bytes of the letters in the cache.
    cached: usize,
    /// Families of the font files that were read, by path.
    files: HashMap<String, String>,
    /// The fonts of this machine, found when something first asks for them.
    machine: Option<Database>,
    /// Those of them that were taken over.
    taken: HashMap<ID, Option<ID>>,
}

/// The fonts of one text.
#[derive(Clone, Debug)]
pub(super) struct Face {
    /// Its own, and those that stand in for it.
    fonts: Vec<FontName>,
    /// Clusters that another font than the first draws.
    others: HashMap<Box<str>, usize>,
}

/// A family and the nearest weight it has.
#[derive(Clone, Debug)]
struct FontName {
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
        Self {
            system: FontSystem::new_with_locale_and_db("en-US".to_owned(), db),
            cache: SwashCache::new(),
            cached: 0,
            files: HashMap::new(),
            machine: None,
            taken: HashMap::new(),
        }
    }

    /// Whether only the built-in font is there, so that what is drawn next looks as it would with
    /// new ones.
    pub(super) fn is_built_in(&self) -> bool {
        self.machine.is_none() && self.files.is_empty()
    }

    /// Finds the fonts that `style` asks for, and others for what they lack of `text`; checks that
    /// they and the text can be drawn.
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
        let mut marks = marks(text);
        if !marks.is_empty() {
            marks.push(ELLIPSIS);
        }
        let mut fonts = Vec::new();
        let mut has = Vec::new();
        let named = style.font.iter().chain(&style.fallback_fonts).map(String::as_str);
        // Nobody needs to name the built-in one: it is there after those that are named.
        for name in named.chain([BUILT_IN]) {
            let found = match is_path(name) {
                true => self.family_in_file(name),
                false => self.family_called(name),
            };
            let used = found.and_then(|family| {
                let (font, id) = self.nearest(family, style.weight)?;
                Ok((font, Coverage::of(self.system.db(), id, &marks)?))
            });
            let (font, coverage) = used.map_err(|cause| Error::Font {
                layer: layer.name.clone(),
                font: name.to_owned(),
                cause,
            })?;
            fonts.push(font);
            has.push(coverage);
        }
        let mut face = Face { fonts, others: HashMap::new() };
        self.share_out(&mut face, has, &marks, style.weight);
        Ok(face)
    }

    /// Says which font draws which cluster: the first that has it in the colours that it wants. One
    /// that no font has is left to the built-in one, which shows a box.
    fn share_out(&mut self, face: &mut Face, mut has: Vec<Coverage>, marks: &[&str], weight: u16) {
        let built_in = face.fonts.len() - 1;
        let of_kind = |has: &[Coverage], at: usize, wants: bool| {
            has.iter().position(|font| font.has[at] && font.is_color == wants)
        };
        let any = |has: &[Coverage], at: usize| has.iter().position(|font| font.has[at]);
        let mut lacking = Vec::new();
        for (at, mark) in marks.iter().enumerate() {
            let wants = wants_color(mark);
            match of_kind(&has, at, wants).or_else(|| any(&has, at).filter(|_| !wants)) {
                Some(0) => {}
                Some(font) => drop(face.others.insert((*mark).into(), font)),
                None => lacking.push(at),
            }
        }
        if lacking.is_empty() {
            return;
        }
        let wanted: Vec<_> = lacking.iter().map(|at| marks[*at]).collect();
        for id in found(self.machine(), &wanted, weight) {
            let Some(id) = self.take(id) else { continue };
            let Some(family) = self.family_of(id) else { continue };
            let Ok((font, id)) = self.nearest(family, weight) else { continue };
            if let Ok(coverage) = Coverage::of(self.system.db(), id, marks) {
                face.fonts.push(font);
                has.push(coverage);
            }
        }
        for at in lacking {
            let font = of_kind(&has, at, wants_color(marks[at])).or_else(|| any(&has, at));
            let font = font.unwrap_or(built_in);
            face.others.insert(marks[at].into(), font);
        }
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
                let known = self.cache.image_cache.len();
                let letter = self.cache.get_image(&mut self.system, glyph.cache_key);
                let Some(letter) = letter else { continue };
                put(image, letter, (glyph.x, glyph.y), style.color);
                let bytes = letter.data.len();
                if self.cache.image_cache.len() > known {
                    self.cached += bytes;
                }
                if self.cached > CACHE_BYTES_MAX {
                    self.cache.image_cache.clear();
                    self.cached = 0;
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
                let ends: Vec<_> = clusters(&text).map(|(at, _)| at).collect();
                let cut = |end: usize| format!("{}{ELLIPSIS}", text[..end].trim_end());
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
        let mut features = FontFeatures::new();
        if setting == Setting::Figures {
            features.enable(FeatureTag::new(b"tnum"));
        }
        let attrs = |font: usize| {
            let FontName { family, weight } = &face.fonts[font];
            let attrs = Attrs::new().family(Family::Name(family)).weight(*weight);
            attrs.font_features(features.clone())
        };
        if matches!(setting, Setting::Figures | Setting::OneLine) {
            buffer.set_wrap(Wrap::None);
        }
        let align = match style.align {
            Align::Left => Aligned::Left,
            Align::Center => Aligned::Center,
            Align::Right => Aligned::Right,
        };
        let spans = face.spans(text).into_iter().map(|(span, font)| (span, attrs(font)));
        buffer.set_rich_text(spans, &attrs(0), Shaping::Advanced, Some(align));
        buffer.shape_until_scroll(&mut self.system, false);
        buffer
    }

    fn family_in_file(&mut self, path: &str) -> Result<String, String> {
        if let Some(family) = self.files.get(path) {
            return Ok(family.clone());
        }
        let told = |error: std::io::Error| error.to_string();
        let mut file = open_plain(path.as_ref()).map_err(told)?;
        if file.metadata().map_err(told)?.len() > FONT_BYTES_MAX {
            return Err(format!("the file is above {} MiB", FONT_BYTES_MAX >> 20));
        }
        let mut data = Vec::new();
        file.read_to_end(&mut data).map_err(told)?;
        let faces = self.system.db_mut().load_font_source(FontSource::Binary(Arc::new(data)));
        let family = faces.first().and_then(|id| self.family_of(*id));
        let family = family.ok_or("the file is not a TrueType or OpenType font")?;
        self.files.insert(path.to_owned(), family.clone());
        Ok(family)
    }

    fn family_of(&self, id: ID) -> Option<String> {
        self.system.db().face(id)?.families.first().map(|(family, _)| family.clone())
    }

    fn family_called(&mut self, name: &str) -> Result<String, String> {
        if let Some(family) = self.find(name) {
            return Ok(family);
        }
        let faces = self.machine().faces();
        let same = faces.filter(|face| is_called(&face.families, name)).map(|face| face.id);
        for id in same.collect::<Vec<_>>() {
            self.take(id);
        }
        self.find(name).ok_or_else(|| "this machine has no such family".to_owned())
    }

    /// The family as its font spells it.
    fn find(&self, name: &str) -> Option<String> {
        let mut families = self.system.db().faces().flat_map(|face| &face.families);
        families
            .find(|(family, _)| family.eq_ignore_ascii_case(name))
            .map(|(found, _)| found.clone())
    }

    fn machine(&mut self) -> &Database {
        self.machine.get_or_insert_with(|| {
            let mut machine = Database::new();
            machine.load_system_fonts();
            machine
        })
    }

    /// Takes over a font of the machine. Those that no text asks for are not searched when letters
    /// are set.
    fn take(&mut self, id: ID) -> Option<ID> {
        if let Some(taken) = self.taken.get(&id) {
            return *taken;
        }
        let (source, index) = self.machine().face_source(id)?;
        let db = self.system.db_mut();
        let faces = db.load_font_source(source);
        let same = |id: &ID| db.face(*id).is_some_and(|face| face.index == index);
        let taken = faces.into_iter().find(same);
        self.taken.insert(id, taken);
        taken
    }

    fn nearest(&self, family: String, weight: u16) -> Result<(FontName, ID), String> {
        let weight = Weight(weight.clamp(100, 900));
        let db = self.system.db();
        let query = Query { families: &[Family::Name(&family)], weight, ..Query::default() };
        let face = db.query(&query).and_then(|id| db.face(id)).ok_or("it cannot be read")?;
        Ok((FontName { family, weight: face.weight }, face.id))
    }
}

impl Face {
    /// The text in pieces of one font each, and which.
    fn spans<'a>(&self, text: &'a str) -> Vec<(&'a str, usize)> {
        if self.others.is_empty() {
            return vec![(text, 0)];
        }
        let (mut spans, mut from, mut current) = (Vec::new(), 0, 0);
        for (at, cluster) in clusters(text) {
            let font = self.others.get(cluster).copied().unwrap_or(0);
            if font != current {
                spans.push((&text[from..at], current));
                (from, current) = (at, font);
            }
        }
        spans.push((&text[from..], current));
        spans
    }
}

fn is_called<L>(families: &[(String, L)], name: &str) -> bool {
    families.iter().any(|(family, _)| family.eq_ignore_ascii_case(name))
}

/// What is wrong with a font file.
///
/// # Errors
/// If no letters can be drawn with it.
pub fn check_font(path: &str) -> Result<(), String> {
    let mut fonts = Fonts::new();
    let family = fonts.family_in_file(path)?;
    let db = fonts.system.db();
    let mut same = db.faces().filter(|face| is_called(&face.families, &family));
    same.try_for_each(|face| Coverage::of(db, face.id, &[]).map(drop))
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
    use crate::scene::model::{Fit, Source, Warm};

    fn style(font: Option<&str>) -> TextStyle {
        TextStyle {
            font: font.map(str::to_owned),
            fallback_fonts: Vec::new(),
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
            warm: Warm::default(),
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
            assert_eq!(
                fonts.face(&layer(), &style, "").unwrap().fonts[0].weight,
                Weight(got),
                "{asked}"
            );
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
        assert_eq!(
            fonts.face(&layer(), &style(good.to_str()), "x").unwrap().fonts[0].family,
            "Inter"
        );
    }

    fn with(fallback_fonts: &[&str]) -> TextStyle {
        let path = |name: &&str| format!("examples/fonts/Noto{name}.ttf");
        TextStyle { fallback_fonts: fallback_fonts.iter().map(path).collect(), ..style(None) }
    }

    fn drawn(text: &str, style: &TextStyle) -> RgbaImage {
        let mut fonts = Fonts::new();
        let face = fonts.face(&layer(), style, text).unwrap();
        assert!(fonts.machine.is_none(), "the named fonts have all of it");
        let mut image = RgbaImage::new(400, 200);
        fonts.draw(&mut image, text, (&face, style), Setting::Top);
        image
    }

    fn width(text: &str, style: &TextStyle) -> f32 {
        let mut fonts = Fonts::new();
        let face = fonts.face(&layer(), style, text).unwrap();
        fonts.width(text, (&face, style), Setting::OneLine)
    }

    #[test]
    fn emoji_have_their_own_colours_and_are_as_opaque_as_the_letters() {
        let mut style = with(&["ColorEmoji"]);
        let is_yellow = |it: &&image::Rgba<u8>| it.0[0] > it.0[2].saturating_add(80);
        let colors = |image: &RgbaImage| image.pixels().filter(is_yellow).count();
        assert_eq!(colors(&drawn("Goal", &style)), 0);
        assert!(colors(&drawn("\u{1f600}", &style)) > 200);
        style.color.a = 128;
        let most = drawn("\u{1f600}", &style).pixels().map(|it| it.0[3]).max();
        assert_eq!(most, Some(128));
    }

    #[test]
    fn a_sequence_is_one_letter_as_wide_as_any_emoji() {
        let style = with(&["ColorEmoji"]);
        let one = width("\u{1f600}", &style);
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        for sequence in [family, "\u{1f1fa}\u{1f1e6}", "\u{1f44d}\u{1f3fd}", "1\u{fe0f}\u{20e3}"] {
            assert!((width(sequence, &style) - one).abs() < 0.01, "{sequence}");
        }
    }

    #[test]
    fn letters_join_and_run_from_right_to_left() {
        let style = with(&["SansArabic", "SansHebrew"]);
        let apart = width("\u{644}", &style) + width("\u{627}", &style);
        assert!(width("\u{644}\u{627}", &style) < apart * 0.9, "lam and alef are one letter");
        // A narrow letter and a wide one: the first is on the right.
        let (yod, shin) = (width("\u{5d9}", &style), width("\u{5e9}", &style));
        let column = |image: &RgbaImage, from: f32, to: f32| {
            let inside = |x: u32| pixels(x) >= from && pixels(x) < to;
            image.enumerate_pixels().filter(|(x, _, it)| inside(*x) && it.0[3] > 128).count()
        };
        let both = drawn("\u{5d9}\u{5e9}", &style);
        let alone = drawn("\u{5e9}", &style);
        let (first, last) = (column(&both, 0.0, shin), column(&both, shin, shin + yod));
        assert!(first.abs_diff(column(&alone, 0.0, shin)) < 20 && first > last * 2);
    }

    #[test]
    fn what_no_font_has_is_a_box_and_an_ellipsis_cuts_no_letter_apart() {
        let mut fonts = Fonts::new();
        fonts.machine = Some(Database::new());
        let style = with(&["ColorEmoji"]);
        let flags = "\u{1f1fa}\u{1f1e6}".repeat(20);
        let face = fonts.face(&layer(), &style, &flags).unwrap();
        let (cut, _) = fonts.fitted(&flags, (&face, &style), Overflow::Ellipsis, (200, 50));
        let flags = cut.strip_suffix(ELLIPSIS).unwrap();
        assert!(flags.len() >= 16 && flags.len() % 8 == 0, "{cut}");
        let face = fonts.face(&layer(), &style, "\u{378}").unwrap();
        let mut image = RgbaImage::new(60, 60);
        fonts.draw(&mut image, "\u{378}", (&face, &style), Setting::Top);
        assert!(image.pixels().filter(|it| it.0[3] > 128).count() > 40);
    }

    #[test]
    fn letters_that_are_kept_are_few_however_large_they_are() {
        let mut fonts = Fonts::new();
        let style = TextStyle { size: 2_000.0, ..style(None) };
        let text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let face = fonts.face(&layer(), &style, text).unwrap();
        fonts.draw(&mut RgbaImage::new(8, 8), text, (&face, &style), Setting::OneLine);
        let images = fonts.cache.image_cache.values().flatten();
        let kept: usize = images.map(|image| image.data.len()).sum();
        assert!(kept > 0 && kept == fonts.cached && kept <= CACHE_BYTES_MAX, "{kept}");
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
