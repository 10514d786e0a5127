//! Events of a session: what has changed since it looked last.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::Context;
use super::outputs::{channel_of, file_of, is_live, outputs_of, recordings_of};
use super::protocol::intent;
use super::scenes::{scene_list, uuid};
use super::transitions;
use super::volumes::{self, Volume};
use crate::control::state::{self, Snapshot};

/// Events of the node that may have changed what scenes show.
const OF_SCENES: [&str; 9] = [
    "scene_changed",
    "scene_replaced",
    "scene_removed",
    "overlays_replaced",
    "transition_replaced",
    "transaction_done",
    "preview_changed",
    "channel_started",
    "config_reloaded",
];

/// Events of the node that may have changed how loud audio sources are.
const OF_AUDIO: [&str; 3] = ["audio_changed", "channel_started", "config_reloaded"];

/// An event as a session is told it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub intent: u64,
    pub kind: &'static str,
    pub data: Value,
}

impl Event {
    pub(super) const fn new(intent: u64, kind: &'static str, data: Value) -> Self {
        Self { intent, kind, data }
    }
}

/// What a session has been told.
#[derive(Clone, Debug, Default, PartialEq)]
struct Known {
    scenes: Vec<String>,
    programme: String,
    preview: Option<String>,
    transition: Value,
    /// By scene and id: name and whether it is visible.
    items: BTreeMap<(String, u32), (String, bool)>,
    volumes: BTreeMap<String, Volume>,
    is_streaming: bool,
    /// The file that is written.
    recording: Option<String>,
}

/// Tells one session what has changed.
#[derive(Debug)]
pub(super) struct Follower {
    known: Known,
    /// Number of the last event that was looked at.
    seq: u64,
}

impl Follower {
    /// One that knows all there is now.
    pub(super) async fn new(context: &Context) -> Self {
        let (_, seq) = context.shared.api.board.wanted(u64::MAX, |_| false).await;
        let snapshot = context.shared.api.board.snapshot().await;
        Self { known: look(context, &snapshot, &Known::default(), (true, true)).await, seq }
    }

    /// What has changed.
    pub(super) async fn look(&mut self, context: &Context) -> Vec<Event> {
        let (board, channel) = (&context.shared.api.board, context.channel.as_ref());
        let is_ours =
            |event: &state::Event| event.channel.as_deref().is_none_or(|it| it == channel);
        let (happened, seq) = board.wanted(self.seq, is_ours).await;
        self.seq = seq;
        let snapshot = board.snapshot().await;
        let on_air = snapshot.channels.get(channel).map(|it| &it.scene);
        let is_of_scenes = happened.iter().any(|event| OF_SCENES.contains(&event.kind.as_str()))
            || on_air.is_some_and(|scene| *scene != self.known.programme);
        let is_of_audio = happened.iter().any(|event| OF_AUDIO.contains(&event.kind.as_str()));
        let news = (is_of_scenes, is_of_audio);
        let now = look(context, &snapshot, &self.known, news).await;
        let mut told = changes(channel, &self.known, &now);
        told.extend(happened.iter().filter_map(|event| media_event(channel, event)));
        self.known = now;
        told
    }
}

/// What there is now; scenes and audio only if they may have changed. What cannot be looked at is
/// as it was.
async fn look(
    context: &Context,
    snapshot: &Snapshot,
    before: &Known,
    (with_scenes, with_audio): (bool, bool),
) -> Known {
    let mut now = before.clone();
    now.is_streaming = is_live(outputs_of(context, snapshot).map(|output| output.state));
    if let Ok(channel) = channel_of(context, snapshot) {
        let live = recordings_of(channel, snapshot).find(|it| is_live([it.state]));
        now.recording = live.map(|it| file_of(it).unwrap_or_default());
    }
    if with_audio && let Ok(volumes) = volumes::all(context).await {
        now.volumes = volumes;
    }
    if !with_scenes {
        return now;
    }
    if let Ok(view) = context.scenes().await {
        (now.scenes, now.programme, now.transition) = (view.names, view.active, view.transition);
    }
    if let Ok(preview) = context.preview().await {
        now.preview = preview.map(|preview| preview.scene);
    }
    let overlays = context.overlays().await.unwrap_or_default();
    now.items.clear();
    for scene in &now.scenes {
        let layers = context.layers(scene).await.unwrap_or_default();
        for item in layers.iter().chain(&overlays) {
            let value = (item.path.clone(), item.is_visible());
            now.items.insert((scene.clone(), item.id()), value);
        }
    }
    now
}

