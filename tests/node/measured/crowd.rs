//! Many viewers, and more than one node.

use std::process::Command;
use std::thread;

use crate::config::{Config, FPS, demo};
use crate::node::{BINARY, Node};
use crate::program::Program;
use crate::pushing::assert_even;
use crate::wait::{SOON, alone};
use crate::wire::{Message, VIDEO, Wire};

#[test]
fn twenty_viewers_all_get_every_picture() {
    let _turn = alone();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let viewer = move || assert_even(&mut Wire::play(port, "demo"), 4 * FPS);
    let viewers: Vec<_> = (0..20).map(|_| thread::spawn(viewer)).collect();
    for viewer in viewers {
        viewer.join().unwrap();
    }
    assert!(node.metric("rtmp_viewer_drops_total", &[]) < 0.5, "somebody lost pictures");
}

#[test]
fn publishers_whose_messages_come_thick_and_fast_are_read_by_the_clock_and_lose_nothing() {
    const PUBLISHERS: u32 = 60;
    let _turn = alone();
    let config = Config::new().publish_open();
    let text = format!("[node]\nlog = \"stream_manager=debug\"\n{}", config.text());
    let node = Node::start(&Config::of(&config, text));
    let url = node.url("live/many");
    let mut publish = Command::new(BINARY);
    publish.args(["load", "publish", "--url", &url, "--seconds", "8", "--fps", "60"]).args([
        "--bitrate",
        "300000",
        "--count",
        &PUBLISHERS.to_string(),
    ]);
    let publishers = Program::spawn("load", publish);
    node.program().says("by the clock: true");
    let mut viewer = Wire::play(node.rtmp_port(), "many-7");
    let mut stamped = || {
        let message = viewer.find("a stamped message", |message| number_of(message).is_some());
        number_of(&message).unwrap()
    };
    let first = stamped();
    for number in first + 1..first + 400 {
        assert_eq!(stamped(), number, "some are lost");
    }
    drop(publishers.succeeds(SOON));
    node.program().says("by the clock: false");
}

/// The number that a publisher of the load tools gives each of its messages.
fn number_of(message: &Message) -> Option<u32> {
    let stamp = message.body.get(if message.kind == VIDEO { 5 } else { 2 }..)?;
    let number = stamp.strip_prefix(b"SMTS")?.first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

#[test]
fn two_nodes_share_a_machine() {
    let _turn = alone();
    let nodes = [Node::start(&demo()), Node::start(&demo())];
    for node in &nodes {
        assert_even(&mut Wire::play(node.rtmp_port(), "demo"), 2 * FPS);
    }
    assert_ne!(nodes[0].key(), nodes[1].key(), "each node has keys of its own");
}
