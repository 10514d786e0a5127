//! Late joins: the first seconds of a viewer who comes while a stream is on.

use crate::config::demo;
use crate::node::Node;
use crate::wait::beside_others;
use crate::wire::{AUDIO, DATA, Message, VIDEO, Wire};

/// Half a group of pictures, milliseconds: keyframes are two seconds apart.
const HALF_A_GROUP_MS: u32 = 1_000;

#[test]
fn a_late_viewer_starts_at_a_keyframe_that_is_already_there() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut early = Wire::play(node.rtmp_port(), "demo");
    let key = early.find("a keyframe", Message::is_key);
    // Far from both the keyframe before and the one after.
    let now = early.find("a later picture", |message| {
        message.is_picture() && message.time.wrapping_sub(key.time) >= HALF_A_GROUP_MS
    });
    let mut late = Wire::play(node.rtmp_port(), "demo");
    let first = late.find("a picture", Message::is_picture);
    assert!(first.is_key(), "the first picture is {:?}", &first.body[..5]);
    assert!(
        first.time <= now.time,
        "the first picture ({} ms) was made after the viewer came ({} ms)",
        first.time,
        now.time
    );
    let caught_up = late.find("the present", |m| m.is_picture() && m.time >= now.time);
    assert!(caught_up.time - now.time < HALF_A_GROUP_MS, "a hole up to {} ms", caught_up.time);
}

#[test]
fn headers_come_before_what_they_describe() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    let mut seen: Vec<&str> = Vec::new();
    while !seen.contains(&"picture") || !seen.contains(&"audio") {
        let message = viewer.next().expect("the programme");
        let what = match message.kind {
            _ if message.is_video_header() => "video header",
            _ if message.is_audio_header() => "audio header",
            VIDEO => "picture",
            AUDIO => "audio",
            DATA if message.values()[0].as_text() == "onMetaData" => "metadata",
            _ => message.status().map_or("", |[code, ..]| match code.as_str() {
                "NetStream.Play.Start" => "start",
                _ => "",
            }),
        };
        if !what.is_empty() && !seen.contains(&what) {
            seen.push(what);
        }
    }
    let place = |what| seen.iter().position(|&other| other == what);
    assert_eq!(place("start"), Some(0), "{seen:?}");
    assert_eq!(place("metadata"), Some(1), "{seen:?}");
    assert!(place("video header").is_some_and(|at| Some(at) < place("picture")), "{seen:?}");
    assert!(place("audio header").is_some_and(|at| Some(at) < place("audio")), "{seen:?}");
}
