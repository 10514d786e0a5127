//! Scene model: a scene is an ordered list of layers; a layer places a source.

use std::path::PathBuf;

pub use super::color::Color;
pub use super::direction::Direction;
use super::layer_motion::LayerMotion;
use super::layer_style::LayerStyle;
use super::position::Position;
use super::time_format::TimeFormat;
use super::transition::{Easing, Transition};
use crate::media::{InputUrl, Micros, NetworkInput, Playlist, VideoClip};

/// Most layers in one scene or one group, or overlays of one channel.
pub const LAYERS_MAX: usize = 64;

/// Most layers that are drawn at once, with those of groups, of scenes inside the scene and of the
/// overlays. A scene with more is refused.
pub const DRAWN_LAYERS_MAX: usize = 256;

/// Most fonts that stand in for a text's own.
pub const FALLBACK_FONTS_MAX: usize = 8;

/// The layers of a programme. Those with the higher `z` cover the others; among equals, the later.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Colour where no layer is.
    pub background: Color,
    /// At most [`LAYERS_MAX`].
    pub layers: Vec<Layer>,
    /// How it comes on the air; `None` for its channel's way.
    pub transition: Option<Transition>,
}

/// A source with its place on the canvas.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Unique in its scene or group; what errors, the API and metrics call it.
    pub name: String,
    /// What it shows.
    pub source: Source,
    /// Its box on the canvas or in its group.
    pub place: Position,
    /// How the picture fills the box.
    pub fit: Fit,
    /// Order: higher covers lower.
    pub z: i32,
    /// Opacity of the whole layer, 0 to 255.
    pub alpha: u8,
    /// Whether it is drawn. One that is not is loaded all the same, and its input is decoded.
    pub visible: bool,
    /// How it goes with what is below, and what is done to its picture.
    pub style: LayerStyle,
    /// How it comes, goes and moves.
    pub motion: LayerMotion,
    /// What its text is bound to, if it is: the text is a template then, or, if it is empty, the
    /// whole value.
    pub data: Option<DataSource>,
    /// From when on its input is decoded, if it shows one.
    pub warm: Warm,
}

/// The layers that are no groups, with those in groups.
#[must_use]
pub fn single_layers(layers: &[Layer]) -> Vec<&Layer> {
    let mut single = Vec::new();
    for layer in layers {
        match &layer.source {
            Source::Group(group) => single.extend(single_layers(&group.layers)),
            _ => single.push(layer),
        }
    }
    single
}

/// From when on the input of a layer is decoded, so that its scene has pictures when it is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Warm {
    /// As long as a scene of the channel has the layer.
    Always,
    /// Once its scene is in preview.
    #[default]
    Preview,
    /// Once its scene is on the air.
    Off,
}

impl Warm {
    /// The words of a configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("always", Self::Always), ("preview", Self::Preview), ("off", Self::Off)];

    /// The word of a configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("preview", |(word, _)| word)
    }
}

/// Where the values in a text come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataSource {
    /// A file, which is read again when it changes: JSON, CSV, or a text.
    File(PathBuf),
    /// The document of this name that is pushed over the API.
    Pushed(String),
    /// A document that a server has, which is fetched again and again.
    Http(HttpDocument),
}

/// A document of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpDocument {
    /// Its address, of `http` or `https`.
    pub url: InputUrl,
    /// The file whose content stands for `{secret}` in the address.
    pub secret_file: Option<PathBuf>,
    /// Time from an answer to the next question.
    pub interval: Micros,
}

impl Layer {
    /// A layer that fills what it lies in, all else by default.
    #[must_use]
    pub fn new(name: &str, source: Source) -> Self {
        Self {
            name: name.to_owned(),
            source,
            place: Position::WHOLE,
            fit: Fit::default(),
            z: 0,
            alpha: 255,
            visible: true,
            style: LayerStyle::default(),
            motion: LayerMotion::default(),
            data: None,
            warm: Warm::default(),
        }
    }
}

/// Pictures that are part of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// The program's sign: square, 512 pixels, transparent corners.
    Logo,
}

/// Layers that are drawn as one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// Their positions are in the group's box; with an arrangement they are as it has them.
    pub layers: Vec<Layer>,
    /// What gives those that are visible their places.
    pub arrangement: Option<Arrangement>,
}

