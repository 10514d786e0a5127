//! Several renditions of a channel as the tracks of one stream, by the bytes that a destination gets
//! and by a player of Enhanced RTMP.

use std::collections::BTreeMap;

use crate::api::{done, events_of};
use crate::config::{Config, FPS, WIDTH, demo};
use crate::destination::Destination;
use crate::modern::modern_ffmpeg;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, VIDEO};

/// `capsEx` of a server that takes multitrack.
const MULTITRACK: f64 = 2.0;

const LADDER: &str = "[[channel.rendition]]\nname = \"low\"\nwidth = 160\n\
    [[channel.multitrack]]\nname = \"ladder\"\n";

/// The usual channel in two sizes, and an output of both to each of these.
fn with_outputs(outputs: &[(&str, &str, &str)]) -> Config {
    let config = demo().more(LADDER);
    outputs.iter().fold(config, |config, (name, url, more)| {
        config.output(name, url).more(&format!("rendition = \"ladder\"\n{more}\n"))
    })
}

/// What a body of video is, read as Enhanced RTMP v2 lays it out (`ExVideoTagHeader`), or as FLV did
/// before it: the track, the packet type, whether it is a keyframe, and where H.264 begins.
fn read(body: &[u8]) -> (u8, u8, bool, usize) {
    let is_key = body[0] >> 4 & 7 == 1;
    if body[0] & 0x80 == 0 {
        assert_eq!(body[0] & 15, 7, "AVC");
        return (0, body[1], is_key, 5);
    }
    assert_eq!(body[0] & 15, 6, "VideoPacketType.Multitrack");
    assert_eq!(body[1] >> 4, 0, "AvMultitrackType.OneTrack");
    assert_eq!(&body[2..6], b"avc1");
    let packet = body[1] & 15;
    let payload = if packet == 1 { 10 } else { 7 };
    (body[6], packet, is_key, payload)
}

/// By track: the header's H.264 profile, and the times of all keyframes after it.
fn tracks(messages: &[Message]) -> BTreeMap<u8, (Vec<u8>, Vec<u32>)> {
    let mut tracks: BTreeMap<u8, (Vec<u8>, Vec<u32>)> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.kind == VIDEO) {
        let (track, packet, is_key, at) = read(&message.body);
        let known = tracks.entry(track).or_default();
        if packet == 0 {
            known.0 = message.body[at..].to_vec();
        } else {
            assert!(!known.0.is_empty(), "a picture of track {track} without its header");
            assert_eq!(&message.body[at..at + 2], [0, 0], "a length and a unit");
            known.1.extend(is_key.then_some(message.time));
        }
    }
    tracks
}

#[test]
fn renditions_go_as_tracks_to_who_announces_them_and_the_first_alone_to_others() {
    let _turn = beside_others();
    let (knows, plain, told) =
        (Destination::announcing(MULTITRACK), Destination::start(), Destination::start());
    let node = Node::start(&with_outputs(&[
        ("knows", &knows.url(), ""),
        ("plain", &plain.url(), ""),
        ("told", &told.url(), "tracks = \"all\""),
    ]));
    for there in [&knows, &told] {
        // An encoder that is short of time leaves a keyframe out.
        let tracks = wait_until(SOON, "both tracks have keyframes at the same times", || {
            let tracks = tracks(&there.messages());
            let [(_, keys), (_, low_keys)] = [tracks.get(&0)?, tracks.get(&1)?];
            (keys.iter().filter(|time| low_keys.contains(time)).count() >= 2).then_some(tracks)
        });
        let [(main, _), (low, _)] = [&tracks[&0], &tracks[&1]];
        assert_eq!((main[0], tracks.len()), (1, 2), "avcC");
        assert_ne!(main, low, "each has its own sequence parameters");
    }
    wait_until(SOON, "the first track arrives", || {
        let tracks = tracks(&plain.messages());
        (tracks.get(&0)?.1.len() >= 2).then(|| assert_eq!(tracks.len(), 1, "and no other one"))
    });
    for (output, is_said) in [("knows", false), ("plain", true), ("told", false)] {
        let events = events_of(&node, "output_connected");
        let event = events.iter().find(|event| event["output"] == output).unwrap();
        let text = event["text"].as_str().unwrap();
        assert_eq!(text.contains("the first track alone"), is_said, "{text}");
    }
    let channel = &done(&node, "GET /channels", &serde_json::Value::Null)[0];
    let ladder = channel["renditions"].as_array().unwrap().last().unwrap();
    assert_eq!(ladder["stream"], "live/demo_ladder");
    assert_eq!(ladder["tracks"], serde_json::json!(["main", "low"]));
}

#[test]
fn a_player_of_enhanced_rtmp_shows_every_track_also_from_a_second_node() {
    let _turn = beside_others();
    let second = Node::start(&Config::new().publish_open());
    let node = Node::start(&with_outputs(&[("second", &second.url("live/ladder"), "")]));
    second.wait_for_streams(1);
    for url in [node.url("live/demo_ladder"), second.url("live/ladder")] {
        let mut command = modern_ffmpeg();
        command.args(["-v", "info", "-i", &url, "-map", "0"]);
        command.args("-frames:v 45 -frames:a 60 -f framecrc -".split(' '));
        let played = Program::spawn("modern ffmpeg", command).ended(SOON);
        assert!(played.status.success(), "{}", played.err);
        for size in [format!(", {WIDTH}x"), ", 160x90".to_owned()] {
            assert!(played.err.contains(&size), "no {size} in {}", played.err);
        }
        let out = String::from_utf8_lossy(&played.out);
        let video: Vec<_> = out
            .lines()
            .filter(|line| line.starts_with("#codec_id") && line.contains("rawvideo"))
            .map(|line| line.split(['#', ' ', ':']).filter_map(|it| it.parse::<u32>().ok()).next())
            .collect();
        assert_eq!(video.len(), 2, "{out}");
        let frames =
            |track: u32| out.lines().filter(|line| line.starts_with(&format!("{track},"))).count();
        for track in video.into_iter().flatten() {
            assert!(frames(track) > FPS as usize, "track {track}: {out}");
        }
    }
}
