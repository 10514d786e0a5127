//! Programs that control OBS: the client library `obws`, which many of them are made with, and
//! messages by hand.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use obws::Client;
use obws::client::ConnectConfig;
use obws::events::Event;
use obws::requests::EventSubscription;
use obws::requests::inputs::{SetSettings, Volume};
use obws::requests::scene_items::{Id, SetEnabled};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::api::token_in;
use crate::config::Config;
use crate::destination::Destination;
use crate::node::Node;
use crate::wait::{SOON, beside_others, free_port};
use crate::watcher::Watcher;

const RED: [u8; 3] = [72, 96, 240];
const BLUE: [u8; 3] = [32, 240, 118];

/// A scene of one colour with a text over it.
fn scene(name: &str, color: &str) -> String {
    format!(
        "[[channel.scene]]\nname = \"{name}\"\nbackground = \"{color}\"\n\
         [[channel.scene.layer]]\nname = \"title\"\ntype = \"text\"\ntext = \"{name}\"\n"
    )
}

/// A node with two scenes, red and blue, and the port at which it is an OBS.
fn node(more: &str) -> (Node, u16) {
    let port = free_port();
    let obs = format!("[obs_websocket]\nenabled = true\nport = {port}\n");
    let scenes = scene("live", "#ff0000") + &scene("break", "#0000ff");
    let config = Config::new()
        .channel("demo")
        .more("[channel.transition]\ntype = \"cut\"\n[channel.audio]\nenabled = false\n")
        .more(&(scenes + more + &obs));
    (Node::start(&config), port)
}

/// A node with audio, and the port at which it is an OBS.
fn node_with_audio() -> (Node, u16) {
    let port = free_port();
    let config = Config::new().channel("demo").more(&format!(
        "[[channel.audio_source]]\nname = \"music\"\ntype = \"tone\"\n\
         [[channel.audio_source]]\nname = \"voice\"\ntype = \"bed\"\n\
         [obs_websocket]\nenabled = true\nport = {port}\n"
    ));
    (Node::start(&config), port)
}

fn password(node: &Node) -> String {
    token_in(node, "data/obs-websocket-password")
}

fn run<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(scenario)
}

async fn client(node: &Node, port: u16) -> Client {
    Client::connect("127.0.0.1", port, Some(password(node))).await.unwrap()
}

/// The next event that is wanted.
async fn event<T>(
    events: &mut (impl StreamExt<Item = Event> + Unpin),
    wanted: impl Fn(Event) -> Option<T>,
) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(events.next().await.expect("the session goes on")) {
                return found;
            }
        }
    };
    timeout(SOON, found).await.expect("the event comes")
}

