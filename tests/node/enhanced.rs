//! Enhanced RTMP, logins and redirections, with peers written by hand.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::amf::Amf;
use crate::config::{Config, demo};
use crate::destination::Destination;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{AUDIO, Message, VIDEO, Wire};

/// Sequence header and keyframe of H.265, as OBS sends them; what they hold does not matter here.
const HEVC_HEADER: &[u8] = b"\x90hvc1\x01\x02\x03";
const HEVC_KEY: &[u8] = b"\x91hvc1\x00\x00\x00\x00\x00\x00\x01\x26";

/// A publisher that has negotiated nothing and is on air.
fn publish_hevc(node: &Node) -> (Wire, u32) {
    let (mut wire, id) = Wire::stream(node.rtmp_port());
    let [code, ..] = wire.publish(id, &format!("studio?key={}", node.key()));
    assert_eq!(code, "NetStream.Publish.Start");
    wire.send(VIDEO, id, 0, HEVC_HEADER).unwrap();
    wire.send(VIDEO, id, 0, HEVC_KEY).unwrap();
    (wire, id)
}

/// A player of `live/studio` with these members in addition to the usual.
fn play(node: &Node, name: &str, more: &[(&str, Amf)]) -> Wire {
    let mut wire = Wire::open(node.rtmp_port());
    let mut about = vec![("app".to_owned(), Amf::text("live"))];
    about.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    wire.command(0, &[Amf::text("connect"), Amf::Number(1.0), Amf::Object(about)]);
    wire.command(0, &[Amf::text("createStream"), Amf::Number(2.0), Amf::Null]);
    wire.command(1, &[Amf::text("play"), Amf::Number(0.0), Amf::Null, Amf::text(name)]);
    wire
}

#[test]
fn a_player_that_cannot_take_the_codec_is_told_which_and_others_get_the_stream() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let (mut publisher, id) = publish_hevc(&node);
    // Whoever says nothing, or has the codec, gets it as it was sent.
    let list = |name: &str| ("fourCcList", Amf::List(vec![Amf::text(name)]));
    for more in [vec![], vec![list("hvc1")], vec![list("*")]] {
        let mut viewer = play(&node, "studio", &more);
        let header = viewer.find("the header", |message| message.kind == VIDEO);
        assert_eq!(header.body, HEVC_HEADER);
        assert_eq!(viewer.find("the picture", |m| m.kind == VIDEO).body, HEVC_KEY);
    }
    let mut viewer = play(&node, "studio", &[list("av01")]);
    let [code, level, description] = viewer.status();
    assert_eq!((code.as_str(), level.as_str()), ("NetStream.Play.Failed", "error"));
    assert!(description.contains("HEVC"), "{description}");
    let mut other = play(&node, "studio", &[]);
    publisher.send(VIDEO, id, 40, HEVC_KEY).unwrap();
    other.find("what the others are sent", |m| m.kind == VIDEO && m.time == 40);
    viewer.say(0, "createStream", 9.0, &[]);
    assert_eq!(viewer.until_result(9.0).len(), 0, "nothing follows a refusal");
}

#[test]
fn other_tracks_pass_through_and_do_not_stand_in_for_the_first() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let (mut publisher, id) = publish_hevc(&node);
    let mut viewer = play(&node, "studio", &[]);
    viewer.find("a picture", |message| message.body == HEVC_KEY);
    // One track: number 1 of AV1, its header and a keyframe of it; and a second audio.
    let header = b"\x96\x00av01\x01\x81\x00".as_slice();
    let key = b"\x96\x01av01\x01\x0a\x0b".as_slice();
    let audio = b"\x95\x01Opus\x01\xfc".as_slice();
    for (kind, body) in [(VIDEO, header), (VIDEO, key), (AUDIO, audio)] {
        publisher.send(kind, id, 40, body).unwrap();
        // Of the audio, which has no header, one is made first.
        viewer.find("the track", |message| message.kind == kind && message.body == body);
    }
    let mut late = play(&node, "studio", &[]);
    let first = late.find("the header", |message| message.kind == VIDEO);
    assert_eq!(first.body, HEVC_HEADER, "a late viewer starts with the first track");
}

