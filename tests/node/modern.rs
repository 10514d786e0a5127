//! A newer FFmpeg, whose FLV and RTMP are the enhanced ones, as publisher and player.

use std::path::PathBuf;
use std::process::Command;

use crate::config::{Config, demo};
use crate::node::Node;
use crate::program::{Ended, Program};
use crate::wait::{SOON, alone, beside_others};

/// Codecs by the names of their encoders, with what makes those fast, and as players name them.
pub(crate) const PAIRS: [(&str, [&str; 2]); 4] = [
    (
        "-c:v libx265 -preset ultrafast -x265-params keyint=30:log-level=none -c:a libopus",
        ["Video: hevc", "Audio: opus"],
    ),
    ("-c:v libsvtav1 -preset 12 -g 30 -c:a flac", ["Video: av1", "Audio: flac"]),
    ("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 -c:a ac3", ["Video: vp9", "Audio: ac3"]),
    (
        "-c:v libx264 -preset ultrafast -tune zerolatency -g 30 -c:a eac3",
        ["Video: h264", "Audio: eac3"],
    ),
];

const SECONDS: usize = 2;
const FPS: usize = 30;

pub(crate) fn modern_ffmpeg() -> Command {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/modern-ffmpeg/bin/ffmpeg");
    assert!(program.exists(), "there is no {}: tools/modern_ffmpeg.sh gets it", program.display());
    Command::new(program)
}

pub(crate) fn publish(url: &str, codecs: &str) -> Program {
    publish_picture("testsrc2=s=160x90:r=30", url, codecs)
}

/// A picture as a source of FFmpeg makes it, with a tone.
pub(crate) fn publish_picture(picture: &str, url: &str, codecs: &str) -> Program {
    let mut command = modern_ffmpeg();
    command
        .args(["-v", "error", "-re", "-f", "lavfi", "-i", picture])
        .args("-re -f lavfi -i sine=r=48000 -pix_fmt yuv420p -ac 2".split(' '))
        .args(codecs.split(' '))
        .args(["-f", "flv", url]);
    Program::spawn("modern ffmpeg", command)
}

/// Plays some seconds, decodes them, and says what there was.
fn play(url: &str) -> Ended {
    let mut command = modern_ffmpeg();
    command.args(["-v", "info", "-i", url, "-t", &SECONDS.to_string(), "-f", "framecrc", "-"]);
    Program::spawn("modern ffmpeg", command).ended(SOON)
}

/// Times of the decoded pictures (0) or blocks of audio (1), in the order in which they came.
fn times(played: &Ended, track: u32) -> Vec<i64> {
    let text = String::from_utf8_lossy(&played.out);
    let lines = text.lines().filter(|line| line.starts_with(&format!("{track},")));
    lines.map(|line| line.split(',').nth(2).unwrap().trim().parse().unwrap()).collect()
}

fn assert_plays(url: &str, names: [&str; 2]) {
    // The first pictures of a decoder that starts may be missing.
    assert_plays_pictures(url, names, SECONDS * FPS * 3 / 4);
}

fn assert_plays_pictures(url: &str, [video, audio]: [&str; 2], pictures_min: usize) {
    let played = play(url);
    assert!(played.status.success(), "{}", played.err);
    assert!(played.err.contains(video) && played.err.contains(audio), "{}", played.err);
    let bounds = [(pictures_min, SECONDS * FPS), (SECONDS * FPS * 3 / 4, usize::MAX)];
    for (track, (least, most)) in (0..).zip(bounds) {
        let times = times(&played, track);
        assert!((least..=most).contains(&times.len()), "{times:?}");
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    }
}

#[test]
fn hevc_av1_vp9_and_new_audio_codecs_are_published_and_played() {
    let _turn = beside_others();
    for (codecs, names) in PAIRS {
        let node = Node::start(&Config::new());
        let _publisher = publish(&node.publish_url(), codecs);
        node.wait_for_streams(1);
        assert_plays(&node.url("live/studio"), names);
    }
}

#[test]
fn hevc_is_played_over_http() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let (codecs, names) = PAIRS[0];
    let _publisher = publish(&node.publish_url(), codecs);
    node.wait_for_streams(1);
    assert_plays(&format!("http://127.0.0.1:{}/live/studio.flv", node.rtmp_port()), names);
}

#[test]
fn a_player_that_says_what_it_takes_gets_that_and_is_refused_the_rest() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let (codecs, names) = PAIRS[0];
    let _publisher = publish(&node.publish_url(), codecs);
    node.wait_for_streams(1);
    let said = |codecs: &str| {
        let mut command = modern_ffmpeg();
        command
            .args(["-v", "info", "-rtmp_enhanced_codecs", codecs, "-i", &node.url("live/studio")])
            .args(["-t", "1", "-f", "framecrc", "-"]);
        Program::spawn("modern ffmpeg", command).ended(SOON)
    };
    let played = said("hvc1,Opus");
    assert!(played.status.success() && played.err.contains(names[0]), "{}", played.err);
    let refused = said("av01");
    assert!(!refused.status.success() && refused.err.contains("HEVC"), "{}", refused.err);
}

#[test]
fn channels_of_newer_codecs_are_played_pushed_and_recorded() {
    let _turn = alone();
    // An encoder that is short of time beside other tests leaves pictures out.
    let assert_plays = |url: &str, names| assert_plays_pictures(url, names, FPS / 4);
    for (video, audio, names) in [
        ("hevc", "opus", ["Video: hevc", "Audio: opus"]),
        ("av1", "aac", ["Video: av1", "Audio: aac"]),
    ] {
        let (dir, second) =
            (tempfile::tempdir().unwrap(), Node::start(&Config::new().publish_open()));
        let record = format!("dir = \"{}\"\nformat = \"mp4\"", dir.path().display());
        let config = demo()
            .output("second", &second.url("live/demo"))
            .more(&format!("[channel.audio]\ncodec = \"{audio}\""))
            .record("live/demo", &record);
        let keys = format!("codec = \"{video}\"\npreset = \"ultrafast\"");
        let text = config.text().replace("preset = \"ultrafast\"", &keys);
        let node = Node::start(&Config::of(&config, text));
        second.wait_for_streams(1);
        assert_plays(&node.url("live/demo"), names);
        assert_plays(&format!("http://127.0.0.1:{}/live/demo.flv", node.rtmp_port()), names);
        assert_plays(&second.url("live/demo"), names);
        node.signal("TERM");
        assert!(node.ended(SOON).status.success());
        let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert_plays(file.to_str().unwrap(), names);
    }
}

#[test]
fn further_tracks_pass_through() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let codecs =
        "-map 0:v -map 0:v -map 1:a -map 1:a -c:v libx264 -preset ultrafast -g 30 -c:a aac";
    let _publisher = publish(&node.publish_url(), codecs);
    node.wait_for_streams(1);
    let mut command = modern_ffmpeg();
    command
        .args(["-v", "info", "-i", &node.url("live/studio"), "-map", "0", "-t", "2"])
        .args(["-f", "framecrc", "-"]);
    let played = Program::spawn("modern ffmpeg", command).ended(SOON);
    assert!(played.status.success(), "{}", played.err);
    for track in 0..4 {
        assert!(times(&played, track).len() > FPS, "track {track}: {}", played.err);
    }
}
