//! Screenshots of scenes, for who wants to see one before it is on the air: each on a thread of its
//! own.

use std::sync::Arc;

use super::Scenes;
use crate::command::Answer;
use crate::control::channels::screenshot::screenshot;
use crate::control::handle::{Reply, say};
use crate::media::Size;

/// Pixels across, where nobody says and the canvas is not narrower.
const WIDTH: u32 = 480;

/// Screenshots of a node that are made at once. Further ones are turned away.
const SCREENSHOTS_MAX: usize = 2;

impl Scenes {
    /// Answers with `scene` of the channel at place `at`, drawn `width` pixels wide, with what lies
    /// above every scene.
    pub(super) fn screenshot(&self, at: usize, scene: &str, width: Option<u32>, reply: Reply) {
        let programme = &self.channels[at];
        if programme.place(scene).is_none() {
            return say(reply, programme.no_scene(scene));
        }
        let canvas = programme.size;
        let width = width.unwrap_or_else(|| WIDTH.min(canvas.width()));
        let Some(size) = scaled_to(canvas, width) else {
            let (least, most) = (Size::SIDE_MIN, canvas.width());
            let text = format!(
                "`width` must be {least} to {most}, and the height at least {least}; not {width}"
            );
            return say(reply, Answer::Invalid(vec![text]));
        };
        let resolved = match programme.library().drawn_at(scene, size) {
            Ok(resolved) => resolved,
            Err(faults) => return say(reply, Answer::Invalid(faults)),
        };
        // Each that is being made holds one reference, beside the one here.
        if Arc::strong_count(&self.screenshots) > SCREENSHOTS_MAX {
            let text = "other screenshots are being made; try again".to_owned();
            return say(reply, Answer::Unavailable(text));
        }
        let (turn, unix_ms) = (Arc::clone(&self.screenshots), self.clock.unix_millis());
        let loader = Arc::clone(&self.loader);
        let make = move || {
            let made = screenshot(&resolved, &loader, unix_ms);
            drop(turn);
            say(reply, made.map_or_else(Answer::Unavailable, Answer::Screenshot));
        };
        // Whoever asked is told by the reply that is dropped.
        if let Err(error) = self.spawn(at, "screenshot", make) {
            tracing::warn!("channel {}: no thread for a screenshot: {error}", programme.name);
        }
    }
}

/// The canvas' shape, this wide; `None` if it is too small then, or wider than the canvas.
fn scaled_to(canvas: Size, width: u32) -> Option<Size> {
    let height = (canvas.height() * width.min(canvas.width())).div_ceil(canvas.width());
    let size = Size::new(width & !1, (height + 1) & !1)?;
    (width <= canvas.width()).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screenshot_has_the_canvas_shape_and_even_sides() {
        let size = |w, h| Size::new(w, h).unwrap();
        let hd = size(1_920, 1_080);
        assert_eq!(scaled_to(hd, 480), Some(size(480, 270)));
        assert_eq!(scaled_to(hd, 321), Some(size(320, 182)));
        assert_eq!(scaled_to(hd, 1_920), Some(hd));
        assert_eq!((scaled_to(hd, 1_922), scaled_to(hd, 24)), (None, None));
        assert_eq!(scaled_to(hd, u32::MAX), None);
    }
}
