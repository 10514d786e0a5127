//! Inputs: the layers of all scenes, the overlays and the audio sources, by their names. Layers of
//! several scenes that have the same name are one input, as a source in several scenes of OBS is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::context::Context;
use super::protocol::status;
use super::refusal::{Fields, Refusal};
use super::scenes::{Layer, uuid};
use super::volumes;
use crate::command::{Answer, Ask, PlaybackState};
use crate::control::http::api::ask::Body;
use crate::control::http::api::{channels, playback};

type Answered = Result<Value, Refusal>;

/// Types of layers that are a kind of input in OBS, by which programs find texts and the like.
const KINDS: [(&str, &str); 6] = [
    ("text", "text_ft2_source_v2"),
    ("image", "image_source"),
    ("color", "color_source_v3"),
    ("video", "ffmpeg_source"),
    ("live", "ffmpeg_source"),
    ("network", "ffmpeg_source"),
];

/// Names that OBS has for keys of layers: type, in OBS, here.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("image", "file", "path"),
    ("video", "local_file", "path"),
    ("video", "looping", "loop"),
    ("network", "input", "url"),
];

/// The kind of an input in OBS: that of the type of a layer, or its type as it is.
pub(super) fn kind_of(layer_type: &str) -> &str {
    KINDS.iter().find(|(it, _)| *it == layer_type).map_or(layer_type, |(_, kind)| kind)
}

fn unversioned(kind: &str) -> &str {
    let base = kind.trim_end_matches(|c: char| c.is_ascii_digit());
    base.strip_suffix("_v").unwrap_or(kind)
}

pub(super) fn kinds() -> Value {
    let kinds: BTreeSet<_> = KINDS.iter().map(|(_, kind)| *kind).collect();
    json!({ "inputKinds": kinds })
}

/// Devices that are in every scene of OBS: there are none.
pub(super) fn special() -> Value {
    let none = Value::Null;
    json!({
        "desktop1": none, "desktop2": none, "mic1": none, "mic2": none, "mic3": none, "mic4": none,
    })
}

pub(super) async fn list(context: &Context, fields: Fields<'_>) -> Answered {
    let wanted = match fields.get("inputKind") {
        Some(_) => Some(fields.text("inputKind")?),
        None => None,
    };
    let layers = context.everything().await?;
    let layers = layers.iter().filter(|layer| !["group", "scene"].contains(&layer.kind()));
    let volumes = volumes::all(context).await?;
    let audio = volumes.iter().map(|(name, of)| (name.as_str(), kind_of(&of.kind)));
    // What is seen says what an input is that is heard as well.
    let layers = layers.map(|it| (it.path.as_str(), kind_of(it.kind())));
    let named: BTreeMap<_, _> = audio.chain(layers).collect();
    let inputs = named.into_iter().filter(|(_, kind)| wanted.is_none_or(|wanted| wanted == *kind));
    let inputs: Vec<_> = inputs
        .map(|(name, kind)| {
            json!({
                "inputName": name,
                "inputUuid": uuid(&context.channel, "input", name),
                "inputKind": kind,
                "unversionedInputKind": unversioned(kind),
            })
        })
        .collect();
    Ok(json!({ "inputs": inputs }))
}

/// The layers that a request names by `inputName` or `inputUuid`, those of the scene on the air
/// first.
async fn input_of(context: &Context, fields: Fields<'_>) -> Result<Vec<Layer>, Refusal> {
    let is_named = fields.get("inputName").is_some() || fields.get("inputUuid").is_none();
    let wanted = fields.text(if is_named { "inputName" } else { "inputUuid" })?;
    let is_it = |path: &str| match is_named {
        true => path == wanted,
        false => uuid(&context.channel, "input", path) == wanted,
    };
    let active = context.scenes().await?.active;
    let mut layers = context.everything().await?;
    layers.retain(|layer| is_it(&layer.path));
    layers.sort_by_key(|layer| layer.scene.as_ref().is_some_and(|scene| *scene != active));
    match layers.is_empty() {
        true => Err(Refusal::not_found("input", wanted)),
        false => Ok(layers),
    }
}

pub(super) async fn settings(context: &Context, fields: Fields<'_>) -> Answered {
    let layers = input_of(context, fields).await?;
    let kind = layers[0].kind();
    let mut settings = layers[0].document.clone();
    for (_, theirs, ours) in SETTINGS.iter().filter(|(it, ..)| *it == kind) {
        if let Some(value) = settings.get(*ours).cloned() {
            settings.insert((*theirs).to_owned(), value);
        }
    }
    Ok(json!({ "inputSettings": settings, "inputKind": kind_of(kind) }))
}

