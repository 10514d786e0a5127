//! Limits of a node, of all peers and of each; and the words for those beyond.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::config::Config;
use crate::keyring::key_picture;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::Answer;
use crate::wire::{Message, VIDEO, Wire};

/// A node on which anybody may publish, with these lines in `[limits]`.
fn open_node(limits: &str) -> Node {
    Node::start(&open(limits))
}

fn open(limits: &str) -> Config {
    Config::new().publish_open().more(&format!("[limits]\n{limits}\n"))
}

/// A publisher of `live/NAME` that has sent a second of one keyframe of 10 000 bytes each 100 ms:
/// 880 kb/s.
fn publishes(node: &Node, name: &str) -> Wire {
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    let [code, _, description] = wire.publish(stream, name);
    assert_eq!(code, "NetStream.Publish.Start", "{description}");
    let mut picture = key_picture(1);
    picture.resize(10_000, 0);
    for time in (0..=1_000).step_by(100) {
        wire.send(VIDEO, stream, time, &picture).unwrap();
    }
    wire
}

/// A viewer that gets the picture.
fn watches(node: &Node, name: &str) -> Wire {
    let mut viewer = Wire::play(node.rtmp_port(), name);
    viewer.find("a picture", Message::is_key);
    viewer
}

/// Code and description of the refusal of a viewer.
fn refused(node: &Node, name: &str) -> [String; 2] {
    let mut viewer = Wire::play(node.rtmp_port(), name);
    let [code, level, description] = viewer.status();
    assert_eq!(level, "error", "{description}");
    [code, description]
}

/// How often a limit was met.
fn met(node: &Node, limit: &str) -> f64 {
    node.metric("rtmp_limits_total", &[&format!("limit=\"{limit}\"")])
}

/// Waits until a limit was met so often.
fn wait_for_met(node: &Node, limit: &str, count: f64) {
    wait_until(SOON, &format!("{limit} is counted"), || {
        (met(node, limit) > count - 0.5).then_some(())
    });
}

#[test]
fn a_viewer_beyond_the_egress_limit_is_refused_until_there_is_room() {
    let _turn = beside_others();
    let node = open_node("egress_max_bps = 2000000");
    let _publisher = publishes(&node, "show");
    let viewers = [(); 2].map(|()| watches(&node, "show"));
    let [code, description] = refused(&node, "show");
    assert_eq!(code, "NetStream.Play.Failed", "{description}");
    assert!(description.contains("as much as it may"), "{description}");
    let answer = Answer::to(node.rtmp_port(), "GET", "/live/show.flv", "");
    assert_eq!(answer.status, 503, "{}", answer.head);
    assert!(answer.text().contains("as much as it may"));
    assert!(met(&node, "egress") > 1.5 && met(&node, "connections") < 0.5);
    assert!(node.metric("rtmp_play_attempts_total", &["status=\"limit\""]) > 1.5);
    let promised = node.metric("rtmp_egress_promised_bps", &[]);
    assert!((1.6e6..2e6).contains(&promised), "{promised} bit/s are promised");

    drop(viewers);
    wait_until(SOON, "there is room again", || {
        (node.metric("rtmp_egress_promised_bps", &[]) < 1e6).then_some(())
    });
    watches(&node, "show");
}

/// Whether the node takes a connection and shakes hands on it.
fn is_taken(node: &Node, proxy: &str) -> Option<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", node.rtmp_port())).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let hello = [proxy.as_bytes(), &[3], &[0; 1_536]].concat();
    // One that was closed at once may refuse the bytes, or the reading.
    let answered = socket.write_all(&hello).and_then(|()| socket.read_exact(&mut [0; 1_537]));
    answered.is_ok().then_some(socket)
}

#[test]
fn connections_of_one_address_are_limited_and_those_beyond_are_counted() {
    let _turn = beside_others();
    let node = open_node("connections_per_ip_max = 2");
    let mut held = [(); 2].map(|()| Some(is_taken(&node, "").expect("one of two")));
    assert!(is_taken(&node, "").is_none(), "a third one was taken");
    wait_for_met(&node, "connections_per_ip", 1.0);
    assert!(node.metric("rtmp_connection_attempts_total", &["status=\"refused\""]) > 0.5);
    drop(held[0].take());
    wait_until(SOON, "there is room again", || is_taken(&node, ""));
}

#[test]
fn whom_a_trusted_proxy_speaks_for_is_counted_by_its_own_address() {
    let _turn = beside_others();
    let config = open("connections_per_ip_max = 1").rtmp("trusted_proxies = [\"127.0.0.1\"]");
    let node = Node::start(&config);
    let behind = |address: &str| {
        let family = if address.contains(':') { "TCP6 " } else { "TCP4 " };
        let to = if address.contains(':') { "::1" } else { "127.0.0.1" };
        is_taken(&node, &format!("PROXY {family}{address} {to} 50000 1935\r\n"))
    };
    let _held = [behind("192.0.2.1").unwrap(), behind("192.0.2.2").unwrap()];
    assert!(behind("192.0.2.1").is_none(), "the same address again");
    let _held = behind("2001:db8::1").unwrap();
    assert!(behind("2001:db8::ffff").is_none(), "the same network of 64 bits");
    assert!(behind("2001:db8:0:1::1").is_some());
    wait_for_met(&node, "connections_per_ip", 2.0);
}

