//! Many viewers, and more than one node.

use std::thread;

use crate::config::{FPS, demo};
use crate::node::Node;
use crate::pushing::assert_even;
use crate::wait::{alone, beside_others};
use crate::wire::Wire;

#[test]
fn twenty_viewers_all_get_every_picture() {
    let _turn = alone();
    let node = Node::start(&demo());
    let port = node.rtmp_port();
    let viewer = move || assert_even(&mut Wire::play(port, "demo"), 4 * FPS);
    let viewers: Vec<_> = (0..20).map(|_| thread::spawn(viewer)).collect();
    for viewer in viewers {
        viewer.join().unwrap();
    }
    assert!(node.metric("rtmp_viewer_drops_total", &[]) < 0.5, "somebody lost pictures");
}

#[test]
fn two_nodes_share_a_machine() {
    let _turn = beside_others();
    let nodes = [Node::start(&demo()), Node::start(&demo())];
    for node in &nodes {
        assert_even(&mut Wire::play(node.rtmp_port(), "demo"), 2 * FPS);
    }
    assert_ne!(nodes[0].key(), nodes[1].key(), "each node has keys of its own");
}
