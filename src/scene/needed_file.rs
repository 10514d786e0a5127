//! Files of a scene: the pictures and fonts that its layers are loaded from.

use std::path::PathBuf;

use super::error::Error;
use super::fonts::is_path;
use super::model::Source;
use super::resolve::{PlacedLayer, ResolvedScene};

impl ResolvedScene {
    /// The pictures and the font files that it is loaded from, each once. Video files are not among
    /// them: they are played, not loaded.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.layers().into_iter().flat_map(loaded_files).collect();
        files.sort();
        files.dedup();
        files
    }
}

/// The picture or the font files that a layer is loaded from.
pub(super) fn loaded_files(layer: &PlacedLayer) -> Vec<PathBuf> {
    if let Source::Image(path) = &layer.source {
        return vec![path.clone()];
    }
    let styles = layer.source.text_style().into_iter();
    let fonts = styles.flat_map(|style| style.font.iter().chain(&style.fallback_fonts));
    fonts.filter(|font| is_path(font)).map(PathBuf::from).collect()
}

/// The fault of a layer whose file or font cannot be had, made from its cause; `None` if it needs
/// neither.
pub(super) fn needs_file(layer: &PlacedLayer) -> Option<impl FnOnce(String) -> Error> {
    let (what, is_font) = needed_file(layer)?;
    let layer = layer.name.clone();
    Some(move |cause| match is_font {
        true => Error::Font { layer, font: what, cause },
        false => Error::File { layer, path: what.into(), cause },
    })
}

/// The file or font that a layer needs first, and whether it is a font.
fn needed_file(layer: &PlacedLayer) -> Option<(String, bool)> {
    if let Source::Image(path) = &layer.source {
        return Some((path.display().to_string(), false));
    }
    let style = layer.source.text_style()?;
    let font = style.font.as_ref().or_else(|| style.fallback_fonts.first())?;
    Some((font.clone(), true))
}
