//! A GPU that encodes, fails and comes back: the program with the fake drivers of `ffi/fake`.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::{done, events_of};
use crate::config::{Config, FPS};
use crate::node::{BINARY, Node};
use crate::program::Program;
use crate::pushing::assert_complete;
use crate::recording::{Packet, Recording};
use crate::wait::{SOON, beside_others, wait_until};

/// The folder with the fake drivers.
pub(crate) fn fakes() -> &'static str {
    static FAKES: OnceLock<TempDir> = OnceLock::new();
    let folder = FAKES.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ffi/fake/build.sh");
        assert!(Command::new(script).arg(folder.path()).status().unwrap().success());
        folder
    });
    folder.path().to_str().unwrap()
}

/// A machine without GPUs of other makers.
const NO_DRI: (&str, &str) = ("STREAM_MANAGER_DRI", "/nowhere");

/// Gives a program the fake drivers, with these faults.
fn with_gpu(command: &mut Command, faults: &str) {
    command.env("LD_LIBRARY_PATH", fakes()).env("FAKE_NVENC", faults).env(NO_DRI.0, NO_DRI.1);
}

/// A channel that moves, without audio, and goes on with x264.
pub(crate) fn channel() -> Config {
    let config = Config::new().channel("show").layer("test-card", "").layer("clock", "");
    Config::of(&config, config.text().replace("speed = \"fixed\"\n", ""))
}

/// A node with the fake drivers, with these faults.
pub(crate) fn node_with_gpu(config: &Config, faults: &str) -> Node {
    Node::start_with_env(config, &[("LD_LIBRARY_PATH", fakes()), ("FAKE_NVENC", faults), NO_DRI])
}

/// No picture is further from the next than one interval, but for those that the node had no time
/// for.
pub(crate) fn assert_without_gap(node: &Node, packets: &[Packet]) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times in seconds")]
    let times: Vec<_> = packets.iter().map(|it| (it.pts * 1_000.0).round() as u32).collect();
    assert_complete(node, &times);
}

