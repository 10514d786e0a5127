//! Streams that are pushed to other servers, whatever feeds them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::Body;
use super::outputs::Delay;
use super::problem::Problem;
use crate::command::{Answer, Ask, DelayAsk, DelayChange, Document};
use crate::control::http::shared::Shared;
use crate::control::state::{Event, Push};

/// All pushes.
#[utoipa::path(
    get, path = "/api/v1/pushes", tag = "pushes", responses((status = 200, body = [Push]))
)]
pub(super) async fn pushes(State(shared): State<Arc<Shared>>) -> Json<Vec<Push>> {
    Json(shared.api.board.snapshot().await.pushes.values().cloned().collect())
}

/// One push.
#[utoipa::path(
    get, path = "/api/v1/pushes/{name}", tag = "pushes", params(("name" = String, Path)),
    responses((status = 200, body = Push), (status = 404, body = Problem))
)]
pub(super) async fn push(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Push>, Problem> {
    let state = shared.api.board.snapshot().await;
    let found = state.pushes.get(&name).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no push {name}")))
}

/// A push to be added: the keys of `[[push]]` in the configuration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the reader of configurations takes")]
pub(super) struct NewPush {
    /// Its name, unique.
    name: String,
    /// Public name of the stream, such as `live/show`.
    stream: String,
    /// `rtmp://[user:password@]host[:port]/app/name`; never shown again.
    url: String,
    /// Lag above which it loses pictures, milliseconds.
    lag_high_ms: Option<u32>,
    /// Lag from which it takes all pictures again, milliseconds.
    lag_low_ms: Option<u32>,
    /// Without any progress for so long it connects anew, seconds; 8 by default.
    stall_timeout: Option<u32>,
    /// Which tracks of a stream of several it is sent: `auto`, the default, or `all`.
    tracks: Option<String>,
    /// Which codecs it is sent: `auto`, the default (those that it announces, else the rendition of
    /// a bridge), or `all`.
    codecs: Option<String>,
    /// What it is told when the source of its stream was lost: `hold`, the default (nothing), or
    /// `end` (that the stream is over).
    on_gap: Option<String>,
    /// How much later than it came it is sent, seconds, 0 to 118; 0 by default. `log_seconds` in
    /// `[delivery]` has to be 2 more at least.
    delay_s: Option<u32>,
    /// Whether it begins at once, as it does by default.
    enabled: Option<bool>,
}

/// Pushes one more stream.
#[utoipa::path(
    post, path = "/api/v1/pushes", tag = "pushes", request_body = NewPush,
    responses((status = 201), (status = 400, body = Problem), (status = 409, body = Problem))
)]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    match shared.api.handle.ask(Ask::AddPush { document: Document(document) }).await {
        Answer::Named(name) => {
            shared.api.kept().await;
            tell(&shared, "push_added", &name, "added").await;
            Ok(StatusCode::CREATED)
        }
        other => Err(other.into()),
    }
}

/// Says goodbye to a push's destination, and forgets the push.
#[utoipa::path(
    delete, path = "/api/v1/pushes/{name}", tag = "pushes", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::RemovePush { name: name.clone() }).await?;
    tell(&shared, "push_removed", &name, "removed").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a push begin again.
#[utoipa::path(
    post, path = "/api/v1/pushes/{name}/start", tag = "pushes",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StartPush { name: name.clone() }).await?;
    tell(&shared, "push_started", &name, "started").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Says goodbye to a push's destination and stays away from it.
#[utoipa::path(
    post, path = "/api/v1/pushes/{name}/stop", tag = "pushes",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.api.done(Ask::StopPush { name: name.clone() }).await?;
    tell(&shared, "push_stopped", &name, "stopped").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a push everything so much later than it came, from now on; until it is removed, or the
/// node starts anew.
#[utoipa::path(
    post, path = "/api/v1/pushes/{name}/delay", tag = "pushes",
    params(("name" = String, Path)), request_body = Delay,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn delay(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Body(delay): Body<Delay>,
) -> Result<StatusCode, Problem> {
    shared.api.done(delay.ask(None, name.clone())?).await?;
    tell(&shared, "push_delayed", &name, "delayed").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Never sends a push what waits for its delay: it goes on with the newest keyframe, once that is
/// old enough.
#[utoipa::path(
    post, path = "/api/v1/pushes/{name}/dump", tag = "pushes",
    params(("name" = String, Path)), responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn dump(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let ask = DelayAsk { channel: None, name: name.clone(), change: DelayChange::Dump };
    shared.api.done(Ask::Delay(ask)).await?;
    tell(&shared, "push_dumped", &name, "dumped").await;
    Ok(StatusCode::NO_CONTENT)
}

async fn tell(shared: &Shared, event: &'static str, name: &str, done: &str) {
    let text = format!("push {name} was {done}");
    let output = Some(name.to_owned());
    shared.api.note(event, text, |event| Event { output, ..event }).await;
}
