//! Reuse of loaded layers by the scene that takes their place: what looks the same is neither
//! loaded nor drawn again.

use super::damage::Damage;
use super::layers::{Content, Group, Layers, Prepared};
use super::source::Painter;
use crate::media::Rect;

impl Layers {
    /// Goes on with the layers of `old` that look the same, and what is drawn of them, once inputs
    /// have taken over their pictures; where the two may differ.
    pub(super) fn reuse(&mut self, old: &mut Self, canvas: Rect) -> Damage {
        if self.0.len() != old.0.len() {
            return Damage::all(canvas);
        }
        let mut changed = Damage::none(canvas);
        for (new, old) in self.0.iter_mut().zip(&mut old.0) {
            if new.is_like(old) {
                new.go_on_as(old);
                continue;
            }
            for layer in [old, new].into_iter().filter(|layer| layer.alpha > 0) {
                changed.add(layer.bounds());
            }
        }
        changed
    }
}

impl Prepared {
    /// Whether it is drawn as `old` is, at the same place.
    fn is_like(&self, old: &Self) -> bool {
        let is_there = (self.alpha, self.clip) == (old.alpha, old.clip);
        is_there
            && match (&self.content, &old.content) {
                (Content::Painter(Painter::Input(_)), Content::Painter(_)) => {
                    self.is_same_source(old) && self.input.is_some() && self.input == old.input
                }
                (Content::Painter(_), Content::Painter(_)) => self.is_same_source(old),
                (Content::Group(new), Content::Group(old)) => new.is_like(old),
                _ => false,
            }
    }

    fn is_same_source(&self, old: &Self) -> bool {
        self.source.is_some() && self.source == old.source
    }

    /// Takes the place of `old`. Inputs have done so before.
    fn go_on_as(&mut self, old: &mut Self) {
        if !matches!(self.content, Content::Painter(Painter::Input(_))) {
            std::mem::swap(&mut self.content, &mut old.content);
        }
    }
}

impl Group {
    /// Whether it is drawn as `old` is. What moves, and what has inputs, is drawn again.
    fn is_like(&self, old: &Self) -> bool {
        let is_still = |layer: &Prepared| match &layer.content {
            Content::Painter(painter) => !matches!(painter, Painter::Input(_)),
            Content::Group(group) => group.motion.is_none(),
        };
        let (new, was) = (&self.layers.0, &old.layers.0);
        self.motion.is_none()
            && old.motion.is_none()
            && self.effects == old.effects
            && new.len() == was.len()
            && new.iter().zip(was).all(|(new, was)| is_still(new) && new.is_like(was))
    }
}
