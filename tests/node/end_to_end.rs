//! Origin stamps end to end: they are in the stream as others read it, on a node that pulls it and
//! in its recordings, and say how long frames took.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::api::ask;
use crate::config::Config;
use crate::node::{BINARY, Node, run_to_end};
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, free_port, wait_until};

/// How a UUID of ours begins, as FFmpeg writes it down.
const UUID: &str = "8c1f5e2b-6d0a-4b77-9e43-534d4f524947";

/// A channel with a keyframe each second, and stamps.
fn stamped() -> Config {
    Config::new().channel("demo").more("keyframe_seconds = 1\norigin_stamp = true\n")
}

/// A node that pulls it.
fn edge_of(origin: &Node) -> Node {
    let url = origin.url("live/demo");
    Node::start(&Config::new().pull("live/copy", &url, "mode = \"always\""))
}

/// Keyframes in the file, and stamps among what FFmpeg finds in them: in SEI, or of AV1 metadata of
/// the type that stamps have.
fn keys_and_stamps(file: &Path) -> (usize, usize) {
    let path = file.to_str().unwrap();
    let keys = Recording::at(file.to_owned()).video_packets();
    let keys = keys.iter().filter(|packet| packet.is_key).count();
    let last = ["-i", path, "-an", "-c:v", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"];
    let traced = Program::start("ffmpeg", "-v trace -nostats", &last).ended(SOON);
    assert!(traced.status.success());
    let values = |field: &str| -> Vec<u8> {
        let lines = traced.err.lines().filter(|line| line.contains(field));
        lines.filter_map(|line| line.rsplit('=').next()?.trim().parse().ok()).collect()
    };
    let wanted: Vec<u8> = UUID
        .replace('-', "")
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect();
    // Each byte of a UUID is a line of its own.
    let in_sei = values("uuid_iso_iec").chunks(16).filter(|uuid| *uuid == wanted).count();
    let in_metadata = values("metadata_type").iter().filter(|kind| **kind == 6).count();
    (keys, in_sei + in_metadata)
}

/// `onFI` in the bytes of a file.
fn messages(file: &Path) -> usize {
    let bytes = std::fs::read(file).unwrap();
    let name = b"\x02\x00\x04onFI";
    bytes.windows(name.len()).filter(|part| part == name).count()
}

/// What two viewers measure at this address.
fn measured(url: &str) -> Value {
    let arguments = ["load", "play", "--url", url, "--count", "2", "--seconds", "4"];
    let ended = run_to_end(&[&arguments[..], &["--e2e", "--json"]].concat());
    assert!(ended.status.success(), "{url}: {}", ended.err);
    serde_json::from_slice(&ended.out).unwrap()
}

fn latency(node: &Node) -> Value {
    let (status, latency) = ask(node, "GET /latency", &Value::Null);
    assert_eq!(status, 200, "{latency}");
    latency
}

fn of_stream<'a>(latency: &'a Value, stream: &str) -> Option<&'a Value> {
    latency["streams"].as_array().unwrap().iter().find(|entry| entry["stream"] == stream)
}

#[test]
fn stamps_go_with_the_stream_to_players_recordings_and_nodes_that_pull_it() {
    let _turn = beside_others();
    let origin = Node::start(&stamped());
    let edge = edge_of(&origin);
    for (node, stream) in [(&origin, "live/demo"), (&edge, "live/copy")] {
        node.wait_for_streams(1);
        let http = format!("http://127.0.0.1:{}/{stream}.flv", node.rtmp_port());
        let file = node.file("all.flv");
        let last = ["-sS", "-m", "4", "-o", file.to_str().unwrap(), http.as_str()];
        // It ends by its time, which is a failure to it.
        Program::start("curl", "", &last).ended(SOON);
        assert!(messages(&file) >= 2, "{stream}: a message each second");
        let copy = node.file("copy.flv");
        Recording::of(&node.url(stream), 3, copy.clone()).assert_audio_and_picture(1.0);
        let (keys, stamps) = keys_and_stamps(&copy);
        assert!(keys >= 2 && stamps == keys, "{stream}: {stamps} stamps in {keys} keyframes");
    }
}

