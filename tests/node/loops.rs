//! Relays in a ring: a stream ends everywhere with its publisher.

use crate::config::Config;
use crate::destination::Destination;
use crate::keyring::{ended, key_picture, publisher};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::pairs::ffmpeg_publishes;
use crate::takeover::header;
use crate::wait::{SOON, beside_others, free_port, wait_until};
use crate::wire::{AUDIO, Message, USER_CONTROL, VIDEO, Wire};

const SHOW: &str = "live/show";

/// A node at which anybody may publish, and whose viewers wait a second for a publisher.
fn open() -> Config {
    Config::new().publish_open().rtmp("grace = 1")
}

fn at(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/{SHOW}")
}

/// So many nodes, each of which pulls from the next one and the last from the first.
fn ring_of_pulls(count: usize, more: &str) -> Vec<Node> {
    let configs: Vec<_> = (0..count).map(|_| open()).collect();
    let ports: Vec<_> = configs.iter().map(|config| config.rtmp).collect();
    let pulls = configs.into_iter().enumerate();
    let pulls = pulls.map(|(n, config)| config.pull(SHOW, &at(ports[(n + 1) % count]), more));
    pulls.map(|config| Node::start(&config)).collect()
}

/// So many nodes, each of which pushes to the next one and the last to the first.
fn ring_of_pushes(count: usize) -> Vec<Node> {
    let configs: Vec<_> = (0..count).map(|_| open()).collect();
    let ports: Vec<_> = configs.iter().map(|config| config.rtmp).collect();
    let pushes = configs.into_iter().enumerate();
    let pushes = pushes.map(|(n, config)| config.push(SHOW, &at(ports[(n + 1) % count]), ""));
    pushes.map(|config| Node::start(&config)).collect()
}

/// The end of what a viewer sees, and that until then nothing is seen twice.
fn assert_ends(viewer: &mut Wire) {
    let mut newest = 0;
    while let Some(message) = viewer.next() {
        if matches!(message.kind, AUDIO | VIDEO) && message.time > 0 {
            assert!(message.time + 1_000 > newest, "{} after {newest}", message.time);
            newest = newest.max(message.time);
        }
        if message.kind == USER_CONTROL && message.body.starts_with(&[0, 1]) {
            return;
        }
    }
}

/// Nobody has the stream any more, and nothing flows.
fn assert_over(nodes: &[Node]) {
    for node in nodes {
        wait_until(SOON, "the stream ends", || {
            (node.metric("rtmp_active_streams", &[]) < 0.5).then_some(())
        });
    }
}

/// Publishes at node `first`, plays at all, and ends; then the same at the last node.
fn play_and_end(nodes: &[Node]) {
    for node in [&nodes[0], &nodes[nodes.len() - 1]] {
        let publisher = wait_until(SOON, "the name is free", || {
            let mut publisher = ffmpeg_publishes(&node.url(SHOW));
            wait_until(SOON, "it publishes or is refused", || {
                let publishes = node.metric("rtmp_active_streams", &[]) > 0.5;
                (publishes || !publisher.runs()).then_some(())
            });
            publisher.runs().then_some(publisher)
        });
        let mut viewers: Vec<_> = nodes.iter().map(viewer).collect();
        drop(publisher);
        viewers.iter_mut().for_each(assert_ends);
        assert_over(nodes);
    }
}

/// A viewer that sees pictures. The stream may have to come from elsewhere first.
fn viewer(node: &Node) -> Wire {
    wait_until(SOON, "the stream is there", || {
        let mut viewer = Wire::play(node.rtmp_port(), "show");
        while let Some(message) = viewer.next() {
            if message.is_key() {
                return Some(viewer);
            }
        }
        None
    })
}

fn log(node: &Node) -> String {
    node.program().err()
}

#[test]
fn two_nodes_that_pull_from_each_other_lose_the_stream_with_its_publisher() {
    let _turn = beside_others();
    for more in ["", "mode = \"always\""] {
        let nodes = ring_of_pulls(2, more);
        play_and_end(&nodes);
        assert!(
            nodes.iter().all(|node| !log(node).contains("fed itself")),
            "nothing was to be cut"
        );
    }
}

#[test]
fn three_nodes_that_pull_in_a_ring_lose_the_stream_with_its_publisher() {
    let _turn = beside_others();
    play_and_end(&ring_of_pulls(3, "mode = \"always\""));
}

#[test]
fn nodes_that_push_in_a_ring_lose_the_stream_with_its_publisher() {
    let _turn = beside_others();
    for count in [2, 3] {
        play_and_end(&ring_of_pushes(count));
    }
}

