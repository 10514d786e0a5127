//! HTTP router: every path of the port, and the answers that take no file of their own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;

use super::api::with_token_or_from_here;
use super::shared::{HttpState, Shared};
use super::status::Status;
use super::{api, compat, cors, dashboard, flv};
use crate::control::metrics;

/// Every path there is. axum answers other methods with 405 and other paths with 404.
pub(super) fn router(state: HttpState) -> Router {
    let data_port = state.info.flv.0.port();
    let cors = state.cors.clone();
    let shared = Arc::new(Shared::new(state));
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
