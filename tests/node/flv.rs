//! Playing over HTTP and over a WebSocket, from the same port as RTMP.

use std::io::Write;
use std::net::TcpStream;

use crate::config::{Config, demo};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::{Answer, Tag, header_flags, whole_tag};
use crate::wire::Wire;

/// What a WebSocket client adds to its request.
const SOCKET: &str = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";

fn url(port: u16, stream: &str) -> String {
    format!("http://127.0.0.1:{port}/{stream}.flv")
}

#[test]
fn ffmpeg_and_ffprobe_play_over_http() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let url = url(node.rtmp_port(), "live/demo");
    Recording::of(&url, 2, node.file("http.flv")).assert_audio_and_picture(1.0);
    let about = Program::start("ffprobe", "-v error -show_streams", &[&url]).succeeds(SOON);
    let about = String::from_utf8(about).unwrap();
    assert!(about.contains("codec_name=h264") && about.contains("codec_name=aac"), "{about}");
}

#[test]
fn the_status_port_sends_players_to_the_streams() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let answer = Answer::to(node.http_port(), "GET", "/live/demo.flv?a=b", "Connection: close\n");
    assert_eq!(answer.status, 307);
    let to = format!("{}?a=b", url(node.rtmp_port(), "live/demo"));
    assert_eq!(answer.field("location"), Some(to.as_str()));
    let url = url(node.http_port(), "live/demo");
    Recording::of(&url, 1, node.file("redirected.flv")).assert_audio_and_picture(0.5);
}

#[test]
fn the_status_port_tells_pages_what_the_rtmp_port_does() {
    let _turn = beside_others();
    let own = demo().delivery("cors = \"https://page.example\"");
    for config in [demo(), demo().delivery("cors = \"*\""), own] {
        let node = Node::start(&config);
        for origin in ["http://127.0.0.1:9", "https://page.example", "https://other.example"] {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let more = format!("Origin: {origin}\nConnection: close\n");
                let [here, there] = [node.http_port(), node.rtmp_port()]
                    .map(|port| Answer::to(port, method, "/live/demo.flv", &more));
                for field in [
                    "access-control-allow-origin",
                    "access-control-allow-methods",
                    "access-control-allow-headers",
                    "access-control-max-age",
                    "vary",
                ] {
                    let (here, there) = (here.field(field), there.field(field));
                    assert_eq!(here, there, "{method} {origin}: {field}");
                }
            }
        }
    }
}

#[test]
fn a_published_stream_is_played_over_http_from_a_keyframe() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let _publisher = ffmpeg_publishes(&node.publish_url());
    node.wait_for_streams(1);
    let mut player = Answer::to(node.rtmp_port(), "GET", &format!("/{STUDIO}.flv"), "");
    assert_eq!(player.status, 200, "{}", player.head);
    assert_eq!(player.flv_header(), 5, "audio and picture");
    let mut tags = Vec::new();
    while tags.iter().filter(|tag: &&Tag| tag.is_picture()).count() < 40 {
        tags.push(player.tag().expect("the stream goes on"));
    }
    let first = tags.iter().find(|tag| tag.is_picture()).unwrap();
    assert!(first.is_key(), "the first picture is no keyframe");
    let place = |wanted: &dyn Fn(&Tag) -> bool| tags.iter().position(wanted).unwrap();
    assert!(place(&|tag| tag.kind == 9 && tag.is_header()) < place(&Tag::is_picture));
    assert_eq!(place(&|tag| tag.kind == 18), 0, "metadata comes first");
    let times: Vec<_> = tags.iter().filter(|tag| tag.is_picture()).map(|tag| tag.time).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn the_head_of_a_stream_is_for_browsers_too() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    for method in ["GET", "HEAD"] {
        let page = "Origin: http://127.0.0.1:8080\n";
        let answer = Answer::to(port, method, "/live/demo.flv", page);
        assert_eq!(answer.status, 200, "{method}: {}", answer.head);
        for (name, value) in [
            ("content-type", Some("video/x-flv")),
            ("connection", Some("close")),
            ("cache-control", Some("no-store")),
            ("content-length", None),
            ("transfer-encoding", Some("chunked")),
            ("access-control-allow-origin", Some("http://127.0.0.1:8080")),
        ] {
            assert_eq!(answer.field(name), value, "{method}: {name}");
        }
        if method == "HEAD" {
            assert_eq!(answer.text(), "");
        }
    }
    let other = Answer::to(port, "GET", "/live/demo.flv", "Origin: http://other.example\n");
    assert_eq!((other.status, other.field("access-control-allow-origin")), (200, None));
    let asked = "Origin: http://127.0.0.1\nAccess-Control-Request-Method: GET\n";
    let preflight = Answer::to(port, "OPTIONS", "/live/demo.flv", asked);
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.field("access-control-allow-origin"), Some("http://127.0.0.1"));
}

#[test]
fn every_page_may_play_if_the_configuration_says_so() {
    let _turn = beside_others();
    let node = Node::start(&demo().delivery("cors = \"*\""));
    let page = "Origin: http://other.example\n";
    let answer = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv", page);
    assert_eq!(answer.field("access-control-allow-origin"), Some("*"));
}

