//! Scene documents in JSON, read and written with the same keys, the same reader and the same words
//! about mistakes as a configuration file.

use std::ops::Range;

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::data_source;
use super::direction::direction_word;
use super::fault::{Faults, quoted};
use super::field::{BLACK, color, color_text, decimal, needed_name};
use super::frames;
use super::layer::{self, Within};
use super::layer_motion;
use super::layer_style;
use super::length;
use super::network;
use super::playlist;
use super::section::Section;
use super::transition::{self, transition_to_document};
use super::video_clip;
use crate::media::Size;
use crate::scene::time_format::Counts;
use crate::scene::{
    Align, Anchor, Arrangement, ArrangementKind, AtEnd, ClockSpec, Fit, Group, Layer, Outline,
    Overflow, Position, Scene, Source, TextBox, TextStyle, TickerSpec, Transition, VerticalAlign,
};

/// Most bytes of a scene's document as text. A larger one is refused.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Reads a document such as [`to_document`] gives. Files that it names are looked for, and relative
/// paths start at the working directory.
///
/// # Errors
/// Everything that is wrong, at most ten: each begins with the path of its field.
pub fn from_document(document: &Value, canvas: Size) -> Result<Scene, Vec<String>> {
    read_document(document, "the scene", |top, faults| {
        let background = top.parsed(faults, "background", color);
        let layers = layer::read_all(top, "layer", faults, Within::of("a scene", canvas));
        let background = background.map_or(BLACK, |found| found.value);
        let transition = transition::read(top, faults);
        Scene { background, layers, transition }
    })
}

/// The same of a document such as [`overlays_to_document`] gives.
///
/// # Errors
/// As [`from_document`].
pub fn overlays_from_document(document: &Value, canvas: Size) -> Result<Vec<Layer>, Vec<String>> {
    read_document(document, "the stack of overlays", |top, faults| {
        layer::read_all(top, "overlay", faults, Within::of("a channel's overlays", canvas))
    })
}

/// Reads a document such as [`transition_to_document`] gives.
///
/// # Errors
/// Everything that is wrong, at most ten: each begins with the path of its field.
pub fn transition_from_document(document: &Value) -> Result<Transition, Vec<String>> {
    let whole = json!({ "transition": document });
    read_document(&whole, "the transition", transition::read)?.ok_or_else(Vec::new)
}

