//! State of an output, a pull, a push or a recording: the one list of words for the API, the
//! WebSocket, the dashboard, metrics, the log and the documents.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

/// State of an output, a pull, a push or a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It was switched off, or has not been switched on yet.
    #[default]
    Stopped,
    /// It has nothing to do: its stream is not live (for a recording: or has no keyframe yet), or
    /// nobody reads what a pull on demand would bring.
    Idle,
    /// It looks up the other server, connects, or asks for consent.
    Connecting,
    /// It sends, receives or writes its stream.
    Live,
    /// It could not go on, and waits for its next try.
    Failed,
}

impl RunState {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 5] =
        [Self::Stopped, Self::Idle, Self::Connecting, Self::Live, Self::Failed];

    /// The word for it everywhere: `stopped`, `idle`, `connecting`, `live` or `failed`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Failed => "failed",
        }
    }
}

/// A state that one thread writes and any may read.
#[derive(Debug, Default)]
pub(super) struct StateCell(AtomicU8);

impl StateCell {
    pub(super) fn set(&self, state: RunState) {
        self.0.store(state as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> RunState {
        let state = usize::from(self.0.load(Ordering::Relaxed));
        RunState::ALL.get(state).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_and_has_one_word() {
        let cell = StateCell::default();
        assert_eq!(cell.get(), RunState::Stopped);
        for state in RunState::ALL {
            cell.set(state);
            assert_eq!(cell.get(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.label());
        }
    }

    #[test]
    fn the_dashboard_and_the_documents_have_the_same_words() {
        let words = RunState::ALL.map(|state| format!("\"{}\"", state.label())).join(" | ");
        let types = include_str!("../../web/src/types.ts");
        assert!(types.contains(&format!("export type RunState = {words};")), "{words}");
        let document = include_str!("../../docs/api.md");
        for state in RunState::ALL {
            assert!(document.contains(&format!("\n| `{}` | ", state.label())), "{state:?}");
        }
    }
}
