//! A node needs no rights: it runs as a user who owns nothing but its data directory.

use crate::config::demo;
use crate::node::{NOBODY, Node, is_root};
use crate::pairs::ffmpeg_publishes;
use crate::recording::Recording;
use crate::wait::beside_others;

#[test]
fn a_node_of_an_unprivileged_user_composes_takes_publishers_and_is_played() {
    let _turn = beside_others();
    let node = Node::start_as_nobody(&demo());
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.program().id())).unwrap();
    let fact = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    if is_root() {
        assert_eq!(fact("Uid:"), [&*NOBODY.to_string(); 4]);
    }
    assert_ne!(fact("Uid:")[1], "0", "it runs as root");
    let rights = u64::from_str_radix(&fact("CapEff:")[0], 16).unwrap();
    assert_eq!(rights, 0, "it has capabilities");

    let demo = node.url("live/demo");
    Recording::of(&demo, 2, node.file("demo.flv")).assert_audio_and_picture(0.5);
    let _publisher = ffmpeg_publishes(&node.publish_url());
    node.wait_for_streams(2);
    let studio = node.url(crate::node::STUDIO);
    Recording::of(&studio, 2, node.file("studio.flv")).assert_audio_and_picture(0.5);
    assert!(node.file("data").read_dir().unwrap().next().is_some(), "no keys were kept");
}
