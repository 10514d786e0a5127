//! Files and fonts that are not there, or not yet: the programme goes on, says so, and shows them
//! once they are.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::api::{ask, events};
use crate::config::Config;
use crate::node::{Node, run_to_end};
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Listener, Watcher, is_near};

/// A file that has been there for a while is tried again within a minute.
const TRIED_AGAIN: Duration = Duration::from_secs(120);

/// `red` and `blue` of ffmpeg's pictures, in BT.709 and BT.601 of limited range, not too exactly.
const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [36, 240, 114];

/// Luma of a placeholder on white.
const SHADE: std::ops::Range<u8> = 80..110;

/// What each kind of event about assets says of which layers.
fn told(node: &Node) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let about_assets =
        |event: &&serde_json::Value| event["kind"].as_str().unwrap().starts_with("asset_");
    for event in events(node).iter().filter(about_assets) {
        let [kind, layer] = ["kind", "layer"].map(|key| event[key].as_str().unwrap().to_owned());
        told.entry(kind).or_default().push(layer);
    }
    told.values_mut().for_each(|layers| layers.sort());
    told
}

/// Waits until events of a kind have named all of these layers, each once.
fn wait_for(node: &Node, limit: Duration, kind: &str, layers: &[&str]) {
    wait_until(limit, &format!("{kind} is told"), || {
        std::thread::sleep(Duration::from_millis(200));
        let told = told(node).remove(kind).unwrap_or_default();
        (told.len() >= layers.len()).then(|| assert_eq!(told, layers))
    });
}

fn make(file: &Path, arguments: &str) {
    let last = ["-y", file.to_str().unwrap()];
    Program::start("ffmpeg", &format!("-v error {arguments}"), &last).succeeds(SOON);
}

#[test]
fn bad_files_leave_placeholders_until_they_are_good() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let names = ["missing.png", "cut.png", "late.otf", "late.mp4", "late.wav"];
    let [missing, cut, font, video, audio] = names.map(|name| dir.path().join(name));
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
    let logo = std::fs::read(format!("{assets}/logo.png")).unwrap();
    std::fs::write(&cut, &logo[..logo.len() / 2]).unwrap();
    let config = Config::new()
        .channel("demo")
        .layer("color", "color = \"#ffffff\"")
        .layer_at("image", [0, 0, 160, 90], &format!("path = {missing:?}\nfit = \"fill\""))
        .layer_at("image", [160, 0, 160, 90], &format!("path = {cut:?}\nfit = \"fill\""))
        .layer_at(
            "text",
            [0, 90, 160, 90],
            &format!("text = \"Hello\"\ncolor = \"#000000\"\nfont = {font:?}"),
        )
        .layer_at("video", [160, 90, 160, 90], &format!("path = {video:?}\nfit = \"fill\""))
        .audio("video", &format!("path = {audio:?}"));
    let layers = ["image-1", "image-2", "text-3", "video", "video-4"];

    let file = config.write(dir.path());
    let file = file.to_str().unwrap();
    assert!(run_to_end(&["config", "check", file]).status.success(), "the text is good");
    let checked = run_to_end(&["config", "check", "--assets", file]);
    assert_eq!(checked.status.code(), Some(2));
    for name in names {
        assert!(checked.err.contains(name), "no {name} in {}", checked.err);
    }

    let node = Node::start(&config);
    let picture = Watcher::of(&node.url("live/demo"));
    let heard = Listener::of(&node.url("live/demo"));
    wait_until(SOON, "the placeholders stand there", || {
        let picture = picture.last()?;
        let shaded = [(6, 6), (166, 6), (166, 96)].map(|(x, y)| picture.at(x, y)[0]);
        shaded.iter().all(|luma| SHADE.contains(luma)).then_some(())
    });
    wait_for(&node, SOON, "asset_failed", &layers);
    wait_until(SOON, "there is silence", || heard.peak().filter(|&peak| peak < 0.01));

    make(&missing, "-f lavfi -i color=red:s=64x36 -frames:v 1");
    make(&cut, "-f lavfi -i color=red:s=64x36 -frames:v 1");
    std::fs::copy(format!("{assets}/fonts/Inter-Bold.otf"), &font).unwrap();
    let moving = dir.path().join("moving.mp4");
    make(&moving, "-f lavfi -i color=blue:s=160x90:r=30 -t 2 -pix_fmt yuv420p");
    std::fs::rename(moving, &video).unwrap();
    make(&audio, "-f lavfi -i sine=440 -t 2 -af volume=4");
    wait_for(&node, TRIED_AGAIN, "asset_restored", &layers);
    wait_until(SOON, "the files are shown", || {
        let picture = picture.last()?;
        let near = |x, y, colour| is_near(picture.at(x, y), colour, 14);
        (near(80, 45, RED) && near(240, 45, RED) && near(240, 135, BLUE)).then_some(())
    });
    wait_until(SOON, "the audio is heard", || heard.peak().filter(|&peak| peak > 0.1));
    let failed = told(&node).remove("asset_failed");
    assert_eq!(failed.unwrap(), layers, "each trouble is told once");
    assert!(run_to_end(&["config", "check", "--assets", file]).status.success());
}

