//! Stream keys: who may publish with them, and where they are not to be read.

use crate::config::{Config, demo};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{USER_CONTROL, Wire};

/// As long as a key, and none.
const WRONG: &str = "00000000000000000000000000000000000000000000000000000000deadbeef";

#[test]
fn a_wrong_key_is_refused_before_any_start() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    for name in [format!("studio?key={WRONG}"), WRONG.to_owned(), "studio".to_owned()] {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        let [code, level, description] = wire.publish(stream, &name);
        assert_eq!(code, "NetStream.Publish.Denied", "for {name}: {description}");
        assert_eq!(level, "error", "for {name}");
        assert!(!description.is_empty() && !description.contains(WRONG), "{description}");
        while let Some(message) = wire.next() {
            assert!(message.status().is_none(), "after the refusal: {message:?}");
            assert_eq!(message.kind, USER_CONTROL, "after the refusal: {message:?}");
        }
    }
    assert!(node.metric("rtmp_active_streams", &[]) < 0.5, "a refused stream is live");
}

#[test]
fn ffmpeg_shows_why_it_was_refused() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let url = format!("{}?key={WRONG}", node.url(STUDIO));
    let refused = ffmpeg_publishes(&url).ended(SOON);
    assert!(!refused.status.success(), "ffmpeg took the refusal for a success");
    assert!(refused.err.contains("Server error: "), "{}", refused.err);
}

#[test]
fn the_right_key_is_accepted_in_both_forms() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    for name in [format!("studio?key={key}"), key] {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        let [code, _, description] = wire.publish(stream, &name);
        assert_eq!(code, "NetStream.Publish.Start", "{description}");
        drop(wire);
        wait_until(SOON, "the publisher is gone", || {
            (node.metric("rtmp_connections", &[]) < 0.5).then_some(())
        });
    }
}

/// Publishes under this name and gives the answer's description, once the place is free again.
fn published(node: &Node, name: &str) -> String {
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let [code, _, description] = wire.publish(stream, name);
    assert_eq!(code, "NetStream.Publish.Start", "{description}");
    drop(wire);
    wait_until(SOON, "the publisher is gone", || {
        (node.metric("rtmp_connections", &[]) < 0.5).then_some(())
    });
    description
}

#[test]
fn a_key_is_taken_as_people_paste_it() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    for name in [
        format!(" {key}\r\n"),
        format!("{key}%0A"),
        format!("studio/{key}"),
        format!("studio/{key}\n"),
        format!("studio?key={key} "),
        format!("studio?key=%20{key}%0d%0a"),
    ] {
        assert_eq!(published(&node, &name), format!("Publishing as {STUDIO}."));
    }
}

#[test]
fn a_publisher_with_another_name_than_that_of_its_key_is_told_which_it_got() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    for name in [format!("camera?key={key}"), format!("camera/{key}")] {
        let told = published(&node, &name);
        assert!(told.contains(STUDIO) && told.contains("live/camera"), "{told}");
        assert!(!told.contains(&key), "{told}");
    }
}

#[test]
fn the_development_key_outlives_a_restart_and_ends_when_it_is_turned_off() {
    let _turn = beside_others();
    let config = Config::new();
    let node = Node::start(&config);
    let key = node.key();
    let code = |node: &Node| {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        let [code, ..] = wire.publish(stream, &format!("studio?key={key}"));
        code
    };
    let node = node.restarted(&config);
    assert_eq!(node.key(), key, "one per node");
    assert_eq!(code(&node), "NetStream.Publish.Start");
    let off = Config::of(&config, format!("{}[keys]\ndevelopment = false\n", config.text()));
    let node = node.restarted(&off);
    assert_eq!(code(&node), "NetStream.Publish.Denied", "also that of earlier starts is ended");
    let out = node.program().out_text();
    assert!(!out.contains("key="), "{out}");
}

#[test]
fn a_node_that_others_reach_says_that_its_development_key_is_open() {
    let _turn = beside_others();
    let here = Config::new();
    let everywhere = Config::of(&here, here.text().replacen("127.0.0.1", "0.0.0.0", 1));
    for (config, is_told) in [(&here, false), (&everywhere, true)] {
        let node = Node::start(config);
        node.key();
        let out = node.program().out_text();
        assert_eq!(out.contains("open to all who get hold of it"), is_told, "{out}");
    }
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let name = format!("studio?key={}", node.key());
    let (mut first, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(first.publish(stream, &name)[0], "NetStream.Publish.Start");
    let (mut second, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(second.publish(stream, &name)[0], "NetStream.Publish.BadName");
}

#[test]
fn the_key_is_told_once_and_nowhere_else() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let key = node.key();
    let publisher = ffmpeg_publishes(&node.publish_url());
    node.wait_for_streams(2);
    drop(publisher);
    for path in ["/", "/metrics", "/status.json", "/healthz", "/readyz"] {
        assert!(!node.http(path).1.contains(&key), "the key is in {path}");
    }
    wait_until(SOON, "the node tells how it does", || {
        node.program().out_text().contains("fps").then_some(())
    });
    let out = node.program().out_text();
    let rest = out.split_once(&key).map(|(_, rest)| rest).expect("the key in the banner");
    let after_the_paste_line = rest.split_once("\n\n").map_or("", |(_, rest)| rest);
    assert!(!after_the_paste_line.contains(&key), "{after_the_paste_line}");
    assert!(!node.program().err().contains(&key), "the key is in the log");
}
