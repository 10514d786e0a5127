//! Motion of a layer: how it is shown and hidden, its animation, and its way to the place that its
//! layout gives it next. The layer is drawn on a surface at its own place first.

use super::direction::Direction;
use super::keyframes::Tracks;
use super::layout::Transform;
use super::surface::Surface;
use super::transition::{Easing, Progress, Transition, TransitionKind};
use super::wipe_mask::WipeMask;
use crate::media::{Micros, Rect};

/// The motion of a layer at its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlacedMotion {
    /// Of the layer, by which one scene goes on with the motion of another.
    pub(super) name: String,
    /// What the layer says.
    pub(super) is_visible: bool,
    /// Whether what it is in is shown.
    pub(super) is_shown: bool,
    /// Its opacity when it is visible.
    pub(super) alpha: u8,
    /// Its box on the surface or canvas that it is put on, and what of that it may cover.
    pub(super) place: Rect,
    pub(super) clip: Rect,
    pub(super) show: Option<Transition>,
    pub(super) hide: Option<Transition>,
    /// With the way from what places are written in.
    pub(super) tracks: Option<(Tracks, Transform)>,
    /// How it goes to another place in its layout.
    pub(super) relayout: Option<(Micros, Easing)>,
}

/// A motion with all that it needs: made away from the compose core, because it takes memory.
#[derive(Debug)]
pub(super) struct Motion {
    placed: PlacedMotion,
    /// The surface's box where the layer is at its own place.
    natural: Rect,
    /// For being shown and for being hidden.
    masks: [Option<WipeMask>; 2],
    /// What is seen of the layer in another size.
    pub(super) scaled: Option<Surface>,
    state: State,
    pose: Pose,
}

/// What goes on from scene to scene.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The first tick of the animation.
    since: Option<Micros>,
    turn: Option<Turn>,
    /// From where it goes to its place, and the first tick of that.
    way: Option<(Rect, Option<Micros>)>,
    /// Where it is while it goes from a layout that has no more place for it.
    stay: Option<Rect>,
}

/// Being shown or hidden, on its way.
#[derive(Clone, Copy, Debug)]
struct Turn {
    shows: bool,
    gone: Micros,
    /// The last tick of it.
    last: Option<Micros>,
}

/// How a layer is put on what is below at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pose {
    /// The box of its surface; even edges.
    pub(super) dest: Rect,
    /// What of that is seen.
    pub(super) seen: Rect,
    /// How far it is moved inside that, even.
    pub(super) offset: (i32, i32),
    pub(super) alpha: u8,
    /// How far an edge has come behind which it is, or no longer is.
    wipe: Option<(bool, Progress)>,
}

impl Motion {
    /// For a layer whose surface covers `natural` at its own place.
    pub(super) fn new(placed: PlacedMotion, natural: Rect) -> Self {
        let sides = (natural.w.unsigned_abs(), natural.h.unsigned_abs());
        let mask = |transition: &Option<Transition>| match &transition.as_ref()?.kind {
            TransitionKind::Wipe { shape, softness } => {
                // A layer is not wiped by a picture.
                WipeMask::new(shape, *softness, sides, |_| Err(())).ok()
            }
            _ => None,
        };
        let masks = [mask(&placed.show), mask(&placed.hide)];
        let scales = placed.tracks.as_ref().is_some_and(|(tracks, _)| tracks.scales());
        let scaled = (scales || placed.relayout.is_some()).then(|| Surface::new(placed.clip));
        let seen = natural.intersect(placed.clip);
        let alpha = if placed.is_visible && placed.is_shown { placed.alpha } else { 0 };
        let pose = Pose { dest: natural, seen, offset: (0, 0), alpha, wipe: None };
        Self { placed, natural, masks, scaled, state: State::default(), pose }
    }

    pub(super) fn name(&self) -> &str {
        &self.placed.name
    }

    pub(super) const fn pose(&self) -> &Pose {
        &self.pose
    }

