//! The node itself: what it is, what it does, what happened, what it logs.

#![expect(unused_qualifications, reason = "in what utoipa makes of the parameters")]

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{Json, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor::actor;
use super::ask::{Asked, Body};
use super::fresh::fresh;
use super::problem::Problem;
use crate::command::{Answer, Ask, ReloadView};
use crate::control::auth::Access;
use crate::control::http::shared::Shared;
use crate::control::state::{EVENTS_MAX, Event, Node, Snapshot};

/// The node.
#[utoipa::path(get, path = "/api/v1/node", tag = "node", responses((status = 200, body = Node)))]
pub(super) async fn node(
    State(shared): State<Arc<Shared>>,
    Extension(access): Extension<Access>,
) -> Json<Node> {
    let mut node = shared.api.board.snapshot().await.node.clone();
    node.set_access(access);
    Json(node)
}

/// The whole state: what a WebSocket's first message holds.
#[utoipa::path(
    get, path = "/api/v1/state", tag = "node", responses((status = 200, body = Snapshot))
)]
pub(super) async fn state(
    State(shared): State<Arc<Shared>>,
    Extension(access): Extension<Access>,
) -> Json<Snapshot> {
    let mut state = Snapshot::clone(&*shared.api.board.snapshot().await);
    state.node.set_access(access);
    Json(state)
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsAsked {
    /// Only those with a higher number.
    since: u64,
    /// At most so many, the newest.
    limit: usize,
}

impl Default for EventsAsked {
    fn default() -> Self {
        Self { since: 0, limit: EVENTS_MAX }
    }
}

/// What happened lately, newest last.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "node", params(EventsAsked),
    responses((status = 200, body = [Event]), (status = 400, body = Problem))
)]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<EventsAsked>,
) -> Json<Vec<Event>> {
    Json(shared.api.board.events(asked.since, asked.limit).await)
}

/// The configuration in use as TOML, without secrets.
#[utoipa::path(
    get, path = "/api/v1/config", tag = "node",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn config(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    config_text(&shared, false).await
}

/// The same with all secrets in it, such as the keys of destinations: a file from which a node
/// starts as this one is now.
#[utoipa::path(
    get, path = "/api/v1/config/export", tag = "node",
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn export(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    config_text(&shared, true).await
}

async fn config_text(shared: &Shared, secrets: bool) -> Result<Response, Problem> {
    match shared.api.handle.ask(Ask::Config { secrets }).await {
        Answer::Config(text) => Ok(fresh("text/plain; charset=utf-8", text.expose().to_owned())),
        other => Err(other.into()),
    }
}

/// What a reload has come to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// What was changed, a line each.
    done: Vec<String>,
    /// Tables and keys of the file whose change takes a restart; all else is in use.
    restart: Vec<String>,
    /// What could not be changed, and why.
    failed: Vec<String>,
}

/// Reads the configuration file again and applies what differs, as SIGHUP does. A file that is
/// wrong changes nothing.
#[utoipa::path(
    post, path = "/api/v1/reload", tag = "node",
    responses(
        (status = 200, body = Reloaded), (status = 400, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn reload(State(shared): State<Arc<Shared>>) -> Result<Json<Reloaded>, Problem> {
    match shared.api.handle.ask_patiently(Ask::Reload { actor: actor() }).await {
        Answer::Reloaded(ReloadView { done, restart, failed }) => {
            Ok(Json(Reloaded { done, restart, failed }))
        }
        other => Err(other.into()),
    }
}

/// What is logged.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a list such as
    /// `info,stream_manager::pipeline=debug`.
    level: String,
}

/// What is logged.
#[utoipa::path(
    get, path = "/api/v1/log-level", tag = "node", responses((status = 200, body = Level))
)]
pub(super) async fn log_level(State(shared): State<Arc<Shared>>) -> Json<Level> {
    Json(Level { level: shared.api.log.now() })
}

/// Changes what is logged.
#[utoipa::path(
    put, path = "/api/v1/log-level", tag = "node", request_body = Level,
    responses((status = 200, body = Level), (status = 400, body = Problem))
)]
pub(super) async fn set_log_level(
    State(shared): State<Arc<Shared>>,
    Body(wanted): Body<Level>,
) -> Result<Json<Level>, Problem> {
    let hint = "write error, warn, info, debug or trace, also per module";
    shared.api.log.set(&wanted.level).map_err(|fault| Problem::invalid(&fault, hint))?;
    shared.api.done(Ask::LogChanged(wanted.level.clone())).await?;
    let text = format!("the log level is {} now", wanted.level);
    shared.api.note("log_level_changed", text, |event| event).await;
    Ok(Json(wanted))
}
