//! Data that texts of scenes are bound to, as documents that programs push.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use super::ask::Body;
use super::problem::Problem;
use crate::command::Ask;
use crate::control::http::shared::Shared;

/// Takes the values that text layers with `data` show: whatever scene shows them does so within a
/// few frames. They are kept until the node stops.
#[utoipa::path(
    put, path = "/api/v1/data/{name}", tag = "channels",
    params(("name" = String, Path)),
    request_body = Object,
    responses((status = 204), (status = 400, body = Problem))
)]
pub(super) async fn put_data(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::PutData { name, document: Some(document) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets them: the texts show nothing in their place.
#[utoipa::path(
    delete, path = "/api/v1/data/{name}", tag = "channels",
    params(("name" = String, Path)),
    responses((status = 204), (status = 400, body = Problem))
)]
pub(super) async fn remove_data(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::PutData { name, document: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}
