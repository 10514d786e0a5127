//! Publishers that nobody can play well are told of, each once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::events_of;
use crate::config::Config;
use crate::keyring::publisher;
use crate::node::Node;
use crate::wait::{beside_others, wait_until};
use crate::wire::{VIDEO, Wire};

/// Frames per second of the publishers.
const RATE: u32 = 25;

/// They have to be told of within this time: ten seconds, and a busy machine.
const TOLD: Duration = Duration::from_secs(60);

/// How often the node is asked what it has told.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// A publisher by hand.
struct Publisher {
    wire: Wire,
    stream: u32,
    sent: u32,
    /// The body of a picture: of a keyframe, or of another one.
    picture: fn(u32) -> &'static [u8],
    /// What its timestamps count in a second.
    ticks: u32,
}

const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65];
const DELTA: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41];
const VVC: &[u8] = b"\x91vvc1\0\0\0\0\0\0\x01\x26";

fn of_gop(frame: u32, gop: u32) -> &'static [u8] {
    if frame.is_multiple_of(gop) { KEY } else { DELTA }
}

impl Publisher {
    fn new(node: &Node, name: &str, picture: fn(u32) -> &'static [u8], ticks: u32) -> Self {
        let (wire, stream) = publisher(node, name);
        Self { wire, stream, sent: 0, picture, ticks }
    }

    /// Sends what is due after so much time.
    fn send(&mut self, elapsed: Duration) {
        while f64::from(self.sent) < elapsed.as_secs_f64() * f64::from(RATE) {
            let time = u64::from(self.sent) * u64::from(self.ticks) / u64::from(RATE);
            // Three bytes are what the peer of these tests writes.
            let time = u32::try_from(time & 0xff_ffff).unwrap();
            self.wire.send(VIDEO, self.stream, time, (self.picture)(self.sent)).unwrap();
            self.sent += 1;
        }
    }
}

/// The codes of the warnings about each stream, and their texts.
fn warnings(node: &Node) -> BTreeMap<String, Vec<[String; 2]>> {
    let mut told: BTreeMap<String, Vec<[String; 2]>> = BTreeMap::new();
    // None of these publishers sends a sequence header, which is told as well.
    let other = |event: &&Value| event["code"] != "sequence_header";
    for event in events_of(node, "stream_warning").iter().filter(other) {
        let [stream, code, text] =
            ["stream", "code", "text"].map(|key| event[key].as_str().unwrap().to_owned());
        told.entry(stream).or_default().push([code, text]);
    }
    told
}

#[test]
fn publishers_that_nobody_can_play_well_are_told_of_once_each() {
    let _turn = beside_others();
    let live = "stream = \"live/codec\"\nslate = \"\"";
    let node = Node::start(&Config::new().publish_open().channel("demo").layer("live", live));
    let mut publishers = [
        Publisher::new(&node, "good", |frame| of_gop(frame, 2 * RATE), 1_000),
        Publisher::new(&node, "nokey", |_| DELTA, 1_000),
        Publisher::new(&node, "gop", |frame| of_gop(frame, 20 * RATE), 1_000),
        Publisher::new(&node, "unit", |frame| of_gop(frame, RATE), 90_000),
        Publisher::new(&node, "codec", |_| VVC, 1_000),
    ];
    let _silent = publisher(&node, "silence");
    let began = Instant::now();
    let mut asked = Duration::ZERO;
    let told = wait_until(TOLD, "all are told of", || {
        publishers.iter_mut().for_each(|publisher| publisher.send(began.elapsed()));
        // An address may not ask much more often.
        if began.elapsed() < asked + ASK_EVERY {
            return None;
        }
        asked = began.elapsed();
        let told = warnings(&node);
        (told.len() == 5).then_some(told)
    });
    // Time for a second word about any of them.
    let end = began.elapsed() + Duration::from_secs(3);
    wait_until(TOLD, "they go on", || {
        publishers.iter_mut().for_each(|publisher| publisher.send(began.elapsed()));
        (began.elapsed() > end).then_some(())
    });
    assert_eq!(warnings(&node), told, "each is told once");
    for (stream, code, word) in [
        ("live/nokey", "no_keyframe", "keyframe interval to 2 s"),
        ("live/gop", "keyframe_interval", "more than 10 s apart"),
        ("live/unit", "timestamps", "times as fast as the clock"),
        ("live/codec", "codec", "cannot decode its VVC"),
        ("live/silence", "silence", "has sent nothing for 10 s"),
    ] {
        let [[told_code, text]] = &told[stream][..] else { panic!("{stream}: {told:?}") };
        assert_eq!(told_code, code);
        assert!(text.contains(word) && text.contains(stream), "{text}");
        let about = format!("stream {stream}: ");
        let log = node.program().says(&about);
        let lines = log.lines().filter(|line| line.contains("WARN") && line.contains(&about));
        let lines = lines.filter(|line| !line.contains("sequence header"));
        assert_eq!(lines.count(), 1, "{stream} in {log}");
    }
    assert!(!told.contains_key("live/good"));
}
