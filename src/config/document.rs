//! A scene as a JSON document, and back: the same keys, the same reader and the same words about
//! mistakes as in a configuration file.

use std::ops::Range;

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::fault::{Faults, quoted};
use super::field::needed_name;
use super::layer;
use super::section::Section;
use crate::media::Size;
use crate::scene::{Align, Color, Direction, Fit, Layer, Scene, Source, TextStyle, TickerSpec};

/// Most bytes of a scene's document as text. A larger one is refused.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Reads a document such as [`to_document`] gives. Files that it names are looked for, and relative
/// paths start at the working directory.
///
/// # Errors
/// Everything that is wrong, at most ten: each names its layer and its key.
pub fn from_document(document: &Value, canvas: Size) -> Result<Scene, Vec<String>> {
    let text = Text::of(document).map_err(|fault| vec![fault])?;
    if text.toml.len() > DOCUMENT_BYTES_MAX {
        return Err(vec!["the document is larger than 1 MiB; make it smaller".to_owned()]);
    }
    let table = DeTable::parse(&text.toml)
        .map_err(|error| vec![format!("the document cannot be read: {}", error.message())])?;
    let mut faults = Faults::of_document(&text.toml);
    let mut top = Section::new(table.get_ref(), "the scene", 0..0);
    let background = top.parsed(&mut faults, "background", layer::color);
    let layers = top.tables(&mut faults, "layer", "a layer");
    let layers = layer::read_all(layers, &mut faults, canvas);
    top.finish(&mut faults);
    let found = faults.into_texts();
    if found.is_empty() {
        let background = background.map_or(layer::BLACK, |found| found.value);
        return Ok(Scene { background, layers });
    }
    Err(found.into_iter().map(|(at, fault)| format!("{}{fault}", text.place(at))).collect())
}

/// Reads a document with the keys of one table of a configuration file, which is called `name`.
/// `read` gets the table's own name, which every such table has.
///
/// # Errors
/// Everything that is wrong, at most ten.
pub(super) fn read_table<T>(
    document: &Value,
    name: &str,
    read: impl FnOnce(&mut Section<'_>, &mut Faults<'_>, Option<String>) -> Option<T>,
) -> Result<T, Vec<String>> {
    let keys = document.as_object();
    let keys =
        keys.ok_or_else(|| vec![format!("{name} is an object with the keys of its table")])?;
    let mut text = Text { toml: String::new(), layers: Vec::new() };
    text.keys(keys.iter(), name).map_err(|fault| vec![fault])?;
    let table = DeTable::parse(&text.toml)
        .map_err(|error| vec![format!("the document cannot be read: {}", error.message())])?;
    let mut faults = Faults::of_document(&text.toml);
    let mut top = Section::new(table.get_ref(), name, 0..0);
    let own = needed_name(&mut top, &mut faults).map(|found| found.value);
    let value = read(&mut top, &mut faults, own);
    top.finish(&mut faults);
    let found: Vec<_> = faults.into_texts().into_iter().map(|(_, fault)| fault).collect();
    value.filter(|_| found.is_empty()).ok_or(found)
}

/// The document of a scene. Every key is there that its layers have, so that it says all.
#[must_use]
pub fn to_document(scene: &Scene) -> Value {
    let layers: Vec<_> = scene.layers.iter().map(layer_document).collect();
    json!({ "background": color(scene.background), "layer": layers })
}