#[test]
fn peers_that_understand_it_are_asked_to_come_back_when_the_node_stops() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut viewer = play(&node, "demo", &[("capsEx", Amf::Number(1.0))]);
    viewer.find("a picture", Message::is_picture);
    node.signal("TERM");
    let mut codes = Vec::new();
    while let Some(message) = viewer.next() {
        codes.extend(message.status().map(|[code, ..]| (message.stream, code)));
    }
    let request = (0, "NetConnection.Connect.ReconnectRequest".to_owned());
    assert_eq!(codes.last(), Some(&request), "{codes:?}");
    assert!(!codes.iter().any(|(_, code)| code.contains("Unpublish")), "{codes:?}");
    node.ended(SOON);
}

/// Refuses each `connect` with the next of these, and keeps the applications that were asked for.
fn refuse(answers: Vec<Amf>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let apps = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&apps);
    thread::spawn(move || {
        for (socket, info) in listener.incoming().zip(answers) {
            let Ok(mut wire) = Wire::accept(socket.unwrap()) else { return };
            let connect = wire.find("connect", |message| message.command() == "connect").values();
            kept.lock().unwrap().push(connect[2].field("app").as_text().to_owned());
            wire.command(0, &[Amf::text("_error"), connect[1].clone(), Amf::Null, info]);
            while wire.next().is_some() {}
        }
    });
    (port, apps)
}

fn rejected(description: &str) -> Amf {
    Amf::object(&[
        ("level", "error"),
        ("code", "NetConnection.Connect.Rejected"),
        ("description", description),
    ])
}

#[test]
fn an_output_logs_in_where_it_is_asked_to_and_goes_where_it_is_sent() {
    let _turn = beside_others();
    let there = Destination::start();
    let (tc_url, _) =
        there.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let Amf::Object(mut moved) = rejected("RTMP 302 Redirect") else { unreachable!() };
    let ex =
        vec![("code".to_owned(), Amf::Number(302.0)), ("redirect".to_owned(), Amf::text(&tc_url))];
    moved.push(("ex".to_owned(), Amf::Object(ex)));
    let (port, apps) = refuse(vec![
        rejected("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "),
        rejected(
            "[ AccessManager.Reject ] : [ authmod=adobe ] : \
             ?reason=needauth&user=bob&salt=SALT&challenge=CHAL&opaque=OPAQ",
        ),
        Amf::Object(moved),
    ]);
    let url = format!("rtmp://bob:pass%40word@127.0.0.1:{port}/app/secret-name");
    let node = Node::start(&demo().output("cdn", &url));
    let messages = wait_until(SOON, "the programme is pushed", || {
        let messages = there.messages();
        messages.iter().any(Message::is_key).then_some(messages)
    });
    let publish = messages.iter().find(|message| message.command() == "publish").unwrap();
    assert_eq!(publish.values()[3].as_text(), "secret-name");
    let apps = apps.lock().unwrap().clone();
    assert_eq!(apps[..2], ["app", "app?authmod=adobe&user=bob"]);
    assert!(apps[2].starts_with("app?authmod=adobe&user=bob&challenge="), "{apps:?}");
    assert!(apps[2].contains("&response=") && apps[2].ends_with("&opaque=OPAQ"), "{apps:?}");
    assert!(node.metric("output_failures_total", &["output=\"cdn\""]) < 1.0, "without waiting");
    node.signal("TERM");
    let ended = node.ended(SOON);
    for secret in ["pass@word", "pass%40word", "secret-name", "response="] {
        let out = String::from_utf8_lossy(&ended.out);
        assert!(!ended.err.contains(secret) && !out.contains(secret), "{secret} is shown");
    }
}