/// How a group places its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// The way.
    pub kind: ArrangementKind,
    /// Between them and around them, pixels.
    pub gap: u32,
    /// How long layers take to the places that they get when others come or go, at most
    /// [`Transition::DURATION_MAX`]; 0 is at once.
    pub animate: Micros,
    /// How they gather and lose speed meanwhile.
    pub easing: Easing,
}

/// Ways to place layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrangementKind {
    /// In as many columns as rows, or one more; the last row is in the middle.
    Grid,
    /// Beside each other, as high as the box.
    Row,
    /// Below each other, as wide as the box.
    Column,
    /// Beside each other in the box's shape.
    SideBySide,
    /// The first fills the box; the others lie on it from its lower right corner to the left, each
    /// a quarter as wide and high.
    PictureInPicture,
}

impl ArrangementKind {
    /// All of them with the words of a configuration file.
    pub const WORDS: [(&str, Self); 5] = [
        ("grid", Self::Grid),
        ("row", Self::Row),
        ("column", Self::Column),
        ("side-by-side", Self::SideBySide),
        ("picture-in-picture", Self::PictureInPicture),
    ];
}

impl Source {
    /// Whether it is a picture that never changes, which is made once.
    #[must_use]
    pub const fn is_still(&self) -> bool {
        matches!(
            self,
            Self::Color(_)
                | Self::Gradient(..)
                | Self::Image(_)
                | Self::BuiltIn(_)
                | Self::SmpteBars
                | Self::ZonePlate
                | Self::Text { .. }
        )
    }

    /// How its letters look, if it has any.
    #[must_use]
    pub const fn text_style(&self) -> Option<&TextStyle> {
        match self {
            Self::Text { style, .. }
            | Self::Live { style, .. }
            | Self::Network { style, .. }
            | Self::Frames { style, .. }
            | Self::Clock(ClockSpec { style, .. }) => Some(style),
            Self::Ticker(spec) => Some(&spec.style),
            _ => None,
        }
    }

    /// Whether its pictures come from elsewhere while the programme runs.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Video { .. } | Self::Live { .. } | Self::Network { .. } | Self::Frames { .. }
        )
    }
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Logo];

    /// What a configuration file calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logo => "logo",
        }
    }

    /// The one called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|picture| picture.name() == name)
    }
}

/// How a picture of another shape fills its layer's box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// The whole picture, centred, with the box's rest empty.
    #[default]
    Contain,
    /// The whole box, centred, with the picture's rest cut off.
    Cover,
    /// The whole picture in the whole box, stretched.
    Fill,
    /// Unscaled, centred, cut off at the box.
    None,
}

/// How text lies in its box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// At the left edge.
    #[default]
    Left,
    /// In the middle.
    Center,
    /// At the right edge.
    Right,
}

/// How letters look.
#[derive(Clone, Debug, PartialEq)]
pub struct TextStyle {
    /// Family name, or a path to a font file; `None` is the font inside the program.
    pub font: Option<String>,
    /// Families or font files for what that one lacks, the first choice first, at most
    /// [`FALLBACK_FONTS_MAX`]. After them come the font inside the program and the machine's.
    pub fallback_fonts: Vec<String>,
    /// Height of a line, pixels.
    pub size: f32,
    /// Weight, 100 to 900.
    pub weight: u16,
    /// Colour of the letters.
    pub color: Color,
    /// Place in the box.
    pub align: Align,
}

/// Where lines lie in their box, from its top down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerticalAlign {
    /// The first at the top.
    #[default]
    Top,
    /// Together in the middle.
    Middle,
    /// The last at the bottom.
    Bottom,
}

