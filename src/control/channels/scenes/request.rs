//! Request for a change of a channel's scenes, as it waits for its turn.

use serde_json::{Map, Value};

use super::library::Target;
use crate::command::{Answer, Ask};
use crate::control::handle::{Reply, say};
use crate::media::Micros;

/// A request with whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) wish: SceneRequest,
    /// Taken when somebody has been answered.
    pub(super) reply: Option<Reply>,
    pub(super) deadline: Micros,
    /// Whether it is a change to be kept, and not from the configuration.
    pub(super) keep: bool,
    /// Whether it failed together with others, and is tried by itself.
    pub(super) is_alone: bool,
}

impl Waiting {
    /// Tells who waits.
    pub(super) fn answer(&mut self, answer: Answer) {
        if let Some(reply) = self.reply.take() {
            say(reply, answer);
        }
    }
}

/// What somebody wants of a channel's scenes.
#[derive(Clone, Debug)]
pub(super) enum SceneRequest {
    Put { target: Target, version: Option<u64>, document: Value },
    Activate { scene: String, transition: Option<Value> },
    Remove { scene: String },
    Patch { target: Target, layer: String, version: Option<u64>, keys: Map<String, Value> },
    Transaction(Value),
}

impl SceneRequest {
    /// Whether it can be made at the same frame as others before it: it is an edit, of whatever
    /// version.
    pub(super) const fn can_join(&self) -> bool {
        matches!(self, Self::Put { version: None, .. } | Self::Patch { version: None, .. })
    }

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
