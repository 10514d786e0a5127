//! Stream headers for late viewers, and the offsets between a stream's tracks.

use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::destination::{Destination, Heard};
use crate::node::Node;
use crate::program::Program;
use crate::publisher::{AAC, AAC_HEADER, AVC_HEADER, INTER, KEY, Publisher};
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use crate::web::{Answer, Tag};
use crate::wire::{AUDIO, DATA, Message, VIDEO, Wire};

const G711: &[u8] = b"\x82\xd5\xd5\xd5";

fn open_node() -> Node {
    Node::start(&Config::new().publish_open())
}

/// The stamps of the pictures and of the blocks of audio among these messages.
fn stamps(messages: &[Message]) -> [Vec<u32>; 2] {
    let of = |wanted: &dyn Fn(&Message) -> bool| {
        messages.iter().filter(|message| wanted(message)).map(|message| message.time).collect()
    };
    [of(&Message::is_picture), of(&|message| message.kind == AUDIO && message.body == AAC)]
}

#[test]
fn offsets_between_audio_and_picture_are_kept_and_cost_no_viewer_a_picture() {
    const PAIRS: u32 = 150;
    let _turn = beside_others();
    let node = open_node();
    for (index, offset) in [-10_000, -3_000, -1_100, 0, 2_500, 10_000].into_iter().enumerate() {
        // The second of a name follows one whose clock was elsewhere.
        let name = format!("apart{}", index % 5);
        let mut viewer = Wire::play(node.rtmp_port(), &name);
        let mut publisher = Publisher::both(&node, &name);
        viewer.find("the headers", Message::is_video_header);
        let mut got = Vec::new();
        for n in 0..PAIRS {
            let time = 500_000 + n * 40;
            publisher.send(VIDEO, time, if n % 50 == 0 { KEY } else { INTER });
            publisher.send(AUDIO, time.wrapping_add_signed(offset), AAC);
        }
        while stamps(&got)[1].len() < PAIRS as usize {
            got.push(viewer.next().expect("the stream goes on"));
        }
        let [pictures, audio] = stamps(&got);
        assert_eq!(pictures.len(), PAIRS as usize, "{offset} ms: pictures are lost");
        let apart: Vec<_> = pictures.iter().zip(&audio).map(|(p, s)| s.wrapping_sub(*p)).collect();
        assert_eq!(apart, vec![offset.cast_unsigned(); PAIRS as usize], "{offset} ms");
    }
}

#[test]
fn nothing_that_described_a_publisher_is_told_of_the_next_one() {
    let _turn = beside_others();
    let there = Destination::start();
    let node = Node::start(&Config::new().publish_open().push("live/next", &there.url(), ""));
    let mut stays = Wire::play(node.rtmp_port(), "next");
    let mut first = Publisher::both(&node, "next");
    first.send(VIDEO, 0, KEY);
    first.send(AUDIO, 0, AAC);
    stays.find("a picture", Message::is_picture);
    wait_until(SOON, "the destination has a picture", || {
        there.messages().iter().any(Message::is_picture).then_some(())
    });
    drop(first);
    let mut next = wait_until(SOON, "the name is free", || {
        let (mut wire, stream) = Wire::stream(node.rtmp_port());
        let is_on_air = wire.publish(stream, "next")[0] == "NetStream.Publish.Start";
        is_on_air.then_some(Publisher { wire, stream })
    });
    next.send(AUDIO, 0, G711);
    let ours = |message: &Message| message.kind == AUDIO && message.body == G711;
    stays.find("the audio of the next", ours);
    let mut late = Wire::play(node.rtmp_port(), "next");
    let mut player = Answer::to(node.rtmp_port(), "GET", "/live/next.flv", "");
    // Both are there, and there is audio for more than a second, so that its tracks are known.
    let mut time = 0;
    let restarted =
        |heard: &[Heard]| heard.iter().filter(|at| matches!(at, Heard::Connected)).count();
    wait_until(SOON, "the destination is told of another stream", || {
        time += 10;
        next.send(AUDIO, time, G711);
        let heard = there.heard();
        let last = heard.iter().rposition(|at| matches!(at, Heard::Connected))?;
        let after = heard[last..].iter().any(|at| matches!(at, Heard::Message(m) if ours(m)));
        (restarted(&heard) == 2 && after).then_some(())
    });
    let heard = there.heard();
    let last = heard.iter().rposition(|at| matches!(at, Heard::Connected)).unwrap();
    let is_video = |at: &Heard| matches!(at, Heard::Message(message) if message.kind == VIDEO);
    assert!(!heard[last..].iter().any(is_video), "the destination has no header of the first");
    let message = late.find("anything of the stream", |m| matches!(m.kind, AUDIO | VIDEO));
    assert!(ours(&message), "{message:?}");
    assert_eq!(player.flv_header(), 4, "audio alone is announced");
    let tag = player.tag().unwrap();
    assert_eq!((tag.kind, &tag.body[..]), (AUDIO, G711));
}