impl VerticalAlign {
    /// All of them, by their names.
    pub const WORDS: [(&'static str, Self); 3] =
        [("top", Self::Top), ("middle", Self::Middle), ("bottom", Self::Bottom)];
}

/// What becomes of a text that does not fit into its box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It is cut off at the edges.
    #[default]
    Clip,
    /// Its letters are made as small as it takes.
    Shrink,
    /// It ends with an ellipsis where the room ends.
    Ellipsis,
}

impl Overflow {
    /// All of them, by their names.
    pub const WORDS: [(&'static str, Self); 3] =
        [("clip", Self::Clip), ("shrink", Self::Shrink), ("ellipsis", Self::Ellipsis)];
}

/// What a layer shows once its video is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// The last picture.
    #[default]
    Hold,
    /// Nothing.
    Hide,
}

impl AtEnd {
    /// All of them, by their names.
    pub const WORDS: [(&str, Self); 2] = [("hold", Self::Hold), ("hide", Self::Hide)];
}

/// A line around letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Pixels.
    pub width: u32,
    /// Its colour.
    pub color: Color,
}

/// How a text lies in its box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextBox {
    /// Where its lines lie.
    pub vertical_align: VerticalAlign,
    /// What becomes of it if it does not fit.
    pub overflow: Overflow,
    /// Pixels between the edges of the box and the letters.
    pub padding: u32,
    /// Colour of the whole box behind the letters.
    pub background: Option<Color>,
    /// A line around the letters.
    pub outline: Option<Outline>,
}

/// Text that runs through its box, again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct TickerSpec {
    /// What it says. Sideways, all of it is one line; up and down, lines break between words.
    pub text: String,
    /// How the letters look. Sideways, the alignment says nothing.
    pub style: TextStyle,
    /// Where it runs to.
    pub direction: Direction,
    /// Pixels per second.
    pub speed: u32,
    /// Pixels from its end to its next beginning; `None` is the length of the box, so that it comes
    /// again once it has left.
    pub gap: Option<u32>,
}

/// A time that moves on.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockSpec {
    /// How its letters look.
    pub style: TextStyle,
    /// What it shows.
    pub time: Box<TimeFormat>,
}

impl From<TextStyle> for ClockSpec {
    /// The time of day, UTC.
    fn from(style: TextStyle) -> Self {
        Self { style, time: Box::default() }
    }
}

/// What a layer shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// One colour.
    Color(Color),
    /// A vertical gradient from the first colour (top) to the second (bottom).
    Gradient(Color, Color),
    /// Colour bars with a ramp and a moving mark.
    TestCard,
    /// Colour bars of SMPTE RP 219.
    SmpteBars,
    /// Rings that become finer from the middle to the edges.
    ZonePlate,
    /// The number of the tick as 40 black and white blocks beside each other, which programs can
    /// read from the picture: 32 bits, the highest first, and the inverted sum of their bytes.
    FrameCounter,
    /// A picture, PNG, JPEG, WebP, AVIF, GIF or SVG, which may be animated.
    Image(PathBuf),
    /// A picture that is part of the program.
    BuiltIn(BuiltIn),
    /// Letters.
    Text {
        /// What they say; lines are separated by `\n`.
        text: String,
        /// How they look.
        style: TextStyle,
        /// How they lie in their box.
        text_box: TextBox,
    },
    /// Letters that run.
    Ticker(TickerSpec),
    /// A time, or how long it takes to one.
    Clock(ClockSpec),
    /// A ring of dots that turns once in two seconds: shows at a glance that the picture moves.
    Spinner(Color),
    /// White for the first 100 ms of every second of programme time, black otherwise: with the
    /// `beep` audio it measures the offset between picture and audio.
    Flash,
    /// A video file.
    Video {
        /// The file, and what of it is played.
        clip: VideoClip,
        /// What stands there once it is over.
        at_end: AtEnd,
    },
    /// Video files, one after the other.
    Playlist {
        /// The files, and their order.
        playlist: Playlist,
        /// What stands there once all of them are over.
        at_end: AtEnd,
    },
    /// A stream published to this node.
    Live {
        /// Its public name, such as `live/studio`.
        stream: String,
        /// What stands there while nobody publishes; the last picture fades to it.
        slate: String,
        /// How the slate's letters look.
        style: TextStyle,
    },
    /// A stream of another server, or one that is sent to this machine.
    Network {
        /// Where it is.
        input: NetworkInput,
        /// What stands there while nothing comes; the last picture fades to it.
        slate: String,
        /// How the slate's letters look.
        style: TextStyle,
    },
    /// What another program on this machine draws, with or without alpha.
    Frames {
        /// The Unix socket at which the node waits for it.
        socket: PathBuf,
        /// What stands there while no program is connected; nothing if it is empty.
        slate: String,
        /// How the slate's letters look.
        style: TextStyle,
    },
    /// Layers that are drawn as one, and cut off at the group's box.
    Group(Group),
    /// Another scene of the channel, with its background, scaled to the layer's box.
    Scene(String),
}
