//! Data that texts of scenes are bound to, as documents that programs push.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::Value;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::http::shared::Shared;

/// All values that were pushed, by their names.
#[utoipa::path(
    get, path = "/api/v1/data", tag = "channels",
    responses((status = 200, body = Object))
)]
pub(super) async fn all_data(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    documents(&shared, None).await
}

/// The values of this name.
#[utoipa::path(
    get, path = "/api/v1/data/{name}", tag = "channels",
    params(("name" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem))
)]
pub(super) async fn data(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    documents(&shared, Some(name)).await
}

async fn documents(shared: &Shared, name: Option<String>) -> Result<Json<Value>, Problem> {
    match shared.api.handle.ask(Ask::Data { name }).await {
        Answer::Data(document) => Ok(Json(document)),
        other => Err(other.into()),
    }
}

/// Takes the values that text layers with `data` show: whatever scene shows them does so within a
/// few frames. They are kept over a restart.
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