/// Asks until the answer is what is waited for.
async fn until<T, E: std::fmt::Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
    is_it: impl Fn(&T) -> bool,
) -> T {
    let asked = async {
        loop {
            let answer = ask().await.unwrap();
            if is_it(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, asked).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

#[test]
fn a_program_that_controls_obs_changes_scenes_and_is_told_of_them() {
    let _turn = beside_others();
    let (node, port) = node("");
    let mut watcher = Watcher::of(&node.url("live/demo"));
    watcher.wait_for("the first scene", RED);
    run(async {
        let client = client(&node, port).await;
        let mut events = Box::pin(client.events().unwrap());
        let list = client.scenes().list().await.unwrap();
        let names: Vec<_> = list.scenes.iter().map(|scene| scene.id.name.as_str()).collect();
        // OBS lists from the bottom of its list to the top.
        assert_eq!(names, ["break", "live"]);
        assert_eq!(list.current_program_scene.unwrap().name, "live");
        assert!(list.current_preview_scene.is_none());
        client.scenes().set_current_program_scene("break").await.unwrap();
        let told = event(&mut events, |event| match event {
            Event::CurrentProgramSceneChanged { id } => Some(id.name),
            _ => None,
        });
        assert_eq!(told.await, "break");
        assert_eq!(client.scenes().current_program_scene().await.unwrap().id.name, "break");
        // By its UUID as well, and what is not there says so.
        let live = list.scenes[1].id.uuid;
        client.scenes().set_current_program_scene(live).await.unwrap();
        let fault = client.scenes().set_current_program_scene("nowhere").await.unwrap_err();
        assert!(fault.to_string().contains("ResourceNotFound"), "{fault}");
        let told = event(&mut events, |event| match event {
            Event::CurrentProgramSceneChanged { id } => Some(id.name),
            _ => None,
        });
        assert_eq!(told.await, "live");
        client.scenes().set_current_program_scene("break").await.unwrap();
    });
    watcher.wait_for("the second scene", BLUE);
}

#[test]
fn studio_mode_is_preview_and_programme_and_transitions_are_those_of_the_channel() {
    let _turn = beside_others();
    let (node, port) = node("");
    run(async {
        let client = client(&node, port).await;
        let mut events = Box::pin(client.events().unwrap());
        assert!(!client.ui().studio_mode_enabled().await.unwrap());
        assert!(client.scenes().current_preview_scene().await.is_err(), "studio mode is off");
        client.ui().set_studio_mode_enabled(true).await.unwrap();
        event(&mut events, |event| match event {
            Event::StudioModeStateChanged { enabled: true } => Some(()),
            _ => None,
        })
        .await;
        client.scenes().set_current_preview_scene("break").await.unwrap();
        let preview = client.scenes().current_preview_scene().await.unwrap();
        assert_eq!(preview.id.name, "break");
        assert_eq!(client.scenes().current_program_scene().await.unwrap().id.name, "live");
        let transitions = client.transitions();
        assert_eq!(transitions.current().await.unwrap().id.name, "Cut");
        transitions.set_current("Fade").await.unwrap();
        transitions.set_current_duration(time::Duration::milliseconds(200)).await.unwrap();
        let current = transitions.current().await.unwrap();
        assert_eq!(current.duration, Some(time::Duration::milliseconds(200)));
        assert_eq!((current.id.name.as_str(), current.kind.as_str()), ("Fade", "fade_transition"));
        assert!(transitions.set_current("Warp").await.is_err());
        transitions.trigger().await.unwrap();
        let programme = event(&mut events, |event| match event {
            Event::CurrentProgramSceneChanged { id } => Some(id.name),
            _ => None,
        });
        assert_eq!(programme.await, "break");
        // The one that was on the air is in preview now.
        let list = client.scenes().list().await.unwrap();
        assert_eq!(list.current_preview_scene.unwrap().name, "live");
        client.ui().set_studio_mode_enabled(false).await.unwrap();
        assert!(!client.ui().studio_mode_enabled().await.unwrap());
    });
}

#[test]
fn layers_are_inputs_whose_texts_are_set_and_items_that_are_hidden() {
    let _turn = beside_others();
    let overlay = "[[channel.overlay]]\nname = \"bug\"\ntype = \"color\"\ncolor = \"#00ff00\"\n\
                   x = 0\ny = 0\nwidth = 40\nheight = 40\n";
    let (node, port) = node(overlay);
    run(async {
        let client = client(&node, port).await;
        let mut events = Box::pin(client.events().unwrap());
        let inputs = client.inputs().list(Some("text_ft2_source_v2")).await.unwrap();
        assert_eq!(inputs.len(), 1, "a name that both scenes have is one input");
        assert_eq!(
            (&*inputs[0].id.name, &*inputs[0].unversioned_kind),
            ("title", "text_ft2_source")
        );
        let title = obws::requests::inputs::InputId::Name("title");
        let settings = json!({ "text": "Round two" });
        let change = SetSettings { input: title, settings: &settings, overlay: Some(true) };
        client.inputs().set_settings(change).await.unwrap();
        let now = client.inputs().settings::<Value>(title).await.unwrap();
        assert_eq!(
            (&now.settings["text"], &*now.kind),
            (&json!("Round two"), "text_ft2_source_v2")
        );
        let items = client.scene_items();
        let live = obws::requests::scenes::SceneId::Name("live");
        let listed = items.list(live).await.unwrap();
        let names: Vec<_> = listed.iter().map(|item| item.source_name.as_str()).collect();
        assert_eq!(names, ["title", "bug"], "overlays are above each scene");
        for source in ["title", "bug"] {
            let id = items.id(Id { scene: live, source, search_offset: None }).await.unwrap();
            assert!(items.enabled(live, id).await.unwrap());
            let hide = SetEnabled { scene: live, item_id: id, enabled: false };
            items.set_enabled(hide).await.unwrap();
            assert!(!items.enabled(live, id).await.unwrap());
            event(&mut events, |event| match event {
                Event::SceneItemEnableStateChanged { scene, item_id, enabled: false }
                    if scene.name == "live" && i64::try_from(item_id).unwrap() == id =>
                {
                    Some(())
                }
                _ => None,
            })
            .await;
        }
    });
}

#[test]
fn the_stream_and_the_recording_of_obs_are_the_outputs_and_recordings_of_the_channel() {
    let _turn = beside_others();
    let destination = Destination::start();
    let url = destination.url();
    let files = tempfile::tempdir().unwrap();
    let dir = files.path().display();
    let more = format!(
        "[[channel.output]]\nname = \"out\"\nurl = \"{url}\"\n\
         [[record]]\nname = \"tape\"\nstream = \"live/demo\"\ndir = \"{dir}\"\n"
    );
    let (node, port) = node(&more);
    run(async {
        let client = client(&node, port).await;
        let mut events = Box::pin(client.events().unwrap());
        let (streaming, recording) = (client.streaming(), client.recording());
        let status =
            until("the output", async || streaming.status().await, |status| status.active).await;
        assert!(!status.reconnecting);
        until("bytes", async || streaming.status().await, |status| status.bytes > 0).await;
        assert!(streaming.start().await.is_err(), "it runs already");
        streaming.stop().await.unwrap();
        event(&mut events, |event| match event {
            Event::StreamStateChanged { active: false, .. } => Some(()),
            _ => None,
        })
        .await;
        streaming.start().await.unwrap();
        until("the output again", async || streaming.status().await, |it| it.active).await;
        until("the recording", async || recording.status().await, |status| status.active).await;
        let path = recording.stop().await.unwrap();
        assert!(std::path::Path::new(&path).starts_with(files.path()), "{path}");
        until("its end", async || recording.status().await, |status| !status.active).await;
        let shown = client.config().stream_service_settings::<Value>().await.unwrap();
        assert!(!shown.settings.to_string().contains("secret"), "no stream key is told");
        let stats = client.general().stats().await.unwrap();
        assert!(stats.memory_usage > 1.0 && stats.render_total_frames > 0, "{stats:?}");
        let video = client.config().video_settings().await.unwrap();
        assert_eq!((video.fps_numerator, video.fps_denominator), (30, 1));
    });
}

#[test]
fn a_wrong_password_ends_the_session_and_is_in_no_log() {
    let _turn = beside_others();
    let (node, port) = node("");
    run(async {
        for wrong in ["", "guess-guess-guess"] {
            let refused = Client::connect("127.0.0.1", port, Some(wrong)).await;
            assert!(refused.is_err(), "{wrong:?}");
        }
        client(&node, port).await;
    });
    let log = node.program().out_text() + &node.program().err();
    assert!(!log.contains(&password(&node)) && !log.contains("guess-guess-guess"), "{log}");
}

/// What the protocol document says of each mistake.
#[test]
fn a_program_that_breaks_the_protocol_is_told_by_the_code_and_ends_nothing_else() {
    let _turn = beside_others();
    let (node, port) = node("");
    run(async {
        let url = format!("ws://127.0.0.1:{port}/");
        let other = client(&node, port).await;
        for (said, code) in [
            (Message::text("{"), 4_002),
            (Message::binary(vec![0x80]), 4_002),
            (Message::text("[]"), 4_004),
            (Message::text("{\"op\": 1}"), 4_003),
            (Message::text("{\"op\": 6, \"d\": {}}"), 4_007),
            (Message::text("{\"op\": 1, \"d\": {\"rpcVersion\": 0}}"), 4_010),
            (Message::text("{\"op\": 1, \"d\": {\"rpcVersion\": 1}}"), 4_009),
            (Message::text("{\"op\": 1, \"d\": {\"rpcVersion\": \"1\"}}"), 4_004),
        ] {
            let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
            let hello = socket.next().await.unwrap().unwrap();
            assert!(hello.to_text().unwrap().contains("\"rpcVersion\":1"), "{hello}");
            socket.send(said.clone()).await.unwrap();
            match timeout(SOON, socket.next()).await.expect("it is closed").unwrap().unwrap() {
                Message::Close(Some(frame)) => {
                    assert_eq!(u16::from(frame.code), code, "{said} {}", frame.reason);
                }
                answer => panic!("{said}: {answer}"),
            }
        }
        assert_eq!(other.scenes().list().await.unwrap().scenes.len(), 2);
    });
}

/// As `obs-websocket-js` speaks in Node.js, and what is built with it.
#[test]
fn a_program_may_speak_message_pack() {
    let _turn = beside_others();
    let (node, port) = node("");
    run(async {
        let mut request = format!("ws://127.0.0.1:{port}/").into_client_request().unwrap();
        let protocol = "obswebsocket.msgpack".parse().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "obswebsocket.msgpack");
        let hear = async |socket: &mut _| -> Value {
            let socket: &mut tokio_tungstenite::WebSocketStream<_> = socket;
            match timeout(SOON, socket.next()).await.expect("an answer").unwrap().unwrap() {
                Message::Binary(bytes) => rmp_serde::from_slice(&bytes).unwrap(),
                other => panic!("{other}"),
            }
        };
        let say = |value: &Value| Message::binary(rmp_serde::to_vec(value).unwrap());
        let hello = hear(&mut socket).await;
        let answer = answer(&password(&node), &hello["d"]["authentication"]);
        let identify = json!({"op": 1, "d": {"rpcVersion": 1, "authentication": answer}});
        socket.send(say(&identify)).await.unwrap();
        assert_eq!(hear(&mut socket).await["op"], 2);
        // A batch: what fails does not keep the others, unless it is to.
        let batch = json!({"op": 8, "d": {"requestId": "b", "haltOnFailure": true, "requests": [
            {"requestType": "GetVersion", "requestId": "1"},
            {"requestType": "Nonsense"},
            {"requestType": "GetStats"},
        ]}});
        socket.send(say(&batch)).await.unwrap();
        let results = hear(&mut socket).await;
        let results = &results["d"]["results"];
        assert_eq!(results.as_array().unwrap().len(), 2);
        assert_eq!(results[0]["responseData"]["rpcVersion"], 1);
        assert_eq!(results[1]["requestStatus"]["code"], 204);
        // Every request that it lists is one that it knows.
        let listed = results[0]["responseData"]["availableRequests"].as_array().unwrap();
        for request in listed {
            let ask = json!({"op": 6, "d": {"requestType": request, "requestId": "r"}});
            socket.send(say(&ask)).await.unwrap();
            let answer = loop {
                let heard = hear(&mut socket).await;
                // Some of them change something, of which events tell.
                if heard["op"] == 7 {
                    break heard;
                }
            };
            assert_ne!(answer["d"]["requestStatus"]["code"], 204, "{request}");
        }
    });
}

/// What the protocol document says about making an answer of a password.
fn answer(password: &str, authentication: &Value) -> String {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let hash = |text: String| {
        base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()))
    };
    let text = |key: &str| authentication[key].as_str().unwrap().to_owned();
    hash(hash(password.to_owned() + &text("salt")) + &text("challenge"))
}

