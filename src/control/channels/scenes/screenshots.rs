//! Screenshots of scenes, for who wants to see one before it is on the air: each on a thread of its
//! own.

use std::sync::Arc;

use super::Scenes;
use crate::command::Answer;
use crate::control::channels::screenshot::{scaled_to, screenshot};
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