#[test]
fn what_is_no_stream_is_refused() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let head = format!("{SOCKET}Origin: http://other.example\n");
    for (method, path, more, status) in [
        ("GET", "/", "", 404),
        ("GET", "/live/demo", "", 404),
        ("GET", "/live/../demo.flv", "", 404),
        ("GET", "/live/nobody.flv", "", 404),
        ("POST", "/live/demo.flv", "", 405),
        ("DELETE", "/live/demo.flv", "", 405),
        ("GET", "/live/demo.flv", "Content-Length: 1\n", 400),
        ("GET", "/live/demo.flv", head.as_str(), 403),
    ] {
        let answer = Answer::to(port, method, path, more);
        assert_eq!(answer.status, status, "{method} {path} {more}");
        assert!(!answer.text().is_empty(), "{method} {path} {more}");
    }
    let large = format!("GET /live/demo.flv HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9_000));
    let answer = Answer::to_bytes(port, large.as_bytes());
    assert_eq!(answer.status, 431);
    assert!(answer.text().contains("8 KiB"));
    wait_until(SOON, "all connections are closed", || {
        (node.metric("rtmp_connections", &[]) < 0.5).then_some(())
    });
}

#[test]
fn who_sends_no_whole_request_is_closed() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().rtmp("handshake_timeout = 1"));
    let answer = Answer::to_bytes(node.rtmp_port(), b"GET /live/demo.flv HTTP/1.1\r\nHost: a");
    assert_eq!(answer.status, 408);
}

#[test]
fn a_player_that_comes_first_waits_for_its_publisher() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let mut player = TcpStream::connect(("127.0.0.1", node.rtmp_port())).unwrap();
    write!(player, "GET /{STUDIO}.flv HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until(SOON, "the player is there", || {
        (node.metric("rtmp_connections", &[]) > 0.5).then_some(())
    });
    let (mut publisher, stream) = Wire::stream(node.rtmp_port());
    let name = format!("studio?key={}", node.key());
    assert_eq!(publisher.publish(stream, &name)[0], "NetStream.Publish.Start");
    player.set_read_timeout(Some(SOON)).unwrap();
    let mut start = [0; 15];
    std::io::Read::read_exact(&mut player, &mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
}

#[test]
fn a_web_socket_carries_a_stream_that_decodes() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let mut player = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv", SOCKET);
    assert_eq!(player.status, 101, "{}", player.head);
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_ascii_lowercase();
    assert_eq!(player.field("sec-websocket-accept"), Some(accept.as_str()));
    player.say(0x89, b"are you there");
    player.say(0x81, b"{\"never\": \"mind\"}");
    let (mut file, mut pictures, mut pong) = (Vec::new(), 0, None);
    while pictures < 60 || pong.is_none() {
        match player.frame().expect("the stream goes on") {
            (0x82, header) if file.is_empty() => {
                assert_eq!(header_flags(&header), 5);
                file.extend(header);
            }
            (0x82, tag) => {
                pictures += u32::from(whole_tag(&tag).is_picture());
                file.extend(tag);
            }
            (0x8a, text) => pong = Some(text),
            (other, _) => panic!("a frame {other:#x}"),
        }
    }
    assert_eq!(pong.as_deref(), Some(&b"are you there"[..]));
    let name = node.file("socket.flv");
    std::fs::write(&name, file).unwrap();
    Recording::at(name).assert_audio_and_picture(1.0);
    player.say(0x88, &[0x03, 0xe9]);
    let last = std::iter::from_fn(|| player.frame()).last();
    assert_eq!(last, Some((0x88, vec![0x03, 0xe9])), "closed as it asked");
}

#[test]
fn the_end_of_the_node_is_the_end_of_the_file() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let mut file = Answer::to(port, "GET", "/live/demo.flv", "");
    let mut socket = Answer::to(port, "GET", "/live/demo.flv", SOCKET);
    assert_eq!(file.flv_header(), 5);
    assert!(socket.frame().is_some() && file.tag().is_some());
    node.signal("TERM");
    let tags = std::iter::from_fn(|| file.tag()).count();
    let last = std::iter::from_fn(|| socket.frame()).last();
    assert!(tags > 0 && file.body.is_over(), "whole tags to the end, and an end");
    assert_eq!(last, Some((0x88, vec![0x03, 0xe8])));
}

#[test]
fn viewers_that_start_live_get_a_keyframe_made_for_them() {
    let _turn = beside_others();
    let node = Node::start(&demo().delivery("start = \"live\""));
    let mut early = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv", "");
    early.flv_header();
    // Keyframes are two seconds apart; half a second after one, the next one would be far.
    let find = |player: &mut Answer, wanted: &dyn Fn(&Tag) -> bool| loop {
        let tag = player.tag().expect("the stream goes on");
        if wanted(&tag) {
            return tag;
        }
    };
    let key = find(&mut early, &Tag::is_key);
    let second = find(&mut early, &|tag| tag.is_key() && tag.time > key.time);
    let now = find(&mut early, &|tag| tag.time >= second.time + 1_000);
    let mut late = Answer::to(node.rtmp_port(), "GET", "/live/demo.flv", "");
    late.flv_header();
    let is_audio = |tag: &Tag| tag.kind == 8 && !tag.is_header();
    // Whichever comes first.
    let first = find(&mut late, &|tag| is_audio(tag) || tag.is_picture());
    let (audio, picture) = match first.is_picture() {
        true => (find(&mut late, &is_audio), first),
        false => (first, find(&mut late, &Tag::is_picture)),
    };
    assert!(audio.time + 200 >= now.time, "nothing of the past: {} {}", audio.time, now.time);
    assert!(picture.is_key(), "the first picture is no keyframe");
    let waited = picture.time.saturating_sub(audio.time);
    assert!(waited < 700, "the keyframe came {waited} ms after the viewer");
}
