//! Transcodes over the API: the streams in further encodes.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;

use crate::control::http::shared::Shared;
use crate::control::state::Transcode;

/// All transcodes.
#[utoipa::path(
    get, path = "/api/v1/transcodes", tag = "transcodes",
    responses((status = 200, body = [Transcode]))
)]
pub(super) async fn transcodes(State(shared): State<Arc<Shared>>) -> Json<Vec<Transcode>> {
    Json(shared.api.board.snapshot().await.transcodes.values().cloned().collect())
}
