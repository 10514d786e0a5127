//! Job of a channel's scenes: what is to be loaded and shown, and what is known of it meanwhile.

use std::sync::Arc;

use super::asset_files::FileStamps;
use super::edits::Edited;
use super::load::{Bound, How, Prepared, What};
use super::request::Waiting;
use crate::media::Micros;
use crate::pipeline::StartAt;
use crate::scene;
use crate::stats::LayerCost;

/// What a job takes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) what: What,
    pub(super) how: How,
    pub(super) at: StartAt,
    /// The scene that is on the air then; as before if nothing is said.
    pub(super) activates: Option<String>,
    /// It is loaded, if it was in preview.
    pub(super) prepared: Option<Box<Prepared>>,
}

/// Requests on their way, all of which are seen from one frame on. What one of them asks may be
/// wrong without harm to the others.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: u64,
    /// In their order; none if something is shown again.
    pub(super) requests: Vec<Waiting>,
    /// What each comes to, once that is known.
    pub(super) made: Vec<Result<Edited, Vec<String>>>,
    /// What of it cannot be shown, once that is known.
    pub(super) faults: Vec<scene::Error>,
    /// What its layers cost, once it is loaded.
    pub(super) layers: Vec<Arc<LayerCost>>,
    /// Its files as they were before it was loaded.
    pub(super) files: FileStamps,
    pub(super) at: StartAt,
    pub(super) activates: Option<String>,
    /// What its texts are bound to, once it is loaded.
    pub(super) bound: Option<Bound>,
    /// Whether the composer has been told.
    pub(super) sent: bool,
    /// That of the first request.
    pub(super) deadline: Micros,
}
