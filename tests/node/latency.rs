//! Latency in the open: a node says how long frames and messages take at each stage of their way.

use std::time::Duration;

use serde_json::Value;

use crate::api::ask;
use crate::config::Config;
use crate::node::Node;
use crate::publisher::{AVC_HEADER, INTER, KEY, Publisher};
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, VIDEO, Wire};

pub(crate) fn latency_of(node: &Node, stream: &str) -> Option<Value> {
    let (status, latency) = ask(node, "GET /latency", &Value::Null);
    assert_eq!(status, 200, "{latency}");
    let streams = latency["streams"].as_array().unwrap();
    streams.iter().find(|entry| entry["stream"] == stream).cloned()
}

pub(crate) fn stage(stream: &Value, name: &str) -> Option<Value> {
    let stages = stream["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["stage"] == name).cloned()
}

#[test]
fn a_node_says_how_long_the_pictures_of_a_channel_take_at_each_stage() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    let demo = wait_until(SOON, "pictures in the log", || {
        let demo = latency_of(&node, "live/demo")?;
        let in_log = stage(&demo, "to_log")?;
        (in_log["total"]["count"].as_u64()? >= 30).then_some(demo)
    });
    for name in ["tick", "compose", "queue", "lookahead", "encode", "append"] {
        let stage = stage(&demo, name).unwrap_or_else(|| panic!("{name}: {demo}"));
        assert_eq!(stage["by_design"], name == "lookahead");
        for window in ["seconds_10", "minute", "total"] {
            let of = |key: &str| stage[window][key].as_u64().unwrap();
            let figures = ["p50_us", "p99_us", "p999_us", "max_us"].map(of);
            assert!(of("count") > 0 && figures.is_sorted(), "{name}: {stage}");
        }
    }
    let worst = demo["worst"].as_array().unwrap();
    let parts = worst[0]["parts"].as_array().unwrap();
    let sum = |by_design| {
        let parts = parts.iter().filter(|part| by_design || part["stage"] != "lookahead");
        parts.map(|part| part["us"].as_u64().unwrap()).sum::<u64>()
    };
    // Each part is rounded down to a microsecond.
    let took = worst[0]["took_us"].as_u64().unwrap();
    assert!((sum(false)..sum(false) + 20).contains(&took), "{}", worst[0]);
    let frames =
        node.metric("frame_stage_seconds_count", &["thread=\"compose\"", "stage=\"compose\""]);
    assert!(frames >= 30.0, "{frames}");
}

#[test]
fn what_a_publisher_is_slow_to_send_is_told_as_reading_and_of_no_other_stage() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open());
    let mut publisher = Publisher::start(&node, "slow");
    publisher.send(VIDEO, 0, AVC_HEADER);
    publisher.send(VIDEO, 0, KEY);
    let slow = Duration::from_millis(50);
    publisher.send_in_two(VIDEO, 40, INTER, slow);
    let slow = wait_until(SOON, "both messages", || {
        let stream = latency_of(&node, "live/slow")?;
        (stage(&stream, "append")?["total"]["count"] == 2).then_some(stream)
    });
    let longest = |name: &str| stage(&slow, name).unwrap()["total"]["max_us"].as_u64().unwrap();
    assert!(longest("read") >= 48_000, "{slow}");
    assert!(longest("append") < 25_000, "{slow}");
    let whole = longest("to_log");
    assert!((longest("read")..longest("read") + 25_000).contains(&whole), "{slow}");
}

#[test]
fn a_channel_of_low_latency_holds_no_picture_back_and_its_viewers_begin_with_a_new_one() {
    let _turn = beside_others();
    let rarely = "keyframe_seconds = 20\n";
    let config = Config::new()
        .channel("usual")
        .more(rarely)
        .channel("early")
        .more(&format!("{rarely}latency = \"low\"\n"));
    let text = config.text().replace("\"ultrafast\"", "\"veryfast\"");
    let node = Node::start(&Config::of(&config, text));
    for (name, is_early) in [("usual", false), ("early", true)] {
        let mut first = Wire::play(node.rtmp_port(), name);
        let seen = first.find("a second", |it| it.is_picture() && it.time >= 1_000).time;
        let mut late = Wire::play(node.rtmp_port(), name);
        let begins = late.find("its first picture", Message::is_picture);
        assert!(begins.is_key(), "{name}");
        assert_eq!(begins.time > seen, is_early, "{name}: {} after {seen}", begins.time);
        let stream = wait_until(SOON, "pictures in the log", || {
            let stream = latency_of(&node, &format!("live/{name}"))?;
            (stage(&stream, "to_log")?["total"]["count"].as_u64()? >= 30).then_some(stream)
        });
        let held = stage(&stream, "lookahead").map(|it| it["total"]["p50_us"].as_u64().unwrap());
        // The look-ahead of x264's preset veryfast is ten pictures.
        match is_early {
            true => assert!(held.unwrap_or(0) < 1_000, "{stream}"),
            false => assert!(held.unwrap() > 300_000, "{stream}"),
        }
    }
}
