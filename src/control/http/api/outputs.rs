//! API of outputs: the destinations that channels are pushed to.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Ask, OutputRules};
use crate::control::http::Shared;
use crate::control::state::{Event, Output};
use crate::rtmp::Url;

/// The outputs of all channels.
#[utoipa::path(
    get, path = "/api/v1/outputs", tag = "outputs", responses((status = 200, body = [Output]))
)]
pub(super) async fn outputs(State(shared): State<Arc<Shared>>) -> Json<Vec<Output>> {
    Json(shared.api.board.snapshot().await.outputs.values().cloned().collect())
}

/// An output to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOutput {
    /// Its name, unique in its channel.
    name: String,
    /// `rtmp://[user:password@]host[:port]/app/name`; shown again by the export of the
    /// configuration only.
    url: String,
}

/// Pushes a channel's stream to one more destination, at once.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/outputs", tag = "outputs",
    params(("channel" = String, Path)), request_body = NewOutput,
    responses(
        (status = 201), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(NewOutput { name, url }): Body<NewOutput>,
) -> Result<StatusCode, Problem> {
    let hint = "write it as rtmp://host/app/name";
    let url = Url::parse(&url).map_err(|error| Problem::invalid(&error.to_string(), hint))?;
    let text = format!("output {name} of channel {channel} was added");
    let about = about(&channel, &name);
    let rules = OutputRules::default();
    shared.api.done(Ask::AddOutput { channel, name, url, rules, enabled: true }).await?;
    shared.api.note("output_added", text, about).await;
    Ok(StatusCode::CREATED)
}

/// Ends an output and forgets it.
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/outputs/{output}", tag = "outputs",
    params(("channel" = String, Path), ("output" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path((channel, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let text = format!("output {name} of channel {channel} was removed");
    let about = about(&channel, &name);
    shared.api.done(Ask::RemoveOutput { channel, name }).await?;
    shared.api.note("output_removed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to push to an output that was stopped.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/outputs/{output}/start", tag = "outputs",
    params(("channel" = String, Path), ("output" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    Path((channel, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let text = format!("output {name} of channel {channel} was started");
    let about = about(&channel, &name);
    shared.api.done(Ask::StartOutput { channel, name }).await?;
    shared.api.note("output_started", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Says goodbye to an output's destination and stays away from it.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/outputs/{output}/stop", tag = "outputs",
    params(("channel" = String, Path), ("output" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn stop(
    State(shared): State<Arc<Shared>>,
    Path((channel, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let text = format!("output {name} of channel {channel} was stopped");
    let about = about(&channel, &name);
    shared.api.done(Ask::StopOutput { channel, name }).await?;
    shared.api.note("output_stopped", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

fn about(channel: &str, name: &str) -> impl FnOnce(Event) -> Event + use<> {
    let (channel, output) = (Some(channel.to_owned()), Some(name.to_owned()));
    |event| Event { channel, output, ..event }
}