    /// Whether it is seen in another size than its surface has.
    pub(super) fn is_scaled(&self) -> bool {
        (self.pose.dest.w, self.pose.dest.h) != (self.natural.w, self.natural.h)
    }

    /// What is taken away of its surface: the mask, how far its edge has come, and whether the
    /// layer is behind the edge or before it.
    pub(super) fn wipe(&self) -> Option<(&WipeMask, Progress, bool)> {
        let (shows, progress) = self.pose.wipe?;
        Some((self.masks[usize::from(!shows)].as_ref()?, progress, shows))
    }

    /// Goes on with the motion of the layer of the same name in the scene before. Unless that
    /// gives way to this one by a transition, what is different of the layer begins to change.
    pub(super) fn follow(&mut self, old: &Self, changes: bool) {
        let (new, was) = (&self.placed, &old.placed);
        let is_same = new.is_visible == was.is_visible;
        // An animation begins again when its layer comes.
        if new.tracks == was.tracks && (is_same || was.is_visible) {
            self.state.since = old.state.since;
        }
        if is_same {
            self.state.turn = old.state.turn;
            self.state.stay = old.state.stay;
        } else if changes {
            let shows = new.is_visible;
            // What had come half of its way goes back the other half.
            let left = old.state.turn.map_or(Micros(0), |turn| {
                let whole = |shows| old.transition(shows).map_or(1, |it| it.duration.0.max(1));
                let to_go = whole(turn.shows).saturating_sub(turn.gone.0);
                let length = self.transition(shows).map_or(0, |it| it.duration.0);
                Micros(to_go * length / whole(turn.shows))
            });
            self.state.turn = Some(Turn { shows, gone: left, last: None });
        }
        if new.relayout.is_none() || !new.is_visible && is_same {
            return;
        }
        let now = old.box_at(old.pose.dest);
        if !new.is_visible {
            self.state.stay = Some(now);
        } else if is_same && new.place == was.place {
            self.state.way = old.state.way;
        } else if is_same && changes {
            self.state.way = Some((now, None));
        }
    }

    /// Begins to be shown or hidden, after a scene in which the layer had no motion.
    pub(super) fn begin(&mut self, was_visible: bool) {
        let shows = self.placed.is_visible;
        if shows != was_visible {
            self.state.turn = Some(Turn { shows, gone: Micros(0), last: None });
        }
    }

    fn transition(&self, shows: bool) -> Option<&Transition> {
        let PlacedMotion { show, hide, .. } = &self.placed;
        if shows { show.as_ref() } else { hide.as_ref() }
    }

    /// Moves to `now` in programme time; whether it is put elsewhere or in another way than before.
    pub(super) fn advance(&mut self, now: Micros) -> bool {
        let pose = self.pose_at(now);
        let is_new = pose != self.pose;
        self.pose = pose;
        is_new
    }

    fn pose_at(&mut self, now: Micros) -> Pose {
        let gone = now.since(*self.state.since.get_or_insert(now));
        let placed = &self.placed;
        let (mut place, mut alpha) = (self.state.stay.unwrap_or(placed.place), placed.alpha);
        if let Some((tracks, transform)) = &placed.tracks {
            let (moved, opacity) = tracks.at(gone);
            place = moved.map_or(place, |written| transform.rect(written));
            alpha = opacity.unwrap_or(alpha);
        }
        alpha = if placed.is_shown { alpha } else { 0 };
        if let (Some((from, begin)), Some((length, easing))) =
            (&mut self.state.way, placed.relayout)
        {
            let gone = now.since(*begin.get_or_insert(now));
            if gone >= length {
                self.state.way = None;
            } else {
                let progress = easing.progress(gone, length);
                let side = |from, to| progress.between(from, to);
                place = Rect {
                    x: side(from.x, place.x),
                    y: side(from.y, place.y),
                    w: side(from.w, place.w),
                    h: side(from.h, place.h),
                };
            }
        }
        let dest = self.dest_of(place);
        let seen = dest.intersect(self.placed.clip);
        self.turned(now, Pose { dest, seen, offset: (0, 0), alpha, wipe: None })
    }

