//! Outputs: programmes pushed to other servers.

use std::net::TcpListener;

use crate::config::{FPS, demo};
use crate::destination::Destination;
use crate::nginx::Nginx;
use crate::node::Node;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{Message, Wire};

#[test]
fn an_output_comes_back_after_its_destination_was_away() {
    let _turn = beside_others();
    let port = free_port();
    let node = Node::start(&demo().output("cdn", &format!("rtmp://127.0.0.1:{port}/live/show")));
    wait_until(SOON, "the destination is missed", || {
        (node.metric("output_failures_total", &["output=\"cdn\""]) >= 1.0).then_some(())
    });
    for round in 1..=2 {
        let nginx = Nginx::start(port);
        let file = node.file(&format!("round-{round}.flv"));
        wait_until(SOON, "the programme is pushed", || {
            nginx.log().contains("publish: name='show'").then_some(())
        });
        // nginx-rtmp lets its viewers wait for the next keyframe, which is at most 2 s away.
        Recording::of(&nginx.url("show"), 4, file).assert_audio_and_picture(1.0);
        assert!(node.metric("output_connects_total", &["output=\"cdn\""]) >= f64::from(round));
    }
}

#[test]
fn dead_destinations_disturb_nobody() {
    let _turn = beside_others();
    // One refuses connections; one accepts them and never says a word.
    let refuses = free_port();
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let config = demo()
        .output("refuses", &format!("rtmp://127.0.0.1:{refuses}/live/a"))
        .output("silent", &format!("rtmp://127.0.0.1:{silent_port}/live/b"));
    let node = Node::start(&config);
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    assert_undisturbed(&node, &mut viewer, 4 * FPS);
    assert!(node.metric("output_failures_total", &["output=\"refuses\""]) >= 1.0);
}

/// That so many pictures come one frame apart, without a hole.
pub(crate) fn assert_even(viewer: &mut Wire, pictures: u32) {
    assert_eq!(missing(&times(viewer, pictures)), 0);
}

/// That nothing is missing of so many pictures but what the machine had no time to draw or encode.
pub(crate) fn assert_undisturbed(node: &Node, viewer: &mut Wire, pictures: u32) {
    assert_complete(node, &times(viewer, pictures));
}

/// That nothing is missing between pictures of these times but what the node had no time for.
pub(crate) fn assert_complete(node: &Node, times: &[u32]) {
    let (missing, dropped) = (missing(times), node.metric("encoder_dropped_frames", &[]));
    assert!(f64::from(missing) < dropped + 0.5, "{missing} missing, {dropped} dropped");
}

fn times(viewer: &mut Wire, pictures: u32) -> Vec<u32> {
    (0..=pictures).map(|_| viewer.find("a picture", Message::is_picture).time).collect()
}

/// How many frames are missing between pictures of these times.
fn missing(times: &[u32]) -> u32 {
    let frames = times.windows(2).map(|pair| {
        let gap = pair[1].wrapping_sub(pair[0]);
        let frames = (gap * FPS + 500) / 1_000;
        assert!(frames > 0 && gap.abs_diff(frames * 1_000 / FPS) <= 1, "{gap} ms between pictures");
        frames - 1
    });
    frames.sum()
}

#[test]
fn the_query_of_a_server_goes_with_connect_and_not_with_the_name() {
    let _turn = beside_others();
    let destination = Destination::start();
    let url = destination.url().replace("/app/", "/app?token=secret/");
    let node = Node::start(&demo().output("cdn", &url));
    let messages = wait_until(SOON, "the programme is published", || {
        let messages = destination.messages();
        messages.iter().any(|message| message.command() == "publish").then_some(messages)
    });
    let values = |name: &str| messages.iter().find(|m| m.command() == name).unwrap().values();
    let connect = values("connect");
    assert_eq!(connect[2].field("app").as_text(), "app?token=secret");
    assert!(connect[2].field("tcUrl").as_text().ends_with("/app?token=secret"));
    assert_eq!(values("publish")[3].as_text(), "secret-name");
    assert!(!node.program().err().contains("secret"), "{}", node.program().err());
}