#[test]
fn a_viewer_who_comes_long_after_a_keyframe_starts_at_it_or_has_audio_at_once() {
    let _turn = beside_others();
    let node =
        Node::start(&Config::new().publish_open().delivery("log_seconds = 1\nlog_bytes = 1048576"));
    let mut publisher = Publisher::both(&node, "rare");
    publisher.send(VIDEO, 0, KEY);
    // In the log's own time: it is the arrival that counts.
    let began = std::time::Instant::now();
    let mut time = 0;
    wait_until(SOON, "the log is older than a second", || {
        time += 40;
        publisher.send(VIDEO, time, INTER);
        (began.elapsed() > Duration::from_secs(2)).then_some(())
    });
    let mut late = Wire::play(node.rtmp_port(), "rare");
    let first = late.find("a picture", Message::is_picture);
    assert!(first.is_key() && first.time == 0, "{first:?}");
    let mut player = Answer::to(node.rtmp_port(), "GET", "/live/rare.flv", "");
    assert_eq!(player.flv_header(), 5);
    let first = std::iter::from_fn(|| player.tag()).find(Tag::is_picture).unwrap();
    assert!(first.is_key() && first.time == 0, "{first:?}");
    // Beyond its bytes the keyframe goes.
    let large = [INTER, &[7; 20_000]].concat();
    for _ in 0..100 {
        time += 40;
        publisher.send(VIDEO, time, &large);
    }
    publisher.send(AUDIO, time, AAC);
    late.find("what came after it", |message| message.body == AAC);
    let mut later = Wire::play(node.rtmp_port(), "rare");
    let mut player = Answer::to(node.rtmp_port(), "GET", "/live/rare.flv", "");
    assert_eq!(player.status, 200, "at once");
    later.find("the header", Message::is_video_header);
    publisher.send(AUDIO, time, AAC);
    let first = later.find("a frame", |m| m.is_picture() || m.body == AAC);
    assert_eq!(first.kind, AUDIO);
    publisher.send(VIDEO, time + 40, INTER);
    publisher.send(VIDEO, time + 80, KEY);
    assert_eq!(later.find("a picture", Message::is_picture).time, time + 80);
    assert_eq!(player.flv_header(), 5);
    let first = std::iter::from_fn(|| player.tag()).find(Tag::is_picture).unwrap();
    assert!(first.is_key(), "{first:?}");
}

#[test]
fn late_viewers_get_the_headers_of_many_tracks_and_what_is_said_beside_them() {
    const FURTHER: u8 = 16;
    let _turn = beside_others();
    let node = open_node();
    let mut publisher = Publisher::both(&node, "many");
    let colors = b"\x94avc1\x02\x00\x09colorInfo".as_slice();
    publisher.send(VIDEO, 0, colors);
    let about = b"\x02\x00\x0aonMetaData\x08\0\0\0\x01\0\x05width\0\x40\x94\0\0\0\0\0\0\0\0\x09";
    publisher.send(DATA, 0, about);
    let header = |track| [b"\x96\x00av01", &[track, 0x81, 0][..]].concat();
    let layout = |track| [b"\x95\x04Opus", &[track, 1, 2][..]].concat();
    for track in 1..=FURTHER {
        publisher.send(VIDEO, 0, &header(track));
        publisher.send(AUDIO, 0, &layout(track));
    }
    publisher.send(VIDEO, 0, KEY);
    let mut early = Wire::play(node.rtmp_port(), "many");
    early.find("the picture", Message::is_key);
    let mut late = Wire::play(node.rtmp_port(), "many");
    let mut before = Vec::new();
    loop {
        let message = late.next().expect("the stream");
        if message.is_key() {
            break;
        }
        before.push(message.body);
    }
    let further = (1..=FURTHER).flat_map(|track| [header(track), layout(track)]);
    let main = [AVC_HEADER, AAC_HEADER, colors, about].map(<[u8]>::to_vec);
    let missing: Vec<_> =
        main.into_iter().chain(further).filter(|it| !before.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:x?} of {before:x?}");
}

