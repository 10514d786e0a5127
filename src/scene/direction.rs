//! Direction in which something moves.

/// Where something moves to: the letters of a ticker, a scene that comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the right edge of the box to the left one.
    #[default]
    Left,
    /// From the left edge to the right one.
    Right,
    /// From the bottom to the top, as credits do.
    Up,
    /// From the top to the bottom.
    Down,
}

impl Direction {
    /// Whether it is up or down: the text is a column as wide as its box.
    #[must_use]
    pub const fn is_upright(self) -> bool {
        matches!(self, Self::Up | Self::Down)
    }
}
