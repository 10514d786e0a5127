//! Input rules over the API: the inputs of channels that are watched.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;

use crate::control::http::shared::Shared;
use crate::control::state::InputRule;

/// All inputs that a rule of a channel watches.
#[utoipa::path(
    get, path = "/api/v1/inputs", tag = "channels",
    responses((status = 200, body = [InputRule]))
)]
pub(super) async fn inputs(State(shared): State<Arc<Shared>>) -> Json<Vec<InputRule>> {
    Json(shared.api.board.snapshot().await.input_rules.clone())
}
