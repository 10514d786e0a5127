//! Preview of a channel, and taking it; pictures of preview and programme.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Json, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::Body;
use super::fresh::fresh;
use super::problem::Problem;
use crate::command::{Answer, Ask, Monitor, PreviewState, PreviewView, TakenView};
use crate::control::http::shared::Shared;
use crate::control::state::Event;

/// The scene that is prepared to be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Preview {
    /// Its name; nothing if there is none.
    scene: Option<String>,
    /// `loading` until its files are read and its inputs have pictures, then `ready`; `failed` if
    /// something of it cannot be shown.
    state: Option<&'static str>,
    /// Why it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Option<PreviewView>> for Preview {
    fn from(view: Option<PreviewView>) -> Self {
        let Some(PreviewView { scene, state, reason }) = view else {
            return Self { scene: None, state: None, reason: None };
        };
        let state = match state {
            PreviewState::Loading => "loading",
            PreviewState::Ready => "ready",
            PreviewState::Failed => "failed",
        };
        Self { scene: Some(scene), state: Some(state), reason }
    }
}

/// The scene in preview, and whether it is ready to be taken.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/preview", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Preview), (status = 404, body = Problem))
)]
pub(super) async fn preview(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Preview>, Problem> {
    match shared.api.handle.ask(Ask::Preview { channel }).await {
        Answer::Preview(view) => Ok(Json(view.into())),
        other => Err(other.into()),
    }
}

/// What is to be in preview.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreview {
    /// Name of the scene.
    pub(super) scene: String,
}

/// Prepares a scene to be taken: its files are read and its inputs decoded, unless their layers say
/// `warm = "off"`. Answers before it is ready; `GET` and the event `preview_ready` or
/// `preview_failed` say when.
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/preview", tag = "channels",
    params(("channel" = String, Path)),
    request_body = NewPreview,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn put_preview(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(NewPreview { scene }): Body<NewPreview>,
) -> Result<StatusCode, Problem> {
    let text = format!("channel {channel} has scene {scene} in preview");
    change(&shared, channel, Some(scene), text).await
}

/// Lets go of the scene in preview.
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/preview", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn remove_preview(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<StatusCode, Problem> {
    let text = format!("channel {channel} has no scene in preview");
    change(&shared, channel, None, text).await
}

async fn change(
    shared: &Shared,
    channel: String,
    scene: Option<String>,
    text: String,
) -> Result<StatusCode, Problem> {
    let named = channel.clone();
    match shared.api.handle.ask(Ask::PutPreview { channel, scene }).await {
        Answer::Done => {}
        other => return Err(other.into()),
    }
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("preview_changed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How the scene in preview comes on the air.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Take {
    /// The keys of `transition` in the configuration; without them as the scene says, or its
    /// channel.
    #[schema(value_type = Option<Object>)]
    transition: Option<Value>,
    /// Whether the scene that was on the air is in preview then.
    swap: bool,
}

impl Default for Take {
    fn default() -> Self {
        Self { transition: None, swap: true }
    }
}

/// A scene that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Its name.
    scene: String,
    /// The number of the frame that was on the air when this was asked.
    asked_frame: u64,
    /// The number of the first frame that shows it; nothing if it was on the air.
    frame: Option<u64>,
    /// The scene that is in preview now.
    preview: Option<String>,
}

/// Puts the scene in preview on the air. One that is ready is seen at the next frame.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/take", tag = "channels",
    params(("channel" = String, Path)),
    request_body = Take,
    responses(
        (status = 200, body = Taken), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn take(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(Take { transition, swap }): Body<Take>,
) -> Result<Json<Taken>, Problem> {
    let named = channel.clone();
    let taken = match shared.api.handle.ask(Ask::Take { channel, transition, swap }).await {
        Answer::Taken(taken) => taken,
        other => return Err(other.into()),
    };
    shared.api.kept().await;
    let TakenView { scene, asked_frame, frame, preview } = taken;
    if frame.is_some() {
        let text = format!("channel {named} shows scene {scene}");
        let about = |event| Event { channel: Some(named), ..event };
        shared.api.note("scene_changed", text, about).await;
    }
    Ok(Json(Taken { scene, asked_frame, frame, preview }))
}

/// The scene in preview as it is now, with its inputs, as a JPEG at most 480 pixels wide. It is
/// drawn when somebody asks, at most ten times a second.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/preview/picture", tag = "channels",
    params(("channel" = String, Path)),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn preview_picture(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Response, Problem> {
    picture(&shared, channel, Monitor::Preview).await
}

/// The same of what is on the air.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/programme/picture", tag = "channels",
    params(("channel" = String, Path)),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 404, body = Problem), (status = 503, body = Problem),
    )
)]
pub(super) async fn programme_picture(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Response, Problem> {
    picture(&shared, channel, Monitor::Programme).await
}

async fn picture(shared: &Shared, channel: String, monitor: Monitor) -> Result<Response, Problem> {
    match shared.api.handle.ask(Ask::MonitorPicture { channel, monitor }).await {
        Answer::Picture(jpeg) => Ok(fresh("image/jpeg", jpeg)),
        other => Err(other.into()),
    }
}