#[test]
fn keyframes_of_hevc_and_av1_have_stamps_and_can_be_decoded_as_before() {
    let _turn = beside_others();
    for codec in ["hevc", "av1"] {
        let config = stamped().more(&format!("codec = \"{codec}\"\n"));
        let dir = tempfile::tempdir().unwrap();
        let record = format!("dir = \"{}\"\nformat = \"mp4\"\n", dir.path().display());
        let node = Node::start(&config.record("live/demo", &record));
        let keyframes = || {
            let count = node.metric("encoder_keyframes_total", &[]);
            (count >= 4.0).then_some(())
        };
        wait_until(SOON, "some keyframes", keyframes);
        node.signal("TERM");
        assert!(node.ended(SOON).status.success());
        let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let last = ["-i", file.to_str().unwrap(), "-f", "null", "-"];
        Program::start("ffmpeg", "-v error -xerror", &last).succeeds(SOON);
        let (keys, stamps) = keys_and_stamps(&file);
        assert!(keys >= 3 && stamps == keys, "{codec}: {stamps} stamps in {keys} keyframes");
    }
}

#[test]
fn frames_are_measured_from_where_they_were_made_to_viewers_and_to_a_node_that_pulls_them() {
    let _turn = beside_others();
    let origin = Node::start(&stamped());
    let edge = edge_of(&origin);
    edge.wait_for_streams(1);
    for (protocol, url) in [
        ("RTMP", edge.url("live/copy")),
        ("HTTP", format!("http://127.0.0.1:{}/live/copy.flv", edge.rtmp_port())),
    ] {
        let report = measured(&url);
        let took = &report["origin_to_viewer_us"];
        // At least three keyframes or messages for each of two viewers.
        assert!(took["samples"].as_u64().unwrap() >= 6, "{protocol}: {report}");
        assert!(took["p50"].as_u64().unwrap() < 5_000_000, "{protocol}: {report}");
        assert_eq!(report["clock"]["same_machine"], true, "{protocol}: {report}");
    }
    let all = wait_until(SOON, "stamps at the edge", || {
        let all = latency(&edge);
        let count = |entry: &Value| {
            let stages = entry["stages"].as_array().unwrap();
            let stage = stages.iter().find(|stage| stage["stage"] == "origin")?;
            stage["total"]["count"].as_u64()
        };
        (count(of_stream(&all, "live/copy")?)? >= 3).then_some(all)
    });
    let copy = &of_stream(&all, "live/copy").unwrap()["origin"];
    assert_eq!((&copy["same_machine"], &copy["ahead"]), (&true.into(), &0.into()), "{copy}");
    assert!(copy["took_us"].as_i64().unwrap() < 5_000_000, "{copy}");
    let made = latency(&origin);
    assert!(of_stream(&made, "live/demo").unwrap()["origin"].is_null(), "it is made here: {made}");
    // The kernel says what the clock is worth, in the API and in metrics alike.
    if let Some(is_kept) = all["clock"]["synchronised"].as_bool() {
        let metric = edge.metric("clock_synchronised", &[]);
        assert_eq!(metric > 0.5, is_kept, "{metric} {}", all["clock"]);
        assert!(all["clock"]["error_max_us"].is_u64());
    }
    let unstamped = Node::start(&Config::new().channel("demo"));
    unstamped.wait_for_streams(1);
    let url = unstamped.url("live/demo");
    let ended =
        run_to_end(&["load", "play", "--url", &url, "--count", "1", "--seconds", "1", "--e2e"]);
    assert!(!ended.status.success() && ended.err.contains("origin_stamp = true"), "{}", ended.err);
}

#[test]
fn pictures_that_ffmpeg_decodes_say_how_old_they_are() {
    let _turn = beside_others();
    let mut command = Command::new("tools/glass.sh");
    command.args(["5", "ffmpeg"]).env("STREAM_MANAGER", BINARY);
    command.env("RTMP", free_port().to_string()).env("HTTP", free_port().to_string());
    let out = Program::spawn("glass", command).succeeds(SOON + Duration::from_secs(20));
    let text = String::from_utf8_lossy(&out);
    let line = text.lines().find(|line| line.starts_with("glass to glass")).unwrap();
    let samples = line.rsplit('(').next().and_then(|it| it.split(' ').next()?.parse().ok());
    assert!(samples.is_some_and(|samples: u64| samples >= 20), "{text}");
    assert!(text.contains("same machine") && text.contains("method"), "{text}");
}
