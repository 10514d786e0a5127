//! Channels and their scenes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::ask::{Asked, Body};
use super::fresh::fresh;
use super::problem::Problem;
use crate::command::{Answer, Ask};
use crate::control::http::shared::Shared;
use crate::control::state::{Channel, Event};

/// All channels.
#[utoipa::path(
    get, path = "/api/v1/channels", tag = "channels", responses((status = 200, body = [Channel]))
)]
pub(super) async fn channels(State(shared): State<Arc<Shared>>) -> Json<Vec<Channel>> {
    Json(shared.api.board.snapshot().await.channels.values().cloned().collect())
}

/// One channel.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Channel), (status = 404, body = Problem))
)]
pub(super) async fn channel(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<Channel>, Problem> {
    let state = shared.api.board.snapshot().await;
    let found = state.channels.get(&name).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(&format!("there is no channel {name}")))
}

/// A channel's scenes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Scenes {
    /// The one on the air.
    active: String,
    /// All.
    scenes: Vec<String>,
}

/// A channel's scenes.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/scenes", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Scenes), (status = 404, body = Problem))
)]
pub(super) async fn scenes(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Scenes>, Problem> {
    match shared.api.handle.ask(Ask::Scenes { channel }).await {
        Answer::Scenes(view) => Ok(Json(Scenes { active: view.active, scenes: view.names })),
        other => Err(other.into()),
    }
}

/// A scene as a document: the keys of `[[channel.layer]]` in the configuration. `ETag` is its
/// version.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/scenes/{scene}", tag = "channels",
    params(("channel" = String, Path), ("scene" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem))
)]
pub(super) async fn scene(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene)): Path<(String, String)>,
) -> Result<Response, Problem> {
    match shared.api.handle.ask(Ask::Scene { channel, scene }).await {
        Answer::Scene(view) => {
            let tag = [(header::ETAG, format!("\"{}\"", view.version))];
            Ok((tag, Json(view.document)).into_response())
        }
        other => Err(other.into()),
    }
}

/// How large a screenshot is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScreenshotAsked {
    width: Option<u32>,
}

/// A scene as it would look on the air a second after it came, as a PNG, with the overlays: for who
/// wants to see it before. Live inputs show their slates.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/scenes/{scene}/screenshot", tag = "channels",
    params(
        ("channel" = String, Path), ("scene" = String, Path),
        ("width" = Option<u32>, Query, description = "Pixels across."),
    ),
    responses(
        (status = 200, content_type = "image/png", body = Vec<u8>),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem),
    )
)]
pub(super) async fn screenshot(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene)): Path<(String, String)>,
    Asked(ScreenshotAsked { width }): Asked<ScreenshotAsked>,
) -> Result<Response, Problem> {
    match shared.api.handle.ask(Ask::Screenshot { channel, scene, width }).await {
        Answer::Screenshot(png) => Ok(fresh("image/png", png)),
        other => Err(other.into()),
    }
}

