//! Transaction: edits of a channel's scenes, layers and overlays and of what is on the air, all of
//! which are seen from one frame on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::edits::{Edits, LayerKeys};
use super::library::Target;
use crate::command::Answer;
use crate::config::transition_from_document;
use crate::pipeline::{AHEAD_MAX, FRAMES_AHEAD_MAX, StartAt};
use crate::scene::Transition;

/// A transaction as it was read.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) edits: Edits,
    pub(super) at: StartAt,
    /// Versions that must be the present ones.
    pub(super) versions: Vec<(Target, u64)>,
    /// `None` if nothing is said.
    pub(super) transition: Option<Transition>,
}

/// The keys of its document.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    at: At,
    versions: Versions,
    scenes: BTreeMap<String, Option<Value>>,
    layers: BTreeMap<String, LayerKeys>,
    overlays: Option<Value>,
    overlay_layers: LayerKeys,
    active: Option<String>,
    transition: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    #[default]
    Now,
    Frame(u64),
    UnixMs(u64),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Versions {
    scenes: BTreeMap<String, u64>,
    overlays: Option<u64>,
}

impl Transaction {
    /// Reads a document.
    ///
    /// # Errors
    /// What of its own keys is wrong; what is wrong with scenes is found when they are made.
    pub(super) fn read(document: Value) -> Result<Self, Vec<String>> {
        let document = Document::deserialize(document).map_err(|error| vec![error.to_string()])?;
        let Document { at, versions, transition, .. } = document;
        let transition = transition.as_ref().map(transition_from_document).transpose()?;
        let at = match at {
            At::Now => StartAt::Now,
            At::Frame(frame) => StartAt::Frame(frame),
            At::UnixMs(ms) => StartAt::UnixMs(ms),
        };
        let Versions { scenes: of_scenes, overlays: of_overlays } = versions;
        let of_scenes = of_scenes.into_iter().map(|(name, it)| (Target::Scene(name), it));
        let of_overlays = of_overlays.map(|version| (Target::Overlays, version));
        let versions = of_scenes.chain(of_overlays).collect();
        let Document { scenes, layers, overlays, overlay_layers, active, .. } = document;
        let edits = Edits { scenes, layers, overlays, overlay_layers, active, has_paths: true };
        Ok(Self { edits, at, versions, transition })
    }

    /// How the scene called `name` says that it comes on the air, if it is written here.
    pub(super) fn own_transition(&self, name: &str) -> Option<Transition> {
        let written = self.edits.scenes.get(name)?.as_ref()?.get("transition")?;
        transition_from_document(written).ok()
    }
}

/// A change that has been looked at in the frame of this number.
pub(super) fn too_far(tick: u64) -> Answer {
    let seconds = AHEAD_MAX.0 / 1_000_000;
    Answer::Invalid(vec![format!(
        "at: it is frame {tick} now; name one at most {FRAMES_AHEAD_MAX} frames ahead, or a time \
         at most {seconds} s ahead"
    )])
}