#[test]
fn a_program_that_controls_obs_mutes_sources_and_is_told_of_volumes_and_meters() {
    let _turn = beside_others();
    let (node, port) = node_with_audio();
    run(async {
        let subscriptions = EventSubscription::ALL | EventSubscription::INPUT_VOLUME_METERS;
        let client = Client::connect_with_config(ConnectConfig {
            host: "127.0.0.1",
            port,
            password: Some(password(&node)),
            event_subscriptions: Some(subscriptions),
            dangerous: None,
            broadcast_capacity: 1_024,
            connect_timeout: SOON,
        });
        let client = client.await.unwrap();
        let mut events = Box::pin(client.events().unwrap());
        let inputs = client.inputs();
        assert!(!inputs.muted("music".into()).await.unwrap());
        inputs.set_muted("music".into(), true).await.unwrap();
        let told = event(&mut events, |event| match event {
            Event::InputMuteStateChanged { id, muted } => Some((id.name, muted)),
            _ => None,
        });
        assert_eq!(told.await, ("music".to_owned(), true));
        assert!(!inputs.toggle_mute("music".into()).await.unwrap());
        inputs.set_volume("voice".into(), Volume::Db(-20.0)).await.unwrap();
        let told = event(&mut events, |event| match event {
            Event::InputVolumeChanged { id, mul, db } => Some((id.name, mul, db)),
            _ => None,
        });
        let (name, mul, db) = told.await;
        assert_eq!((name.as_str(), (mul * 1_000.0).round(), db.round()), ("voice", 100.0, -20.0));
        inputs.set_volume("voice".into(), Volume::Mul(0.0)).await.unwrap();
        let silent = inputs.volume("voice".into()).await.unwrap();
        assert_eq!((silent.mul.to_bits(), silent.db.round()), (0.0_f32.to_bits(), -100.0));
        // The tone is heard again, and metered.
        let told = event(&mut events, |event| match event {
            Event::InputVolumeMeters { inputs } => {
                let music = inputs.into_iter().find(|input| input.name == "music")?;
                music.levels.iter().all(|side| side[1] > 0.01).then_some(music.levels.len())
            }
            _ => None,
        });
        assert_eq!(told.await, 2);
        let fault = inputs.muted("time".into()).await.unwrap_err().to_string();
        assert!(fault.contains("ResourceNotFound") || fault.contains("InvalidResource"), "{fault}");
    });
}
