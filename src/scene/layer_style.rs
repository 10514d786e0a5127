//! Style of a layer: how its pixels go on those below, and what is done to its picture first.

use super::color::Color;
use crate::media::Orientation;

/// A quarter of a turn, tenths of a degree.
pub(super) const QUARTER: u16 = 900;

/// How a layer's colours go with those below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlendMode {
    /// They cover them.
    #[default]
    Over,
    /// They are added: black changes nothing.
    Add,
    /// They are multiplied: white changes nothing.
    Multiply,
    /// The opposite of multiplying: black changes nothing, and nothing gets brighter than white.
    Screen,
}

impl BlendMode {
    /// All of them with the words of a configuration file.
    pub const WORDS: [(&str, Self); 4] = [
        ("over", Self::Over),
        ("add", Self::Add),
        ("multiply", Self::Multiply),
        ("screen", Self::Screen),
    ];
}

/// Which way a picture is mirrored, before it is turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// Not at all.
    #[default]
    None,
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
    /// Both.
    Both,
}

impl Flip {
    /// All of them with the words of a configuration file.
    pub const WORDS: [(&str, Self); 4] = [
        ("none", Self::None),
        ("horizontal", Self::Horizontal),
        ("vertical", Self::Vertical),
        ("both", Self::Both),
    ];

    /// Whether left and right change places.
    #[must_use]
    pub const fn is_across(self) -> bool {
        matches!(self, Self::Horizontal | Self::Both)
    }

    /// Whether top and bottom change places.
    #[must_use]
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Vertical | Self::Both)
    }
}

/// A line around a picture, inside its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// Pixels.
    pub width: u32,
    /// Its colour.
    pub color: Color,
}

/// A blurred shadow of what can be seen of a picture, below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Pixels to the right.
    pub x: i32,
    /// Pixels downwards.
    pub y: i32,
    /// How far its edge is spread, pixels.
    pub blur: u32,
    /// Its colour.
    pub color: Color,
}

/// A colour that is made transparent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChromaKey {
    /// The colour; only its chroma counts.
    pub color: Color,
    /// How far from it chroma may be and be quite transparent, 0.0 to 1.0; 1.0 is the whole range
    /// of one chroma sample.
    pub similarity: f32,
    /// How much farther it is until a pixel is quite opaque, above 0.0 to 1.0.
    pub smoothness: f32,
    /// How much farther it is until a pixel keeps its own chroma, above 0.0 to 1.0: nearer ones
    /// lose it, and with it the light of the screen.
    pub spill: f32,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerStyle {
    /// How it goes with what is below.
    pub blend: BlendMode,
    /// Clockwise, tenths of a degree, 0 to 3599; of an input, a multiple of 900.
    pub rotation: u16,
    /// Which way it is mirrored.
    pub flip: Flip,
    /// Radius of its corners, pixels.
    pub corner_radius: u32,
    /// The line around it.
    pub border: Option<Border>,
    /// Its shadow.
    pub shadow: Option<Shadow>,
    /// What of it is transparent.
    pub chroma_key: Option<ChromaKey>,
}

impl LayerStyle {
    /// How the pictures of an input are turned and mirrored: its rotation is by quarters.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        let quarters = u8::try_from(self.rotation / QUARTER).unwrap_or(0);
        let flipped = Orientation::flipped(self.flip.is_across(), self.flip.is_down());
        flipped.then(Orientation::turned(quarters))
    }

    /// Whether a still picture is drawn anew for it.
    pub(super) fn changes_picture(&self) -> bool {
        let plain = Self { blend: self.blend, chroma_key: self.chroma_key, ..Self::default() };
        *self != plain
    }

    /// The same at another size.
    #[must_use]
    pub(super) fn scaled(&self, scale: f32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "pixels, far below 2^31")]
        let near = |pixels: i32| (f64::from(pixels) * f64::from(scale)).round() as i32;
        let whole = |pixels: u32| near(pixels.cast_signed()).unsigned_abs();
        let border = self.border.map(|it| Border { width: whole(it.width).max(1), ..it });
        let shadow = self.shadow.map(|it| Shadow {
            x: near(it.x),
            y: near(it.y),
            blur: whole(it.blur),
            ..it
        });
        Self { corner_radius: whole(self.corner_radius), border, shadow, ..self.clone() }
    }
}
