//! Playback commands of players, and bursts of publishers.

use std::io::Write;

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::hook_server::{HookServer, Reply, fine};
use crate::node::Node;
use crate::wait::beside_others;
use crate::wire::{AUDIO, Message, VIDEO, Wire};

/// What comes until a status with this code, that not included.
fn until_status(wire: &mut Wire, code: &str) -> Vec<Message> {
    let mut seen = Vec::new();
    loop {
        let message = wire.next().unwrap_or_else(|| panic!("closed before {code}"));
        if message.status().is_some_and(|[found, ..]| found == code) {
            return seen;
        }
        seen.push(message);
    }
}

fn count(messages: &[Message], kind: u8) -> usize {
    messages.iter().filter(|message| message.kind == kind).count()
}

/// Lets the programme go on, as another viewer sees it, up to a keyframe after this time; its time.
fn key_after(other: &mut Wire, time: u32) -> u32 {
    other.find("a keyframe", |message| message.is_key() && message.time > time).time
}

fn newest(messages: &[Message]) -> u32 {
    messages.iter().map(|message| message.time).max().unwrap_or(0)
}

#[test]
fn a_paused_player_is_sent_nothing_and_goes_on_at_the_newest_keyframe() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut other = Wire::play(node.rtmp_port(), "demo");
    let mut player = Wire::play(node.rtmp_port(), "demo");
    let begun = player.find("a picture", Message::is_picture).time;
    player.say(1, "pause", 0.0, &[Amf::Bool(true), Amf::Number(0.0)]);
    let before = until_status(&mut player, "NetStream.Pause.Notify");
    let since = key_after(&mut other, newest(&before).max(begun));
    player.say(1, "pause", 0.0, &[Amf::Bool(false), Amf::Number(0.0)]);
    let meanwhile = until_status(&mut player, "NetStream.Unpause.Notify");
    assert_eq!((count(&meanwhile, VIDEO), count(&meanwhile, AUDIO)), (0, 0), "{meanwhile:?}");
    let first = player.find("a picture", Message::is_picture);
    assert!(first.is_key() && first.time >= since, "{} after {since}", first.time);
    player.say(1, "seek", 0.0, &[Amf::Number(0.0)]);
    until_status(&mut player, "NetStream.Seek.Notify");
    assert!(player.find("a picture", Message::is_picture).is_key());
}

#[test]
fn a_player_does_without_audio_or_pictures_for_as_long_as_it_likes() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut other = Wire::play(node.rtmp_port(), "demo");
    let mut player = Wire::play(node.rtmp_port(), "demo");
    let mut seen = player.find("a picture", Message::is_picture).time;
    for (name, kind, is_header) in [
        ("receiveVideo", VIDEO, Message::is_video_header as fn(&Message) -> bool),
        ("receiveAudio", AUDIO, Message::is_audio_header),
    ] {
        player.say(1, name, 0.0, &[Amf::Bool(false)]);
        player.say(1, "getStreamLength", 9.0, &[Amf::text("demo")]);
        let before = player.until_result(9.0);
        key_after(&mut other, newest(&before).max(seen));
        player.say(1, name, 0.0, &[Amf::Bool(true)]);
        let meanwhile = until_status(&mut player, "NetStream.Seek.Notify");
        let others = count(&meanwhile, VIDEO) + count(&meanwhile, AUDIO);
        assert!(count(&meanwhile, kind) == 0 && others > 0, "{name}");
        until_status(&mut player, "NetStream.Play.Start");
        let first = player.find("what it left out", |message| message.kind == kind);
        assert!(is_header(&first), "{name}: {first:?}");
        let next = player.find("what follows", |message| message.kind == kind);
        assert!(kind == AUDIO || next.is_key(), "{name}: {next:?}");
        seen = next.time;
    }
}

