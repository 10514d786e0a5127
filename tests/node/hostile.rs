//! Peers that break off, send nonsense or do only half of what others do.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::config::demo;
use crate::node::Node;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{AUDIO, Message, VIDEO, Wire};

/// Ends a connection as a crash does: with a reset.
fn reset(socket: &TcpStream) {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

#[test]
fn peers_that_vanish_in_any_state_leave_the_node_as_it_was() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let key = format!("studio?key={}", node.key());
    for said in [&[][..], &[3], &[3; 1_000], &[3; 1_537], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4_000]]
    {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // The node may have closed already.
        drop(socket.write_all(said));
        reset(&socket);
    }
    for state in 0..6 {
        let (mut wire, id) = match state {
            0 => (Wire::open(port), 0),
            _ => Wire::stream(port),
        };
        match state {
            2 => drop(wire.publish(id, "studio?key=wrong")),
            3 => drop(wire.publish(id, &key)),
            4 => {
                wire.publish(id, &key);
                wire.send(VIDEO, id, 0, &[0x17; 100_000]).unwrap();
                wire.send_part(VIDEO, id, 5_000).unwrap();
            }
            5 => {
                wire = Wire::play(port, "demo");
                wire.find("a picture", Message::is_picture);
            }
            _ => {}
        }
        reset(wire.socket());
        // A name that is still taken is free at once, because the reset has told.
        drop(wire);
        wait_until(SOON, "the node lets go of it", || {
            (node.metric("rtmp_active_streams", &[]) <= 1.0).then_some(())
        });
    }
    let mut viewer = Wire::play(port, "demo");
    viewer.find("a picture", Message::is_key);
    let panics = node.metric("rtmp_errors_total", &["kind=\"panic\""]);
    assert!(panics < 1.0, "{panics} tasks panicked");
}

#[test]
fn audio_alone_is_a_stream_and_pictures_may_come_later() {
    let _turn = beside_others();
    let node = Node::start(&demo());
    let (mut publisher, id) = Wire::stream(node.rtmp_port());
    publisher.publish(id, &format!("studio?key={}", node.key()));
    publisher.send(AUDIO, id, 0, &[0xaf, 0, 0x12, 0x10]).unwrap();
    let mut viewer = Wire::play(node.rtmp_port(), "studio");
    viewer.find("the header", Message::is_audio_header);
    for time in 0..50 {
        publisher.send(AUDIO, id, time * 20, &[0xaf, 1, 0x21]).unwrap();
    }
    for _ in 0..20 {
        viewer.find("audio", |message| message.kind == AUDIO && message.body[1] == 1);
    }
    // Empty configurations, data that is no data, and pictures nobody announced.
    for (kind, body) in [
        (AUDIO, &[0xaf, 0][..]),
        (VIDEO, &[0x17, 0, 0, 0, 0]),
        (18, &[0xaf, 1, 2]),
        (VIDEO, &[0x27, 1, 0, 0, 0, 9]),
    ] {
        publisher.send(kind, id, 1_000, body).unwrap();
    }
    publisher.send(AUDIO, id, 1_020, &[0xaf, 1, 0x22]).unwrap();
    viewer.find("the last audio", |message| message.body == [0xaf, 1, 0x22]);
}
