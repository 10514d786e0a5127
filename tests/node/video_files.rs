//! Video files in a scene: played in part, paused, sought, and replaced while they are on the air.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{ask, done, events_of};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Listener, Watcher, is_near};

/// Colours of ffmpeg's pictures, in BT.709 and BT.601 of limited range, not too exactly.
const WHITE: [u8; 3] = [235, 128, 128];
const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [36, 240, 114];

const MIDDLE: (usize, usize) = (160, 90);

/// Red, and then blue, each for so many seconds, with a tone.
fn make(file: &Path, [red, blue]: [u32; 2]) {
    let color = |name: &str, seconds: u32| {
        format!("-f lavfi -i color={name}:s=160x90:r=30:d={}", seconds.max(1))
    };
    let length = red + blue;
    let trims = format!("[0]trim=0:{red}[r];[1]trim=0:{blue}[b];[r][b]concat=n=2[v]");
    let arguments = format!(
        "-v error {} {} -f lavfi -i sine=500:d={length} -filter_complex {trims} -map [v] -map 2 \
         -af volume=4 -pix_fmt yuv420p -g 300 -y",
        color("red", red),
        color("blue", blue),
    );
    Program::start("ffmpeg", &arguments, &[file.to_str().unwrap()]).succeeds(SOON);
}

fn wait_for(viewer: &mut Watcher, what: &str, colour: [u8; 3]) {
    viewer.wait_until_at(what, MIDDLE, |seen| is_near(seen, colour, 14));
}

const PLAYBACK: &str = "/channels/demo/playback/clip";

fn send(node: &Node, order: &Value) {
    done(node, &format!("POST {PLAYBACK}"), order);
}

/// Waits until the clip is in this state; where it is then.
fn wait_state(node: &Node, state: &str) -> u64 {
    wait_until(SOON, &format!("it is {state}"), || {
        let playback = done(node, &format!("GET {PLAYBACK}"), &Value::Null);
        (playback["state"] == state).then(|| playback["position_ms"].as_u64().unwrap())
    })
}

#[test]
fn a_part_of_a_file_is_played_once_and_commanded_over_the_api() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("clip.mp4");
    make(&file, [2, 2]);
    let part = format!("path = {file:?}\nloop = false\nstart_ms = 1000\nend_ms = 3000");
    let config = Config::new()
        .channel("demo")
        .layer("color", "color = \"#ffffff\"")
        .more("[[channel.layer]]\nname = \"clip\"\ntype = \"video\"\nat_end = \"hide\"\n")
        .more(&format!("fit = \"fill\"\n{part}\n"))
        .audio("video", &part);
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    let heard = Listener::of(&node.url("live/demo"));
    assert_eq!(wait_state(&node, "ended"), 3_000);
    wait_for(&mut viewer, "nothing is left of it", WHITE);
    wait_until(SOON, "it is silent", || heard.peak().filter(|peak| *peak < 0.01));

    send(&node, &json!({ "action": "restart" }));
    send(&node, &json!({ "action": "pause" }));
    let position = wait_state(&node, "paused");
    assert!((1_000..2_000).contains(&position), "{position}");
    wait_for(&mut viewer, "its first part is seen", RED);
    send(&node, &json!({ "action": "seek", "position_ms": 2_500 }));
    wait_for(&mut viewer, "its second part is seen", BLUE);
    assert_eq!(wait_state(&node, "paused"), 2_500);
    let all = done(&node, "GET /channels/demo/playback", &Value::Null);
    assert_eq!(all.as_array().map(Vec::len), Some(1), "both share a decoder: {all}");
    assert!(all[0]["duration_ms"].as_u64().unwrap().abs_diff(4_000) < 100, "{all}");
    send(&node, &json!({ "action": "play" }));
    wait_until(SOON, "it is heard", || heard.peak().filter(|peak| *peak > 0.1));
    wait_state(&node, "ended");
    wait_for(&mut viewer, "nothing is left of it again", WHITE);
    let told = ["playback_started", "playback_ended"].map(|kind| events_of(&node, kind).len());
    assert_eq!(told, [2, 2]);
    assert_eq!(events_of(&node, "playback_changed").len(), 4);

    for (path, order, status) in [
        ("clip", json!({ "action": "seek" }), 400),
        ("clip", json!({ "action": "play", "position_ms": 1 }), 400),
        ("clip", json!({ "action": "rewind" }), 400),
        ("other", json!({ "action": "play" }), 404),
    ] {
        let (code, answer) = ask(&node, &format!("POST /channels/demo/playback/{path}"), &order);
        assert_eq!(code, status, "{answer}");
    }
    assert_eq!(ask(&node, "GET /channels/none/playback", &Value::Null).0, 404);
}

