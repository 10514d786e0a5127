//! Requests of a peer that hooks may decide about, and those that wait for an answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::{Params, SnapshotWidth};
use crate::event::Stage;
use crate::keys::{Grant, KeyHash};
use crate::media::Micros;

/// Why something is done that the peer no longer wants.
pub(super) const WITHDRAWN: &str = "withdrawn";

/// What a connection does once it may.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Go on after `connect`.
    Connect,
    /// Play a stream by HTTP, which is to connect and to play in one.
    Web { name: String, params: Params },
    /// Publish under this name with this grant; without one if anybody may, or with a key that
    /// could not be checked.
    Publish { name: Arc<str>, grant: Option<Arc<Grant>>, unchecked: Option<KeyHash> },
    /// Play this stream.
    Play { name: String },
}

impl Request {
    /// The stage that it begins.
    pub(super) const fn stage(&self) -> Stage {
        match self {
            Self::Connect | Self::Web { .. } => Stage::Connect,
            Self::Publish { .. } => Stage::Publish,
            Self::Play { .. } => Stage::Play,
        }
    }
}

/// A request that waits for an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) request: Request,
    /// What hooks may see of the query.
    pub(super) params: Params,
    /// Number of the question among those of its connection.
    pub(super) question: u32,
    /// When the answer is given up.
    #[serde(with = "crate::media::instants")]
    pub(super) until: Micros,
}

impl Pending {
    /// The stage that it begins.
    pub(super) const fn stage(&self) -> Stage {
        self.request.stage()
    }

    /// The key with which it is about to publish.
    pub(super) fn key(&self) -> Option<KeyHash> {
        match &self.request {
            Request::Publish { grant, unchecked, .. } => {
                grant.as_ref().map(|grant| grant.key).or(*unchecked)
            }
            Request::Connect | Request::Web { .. } | Request::Play { .. } => None,
        }
    }
}

/// A connection's wait for a snapshot.
#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotWait {
    pub(super) stream: Arc<str>,
    pub(super) width: SnapshotWidth,
    /// Number of the question among those of its connection.
    pub(super) question: u32,
    /// When the answer is given up.
    #[serde(with = "crate::media::instants")]
    pub(super) until: Micros,
}
