//! Preview and programme: scenes that are prepared, looked at and taken, and inputs that are
//! decoded before.

use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{ask, done, events_of, token};
use crate::config::{Config, FPS, HEIGHT, WIDTH};
use crate::machine::keep_busy;
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, alone, beside_others, wait_until};
use crate::watcher::{Watcher, is_near};
use crate::web::Answer;

/// Colours in BT.709 of limited range; `red` of ffmpeg is nearly that.
const RED: [u8; 3] = [72, 96, 240];

const PREVIEW: &str = "PUT /channels/demo/preview";
const TAKE: &str = "POST /channels/demo/take";

/// Ticks that a take of a ready scene may need.
const TICKS_MAX: u64 = 2;

/// A scene of one layer over black.
fn scene(name: &str, layer: &str) -> String {
    format!(
        "[[channel.scene]]\nname = \"{name}\"\nbackground = \"#000000\"\n\
         [[channel.scene.layer]]\nname = \"all\"\n{layer}\n"
    )
}

/// A channel without audio that begins with a scene of this colour.
fn config(color: &str, scenes: &str) -> Config {
    let first = scene("first", &format!("type = \"color\"\ncolor = \"{color}\""));
    Config::new()
        .channel("demo")
        .more("[channel.transition]\ntype = \"cut\"\n[channel.audio]\nenabled = false\n")
        .more(&(first + scenes))
}

/// Puts a scene into preview and waits until it can be taken.
fn prepare(node: &Node, scene: &str) {
    done(node, PREVIEW, &json!({ "scene": scene }));
    wait_until(SOON, &format!("{scene} is ready"), || (state(node) == "ready").then_some(()));
}

fn state(node: &Node) -> String {
    let preview = done(node, "GET /channels/demo/preview", &Value::Null);
    preview["state"].as_str().unwrap_or_default().to_owned()
}

/// Threads of the node whose names begin like this.
fn threads(node: &Node, name: &str) -> usize {
    let tasks = Path::new("/proc").join(node.program().id().to_string()).join("task");
    let named = std::fs::read_dir(tasks).unwrap().filter(|task| {
        let comm = task.as_ref().unwrap().path().join("comm");
        // Or it has ended.
        std::fs::read_to_string(comm).is_ok_and(|comm| comm.starts_with(name))
    });
    named.count()
}

/// A picture of the preview or the programme.
fn picture(node: &Node, of: &str) -> Option<Vec<u8>> {
    let (port, token) = (node.http_port(), token(node));
    let path = format!("/api/v1/channels/demo/{of}/picture");
    let more = format!("Authorization: Bearer {token}\nConnection: close\n");
    let mut answer = Answer::to(port, "GET", &path, &more);
    let mut jpeg = Vec::new();
    answer.body.read_to_end(&mut jpeg).unwrap();
    (answer.status == 200).then_some(jpeg).filter(|jpeg| jpeg.starts_with(&[0xff, 0xd8]))
}

/// A video without audio whose brightness grows by this much a second, for so many seconds.
fn ramp(path: &Path, per_second: u32, seconds: u32) {
    let picture = format!(
        "nullsrc=s={WIDTH}x{HEIGHT}:r={FPS}:d={seconds},\
         geq=lum='40+{per_second}*N/{FPS}':cb=128:cr=128"
    );
    let last = ["-f", "lavfi", "-i", &picture, "-pix_fmt", "yuv420p", "-g", "30", "-y"];
    let last = [&last[..], &[path.to_str().unwrap()]].concat();
    Program::start("ffmpeg", "-v error", &last).succeeds(SOON);
}