#[test]
fn further_requests_on_a_connection_are_met_or_refused_by_themselves() {
    let _turn = beside_others();
    let node = Node::start(&demo().publish_open());
    let mut player = Wire::play(node.rtmp_port(), "demo");
    player.find("a picture", Message::is_picture);
    // The same message stream: it plays anew, or something else.
    player.say(1, "play", 0.0, &[Amf::text("demo")]);
    until_status(&mut player, "NetStream.Play.Start");
    assert!(player.find("a picture", Message::is_picture).is_key());
    // Another one.
    player.say(0, "createStream", 10.0, &[]);
    player.until_result(10.0);
    player.say(2, "play", 0.0, &[Amf::text("demo")]);
    until_status(&mut player, "NetStream.Play.Failed");
    player.find("a picture", |message| message.is_picture() && message.stream == 1);
    player.say(1, "closeStream", 0.0, &[]);
    player.say(2, "play", 0.0, &[Amf::text("demo")]);
    until_status(&mut player, "NetStream.Play.Start");
    player.find("a picture", |message| message.is_key() && message.stream == 2);

    // Beside publishing.
    let (mut publisher, id) = Wire::stream(node.rtmp_port());
    assert_eq!(publisher.publish(id, "chat")[0], "NetStream.Publish.Start");
    publisher.say(id, "play", 0.0, &[Amf::text("demo")]);
    until_status(&mut publisher, "NetStream.Play.Failed");
    let mut viewer = Wire::play(node.rtmp_port(), "chat");
    publisher.send(AUDIO, id, 0, &[0xaf, 0, 0x12, 0x10]).unwrap();
    viewer.find("the audio's header", Message::is_audio_header);
}

#[test]
fn a_player_that_is_refused_a_stream_plays_another_on_its_connection() {
    let _turn = beside_others();
    let server = HookServer::start(|post| match post.text("stream_path") {
        "live/secret" => Reply::Status(403, r#"{"reason": "members only"}"#.to_owned()),
        _ => fine(),
    });
    let node = Node::start(&demo().more(&server.table("members", &["prePlay"], "")));
    let mut player = Wire::play(node.rtmp_port(), "nothing");
    for [name, code, text] in [
        // The first waits for its publisher.
        ["", "NetStream.Play.StreamNotFound", "nobody publishes under this name"],
        ["secret", "NetStream.Play.Failed", "members only"],
        ["a/../b", "NetStream.Play.StreamNotFound", "not allowed"],
    ] {
        if !name.is_empty() {
            player.say(1, "play", 0.0, &[Amf::text(name)]);
        }
        let [found, level, description] = player.status();
        assert_eq!([&*found, &*level], [code, "error"]);
        assert!(description.contains(text), "{name}: {description}");
    }
    for name in ["demo", "nothing", "demo"] {
        player.say(1, "play", 0.0, &[Amf::text(name)]);
        if name == "demo" {
            until_status(&mut player, "NetStream.Play.Start");
            player.find("a picture", Message::is_picture);
        } else {
            until_status(&mut player, "NetStream.Play.StreamNotFound");
        }
    }
}

#[test]
fn a_player_that_is_refused_again_and_again_is_closed() {
    let _turn = beside_others();
    let server = HookServer::start(|_| Reply::Status(403, r#"{"reason": "no"}"#.to_owned()));
    let node = Node::start(&demo().more(&server.table("members", &["prePlay"], "")));
    let mut player = Wire::play(node.rtmp_port(), "demo");
    let mut refused = 0;
    while let Some(message) = player.next() {
        if let Some([code, ..]) = message.status() {
            assert_eq!(code, "NetStream.Play.Failed");
            refused += 1;
            player.say(1, "play", 0.0, &[Amf::text("demo")]);
        }
    }
    assert_eq!(refused, 16);
}

#[test]
fn a_publisher_may_send_thousands_of_messages_in_one_burst() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open());
    let (mut publisher, id) = Wire::stream(node.rtmp_port());
    publisher.publish(id, "burst");
    publisher.send(AUDIO, id, 0, &[0xaf, 0, 0x12, 0x10]).unwrap();
    let mut viewer = Wire::play(node.rtmp_port(), "burst");
    viewer.find("the header", Message::is_audio_header);
    publisher.send(AUDIO, id, 0, &[0xaf, 1]).unwrap();
    // All of it is there when the node looks: each message is a byte of header and its body.
    node.signal("STOP");
    socket2::SockRef::from(publisher.socket()).set_send_buffer_size(1 << 20).unwrap();
    publisher.socket().write_all(&[0xc3, 0xaf, 1].repeat(20_000)).unwrap();
    node.signal("CONT");
    publisher.send(AUDIO, id, 10, &[0xaf, 1, 0x77]).unwrap();
    viewer.find("what came after the burst", |message| message.body == [0xaf, 1, 0x77]);
}
