//! API of outputs: the destinations that channels are pushed to.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::Body;
use super::problem::Problem;
use crate::command::{Answer, Ask, DelayAsk, DelayChange, Document, OutputRules};
use crate::control::http::shared::Shared;
use crate::control::state::{Event, Output};
use crate::media::Micros;

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
    /// How much later than it came it is sent, seconds, 0 to 118; 0 by default. `log_seconds` in
    /// `[delivery]` has to be 2 more at least.
    delay_s: Option<u32>,
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

/// How much later than it came it is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delay {
    /// Seconds, 0 to 118; `log_seconds` in `[delivery]` has to be 2 more at least.
    delay_s: u32,
}

impl Delay {
    /// The request that makes it so; a push has no channel.
    pub(super) fn ask(self, channel: Option<String>, name: String) -> Result<Ask, Problem> {
        let (delay_s, most) = (self.delay_s, OutputRules::DELAY_S_MAX);
        if delay_s > most {
            let detail = format!("`delay_s` is a number of seconds from 0 to {most}");
            return Err(Problem::invalid(&detail, "write it as {\"delay_s\": 20}"));
        }
        let change = DelayChange::Set(Micros::from_secs(delay_s.into()));
        Ok(Ask::Delay(DelayAsk { channel, name, change }))
    }
}

/// Sends an output everything so much later than it came, from now on; until it is removed, or the
/// node starts anew.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/outputs/{output}/delay", tag = "outputs",
    params(("channel" = String, Path), ("output" = String, Path)), request_body = Delay,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn delay(
    State(shared): State<Arc<Shared>>,
    Path((channel, name)): Path<(String, String)>,
    Body(delay): Body<Delay>,
) -> Result<StatusCode, Problem> {
    let text = format!("output {name} of channel {channel} is sent {} s later", delay.delay_s);
    let about = about(&channel, &name);
    shared.api.done(delay.ask(Some(channel), name)?).await?;
    shared.api.note("output_delayed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Never sends an output what waits for its delay: it goes on with the newest keyframe, once that
/// is old enough.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/outputs/{output}/dump", tag = "outputs",
    params(("channel" = String, Path), ("output" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn dump(
    State(shared): State<Arc<Shared>>,
    Path((channel, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let text = format!("what waited for output {name} of channel {channel} is not sent");
    let about = about(&channel, &name);
    let ask = DelayAsk { channel: Some(channel), name, change: DelayChange::Dump };
    shared.api.done(Ask::Delay(ask)).await?;
    shared.api.note("output_dumped", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

fn about(channel: &str, name: &str) -> impl FnOnce(Event) -> Event + use<> {
    let (channel, output) = (Some(channel.to_owned()), Some(name.to_owned()));
    |event| Event { channel, output, ..event }
}
