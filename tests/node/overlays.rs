//! Overlays: what stays above whatever scene is on the air, over the API and by a viewer's eyes.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::api::{ask, done, events_of, token};
use crate::config::Config;
use crate::hook_server::{HookServer, Post, Reply};
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Watcher, is_near};

/// Colours in BT.709 of limited range.
const BLACK: [u8; 3] = [16, 128, 128];
const WHITE: [u8; 3] = [235, 128, 128];
const RED: [u8; 3] = [63, 102, 240];

/// A pixel that the overlay covers, and one that it does not.
const INSIDE: (usize, usize) = (30, 30);
const MIDDLE: (usize, usize) = (160, 90);

fn config() -> Config {
    let scene = |name: &str, color: &str| {
        format!("[[channel.scene]]\nname = \"{name}\"\nbackground = \"{color}\"\n")
    };
    let scenes = scene("black", "#000000") + &scene("white", "#ffffff");
    Config::new().channel("demo").more("[channel.audio]\nenabled = false\n").more(&scenes)
}

fn logo(more: &Value) -> Value {
    let mut layer = json!({
        "name": "logo", "type": "color", "color": "#ff0000",
        "x": 10, "y": 10, "width": 40, "height": 40,
    });
    layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "overlay": [layer] })
}

fn wait_for(viewer: &mut Watcher, what: &str, at: (usize, usize), colour: [u8; 3]) {
    viewer.wait_until_at(what, at, |seen| is_near(seen, colour, 12));
}

