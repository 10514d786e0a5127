//! Layers of a scene, `[[channel.layer]]`.

use std::collections::HashMap;

use super::data_source;
use super::direction::DIRECTIONS;
use super::fault::Faults;
use super::field::{
    BLACK, color, file_name, name, needed_file, needed_name, needed_stream, unique,
};
use super::frames;
use super::layer_motion;
use super::layer_style;
use super::length::{self, REACH};
use super::network;
use super::playlist;
use super::section::Section;
use super::video_clip;
use crate::media::{Rect, Size};
use crate::scene::time_format::{HOURS, TIME_OF_DAY, TimeFormat, UTC};
use crate::scene::{
    Align, Anchor, Arrangement, ArrangementKind, AtEnd, BuiltIn, ClockSpec, Color,
    FALLBACK_FONTS_MAX, Fit, Group, LAYERS_MAX, Layer, Outline, Overflow, Position, Source,
    TextBox, TextStyle, TickerSpec, VerticalAlign, Warm,
};

const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };

/// Most pixels between the edges of a text's box and its letters.
const PADDING_MAX: u32 = 1_024;

/// Widest outline of letters, pixels: what a wider one takes to draw grows by its square.
const OUTLINE_MAX: u32 = 16;

/// How deep groups may lie in each other. Deeper ones are refused.
const GROUPS_DEPTH_MAX: usize = 8;

/// Pixels per second of a ticker whose speed is not said: a line of the width of a small canvas in
/// ten seconds.
const TICKER_SPEED: u32 = 120;

/// Where layers are written, and what they lie in.
#[derive(Clone, Copy)]
pub(super) struct Within<'a> {
    /// How their tables are written, such as `[[channel.layer]]`.
    pub(super) table: &'a str,
    /// What they are called all together.
    pub(super) of: &'a str,
    /// Width and height of what they lie in.
    pub(super) sides: (i32, i32),
    /// Whether their group places them.
    arranged: bool,
    /// In how many groups they are.
    depth: usize,
}

impl<'a> Within<'a> {
    /// The layers of a document.
    pub(super) fn of(of: &'a str, canvas: Size) -> Self {
        Self::canvas("a layer", of, canvas)
    }

    /// The layers of a canvas.
    pub(super) fn canvas(table: &'a str, of: &'a str, canvas: Size) -> Self {
        let Rect { w, h, .. } = canvas.rect();
        Self { table, of, sides: (w, h), arranged: false, depth: 0 }
    }
}

/// The layers under `key`.
pub(super) fn read_all(
    s: &mut Section<'_>,
    key: &'static str,
    faults: &mut Faults<'_>,
    within: Within<'_>,
) -> Vec<Layer> {
    let mut seen = HashMap::new();
    let mut layers = Vec::new();
    for (index, mut section) in s.tables(faults, key, within.table).into_iter().enumerate() {
        if index == LAYERS_MAX {
            faults.add(section.span(), format!("{} has at most {LAYERS_MAX} layers", within.of));
            break;
        }
        let name = needed_name(&mut section, faults);
        if let Some(name) = &name {
            unique(faults, &mut seen, "a layer with the name", name);
        }
        let layer = read(section, faults, within);
        if let (Some(name), Some(layer)) = (name, layer) {
            layers.push(Layer { name: name.value, ..layer });
        }
    }
    layers
}

const KINDS: [&str; 22] = [
    "color",
    "gradient",
    "test-card",
    "smpte-bars",
    "zone-plate",
    "frame-counter",
    "image",
    "logo",
    "text",
    "ticker",
    "clock",
    "countdown",
    "count-up",
    "spinner",
    "flash",
    "video",
    "playlist",
    "live",
    "network",
    "frames",
    "group",
    "scene",
];

/// All of a layer but its name.
fn read(mut s: Section<'_>, faults: &mut Faults<'_>, within: Within<'_>) -> Option<Layer> {
    let kinds = KINDS.map(|kind| (kind, kind));
    // Without a type nobody can say which of the other keys are right.
    s.needed(faults, "type")?;
    let kind = s.word(faults, "type", &kinds)?;
    s.call(&format!("of type \"{kind}\""));
    let arranged = within.arranged;
    // What its group places has no position of its own: such keys are unknown.
    let place = if arranged { Position::WHOLE } else { place(&mut s, faults) };
    let fits = [
        ("contain", Fit::Contain),
        ("cover", Fit::Cover),
        ("fill", Fit::Fill),
        ("none", Fit::None),
    ];
    let fit = s.word(faults, "fit", &fits).unwrap_or_default();
    let z = s.whole(faults, "z", -1_000..=1_000).unwrap_or(0);
    let alpha = s.number(faults, "alpha", 0.0..=1.0).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let alpha = (alpha * 255.0).round() as u8;
    let visible = s.flag(faults, "visible", true);
    let style = layer_style::read(&mut s, faults, kind);
    let motion = layer_motion::read(&mut s, faults, arranged);
    let is_text = matches!(kind, "text" | "ticker");
    let data = is_text.then(|| data_source::read(&mut s, faults)).flatten();
    let is_input = matches!(kind, "video" | "playlist" | "live" | "network" | "frames");
    let warm = is_input.then(|| s.word(faults, "warm", &Warm::WORDS)).flatten().unwrap_or_default();
    let Rect { w, h, .. } = place.within(within.sides);
    let source = source(kind, &mut s, faults, Within { sides: (w, h), arranged: false, ..within });
    s.finish(faults);
    let layer = Layer::new("", source?);
    Some(Layer { place, fit, z, alpha, visible, style, motion, data, warm, ..layer })
}

