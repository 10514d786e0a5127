//! Job of a channel's scenes: what is to be loaded and shown, and what is known of it meanwhile.

use std::sync::Arc;

use super::asset_files::FileStamps;
use super::edits::Edited;
use super::load::{Bound, How, What};
use crate::control::handle::Reply;
use crate::media::Micros;
use crate::pipeline::StartAt;
use crate::scene;
use crate::stats::LayerCost;

/// What a wish takes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) what: What,
    pub(super) how: How,
    pub(super) at: StartAt,
    /// The scene that is on the air then; as before if nothing is said.
    pub(super) activates: Option<String>,
    /// Whether the answer has the frame of the change.
    pub(super) tells_frame: bool,
}

/// A wish on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: u64,
    /// What becomes of scenes and overlays, once that is known.
    pub(super) edited: Edited,
    /// What of it cannot be shown, once that is known.
    pub(super) faults: Vec<scene::Error>,
    /// What its layers cost, once it is loaded.
    pub(super) layers: Vec<Arc<LayerCost>>,
    /// Its files as they were before it was loaded.
    pub(super) files: FileStamps,
    pub(super) at: StartAt,
    pub(super) activates: Option<String>,
    pub(super) tells_frame: bool,
    /// What its texts are bound to, once it is loaded.
    pub(super) bound: Option<Bound>,
    /// Whether the composer has been told.
    pub(super) sent: bool,
    /// Taken when somebody has been answered.
    pub(super) reply: Option<Reply>,
    pub(super) deadline: Micros,
    /// Whether it is a change to be kept, and not from the configuration.
    pub(super) keep: bool,
}
