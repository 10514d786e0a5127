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
    /// Whether it can be made at the same frame as others.
    pub(super) const fn can_share(&self) -> bool {
        !self.is_alone && matches!(self.wish, SceneRequest::Edit { .. })
    }

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
    /// Of one scene or of the overlays, which must be at this version if one is named.
    Edit {
        target: Target,
        version: Option<u64>,
        edit: Edit,
    },
    Activate {
        scene: String,
        transition: Option<Value>,
    },
    /// Of the scene in preview; with `swap` the one that was on the air is there then.
    Take {
        transition: Option<Value>,
        swap: bool,
        /// The frame that was on the air when it came.
        asked: u64,
    },
    Remove {
        scene: String,
    },
    Transaction(Value),
}

/// A change of one scene or of the overlays.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// All of it becomes what a document says.
    Put(Value),
    /// Keys of one layer become what a merge patch says.
    Patch { layer: String, keys: Map<String, Value> },
}

impl SceneRequest {
    /// Whether its answer has the frame of the change.
    pub(super) const fn tells_frame(&self) -> bool {
        matches!(self, Self::Edit { edit: Edit::Patch { .. }, .. } | Self::Transaction(_))
    }

    /// The request that is asked.
    ///
    /// # Errors
    /// Gives back what is none.
    pub(super) fn of(ask: Ask) -> Result<Self, Box<Ask>> {
        Ok(match ask {
            Ask::PutScene { scene, version, document, .. } => {
                let (target, edit) = (Target::Scene(scene), Edit::Put(document));
                Self::Edit { target, version, edit }
            }
            Ask::PutOverlays { version, document, .. } => {
                Self::Edit { target: Target::Overlays, version, edit: Edit::Put(document) }
            }
            Ask::PatchLayer { scene, layer, version, patch, .. } => {
                let target = scene.map_or(Target::Overlays, Target::Scene);
                Self::Edit { target, version, edit: Edit::Patch { layer, keys: patch } }
            }
            Ask::Activate { scene, transition, .. } => Self::Activate { scene, transition },
            Ask::Take { transition, swap, .. } => Self::Take { transition, swap, asked: 0 },
            Ask::RemoveScene { scene, .. } => Self::Remove { scene },
            Ask::Transaction { document, .. } => Self::Transaction(document),
            other => return Err(Box::new(other)),
        })
    }
}