fn place(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Position {
    let whole = Position::WHOLE;
    Position {
        x: length::read(s, faults, "x", -REACH..=REACH).unwrap_or(whole.x),
        y: length::read(s, faults, "y", -REACH..=REACH).unwrap_or(whole.y),
        w: length::read(s, faults, "width", 2..=REACH).unwrap_or(whole.w),
        h: length::read(s, faults, "height", 2..=REACH).unwrap_or(whole.h),
        anchor: s.word(faults, "anchor", &Anchor::WORDS).unwrap_or(whole.anchor),
    }
}

fn source(
    kind: &str,
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    within: Within<'_>,
) -> Option<Source> {
    let box_height = within.sides.1;
    Some(match kind {
        "color" => Source::Color(tint(s, faults, "color", BLACK)),
        "gradient" => {
            let top = tint(s, faults, "from", WHITE);
            Source::Gradient(top, tint(s, faults, "to", BLACK))
        }
        "spinner" => Source::Spinner(tint(s, faults, "color", WHITE)),
        "test-card" => Source::TestCard,
        "smpte-bars" => Source::SmpteBars,
        "zone-plate" => Source::ZonePlate,
        "frame-counter" => Source::FrameCounter,
        "flash" => Source::Flash,
        "logo" => Source::BuiltIn(BuiltIn::Logo),
        "image" => Source::Image(needed_file(s, faults)?),
        "video" => {
            let clip = video_clip::read(s, faults);
            let at_end = s.word(faults, "at_end", &AtEnd::WORDS).unwrap_or_default();
            Source::Video { clip: clip?, at_end }
        }
        "playlist" => {
            let playlist = playlist::read(s, faults);
            let at_end = s.word(faults, "at_end", &AtEnd::WORDS).unwrap_or_default();
            Source::Playlist { playlist: playlist?, at_end }
        }
        "text" => {
            let text = text(s, faults);
            let style = style(s, faults, box_height);
            let text_box = text_box(s, faults);
            Source::Text { text: text?, style, text_box }
        }
        "ticker" => Source::Ticker(ticker(s, faults, box_height)?),
        "clock" | "countdown" | "count-up" => Source::Clock(clock(kind, s, faults, box_height)?),
        "frames" => {
            let (socket, slate) = frames::read(s, faults);
            let style = style(s, faults, box_height / 4);
            Source::Frames { socket: socket?, slate, style }
        }
        "network" => {
            let input = network::read(s, faults);
            let slate = s.text(faults, "slate").map_or("", |found| found.value).to_owned();
            let style = style(s, faults, box_height / 4);
            Source::Network { input: input?, slate, style }
        }
        "group" => Source::Group(group(s, faults, within)),
        "scene" => {
            s.needed(faults, "scene")?;
            Source::Scene(s.parsed(faults, "scene", name)?.value)
        }
        _ => {
            let stream = needed_stream(s, faults);
            let slate = s.text(faults, "slate").map_or("", |found| found.value).to_owned();
            let style = style(s, faults, box_height / 4);
            Source::Live { stream: stream?, slate, style }
        }
    })
}

fn group(s: &mut Section<'_>, faults: &mut Faults<'_>, within: Within<'_>) -> Group {
    let kind = s.word(faults, "layout", &ArrangementKind::WORDS);
    let gap = kind.and_then(|_| s.whole(faults, "gap", 0..=REACH.unsigned_abs()));
    let arrangement = kind.map(|kind| {
        let (animate, easing) = layer_motion::read_animate(s, faults);
        Arrangement { kind, gap: gap.unwrap_or(0), animate, easing }
    });
    let within = Within { arranged: arrangement.is_some(), ..within };
    Group { layers: inside(s, faults, within), arrangement }
}

fn inside(s: &mut Section<'_>, faults: &mut Faults<'_>, within: Within<'_>) -> Vec<Layer> {
    // A reader that goes as deep as the text could be brought to its stack's end.
    if within.depth == GROUPS_DEPTH_MAX {
        let text = format!("groups lie in each other at most {GROUPS_DEPTH_MAX} deep");
        faults.add(s.span(), text);
        s.any("layer");
        return Vec::new();
    }
    let table = match within.table.strip_suffix("]]") {
        Some(outer) => format!("{outer}.layer]]"),
        None => within.table.to_owned(),
    };
    let (of, depth) = ("a group", within.depth + 1);
    read_all(s, "layer", faults, Within { table: &table, of, depth, ..within })
}

/// What a text says, or its template: without one a file or what a server has is shown whole.
fn text(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let found = match ["file", "url"].into_iter().any(|key| s.any(key).is_some()) {
        true => return Some(s.text(faults, "text").map_or("", |found| found.value).to_owned()),
        false => s.needed(faults, "text")?,
    };
    Some(found.value.to_owned())
}

fn ticker(s: &mut Section<'_>, faults: &mut Faults<'_>, box_height: i32) -> Option<TickerSpec> {
    let text = text(s, faults);
    let direction = s.word(faults, "direction", &DIRECTIONS).unwrap_or_default();
    // A column has many lines.
    let room = if direction.is_upright() { box_height / 8 } else { box_height };
    let style = style(s, faults, room);
    let speed = s.whole(faults, "speed", 1..=4_000).unwrap_or(TICKER_SPEED);
    let gap = s.whole(faults, "gap", 0..=REACH.unsigned_abs());
    Some(TickerSpec { text: text?, style, direction, speed, gap })
}

fn clock(
    kind: &str,
    s: &mut Section<'_>,
    faults: &mut Faults<'_>,
    box_height: i32,
) -> Option<ClockSpec> {
    let style = style(s, faults, box_height);
    let zone =
        s.parsed(faults, "timezone", |zone| TimeFormat::clock(zone, "").map(|_| zone.to_owned()));
    let zone = zone.map_or_else(|| UTC.to_owned(), |found| found.value);
    let default = if kind == "clock" { TIME_OF_DAY } else { HOURS };
    let check = |pattern: &str| match kind {
        "clock" => TimeFormat::clock(UTC, pattern),
        _ => TimeFormat::count_up(UTC, pattern, "00:00:00"),
    };
    let pattern = s.parsed(faults, "format", |text| check(text).map(|_| text.to_owned()));
    let pattern = pattern.map_or_else(|| default.to_owned(), |found| found.value);
    let time = match kind {
        "clock" => TimeFormat::clock(&zone, &pattern).ok(),
        "countdown" => {
            let finished = s.text(faults, "finished").map_or("", |found| found.value).to_owned();
            s.needed(faults, "until")?;
            let read = |until: &str| TimeFormat::countdown(&zone, &pattern, (until, &finished));
            s.parsed(faults, "until", read).map(|found| found.value)
        }
        _ => {
            s.needed(faults, "since")?;
            let read = |since: &str| TimeFormat::count_up(&zone, &pattern, since);
            s.parsed(faults, "since", read).map(|found| found.value)
        }
    };
    Some(ClockSpec { style, time: Box::new(time?) })
}

fn tint(s: &mut Section<'_>, faults: &mut Faults<'_>, key: &'static str, default: Color) -> Color {
    s.parsed(faults, key, color).map_or(default, |found| found.value)
}

/// Letters fill their box by default.
fn style(s: &mut Section<'_>, faults: &mut Faults<'_>, height: i32) -> TextStyle {
    let aligns = [("left", Align::Left), ("center", Align::Center), ("right", Align::Right)];
    #[expect(clippy::cast_precision_loss, reason = "pixels of a box")]
    let usual = (height as f32 * 0.7).clamp(8.0, 96.0);
    TextStyle {
        font: s.parsed(faults, "font", font).map(|found| found.value),
        fallback_fonts: fallback_fonts(s, faults),
        size: s.number(faults, "size", 4.0..=2_000.0).unwrap_or(usual),
        weight: s.whole(faults, "weight", 100..=900).unwrap_or(400),
        color: tint(s, faults, "color", WHITE),
        align: s.word(faults, "align", &aligns).unwrap_or_default(),
    }
}

fn text_box(s: &mut Section<'_>, faults: &mut Faults<'_>) -> TextBox {
    let outline = s.table(faults, "outline", "outline = { width = 2, color = \"#000000\" }");
    TextBox {
        vertical_align: s.word(faults, "vertical_align", &VerticalAlign::WORDS).unwrap_or_default(),
        overflow: s.word(faults, "overflow", &Overflow::WORDS).unwrap_or_default(),
        padding: s.whole(faults, "padding", 0..=PADDING_MAX).unwrap_or(0),
        background: s.parsed(faults, "background", color).map(|found| found.value),
        outline: outline.map(|mut s| {
            let width = s.whole(faults, "width", 1..=OUTLINE_MAX).unwrap_or(2);
            let color = tint(&mut s, faults, "color", BLACK);
            s.finish(faults);
            Outline { width, color }
        }),
    }
}

fn fallback_fonts(s: &mut Section<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let fonts = s.texts(faults, "fallback_fonts", font).unwrap_or_default();
    if fonts.len() > FALLBACK_FONTS_MAX {
        let text = format!("`fallback_fonts`: name at most {FALLBACK_FONTS_MAX}");
        faults.add(&s.place("fallback_fonts"), text);
    }
    fonts
}

/// A family or a font file, which is looked for when the scene is prepared.
fn font(text: &str) -> Result<String, String> {
    let name = file_name(text)
        .map_err(|error| format!("{error}; name a family or a font file, or leave `font` out"))?;
    Ok(name.to_owned())
}
