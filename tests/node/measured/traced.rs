//! Traces, and the ticks of the channels that they are of.

use std::time::Instant;

use crate::config::{FPS, demo};
use crate::latency::{latency_of, stage};
use crate::node::Node;
use crate::trace::file;
use crate::wait::{SOON, alone, wait_until};

/// Time between two frames of the demo, microseconds.
const INTERVAL_US: u64 = (1_000_000 / FPS) as u64;

#[test]
fn ticks_are_in_time_while_traces_of_five_seconds_are_made() {
    let _turn = alone();
    let node = Node::start(&demo());
    // What follows looks at the last ten seconds, and the start is not of them.
    let frames = |least: u64| {
        let demo = latency_of(&node, "live/demo")?;
        let count = stage(&demo, "to_log")?["total"]["count"].as_u64()?;
        (count >= least).then_some(count)
    };
    let before = wait_until(SOON, "twelve seconds", || frames(12 * u64::from(FPS)));
    let dropped = node.metric("encoder_dropped_frames", &[]);
    for _ in 0..3 {
        let began = Instant::now();
        let trace = file(&node, "POST", "/trace");
        println!("{} bytes in {} ms", trace.len(), began.elapsed().as_millis());
        assert!(trace.len() > 10_000);
    }
    wait_until(SOON, "frames after them", || frames(before + 10));
    assert!((node.metric("encoder_dropped_frames", &[]) - dropped).abs() < 0.5);
    let demo = latency_of(&node, "live/demo").unwrap();
    let tick = stage(&demo, "tick").unwrap()["seconds_10"].clone();
    println!("how late ticks were: {tick}");
    // The machine itself is late now and then.
    assert!(tick["p99_us"].as_u64().unwrap() < INTERVAL_US, "{demo}");
}
