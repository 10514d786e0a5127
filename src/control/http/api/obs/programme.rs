//! Scenes on the air and in preview, and what they show.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::context::Context;
use super::inputs::kind_of;
use super::protocol::status;
use super::refusal::{Fields, Refusal};
use super::scenes::{Layer, scene_list, uuid};
use crate::command::{Answer, Ask};
use crate::control::http::api::ask::Body;
use crate::control::http::api::{channels, preview};

type Answered = Result<Value, Refusal>;

/// Widths of a screenshot, as OBS has them.
const SCREENSHOT_WIDTHS: std::ops::RangeInclusive<f64> = 8.0..=4096.0;

pub(super) async fn list(context: &Context) -> Answered {
    let view = context.scenes().await?;
    let preview = context.preview().await?.map(|preview| preview.scene);
    let of = |name: &str| uuid(&context.channel, "scene", name);
    let scenes = scene_list(&context.channel, &view.names);
    Ok(json!({
        "currentProgramSceneName": view.active,
        "currentProgramSceneUuid": of(&view.active),
        "currentPreviewSceneUuid": preview.as_deref().map(of),
        "currentPreviewSceneName": preview,
        "scenes": scenes,
    }))
}

pub(super) async fn current_program(context: &Context) -> Answered {
    let name = context.scenes().await?.active;
    let of = uuid(&context.channel, "scene", &name);
    Ok(json!({
        "sceneName": name, "sceneUuid": of,
        "currentProgramSceneName": name, "currentProgramSceneUuid": of,
    }))
}

pub(super) async fn current_preview(context: &Context) -> Answered {
    let name = in_preview(context).await?;
    let of = uuid(&context.channel, "scene", &name);
    Ok(json!({
        "sceneName": name, "sceneUuid": of,
        "currentPreviewSceneName": name, "currentPreviewSceneUuid": of,
    }))
}

/// The scene in preview: studio mode is on while there is one.
async fn in_preview(context: &Context) -> Result<String, Refusal> {
    let preview = context.preview().await?;
    preview.map(|preview| preview.scene).ok_or_else(|| {
        let comment = "studio mode is off: no scene is in preview; see SetStudioModeEnabled";
        Refusal::new(status::STUDIO_MODE_NOT_ACTIVE, comment)
    })
}

pub(super) async fn set_program(context: &Context, fields: Fields<'_>) -> Answered {
    let scene = context.scene_of(fields).await?;
    let path = Path((context.channel.to_string(), scene));
    let how = Body(channels::Activation::default());
    channels::activate(State(Arc::clone(&context.shared)), path, how).await?;
    Ok(Value::Null)
}

pub(super) async fn set_preview(context: &Context, fields: Fields<'_>) -> Answered {
    in_preview(context).await?;
    let scene = context.scene_of(fields).await?;
    put_preview(context, scene).await
}

async fn put_preview(context: &Context, scene: String) -> Answered {
    let (state, path) = (State(Arc::clone(&context.shared)), Path(context.channel.to_string()));
    preview::put_preview(state, path, Body(preview::NewPreview { scene })).await?;
    Ok(Value::Null)
}

pub(super) async fn studio_mode(context: &Context) -> Answered {
    Ok(json!({ "studioModeEnabled": context.preview().await?.is_some() }))
}

/// Studio mode begins with what is on the air in preview, as in OBS.
pub(super) async fn set_studio_mode(context: &Context, fields: Fields<'_>) -> Answered {
    let is_wanted = fields.flag("studioModeEnabled")?;
    match (is_wanted, context.preview().await?.is_some()) {
        (true, false) => put_preview(context, context.scenes().await?.active).await,
        (false, true) => {
            let (state, path) =
                (State(Arc::clone(&context.shared)), Path(context.channel.to_string()));
            preview::remove_preview(state, path).await?;
            Ok(Value::Null)
        }
        _ => Ok(Value::Null),
    }
}

pub(super) async fn take(context: &Context) -> Answered {
    in_preview(context).await?;
    let (state, path) = (State(Arc::clone(&context.shared)), Path(context.channel.to_string()));
    // What is taken is told of as an event.
    drop(preview::take(state, path, Body(preview::Take::default())).await?);
    Ok(Value::Null)
}

pub(super) async fn items(context: &Context, fields: Fields<'_>) -> Answered {
    let scene = context.scene_of(fields).await?;
    let items = context.items(&scene).await?;
    let items: Vec<_> =
        items.iter().enumerate().map(|(at, item)| told(context, item, at)).collect();
    Ok(json!({ "sceneItems": items }))
}

