//! Fallbacks over the API: the streams that are filled in for while they are broken.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;

use crate::control::http::shared::Shared;
use crate::control::state::Fallback;

/// All streams with a fallback.
#[utoipa::path(
    get, path = "/api/v1/fallbacks", tag = "streams",
    responses((status = 200, body = [Fallback]))
)]
pub(super) async fn fallbacks(State(shared): State<Arc<Shared>>) -> Json<Vec<Fallback>> {
    Json(shared.api.board.snapshot().await.fallbacks.values().cloned().collect())
}