#[test]
fn a_live_input_of_two_scenes_is_decoded_once_and_goes_on_over_takes() {
    let _turn = beside_others();
    let live = format!("type = \"live\"\nstream = \"{STUDIO}\"\nslate = \"\"");
    let fading = live.clone() + "\n[channel.scene.transition]\ntype = \"fade\"\nduration_ms = 300";
    let node = Node::start(&config("#ff0000", &(scene("one", &live) + &scene("two", &fading))));
    let _publisher = ffmpeg_publishes_picture("color=red:s=320x180:r=30", &node.publish_url());
    node.wait_for_streams(2);
    prepare(&node, "one");
    // Those of libavcodec among them.
    let one = threads(&node, "decode");
    assert!(one > 0);
    Watcher::of(&node.url("live/demo")).wait_for("the first scene is seen", RED);
    let file = node.file("seen.flv");
    let viewer = Recording::begin(&node.url("live/demo"), 8, &file);
    wait_until(SOON, "somebody watches", || {
        let viewers = done(&node, "GET /streams/live/demo", &Value::Null)["viewers"].as_u64();
        (viewers == Some(1)).then_some(())
    });
    let taken = done(&node, TAKE, &json!({ "swap": false }));
    assert_eq!((taken["scene"].as_str(), taken["preview"].as_str()), (Some("one"), None));
    prepare(&node, "two");
    assert_eq!(threads(&node, "decode"), one, "one for both");
    for (scene, other) in [("two", "one"), ("one", "two"), ("two", "one")] {
        let taken = done(&node, TAKE, &json!({}));
        assert_eq!((&taken["scene"], &taken["preview"]), (&json!(scene), &json!(other)));
        wait_until(SOON, "the other is ready", || (state(&node) == "ready").then_some(()));
        assert_eq!(threads(&node, "decode"), one);
    }
    viewer.succeeds(SOON);
    for picture in Recording::at(file).pictures() {
        assert!(is_near(picture.middle(), RED, 24), "{} s: {:?}", picture.pts, picture.middle());
    }
    done(&node, PREVIEW, &json!({ "scene": "first" }));
    done(&node, TAKE, &json!({ "swap": false }));
    wait_until(SOON, "nobody needs it", || (threads(&node, "decode") == 0).then_some(()));
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn a_video_that_is_always_warm_is_in_motion_when_its_scene_is_shown() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ramp.mp4");
    ramp(&path, 6, 30);
    let video = format!("type = \"video\"\npath = {path:?}\nwarm = \"always\"");
    let node = Node::start(&config("#000000", &scene("video", &video)));
    let file = node.file("seen.flv");
    let began = Instant::now();
    let viewer = Recording::begin(&node.url("live/demo"), 7, &file);
    wait_until(SOON, "it has played for some time", || {
        (began.elapsed() >= Duration::from_secs(3)).then_some(())
    });
    done(&node, "POST /channels/demo/scenes/video/activate", &json!({}));
    viewer.succeeds(SOON);
    let lumas = Recording::at(file).pictures().into_iter().map(|picture| picture.middle()[0]);
    let shown: Vec<_> = lumas.skip_while(|luma| *luma < 30).collect();
    // It had come so far while nobody saw it.
    assert!(shown[0] > 50 && shown.is_sorted_by(|a, b| *a <= b + 2), "{shown:?}");
    assert!(shown[shown.len() - 1] > shown[0] + 4, "{shown:?}");
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn a_take_of_a_ready_scene_is_seen_within_two_ticks_on_a_busy_machine_at_all_sizes() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ramp.mp4");
    ramp(&path, 6, 30);
    let video = format!("type = \"video\"\npath = {path:?}");
    let native = "[[channel.rendition]]\nname = \"own\"\nwidth = 160\nheight = 90\n\
                  render = \"native\"\nbitrate = \"200k\"\n";
    let node = Node::start(&config("#0000ff", &(scene("video", &video) + native)));
    let mut low = Watcher::of(&node.url("live/demo_own"));
    wait_until(SOON, "the rendition is seen", || low.last());
    let took: Vec<_> = thread::scope(|scope| {
        let busy = scope.spawn(|| keep_busy(Duration::from_secs(8)));
        let mut took = Vec::new();
        prepare(&node, "video");
        while !busy.is_finished() && took.len() < 12 {
            wait_until(SOON, "it is ready", || (state(&node) == "ready").then_some(()));
            let taken = done(&node, TAKE, &json!({}));
            took.push(taken["frame"].as_u64().unwrap() - taken["asked_frame"].as_u64().unwrap());
        }
        took
    });
    assert!(took.len() >= 3 && took.iter().all(|ticks| *ticks <= TICKS_MAX), "{took:?}");
    let is_video = done(&node, "GET /channels/demo/scenes", &Value::Null)["active"] == "video";
    if !is_video {
        wait_until(SOON, "it is ready", || (state(&node) == "ready").then_some(()));
        done(&node, TAKE, &json!({}));
    }
    low.wait_until("the rendition shows it too", |picture| picture.middle()[1].abs_diff(128) < 12);
    assert!(events_of(&node, "preview_ready").len() >= took.len());
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn pictures_of_preview_and_programme_move_while_somebody_looks_and_only_then() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ramp.mp4");
    ramp(&path, 20, 10);
    let video = format!("type = \"video\"\npath = {path:?}");
    let counter = scene("counter", "type = \"frame-counter\"");
    let node = Node::start(&config("#0000ff", &(scene("video", &video) + &counter)));
    assert_eq!(ask(&node, "GET /channels/demo/preview/picture", &Value::Null).0, 404);
    assert_eq!(threads(&node, "monitor"), 0);
    prepare(&node, "video");
    done(&node, "POST /channels/demo/scenes/counter/activate", &json!({}));
    for of in ["preview", "programme"] {
        let first = wait_until(SOON, "there is a picture", || picture(&node, of));
        wait_until(SOON, "it moves", || picture(&node, of).filter(|next| *next != first));
    }
    assert_eq!((threads(&node, "monitor"), threads(&node, "decode")), (1, 1));
    wait_until(SOON, "nothing is drawn any more", || {
        let before = wake_ups(&node, "monitor");
        thread::sleep(Duration::from_secs(1));
        (wake_ups(&node, "monitor") == before).then_some(())
    });
    let missing = json!({ "scene": "nowhere" });
    assert_eq!(ask(&node, PREVIEW, &missing).0, 404);
    done(&node, "DELETE /channels/demo/preview", &Value::Null);
    assert_eq!(done(&node, "GET /channels/demo/preview", &Value::Null)["scene"], Value::Null);
    assert_eq!(ask(&node, TAKE, &json!({})).0, 409);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

/// How often threads of this name have gone to sleep.
fn wake_ups(node: &Node, name: &str) -> Vec<String> {
    let tasks = Path::new("/proc").join(node.program().id().to_string()).join("task");
    let named = std::fs::read_dir(tasks).unwrap().filter_map(|task| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).ok()?;
        let is_it = status.starts_with(&format!("Name:\t{name}"));
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        is_it.then(|| line.to_owned())
    });
    named.collect()
}
