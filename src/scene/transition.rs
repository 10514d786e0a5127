//! Transition from one scene to the next: its kind, its length and its easing, as its author wrote
//! them.

use std::path::PathBuf;

use super::color::Color;
use super::direction::Direction;
use crate::media::Micros;

/// The way in which one scene gives way to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transition {
    /// What is seen meanwhile.
    pub kind: TransitionKind,
    /// How long it takes, at most [`Transition::DURATION_MAX`]; 0 is a cut. A cut and a stinger do
    /// not have one.
    pub duration: Micros,
    /// How it gathers and loses speed.
    pub easing: Easing,
}

impl Transition {
    /// The longest.
    pub const DURATION_MAX: Micros = Micros::from_millis(10_000);

    /// The new scene at one frame.
    pub const CUT: Self =
        Self { kind: TransitionKind::Cut, duration: Micros(0), easing: Easing::Linear };

    /// An even fade of this length.
    #[must_use]
    pub const fn fade(duration: Micros) -> Self {
        Self { kind: TransitionKind::Fade, duration, easing: Easing::Linear }
    }
}

/// What is seen during a transition.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TransitionKind {
    /// Nothing: the new scene is there at once.
    #[default]
    Cut,
    /// A mixture of both.
    Fade,
    /// The old scene becomes one colour, and that the new scene.
    FadeColor(Color),
    /// The new scene moves in over the old one.
    Slide(Direction),
    /// The new scene moves in and the old one out before it.
    Push(Direction),
    /// An edge moves over the picture, behind which the new scene is.
    Wipe {
        /// The way of the edge.
        shape: WipeShape,
        /// How wide the edge is, as a part of its whole way, 0 to 1: 0 is as sharp as pixels are.
        softness: f32,
    },
    /// A video over both, behind which they change.
    Stinger {
        /// Its file. What is transparent in it shows the scenes.
        path: PathBuf,
        /// When the scenes change, from its begin.
        cut: Micros,
    },
}

/// The way of a wipe's edge.
#[derive(Clone, Debug, PartialEq)]
pub enum WipeShape {
    /// Straight on.
    Linear(Direction),
    /// Around the middle, clockwise from the top.
    Clock,
    /// A circle that grows from the middle.
    Circle,
    /// From what is dark in a greyscale picture to what is light.
    Luma(PathBuf),
}

/// How a transition gathers and loses speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Easing {
    /// Not at all.
    #[default]
    Linear,
    /// It begins slowly.
    EaseIn,
    /// It ends slowly.
    EaseOut,
    /// It does both.
    EaseInOut,
}

impl Easing {
    /// All of them, by their names.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("linear", Self::Linear),
        ("ease-in", Self::EaseIn),
        ("ease-out", Self::EaseOut),
        ("ease-in-out", Self::EaseInOut),
    ];

    /// What it is called.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("linear", |(word, _)| word)
    }

    /// How far something has come that has been under way for `gone` of `length`: by whole numbers,
    /// so that it is the same on every machine.
    pub(super) fn progress(self, gone: Micros, length: Micros) -> Progress {
        let whole = length.0.clamp(1, Transition::DURATION_MAX.0);
        let gone = gone.0.min(whole);
        let (square, left) = (whole * whole, whole - gone);
        let (part, whole) = match self {
            Self::Linear => (gone, whole),
            Self::EaseIn => (gone * gone, square),
            Self::EaseOut => (square - left * left, square),
            Self::EaseInOut if gone <= left => (2 * gone * gone, square),
            Self::EaseInOut => (square - 2 * left * left, square),
        };
        Progress { part, whole }
    }

    /// The same of what may take longer than a transition, in a million steps.
    pub(super) fn long(self, gone: Micros, length: Micros) -> Progress {
        const STEPS: u64 = 1 << 20;
        let length = length.0.max(1);
        self.progress(Micros(gone.0.min(length) * STEPS / length), Micros(STEPS))
    }
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    part: u64,
    whole: u64,
}

impl Progress {
    /// The part of `all`, rounded down; `all` is at most 16 bits long.
    pub(super) fn of(self, all: u32) -> u32 {
        let part = self.part * u64::from(all.min(1 << 16)) / self.whole;
        u32::try_from(part).unwrap_or(all)
    }

    /// That part of the way from one length or opacity to another, which are at most 16 bits apart,
    /// rounded.
    pub(super) fn between(self, from: i32, to: i32) -> i32 {
        let all = u64::from(from.abs_diff(to).min(1 << 16));
        let part = (2 * self.part * all + self.whole) / (2 * self.whole);
        let part = i32::try_from(part).unwrap_or(0);
        if to < from { from - part } else { from + part }
    }

    /// The part of 255.
    pub(super) fn weight(self) -> u8 {
        u8::try_from(self.of(255)).unwrap_or(255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_easing_goes_from_none_to_all_and_never_back() {
        let length = Transition::DURATION_MAX;
        for (word, easing) in Easing::WORDS {
            let at = |part: u64| easing.progress(Micros(length.0 * part / 100), length).of(1_000);
            let all: Vec<_> = (0..=100).map(at).collect();
            assert_eq!((all[0], all[100]), (0, 1_000), "{word}");
            assert!(all.is_sorted(), "{word}: {all:?}");
            assert_eq!(easing.progress(Micros(length.0 * 2), length).weight(), 255, "{word}");
        }
    }

    #[test]
    fn easings_are_slow_where_their_names_say() {
        let quarter = |easing: Easing, quarters: u64| {
            easing.progress(Micros(quarters * 100), Micros(400)).of(1_000)
        };
        let quarters = |easing| [1, 2, 3].map(|n| quarter(easing, n));
        assert_eq!(quarters(Easing::Linear), [250, 500, 750]);
        assert_eq!(quarters(Easing::EaseIn), [62, 250, 562]);
        assert_eq!(quarters(Easing::EaseOut), [437, 750, 937]);
        assert_eq!(quarters(Easing::EaseInOut), [125, 500, 875]);
    }
}
