//! Source of a layer at another size: what its scene's letters, lines and speeds become.

use super::model::{ClockSpec, Source, TextStyle, TickerSpec};

/// The smallest letters that a scene is scaled to, pixels.
const LETTERS_MIN: f32 = 4.0;

/// A source as it is when its scene is shown at another size.
pub(super) fn scaled(source: &Source, scale: f32) -> Source {
    let mut source = source.clone();
    if (scale - 1.0).abs() < f32::EPSILON {
        return source;
    }
    let letters = |style: &mut TextStyle| style.size = (style.size * scale).max(LETTERS_MIN);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = |pixels: u32| (f64::from(pixels) * f64::from(scale)).round() as u32;
    match &mut source {
        Source::Text { style, text_box, .. } => {
            letters(style);
            text_box.padding = whole(text_box.padding);
            if let Some(outline) = &mut text_box.outline {
                outline.width = whole(outline.width).max(1);
            }
        }
        Source::Live { style, .. }
        | Source::Network { style, .. }
        | Source::Frames { style, .. }
        | Source::Clock(ClockSpec { style, .. }) => letters(style),
        Source::Ticker(TickerSpec { style, speed, gap, .. }) => {
            letters(style);
            *speed = whole(*speed).max(1);
            *gap = gap.map(whole);
        }
        _ => {}
    }
    source
}
