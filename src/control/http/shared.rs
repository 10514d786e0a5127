//! State that HTTP handlers share.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::api::{Api, Followers};
use super::rate_limiter::RateLimiter;
use super::readiness::Readiness;
use super::rules::HttpRules;
use crate::control::metrics::Metrics;
use crate::stats::Registry;
use crate::tls::Acceptor;
use crate::web::Cors;

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct HttpState {
    /// The figures.
    pub registry: Arc<Registry>,
    /// Whether the node can be used.
    pub readiness: Arc<Readiness>,
    /// What does not change.
    pub info: NodeInfo,
    /// What the API is made of.
    pub api: Arc<Api>,
    /// Which web pages from elsewhere may use it.
    pub cors: Cors,
    /// What may change while the node runs.
    pub rules: Arc<ArcSwap<HttpRules>>,
    /// With what it meets peers by TLS; `None` for plain HTTP.
    pub tls: Option<Acceptor>,
}

/// What the node is called and where it listens.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Name of the node.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Where RTMP listens.
    pub rtmp: SocketAddr,
    /// Where streams are played over HTTP by pages of ours, and whether by TLS.
    pub flv: (SocketAddr, bool),
}

/// What handlers share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What the answers are made from.
    pub(super) state: HttpState,
    /// The metrics.
    pub(super) metrics: Metrics,
    /// What the API is made of.
    pub(super) api: Arc<Api>,
    /// How often addresses ask that show a token.
    pub(super) limiter: RateLimiter,
    /// How often addresses ask that show none, or a wrong one.
    pub(super) strangers: RateLimiter,
    /// Who follows the state.
    pub(super) followers: Followers,
}

impl Shared {
    /// The state of a server that has answered nothing yet.
    pub(super) fn new(state: HttpState) -> Self {
        let metrics =
            Metrics::new(Arc::clone(&state.registry), &state.info.version, state.api.keys.clone());
        Self {
            metrics,
            api: Arc::clone(&state.api),
            limiter: RateLimiter::of_known(),
            strangers: RateLimiter::of_strangers(),
            followers: Followers::default(),
            state,
        }
    }
}
