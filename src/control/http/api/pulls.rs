//! Streams that are pulled from other servers.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask, Document};
use crate::control::http::shared::Shared;
use crate::control::state::{Event, Pull};

/// All pulls.
#[utoipa::path(
    get, path = "/api/v1/pulls", tag = "pulls", responses((status = 200, body = [Pull]))
)]
pub(super) async fn pulls(State(shared): State<Arc<Shared>>) -> Json<Vec<Pull>> {
    Json(shared.api.board.snapshot().await.pulls.values().cloned().collect())
}

/// One pull.
#[utoipa::path(
    get, path = "/api/v1/pulls/{name}", tag = "pulls", params(("name" = String, Path)),
    responses((status = 200, body = Pull), (status = 404, body = Problem))
)]
pub(super) async fn pull(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Pull>, Problem> {
    let state = shared.api.board.snapshot().await;
    let found = state.pulls.get(&name).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no pull {name}")))
}

/// A pull to be added: the keys of `[[pull]]` in the configuration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the reader of configurations takes")]
pub(super) struct NewPull {
    /// Its name, unique.
    name: String,
    /// Public name of the local stream, such as `live/copy`; no other pull feeds it.
    stream: String,
    /// `rtmp://[user:password@]host[:port]/app/name`; never shown again.
    url: String,
    /// `always`, or `on-demand` (default): while somebody reads it.
    mode: Option<String>,
    /// On demand: how long it goes on after its last reader, seconds; 10 by default.
    linger: Option<u32>,
    /// Whether it begins at once, as it does by default.
    enabled: Option<bool>,
}

/// Pulls one more stream.
#[utoipa::path(
    post, path = "/api/v1/pulls", tag = "pulls", request_body = NewPull,
    responses((status = 201), (status = 400, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    match shared.api.handle.ask(Ask::AddPull { document: Document(document) }).await {
        Answer::Named(name) => {
            shared.api.kept().await;
            tell(&shared, "pull_added", &name, "added").await;
            Ok(StatusCode::CREATED)
        }
        other => Err(other.into()),
    }
}

/// Says goodbye to a pull's server, and forgets the pull.
#[utoipa::path(
    delete, path = "/api/v1/pulls/{name}", tag = "pulls", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::RemovePull { name: name.clone() }).await?;
    tell(&shared, "pull_removed", &name, "removed").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a pull begin again.
#[utoipa::path(
    post, path = "/api/v1/pulls/{name}/start", tag = "pulls",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StartPull { name: name.clone() }).await?;
    tell(&shared, "pull_started", &name, "started").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Says goodbye to a pull's server and stays away from it.
#[utoipa::path(
    post, path = "/api/v1/pulls/{name}/stop", tag = "pulls",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StopPull { name: name.clone() }).await?;
    tell(&shared, "pull_stopped", &name, "stopped").await;
    Ok(StatusCode::NO_CONTENT)
}

async fn tell(shared: &Shared, event: &'static str, name: &str, done: &str) {
    let text = format!("pull {name} was {done}");
    let pull = Some(name.to_owned());
    shared.api.note(event, text, |event| Event { pull, ..event }).await;
}