pub(super) fn read_document<T>(
    document: &Value,
    name: &str,
    read: impl FnOnce(&mut Section<'_>, &mut Faults<'_>) -> T,
) -> Result<T, Vec<String>> {
    let keys = document.as_object();
    let keys = keys.ok_or_else(|| vec![format!("{name} is an object with the keys of a table")])?;
    let text = Text::of(keys).map_err(|fault| vec![fault])?;
    if text.toml.len() > DOCUMENT_BYTES_MAX {
        return Err(vec!["the document is larger than 1 MiB; make it smaller".to_owned()]);
    }
    let table = DeTable::parse(&text.toml)
        .map_err(|error| vec![format!("the document cannot be read: {}", error.message())])?;
    let mut faults = Faults::of_document(&text.toml);
    let mut top = Section::new(table.get_ref(), name, 0..0);
    let value = read(&mut top, &mut faults);
    top.finish(&mut faults);
    let found = faults.into_texts();
    if found.is_empty() {
        return Ok(value);
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
    read_document(document, name, |top, faults| {
        let own = needed_name(top, faults).map(|found| found.value);
        read(top, faults, own)
    })?
    .ok_or_else(Vec::new)
}

/// The document of a stack of overlays.
#[must_use]
pub fn overlays_to_document(overlays: &[Layer]) -> Value {
    let layers: Vec<_> = overlays.iter().map(|layer| layer_document(layer, false)).collect();
    json!({ "overlay": layers })
}

/// The document of a scene. Every key is there that its layers have, so that it says all.
#[must_use]
pub fn to_document(scene: &Scene) -> Value {
    let layers: Vec<_> = scene.layers.iter().map(|layer| layer_document(layer, false)).collect();
    let mut document = json!({ "background": color_text(scene.background), "layer": layers });
    if let Some(transition) = &scene.transition {
        document["transition"] = transition_to_document(transition);
    }
    document
}

/// The document of a layer, which its group may place.
fn layer_document(layer: &Layer, arranged: bool) -> Value {
    let Position { x, y, w, h, anchor } = layer.place;
    let anchor = Anchor::WORDS.iter().find(|(_, known)| *known == anchor).map(|(word, _)| word);
    let fit = match layer.fit {
        Fit::Contain => "contain",
        Fit::Cover => "cover",
        Fit::Fill => "fill",
        Fit::None => "none",
    };
    // Three places are enough to come back to the same of 256 steps.
    let alpha = (f64::from(layer.alpha) / 255.0 * 1_000.0).round() / 1_000.0;
    let [x, y, w, h] = [x, y, w, h].map(length::to_value);
    let mut keys = json!({
        "name": layer.name, "x": x, "y": y, "width": w, "height": h, "anchor": anchor, "fit": fit,
        "z": layer.z, "alpha": alpha, "visible": layer.visible,
    });
    let kind = put_source(&layer.source, &mut |key: &str, value: Value| {
        keys[key] = value;
    });
    keys["type"] = json!(kind);
    if let Some(keys) = keys.as_object_mut() {
        layer_style::put(&layer.style, &layer.source, keys);
        layer_motion::put(&layer.motion, keys);
        if let Some(data) = &layer.data {
            data_source::put(data, keys);
        }
        if layer.source.is_input() {
            drop(keys.insert("warm".to_owned(), json!(layer.warm.word())));
        }
        if arranged {
            ["x", "y", "width", "height", "anchor"].iter().for_each(|key| drop(keys.remove(*key)));
        }
    }
    keys
}

/// The keys of a source; its type.
fn put_source(source: &Source, put: &mut impl FnMut(&str, Value)) -> &'static str {
    match source {
        Source::Color(one) => {
            put("color", json!(color_text(*one)));
            "color"
        }
        Source::Gradient(top, bottom) => {
            put("from", json!(color_text(*top)));
            put("to", json!(color_text(*bottom)));
            "gradient"
        }
        Source::TestCard => "test-card",
        Source::SmpteBars => "smpte-bars",
        Source::ZonePlate => "zone-plate",
        Source::FrameCounter => "frame-counter",
        Source::Image(path) => {
            put("path", json!(path.to_string_lossy()));
            "image"
        }
        Source::BuiltIn(picture) => picture.name(),
        Source::Text { text, style, text_box } => {
            put("text", json!(text));
            put_style(style, put);
            put_text_box(text_box, put);
            "text"
        }
        Source::Ticker(TickerSpec { text, style, direction, speed, gap }) => {
            put("text", json!(text));
            put_style(style, put);
            put("direction", json!(direction_word(*direction)));
            put("speed", json!(speed));
            if let Some(gap) = gap {
                put("gap", json!(gap));
            }
            "ticker"
        }
        Source::Clock(spec) => put_clock(spec, put),
        Source::Spinner(one) => {
            put("color", json!(color_text(*one)));
            "spinner"
        }
        Source::Flash => "flash",
        Source::Video { clip, at_end } => {
            put("at_end", at_end_word(*at_end));
            video_clip::put(clip, put)
        }
        Source::Playlist { playlist, at_end } => {
            put("at_end", at_end_word(*at_end));
            playlist::put(playlist, put)
        }
        Source::Live { stream, slate, style } => {
            put("stream", json!(stream));
            put("slate", json!(slate));
            put_style(style, put);
            "live"
        }
        Source::Network { input, slate, style } => {
            put("slate", json!(slate));
            put_style(style, put);
            network::put(input, put)
        }
        Source::Frames { socket, slate, style } => {
            put_style(style, put);
            frames::put(socket, slate, put)
        }
        Source::Group(group) => put_group(group, put),
        Source::Scene(scene) => {
            put("scene", json!(scene));
            "scene"
        }
    }
}

fn at_end_word(at_end: AtEnd) -> Value {
    json!(AtEnd::WORDS.iter().find(|(_, known)| *known == at_end).map(|(word, _)| word))
}

