//! The mixer of a running channel over the API: settings that change while it plays and are kept,
//! levels for who looks and for who follows.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::api::{ask, done, events_of, token};
use crate::config::Config;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};

const SOURCES: &str = "[[channel.audio_source]]\nname = \"music\"\ntype = \"tone\"\n\
    [[channel.audio_source]]\nname = \"voice\"\ntype = \"bed\"\nmute = true\n";

fn config() -> Config {
    Config::new().channel("demo").more(SOURCES)
}

fn audio(node: &Node) -> Value {
    done(node, "GET /channels/demo/audio", &Value::Null)
}

fn wait_for(node: &Node, what: &str, is_it: impl Fn(&Value) -> bool) {
    wait_until(SOON, what, || is_it(&audio(node)).then_some(()));
}

#[test]
fn a_mix_is_changed_while_it_plays_measured_and_kept_over_being_killed() {
    let _turn = beside_others();
    let config = config();
    let node = Node::start(&config);
    let peak = |of: &Value| of["levels"]["peak_db"][0].as_f64().unwrap();
    wait_for(&node, "the tone is heard", |audio| peak(&audio["sources"][0]) > -40.0);
    assert!(peak(&audio(&node)["sources"][1]) < -100.0, "it is muted");
    let patch = json!({ "mute": true, "eq": { "low_db": -3 } });
    done(&node, "PATCH /channels/demo/audio/sources/music", &patch);
    let patch = json!({ "mute": false, "gain_db": -12, "fade_ms": 200 });
    done(&node, "PATCH /channels/demo/audio/sources/voice", &patch);
    done(&node, "PATCH /channels/demo/audio/bus", &json!({ "normalize_lufs": -23 }));
    wait_for(&node, "the other is heard", |audio| peak(&audio["sources"][1]) > -80.0);
    wait_for(&node, "the tone has gone", |audio| peak(&audio["sources"][0]) < -80.0);
    done(&node, "POST /channels/demo/audio/loudness/reset", &json!({}));
    assert_eq!(events_of(&node, "audio_changed").len(), 3);

    let node = node.killed_and_started(&config);
    let shown = audio(&node);
    let [music, voice] = [0, 1].map(|n| &shown["sources"][n]);
    assert_eq!((&music["mute"], &music["eq"]["low_db"]), (&json!(true), &json!(-3.0)));
    assert_eq!((&voice["mute"], &voice["gain_db"]), (&json!(false), &json!(-12.0)));
    assert_eq!(shown["bus"]["normalize_lufs"], -23);
    wait_for(&node, "it is heard again", |audio| peak(&audio["sources"][1]) > -80.0);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn what_a_mix_cannot_be_is_refused_with_its_field_and_changes_nothing() {
    let _turn = beside_others();
    let node = Node::start(&config());
    let before = audio(&node)["sources"][0]["gain_db"].clone();
    for (patch, said) in [
        (json!({ "gain_db": 25 }), "gain_db"),
        (json!({ "gain_db": -6, "fade_ms": 60_001 }), "fade_ms"),
        (json!({ "gain_db": -6, "fade_ms": -1 }), "fade_ms"),
        (json!({ "hz": 50 }), "`hz` of a source cannot be changed"),
        (json!({ "ducking": { "by": "nobody" } }), "nobody"),
    ] {
        let (status, problem) = ask(&node, "PATCH /channels/demo/audio/sources/music", &patch);
        assert_eq!(status, 400, "{problem}");
        assert!(problem.to_string().contains(said), "{problem}");
    }
    let bus = json!({ "normalize_lufs": -20 });
    assert_eq!(ask(&node, "PATCH /channels/demo/audio/bus", &bus).0, 400);
    let none = json!({ "mute": true });
    assert_eq!(ask(&node, "PATCH /channels/demo/audio/sources/gone", &none).0, 404);
    assert_eq!(ask(&node, "PATCH /channels/gone/audio/bus", &json!({})).0, 404);
    assert_eq!(audio(&node)["sources"][0]["gain_db"], before);
    assert!(events_of(&node, "audio_changed").is_empty());
}

#[test]
fn levels_are_sent_to_followers_that_ask_for_them() {
    let _turn = beside_others();
    let node = Node::start(&config());
    let token = token(&node);
    let port = node.http_port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let levels = runtime.block_on(async {
        let mut request =
            format!("ws://127.0.0.1:{port}/ws?levels=demo").into_client_request().unwrap();
        let protocols = format!("stream-manager, bearer.{token}").parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let heard = async {
            loop {
                let message = socket.next().await.unwrap().unwrap();
                let Ok(text) = message.to_text() else { continue };
                let Ok(value) = serde_json::from_str::<Value>(text) else { continue };
                let tone = &value["sources"]["music"]["momentary_lufs"];
                if value["type"] == "audio_levels" && tone.as_f64().unwrap() > -60.0 {
                    return value;
                }
            }
        };
        timeout(SOON, heard).await.expect("levels come")
    });
    assert_eq!(levels["channel"], "demo");
    assert!(levels["bus"]["true_peak_dbtp"].as_f64().unwrap() > -60.0, "{levels}");
    let page = node.http("/metrics").1;
    assert!(page.contains("audio_source_momentary_lufs{channel=\"demo\",source=\"music\"}"));
    assert!(page.contains("audio_true_peak_dbtp{channel=\"demo\"}"), "{page}");
}
