//! Orientation of a picture: turned by quarters, and mirrored before that.

use super::Size;

/// How a picture is mirrored, and then turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Left and right change places.
    mirrored: bool,
    /// Quarters of a turn, clockwise, 0 to 3.
    quarters: u8,
}

impl Orientation {
    /// As it is.
    pub const UPRIGHT: Self = Self { mirrored: false, quarters: 0 };

    /// Left and right change places if `across`, top and bottom if `down`.
    #[must_use]
    pub const fn flipped(across: bool, down: bool) -> Self {
        // Who changes top and bottom, and left and right as well, has turned it by half.
        Self { mirrored: across != down, quarters: if down { 2 } else { 0 } }
    }

    /// Turned by so many quarters, clockwise.
    #[must_use]
    pub const fn turned(quarters: u8) -> Self {
        Self { mirrored: false, quarters: quarters % 4 }
    }

    /// First this one, and then another.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        let own = if next.mirrored { 4 - self.quarters } else { self.quarters };
        Self { mirrored: self.mirrored != next.mirrored, quarters: (own + next.quarters) % 4 }
    }

    /// Whether nothing is done.
    #[must_use]
    pub const fn is_upright(self) -> bool {
        !self.mirrored && self.quarters == 0
    }

    /// Whether left and right change places, before it is turned.
    #[must_use]
    pub const fn is_mirrored(self) -> bool {
        self.mirrored
    }

    /// Quarters of a turn, clockwise, 0 to 3.
    #[must_use]
    pub const fn quarters(self) -> u8 {
        self.quarters
    }

    /// Whether width and height change places.
    #[must_use]
    pub const fn is_sideways(self) -> bool {
        self.quarters % 2 == 1
    }

    /// The size of a picture of this size; and the size of one that becomes one of this size.
    #[must_use]
    pub fn size(self, size: Size) -> Size {
        let turned = self.is_sideways().then(|| Size::new(size.height(), size.width()));
        turned.flatten().unwrap_or(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corners of a picture, from the upper left clockwise, after an orientation.
    fn corners(of: Orientation) -> String {
        let mut corners = ['a', 'b', 'c', 'd'];
        if of.is_mirrored() {
            corners = ['b', 'a', 'd', 'c'];
        }
        corners.rotate_right(of.quarters().into());
        corners.into_iter().collect()
    }

    #[test]
    fn flips_and_turns_are_what_they_are_called() {
        let flipped = |across, down| corners(Orientation::flipped(across, down));
        assert_eq!([flipped(true, false), flipped(false, true)], ["badc", "dcba"]);
        assert_eq!(flipped(true, true), "cdab");
        assert_eq!(corners(Orientation::turned(1)), "dabc");
        assert!(
            Orientation::flipped(false, false).is_upright() && Orientation::turned(4).is_upright()
        );
        let size = Size::new(64, 32).unwrap();
        assert_eq!(Orientation::turned(3).size(size), Size::new(32, 64).unwrap());
        assert_eq!(Orientation::turned(2).size(size), size);
    }

    #[test]
    fn one_after_the_other_is_what_both_do() {
        let all = || (0..8).map(|n| Orientation { mirrored: n > 3, quarters: n % 4 });
        for (first, next) in all().flat_map(|first| all().map(move |next| (first, next))) {
            let (once, then) = (corners(first), corners(next));
            let places = then.bytes().map(|corner| usize::from(corner - b'a'));
            let both: String = places.map(|at| char::from(once.as_bytes()[at])).collect();
            assert_eq!(corners(first.then(next)), both, "{first:?} {next:?}");
        }
    }
}
