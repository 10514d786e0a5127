//! Style of a layer, as keys of its table and of its document.

use serde_json::{Map, Value, json};

use super::fault::Faults;
use super::field::{color, color_text, decimal};
use super::section::Section;
use crate::scene::{BlendMode, Border, ChromaKey, Color, Flip, LayerStyle, Shadow, Source};

/// Largest radius of a corner, pixels.
const RADIUS_MAX: u32 = 4_096;

/// Widest border, pixels.
const BORDER_MAX: u32 = 512;

/// Farthest and softest shadow, pixels.
const SHADOW_MAX: i32 = 512;

/// Kinds of layers whose picture is made once, and may be turned, bordered and shaded.
const STILLS: [&str; 7] =
    ["color", "gradient", "smpte-bars", "zone-plate", "image", "logo", "text"];

/// Kinds of layers whose pictures come while the programme runs, and may be turned by quarters.
const MOVING: [&str; 5] = ["video", "playlist", "live", "network", "frames"];

/// Kinds of layers that may have a colour made transparent.
const KEYED: [&str; 6] = ["video", "playlist", "live", "network", "frames", "image"];

const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };
const SHADE: Color = Color { r: 0, g: 0, b: 0, a: 160 };
const GREEN: Color = Color { r: 0, g: 255, b: 0, a: 255 };

/// What a layer of this kind says of its style; what it cannot have is told as an unknown key.
pub(super) fn read(s: &mut Section<'_>, faults: &mut Faults<'_>, kind: &str) -> LayerStyle {
    let blend = s.word(faults, "blend", &BlendMode::WORDS).unwrap_or_default();
    let corner_radius = s.whole(faults, "corner_radius", 0..=RADIUS_MAX).unwrap_or(0);
    let mut style = LayerStyle { blend, corner_radius, ..LayerStyle::default() };
    let (is_still, is_moving) = (STILLS.contains(&kind), MOVING.contains(&kind));
    if is_still || is_moving {
        let degrees = s.number(faults, "rotation", -360.0..=360.0).unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3599")]
        let tenths = (degrees * 10.0).round().rem_euclid(3_600.0) as u16;
        if is_moving && !tenths.is_multiple_of(900) {
            let text = "`rotation`: pictures that move are turned by 0, 90, 180 or 270 degrees";
            faults.add(&s.place("rotation"), text.to_owned());
        }
        style.rotation = tenths;
        style.flip = s.word(faults, "flip", &Flip::WORDS).unwrap_or_default();
    }
    if is_still {
        let border = s.table(faults, "border", "border = { width = 2, color = \"#ffffff\" }");
        style.border = border.map(|s| read_border(s, faults));
        let shadow = s.table(faults, "shadow", "shadow = { x = 2, y = 2, blur = 4 }");
        style.shadow = shadow.map(|s| read_shadow(s, faults));
    }
    if KEYED.contains(&kind) {
        let key = s.table(faults, "chroma_key", "chroma_key = { color = \"#00ff00\" }");
        style.chroma_key = key.map(|s| read_key(s, faults));
    }
    style
}

fn tint(s: &mut Section<'_>, faults: &mut Faults<'_>, default: Color) -> Color {
    s.parsed(faults, "color", color).map_or(default, |found| found.value)
}

fn read_border(mut s: Section<'_>, faults: &mut Faults<'_>) -> Border {
    let width = s.whole(faults, "width", 1..=BORDER_MAX).unwrap_or(2);
    let border = Border { width, color: tint(&mut s, faults, WHITE) };
    s.finish(faults);
    border
}

fn read_shadow(mut s: Section<'_>, faults: &mut Faults<'_>) -> Shadow {
    let offset = -SHADOW_MAX..=SHADOW_MAX;
    let shadow = Shadow {
        x: s.whole(faults, "x", offset.clone()).unwrap_or(2),
        y: s.whole(faults, "y", offset).unwrap_or(2),
        blur: s.whole(faults, "blur", 0..=SHADOW_MAX.unsigned_abs()).unwrap_or(4),
        color: tint(&mut s, faults, SHADE),
    };
    s.finish(faults);
    shadow
}

fn read_key(mut s: Section<'_>, faults: &mut Faults<'_>) -> ChromaKey {
    let key = ChromaKey {
        color: tint(&mut s, faults, GREEN),
        similarity: s.number(faults, "similarity", 0.0..=1.0).unwrap_or(0.4),
        smoothness: s.number(faults, "smoothness", 0.001..=1.0).unwrap_or(0.08),
        spill: s.number(faults, "spill", 0.001..=1.0).unwrap_or(0.1),
    };
    s.finish(faults);
    key
}

/// Adds the keys of a style to the document of a layer that shows this.
pub(super) fn put(style: &LayerStyle, source: &Source, document: &mut Map<String, Value>) {
    let LayerStyle { blend, rotation, flip, corner_radius, border, shadow, chroma_key } = style;
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    let blend = BlendMode::WORDS.iter().find(|(_, known)| known == blend);
    put("blend", json!(blend.map(|(word, _)| word)));
    put("corner_radius", json!(corner_radius));
    if source.is_still() || source.is_input() {
        put("rotation", json!(f64::from(*rotation) / 10.0));
        let flip = Flip::WORDS.iter().find(|(_, known)| known == flip);
        put("flip", json!(flip.map(|(word, _)| word)));
    }
    if let Some(Border { width, color }) = border {
        put("border", json!({ "width": width, "color": color_text(*color) }));
    }
    if let Some(Shadow { x, y, blur, color }) = shadow {
        put("shadow", json!({ "x": x, "y": y, "blur": blur, "color": color_text(*color) }));
    }
    if let Some(ChromaKey { color, similarity, smoothness, spill }) = chroma_key {
        let [similarity, smoothness, spill] =
            [similarity, smoothness, spill].map(|it| decimal(*it));
        put(
            "chroma_key",
            json!({
                "color": color_text(*color), "similarity": similarity, "smoothness": smoothness,
                "spill": spill,
            }),
        );
    }
}
