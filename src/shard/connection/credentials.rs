//! Credentials of a publisher: what it has shown, the key that was found good, and the name that it
//! waits for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Params;
use crate::keys::{Grant, KeyHash, KeyLimits, RateLimit, plain_limits};
use crate::limits::Asked;
use crate::media::Micros;
use crate::rtmp::StreamName;

/// With what a connection publishes, or asks to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// Hash of what it showed.
    pub(super) shown: Option<KeyHash>,
    /// When the answer about it is given up.
    #[serde(with = "crate::media::instants")]
    pub(super) answer_by: Micros,
    /// What showing it costs, until it is known to be no guess.
    #[serde(skip)]
    pub(super) asked: Option<Asked>,
    /// The public name it asked for, if it gave a key beside it.
    pub(super) named: Option<Box<str>>,
    /// What it asked for taken apart, in case nothing is known about the whole as a key: the public
    /// name, and the key behind it.
    pub(super) parts: Option<(Box<str>, StreamName)>,
    /// The key it publishes with; set while it publishes.
    pub(super) key: Option<KeyHash>,
    /// When that key ends.
    #[serde(with = "crate::media::instants")]
    pub(super) until: Option<Micros>,
    /// What it may send.
    pub(super) rate: Option<RateLimit>,
    /// The limits of its key.
    #[serde(with = "plain_limits")]
    pub(super) limits: KeyLimits,
    /// The name that it waits for.
    pub(super) name_request: Option<NameRequest>,
    /// Whether whoever has the name was asked to make way.
    pub(super) has_asked: bool,
    /// What hooks may see of its query.
    pub(super) params: Params,
    /// When its last message came.
    #[serde(with = "crate::media::instants")]
    pub(super) last_message: Micros,
    /// When its key is looked up again.
    #[serde(with = "crate::media::instants")]
    pub(super) recheck_at: Micros,
}

/// A name that is waited for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NameRequest {
    /// The public name.
    pub(super) name: Arc<str>,
    /// With what it publishes then.
    pub(super) grant: Option<Grant>,
    /// When the answer is given up.
    #[serde(with = "crate::media::instants")]
    pub(super) until: Micros,
}
