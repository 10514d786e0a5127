//! An afternoon: a conference with two speakers that is pushed to two servers and recorded, and
//! everything that usually goes wrong meanwhile.

use std::path::Path;
use std::time::Duration;
use std::{iter, thread};

use tempfile::TempDir;

use crate::config::{Config, HEIGHT, WIDTH};
use crate::machine::{keep_busy, stall};
use crate::nginx::Nginx;
use crate::node::Node;
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, alone, free_port, wait_until};
use crate::watcher::{Watcher, is_near};
use crate::wire::{Message, Wire};

/// ffmpeg's red and blue as they come out of the programme, near enough.
const RED: [u8; 3] = [72, 96, 240];
const BLUE: [u8; 3] = [36, 240, 114];

/// The middles of the two speakers' boxes.
const LEFT: (usize, usize) = (WIDTH / 4, HEIGHT / 2);
const RIGHT: (usize, usize) = (3 * WIDTH / 4, HEIGHT / 2);

/// What a warning may be about this afternoon: each is something that was done to the node.
const EXPECTED: [&str; 4] = [
    // The machine stood still for three seconds, and was busy for a while:
    // a channel skips ticks, and the loops of cores come late.
    " stalled for ",
    "channel show dropped",
    // One destination was away.
    "output second of channel show failed",
    // Anybody may publish here.
    "publish = \"open\"",
];

fn speaker(node: &Node, name: &str, colour: &str) -> Program {
    let picture = format!("color={colour}:s={WIDTH}x{HEIGHT}:r=30");
    ffmpeg_publishes_picture(&picture, &node.url(&format!("live/{name}")))
}

fn conference(nginx: &[&Nginx; 2], dir: &Path) -> Config {
    let half = WIDTH / 2;
    let seat = |name: &str| format!("stream = \"live/{name}\"\nfit = \"cover\"");
    Config::new()
        .publish_open()
        .channel("show")
        .layer_at("live", [0, 0, half, HEIGHT], &seat("ada"))
        .layer_at("live", [half, 0, half, HEIGHT], &seat("bob"))
        .audio("live", "stream = \"live/ada\"")
        .output("first", &nginx[0].url("show"))
        .output("second", &nginx[1].url("show"))
        .record("live/show", &format!("dir = \"{}\"\nformat = \"mp4\"", dir.display()))
}

fn see(picture: &mut Watcher, what: &str, at: (usize, usize), colour: [u8; 3]) {
    picture.wait_until_at(what, at, |seen| is_near(seen, colour, 14));
}

fn is_live(node: &Node, output: &str) -> Option<()> {
    let name = format!("output=\"{output}\"");
    (node.metric("output_state", &[&name, "state=\"live\""]) > 0.5).then_some(())
}

#[test]
fn an_afternoon_with_two_speakers_is_one_file_and_no_reset_whatever_happens() {
    let _turn = alone();
    let ports = [free_port(), free_port()];
    let first = Nginx::start(ports[0]);
    let second = Nginx::start(ports[1]);
    let dir = TempDir::new().unwrap();
    let node = Node::start(&conference(&[&first, &second], dir.path()));
    let _ada = speaker(&node, "ada", "red");
    let bob = speaker(&node, "bob", "blue");
    for output in ["first", "second"] {
        wait_until(SOON, "the programme is pushed", || is_live(&node, output));
    }
    let mut picture = Watcher::of(&node.url("live/show"));
    see(&mut picture, "the first speaker", LEFT, RED);
    see(&mut picture, "the second speaker", RIGHT, BLUE);
    let mut viewer = Wire::play(node.rtmp_port(), "show");
    viewer.find("a picture", Message::is_key);
    // It watches to the end, whatever happens.
    let viewer = thread::spawn(move || -> Vec<_> {
        let codes = iter::from_fn(|| viewer.next()).filter_map(|message| message.status());
        codes.map(|[code, ..]| code).collect()
    });

    // The machine stands still for three seconds.
    stall(&node, Duration::from_secs(3));

    // One speaker is lost, and comes back.
    drop(bob);
    picture.wait_until_at("the second speaker has left", RIGHT, |seen| !is_near(seen, BLUE, 40));
    let _bob = speaker(&node, "bob", "blue");
    see(&mut picture, "the second speaker is back", RIGHT, BLUE);

    // One destination is lost, and comes back.
    drop(second);
    wait_until(SOON, "the destination is missed", || {
        (node.metric("output_failures_total", &["output=\"second\""]) >= 1.0).then_some(())
    });
    let _second = Nginx::start(ports[1]);
    wait_until(SOON, "it is pushed again", || is_live(&node, "second"));

    // Something else takes the machine: the encoder is late.
    keep_busy(Duration::from_secs(10));
    see(&mut picture, "the first speaker, still", LEFT, RED);

    // The other destination has had one connection all the time.
    assert_eq!(first.log().matches("publish: name='show'").count(), 1, "{}", first.log());
    assert!(node.metric("output_failures_total", &["output=\"first\""]) < 0.5);
    let unexplained: Vec<_> = node
        .program()
        .err()
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .filter(|line| !EXPECTED.iter().any(|known| line.contains(known)))
        .map(str::to_owned)
        .collect();
    assert_eq!(unexplained, Vec::<String>::new());

    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
    assert_eq!(viewer.join().unwrap(), ["NetStream.Play.UnpublishNotify"]);
    let files: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("one file: {files:?}") };
    let recording = Recording::at(file.clone());
    let packets = recording.packets();
    assert!(packets.iter().any(|it| it.is_video) && packets.iter().any(|it| !it.is_video));
    for is_video in [true, false] {
        let times: Vec<_> =
            packets.iter().filter(|it| it.is_video == is_video).map(|it| it.dts).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "times of a track rise");
    }
}