fn put_group(
    Group { layers, arrangement }: &Group,
    put: &mut impl FnMut(&str, Value),
) -> &'static str {
    let arranged = arrangement.is_some();
    put("layer", layers.iter().map(|layer| layer_document(layer, arranged)).collect());
    if let Some(Arrangement { kind, gap, animate, easing }) = arrangement {
        let kind = ArrangementKind::WORDS.iter().find(|(_, known)| known == kind);
        put("layout", json!(kind.map(|(word, _)| word)));
        put("gap", json!(gap));
        put("animate_ms", json!(animate.millis()));
        put("easing", json!(easing.word()));
    }
    "group"
}

fn put_clock(
    ClockSpec { style, time }: &ClockSpec,
    put: &mut impl FnMut(&str, Value),
) -> &'static str {
    put_style(style, put);
    put("timezone", json!(time.timezone()));
    put("format", json!(time.pattern()));
    match time.counts() {
        Counts::Not => "clock",
        Counts::Down(until, finished) => {
            put("until", json!(until));
            put("finished", json!(finished));
            "countdown"
        }
        Counts::Up(since) => {
            put("since", json!(since));
            "count-up"
        }
    }
}

fn put_style(style: &TextStyle, put: &mut impl FnMut(&str, Value)) {
    if let Some(font) = &style.font {
        put("font", json!(font));
    }
    if !style.fallback_fonts.is_empty() {
        put("fallback_fonts", json!(style.fallback_fonts));
    }
    put("size", json!(decimal(style.size)));
    put("weight", json!(style.weight));
    put("color", json!(color_text(style.color)));
    let align = match style.align {
        Align::Left => "left",
        Align::Center => "center",
        Align::Right => "right",
    };
    put("align", json!(align));
}

/// A document as TOML, and where its fields stand in that.
struct Text {
    toml: String,
    fields: Vec<Field>,
}

/// A field of a document.
struct Field {
    bytes: Range<usize>,
    /// Such as `layer[2].path`.
    path: String,
    /// The layer or audio source that it is in, as a message names it.
    layer: String,
}

impl Text {
    fn of(document: &Map<String, Value>) -> Result<Self, String> {
        let mut text = Self { toml: String::new(), fields: Vec::new() };
        for (key, value) in document {
            text.field(key, value, (key.clone(), ""))?;
            text.toml.push('\n');
        }
        Ok(text)
    }

    /// `key = value`, on one line.
    fn field(
        &mut self,
        key: &str,
        value: &Value,
        (path, layer): (String, &str),
    ) -> Result<(), String> {
        let begin = self.toml.len();
        self.toml.push_str(&format!("{} = ", inline_text(key)));
        self.value(value, &path, layer)?;
        let bytes = begin..self.toml.len();
        self.fields.push(Field { bytes, path, layer: layer.to_owned() });
        Ok(())
    }

    fn value(&mut self, value: &Value, path: &str, layer: &str) -> Result<(), String> {
        match value {
            Value::Null => {
                return Err(format!("{}null; leave the key out instead", words(path, layer)));
            }
            Value::Bool(flag) => self.toml.push_str(&flag.to_string()),
            Value::Number(number) => self.toml.push_str(&number.to_string()),
            Value::String(text) => self.toml.push_str(&inline_text(text)),
            Value::Array(list) => {
                self.toml.push('[');
                for (index, one) in list.iter().enumerate() {
                    let (begin, path) = (self.toml.len(), format!("{path}[{index}]"));
                    let name = one.get("name").and_then(Value::as_str);
                    let is_audio = path.starts_with("audio_source");
                    let kind = if is_audio { "audio source" } else { "layer" };
                    let own = name.map(|name| format!("{kind} {}", quoted(name)));
                    let layer = own.as_deref().unwrap_or(layer);
                    self.value(one, &path, layer)?;
                    let bytes = begin..self.toml.len();
                    self.fields.push(Field { bytes, path, layer: layer.to_owned() });
                    self.toml.push_str(", ");
                }
                self.toml.push(']');
            }
            Value::Object(keys) => {
                self.toml.push('{');
                for (index, (key, value)) in keys.iter().enumerate() {
                    self.toml.push_str(if index > 0 { ", " } else { " " });
                    let shown = quoted(key);
                    let path = format!("{path}.{}", shown.trim_matches('"'));
                    self.field(key, value, (path, layer))?;
                }
                self.toml.push_str(" }");
            }
        }
        Ok(())
    }