fn layer_document(layer: &Layer) -> Value {
    let place = layer.place;
    let fit = match layer.fit {
        Fit::Contain => "contain",
        Fit::Cover => "cover",
        Fit::Fill => "fill",
        Fit::None => "none",
    };
    // Three places are enough to come back to the same of 256 steps.
    let alpha = (f64::from(layer.alpha) / 255.0 * 1_000.0).round() / 1_000.0;
    let mut keys = json!({
        "name": layer.name, "x": place.x, "y": place.y, "width": place.w, "height": place.h,
        "fit": fit, "z": layer.z, "alpha": alpha,
    });
    let mut put = |key: &str, value: Value| {
        keys[key] = value;
    };
    let kind = match &layer.source {
        Source::Color(one) => {
            put("color", color(*one));
            "color"
        }
        Source::Gradient(top, bottom) => {
            put("from", color(*top));
            put("to", color(*bottom));
            "gradient"
        }
        Source::TestCard => "test-card",
        Source::Image(path) => {
            put("path", json!(path.to_string_lossy()));
            "image"
        }
        Source::BuiltIn(picture) => picture.name(),
        Source::Text { text, style } => {
            put("text", json!(text));
            put_style(style, &mut put);
            "text"
        }
        Source::Ticker(TickerSpec { text, style, direction, speed, gap }) => {
            put("text", json!(text));
            put_style(style, &mut put);
            put("direction", json!(word_of(*direction)));
            put("speed", json!(speed));
            if let Some(gap) = gap {
                put("gap", json!(gap));
            }
            "ticker"
        }
        Source::Clock(style) => {
            put_style(style, &mut put);
            "clock"
        }
        Source::Spinner(one) => {
            put("color", color(*one));
            "spinner"
        }
        Source::Flash => "flash",
        Source::Video(path) => {
            put("path", json!(path.to_string_lossy()));
            "video"
        }
        Source::Live { stream, slate, style } => {
            put("stream", json!(stream));
            put("slate", json!(slate));
            put_style(style, &mut put);
            "live"
        }
    };
    put("type", json!(kind));
    keys
}

fn put_style(style: &TextStyle, put: &mut impl FnMut(&str, Value)) {
    if let Some(font) = &style.font {
        put("font", json!(font));
    }
    // By way of its text, so that 36.4 does not become 36.400001525878906.
    put("size", json!(style.size.to_string().parse::<f64>().unwrap_or_else(|_| style.size.into())));
    put("weight", json!(style.weight));
    put("color", color(style.color));
    let align = match style.align {
        Align::Left => "left",
        Align::Center => "center",
        Align::Right => "right",
    };
    put("align", json!(align));
}

const fn word_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

fn color(color: Color) -> Value {
    let Color { r, g, b, a } = color;
    match a {
        255 => json!(format!("#{r:02x}{g:02x}{b:02x}")),
        a => json!(format!("#{r:02x}{g:02x}{b:02x}{a:02x}")),
    }
}

/// A document as TOML, and where its layers stand in that.
struct Text {
    toml: String,
    layers: Vec<(Range<usize>, String)>,
}

impl Text {
    fn of(document: &Value) -> Result<Self, String> {
        let Some(top) = document.as_object() else {
            return Err("a scene is an object with `background` and `layer`".to_owned());
        };
        let mut text = Self { toml: String::new(), layers: Vec::new() };
        let layers = top.get("layer").and_then(Value::as_array).filter(|list| {
            // What is no table is left to the reader, which says so.
            list.iter().all(Value::is_object)
        });
        text.keys(top.iter().filter(|(key, _)| layers.is_none() || *key != "layer"), "the scene")?;
        for (index, layer) in layers.into_iter().flatten().enumerate() {
            let Some(keys) = layer.as_object() else { continue };
            let begin = text.toml.len();
            let name = match keys.get("name").and_then(Value::as_str) {
                Some(name) => format!("layer {}", quoted(name)),
                None => format!("layer number {}", index + 1),
            };
            text.toml.push_str("[[layer]]\n");
            text.keys(keys.iter(), &name)?;
            text.layers.push((begin..text.toml.len(), name));
        }
        Ok(text)
    }

    fn keys<'a>(
        &mut self,
        keys: impl Iterator<Item = (&'a String, &'a Value)>,
        of: &str,
    ) -> Result<(), String> {
        for (key, value) in keys {
            let Some(value) = toml_value(value) else {
                let shown = quoted(key);
                let shown = shown.trim_matches('"');
                return Err(format!("{of}: `{shown}` is null; leave the key out instead"));
            };
            self.toml.push_str(&format!("{} = {value}\n", inline_text(key)));
        }
        Ok(())
    }

    /// What stands before a fault at this byte.
    fn place(&self, at: usize) -> String {
        let layer = self.layers.iter().find(|(range, _)| range.contains(&at));
        layer.map_or(String::new(), |(_, name)| format!("{name}: "))
    }
}