/// The encoder of the channel, as the API tells it.
pub(crate) fn encoder_of(node: &Node) -> String {
    let channels = done(node, "GET /channels", &Value::Null);
    channels[0]["encoder"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_ffmpeg_that_knows_nothing_of_it_encodes_through_the_fake_driver() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let (file, log) = (dir.path().join("a.mp4"), dir.path().join("log"));
    for b_frames in ["0", "2"] {
        let mut command = Command::new("ffmpeg");
        command.args("-v error -y -f lavfi -i testsrc2=s=320x192:r=30 -frames:v 60".split(' '));
        command.args("-c:v h264_nvenc -preset p3 -tune ll -b:v 800k -bf".split(' '));
        command.args([b_frames, file.to_str().unwrap()]);
        with_gpu(&mut command, &format!("log={}", log.display()));
        Program::spawn("ffmpeg", command).succeeds(SOON);
        assert_eq!(Recording::at(file.clone()).video_packets().len(), 60);
        let log = std::fs::read_to_string(&log).unwrap();
        assert!(log.contains("closed after 60 pictures"), "{log}");
        assert!(!log.contains("fault"), "the fake finds fault with a client that works: {log}");
    }
}

#[test]
fn viewers_miss_no_picture_when_the_gpu_is_lost_and_when_it_comes_back() {
    const SECONDS: u32 = 26;
    let _turn = beside_others();
    // At ten seconds: the viewer is there by then, also on a busy machine.
    let node = node_with_gpu(&channel(), "lost=300,lost_sessions=1");
    let file = node.file("show.flv");
    let viewer = Recording::begin(&node.url("live/show"), SECONDS, &file);
    let changes = |labels: &[&str]| node.metric("encoder_fallback_total", labels);
    let happens = |labels: &[&str]| {
        wait_until(SOON, "the encoder changes", || (changes(labels) > 0.5).then_some(()));
    };
    wait_until(SOON, "the viewer plays", || (file.metadata().ok()?.len() > 0).then_some(()));
    assert!(changes(&[]) < 0.5, "the GPU was lost before the viewer came");
    happens(&["from=\"nvenc\"", "to=\"x264\"", "reason=\"failed\""]);
    happens(&["from=\"x264\"", "to=\"nvenc\"", "reason=\"recovered\""]);
    assert!((changes(&[]) - 2.0).abs() < 0.5, "and no other change");
    viewer.succeeds(Duration::from_secs(SECONDS.into()) + SOON);
    let packets = Recording::at(file.clone()).video_packets();
    assert!(packets.len() > usize::try_from((SECONDS - 1) * FPS).unwrap(), "{}", packets.len());
    assert_without_gap(&node, &packets);
    let headers = packets[1..].iter().filter(|packet| packet.has_header);
    assert!(headers.clone().all(|packet| packet.is_key));
    assert_eq!(headers.count(), 2, "one for each change");
    assert_eq!(encoder_of(&node), "nvenc");
    assert_eq!(Recording::at(file).pictures().len(), packets.len(), "all of them are decoded");
    let told: Vec<_> = events_of(&node, "encoder_changed");
    let texts: Vec<_> = told.iter().map(|event| event["text"].as_str().unwrap()).collect();
    let change = "channel show is encoded by x264 instead of nvenc: EncodePicture failed: the GPU";
    assert!(texts[0].starts_with(change), "{texts:?}");
    let back = "channel show is encoded by nvenc instead of x264: nvenc works again";
    assert_eq!(texts[1..], [back]);
}

#[test]
fn viewers_miss_no_picture_when_the_driver_stops_answering() {
    const SECONDS: u32 = 14;
    let _turn = beside_others();
    let node = node_with_gpu(&channel(), "hang=300");
    let file = node.file("show.flv");
    let viewer = Recording::begin(&node.url("live/show"), SECONDS, &file);
    wait_until(SOON, "the viewer plays", || (file.metadata().ok()?.len() > 0).then_some(()));
    let changes = || node.metric("encoder_fallback_total", &["reason=\"failed\""]);
    assert!(changes() < 0.5, "the driver hung before the viewer came");
    viewer.succeeds(Duration::from_secs(SECONDS.into()) + SOON);
    assert!((changes() - 1.0).abs() < 0.5);
    let packets = Recording::at(file).video_packets();
    assert!(packets.len() > usize::try_from((SECONDS - 1) * FPS).unwrap(), "{}", packets.len());
    assert_without_gap(&node, &packets);
    assert!(node.metric("encoder_dropped_frames", &[]) < 0.5, "those that waited were encoded");
    let told = events_of(&node, "encoder_changed");
    assert!(told[0]["text"].as_str().unwrap().contains("has not answered within 400 ms"));
}

#[test]
fn a_driver_that_crashes_when_it_is_checked_takes_nothing_with_it() {
    let _turn = beside_others();
    let node = node_with_gpu(&channel(), "crash");
    let file = node.file("show.flv");
    let packets = Recording::of(&node.url("live/show"), 2, file).video_packets();
    assert!(packets.len() > 30, "{}", packets.len());
    assert_eq!(encoder_of(&node), "x264");
    node.program().says("video is encoded by x264, as nvenc: its driver crashed (signal 6)");
}

#[test]
fn a_gpu_that_is_named_and_not_there_is_told_before_anything_starts() {
    let config = Config::new().channel("show").layer("test-card", "");
    let config = Config::of(&config, config.text().replace("fps =", "encoder = \"nvenc\"\nfps ="));
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["run", "--config"]).arg(config.write(dir.path()));
    command.arg("--data-dir").arg(dir.path().join("data"));
    with_gpu(&mut command, "no_device");
    let ended = Program::spawn("stream-manager", command).ended(SOON);
    assert!(!ended.status.success());
    for words in ["channel show", "nvenc", "Fake GPU", "does not encode video"] {
        assert!(ended.err.contains(words), "{words} is missing in: {}", ended.err);
    }
}

#[test]
fn the_encoders_of_a_machine_are_listed_with_what_they_can_do() {
    let _turn = beside_others();
    let list = |faults: &str| {
        let mut command = Command::new(BINARY);
        command.args(["encoders", "--size", "320x180", "--frames", "30"]);
        with_gpu(&mut command, faults);
        String::from_utf8(Program::spawn("stream-manager", command).succeeds(SOON)).unwrap()
    };
    let there = list("");
    for words in [
        "nvenc    h264, hevc",
        "pictures a second",
        "NVENC up to 13.0",
        "CUDA up to 12.4",
        "Fake GPU (0000:01:00.0): h264 from 145x49 to 4096x4096, up to 4 B-pictures",
        "libx264  h264: ",
    ] {
        assert!(there.contains(words), "{words} is missing in: {there}");
    }
    let old = list("driver=11.0");
    let refused = ": not there: the driver knows NVENC up to 11.0";
    assert!(old.contains("nvenc    h264, hevc") && old.contains(refused), "{old}");
}