    /// The pose with what being shown or hidden makes of it.
    fn turned(&mut self, now: Micros, mut pose: Pose) -> Pose {
        let Some(mut turn) = self.state.turn else {
            pose.alpha = if self.placed.is_visible { pose.alpha } else { 0 };
            return pose;
        };
        turn.gone.0 += turn.last.map_or(0, |last| now.since(last).0);
        turn.last = Some(now);
        let transition = self.transition(turn.shows).filter(|it| turn.gone < it.duration);
        let Some(Transition { kind, duration, easing }) = transition else {
            self.state.turn = None;
            pose.alpha = if turn.shows { pose.alpha } else { 0 };
            return pose;
        };
        let progress = easing.progress(turn.gone, *duration);
        match kind {
            TransitionKind::Fade => {
                let weight = if turn.shows { progress.weight() } else { 255 - progress.weight() };
                let product = u16::from(pose.alpha) * u16::from(weight);
                pose.alpha = u8::try_from((product + 127) / 255).unwrap_or(pose.alpha);
            }
            TransitionKind::Slide(direction) | TransitionKind::Push(direction) => {
                pose.offset = offset(*direction, turn.shows, progress, pose.dest);
            }
            TransitionKind::Wipe { .. } => pose.wipe = Some((turn.shows, progress)),
            TransitionKind::Cut | TransitionKind::FadeColor(_) | TransitionKind::Stinger { .. } => {
                pose.alpha = if turn.shows { pose.alpha } else { 0 };
            }
        }
        self.state.turn = Some(turn);
        pose
    }

    /// Where the surface is when the layer's box is there.
    fn dest_of(&self, place: Rect) -> Rect {
        let (own, natural) = (self.placed.place, self.natural);
        if (place.w, place.h) == (own.w, own.h) {
            // A surface that keeps its size moves by whole samples of colour.
            let (dx, dy) = ((place.x - own.x) & !1, (place.y - own.y) & !1);
            return Rect { x: natural.x + dx, y: natural.y + dy, ..natural };
        }
        let along = |length: i32, to: i32, of: i32| scaled(length, to, of);
        Rect {
            x: place.x + along(natural.x - own.x, place.w, own.w),
            y: place.y + along(natural.y - own.y, place.h, own.h),
            w: along(natural.w, place.w, own.w),
            h: along(natural.h, place.h, own.h),
        }
        .even()
    }

    /// Where the layer's box is when the surface is there.
    fn box_at(&self, dest: Rect) -> Rect {
        let (own, natural) = (self.placed.place, self.natural);
        Rect {
            x: dest.x + scaled(own.x - natural.x, dest.w, natural.w),
            y: dest.y + scaled(own.y - natural.y, dest.h, natural.h),
            w: scaled(own.w, dest.w, natural.w),
            h: scaled(own.h, dest.h, natural.h),
        }
    }
}

/// `length * to / of`, rounded.
fn scaled(length: i32, to: i32, of: i32) -> i32 {
    let of = i64::from(of.max(1));
    let product = i64::from(length) * i64::from(to);
    i32::try_from((2 * product + of).div_euclid(2 * of)).unwrap_or(0)
}

/// How far what is shown or hidden has still to go, or has gone, in a box.
fn offset(direction: Direction, shows: bool, progress: Progress, dest: Rect) -> (i32, i32) {
    let length = if direction.is_upright() { dest.h } else { dest.w };
    let come = progress.between(0, length);
    // What comes in begins behind the edge that it comes from.
    let along = (if shows { come - length } else { come }) & !1;
    match direction {
        Direction::Right => (along, 0),
        Direction::Left => (-along, 0),
        Direction::Down => (0, along),
        Direction::Up => (0, -along),
    }
}
