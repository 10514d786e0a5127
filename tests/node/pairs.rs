//! Every publisher can be seen with every player.

use std::path::{Path, PathBuf};

use crate::config::{Config, HEIGHT, WIDTH};
use crate::node::{Node, STUDIO};
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};

/// A moving picture and a tone, in real time, with a keyframe every second.
pub(crate) fn ffmpeg_publishes(url: &str) -> Program {
    let picture = format!("testsrc2=s={WIDTH}x{HEIGHT}:r=30");
    ffmpeg_publishes_picture(&picture, url)
}

/// The same with another picture, named as libavfilter names its sources.
pub(crate) fn ffmpeg_publishes_picture(picture: &str, url: &str) -> Program {
    let audio = ["-re", "-f", "lavfi", "-i", "sine=f=440:r=48000,volume=4"];
    let coded = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 30 \
                 -b:v 500k -c:a aac -b:a 96k -f flv";
    let coded: Vec<_> = coded.split_whitespace().chain([url]).collect();
    let last = [&["-re", "-f", "lavfi", "-i", picture], &audio[..], &coded[..]].concat();
    Program::start("ffmpeg", "-v error", &last)
}

fn gstreamer_publishes(url: &str) -> Program {
    let location = format!("location={url}");
    let line = format!(
        "-q flvmux name=mux streamable=true ! rtmp2sink {location} \
         videotestsrc is-live=true ! video/x-raw,width={WIDTH},height={HEIGHT},framerate=30/1 ! \
         x264enc speed-preset=ultrafast tune=zerolatency key-int-max=30 bitrate=500 ! h264parse ! \
         queue ! mux. \
         audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! \
         queue ! mux."
    );
    Program::start("gst-launch-1.0", &line, &[])
}

fn ffmpeg_plays(url: &str, file: &Path) {
    Recording::begin(url, 2, file).succeeds(SOON);
}

fn gstreamer_plays(url: &str, file: &Path) {
    let line = format!("-q rtmp2src location={url} ! filesink location={}", file.display());
    stopped_after_a_while(Program::start("gst-launch-1.0", &line, &[]), file);
}

fn rtmpdump_plays(url: &str, file: &Path) {
    let last = ["--live", "-r", url, "-o", file.to_str().unwrap()];
    stopped_after_a_while(Program::start("rtmpdump", "-q", &last), file);
}

/// For players that cannot be told when to end: until the file holds some seconds.
fn stopped_after_a_while(mut player: Program, file: &Path) {
    wait_until(SOON, "there is something to be played", || {
        assert!(player.runs(), "the player has ended:\n{}", player.err());
        (std::fs::metadata(file).ok()?.len() >= PLAYED_BYTES).then_some(())
    });
    player.interrupted(SOON);
}

/// Three to five seconds of what the publishers send.
const PLAYED_BYTES: u64 = 200_000;

fn try_pair(publish: fn(&str) -> Program, play: fn(&str, &Path)) {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let _publisher = publish(&node.publish_url());
    node.wait_for_streams(1);
    let file: PathBuf = node.file("played.flv");
    play(&node.url(STUDIO), &file);
    Recording::at(file).assert_audio_and_picture(1.0);
}

#[test]
fn ffmpeg_publishes_and_ffmpeg_plays() {
    try_pair(ffmpeg_publishes, ffmpeg_plays);
}

#[test]
fn ffmpeg_publishes_and_gstreamer_plays() {
    try_pair(ffmpeg_publishes, gstreamer_plays);
}

#[test]
fn ffmpeg_publishes_and_rtmpdump_plays() {
    try_pair(ffmpeg_publishes, rtmpdump_plays);
}

#[test]
fn gstreamer_publishes_and_ffmpeg_plays() {
    try_pair(gstreamer_publishes, ffmpeg_plays);
}

#[test]
fn gstreamer_publishes_and_gstreamer_plays() {
    try_pair(gstreamer_publishes, gstreamer_plays);
}

#[test]
fn gstreamer_publishes_and_rtmpdump_plays() {
    try_pair(gstreamer_publishes, rtmpdump_plays);
}

#[test]
fn every_player_plays_the_programme() {
    let _turn = beside_others();
    let node = Node::start(&crate::config::demo());
    let url = node.url("live/demo");
    for (name, play) in [
        ("ffmpeg.flv", ffmpeg_plays as fn(&str, &Path)),
        ("gstreamer.flv", gstreamer_plays),
        ("rtmpdump.flv", rtmpdump_plays),
    ] {
        let file = node.file(name);
        play(&url, &file);
        Recording::at(file).assert_audio_and_picture(1.0);
    }
}