#[test]
fn an_overlay_stays_above_whatever_scene_is_on_the_air_and_survives_being_killed() {
    let _turn = beside_others();
    let config = config();
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the scene is there", INSIDE, BLACK);
    let shown = done(&node, "GET /channels/demo/overlays", &Value::Null);
    assert_eq!(shown, json!({ "overlay": [] }));

    done(&node, "PUT /channels/demo/overlays", &logo(&json!({})));
    wait_for(&mut viewer, "the overlay is seen", INSIDE, RED);
    done(&node, "POST /channels/demo/scenes/white/activate", &json!({}));
    wait_for(&mut viewer, "the other scene is seen", MIDDLE, WHITE);
    wait_for(&mut viewer, "the overlay is still there", INSIDE, RED);
    assert_eq!(events_of(&node, "overlays_replaced").len(), 1);

    let node = node.killed_and_started(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the overlay is there again", INSIDE, RED);
    let shown = done(&node, "GET /channels/demo/overlays", &Value::Null);
    assert_eq!(shown["overlay"][0]["name"], "logo");
    done(&node, "PUT /channels/demo/overlays", &shown);
    done(&node, "PUT /channels/demo/overlays", &json!({ "overlay": [] }));
    wait_for(&mut viewer, "it is gone", INSIDE, WHITE);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn overlays_that_cannot_be_are_refused_with_the_place_of_the_mistake_and_change_nothing() {
    let _turn = beside_others();
    let node = Node::start(&config());
    for (more, said) in [
        (json!({ "color": "reddish" }), "overlay[0]"),
        (json!({ "type": "scene", "scene": "gone" }), "overlay[0]"),
        (json!({ "rotation": "askew" }), "overlay[0]"),
    ] {
        let (status, problem) = ask(&node, "PUT /channels/demo/overlays", &logo(&more));
        let told = problem.to_string();
        assert_eq!(status, 400, "{told}");
        assert!(told.contains(said) && told.contains("logo"), "{told}");
    }
    let (status, _) = ask(&node, "PUT /channels/gone/overlays", &logo(&json!({})));
    assert_eq!(status, 404);
    let shown = done(&node, "GET /channels/demo/overlays", &Value::Null);
    assert_eq!(shown, json!({ "overlay": [] }));
    assert!(events_of(&node, "overlays_replaced").is_empty());
}

#[test]
fn a_scene_is_seen_with_its_overlays_before_it_is_on_the_air() {
    let _turn = beside_others();
    let node = Node::start(&config());
    done(&node, "PUT /channels/demo/overlays", &logo(&json!({})));
    let white = "GET /channels/demo/scenes/white/screenshot";
    let file = node.file("white.png");
    let head = node.file("head");
    std::fs::write(&head, format!("Authorization: Bearer {}", token(&node))).unwrap();
    let head = format!("@{}", head.display());
    let see = |query: &str| {
        let api = format!("http://127.0.0.1:{}/api/v1", node.http_port());
        let url = format!("{api}/channels/demo/scenes/white/screenshot{query}");
        let saved = ["--silent", "--fail", "--header", &head, "--output", file.to_str().unwrap()];
        Program::start("curl", "", &[&saved[..], &[&url]].concat()).succeeds(SOON);
        image::open(&file).unwrap().to_rgb8()
    };
    assert_eq!(see("").dimensions(), (320, 180), "the canvas is not wider");
    let seen = see("?width=160");
    assert_eq!(seen.dimensions(), (160, 90));
    let is = |x, y, colour: [u8; 3]| {
        seen.get_pixel(x, y).0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12)
    };
    assert!(is(15, 15, [255, 0, 0]) && is(80, 45, [255; 3]), "the overlay above the scene");
    let shown = done(&node, "GET /channels/demo/scenes", &Value::Null);
    assert_eq!(shown["active"], "black", "nothing else is on the air");
    for query in ["?width=321", "?width=8", "?size=9", "?width=wide"] {
        assert_eq!(ask(&node, &format!("{white}{query}"), &Value::Null).0, 400, "{query}");
    }
    let none = "GET /channels/demo/scenes/none/screenshot";
    assert_eq!(ask(&node, none, &Value::Null).0, 404);
}

#[test]
fn a_patch_of_a_layer_is_seen_at_once_and_survives_being_killed() {
    let _turn = beside_others();
    let config = config();
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the scene is there", INSIDE, BLACK);
    let panel = json!({ "layer": [{ "name": "panel", "type": "group", "layer": [
        { "name": "box", "type": "color", "color": "#ff0000", "visible": false },
    ] }] });
    done(&node, "PUT /channels/demo/scenes/black", &panel);
    done(&node, "PUT /channels/demo/overlays", &logo(&json!({ "visible": false })));
    let inner = "PATCH /channels/demo/scenes/black/layers/panel%2Fbox";
    assert!(done(&node, inner, &json!({ "visible": true }))["frame"].is_u64());
    wait_for(&mut viewer, "the layer in the group is seen", MIDDLE, RED);
    done(&node, inner, &json!({ "visible": false }));
    let overlay = "PATCH /channels/demo/overlays/logo";
    done(&node, overlay, &json!({ "visible": true, "color": "#ffffff" }));
    wait_for(&mut viewer, "the overlay is seen", INSIDE, WHITE);
    wait_for(&mut viewer, "and no more than that", MIDDLE, BLACK);
    for (request, patch, status, said) in [
        (inner, json!({ "alpha": 2 }), 400, "layer[0].layer[0].alpha"),
        (inner, json!([]), 400, "invalid type"),
        ("PATCH /channels/demo/overlays/gone", json!({}), 404, "no overlay gone"),
        ("PATCH /channels/demo/scenes/gone/layers/a", json!({}), 404, "no scene gone"),
    ] {
        let (found, problem) = ask(&node, request, &patch);
        assert!(found == status && problem.to_string().contains(said), "{request}: {problem}");
    }
    assert_eq!(events_of(&node, "transaction_done").len(), 3);

    let node = node.killed_and_started(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the overlay is as it was", INSIDE, WHITE);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn an_overlay_comes_by_its_show_transition_and_goes_by_its_hide_transition() {
    let _turn = beside_others();
    let node = Node::start(&config());
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the scene is there", INSIDE, BLACK);
    let fade = json!({ "type": "fade", "duration_ms": 1_500 });
    let hidden = json!({ "visible": false, "show_transition": fade, "hide_transition": fade });
    done(&node, "PUT /channels/demo/overlays", &logo(&hidden));
    let luma_of = |seen: [u8; 3]| seen[0];
    for (visible, end) in [(true, RED), (false, BLACK)] {
        done(&node, "PATCH /channels/demo/overlays/logo", &json!({ "visible": visible }));
        // Red is 63, black is 16.
        let is_between = |seen: [u8; 3]| (28..52).contains(&luma_of(seen));
        viewer.wait_until_at("the overlay is on its way", INSIDE, is_between);
        wait_for(&mut viewer, "it has arrived", INSIDE, end);
    }
    let shown = done(&node, "GET /channels/demo/overlays", &Value::Null);
    assert_eq!(shown["overlay"][0]["show_transition"]["duration_ms"], 1_500);
    let stinger = json!({ "show_transition": { "type": "stinger", "path": "a.mov", "cut_ms": 1 } });
    let (status, problem) = ask(&node, "PATCH /channels/demo/overlays/logo", &stinger);
    assert_eq!(status, 400);
    assert!(problem.to_string().contains("overlay[0].show_transition"), "{problem}");
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn an_overlay_whose_text_is_bound_to_data_changes_when_that_is_pushed_and_survives_a_kill() {
    let _turn = beside_others();
    let config = config();
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the scene is there", INSIDE, BLACK);
    // Lines of letters that are as high as the picture, some of which cover the pixel.
    let text = json!({ "overlay": [{
        "name": "score", "type": "text", "text": "{mark}", "data": "score", "size": 20,
        "outline": { "width": 16, "color": "#ffffff" },
    }] });
    done(&node, "PUT /channels/demo/overlays", &text);
    let lines = "MMMMMMMMMMMMMMMMMMMMMMMMMMMMM\n".repeat(9);
    done(&node, "PUT /data/score", &json!({ "mark": lines }));
    wait_for(&mut viewer, "the text is seen", INSIDE, WHITE);
    done(&node, "DELETE /data/score", &Value::Null);
    wait_for(&mut viewer, "it is gone", INSIDE, BLACK);
    let large = json!({ "mark": "M".repeat(70_000) });
    let (status, problem) = ask(&node, "PUT /data/score", &large);
    assert!(status == 400 && problem.to_string().contains("65536"), "{status} {problem}");

    done(&node, "PUT /data/score", &json!({ "mark": lines }));
    let node = node.killed_and_started(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the values are there again", INSIDE, WHITE);
    let known = done(&node, "GET /data", &Value::Null);
    assert_eq!(known, json!({ "score": { "mark": lines } }));
    assert_eq!(done(&node, "GET /data/score", &Value::Null), known["score"]);
    assert_eq!(ask(&node, "GET /data/other", &Value::Null).0, 404);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

/// Answers questions for a document as an HTTP server does, with the version that it has.
fn answer(question: &Post, (status, mark): &(u16, String)) -> Reply {
    let version = format!("\"{}\"", mark.len());
    if *status == 200 && question.fields.get("if-none-match") == Some(&version) {
        return Reply::Status(304, String::new());
    }
    let fields = vec![("ETag", version), ("Content-Type", "application/json".to_owned())];
    Reply::Full(*status, fields, json!({ "mark": mark }).to_string())
}

#[test]
fn an_overlay_whose_text_is_a_servers_follows_it_and_keeps_its_last_values_while_it_fails() {
    let _turn = beside_others();
    let lines = "MMMMMMMMMMMMMMMMMMMMMMMMMMMMM\n".repeat(9);
    let state = Arc::new(Mutex::new((200, lines)));
    let told = Arc::clone(&state);
    let server = HookServer::start(move |question| answer(question, &told.lock().unwrap()));
    let config = config();
    let node = Node::start(&config);
    let secret = node.file("score.secret");
    std::fs::write(&secret, "pa55word\n").unwrap();
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the scene is there", INSIDE, BLACK);
    let text = json!({ "overlay": [{
        "name": "score", "type": "text", "text": "{mark}", "size": 20, "poll_ms": 250,
        "url": format!("http://me:{{secret}}@127.0.0.1:{}/score", server.port()),
        "secret_file": secret, "outline": { "width": 16, "color": "#ffffff" },
    }] });
    done(&node, "PUT /channels/demo/overlays", &text);
    wait_for(&mut viewer, "the text is seen", INSIDE, WHITE);
    let login = "Basic bWU6cGE1NXdvcmQ=";
    wait_until(SOON, "the server is asked whether it has another version", || {
        let asked =
            |it: &Post| it.fields.get("if-none-match").map(String::as_str) == Some("\"270\"");
        server.posts().into_iter().find(asked)
    });
    assert!(server.posts().iter().all(|post| post.fields["authorization"] == login));

    *state.lock().unwrap() = (503, String::new());
    let failed =
        wait_until(SOON, "the server's failure is told", || events_of(&node, "asset_failed").pop());
    assert!(failed.to_string().contains("it answers 503"), "{failed}");
    wait_for(&mut viewer, "the last values stay", INSIDE, WHITE);
    *state.lock().unwrap() = (200, String::new());
    wait_for(&mut viewer, "the new values are seen", INSIDE, BLACK);
    wait_until(SOON, "the server is well again", || events_of(&node, "asset_restored").pop());
    let shown = done(&node, "GET /channels/demo/overlays", &Value::Null);
    let all = format!("{shown} {failed}");
    assert!(!all.contains("pa55word") && !all.contains(login), "{all}");
    node.signal("TERM");
    let ended = node.ended(SOON);
    assert!(ended.status.success() && !ended.err.contains("pa55word"));
}
