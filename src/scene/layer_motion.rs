//! Motion of a layer as its author wrote it: transitions by which it is shown and hidden, and its
//! animation.

use super::keyframes::Animation;
use super::transition::Transition;

/// How a layer comes, goes and moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerMotion {
    /// How it comes when it becomes visible; `None` is at once. A layer is not shown by a stinger,
    /// by way of a colour or by a picture.
    pub show: Option<Transition>,
    /// How it goes when it is no longer visible.
    pub hide: Option<Transition>,
    /// What becomes of it meanwhile.
    pub animation: Option<Animation>,
}