#[test]
fn a_push_to_its_own_name_is_refused_with_the_reason() {
    let _turn = beside_others();
    let nodes = ring_of_pushes(1);
    play_and_end(&nodes);
    assert!(log(&nodes[0]).contains("the stream feeds itself"), "{}", log(&nodes[0]));
}

#[test]
fn a_node_and_nginx_that_pull_from_each_other_lose_the_stream_with_its_publisher() {
    let _turn = beside_others();
    let (config, port) = (open(), free_port());
    let pull = format!("pull {} name=show;", at(config.rtmp));
    let nodes = [Node::start(&config.pull(SHOW, &at(port), "mode = \"always\""))];
    let _nginx = Nginx::start_with(port, &pull);
    play_and_end(&nodes);
}

#[test]
fn a_node_and_nginx_that_push_to_each_other_lose_the_stream_with_its_publisher() {
    let _turn = beside_others();
    let (config, port) = (open(), free_port());
    let push = format!("push rtmp://127.0.0.1:{}/live; push_reconnect 2s;", config.rtmp);
    let _nginx = Nginx::start_with(port, &push);
    play_and_end(&[Node::start(&config.push(SHOW, &at(port), ""))]);
}

#[test]
fn a_ring_of_two_nodes_with_nginx_between_them_loses_the_stream_with_its_publisher() {
    let _turn = beside_others();
    let (one, two, port) = (open(), open(), free_port());
    let pull = format!("pull {} name=show static; pull_reconnect 100ms;", at(one.rtmp));
    let always = "mode = \"always\"";
    let two_port = two.rtmp;
    let _nginx = Nginx::start_with(port, &pull);
    let nodes = [
        Node::start(&one.pull(SHOW, &at(two_port), always)),
        Node::start(&two.pull(SHOW, &at(port), always)),
    ];
    play_and_end(&nodes);
}

#[test]
fn what_comes_back_by_a_server_that_says_nothing_is_cut_with_an_event() {
    let _turn = beside_others();
    let destination = Destination::start();
    let node = Node::start(&open().push(SHOW, &destination.url(), ""));
    let first = ffmpeg_publishes(&node.url(SHOW));
    wait_until(SOON, "some seconds are there", || {
        (destination.messages().iter().filter(|message| message.is_picture()).count() > 60)
            .then_some(())
    });
    drop(first);
    // What was sent out comes back, and so does what is sent out for that.
    let (mut echo, stream) = wait_until(SOON, "the name is free", || {
        let (mut echo, stream) = Wire::stream(node.rtmp_port());
        (echo.publish(stream, "show")[0] == "NetStream.Publish.Start").then_some((echo, stream))
    });
    let mut sent = 0;
    wait_until(SOON, "it is cut", || {
        let messages = destination.messages();
        for message in &messages[sent..] {
            if matches!(message.kind, AUDIO | VIDEO) {
                echo.send(message.kind, stream, message.time, &message.body).ok();
            }
        }
        sent = messages.len();
        log(&node).contains("stream live/show fed itself by a ring of relays").then_some(())
    });
    assert_over(&[node]);
}

#[test]
fn a_publisher_that_comes_within_the_grace_and_brings_nothing_does_not_keep_the_stream() {
    let _turn = beside_others();
    let node = Node::start(&open());
    let (mut first, stream) = publisher(&node, "show");
    first.send(VIDEO, stream, 0, &header(1)).unwrap();
    first.send(VIDEO, stream, 0, &key_picture(1)).unwrap();
    let mut viewer = viewer(&node);
    drop(first);
    let (mut mute, stream) = wait_until(SOON, "the name is free", || {
        let (mut mute, stream) = Wire::stream(node.rtmp_port());
        (mute.publish(stream, "show")[0] == "NetStream.Publish.Start").then_some((mute, stream))
    });
    mute.send(VIDEO, stream, 0, &header(1)).unwrap();
    let [_, description] = ended(&mut mute);
    assert!(description.contains("neither picture nor audio"), "{description}");
    assert_ends(&mut viewer);
    let (mut again, stream) = publisher(&node, "show");
    again.send(VIDEO, stream, 0, &header(2)).unwrap();
    again.send(VIDEO, stream, 0, &key_picture(2)).unwrap();
    let mut late = Wire::play(node.rtmp_port(), "show");
    assert_eq!(late.find("the new stream", Message::is_key).body, key_picture(2));
}
