//! Two publishers of one name, and one that comes back.

use crate::config::Config;
use crate::keyring::{ended, key_picture, publisher};
use crate::node::Node;
use crate::redis::Redis;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, USER_CONTROL, VIDEO, Wire};

/// A sequence header with this mark.
pub(crate) fn header(mark: u8) -> Vec<u8> {
    vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, mark]
}

/// Publishes a header and two pictures with this mark.
fn publish(wire: &mut Wire, stream: u32, mark: u8) {
    wire.send(VIDEO, stream, 0, &header(mark)).unwrap();
    wire.send(VIDEO, stream, 0, &key_picture(mark)).unwrap();
    wire.send(VIDEO, stream, 40, &key_picture(mark)).unwrap();
}

/// What a viewer sees of the second publisher: its header first, later times, and no end between.
fn assert_goes_on(viewer: &mut Wire, before: &Message, mark: u8) {
    let mut header_seen = false;
    loop {
        let message = viewer.next().expect("the stream goes on");
        assert!(message.status().is_none(), "an end in between: {:?}", message.status());
        let is_eof = message.kind == USER_CONTROL && message.body.starts_with(&[0, 1]);
        assert!(!is_eof, "the end of the stream in between");
        header_seen |= message.is_video_header() && message.body == header(mark);
        if message.is_key() && message.body[5] == mark {
            assert!(header_seen, "a picture before its header");
            assert!(message.time >= before.time, "{} after {}", message.time, before.time);
            return;
        }
    }
}

fn marked(mark: u8) -> impl Fn(&Message) -> bool {
    move |message| message.is_key() && message.body[5] == mark && message.time > 0
}

#[test]
fn a_publisher_that_comes_back_goes_on_for_its_viewers_with_its_new_header() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    let (mut wire, stream) = publisher(&node, &key);
    publish(&mut wire, stream, 1);
    let mut viewer = Wire::play(node.rtmp_port(), "studio");
    let before = viewer.find("the first publisher", marked(1));
    drop(wire);
    let (mut wire, stream) = wait_until(SOON, "it may come back", || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        (wire.publish(stream, &key)[0] == "NetStream.Publish.Start").then_some((wire, stream))
    });
    publish(&mut wire, stream, 2);
    assert_goes_on(&mut viewer, &before, 2);
}

#[test]
fn a_key_that_takes_over_ends_who_publishes_and_the_viewers_stay() {
    let _turn = beside_others();
    let redis = Redis::start();
    let node = Node::start(&Config::new().more(&redis.table()));
    let (_, key) = redis.create("--stream live/a --takeover");
    let (mut first, stream) = publisher(&node, &key);
    publish(&mut first, stream, 1);
    let mut viewer = Wire::play(node.rtmp_port(), "a");
    let before = viewer.find("the first publisher", marked(1));
    let (mut second, stream) = publisher(&node, &key);
    let [code, description] = ended(&mut first);
    assert_eq!(code, "NetStream.Publish.BadName", "{description}");
    publish(&mut second, stream, 2);
    assert_goes_on(&mut viewer, &before, 2);
}

#[test]
fn a_silent_publisher_loses_its_place_and_a_lively_one_does_not() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let key = node.key();
    let (mut first, stream) = publisher(&node, &key);
    first.send(VIDEO, stream, 0, &header(1)).unwrap();
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(wire.publish(stream, &key)[0], "NetStream.Publish.BadName");
    wait_until(SOON, "the silent one has lost its place", || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        (wire.publish(stream, &key)[0] == "NetStream.Publish.Start").then_some(())
    });
    assert_eq!(ended(&mut first)[0], "NetStream.Publish.BadName");
}
