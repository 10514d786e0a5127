//! What a configuration file may say, and what it is told when it says something else.

use super::*;
use crate::media::{FrameRate, Size};
use crate::scene::{self, Source};
use crate::sound;
use proptest::prelude::*;

fn faults(text: &str) -> Vec<Fault> {
    Config::parse(text, "node.toml").map(|_| ()).unwrap_err().faults
}

fn told(text: &str) -> String {
    Config::parse(text, "node.toml").map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_default_text_says_what_the_program_does_without_a_file() {
    let read = Config::parse(Config::default_text(), "default").unwrap();
    assert_eq!(read, Config::default());
}

#[test]
fn an_empty_file_is_a_server_without_channels() {
    assert_eq!(Config::parse("", "x").unwrap(), Config::empty());
}

#[test]
fn the_reference_configuration_is_what_the_system_is_specified_with() {
    let text = include_str!("../../examples/seed.toml");
    let config = Config::parse(text, "seed.toml").unwrap();
    let channel = &config.channels[0];
    assert_eq!(channel.size, Size::new(1920, 1080).unwrap());
    assert_eq!(channel.rate, FrameRate::new(60, 1).unwrap());
    let spec = channel.video_spec(2);
    assert_eq!((spec.bitrate_bps, spec.preset.as_str()), (6_000_000, "veryfast"));
    assert_eq!((spec.gop_frames, spec.threads, channel.queue_frames), (120, 2, 30));
    assert_eq!((config.rtmp.chunk_size, config.rtmp.port), (60_000, 1_935));
    assert!(config.rtmp.gop_cache);
    assert_eq!((config.rtmp.ping.millis(), config.rtmp.ping_timeout.millis()), (30_000, 60_000));
    assert_eq!(channel.outputs.len(), 1);
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_way_out() {
    for (text, line, column, words) in [
        ("[rtmp]\nprot = 1\n", 2, 1, &["unknown key `prot` in [rtmp]", "`port`"][..]),
        ("[rtmp]\nport = 0\n", 2, 8, &["`port` must be 1 to 65535"]),
        ("[rtmp]\nport = \"x\"\n", 2, 8, &["`port` in [rtmp] must be a whole number, not string"]),
        ("[rtmp]\n  gop_cache = 1\n", 2, 15, &["true or false"]),
        ("[rtmpp]\n", 1, 2, &["unknown key `rtmpp`", "did you mean `rtmp`?"]),
        ("[rtmp]\npublish = \"open\"\n", 1, 1, &["anybody", "127.0.0.1"]),
        ("[rtmp]\nping = 60\n", 1, 1, &["`ping_timeout` must be more than `ping`"]),
        ("[http]\nport = 1935\n", 1, 1, &["also the port of [rtmp]"]),
        ("[cores]\nnet = [\"a\"]\n", 2, 7, &["\"auto\" or a list of CPU numbers"]),
        ("[[channel]]\n", 1, 1, &["[[channel]] needs `name`"]),
        ("[[channel]]\nname=\"a\"\nstream=\"../x\"\n", 3, 8, &["is not a stream name"]),
        ("[[channel]]\nname=\"a\"\nvideo.fps=\"0/1\"\n", 3, 11, &["`fps` must be 1 to 240"]),
        ("[[channel]]\nname=\"a\"\nvideo.width=321\n", 3, 1, &["must be even"]),
        ("[[channel]]\nname=\"a\"\nvideo.preset=\"quick\"\n", 3, 14, &["\"veryfast\""]),
        ("a = [\n", 1, 6, &["node.toml:1:6", "unclosed array"]),
    ] {
        let first = faults(text).remove(0);
        assert_eq!((first.line, first.column), (line, column), "{text}{}", first.text);
        for word in words {
            assert!(told(text).contains(word), "no {word:?} in {}", told(text));
        }
    }
}

#[test]
fn names_that_must_differ_are_told_with_both_places() {
    let text = "[[channel]]\nname=\"a\"\n[[channel]]\nname=\"a\"\nstream=\"live/b\"\n";
    assert!(
        told(text).contains("node.toml:3:1") && told(text).contains("line 1"),
        "{}",
        told(text)
    );
    let text = "[[channel]]\nname=\"a\"\n[[channel]]\nname=\"b\"\nstream=\"live/a\"\n";
    assert!(told(text).contains("stream \"live/a\" is already at line 1"), "{}", told(text));
}

#[test]
fn a_missing_file_is_told_where_it_is_named() {
    let layer = "[[channel]]\nname=\"a\"\n[[channel.layer]]\nname=\"l\"\n";
    let text = format!("{layer}type=\"image\"\npath=\"/no/such.png\"\n");
    assert!(told(&text).contains("node.toml:6:6: /no/such.png"), "{}", told(&text));
}

#[test]
fn layers_and_sounds_become_a_scene_and_a_mix() {
    let text = r##"
        [[channel]]
        name = "show"
        background = "#102030"
        [[channel.layer]]
        name = "title"
        type = "text"
        text = "Hello"
        x = 10
        y = -4
        width = 300
        height = 40
        alpha = 0.5
        z = 3
        [[channel.sound]]
        name = "tone"
        type = "tone"
        hz = 1000
        gain_db = -6
    "##;
    let config = Config::parse(text, "x").unwrap();
    let channel = &config.channels[0];
    assert_eq!(channel.stream, "live/show");
    let layer = &channel.scene.layers[0];
    assert_eq!((layer.place.y, layer.alpha, layer.z), (-4, 128, 3));
    assert!(matches!(&layer.source, Source::Text { text, .. } if text == "Hello"));
    assert_eq!(channel.sound[0].source, sound::Source::Tone(1_000.0));
    assert_eq!(channel.scene.background, scene::Color { r: 16, g: 32, b: 48, a: 255 });
}

#[test]
fn the_key_of_an_output_is_in_no_message() {
    let output = "[[channel]]\nname=\"a\"\n[[channel.output]]\nname=\"o\"\n";
    let text = format!("{output}url=\"http://host/live/s3cret\"\nenabled=3\n");
    assert!(!told(&text).contains("s3cret"), "{}", told(&text));
    let good = format!("{output}url=\"rtmp://host/live/s3cret\"\n");
    let config = Config::parse(&good, "x").unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn the_documentation_names_every_key_of_the_default_text() {
    let doc = include_str!("../../docs/configuration.md");
    for line in Config::default_text().lines() {
        let line = line.trim_start_matches(['#', ' ']);
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            assert!(doc.contains(&format!("`{key}`")), "docs/configuration.md lacks `{key}`");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        drop(Config::parse(&text, "x"));
    }

    #[test]
    fn no_change_of_the_default_text_makes_it_panic(at in 0_usize..6_000, with in "\\PC{0,3}") {
        let mut text = Config::default_text().to_owned();
        let at = text.floor_char_boundary(at % text.len());
        let end = text.floor_char_boundary((at + 5).min(text.len()));
        text.replace_range(at..end, &with);
        drop(Config::parse(&text, "x"));
    }
}