    /// What stands before a fault at this byte: nothing if it is of the document's own keys, which
    /// the fault names.
    fn place(&self, at: usize) -> String {
        let holds = self.fields.iter().filter(|field| field.bytes.contains(&at));
        let inner = holds.min_by_key(|field| field.bytes.len());
        let inner = inner.filter(|field| field.path.contains(['.', '[']));
        inner.map_or_else(String::new, |field| words(&field.path, &field.layer))
    }
}

/// The path of a field and its layer, before what is said of it.
fn words(path: &str, layer: &str) -> String {
    if layer.is_empty() { format!("{path}: ") } else { format!("{path} ({layer}): ") }
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

fn put_text_box(text_box: &TextBox, put: &mut impl FnMut(&str, Value)) {
    let TextBox { vertical_align, overflow, padding, background, outline } = text_box;
    let align = VerticalAlign::WORDS.iter().find(|(_, known)| known == vertical_align);
    put("vertical_align", json!(align.map(|(word, _)| word)));
    let overflow = Overflow::WORDS.iter().find(|(_, known)| known == overflow);
    put("overflow", json!(overflow.map(|(word, _)| word)));
    put("padding", json!(padding));
    if let Some(color) = background {
        put("background", json!(color_text(*color)));
    }
    if let Some(Outline { width, color }) = outline {
        put("outline", json!({ "width": width, "color": color_text(*color) }));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{
        InputUrl, Micros, NetworkInput, Playlist, PlaylistEntries, PlaylistItem, VideoClip,
    };
    use crate::scene::time_format::TimeFormat;
    use crate::scene::{
        Animation, BlendMode, Border, BuiltIn, ChromaKey, Color, DataSource, Direction, Easing,
        Flip, HttpDocument, Keyframe, LayerMotion, LayerStyle, Length, Shadow, TransitionKind,
        Warm, demo,
    };

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
            {"name": "g", "type": "group", "layer": [
                {"name": "deep", "type": "image", "path": ""},
            ]},
        ]});
        let told = told(&document);
        let expect = [
            "`background`: \"blue\" is not a colour",
            "unknown key `colour` in the scene",
            "layer[0] (layer \"title\"): a layer of type \"text\" needs `text`",
            "layer[0].alpah (layer \"title\"): unknown key `alpah` in a layer of type \"text\"",
            "layer[1].stream (layer \"cam\"): `stream` in a layer of type \"live\" must be a text",
            "layer[1].height (layer \"cam\"): `height` must be 2 to 16384, not 1",
            "layer[2].name (layer \"cam\"): a layer with the name \"cam\" is already",
            "layer[2].alpha (layer \"cam\"): `alpha` must be 0 to 1, not 1.5",
            "layer[3]: a layer needs `name`",
            "layer[4].layer[0].path (layer \"deep\"): `path`: it is empty",
        ];
        for expect in expect {
            assert!(told.iter().any(|line| line.starts_with(expect)), "{expect}\n{told:#?}");
        }
        assert_eq!(told.len(), expect.len(), "{told:#?}");
    }

    #[test]
    fn what_is_no_scene_is_told() {
        for document in [json!(null), json!(3), json!([]), json!("x")] {
            assert!(told(&document)[0].contains("the scene is an object"), "{document}");
        }
        for document in [json!({"layer": 3}), json!({"layer": [3]}), json!({"layer": {}})] {
            assert!(told(&document)[0].contains("list of tables"), "{document}");
        }
        let null = json!({"layer": [{"name": "a", "type": "flash", "x": null}]});
        assert_eq!(told(&null), ["layer[0].x (layer \"a\"): null; leave the key out instead"]);
        let missing = json!({"layer": [{"name": "a", "type": "image", "path": ""}]});
        assert!(told(&missing)[0].starts_with("layer[0].path (layer \"a\"): `path`: it is empty"));
    }

    fn any_style() -> impl Strategy<Value = TextStyle> {
        let aligns = prop_oneof![Just(Align::Left), Just(Align::Center), Just(Align::Right)];
        let font = "[A-Z][a-z]{1,9}";
        let fonts = (prop::option::of(font), prop::collection::vec(font, 0..=8));
        (fonts, 4.0_f32..2_000.0, 100_u16..=900, any_color(), aligns).prop_map(
            |((font, fallback_fonts), size, weight, color, align)| TextStyle {
                font,
                fallback_fonts,
                size,
                weight,
                color,
                align,
            },
        )
    }

    fn any_color() -> impl Strategy<Value = Color> {
        any::<[u8; 4]>().prop_map(|[r, g, b, a]| Color { r, g, b, a })
    }

    fn any_text_box() -> impl Strategy<Value = TextBox> {
        let aligns = prop::sample::select(VerticalAlign::WORDS.map(|(_, align)| align).to_vec());
        let overflows =
            prop::sample::select(Overflow::WORDS.map(|(_, overflow)| overflow).to_vec());
        let outline = (1_u32..=16, any_color()).prop_map(|(width, color)| Outline { width, color });
        let colors = (prop::option::of(any_color()), prop::option::of(outline));
        (aligns, overflows, 0_u32..=1_024, colors).prop_map(
            |(vertical_align, overflow, padding, (background, outline))| TextBox {
                vertical_align,
                overflow,
                padding,
                background,
                outline,
            },
        )
    }

    fn any_direction() -> impl Strategy<Value = Direction> {
        prop_oneof![
            Just(Direction::Left),
            Just(Direction::Right),
            Just(Direction::Up),
            Just(Direction::Down)
        ]
    }

    fn any_time() -> impl Strategy<Value = TimeFormat> {
        let zone = prop::sample::select(vec!["UTC", "Europe/Berlin"]);
        (zone, 0..3, "[a-z \"]{0,4}").prop_map(|(zone, kind, text)| match kind {
            0 => TimeFormat::clock(zone, &format!("%H{text}")).unwrap(),
            1 => TimeFormat::countdown(zone, "%M:%S", ("12:30:00", &text)).unwrap(),
            _ => TimeFormat::count_up(zone, "%d", "2026-01-02").unwrap(),
        })
    }

    fn any_source() -> impl Strategy<Value = Source> {
        prop_oneof![
            any_color().prop_map(Source::Color),
            (any_color(), any_color()).prop_map(|(a, b)| Source::Gradient(a, b)),
            Just(Source::TestCard),
            Just(Source::SmpteBars),
            Just(Source::ZonePlate),
            Just(Source::FrameCounter),
            Just(Source::Flash),
            Just(Source::BuiltIn(BuiltIn::Logo)),
            any_color().prop_map(Source::Spinner),
            (any_style(), any_time())
                .prop_map(|(style, time)| Source::Clock(ClockSpec { style, time: Box::new(time) })),
            ("\\PC*|[\\x00-\\x1f\"\\\\]*", any_style(), any_text_box())
                .prop_map(|(text, style, text_box)| Source::Text { text, style, text_box }),
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
            ("[a-z]{1,8}", any::<bool>(), 0..1_000_u64, prop::option::of(1..99_u64), 0..2_usize)
                .prop_map(|(path, looped, start, length, at_end)| {
                    let out_point = length.map(|length| Micros::from_millis(start + length));
                    let (path, in_point) = (path.into(), Micros::from_millis(start));
                    let clip = VideoClip { path, looped, in_point, out_point };
                    Source::Video { clip, at_end: AtEnd::WORDS[at_end].1 }
                }),
            (any_entries(), any::<(bool, bool)>(), any::<u32>(), 0..2_usize).prop_map(
                |(entries, (looped, shuffle), seed, at_end)| {
                    let seed = shuffle.then_some(seed).filter(|seed| seed % 2 == 0);
                    let playlist = Playlist { entries, looped, shuffle, seed };
                    Source::Playlist { playlist, at_end: AtEnd::WORDS[at_end].1 }
                }
            ),
            ("live/[a-z]{1,8}", "\\PC*", any_style())
                .prop_map(|(stream, slate, style)| Source::Live { stream, slate, style }),
            ("[a-z]{1,8}", 20..=10_000_u64, any_style()).prop_map(|(host, ms, style)| {
                let url = InputUrl::parse(&format!("srt://{host}:9?streamid={{secret}}")).unwrap();
                let secret_file = Some(format!("/{host}.secret").into());
                let input = NetworkInput { url, secret_file, latency: Micros::from_millis(ms) };
                Source::Network { input, slate: host, style }
            }),
            ("/run/[a-z]{1,8}", "\\PC*", any_style()).prop_map(|(socket, slate, style)| {
                Source::Frames { socket: socket.into(), slate, style }
            }),
            "[a-z]{1,8}".prop_map(Source::Scene),
        ]
    }

    fn any_entries() -> impl Strategy<Value = PlaylistEntries> {
        let item = ("[a-z]{1,8}", 0..1_000_u64, prop::option::of(1..99_u64));
        let item = item.prop_map(|(path, start, length)| PlaylistItem {
            path: path.into(),
            in_point: Micros::from_millis(start),
            out_point: length.map(|length| Micros::from_millis(start + length)),
        });
        prop_oneof![
            prop::collection::vec(item, 1..4).prop_map(PlaylistEntries::Items),
            "[a-z]{1,8}".prop_map(|path| PlaylistEntries::Folder(path.into())),
            "[a-z]{1,8}".prop_map(|path| PlaylistEntries::M3u(path.into())),
        ]
    }

    fn any_place() -> impl Strategy<Value = Position> {
        let offset = || {
            prop_oneof![
                (-16_384..=16_384).prop_map(Length::Pixels),
                (-1_000_000..=1_000_000).prop_map(Length::Percent)
            ]
        };
        let side = || {
            prop_oneof![
                (2..=16_384).prop_map(Length::Pixels),
                (1..=1_000_000).prop_map(Length::Percent)
            ]
        };
        (offset(), offset(), side(), side(), 0..Anchor::WORDS.len())
            .prop_map(|(x, y, w, h, at)| Position { x, y, w, h, anchor: Anchor::WORDS[at].1 })
    }

    fn any_layer() -> impl Strategy<Value = Layer> {
        let one = layer_of(any_source()).boxed();
        one.prop_recursive(3, 12, 3, |inner| {
            let ways = (0..=10_000_u64, 0..Easing::WORDS.len());
            let arrangement = (0..ArrangementKind::WORDS.len(), 0_u32..=16_384, ways).prop_map(
                |(at, gap, (ms, easing))| Arrangement {
                    kind: ArrangementKind::WORDS[at].1,
                    gap,
                    animate: Micros::from_millis(ms),
                    easing: Easing::WORDS[easing].1,
                },
            );
            let layers = prop::collection::vec(inner, 0..3);
            let group =
                (layers, prop::option::of(arrangement)).prop_map(|(layers, arrangement)| {
                    let numbered = layers.into_iter().enumerate().map(numbered);
                    let placed = numbered.map(|layer| match arrangement {
                        Some(_) => Layer {
                            place: Position::WHOLE,
                            motion: LayerMotion { animation: None, ..layer.motion },
                            ..layer
                        },
                        None => layer,
                    });
                    Source::Group(Group { layers: placed.collect(), arrangement })
                });
            layer_of(group)
        })
    }

    fn any_layer_style() -> impl Strategy<Value = LayerStyle> {
        let border = (1_u32..=512, any_color()).prop_map(|(width, color)| Border { width, color });
        let shadow = (-512..=512, -512..=512, 0_u32..=512, any_color())
            .prop_map(|(x, y, blur, color)| Shadow { x, y, blur, color });
        let key = (any_color(), 0.0_f32..=1.0, 0.001_f32..=1.0, 0.001_f32..=1.0).prop_map(
            |(color, similarity, smoothness, spill)| ChromaKey {
                color,
                similarity,
                smoothness,
                spill,
            },
        );
        (
            (0..BlendMode::WORDS.len(), 0..Flip::WORDS.len(), 0_u16..3_600, 0_u32..=4_096),
            prop::option::of(border),
            prop::option::of(shadow),
            prop::option::of(key),
        )
            .prop_map(
                |((blend, flip, rotation, corner_radius), border, shadow, chroma_key)| {
                    let (blend, flip) = (BlendMode::WORDS[blend].1, Flip::WORDS[flip].1);
                    LayerStyle { blend, rotation, flip, corner_radius, border, shadow, chroma_key }
                },
            )
    }

    fn any_motion() -> impl Strategy<Value = LayerMotion> {
        let transition = || {
            (0..=10_000_u64, 0..Easing::WORDS.len(), any_direction()).prop_map(
                |(ms, easing, direction)| Transition {
                    kind: TransitionKind::Slide(direction),
                    duration: Micros::from_millis(ms),
                    easing: Easing::WORDS[easing].1,
                },
            )
        };
        let place = prop::option::of(any_place());
        let keyframe =
            (1..=9_999_u64, place, prop::option::of(any::<u8>())).prop_map(|(ms, place, alpha)| {
                Keyframe {
                    at: Micros::from_millis(ms),
                    x: place.map(|it| it.x),
                    y: place.map(|it| it.y),
                    w: place.map(|it| it.w),
                    h: place.map(|it| it.h),
                    alpha,
                    easing: Easing::EaseOut,
                }
            });
        let animation = (prop::collection::vec(keyframe, 1..4), any::<bool>()).prop_map(
            |(mut keyframes, is_loop)| {
                let mut at = Micros(0);
                for keyframe in &mut keyframes {
                    keyframe.at.0 += at.0;
                    at = keyframe.at;
                }
                Animation { keyframes, is_loop }
            },
        );
        let (show, hide) = (prop::option::of(transition()), prop::option::of(transition()));
        (show, hide, prop::option::of(animation)).prop_map(|(show, hide, animation)| LayerMotion {
            show,
            hide,
            animation,
        })
    }

    /// Without what a layer that shows this cannot have.
    fn as_far_as_it_goes(style: &LayerStyle, source: &Source) -> LayerStyle {
        let is_keyed = source.is_input() || matches!(source, Source::Image(_));
        let chroma_key = style.chroma_key.filter(|_| is_keyed);
        let plain = LayerStyle {
            blend: style.blend,
            corner_radius: style.corner_radius,
            chroma_key,
            ..LayerStyle::default()
        };
        match (source.is_still(), source.is_input()) {
            (true, _) => LayerStyle { chroma_key, ..style.clone() },
            (_, true) => {
                LayerStyle { rotation: style.rotation / 900 * 900, flip: style.flip, ..plain }
            }
            (false, false) => plain,
        }
    }

    fn numbered((n, layer): (usize, Layer)) -> Layer {
        Layer { name: format!("n \"{n}\""), ..layer }
    }

    fn layer_of(source: impl Strategy<Value = Source>) -> impl Strategy<Value = Layer> {
        let fits =
            prop_oneof![Just(Fit::Contain), Just(Fit::Cover), Just(Fit::Fill), Just(Fit::None)];
        let styles = (any_layer_style(), any_motion());
        (source, any_place(), fits, -1_000..=1_000, any::<u8>(), any::<bool>(), styles).prop_map(
            |(source, place, fit, z, alpha, visible, (style, motion))| Layer {
                motion,
                data: match &source {
                    Source::Text { .. } if visible && alpha > 99 => {
                        Some(DataSource::Http(HttpDocument {
                            url: InputUrl::parse("https://me@h/a?k={secret}").unwrap(),
                            secret_file: Some("a.secret".into()),
                            interval: Micros::from_secs(9),
                        }))
                    }
                    Source::Text { .. } if visible => Some(DataSource::Pushed("score".to_owned())),
                    Source::Ticker(_) if visible => Some(DataSource::File("a.json".into())),
                    _ => None,
                },
                style: as_far_as_it_goes(&style, &source),
                warm: match source.is_input() {
                    true if visible => Warm::Always,
                    true => Warm::Off,
                    false => Warm::default(),
                },
                place,
                fit,
                z,
                alpha,
                visible,
                ..Layer::new("", source)
            },
        )
    }

    proptest! {
        #[test]
        fn every_scene_comes_back_as_it_was(
            background in any_color(),
            layers in prop::collection::vec(any_layer(), 0..6),
        ) {
            let layers: Vec<_> = layers.into_iter().enumerate().map(numbered).collect();
            let document = overlays_to_document(&layers);
            let stack = overlays_from_document(&document, CANVAS);
            prop_assert_eq!(stack.as_ref(), Ok(&layers));
            let scene = Scene { background, layers, transition: None };
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