/// The tags of a file.
fn tags(file: &Path) -> Vec<Tag> {
    let bytes = std::fs::read(file).unwrap();
    let mut rest = &bytes[13..];
    let mut tags = Vec::new();
    while rest.len() > 15 {
        let size = usize::from(rest[1]) << 16 | usize::from(rest[2]) << 8 | usize::from(rest[3]);
        let (tag, after) = rest.split_at(11 + size + 4);
        tags.push(crate::web::whole_tag(tag));
        rest = after;
    }
    tags
}

#[test]
fn who_sends_its_headers_in_band_is_played_and_recorded() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let folder = |format: &str| dir.path().join(format);
    let record = |format| format!("dir = \"{}\"\nformat = \"{format}\"", folder(format).display());
    let config = Config::new().publish_open();
    let config = config.record("live/band", &record("flv")).record("live/band", &record("mp4"));
    let node = Node::start(&config);
    let source = dir.path().join("source.flv");
    let coded = "-v error -f lavfi -i testsrc2=s=320x180:r=30 -t 3 -c:v libx264 -preset ultrafast \
                 -bf 0 -g 30 -bsf:v dump_extra=freq=keyframe";
    Program::start("ffmpeg", coded, &[source.to_str().unwrap()]).succeeds(SOON);
    let mut publisher = Publisher::start(&node, "band");
    let is_header = |tag: &Tag| tag.kind == VIDEO && tag.is_header();
    let tags: Vec<_> = tags(&source).into_iter().filter(|tag| !is_header(tag)).collect();
    for tag in tags.iter().filter(|tag| !(tag.kind == VIDEO && tag.body[1] == 2)) {
        publisher.send(tag.kind, tag.time, &tag.body);
    }
    let mut late = Wire::play(node.rtmp_port(), "band");
    let first = late.find("anything of the picture", |message| message.kind == VIDEO);
    assert!(first.is_video_header(), "{:x?}", &first.body[..8]);
    let end = tags.iter().filter(|tag| tag.is_picture()).map(|tag| tag.time).max().unwrap();
    late.find("the last picture", |message| message.is_picture() && message.time == end);
    drop(publisher);
    node.signal("TERM");
    let ended = node.ended(SOON);
    assert!(!ended.err.contains("sequence header"), "{}", ended.err);
    for format in ["flv", "mp4"] {
        let file = std::fs::read_dir(folder(format)).unwrap().next().expect("a file").unwrap();
        let pictures = Recording::at(file.path()).pictures();
        assert!(pictures.len() >= 80, "{format}: {} pictures", pictures.len());
    }
}

#[test]
fn a_header_that_is_missing_and_cannot_be_made_is_told() {
    let _turn = beside_others();
    let node = open_node();
    let mut publisher = Publisher::start(&node, "bare");
    let mut viewer = Wire::play(node.rtmp_port(), "bare");
    for n in 0..5 {
        publisher.send(VIDEO, n * 1_000, KEY);
    }
    viewer.find("the last picture", |message| message.is_picture() && message.time == 4_000);
    let err = wait_until(SOON, "it is told", || {
        let err = node.program().err();
        err.contains("sequence header").then_some(err)
    });
    assert!(err.contains("WARN") && err.contains("live/bare") && err.contains("H264"), "{err}");
    assert_eq!(err.matches("sequence header").count(), 1, "{err}");
}
