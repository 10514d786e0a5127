//! Keyframes on demand: how long a viewer who starts live waits for the one that is made for it.

use std::time::{Duration, Instant};

use crate::amf::Amf;
use crate::config::{Config, FPS};
use crate::node::Node;
use crate::wait::alone;
use crate::wire::{Message, Wire};

/// Viewers that come, one after the other.
const VIEWERS: usize = 30;

/// Least time of the stream from one to the next, milliseconds: a channel makes a keyframe for
/// readers once a second at most.
const APART_MS: u32 = 1_150;

/// Far above what it is on an idle machine, which is printed: the next tick, and its encoding.
const MEDIAN_MAX_TICKS: f64 = 3.0;

#[test]
fn a_keyframe_that_a_viewer_asks_for_is_there_within_a_few_ticks() {
    let _turn = alone();
    let config = Config::new().delivery("start = \"live\"").channel("demo").layer("test-card", "");
    let fixed = "speed = \"fixed\"\n";
    let more = format!("{fixed}tune = \"zerolatency\"\nkeyframe_seconds = 20\n");
    let text = config.text().replacen(fixed, &more, 1);
    let node = Node::start(&Config::of(&config, text));
    let mut stays = Wire::play(node.rtmp_port(), "demo");
    let mut last = stays.find("a picture", Message::is_picture).time;
    let mut waits = Vec::new();
    for _ in 0..VIEWERS {
        let next = last + APART_MS;
        last = stays.find("time passes", |it| it.is_picture() && it.time >= next).time;
        let (mut viewer, stream) = Wire::stream(node.rtmp_port());
        let asked = Instant::now();
        viewer.say(stream, "play", 0.0, &[Amf::text("demo")]);
        let first = viewer.find("a picture", Message::is_picture);
        waits.push(asked.elapsed());
        assert!(first.is_key());
    }
    let ticks = |wait: &Duration| wait.as_secs_f64() * f64::from(FPS);
    let mut waits: Vec<_> = waits.iter().map(ticks).collect();
    waits.sort_by(f64::total_cmp);
    let (median, p90, most) = (waits[VIEWERS / 2], waits[VIEWERS * 9 / 10], waits[VIEWERS - 1]);
    println!("ticks of {FPS} fps: median {median:.2}, p90 {p90:.2}, most {most:.2}");
    let asked = node.metric("encoder_keyframes_total", &[]);
    assert!(asked >= VIEWERS as f64, "{asked} keyframes were made");
    assert!(median < MEDIAN_MAX_TICKS, "{waits:?}");
}
