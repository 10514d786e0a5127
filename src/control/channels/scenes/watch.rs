//! Watch over what the texts of the scene on the air are bound to.

use super::load::Bound;
use crate::config::ChannelConfig;
use crate::control::channels::bound_text::BoundText;
use crate::media::Micros;

/// What the texts of the scene on the air are bound to.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) bound: Bound,
    /// When the files are looked at next.
    pub(super) next: Micros,
    /// A thread looks at them now.
    pub(super) looks: bool,
    /// Something has changed: the scene is to be loaded anew.
    pub(super) reload: bool,
}

impl Watch {
    /// Of a channel that begins.
    pub(super) fn of(config: &ChannelConfig, data: &BoundText) -> Self {
        let scene = config.resolved(config.scene());
        let bound = scene.map_or_else(|_| Bound::default(), |it| Bound::known(&it, data));
        Self { bound, ..Self::default() }
    }
}