/// The events that lead from one to the other.
fn changes(channel: &str, before: &Known, now: &Known) -> Vec<Event> {
    let mut told = Vec::new();
    let scene = |name: &str| {
        let of = uuid(channel, "scene", name);
        json!({ "sceneName": name, "sceneUuid": of, "isGroup": false })
    };
    let added = now.scenes.iter().filter(|name| !before.scenes.contains(name));
    told.extend(added.map(|name| Event::new(intent::SCENES, "SceneCreated", scene(name))));
    let removed = before.scenes.iter().filter(|name| !now.scenes.contains(name));
    told.extend(removed.map(|name| Event::new(intent::SCENES, "SceneRemoved", scene(name))));
    if before.scenes != now.scenes {
        let list = scene_list(channel, &now.scenes);
        told.push(Event::new(intent::SCENES, "SceneListChanged", json!({ "scenes": list })));
    }
    if before.programme != now.programme {
        let data = scene(&now.programme);
        told.push(Event::new(intent::SCENES, "CurrentProgramSceneChanged", data));
    }
    if before.preview.is_some() != now.preview.is_some() {
        let data = json!({ "studioModeEnabled": now.preview.is_some() });
        told.push(Event::new(intent::UI, "StudioModeStateChanged", data));
    }
    if let Some(name) = now.preview.as_ref().filter(|_| before.preview != now.preview) {
        told.push(Event::new(intent::SCENES, "CurrentPreviewSceneChanged", scene(name)));
    }
    told.extend(transition_changes(channel, &before.transition, &now.transition));
    for ((scene, id), (name, is_visible)) in &now.items {
        let key = (scene.clone(), *id);
        if before.items.get(&key).is_some_and(|(_, was)| was != is_visible) {
            let data = json!({
                "sceneName": scene, "sceneUuid": uuid(channel, "scene", scene),
                "sceneItemId": id, "sceneItemEnabled": is_visible, "sourceName": name,
            });
            told.push(Event::new(intent::SCENE_ITEMS, "SceneItemEnableStateChanged", data));
        }
    }
    told.extend(volume_changes(channel, before, now));
    if before.is_streaming != now.is_streaming {
        let data = output_state(now.is_streaming);
        told.push(Event::new(intent::OUTPUTS, "StreamStateChanged", data));
    }
    if before.recording.is_some() != now.recording.is_some() {
        let mut data = output_state(now.recording.is_some());
        data["outputPath"] = json!(now.recording.as_ref().or(before.recording.as_ref()));
        told.push(Event::new(intent::OUTPUTS, "RecordStateChanged", data));
    }
    told
}

fn output_state(is_active: bool) -> Value {
    let state = if is_active { "STARTED" } else { "STOPPED" };
    json!({ "outputActive": is_active, "outputState": format!("OBS_WEBSOCKET_OUTPUT_{state}") })
}

fn transition_changes(channel: &str, before: &Value, now: &Value) -> Vec<Event> {
    let mut told = Vec::new();
    let (was, (name, _)) = (transitions::name_of(before), transitions::name_of(now));
    if was.0 != name {
        let of = uuid(channel, "transition", name);
        let data = json!({ "transitionName": name, "transitionUuid": of });
        told.push(Event::new(intent::TRANSITIONS, "CurrentSceneTransitionChanged", data));
    }
    let duration = transitions::duration_ms(now);
    if let Some(ms) = duration.filter(|_| transitions::duration_ms(before) != duration) {
        let kind = "CurrentSceneTransitionDurationChanged";
        told.push(Event::new(intent::TRANSITIONS, kind, json!({ "transitionDuration": ms })));
    }
    told
}

fn volume_changes(channel: &str, before: &Known, now: &Known) -> Vec<Event> {
    let mut told = Vec::new();
    for (name, volume) in &now.volumes {
        let Some(was) = before.volumes.get(name) else { continue };
        let input = json!({ "inputName": name, "inputUuid": uuid(channel, "input", name) });
        if was.is_muted != volume.is_muted {
            let mut data = input.clone();
            data["inputMuted"] = json!(volume.is_muted);
            told.push(Event::new(intent::INPUTS, "InputMuteStateChanged", data));
        }
        if was.fields() != volume.fields() {
            let (mut data, fields) = (input, volume.fields());
            for key in ["inputVolumeMul", "inputVolumeDb"] {
                data[key] = fields[key].clone();
            }
            told.push(Event::new(intent::INPUTS, "InputVolumeChanged", data));
        }
    }
    told
}

