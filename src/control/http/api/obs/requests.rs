//! obs-websocket requests: which ones there are, and who answers them.

use serde_json::{Value, json};

use super::context::{Context, Traffic};
use super::outputs::Switch;
use super::protocol::{OBS_VERSION, PROTOCOL_VERSION, RPC_VERSION, status};
use super::refusal::{Fields, Refusal};

use super::{inputs, outputs, programme, transitions, volumes};

/// The requests that are answered.
pub(super) const REQUESTS: [&str; 56] = [
    "BroadcastCustomEvent",
    "GetCurrentPreviewScene",
    "GetCurrentProgramScene",
    "GetCurrentSceneTransition",
    "GetGroupList",
    "GetHotkeyList",
    "GetInputKindList",
    "GetInputList",
    "GetInputMute",
    "GetInputSettings",
    "GetInputVolume",
    "GetMediaInputStatus",
    "GetOutputList",
    "GetOutputStatus",
    "GetProfileList",
    "GetRecordDirectory",
    "GetRecordStatus",
    "GetReplayBufferStatus",
    "GetSceneCollectionList",
    "GetSceneItemEnabled",
    "GetSceneItemId",
    "GetSceneItemList",
    "GetSceneList",
    "GetSceneTransitionList",
    "GetSourceActive",
    "GetSourceScreenshot",
    "GetSpecialInputs",
    "GetStats",
    "GetStreamServiceSettings",
    "GetStreamStatus",
    "GetStudioModeEnabled",
    "GetTransitionKindList",
    "GetVersion",
    "GetVideoSettings",
    "GetVirtualCamStatus",
    "SetCurrentPreviewScene",
    "SetCurrentProgramScene",
    "SetCurrentSceneTransition",
    "SetCurrentSceneTransitionDuration",
    "SetInputMute",
    "SetInputSettings",
    "SetInputVolume",
    "SetSceneItemEnabled",
    "SetStudioModeEnabled",
    "StartOutput",
    "StartRecord",
    "StartStream",
    "StopOutput",
    "StopRecord",
    "StopStream",
    "ToggleInputMute",
    "ToggleOutput",
    "ToggleRecord",
    "ToggleStream",
    "TriggerMediaInputAction",
    "TriggerStudioModeTransition",
];