#[test]
fn a_picture_whose_file_changes_is_shown_anew_and_stays_while_the_file_is_broken() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let (file, next) = (dir.path().join("sponsor.png"), dir.path().join("next.png"));
    let paint = |colour: &str| {
        make(&next, &format!("-f lavfi -i color={colour}:s=64x36 -frames:v 1"));
        std::fs::rename(&next, &file).unwrap();
    };
    paint("red");
    let config =
        Config::new().channel("demo").layer("image", &format!("path = {file:?}\nfit = \"fill\""));
    let node = Node::start(&config);
    let mut viewer = Watcher::of(&node.url("live/demo"));
    let middle = (160, 90);
    viewer.wait_until_at("the picture is seen", middle, |seen| is_near(seen, RED, 14));

    paint("blue");
    viewer.wait_until_at("the new one is seen", middle, |seen| is_near(seen, BLUE, 14));
    assert!(told(&node).is_empty(), "nothing is wrong");

    std::fs::write(&file, "no picture").unwrap();
    wait_for(&node, SOON, "asset_failed", &["image-0"]);
    let seen = wait_until(SOON, "pictures come", || viewer.last());
    assert!(is_near(seen.at(160, 90), BLUE, 14), "what was there before stays");

    paint("red");
    viewer.wait_until_at("the good one is seen", middle, |seen| is_near(seen, RED, 14));
    wait_for(&node, SOON, "asset_restored", &["image-0"]);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn files_whose_opening_waits_for_ever_keep_nothing_else_waiting() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let names = ["picture.png", "letters.otf", "video.mp4", "audio.wav"];
    let [picture, font, video, audio] = names.map(|name| {
        let pipe = dir.path().join(name);
        Program::start("mkfifo", "", &[pipe.to_str().unwrap()]).succeeds(SOON);
        pipe
    });
    let config = Config::new()
        .channel("demo")
        .layer("image", &format!("path = {picture:?}\nfit = \"fill\""))
        .layer("text", &format!("text = \"Hello\"\nfont = {font:?}"))
        .layer("video", &format!("path = {video:?}\nfit = \"fill\""))
        .audio("video", &format!("path = {audio:?}"));
    let layers = ["image-0", "text-1", "video", "video-2"];

    let file = config.write(dir.path());
    let checked = run_to_end(&["config", "check", "--assets", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(2));
    for name in names {
        assert!(checked.err.contains(name), "no {name} in {}", checked.err);
    }

    let node = Node::start(&config);
    wait_for(&node, SOON, "asset_failed", &layers);
    let more = format!("text = \"More\"\nfont = {font:?}");
    let again = Config::of(&config, config.text().to_owned()).layer("text", &more);
    again.write(node.file("").as_path());
    let (status, answer) = ask(&node, "POST /reload", &serde_json::Value::Null);
    assert_eq!(status, 200, "{answer}");
    assert!(answer["failed"].to_string().contains("letters.otf"), "{answer}");
    assert_eq!(node.http("/readyz").0, 200);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}
