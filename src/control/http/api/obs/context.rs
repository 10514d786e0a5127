//! Context of obs-websocket sessions: what they share, and who may open one.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Semaphore, broadcast};

use crate::control::auth::Token;
use crate::control::http::shared::Shared;
use crate::media::Micros;

/// Programs that may be connected and identified at once.
pub(super) const SESSIONS_MAX: usize = 16;

/// What programs that control OBS may control here.
#[derive(Clone, Debug)]
pub struct ObsAccess {
    /// The channel.
    pub channel: String,
    /// The password that they show.
    pub password: Token,
}

/// What sessions share.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub shared: Arc<Shared>,
    pub channel: Arc<str>,
    pub password: Token,
    /// Events that sessions send each other.
    pub custom: broadcast::Sender<Value>,
    /// Places for those that have identified themselves.
    pub places: Arc<Semaphore>,
}

/// Figures of a session, for `GetStats`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    /// Messages so far.
    pub incoming: u64,
    pub outgoing: u64,
    /// Processor time of the node when it was asked for last, seconds, and when that was.
    pub cpu: Option<(f64, Micros)>,
}