/// A video file that begins or ends.
fn media_event(channel: &str, event: &state::Event) -> Option<Event> {
    let kind = match event.kind.as_str() {
        "playback_started" => "MediaInputPlaybackStarted",
        "playback_ended" => "MediaInputPlaybackEnded",
        _ => return None,
    };
    let layer = event.layer.as_ref()?;
    let data = json!({ "inputName": layer, "inputUuid": uuid(channel, "input", layer) });
    Some(Event::new(intent::MEDIA_INPUTS, kind, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(scenes: &[&str], programme: &str) -> Known {
        let scenes = scenes.iter().map(|&name| name.to_owned()).collect();
        Known { scenes, programme: programme.to_owned(), ..Known::default() }
    }

    #[test]
    fn nothing_new_is_nothing_told() {
        let all = known(&["a", "b"], "a");
        assert_eq!(changes("main", &all, &all.clone()), []);
    }

    #[test]
    fn each_change_is_told_by_its_name() {
        let before = known(&["a", "b"], "a");
        let kinds = |now: &Known| -> Vec<_> {
            changes("main", &before, now).into_iter().map(|event| event.kind).collect()
        };
        let programme = Known { programme: "b".to_owned(), ..before.clone() };
        assert_eq!(kinds(&programme), ["CurrentProgramSceneChanged"]);
        let scenes = known(&["a", "c"], "a");
        assert_eq!(kinds(&scenes), ["SceneCreated", "SceneRemoved", "SceneListChanged"]);
        let preview = Known { preview: Some("b".to_owned()), ..before.clone() };
        assert_eq!(kinds(&preview), ["StudioModeStateChanged", "CurrentPreviewSceneChanged"]);
        let fade = json!({"type": "fade", "duration_ms": 500});
        let faded = Known { transition: fade, ..before.clone() };
        let wanted = ["CurrentSceneTransitionChanged", "CurrentSceneTransitionDurationChanged"];
        assert_eq!(kinds(&faded), wanted);
        let sent = Known { is_streaming: true, ..before.clone() };
        assert_eq!(kinds(&sent), ["StreamStateChanged"]);
        let kept = Known { recording: Some("a.mp4".to_owned()), ..before.clone() };
        assert_eq!(kinds(&kept), ["RecordStateChanged"]);
        let told = changes("main", &kept, &before);
        assert_eq!(told[0].data["outputPath"], "a.mp4");
        assert_eq!(told[0].data["outputState"], "OBS_WEBSOCKET_OUTPUT_STOPPED");
    }

    #[test]
    fn a_source_that_is_muted_or_louder_is_told_and_a_new_one_is_not() {
        let with = |is_muted, gain_db| {
            let volume = Volume { kind: "bed".to_owned(), is_muted, gain_db };
            let volumes = [("music".to_owned(), volume)].into_iter().collect();
            Known { volumes, ..known(&["a"], "a") }
        };
        let told = |before: &Known, now: &Known| changes("main", before, now);
        assert_eq!(told(&known(&["a"], "a"), &with(true, 0.0)), []);
        let muted = told(&with(false, 0.0), &with(true, 0.0));
        assert_eq!((muted.len(), muted[0].kind), (1, "InputMuteStateChanged"));
        assert_eq!((muted[0].intent, &muted[0].data["inputMuted"]), (1 << 3, &json!(true)));
        let louder = told(&with(false, 0.0), &with(false, 20.0));
        assert_eq!((louder.len(), louder[0].kind), (1, "InputVolumeChanged"));
        assert_eq!(louder[0].data["inputVolumeMul"], json!(10.0));
    }

    #[test]
    fn a_layer_that_is_hidden_is_told_and_a_new_one_is_not() {
        let item = |is_visible| {
            [(("a".to_owned(), 7), ("title".to_owned(), is_visible))].into_iter().collect()
        };
        let none = known(&["a"], "a");
        let (shown, hidden) = (
            Known { items: item(true), ..none.clone() },
            Known { items: item(false), ..none.clone() },
        );
        assert_eq!(changes("main", &none, &shown), []);
        let told = changes("main", &shown, &hidden);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].data["sceneItemEnabled"], false);
        assert_eq!((told[0].intent, &told[0].data["sceneItemId"]), (1 << 7, &json!(7)));
    }
}
