//! Silence for streams without audio: what players decode of it, and how a publisher's own audio
//! takes its place.

use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::publisher::{AAC, AVC_HEADER, INTER, KEY, Publisher};
use crate::wait::{SOON, beside_others};
use crate::wire::{AUDIO, Message, VIDEO, Wire};

fn node() -> Node {
    Node::start(&Config::new().publish_open().delivery("fill_audio = [\"live/*\"]"))
}

#[test]
fn ffmpeg_decodes_silence_of_a_stream_that_is_published_without_audio() {
    let _turn = beside_others();
    let node = node();
    let url = node.url("live/show");
    let picture = "-v error -re -f lavfi -i testsrc2=s=160x90:r=30 -an -c:v libx264 -g 15";
    let _publisher = Program::start("ffmpeg", picture, &["-f", "flv", &url]);
    let raw = node.file("silence.raw");
    let last = ["-i", &url, "-t", "2", "-vn", "-f", "s16le", raw.to_str().unwrap()];
    Program::start("ffmpeg", "-v error -xerror", &last).succeeds(SOON);
    let samples = std::fs::read(&raw).unwrap();
    assert!(samples.len() > 48_000 * 4, "a second and more: {} bytes", samples.len());
    assert!(samples.iter().all(|byte| *byte == 0), "all of it is silence");
    let about = Program::start("ffprobe", "-v error -show_streams", &[&url]).succeeds(SOON);
    let about = String::from_utf8(about).unwrap();
    assert!(about.contains("codec_name=h264") && about.contains("codec_name=aac"), "{about}");
}

#[test]
fn a_publishers_own_audio_takes_over_from_silence() {
    /// Of another rate than the silence.
    const OWN_HEADER: &[u8] = b"\xaf\x00\x12\x10";
    let _turn = beside_others();
    let node = node();
    let mut publisher = Publisher::start(&node, "show");
    publisher.send(VIDEO, 0, AVC_HEADER);
    let mut viewer = Wire::play(node.rtmp_port(), "show");
    for time in (0..2_000).step_by(40) {
        publisher.send(VIDEO, time, if time == 0 { KEY } else { INTER });
    }
    let header = viewer.find("the header of silence", Message::is_audio_header);
    assert_eq!(header.body, b"\xaf\x00\x11\x90");
    let mut last = 0;
    while last < 1_900 {
        let frame = viewer.find("silence", |message| message.kind == AUDIO);
        assert_eq!(frame.body, b"\xaf\x01\x21\x10\x04\x60\x8c\x1c");
        assert!(frame.time >= last && frame.time <= 1_960, "{} after {last}", frame.time);
        last = frame.time;
    }
    // The audio is a little behind the pictures, as encoders send it.
    publisher.send(AUDIO, 0, OWN_HEADER);
    let mut own = 0;
    for time in (2_000..4_000).step_by(40) {
        publisher.send(AUDIO, time - 100, AAC);
        publisher.send(VIDEO, time, INTER);
        own += 1;
    }
    let header = viewer.find("its own header", Message::is_audio_header);
    assert_eq!(header.body, OWN_HEADER);
    for _ in 0..own {
        let frame = viewer.find("its own audio", |message| message.kind == AUDIO);
        assert_eq!(frame.body, AAC, "no more silence");
        assert!(frame.time >= last, "{} after {last}", frame.time);
        last = frame.time;
    }
}
