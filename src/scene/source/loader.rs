//! Loader of a scene's sources: what loading needs besides the layer itself.

use crate::media::Rect;
use crate::scene::fonts::Fonts;

/// What loading needs besides the layer itself.
#[derive(Debug)]
pub(in crate::scene) struct Loader {
    /// Found when the first letters are needed.
    pub(in crate::scene) fonts: Option<Fonts>,
    /// What of the canvas the layer may cover; nothing outside it is kept.
    pub(in crate::scene) canvas: Rect,
}

impl Loader {
    pub(in crate::scene) const fn new(canvas: Rect) -> Self {
        Self { fonts: None, canvas }
    }

    pub(super) fn fonts(&mut self) -> &mut Fonts {
        self.fonts.get_or_insert_with(Fonts::new)
    }
}
