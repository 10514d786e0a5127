//! Clips: the last seconds of a stream as an MP4, with the frames that viewers got.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{ask, done, events_of, token};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;

/// Seconds that are asked for.
const SECONDS: u32 = 4;

/// Frames of a second of a scenario's channel, at least.
const FRAMES_MIN: usize = 20;

/// A digest of each video packet of a file.
fn digests(dir: &Path, file: &Path) -> Vec<String> {
    let list = dir.join("digests");
    let last = ["-i", file.to_str().unwrap(), "-map", "0:v", "-c", "copy", "-f", "framemd5"];
    // An FLV has the same packets as an MP4.
    let line = "-v error -y -ignore_editlist 1";
    let line = if file.extension().is_some_and(|it| it == "mp4") { line } else { "-v error -y" };
    let last: Vec<_> = last.into_iter().chain([list.to_str().unwrap()]).collect();
    Program::start("ffmpeg", line, &last).succeeds(SOON);
    let list = std::fs::read_to_string(list).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

#[test]
fn a_clip_is_what_viewers_got_in_the_last_seconds() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let node = Node::start(&Config::new().channel("demo"));
    let clips = "/streams/live/demo/clips";
    let (status, nothing) = ask(&node, "POST /streams/live/nobody/clips", &Value::Null);
    assert_eq!((status, &nothing["code"]), (404, &json!("not_found")), "{nothing}");
    let (status, wrong) = ask(&node, &format!("POST {clips}"), &json!({"seconds": 0}));
    assert!(status == 400 && wrong["detail"].as_str().unwrap().contains("`seconds`"), "{wrong}");

    let seen = dir.path().join("seen.flv");
    Recording::of(&node.url("live/demo"), 2 * SECONDS, seen.clone());
    let made = done(&node, &format!("POST {clips}"), &json!({"seconds": SECONDS}));
    let path = PathBuf::from(made["path"].as_str().unwrap());
    let length = made["length_ms"].as_u64().unwrap();
    let asked = u64::from(SECONDS) * 1_000;
    assert!(length.abs_diff(asked) < 1_000 && made["note"].is_null(), "{made}");
    assert_eq!(made["bytes"], std::fs::metadata(&path).unwrap().len());

    let [seen, clip] = [&seen, &path].map(|file| digests(dir.path(), file));
    let begin = seen.iter().position(|it| *it == clip[0]).expect("the viewer saw its keyframe");
    let both = seen[begin..].iter().zip(&clip);
    assert!(both.clone().count() >= FRAMES_MIN, "{} of {}", both.count(), clip.len());
    assert!(both.clone().all(|(seen, clip)| seen == clip), "every packet as it was seen");

    let listed = done(&node, &format!("GET {clips}"), &Value::Null);
    assert_eq!((&listed[0]["name"], &listed[0]["length_ms"]), (&made["name"], &made["length_ms"]));
    let file = format!("{clips}/{}", made["name"].as_str().unwrap());
    let more = format!("Authorization: Bearer {}\nConnection: close\n", token(&node));
    let got = Answer::to(node.http_port(), "GET", &format!("/api/v1{file}"), &more);
    let length = std::fs::metadata(&path).unwrap().len().to_string();
    assert_eq!((got.status, got.field("content-length")), (200, Some(&*length)));
    done(&node, &format!("DELETE {file}"), &Value::Null);
    assert_eq!(ask(&node, &format!("GET {file}"), &Value::Null).0, 404);
    assert!(!path.exists());
    let told = ["clip_made", "clip_removed"].map(|kind| events_of(&node, kind).len());
    assert_eq!(told, [1, 1]);
}

#[test]
fn a_clip_of_more_than_the_node_keeps_is_what_there_is_and_says_so() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    wait_until(SOON, "the channel has a keyframe", || {
        std::thread::sleep(std::time::Duration::from_millis(600));
        let (status, made) = ask(&node, "POST /streams/live/demo/clips", &json!({"seconds": 60}));
        (status == 201).then(|| {
            let note = made["note"].as_str().unwrap();
            assert!(note.contains("log_seconds"), "{note}");
        })
    });
}
