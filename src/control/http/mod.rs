//! The node's HTTP side: health, readiness, metrics, the dashboard, the API and what other tools
//! know. No secret is in any answer, but for a new stream key in the one that makes it.

mod api;
mod compat;
mod cors;
mod dashboard;
mod flv;
mod head;
mod lobby;
mod origin;
mod readiness;
mod rules;
mod serve;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

pub use self::api::Api;
use self::api::{Followers, RateLimiter, with_token_or_from_here};
pub use self::readiness::Readiness;
pub use self::rules::HttpRules;
pub use self::serve::{bind, serve};
use self::status::Status;
use crate::control::metrics::{self, Metrics};
use crate::stats::Registry;
use crate::tls::Acceptor;
use crate::web::Cors;

/// What the command line of this program calls itself to the API.
pub const CLI_AGENT: &str = "stream-manager-cli";

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
struct Shared {
    state: HttpState,
    metrics: Metrics,
    api: Arc<Api>,
    /// How often addresses ask that show a token.
    limiter: RateLimiter,
    /// How often addresses ask that show none, or a wrong one.
    strangers: RateLimiter,
    followers: Followers,
}

/// Every path there is. axum answers other methods with 405 and other paths with 404.
fn router(state: HttpState) -> Router {
    let metrics =
        Metrics::new(Arc::clone(&state.registry), &state.info.version, state.api.keys.clone());
    let data_port = state.info.flv.0.port();
    let cors = state.cors.clone();
    let shared = Arc::new(Shared {
        metrics,
        api: Arc::clone(&state.api),
        limiter: RateLimiter::default(),
        strangers: RateLimiter::default(),
        followers: Followers::default(),
        state,
    });
    let figures = Router::new()
        .route("/metrics", get(scrape))
        .route("/status.json", get(status_json))
        .layer(from_fn_with_state(Arc::clone(&shared), with_token_or_from_here));
    let router = Router::new()
        .merge(dashboard::routes(data_port))
        .merge(figures)
        .merge(compat::routes(&shared))
        .merge(api::routes(&shared))
        .route("/healthz", get(async || ([NO_STORE], "ok\n")))
        .route("/readyz", get(readyz));
    // Streams have a rule of their own for pages from elsewhere.
    cors::allow(router, cors)
        .route("/live/{*name}", get(flv::redirect).options(flv::preflight))
        .with_state(shared)
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let missing = shared.state.readiness.missing();
    let code = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [NO_STORE], Json(missing)).into_response()
}

async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.text() {
        Ok(text) => {
            ([NO_STORE, (header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status_json(State(shared): State<Arc<Shared>>) -> Response {
    let HttpState { registry, readiness, info, .. } = &shared.state;
    let status = Status::new(info, &registry.snapshot(), readiness.missing());
    ([NO_STORE, NO_SNIFF], Json(status)).into_response()
}

type Header = (HeaderName, &'static str);

const NO_STORE: Header = (header::CACHE_CONTROL, "no-store");
const NO_SNIFF: Header = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

#[cfg(test)]
pub(in crate::control::http) mod tests;