/// Changes keys of a layer wherever it is, at one frame.
pub(super) async fn set_settings(context: &Context, fields: Fields<'_>) -> Answered {
    let settings = fields.object("inputSettings")?;
    let layers = input_of(context, fields).await?;
    let (mut scenes, mut overlays) = (Map::new(), Map::new());
    for layer in &layers {
        let patch = patch(layer.kind(), settings);
        match &layer.scene {
            Some(scene) => {
                let of_scene = scenes.entry(scene.clone()).or_insert_with(|| json!({}));
                of_scene[layer.path.as_str()] = patch;
            }
            None => drop(overlays.insert(layer.path.clone(), patch)),
        }
    }
    let document = json!({ "layers": scenes, "overlay_layers": overlays });
    let channel = context.channel.to_string();
    let what = format!("input {} of channel {channel}", layers[0].path);
    let ask = Ask::Transaction { channel, document };
    drop(channels::transact(&context.shared, &context.channel, &what, ask).await?);
    Ok(Value::Null)
}

/// What settings of OBS are here.
fn patch(kind: &str, settings: &Map<String, Value>) -> Value {
    let ours = |key: &str| {
        let known = SETTINGS.iter().find(|(it, theirs, _)| *it == kind && *theirs == key);
        known.map_or(key, |(.., ours)| ours).to_owned()
    };
    settings.iter().map(|(key, value)| (ours(key), value.clone())).collect::<Map<_, _>>().into()
}

pub(super) async fn media_status(context: &Context, fields: Fields<'_>) -> Answered {
    let layers = input_of(context, fields).await?;
    let channel = context.channel.to_string();
    let playing = match context.shared.api.handle.ask(Ask::Playback { channel }).await {
        Answer::Playback(views) => views.into_iter().find(|view| view.layer == layers[0].path),
        other => return Err(other.into()),
    };
    let state = match playing.as_ref().map(|view| view.state) {
        None => "OBS_MEDIA_STATE_NONE",
        Some(PlaybackState::Opening) => "OBS_MEDIA_STATE_OPENING",
        Some(PlaybackState::Playing) => "OBS_MEDIA_STATE_PLAYING",
        Some(PlaybackState::Paused) => "OBS_MEDIA_STATE_PAUSED",
        Some(PlaybackState::Ended) => "OBS_MEDIA_STATE_ENDED",
        Some(PlaybackState::Failed) => "OBS_MEDIA_STATE_ERROR",
    };
    Ok(json!({
        "mediaState": state,
        "mediaDuration": playing.as_ref().and_then(|view| view.duration.map(|it| it.millis())),
        "mediaCursor": playing.as_ref().map(|view| view.position.millis()),
    }))
}

pub(super) async fn media_action(context: &Context, fields: Fields<'_>) -> Answered {
    let action = match fields.text("mediaAction")? {
        "OBS_WEBSOCKET_MEDIA_INPUT_ACTION_PLAY" => playback::Action::Play,
        "OBS_WEBSOCKET_MEDIA_INPUT_ACTION_PAUSE" => playback::Action::Pause,
        "OBS_WEBSOCKET_MEDIA_INPUT_ACTION_RESTART" => playback::Action::Restart,
        _ => {
            let comment = "`mediaAction` has to be OBS_WEBSOCKET_MEDIA_INPUT_ACTION_PLAY, _PAUSE \
                           or _RESTART";
            return Err(Refusal::new(status::INVALID_REQUEST_FIELD, comment));
        }
    };
    let layer = input_of(context, fields).await?.swap_remove(0).path;
    let path = Path((context.channel.to_string(), layer));
    let order = playback::PlaybackOrder::plain(action);
    playback::control(State(Arc::clone(&context.shared)), path, Body(order)).await?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_obs_where_it_has_them() {
        assert_eq!(kind_of("text"), "text_ft2_source_v2");
        assert_eq!(unversioned("text_ft2_source_v2"), "text_ft2_source");
        assert_eq!((kind_of("clock"), unversioned("clock")), ("clock", "clock"));
        assert_eq!(unversioned("image_source"), "image_source");
    }

    #[test]
    fn settings_of_obs_become_keys_of_layers() {
        let settings = json!({"local_file": "a.mp4", "looping": false, "opacity": 0.5});
        let patch = patch("video", settings.as_object().unwrap());
        assert_eq!(patch, json!({"path": "a.mp4", "loop": false, "opacity": 0.5}));
    }
}
