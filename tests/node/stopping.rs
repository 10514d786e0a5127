//! Stop of a node.

use std::time::{Duration, Instant};

use crate::config::{Config, demo};
use crate::destination::{Destination, Heard};
use crate::node::Node;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, USER_CONTROL, VIDEO, Wire};

/// Most time from the signal to the end.
const STOP_MAX: Duration = Duration::from_secs(3);

fn stops_in_time(node: Node, signal: &str) -> Duration {
    let began = Instant::now();
    node.signal(signal);
    let ended = node.ended(SOON);
    let took = began.elapsed();
    assert_eq!(ended.status.code(), Some(0), "{signal}: {}\n{}", ended.status, ended.err);
    assert!(took < STOP_MAX, "{signal}: it took {took:?}");
    took
}

#[test]
fn sigterm_and_sigint_end_the_node_with_success() {
    let _turn = beside_others();
    for signal in ["TERM", "INT"] {
        stops_in_time(Node::start(&demo()), signal);
        stops_in_time(Node::start(&Config::new()), signal);
    }
}

#[test]
fn sighup_ends_no_node_that_has_no_terminal() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    node.signal("HUP");
    wait_until(SOON, "the signal is heard", || {
        node.program()
            .err()
            .contains("SIGHUP: the configuration and the certificates")
            .then_some(())
    });
    assert_eq!(node.http("/healthz").0, 200);
    stops_in_time(node, "TERM");
}

#[test]
fn a_destination_is_told_goodbye() {
    let _turn = beside_others();
    let destination = Destination::start();
    let node = Node::start(&demo().output("cdn", &destination.url()));
    wait_until(SOON, "the programme is pushed", || {
        destination.messages().iter().any(Message::is_key).then_some(())
    });
    stops_in_time(node, "TERM");
    wait_until(SOON, "the connection ends", || {
        destination.heard().iter().any(|heard| matches!(heard, Heard::Closed)).then_some(())
    });
    let messages = destination.messages();
    let place = |name: &str| messages.iter().position(|message| message.command() == name);
    let (unpublish, delete) = (place("FCUnpublish"), place("deleteStream"));
    assert!(unpublish.is_some() && unpublish < delete, "{unpublish:?} {delete:?}");
    let last_picture = messages.iter().rposition(|message| message.kind == VIDEO);
    assert!(last_picture < unpublish, "pictures after the goodbye");
}

#[test]
fn a_destination_gets_headers_and_a_keyframe_first() {
    let _turn = beside_others();
    let destination = Destination::start();
    let _node = Node::start(&demo().output("cdn", &destination.url()));
    let messages = wait_until(SOON, "the programme is pushed", || {
        let messages = destination.messages();
        messages.iter().any(Message::is_picture).then_some(messages)
    });
    let place = |wanted: &dyn Fn(&Message) -> bool| messages.iter().position(wanted);
    let metadata = place(&|m| m.values().iter().any(|value| value.as_text() == "onMetaData"));
    let header = place(&Message::is_video_header);
    let picture = place(&Message::is_picture);
    assert!(metadata.is_some() && metadata < header && header < picture, "{messages:?}");
    assert!(messages[picture.unwrap()].is_key(), "the first picture is no keyframe");
}

#[test]
fn viewers_get_a_proper_end() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let file = node.file("until-the-end.flv");
    let player = Recording::begin(&node.url("live/demo"), 600, &file);
    wait_until(SOON, "ffmpeg plays", || (std::fs::metadata(&file).ok()?.len() > 0).then_some(()));
    // Only now: it reads nothing while others are waited for.
    let mut wire = Wire::play(node.rtmp_port(), "demo");
    wire.find("a picture", Message::is_picture);
    let mut ends = Vec::new();
    stops_in_time(node, "TERM");
    player.succeeds(SOON);
    while let Some(message) = wire.next() {
        if let Some([code, ..]) = message.status() {
            ends.push(code);
        } else if message.kind == USER_CONTROL && message.body[..2] == [0, 1] {
            ends.push("StreamEOF".to_owned());
        }
    }
    assert_eq!(ends, ["NetStream.Play.UnpublishNotify", "StreamEOF"]);
}

#[test]
fn a_second_signal_ends_the_node_at_once() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let began = Instant::now();
    node.signal("TERM");
    node.signal("TERM");
    node.ended(SOON);
    assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
}