/// Replaces a scene, or adds one. With `If-Match` it is only replaced if that is its version. If
/// it is on the air, the change shows at one frame.
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/scenes/{scene}", tag = "channels",
    params(
        ("channel" = String, Path), ("scene" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that is replaced."),
    ),
    request_body = Object,
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn put_scene(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene)): Path<(String, String)>,
    headers: HeaderMap,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    let version = version_of(&headers)?;
    let text = format!("scene {scene} of channel {channel} was replaced");
    let named = channel.clone();
    shared.api.done(Ask::PutScene { channel, scene, version, document }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("scene_replaced", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a scene that is not on the air.
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/scenes/{scene}", tag = "channels",
    params(("channel" = String, Path), ("scene" = String, Path)),
    responses(
        (status = 204), (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn remove_scene(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let text = format!("scene {scene} of channel {channel} was removed");
    let named = channel.clone();
    shared.api.done(Ask::RemoveScene { channel, scene }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("scene_removed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The overlays of a channel, which are above whatever scene is on the air: `overlay` is a list of
/// layers. `ETag` is their version.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/overlays", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem))
)]
pub(super) async fn overlays(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Response, Problem> {
    match shared.api.handle.ask(Ask::Overlays { channel }).await {
        Answer::Overlays(view) => {
            let tag = [(header::ETAG, format!("\"{}\"", view.version))];
            Ok((tag, Json(view.document)).into_response())
        }
        other => Err(other.into()),
    }
}

/// Replaces the overlays of a channel; the change shows at one frame. With `If-Match` they are only
/// replaced if that is their version.
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/overlays", tag = "channels",
    params(
        ("channel" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that is replaced."),
    ),
    request_body = Object,
    responses(
        (status = 204), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem),
    )
)]
pub(super) async fn put_overlays(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    let version = version_of(&headers)?;
    let (named, text) =
        (channel.clone(), format!("the overlays of channel {channel} were replaced"));
    shared.api.done(Ask::PutOverlays { channel, version, document }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("overlays_replaced", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

fn version_of(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(tag) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let tag = tag.to_str().unwrap_or_default().trim();
    if tag == "*" {
        return Ok(None);
    }
    let number = tag.trim_start_matches("W/").trim_matches('"').parse();
    let hint = "send the ETag of the answer that you have changed";
    number.map(Some).map_err(|_| Problem::invalid("If-Match is no version of a scene", hint))
}

/// How another scene comes on the air where neither the scene nor who asks says: the keys of
/// `transition` in the configuration.
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/transition", tag = "channels",
    params(("channel" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem))
)]
pub(super) async fn transition(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
) -> Result<Json<Value>, Problem> {
    match shared.api.handle.ask(Ask::Scenes { channel }).await {
        Answer::Scenes(view) => Ok(Json(view.transition)),
        other => Err(other.into()),
    }
}

/// Replaces that.
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/transition", tag = "channels",
    params(("channel" = String, Path)),
    request_body = Object,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn put_transition(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(document): Body<Value>,
) -> Result<StatusCode, Problem> {
    let (named, text) =
        (channel.clone(), format!("the transition of channel {channel} was replaced"));
    shared.api.done(Ask::PutTransition { channel, document }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("transition_replaced", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How a scene comes on the air; with neither key as the scene says, or its channel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Activation {
    /// The keys of `transition` in the configuration.
    #[schema(value_type = Option<Object>)]
    transition: Option<Value>,
    /// Short for `{"type": "fade", "duration_ms": ...}`; 0 cuts.
    fade_ms: Option<u32>,
}

/// Puts a scene on the air.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/scenes/{scene}/activate", tag = "channels",
    params(("channel" = String, Path), ("scene" = String, Path)),
    request_body = Activation,
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub(super) async fn activate(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene)): Path<(String, String)>,
    Body(Activation { transition, fade_ms }): Body<Activation>,
) -> Result<StatusCode, Problem> {
    let fade = fade_ms.map(|ms| json!({ "type": "fade", "duration_ms": ms }));
    if fade.is_some() && transition.is_some() {
        let hint = "`fade_ms` is short for a transition of type \"fade\": leave one out";
        return Err(Problem::invalid("there are both `transition` and `fade_ms`", hint));
    }
    let transition = transition.or(fade);
    let how = transition.as_ref().and_then(how_long).unwrap_or_default();
    let (named, text) = (channel.clone(), format!("channel {channel} shows scene {scene}{how}"));
    shared.api.done(Ask::Activate { channel, scene, transition }).await?;
    let about = |event| Event { channel: Some(named), ..event };
    shared.api.note("scene_changed", text, about).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What an event says of a transition that somebody asked for, if it takes time.
fn how_long(transition: &Value) -> Option<String> {
    let (kind, ms) = (transition["type"].as_str()?, transition["duration_ms"].as_u64()?);
    (ms > 0).then(|| format!(" after a {kind} of {ms} ms"))
}

/// When a transaction is seen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Transacted {
    /// The number of the first frame that shows it; nothing if none of it is on the air.
    frame: Option<u64>,
}

/// Changes scenes, layers, overlays and what is on the air from one frame on: all of it or nothing.
/// `scenes` has documents by their names (`null` forgets one), `layers` keys of layers by scene and
/// layer, `overlays` the document of the overlays, `overlay_layers` keys of overlays, `active` the
/// scene on the air, `transition` how that or what is changed of it comes, `at` the frame (`"now"`,
/// `{"frame": 900}`, `{"unix_ms": ...}`), `versions` what all of it was made of.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/transaction", tag = "channels",
    params(("channel" = String, Path)),
    request_body = Object,
    responses(
        (status = 200, body = Transacted), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn transaction(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<String>,
    Body(document): Body<Value>,
) -> Result<Json<Transacted>, Problem> {
    let named = channel.clone();
    let what = format!("channel {channel}");
    transact(&shared, &named, &what, Ask::Transaction { channel, document }).await
}

/// Changes keys of a layer of a scene from one frame on by a JSON merge patch (RFC 7396) of its
/// document: `null` takes a key out. A layer in a group is `group%2Flayer`. With `If-Match` it is
/// only changed if that is the version of the scene.
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}/scenes/{scene}/layers/{layer}", tag = "channels",
    params(
        ("channel" = String, Path), ("scene" = String, Path), ("layer" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that is changed."),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, body = Transacted), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn patch_layer(
    State(shared): State<Arc<Shared>>,
    Path((channel, scene, layer)): Path<(String, String, String)>,
    headers: HeaderMap,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Json<Transacted>, Problem> {
    let what = format!("layer {layer} of scene {scene} of channel {channel}");
    patched(&shared, (channel, Some(scene), layer), &what, &headers, patch).await
}

/// The same of an overlay. With `If-Match` it is only changed if that is the version of the
/// overlays.
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}/overlays/{layer}", tag = "channels",
    params(
        ("channel" = String, Path), ("layer" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that is changed."),
    ),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, body = Transacted), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
    )
)]
pub(super) async fn patch_overlay(
    State(shared): State<Arc<Shared>>,
    Path((channel, layer)): Path<(String, String)>,
    headers: HeaderMap,
    Body(patch): Body<Map<String, Value>>,
) -> Result<Json<Transacted>, Problem> {
    let what = format!("overlay {layer} of channel {channel}");
    patched(&shared, (channel, None, layer), &what, &headers, patch).await
}

/// Changes keys of a layer of this channel and scene; without a scene it is an overlay.
pub(super) async fn patched(
    shared: &Shared,
    (channel, scene, layer): (String, Option<String>, String),
    what: &str,
    headers: &HeaderMap,
    patch: Map<String, Value>,
) -> Result<Json<Transacted>, Problem> {
    let (version, named) = (version_of(headers)?, channel.clone());
    let ask = Ask::PatchLayer { channel, scene, layer, version, patch };
    transact(shared, &named, what, ask).await
}

/// Makes a change that is seen from one frame on.
pub(super) async fn transact(
    shared: &Shared,
    channel: &str,
    what: &str,
    ask: Ask,
) -> Result<Json<Transacted>, Problem> {
    let frame = match shared.api.handle.ask(ask).await {
        Answer::Shown { frame } => frame,
        other => return Err(other.into()),
    };
    shared.api.kept().await;
    let from = frame.map(|frame| format!(" from frame {frame} on")).unwrap_or_default();
    let text = format!("{what} was changed{from}");
    let about = |event| Event { channel: Some(channel.to_owned()), ..event };
    shared.api.note("transaction_done", text, about).await;
    Ok(Json(Transacted { frame }))
}
