//! Probe of a connection for the simulation: its state, as the invariants name it.

use std::sync::Arc;

use super::{Connection, Role};
use crate::limits::Audience;
use crate::media::Micros;
use crate::shard::stream_id::StreamId;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Doing {
    Pending,
    AwaitsKey,
    AwaitsHook,
    AwaitsStream,
    AwaitsSnapshot,
    Publishes(StreamId),
    Plays(StreamId),
}

impl Connection {
    pub(in crate::shard) const fn doing(&self) -> Doing {
        match self.role {
            Role::Pending => Doing::Pending,
            Role::AwaitsKey => Doing::AwaitsKey,
            Role::AwaitsHook(_) => Doing::AwaitsHook,
            Role::AwaitsStream(..) => Doing::AwaitsStream,
            Role::AwaitsSnapshot(_) => Doing::AwaitsSnapshot,
            Role::Publisher(stream) => Doing::Publishes(stream),
            Role::Player(stream) => Doing::Plays(stream),
        }
    }

    /// Whether a message that it publishes has come in part.
    pub(in crate::shard) const fn is_within_message(&self) -> bool {
        !self.protocol.is_between_messages()
    }

    /// Whether it waits for an answer of control.
    pub(in crate::shard) const fn awaits_answer(&self) -> bool {
        matches!(self.role, Role::AwaitsKey | Role::AwaitsHook(_) | Role::AwaitsSnapshot(_))
    }

    /// Whose viewer it is counted as.
    pub(in crate::shard) fn audience(&self) -> Option<&Arc<Audience>> {
        self.permit.as_ref().map(|permit| permit.audience())
    }

    /// When its close is over at the latest.
    pub(in crate::shard) fn closes_by(&self) -> Option<Micros> {
        self.closing.as_ref().map(|(_, by)| *by)
    }

    /// Grows with what is asked of hooks about it, and with refusals.
    pub(in crate::shard) const fn questions_so_far(&self) -> u32 {
        self.questions.wrapping_add(self.refused_plays)
    }

    /// Whether it waits for a name.
    pub(in crate::shard) const fn awaits_name(&self) -> bool {
        self.credentials.name_request.is_some()
    }
}
