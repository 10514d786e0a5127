//! Position of a layer as its author wrote it: in pixels or in parts of what it lies in, counted
//! from one of nine points.

use std::fmt;

use crate::media::{Rect, Size};

/// Parts of a percent that a length counts.
const PERCENT: i64 = 1_000;

/// A distance along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Pixels.
    Pixels(i32),
    /// Thousandths of a percent of the same side of what the layer lies in.
    Percent(i32),
}

impl Length {
    /// All of a side.
    pub const WHOLE: Self = Self::Percent(100_000);

    /// Reads `"33.3%"`, with at most three places.
    #[must_use]
    pub fn percent(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let (sign, number) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return None;
        }
        let thousandths = format!("{part:0<3}").parse::<i32>().ok()?;
        let all = whole.parse::<i32>().ok()?.checked_mul(1_000)?.checked_add(thousandths)?;
        Some(Self::Percent(sign * all))
    }

    /// In pixels, where the side that it is a part of is `side` long.
    #[must_use]
    pub fn of(self, side: i32) -> i32 {
        match self {
            Self::Pixels(pixels) => pixels,
            Self::Percent(part) => {
                let whole = 100 * PERCENT;
                let scaled = i64::from(part) * i64::from(side);
                i32::try_from((scaled + whole / 2).div_euclid(whole)).unwrap_or(i32::MAX)
            }
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Pixels(pixels) => write!(f, "{pixels}"),
            Self::Percent(part) => {
                let sign = if part < 0 { "-" } else { "" };
                let (whole, rest) = (part.unsigned_abs() / 1_000, part.unsigned_abs() % 1_000);
                let places = format!("{rest:03}");
                match places.trim_end_matches('0') {
                    "" => write!(f, "{sign}{whole}%"),
                    places => write!(f, "{sign}{whole}.{places}%"),
                }
            }
        }
    }
}

/// A point of a box, and of what the box lies in: the two are `x` and `y` apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The corner that pixels are counted from.
    #[default]
    TopLeft,
    /// The middle of the upper edge.
    Top,
    /// The upper right corner.
    TopRight,
    /// The middle of the left edge.
    Left,
    /// The middle.
    Center,
    /// The middle of the right edge.
    Right,
    /// The lower left corner.
    BottomLeft,
    /// The middle of the lower edge.
    Bottom,
    /// The lower right corner.
    BottomRight,
}

impl Anchor {
    /// All of them with the words of a configuration file.
    pub const WORDS: [(&str, Self); 9] = [
        ("top-left", Self::TopLeft),
        ("top", Self::Top),
        ("top-right", Self::TopRight),
        ("left", Self::Left),
        ("center", Self::Center),
        ("right", Self::Right),
        ("bottom-left", Self::BottomLeft),
        ("bottom", Self::Bottom),
        ("bottom-right", Self::BottomRight),
    ];

    /// How far along each side it lies, in halves.
    const fn halves(self) -> (i32, i32) {
        let x = match self {
            Self::TopLeft | Self::Left | Self::BottomLeft => 0,
            Self::Top | Self::Center | Self::Bottom => 1,
            Self::TopRight | Self::Right | Self::BottomRight => 2,
        };
        let y = match self {
            Self::TopLeft | Self::Top | Self::TopRight => 0,
            Self::Left | Self::Center | Self::Right => 1,
            Self::BottomLeft | Self::Bottom | Self::BottomRight => 2,
        };
        (x, y)
    }
}

/// A layer's box in what it lies in: the canvas, or the box of its group. It may reach beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From the anchor of what it lies in to its own, to the right.
    pub x: Length,
    /// The same downwards.
    pub y: Length,
    /// Width.
    pub w: Length,
    /// Height.
    pub h: Length,
    /// Where `x` and `y` are counted from, and to.
    pub anchor: Anchor,
}

impl Position {
    /// All of what it lies in.
    pub const WHOLE: Self = Self {
        x: Length::Pixels(0),
        y: Length::Pixels(0),
        w: Length::WHOLE,
        h: Length::WHOLE,
        anchor: Anchor::TopLeft,
    };

    /// The box in pixels, in something with these sides.
    #[must_use]
    pub fn within(&self, (w, h): (i32, i32)) -> Rect {
        let (across, down) = self.anchor.halves();
        let sides = (self.w.of(w), self.h.of(h));
        let along = |offset: Length, room: i32, side: i32, halves: i32| {
            let free = i64::from(room) - i64::from(side);
            let at = (free * i64::from(halves)).div_euclid(2) + i64::from(offset.of(room));
            i32::try_from(at).unwrap_or(i32::MAX)
        };
        Rect {
            x: along(self.x, w, sides.0, across),
            y: along(self.y, h, sides.1, down),
            w: sides.0,
            h: sides.1,
        }
    }

    /// The box in pixels on a canvas.
    #[must_use]
    pub fn on(&self, canvas: Size) -> Rect {
        let Rect { w, h, .. } = canvas.rect();
        self.within((w, h))
    }
}

impl From<Rect> for Position {
    fn from(Rect { x, y, w, h }: Rect) -> Self {
        let [x, y, w, h] = [x, y, w, h].map(Length::Pixels);
        Self { x, y, w, h, anchor: Anchor::TopLeft }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_as_they_are_read() {
        for text in ["0%", "50%", "33.333%", "0.5%", "-12.25%", "100%"] {
            assert_eq!(Length::percent(text).unwrap().to_string(), text);
        }
        for text in ["50", "%", "1.2345%", "a%", "1.%", "--1%", "99999999%", "5 %"] {
            assert_eq!(Length::percent(text), None, "{text}");
        }
        assert_eq!(Length::percent("33.333%").unwrap().of(1_920), 640);
        assert_eq!(Length::percent("-50%").unwrap().of(101), -50);
    }

    #[test]
    fn a_box_lies_at_its_anchor() {
        let (w, h) = (Length::Pixels(100), Length::Percent(50_000));
        let at = |anchor, x, y| Position { x, y, w, h, anchor }.within((640, 360));
        let (none, in_by) = (Length::Pixels(0), Length::Pixels(-20));
        assert_eq!(at(Anchor::TopLeft, none, none), Rect { x: 0, y: 0, w: 100, h: 180 });
        assert_eq!(at(Anchor::Center, none, none), Rect { x: 270, y: 90, w: 100, h: 180 });
        assert_eq!(at(Anchor::BottomRight, in_by, in_by), Rect { x: 520, y: 160, w: 100, h: 180 });
        let tenth = Length::Percent(10_000);
        assert_eq!(at(Anchor::Top, tenth, tenth), Rect { x: 334, y: 36, w: 100, h: 180 });
        let size = Size::new(64, 32).unwrap();
        assert_eq!(Position::WHOLE.on(size), size.rect());
        let rect = Rect { x: -3, y: 9, w: 7, h: 5 };
        assert_eq!(Position::from(rect).on(size), rect);
    }
}
