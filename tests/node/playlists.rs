//! Playlists in a scene: one file after the other, as told over the API.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{ask, done, events_of};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Listener, Watcher, is_near};

const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [36, 240, 114];
const MIDDLE: (usize, usize) = (160, 90);
const PLAYBACK: &str = "/channels/demo/playback/list";

/// A colour and a tone for a second.
fn make(file: &Path, color: &str, size: &str, rate: u32) {
    let arguments = format!(
        "-v error -f lavfi -i color={color}:s={size}:r=30:d=1 -f lavfi -i sine=500:r={rate}:d=1 \
         -af volume=4 -pix_fmt yuv420p -y"
    );
    Program::start("ffmpeg", &arguments, &[file.to_str().unwrap()]).succeeds(SOON);
}

#[test]
fn a_playlist_is_played_in_its_order_and_changed_over_the_api() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let [red, blue] = ["red.mp4", "blue.mkv"].map(|name| dir.path().join(name));
    make(&red, "red", "160x90", 44_100);
    make(&blue, "blue", "320x180", 48_000);
    let missing = dir.path().join("none.mp4");
    let keys =
        format!("items = [{{ file = {red:?} }}, {{ file = {missing:?} }}, {{ file = {blue:?} }}]");
    let config = Config::new()
        .channel("demo")
        .more("[[channel.layer]]\nname = \"list\"\ntype = \"playlist\"\nfit = \"fill\"\n")
        .more(&format!("{keys}\n"))
        .audio("playlist", &keys);
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    let heard = Listener::of(&node.url("live/demo"));
    for (what, colour) in [("the first", RED), ("the last", BLUE), ("the first again", RED)] {
        viewer.wait_until_at(what, MIDDLE, |seen| is_near(seen, colour, 14));
    }
    wait_until(SOON, "it is heard", || heard.peak().filter(|peak| *peak > 0.1));
    let skipped =
        wait_until(SOON, "it is told", || events_of(&node, "playlist_item_skipped").pop());
    assert!(skipped["file"].as_str().unwrap().ends_with("none.mp4"), "{skipped}");
    assert_eq!(skipped["layer"], "list");
    assert!(events_of(&node, "playlist_item_started").iter().any(|event| event["index"] == 2));

    let send = |order: &Value| done(&node, &format!("POST {PLAYBACK}"), order);
    send(&json!({ "action": "remove", "index": 1 }));
    send(&json!({ "action": "insert", "item": { "file": blue, "in_ms": 500 } }));
    send(&json!({ "action": "next" }));
    send(&json!({ "action": "skip", "index": 1 }));
    send(&json!({ "action": "pause" }));
    let paused = wait_until(SOON, "it is paused", || {
        let playback = done(&node, &format!("GET {PLAYBACK}"), &Value::Null);
        let list = &playback["playlist"];
        let is_there = list["now"]["index"] == 1 && list["items"].as_array().unwrap().len() == 3;
        (playback["state"] == "paused" && is_there).then_some(playback)
    });
    assert_eq!(paused["playlist"]["items"][2]["in_ms"], 500, "{paused}");
    viewer.wait_until_at("the second is seen", MIDDLE, |seen| is_near(seen, BLUE, 14));
    for (order, status) in [
        (json!({ "action": "skip" }), 400),
        (json!({ "action": "skip", "index": 3 }), 409),
        (json!({ "action": "insert", "item": { "file": "" } }), 400),
        (json!({ "action": "insert", "index": 4, "item": { "file": "a.mp4" } }), 409),
        (json!({ "action": "next", "index": 1 }), 400),
    ] {
        let (code, answer) = ask(&node, &format!("POST {PLAYBACK}"), &order);
        assert_eq!(code, status, "{order}: {answer}");
    }
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}
