//! API of recordings.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::http::shared::Shared;
use crate::control::state::{Event, Recording};

/// All recordings.
#[utoipa::path(
    get, path = "/api/v1/recordings", tag = "recordings",
    responses((status = 200, body = [Recording]))
)]
pub(super) async fn recordings(State(shared): State<Arc<Shared>>) -> Json<Vec<Recording>> {
    Json(shared.api.board.snapshot().await.recordings.values().cloned().collect())
}

/// One recording.
#[utoipa::path(
    get, path = "/api/v1/recordings/{name}", tag = "recordings", params(("name" = String, Path)),
    responses((status = 200, body = Recording), (status = 404, body = Problem))
)]
pub(super) async fn recording(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Recording>, Problem> {
    let state = shared.api.board.snapshot().await;
    let found = state.recordings.get(&name).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no recording {name}")))
}

/// A recording to be added: the keys of `[[record]]` in the configuration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the reader of configurations takes")]
pub(super) struct NewRecording {
    /// Its name, unique, and the beginning of its files' names.
    name: String,
    /// Public name of the stream, such as `live/show`.
    stream: String,
    /// The folder of the files; made if it is not there.
    dir: String,
    /// `flv` (default) or `mp4`.
    format: Option<String>,
    /// Length after which a file ends at the next keyframe, seconds; 0 (default) for never.
    split_s: Option<u32>,
    /// Size after which a file ends at the next keyframe, MiB; 0 (default) for never.
    split_mb: Option<u32>,
    /// Room that stays free on the disk, MiB; 256 by default.
    min_free_mb: Option<u32>,
    /// Whether it begins at once, as it does by default.
    enabled: Option<bool>,
}

/// Records one more stream.
#[utoipa::path(
    post, path = "/api/v1/recordings", tag = "recordings", request_body = NewRecording,
    responses((status = 201), (status = 400, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    match shared.api.handle.ask(Ask::AddRecording { document }).await {
        Answer::Named(name) => {
            shared.api.kept().await;
            tell(&shared, "recording_added", &name, "added").await;
            Ok(StatusCode::CREATED)
        }
        other => Err(other.into()),
    }
}

/// Completes the file of a recording, and forgets the recording. Its files stay.
#[utoipa::path(
    delete, path = "/api/v1/recordings/{name}", tag = "recordings",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::RemoveRecording { name: name.clone() }).await?;
    tell(&shared, "recording_removed", &name, "removed").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to record again.
#[utoipa::path(
    post, path = "/api/v1/recordings/{name}/start", tag = "recordings",
    params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StartRecording { name: name.clone() }).await?;
    tell(&shared, "recording_started", &name, "started").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Completes the file of a recording, and begins no other one.
#[utoipa::path(
    post, path = "/api/v1/recordings/{name}/stop", tag = "recordings",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StopRecording { name: name.clone() }).await?;
    tell(&shared, "recording_stopped", &name, "stopped").await;
    Ok(StatusCode::NO_CONTENT)
}

async fn tell(shared: &Shared, event: &'static str, name: &str, done: &str) {
    let text = format!("recording {name} was {done}");
    let record = Some(name.to_owned());
    shared.api.note(event, text, |event| Event { record, ..event }).await;
}
