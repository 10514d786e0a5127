//! Composition of a channel: what each layer costs.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;

use super::problem::Problem;
use crate::control::http::shared::Shared;
use crate::control::state::Composition;

/// What drawing a channel's pictures takes, layer by layer, as the last second was.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/composition", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Composition), (status = 404, body = Problem))
)]
pub(super) async fn composition(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Composition>, Problem> {
    let state = shared.api.board.snapshot().await;
    let found = state.compositions.get(&name).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no channel {name}")))
}
