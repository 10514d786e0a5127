//! Files of a scene: the pictures and fonts that its layers are loaded from.

use std::path::PathBuf;

use super::error::Error;
use super::fonts::is_path;
use super::model::{ClockSpec, Source, TextStyle};
use super::resolve::{PlacedLayer, ResolvedScene};

impl ResolvedScene {
    /// The pictures and the font files that it is loaded from, each once. Video files are not among
    /// them: they are played, not loaded.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.layers().into_iter().filter_map(loaded_file).collect();
        files.sort();
        files.dedup();
        files
    }
}

/// The picture or the font file that a layer is loaded from.
pub(super) fn loaded_file(layer: &PlacedLayer) -> Option<PathBuf> {
    let (name, is_font) = needed_file(layer)?;
    (!is_font || is_path(&name)).then(|| name.into())
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

/// The file or font that a layer needs, and whether it is a font.
fn needed_file(layer: &PlacedLayer) -> Option<(String, bool)> {
    if let Source::Image(path) = &layer.source {
        return Some((path.display().to_string(), false));
    }
    let style = text_style(&layer.source)?;
    style.font.clone().map(|font| (font, true))
}

fn text_style(source: &Source) -> Option<&TextStyle> {
    match source {
        Source::Text { style, .. }
        | Source::Live { style, .. }
        | Source::Network { style, .. }
        | Source::Frames { style, .. }
        | Source::Clock(ClockSpec { style, .. }) => Some(style),
        Source::Ticker(spec) => Some(&spec.style),
        _ => None,
    }
}
