//! Keyframe animation of a layer: values of its position, size and opacity at some times, and what
//! they are between those.

use super::position::{Length, Position};
use super::transition::Easing;
use crate::media::{Micros, Rect};

/// Most keyframes of one layer. Further ones are refused.
pub const KEYFRAMES_MAX: usize = 64;

/// The latest that a keyframe may be: an hour.
pub const KEYFRAME_AT_MAX: Micros = Micros::from_secs(3_600);

/// What becomes of a layer while it is on the air. Its time begins when the layer comes on the air.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Animation {
    /// In the order of their times, at most [`KEYFRAMES_MAX`].
    pub keyframes: Vec<Keyframe>,
    /// Whether it begins again after the last one.
    pub is_loop: bool,
}

/// What a layer is at one time. What it does not name is on its way between the keyframes that do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keyframe {
    /// Since the animation's begin, at most [`KEYFRAME_AT_MAX`].
    pub at: Micros,
    /// As [`Position::x`].
    pub x: Option<Length>,
    /// As [`Position::y`].
    pub y: Option<Length>,
    /// As [`Position::w`].
    pub w: Option<Length>,
    /// As [`Position::h`].
    pub h: Option<Length>,
    /// As [`super::Layer::alpha`].
    pub alpha: Option<u8>,
    /// How it goes on to the next keyframe.
    pub easing: Easing,
}

/// The keyframes of a layer in something with these sides, by what they change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tracks {
    /// Its position where no keyframe says another, and what it is a part of.
    place: Position,
    sides: (i32, i32),
    /// Of `x`, `y`, width and height, pixels.
    lengths: [Track; 4],
    alpha: Track,
    /// The time of the last keyframe, if it begins again there.
    period: Option<Micros>,
}

/// The values of one property, in the order of their times.
#[derive(Clone, Debug, PartialEq)]
struct Track(Box<[(Micros, i32, Easing)]>);

impl Tracks {
    pub(super) fn new(animation: &Animation, place: Position, sides: (i32, i32)) -> Self {
        let (w, h) = sides;
        let track = |of: &dyn Fn(&Keyframe) -> Option<i32>| {
            let frames = animation.keyframes.iter();
            Track(frames.filter_map(|frame| Some((frame.at, of(frame)?, frame.easing))).collect())
        };
        let lengths = [
            track(&|frame| Some(frame.x?.of(w))),
            track(&|frame| Some(frame.y?.of(h))),
            track(&|frame| Some(frame.w?.of(w))),
            track(&|frame| Some(frame.h?.of(h))),
        ];
        let last = animation.keyframes.last().map(|frame| frame.at);
        Self {
            place,
            sides,
            lengths,
            alpha: track(&|frame| frame.alpha.map(i32::from)),
            period: last.filter(|last| animation.is_loop && last.0 > 0),
        }
    }

    /// Whether the size changes.
    pub(super) fn scales(&self) -> bool {
        let [.., w, h] = &self.lengths;
        !w.0.is_empty() || !h.0.is_empty()
    }

    /// The box after so long, if it is not the layer's own; the opacity, if it is not.
    pub(super) fn at(&self, gone: Micros) -> (Option<Rect>, Option<u8>) {
        let gone = self.period.map_or(gone, |period| Micros(gone.0 % period.0));
        let [x, y, w, h] = self.lengths.each_ref().map(|track| track.at(gone));
        let length = |value: Option<i32>, own: Length| value.map_or(own, Length::Pixels);
        let place = Position {
            x: length(x, self.place.x),
            y: length(y, self.place.y),
            w: length(w, self.place.w),
            h: length(h, self.place.h),
            anchor: self.place.anchor,
        };
        let is_moved = x.or(y).or(w).or(h).is_some();
        let alpha = self.alpha.at(gone).and_then(|alpha| u8::try_from(alpha).ok());
        (is_moved.then(|| place.within(self.sides)), alpha)
    }
}

impl Track {
    /// The value then: the first before all, the last after all, `None` if there is none.
    fn at(&self, gone: Micros) -> Option<i32> {
        let next = self.0.partition_point(|(at, ..)| *at <= gone);
        let (last, after) = (next.checked_sub(1).map(|last| self.0[last]), self.0.get(next));
        match (last, after) {
            (Some((at, from, easing)), Some((end, to, _))) => {
                Some(easing.long(gone.since(at), end.since(at)).between(from, *to))
            }
            (Some((_, value, _)), None) => Some(value),
            (None, first) => first.map(|(_, value, _)| *value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::position::Anchor;

    fn at(ms: u64) -> Keyframe {
        Keyframe { at: Micros::from_millis(ms), ..Keyframe::default() }
    }

    fn tracks(keyframes: Vec<Keyframe>, is_loop: bool) -> Tracks {
        let place = Position { anchor: Anchor::Center, ..Rect { x: 0, y: 0, w: 20, h: 10 }.into() };
        Tracks::new(&Animation { keyframes, is_loop }, place, (100, 50))
    }

    #[test]
    fn each_property_goes_from_one_keyframe_that_names_it_to_the_next() {
        let keyframes = vec![
            Keyframe { x: Some(Length::Pixels(-10)), alpha: Some(0), ..at(100) },
            Keyframe { alpha: Some(200), easing: Easing::EaseIn, ..at(200) },
            Keyframe { x: Some(Length::Percent(30_000)), ..at(500) },
            Keyframe { alpha: Some(100), ..at(600) },
        ];
        let tracks = tracks(keyframes, false);
        let seen = [0, 100, 150, 300, 500, 9_000].map(|ms| {
            let (place, alpha) = tracks.at(Micros::from_millis(ms));
            (place.unwrap().x, alpha.unwrap())
        });
        assert_eq!(seen, [(30, 0), (30, 0), (35, 100), (50, 194), (70, 144), (70, 100)]);
        assert!(!tracks.scales(), "its size is its own");
    }

    #[test]
    fn a_loop_begins_again_and_the_box_stays_at_its_anchor() {
        let keyframes = vec![
            Keyframe { w: Some(Length::Pixels(20)), ..at(0) },
            Keyframe { w: Some(Length::Pixels(40)), ..at(1_000) },
        ];
        let tracks = tracks(keyframes, true);
        let of = |ms| tracks.at(Micros::from_millis(ms)).0.unwrap();
        assert_eq!(of(500), Rect { x: 35, y: 20, w: 30, h: 10 });
        assert_eq!((of(1_500), of(1_000)), (of(500), of(0)));
        assert!(tracks.scales() && tracks.at(Micros(0)).1.is_none());
    }
}