/// A value on one line; `None` if there is null in it, which TOML does not have.
fn toml_value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => inline_text(text),
        Value::Array(list) => {
            let list: Option<Vec<_>> = list.iter().map(toml_value).collect();
            format!("[{}]", list?.join(", "))
        }
        Value::Object(keys) => inline_table(keys)?,
    })
}

fn inline_table(keys: &Map<String, Value>) -> Option<String> {
    let pairs: Option<Vec<_>> = keys
        .iter()
        .map(|(key, value)| Some(format!("{} = {}", inline_text(key), toml_value(value)?)))
        .collect();
    Some(format!("{{ {} }}", pairs?.join(", ")))
}

/// A basic string: on one line, everything special escaped.
fn inline_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Rect;
    use crate::scene::{BuiltIn, demo};

    const CANVAS: Size = Size::HD720;

    fn read(document: &Value) -> Result<Scene, Vec<String>> {
        from_document(document, CANVAS)
    }

    fn told(document: &Value) -> Vec<String> {
        read(document).unwrap_err()
    }

    #[test]
    fn the_built_in_scenes_come_back_as_they_were() {
        for (w, h) in [(1_920, 1_080), (1_280, 720), (320, 180), (1_080, 1_920)] {
            let size = Size::new(w, h).unwrap();
            for (name, scene) in demo::scenes(size) {
                let document = to_document(&scene);
                let text = document.to_string();
                let again = from_document(&serde_json::from_str(&text).unwrap(), size).unwrap();
                assert_eq!(again, scene, "{name} {size}");
                assert_eq!(to_document(&again), document);
            }
        }
    }

    #[test]
    fn a_document_needs_only_what_differs_and_gets_the_defaults_of_a_file() {
        let document =
            json!({"layer": [{"name": "a", "type": "text", "text": "Hi", "height": 40}]});
        let text = "[[channel]]\nname=\"c\"\n[[channel.layer]]\nname=\"a\"\ntype=\"text\"\n\
                    text=\"Hi\"\nheight=40\n";
        let config = crate::config::Config::parse(text, "x").unwrap();
        assert_eq!(read(&document).unwrap(), config.channels[0].scenes[0].scene);
        assert!(read(&json!({})).unwrap().layers.is_empty());
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_the_file_with_their_layer() {
        let document = json!({"background": "blue", "colour": 1, "layer": [
            {"name": "title", "type": "text", "alpah": 3},
            {"name": "cam", "type": "live", "stream": 5, "height": 1},
            {"name": "cam", "type": "clock", "alpha": 1.5},
            {"type": "flash"},
        ]});
        let told = told(&document);
        let expect = [
            "`background`: \"blue\" is not a colour",
            "unknown key `colour` in the scene",
            "layer \"title\": a layer of type \"text\" needs `text`",
            "layer \"title\": unknown key `alpah` in a layer of type \"text\"; did you mean `al",
            "layer \"cam\": `stream` in a layer of type \"live\" must be a text in quotes",
            "layer \"cam\": `height` must be 2 to 16384, not 1",
            "layer \"cam\": a layer with the name \"cam\" is already",
            "layer \"cam\": `alpha` must be 0 to 1, not 1.5",
            "layer number 4: a layer needs `name`",
        ];
        for expect in expect {
            assert!(told.iter().any(|line| line.starts_with(expect)), "{expect}\n{told:#?}");
        }
        assert_eq!(told.len(), expect.len(), "{told:#?}");
    }

    #[test]
    fn what_is_no_scene_is_told() {
        for document in [json!(null), json!(3), json!([]), json!("x")] {
            assert!(told(&document)[0].contains("a scene is an object"), "{document}");
        }
        for document in [json!({"layer": 3}), json!({"layer": [3]}), json!({"layer": {}})] {
            assert!(told(&document)[0].contains("list of tables"), "{document}");
        }
        let null = json!({"layer": [{"name": "a", "type": "flash", "x": null}]});
        assert_eq!(told(&null), ["layer \"a\": `x` is null; leave the key out instead"]);
        let missing = json!({"layer": [{"name": "a", "type": "image", "path": ""}]});
        assert!(told(&missing)[0].starts_with("layer \"a\": `path`: it is empty"));
    }

    fn any_style() -> impl Strategy<Value = TextStyle> {
        let aligns = prop_oneof![Just(Align::Left), Just(Align::Center), Just(Align::Right)];
        (prop::option::of("[A-Z][a-z]{1,9}"), 4.0_f32..2_000.0, 100_u16..=900, any_color(), aligns)
            .prop_map(|(font, size, weight, color, align)| TextStyle {
                font,
                size,
                weight,
                color,
                align,
            })
    }

    fn any_color() -> impl Strategy<Value = Color> {
        any::<[u8; 4]>().prop_map(|[r, g, b, a]| Color { r, g, b, a })
    }

    fn any_direction() -> impl Strategy<Value = Direction> {
        prop_oneof![
            Just(Direction::Left),
            Just(Direction::Right),
            Just(Direction::Up),
            Just(Direction::Down)
        ]
    }

    fn any_source() -> impl Strategy<Value = Source> {
        prop_oneof![
            any_color().prop_map(Source::Color),
            (any_color(), any_color()).prop_map(|(a, b)| Source::Gradient(a, b)),
            Just(Source::TestCard),
            Just(Source::Flash),
            Just(Source::BuiltIn(BuiltIn::Logo)),
            any_color().prop_map(Source::Spinner),
            any_style().prop_map(Source::Clock),
            ("\\PC*|[\\x00-\\x1f\"\\\\]*", any_style())
                .prop_map(|(text, style)| Source::Text { text, style }),
            (
                "\\PC*",
                any_style(),
                any_direction(),
                1_u32..=4_000,
                prop::option::of(0_u32..=16_384)
            )
                .prop_map(|(text, style, direction, speed, gap)| {
                    Source::Ticker(TickerSpec { text, style, direction, speed, gap })
                }),
            ("live/[a-z]{1,8}", "\\PC*", any_style())
                .prop_map(|(stream, slate, style)| Source::Live { stream, slate, style }),
        ]
    }

    fn any_layer() -> impl Strategy<Value = Layer> {
        let fits =
            prop_oneof![Just(Fit::Contain), Just(Fit::Cover), Just(Fit::Fill), Just(Fit::None)];
        let place = (-16_384..=16_384, -16_384..=16_384, 2..=16_384, 2..=16_384)
            .prop_map(|(x, y, w, h)| Rect { x, y, w, h });
        (any_source(), place, fits, -1_000..=1_000, any::<u8>()).prop_map(
            |(source, place, fit, z, alpha)| Layer {
                name: String::new(),
                source,
                place,
                fit,
                z,
                alpha,
            },
        )
    }

    proptest! {
        #[test]
        fn every_scene_comes_back_as_it_was(
            background in any_color(),
            layers in prop::collection::vec(any_layer(), 0..6),
        ) {
            let name = |(n, layer): (usize, Layer)| Layer { name: format!("n \"{n}\""), ..layer };
            let layers = layers.into_iter().enumerate().map(name).collect();
            let scene = Scene { background, layers };
            let text = to_document(&scene).to_string();
            let again = read(&serde_json::from_str(&text).unwrap());
            prop_assert_eq!(again, Ok(scene));
        }

        #[test]
        fn no_document_makes_it_panic(
            (key, text, number, deep) in ("\\PC{0,8}", "\\PC*", any::<f64>(), any::<bool>()),
        ) {
            let value = match deep {
                true => json!({ &key: [[number], { &text: text }] }),
                false => json!(text),
            };
            for document in [
                json!({ &key: value }),
                json!({"layer": [{ &key: value }]}),
                json!({"layer": [{"type": "text", "name": value, &key: number}]}),
            ] {
                drop(read(&document));
            }
        }
    }
}