#[test]
fn a_video_whose_file_changes_goes_on_with_the_new_one_and_with_the_old_if_that_is_broken() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let (file, next) = (dir.path().join("clip.mp4"), dir.path().join("next.mp4"));
    let replace = |parts: [u32; 2]| {
        make(&next, parts);
        std::fs::rename(&next, &file).unwrap();
    };
    replace([1, 0]);
    let config =
        Config::new().channel("demo").layer("video", &format!("path = {file:?}\nfit = \"fill\""));
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    wait_for(&mut viewer, "the file is seen", RED);
    replace([0, 1]);
    wait_for(&mut viewer, "the new one is seen", BLUE);
    assert_eq!(events_of(&node, "asset_failed").len(), 0);

    std::fs::write(&next, "no video").unwrap();
    std::fs::rename(&next, &file).unwrap();
    let told = wait_until(SOON, "it is told", || events_of(&node, "asset_failed").pop());
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("video-0") && text.contains("clip.mp4"), "{text}");
    let seen = wait_until(SOON, "pictures come", || viewer.last());
    assert!(is_near(seen.at(MIDDLE.0, MIDDLE.1), BLUE, 14), "what was there before goes on");

    replace([1, 0]);
    wait_for(&mut viewer, "the good one is seen", RED);
    assert_eq!(events_of(&node, "asset_restored").len(), 1);
    assert_eq!(events_of(&node, "playback_started").len(), 3);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn videos_are_turned_and_mirrored_and_what_is_transparent_of_them_shows_what_is_below() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let [file, phone, clear] =
        ["a.mp4", "phone.mp4", "clear.mov"].map(|name| dir.path().join(name));
    let run = |arguments: &str, file: &Path| {
        Program::start("ffmpeg", arguments, &[file.to_str().unwrap()]).succeeds(SOON);
    };
    let halves = "-f lavfi -i color=red:s=160x90:r=30:d=1,drawbox=80:0:80:90:blue:fill";
    run(&format!("-v error {halves} -pix_fmt yuv420p -y"), &file);
    let copy = format!("-v error -i {} -c copy -metadata:s:v:0 rotate=270 -y", file.display());
    run(&copy, &phone);
    let half = "format=rgba,geq=r=255:g=0:b=0:a='255*lt(X,80)'";
    run(&format!("-v error -f lavfi -i color=red:s=160x90:r=30:d=1,{half} -c:v qtrle -y"), &clear);
    let layer = |path: &Path, more: &str| format!("path = {path:?}\nfit = \"fill\"\n{more}");
    let config = Config::new()
        .channel("demo")
        .layer("color", "color = \"#ffffff\"")
        .layer_at("video", [0, 0, 80, 90], &layer(&file, "rotation = 90"))
        .layer_at("video", [80, 0, 80, 90], &layer(&file, "flip = \"horizontal\""))
        .layer_at("video", [160, 0, 80, 90], &layer(&phone, ""))
        .layer_at("video", [240, 0, 80, 90], &layer(&clear, "rotation = -90"));
    let node = Node::start(&config);
    let viewer = Watcher::of(&node.url("live/demo"));
    wait_until(SOON, "all of them are seen", || {
        let seen = viewer.last()?;
        let near = |x, y, colour| is_near(seen.at(x, y), colour, 16);
        let turned = near(40, 20, RED) && near(40, 70, BLUE);
        let mirrored = near(100, 45, BLUE) && near(140, 45, RED);
        let upright = near(200, 20, RED) && near(200, 70, BLUE);
        let transparent = near(280, 20, WHITE) && near(280, 70, RED);
        (turned && mirrored && upright && transparent).then_some(())
    });
}
