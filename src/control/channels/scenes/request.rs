//! Request for a change of a channel's scenes, as it waits for its turn.

use serde_json::{Map, Value};

use super::library::Target;
use crate::command::Ask;
use crate::control::handle::Reply;
use crate::media::Micros;

/// A wish that waits for an earlier one.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) wish: SceneRequest,
    pub(super) reply: Reply,
    pub(super) deadline: Micros,
    pub(super) keep: bool,
}

/// What somebody wants of a channel's scenes.
#[derive(Debug)]
pub(super) enum SceneRequest {
    Put { target: Target, version: Option<u64>, document: Value },
    Activate { scene: String, transition: Option<Value> },
    Remove { scene: String },
    Patch { target: Target, layer: String, version: Option<u64>, keys: Map<String, Value> },
    Transaction(Value),
}

impl SceneRequest {
    /// The request that is asked.
    ///
    /// # Errors
    /// Gives back what is none.
    pub(super) fn of(ask: Ask) -> Result<Self, Box<Ask>> {
        Ok(match ask {
            Ask::PutScene { scene, version, document, .. } => {
                Self::Put { target: Target::Scene(scene), version, document }
            }
            Ask::PutOverlays { version, document, .. } => {
                Self::Put { target: Target::Overlays, version, document }
            }
            Ask::PatchLayer { scene, layer, version, patch, .. } => {
                let target = scene.map_or(Target::Overlays, Target::Scene);
                Self::Patch { target, layer, version, keys: patch }
            }
            Ask::Activate { scene, transition, .. } => Self::Activate { scene, transition },
            Ask::RemoveScene { scene, .. } => Self::Remove { scene },
            Ask::Transaction { document, .. } => Self::Transaction(document),
            other => return Err(Box::new(other)),
        })
    }
}
