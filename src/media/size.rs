//! Sizes, rectangles and pixel formats of pictures.

use std::fmt;

/// Width and height of a picture in luma pixels: even, 16 to 8192 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Smallest side of a picture, pixels.
    pub const SIDE_MIN: u32 = 16;
    /// Largest side of a picture, pixels.
    pub const SIDE_MAX: u32 = 8_192;

    /// 1280 x 720.
    pub const HD720: Self = Self { width: 1_280, height: 720 };

    /// `None` unless both sides are even and within `SIDE_MIN..=SIDE_MAX`.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Option<Self> {
        if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
            return None;
        }
        if width < Self::SIDE_MIN || height < Self::SIDE_MIN {
            return None;
        }
        if width > Self::SIDE_MAX || height > Self::SIDE_MAX {
            return None;
        }
        Some(Self { width, height })
    }

    /// Luma pixels per row.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Luma rows.
    #[must_use]
    pub const fn height(self) -> u32 {
        self.height
    }

    /// The whole picture as a rectangle.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "a side is at most 8192")]
    pub const fn rect(self) -> Rect {
        Rect { x: 0, y: 0, w: self.width as i32, h: self.height as i32 }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A rectangle in luma pixels; may lie partly outside a picture. Empty if `w` or `h` is not
/// positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub w: i32,
    /// Height.
    pub h: i32,
}

impl Rect {
    /// Whether it holds no pixel.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.w <= 0 || self.h <= 0
    }

    /// The part in both.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let w = (self.x + self.w).min(other.x + other.w) - x;
        let h = (self.y + self.h).min(other.y + other.h) - y;
        if w <= 0 || h <= 0 { Self::default() } else { Self { x, y, w, h } }
    }

    /// The smallest rectangle that holds both; an empty one adds nothing.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        let w = (self.x + self.w).max(other.x + other.w) - x;
        let h = (self.y + self.h).max(other.y + other.h) - y;
        Self { x, y, w, h }
    }

    /// Whether every pixel of `other` is in `self`.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        other.is_empty() || self.intersect(other) == other
    }

    /// Grown outwards to even edges, so that it covers whole 4:2:0 chroma pixels.
    #[must_use]
    pub const fn even(self) -> Self {
        let x = self.x & !1;
        let y = self.y & !1;
        let right = (self.x + self.w + 1) & !1;
        let bottom = (self.y + self.h + 1) & !1;
        Self { x, y, w: right - x, h: bottom - y }
    }
}

/// How the pixels of a canvas lie in memory. 8 bits, 4:2:0, BT.709 limited range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three planes: Y, Cb, Cr (`yuv420p` in FFmpeg).
    #[default]
    I420,
    /// Two planes: Y, interleaved Cb and Cr (`nv12` in FFmpeg).
    Nv12,
}

impl PixelFormat {
    /// Number of planes.
    #[must_use]
    pub const fn planes(self) -> usize {
        match self {
            Self::I420 => 3,
            Self::Nv12 => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_and_extreme_sizes_do_not_exist() {
        assert!(Size::new(1921, 1080).is_none());
        assert!(Size::new(0, 1080).is_none());
        assert!(Size::new(8194, 1080).is_none());
        assert!(Size::new(1920, 1080).is_some());
    }

    #[test]
    fn union_ignores_the_empty_and_intersect_of_strangers_is_empty() {
        let a = Rect { x: 2, y: 2, w: 4, h: 4 };
        assert_eq!(a.union(Rect::default()), a);
        assert!(a.intersect(Rect { x: 6, y: 2, w: 4, h: 4 }).is_empty());
        assert_eq!(Rect { x: 3, y: 3, w: 2, h: 2 }.even(), Rect { x: 2, y: 2, w: 4, h: 4 });
    }
}