/// What a request asks for; `null` where that is nothing.
///
/// # Errors
/// A status of the protocol, with what to do about it.
pub(super) async fn answer(
    context: &Context,
    kind: &str,
    fields: Fields<'_>,
    traffic: &mut Traffic,
) -> Result<Value, Refusal> {
    match kind {
        "BroadcastCustomEvent" => broadcast(context, fields),
        "GetCurrentPreviewScene" => programme::current_preview(context).await,
        "GetCurrentProgramScene" => programme::current_program(context).await,
        "GetCurrentSceneTransition" => transitions::current(context).await,
        "GetGroupList" => Ok(json!({ "groups": [] })),
        "GetHotkeyList" => Ok(json!({ "hotkeys": [] })),
        "GetInputKindList" => Ok(inputs::kinds()),
        "GetInputList" => inputs::list(context, fields).await,
        "GetInputMute" => volumes::mute(context, fields).await,
        "GetInputSettings" => inputs::settings(context, fields).await,
        "GetInputVolume" => volumes::volume(context, fields).await,
        "GetMediaInputStatus" => inputs::media_status(context, fields).await,
        "GetOutputList" => outputs::list(context).await,
        "GetOutputStatus" => outputs::status(context, fields).await,
        "GetProfileList" => Ok(profiles(context)),
        "GetRecordDirectory" => outputs::record_directory(context).await,
        "GetRecordStatus" => outputs::record_status(context).await,
        "GetReplayBufferStatus" | "GetVirtualCamStatus" => Ok(json!({ "outputActive": false })),
        "GetSceneCollectionList" => Ok(scene_collections(context)),
        "GetSceneItemEnabled" => programme::item_enabled(context, fields).await,
        "GetSceneItemId" => programme::item_id(context, fields).await,
        "GetSceneItemList" => programme::items(context, fields).await,
        "GetSceneList" => programme::list(context).await,
        "GetSceneTransitionList" => transitions::list(context).await,
        "GetSourceActive" => programme::source_active(context, fields).await,
        "GetSourceScreenshot" => programme::screenshot(context, fields).await,
        "GetSpecialInputs" => Ok(inputs::special()),
        "GetStats" => outputs::stats(context, traffic).await,
        "GetStreamServiceSettings" => outputs::stream_service(context).await,
        "GetStreamStatus" => outputs::stream_status(context).await,
        "GetStudioModeEnabled" => programme::studio_mode(context).await,
        "GetTransitionKindList" => Ok(transitions::kinds()),
        "GetVersion" => Ok(version()),
        "GetVideoSettings" => outputs::video_settings(context).await,
        "SetCurrentPreviewScene" => programme::set_preview(context, fields).await,
        "SetCurrentProgramScene" => programme::set_program(context, fields).await,
        "SetCurrentSceneTransition" => transitions::set(context, fields).await,
        "SetCurrentSceneTransitionDuration" => transitions::set_duration(context, fields).await,
        "SetInputMute" => volumes::set_mute(context, fields).await,
        "SetInputSettings" => inputs::set_settings(context, fields).await,
        "SetInputVolume" => volumes::set_volume(context, fields).await,
        "SetSceneItemEnabled" => programme::set_item_enabled(context, fields).await,
        "SetStudioModeEnabled" => programme::set_studio_mode(context, fields).await,
        "StartOutput" => outputs::switch(context, fields, Switch::Start).await,
        "StartRecord" => outputs::switch_record(context, Switch::Start).await,
        "StartStream" => outputs::switch_stream(context, Switch::Start).await,
        "StopOutput" => outputs::switch(context, fields, Switch::Stop).await,
        "StopRecord" => outputs::switch_record(context, Switch::Stop).await,
        "StopStream" => outputs::switch_stream(context, Switch::Stop).await,
        "ToggleInputMute" => volumes::toggle_mute(context, fields).await,
        "ToggleOutput" => outputs::switch(context, fields, Switch::Toggle).await,
        "ToggleRecord" => outputs::switch_record(context, Switch::Toggle).await,
        "ToggleStream" => outputs::switch_stream(context, Switch::Toggle).await,
        "TriggerMediaInputAction" => inputs::media_action(context, fields).await,
        "TriggerStudioModeTransition" => programme::take(context).await,
        _ => {
            let comment = format!("`{kind}` is not among `availableRequests` of GetVersion");
            Err(Refusal::new(status::UNKNOWN_REQUEST_TYPE, comment))
        }
    }
}

fn version() -> Value {
    json!({
        "obsVersion": OBS_VERSION,
        "obsWebSocketVersion": PROTOCOL_VERSION,
        "rpcVersion": RPC_VERSION,
        "availableRequests": REQUESTS.as_slice(),
        "supportedImageFormats": ["png"],
        "platform": "linux",
        "platformDescription": format!("Stream Manager {}", env!("CARGO_PKG_VERSION")),
    })
}

fn broadcast(context: &Context, fields: Fields<'_>) -> Result<Value, Refusal> {
    let data = fields.object("eventData")?;
    // Nobody else may be there to hear it.
    drop(context.custom.send(Value::Object(data.clone())));
    Ok(Value::Null)
}

fn profiles(context: &Context) -> Value {
    let name = &context.shared.state.info.name;
    json!({ "currentProfileName": name, "profiles": [name] })
}

/// What a collection of scenes is in OBS is a channel here.
fn scene_collections(context: &Context) -> Value {
    let channel = context.channel.as_ref();
    json!({ "currentSceneCollectionName": channel, "sceneCollections": [channel] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_is_listed_twice() {
        let mut sorted = REQUESTS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), REQUESTS.len());
    }
}
