//! Preview of a channel: the scene that is loaded, with its inputs decoded, to be taken at once.

use super::library::OnAir;
use super::load::{How, Prepared};
use crate::command::{PreviewState, PreviewView};
use crate::scene::{PreparedTransition, ResolvedScene, TransitionKind};

/// A scene in preview.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) scene: String,
    /// Of its load: grows with each, so that who draws it knows when it is another.
    pub(super) ticket: u64,
    wanted: Option<Wanted>,
    state: State,
}

/// What has been loaded, or is being loaded.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) next: OnAir,
    /// How it usually comes on the air.
    pub(super) how: How,
    /// Version of what its texts are bound to.
    pub(super) data: u64,
}

#[derive(Debug)]
enum State {
    Loading,
    Ready(Box<Prepared>),
    /// Something of it cannot be shown.
    Failed(String),
}

impl Preview {
    /// One that is to be loaded.
    pub(super) const fn new(scene: String) -> Self {
        Self { scene, ticket: 0, wanted: None, state: State::Loading }
    }

    /// As it would be on the air, once that is known.
    pub(super) fn drawn(&self) -> Option<&OnAir> {
        self.wanted.as_ref().map(|wanted| &wanted.next)
    }

    /// What has been loaded, or is being loaded.
    pub(super) const fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }

    /// Whether that is this.
    pub(super) fn is_of(&self, wanted: &Wanted) -> bool {
        self.wanted.as_ref() == Some(wanted)
    }

    /// It is being loaded.
    pub(super) fn load(&mut self, ticket: u64, wanted: Wanted) {
        (self.ticket, self.wanted, self.state) = (ticket, Some(wanted), State::Loading);
    }

    /// What has come of that.
    pub(super) fn loaded(&mut self, made: Result<Box<Prepared>, String>) {
        self.state = made.map_or_else(State::Failed, State::Ready);
    }

    pub(super) fn view(&self) -> PreviewView {
        let (state, reason) = match &self.state {
            State::Loading => (PreviewState::Loading, None),
            State::Ready(_) => (PreviewState::Ready, None),
            State::Failed(reason) => (PreviewState::Failed, Some(reason.clone())),
        };
        PreviewView { scene: self.scene.clone(), state, reason }
    }

    /// What is loaded of `next`, to come on the air like this, if it is ready; it is to be loaded
    /// anew then. A transition that takes long to prepare is none of those that can be had.
    pub(super) fn take(&mut self, next: &OnAir, how: &How) -> Option<Box<Prepared>> {
        let usual = self.wanted.as_ref().filter(|wanted| wanted.next == *next)?;
        let mut transitions = None;
        if usual.how.transition != how.transition {
            if !is_quick(&how.transition.kind) {
                return None;
            }
            let sizes = next.sizes().map(ResolvedScene::size);
            let made = sizes.map(|size| PreparedTransition::new(&how.transition, size, None));
            transitions = Some(made.collect::<Result<_, _>>().ok()?);
        }
        match std::mem::replace(&mut self.state, State::Loading) {
            State::Ready(mut prepared) => {
                self.wanted = None;
                prepared.transitions = transitions.unwrap_or(prepared.transitions);
                Some(prepared)
            }
            state => {
                self.state = state;
                None
            }
        }
    }
}

/// Whether a transition needs no file and little time to be prepared.
const fn is_quick(kind: &TransitionKind) -> bool {
    matches!(
        kind,
        TransitionKind::Cut
            | TransitionKind::Fade
            | TransitionKind::FadeColor(_)
            | TransitionKind::Slide(_)
            | TransitionKind::Push(_)
    )
}