fn told(context: &Context, item: &Layer, at: usize) -> Value {
    let is_scene = ["group", "scene"].contains(&item.kind());
    let source_type = if is_scene { "OBS_SOURCE_TYPE_SCENE" } else { "OBS_SOURCE_TYPE_INPUT" };
    json!({
        "sceneItemId": item.id(),
        "sceneItemIndex": at,
        "sceneItemEnabled": item.is_visible(),
        "sceneItemLocked": false,
        "sceneItemBlendMode": "OBS_BLEND_NORMAL",
        "sourceName": item.path,
        "sourceUuid": uuid(&context.channel, "input", &item.path),
        "sourceType": source_type,
        "inputKind": (!is_scene).then(|| kind_of(item.kind())),
        // What is in a group stands beside it, as `group/layer`.
        "isGroup": is_scene.then_some(false),
    })
}

pub(super) async fn item_id(context: &Context, fields: Fields<'_>) -> Answered {
    let scene = context.scene_of(fields).await?;
    let name = fields.text("sourceName")?;
    let items = context.items(&scene).await?;
    let item = items.iter().find(|item| item.path == name);
    let item = item.ok_or_else(|| Refusal::not_found("layer", name))?;
    Ok(json!({ "sceneItemId": item.id() }))
}

/// The layer that a request names by `sceneItemId`.
async fn item_of(context: &Context, fields: Fields<'_>) -> Result<(String, Layer), Refusal> {
    let scene = context.scene_of(fields).await?;
    let wanted = fields.number("sceneItemId", 0.0..=f64::from(u32::MAX))?;
    let items = context.items(&scene).await?;
    let item = items.into_iter().find(|item| f64::from(item.id()).total_cmp(&wanted).is_eq());
    let item = item.ok_or_else(|| Refusal::not_found("scene item", &wanted.to_string()))?;
    Ok((scene, item))
}

pub(super) async fn item_enabled(context: &Context, fields: Fields<'_>) -> Answered {
    let (_, item) = item_of(context, fields).await?;
    Ok(json!({ "sceneItemEnabled": item.is_visible() }))
}

pub(super) async fn set_item_enabled(context: &Context, fields: Fields<'_>) -> Answered {
    let is_wanted = fields.flag("sceneItemEnabled")?;
    let (_, Layer { path, scene, .. }) = item_of(context, fields).await?;
    let patch = [("visible".to_owned(), Value::Bool(is_wanted))].into_iter().collect();
    let what = match &scene {
        Some(scene) => format!("layer {path} of scene {scene} of channel {}", context.channel),
        None => format!("overlay {path} of channel {}", context.channel),
    };
    let place = (context.channel.to_string(), scene, path);
    drop(channels::patched(&context.shared, place, &what, &HeaderMap::new(), patch).await?);
    Ok(Value::Null)
}

/// Whether an input, or a scene, is on the air, and whether it is in the picture at all.
pub(super) async fn source_active(context: &Context, fields: Fields<'_>) -> Answered {
    let name = fields.text("sourceName")?;
    let view = context.scenes().await?;
    let preview = context.preview().await?.map(|preview| preview.scene);
    let shows = async |scene: &str| -> Result<bool, Refusal> {
        if scene == name {
            return Ok(true);
        }
        let items = context.items(scene).await?;
        Ok(items.iter().any(|item| item.path == name && item.is_visible()))
    };
    let is_active = shows(&view.active).await?;
    let is_in_preview = match &preview {
        Some(scene) => shows(scene).await?,
        None => false,
    };
    Ok(json!({ "videoActive": is_active, "videoShowing": is_active || is_in_preview }))
}

pub(super) async fn screenshot(context: &Context, fields: Fields<'_>) -> Answered {
    let scene = fields.text("sourceName")?.to_owned();
    if fields.text("imageFormat")? != "png" {
        let comment = "`imageFormat` has to be `png`";
        return Err(Refusal::new(status::INVALID_REQUEST_FIELD, comment));
    }
    let width = match fields.get("imageWidth") {
        Some(_) => Some(fields.number("imageWidth", SCREENSHOT_WIDTHS)?),
        None => None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range")]
    let width = width.map(|width| width as u32);
    let channel = context.channel.to_string();
    match context.shared.api.handle.ask(Ask::Screenshot { channel, scene, width }).await {
        Answer::Screenshot(png) => {
            Ok(json!({ "imageData": format!("data:image/png;base64,{}", BASE64.encode(png)) }))
        }
        other => Err(other.into()),
    }
}