#[test]
fn an_address_connects_and_publishes_only_so_often() {
    let _turn = beside_others();
    let node = open_node("connects_per_minute = 2");
    let taken = (0..5).filter(|_| is_taken(&node, "").is_some()).count();
    assert_eq!(taken, 2, "at once; one more in half a minute");
    wait_for_met(&node, "connect_rate", 3.0);

    let node = open_node("publishes_per_minute = 2");
    let answers: Vec<_> = (0..3)
        .map(|n| {
            let (mut wire, stream) = Wire::stream(node.rtmp_port());
            wire.publish(stream, &format!("show-{n}"))
        })
        .collect();
    let codes: Vec<_> = answers.iter().map(|[code, ..]| code.as_str()).collect();
    const START: &str = "NetStream.Publish.Start";
    assert_eq!(codes, [START, START, "NetStream.Publish.Denied"]);
    assert!(answers[2][2].contains("too many attempts"), "{answers:?}");
    assert!(met(&node, "publish_rate") > 0.5);
}

#[test]
fn the_node_takes_only_so_many_connections_in_all() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().publish_open().rtmp("connections_max = 2"));
    let _held = [(); 2].map(|()| is_taken(&node, "").expect("one of two"));
    assert!(is_taken(&node, "").is_none(), "a third one was taken");
    wait_for_met(&node, "connections", 1.0);
}

#[test]
fn who_does_not_get_on_is_ended_and_counted_by_what_it_waited_with() {
    let _turn = beside_others();
    let config = open("idle_timeout = 1\nblocked_timeout = 1").rtmp("handshake_timeout = 1");
    let node = Node::start(&config);
    let mut silent = TcpStream::connect(("127.0.0.1", node.rtmp_port())).unwrap();
    let (mut idle, _) = Wire::stream(node.rtmp_port());
    while idle.next().is_some() {}
    wait_for_met(&node, "idle", 1.0);
    silent.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "a peer that says nothing");
    wait_for_met(&node, "handshake", 1.0);
    assert!(met(&node, "blocked") < 0.5);

    // A viewer that reads nothing while more comes than all buffers between hold.
    let (mut publisher, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(publisher.publish(stream, "show")[0], "NetStream.Publish.Start");
    publisher.send(VIDEO, stream, 0, &key_picture(1)).unwrap();
    let viewer = watches(&node, "show");
    let mut picture = key_picture(2);
    picture.resize(1 << 20, 0);
    let mut time = 0;
    wait_until(SOON, "the viewer that does not read is ended", || {
        time += 40;
        publisher.send(VIDEO, stream, time, &picture).unwrap();
        (met(&node, "blocked") > 0.5).then_some(())
    });
    drop(viewer);
}

#[test]
fn a_message_larger_than_the_buffer_ends_its_publisher() {
    let _turn = beside_others();
    let node = open_node("buffer_bytes_max = 1048576");
    let (mut publisher, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(publisher.publish(stream, "show")[0], "NetStream.Publish.Start");
    let mut picture = key_picture(1);
    picture.resize(3 << 20, 0);
    // The node may close before all of it has been written.
    drop(publisher.send(VIDEO, stream, 0, &picture));
    while publisher.next().is_some() {}
    wait_for_met(&node, "per_connection", 1.0);
}

/// A viewer's socket as `ss` shows it from the node's side.
fn socket_of(node: &Node, viewer: &Wire) -> String {
    let port = viewer.socket().local_addr().unwrap().port();
    let filter = format!("( sport = :{} and dport = :{port} )", node.rtmp_port());
    let shown = std::process::Command::new("ss").args(["-tinH", &filter]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap()
}

#[test]
fn a_viewer_is_sent_no_faster_than_its_pace() {
    let _turn = beside_others();
    let paced = |line: &str| {
        let config = Config::new().publish_open().delivery(line);
        let node = Node::start(&config);
        let publisher = publishes(&node, "show");
        let viewer = watches(&node, "show");
        let shown = wait_until(SOON, "the pace is set", || {
            let shown = socket_of(&node, &viewer);
            // `rate/most`: without a most there is no slash.
            let (_, after) = shown.split_once("pacing_rate ")?;
            after.split_whitespace().next()?.split_once('/').map(|(_, most)| most.to_owned())
        });
        drop((publisher, viewer));
        shown
    };
    assert_eq!(paced("viewer_pace_bps = 8000000"), "8000000bps");
    let most = paced("viewer_pace_percent = 200");
    let most: f64 = most.trim_end_matches("bps").parse().unwrap();
    assert!((1.7e6..2.2e6).contains(&most), "{most} bit/s for a stream of 880 kb/s");
}
