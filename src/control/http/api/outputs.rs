//! API of outputs: the destinations that channels are pushed to.

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
use crate::control::state::{Event, Output};

/// The outputs of all channels.
#[utoipa::path(
    get, path = "/api/v1/outputs", tag = "outputs", responses((status = 200, body = [Output]))
)]
pub(super) async fn outputs(State(shared): State<Arc<Shared>>) -> Json<Vec<Output>> {
    Json(shared.api.board.snapshot().await.outputs.values().cloned().collect())
}

/// An output to be added: the keys of `[[channel.output]]` in the configuration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the reader of configurations takes")]
pub(super) struct NewOutput {
    /// Its name, unique in its channel.
    name: String,
    /// `rtmp://[user:password@]host[:port]/app/name`; shown again by the export of the
    /// configuration only.
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
    /// Whether it begins at once, as it does by default.
    enabled: Option<bool>,
    /// The platform that it goes to (`twitch`, `youtube`, `facebook`, `kick`, `ivs`, `trovo`,
    /// `mux`, `restream`): what it would not take of the channel is refused.
    preset: Option<String>,
    /// Name of the rendition that it sends; `main`, which is the first, by default.
    rendition: Option<String>,
}

/// Pushes a channel's stream to one more destination.
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
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    let ask = Ask::AddOutput { channel: channel.clone(), document: Document(document) };
    match shared.api.handle.ask(ask).await {
        Answer::Named(name) => {
            shared.api.kept().await;
            let text = format!("output {name} of channel {channel} was added");
            shared.api.note("output_added", text, about(&channel, &name)).await;
            Ok(StatusCode::CREATED)
        }
        other => Err(other.into()),
    }
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
