//! Routes of statistics in the shape of other servers.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::{nginx, nms};
use crate::control::http::api::with_token_or_from_here;
use crate::control::http::shared::Shared;

/// `/stat`, `/api/streams`, `/api/server`.
pub(in crate::control::http) fn routes(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/stat", get(nginx::stat))
        .route("/api/streams", get(nms::streams))
        .route("/api/streams/{app}/{name}", get(nms::stream))
        .route("/api/server", get(nms::server))
        .layer(from_fn_with_state(Arc::clone(shared), with_token_or_from_here))
}
