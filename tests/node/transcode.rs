//! Transcodes: a published stream in further encodes, while somebody reads them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::{done, events_of};
use crate::config::Config;
use crate::destination::Destination;
use crate::modern::{PAIRS, modern_ffmpeg, publish as modern_publisher};
use crate::nginx::Nginx;
use crate::node::{Node, STUDIO};
use crate::program::Program;
use crate::publisher::Publisher;
use crate::recording::Recording;
use crate::reloading::Api;
use crate::wait::{SOON, alone, beside_others, free_port, wait_until};
use crate::wire::{AUDIO, Message, VIDEO, Wire};

/// Renditions that are made quickly.
const QUICK: &str = "preset = \"ultrafast\"\nspeed = \"fixed\"\n";

/// A transcode of what the development key publishes, with these lines and renditions.
fn transcode(lines: &str, renditions: &[(&str, &str)]) -> Config {
    let renditions = renditions
        .iter()
        .map(|(name, more)| format!("[[transcode.rendition]]\nname = \"{name}\"\n{QUICK}{more}\n"));
    let tables: String = renditions.collect();
    Config::new().more(&format!("[[transcode]]\nstream = \"{STUDIO}\"\n{lines}\n{tables}"))
}

const LADDER: [(&str, &str); 3] = [
    ("full", "bitrate = \"600k\""),
    ("low", "height = 90\nbitrate = \"200k\""),
    ("slow", "height = 90\nbitrate = \"150k\"\nfps_divisor = 2"),
];

/// Publishes a picture of this size with a tone: a keyframe every `gop` pictures, 30 a second.
fn publish(node: &Node, size: &str, gop: u32) -> Program {
    publish_with(node, size, &format!("-c:v libx264 -preset ultrafast -bf 2 -g {gop} -c:a aac"))
}

fn publish_with(node: &Node, size: &str, codecs: &str) -> Program {
    let mut command = Command::new("ffmpeg");
    command
        .args(format!("-v error -re -f lavfi -i testsrc2=s={size}:r=30").split(' '))
        .args("-re -f lavfi -i sine=r=48000 -pix_fmt yuv420p -ac 2 -sc_threshold 0".split(' '))
        .args(codecs.split(' '))
        .args(["-f", "flv", &node.publish_url()]);
    Program::spawn("publisher", command)
}

/// How many threads of the node have names that begin so; those of codecs have their names from who
/// has opened them.
fn threads(node: &Node, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", node.program().id())).unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|own| own.starts_with(name)).collect::<BTreeSet<_>>().len()
}

/// The only transcode, as the API shows it.
fn shown_transcode(node: &Node) -> Value {
    done(node, "GET /transcodes", &Value::Null)[0].clone()
}

/// When the picture of a message is shown.
fn shown(message: &Message) -> u32 {
    let offset = message.body[2..5].iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    message.time + offset
}

/// The next of these messages of each stream, as `what` makes them of time and body, from the first
/// time on that all have.
fn in_step<T>(
    viewers: &mut [Wire],
    is_it: fn(&Message) -> bool,
    what: fn(&Message) -> (u32, T),
    count: usize,
) -> Vec<Vec<(u32, T)>> {
    let first: Vec<_> = viewers.iter_mut().map(|viewer| viewer.find("the first", is_it)).collect();
    let from = first.iter().map(|message| what(message).0).max().unwrap();
    let all = viewers.iter_mut().zip(first).map(|(viewer, first)| {
        let rest = std::iter::from_fn(|| Some(viewer.find("another one", is_it)));
        let all = std::iter::once(first).chain(rest).map(|message| what(&message));
        all.skip_while(|(time, _)| *time < from).take(count).collect()
    });
    all.collect()
}

#[test]
fn a_published_stream_is_played_in_several_encodes_in_step_with_it() {
    let _turn = alone();
    let node = Node::start(&transcode("", &LADDER));
    let _publisher = publish(&node, "320x180", 30);
    node.wait_for_streams(1);
    assert_eq!(threads(&node, "video-"), 0, "nobody has asked for a rendition");
    let names = ["studio", "studio_full", "studio_low", "studio_slow"];
    let mut viewers = names.map(|name| Wire::play(node.rtmp_port(), name));
    node.wait_for_streams(4);
    assert_eq!(threads(&node, "video-"), 3);
    assert_eq!(events_of(&node, "transcode_started").len(), 1, "it is decoded once for all");
    wait_until(SOON, "the API shows it", || {
        let shown = shown_transcode(&node);
        let renditions = shown["renditions"].as_array().unwrap().len();
        let is_live = shown["state"] == "live" && shown["readers"] == 3 && shown["width"] == 320;
        (is_live && renditions == 3).then_some(())
    });

    let keys = in_step(&mut viewers, Message::is_key, |message| (shown(message), ()), 4);
    let is_audio = |message: &Message| message.kind == AUDIO && message.body.get(1) == Some(&1);
    let audio = in_step(&mut viewers, is_audio, |it| (it.time, it.body.clone()), 30);
    for (at, name) in names.iter().enumerate() {
        assert_eq!(keys[at], keys[0], "{name}: its keyframes are those of the source");
        assert!(audio[at] == audio[0], "{name}: its audio is that of the source, byte for byte");
    }
    assert!(node.metric("transcode_frames_total", &["rendition=\"low\""]) > 0.0);
    let gaps: Vec<_> = keys[0].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| (990..=1_010).contains(gap)), "{gaps:?}");

    let files = names.map(|name| {
        let file = node.file(&format!("{name}.flv"));
        (Recording::begin(&node.url(&format!("live/{name}")), 3, &file), file)
    });
    let wanted = [(320, 0.033), (320, 0.033), (160, 0.033), (160, 0.067)];
    for (at, (program, file)) in files.into_iter().enumerate() {
        program.succeeds(SOON);
        let recording = Recording::at(file);
        recording.assert_audio_and_picture(1.0);
        let (width, gap) = wanted[at];
        let about = recording.about("v");
        assert!(about.lines().any(|own| own == format!("width={width}")), "{about}");
        let packets = recording.video_packets();
        let mut gaps: Vec<_> = packets.windows(2).map(|pair| pair[1].pts - pair[0].pts).collect();
        gaps.sort_unstable_by(f64::total_cmp);
        let middle = gaps[gaps.len() / 2];
        // The source has B-pictures, which come in another order.
        assert!((middle - gap).abs() < 0.002 || at == 0, "{}: {gaps:?}", names[at]);
    }
}

#[test]
fn encoders_run_while_somebody_reads_and_a_moment_longer() {
    let _turn = beside_others();
    let node = Node::start(&transcode("linger = 1", &LADDER[1..2]));
    let _publisher = publish(&node, "320x180", 30);
    node.wait_for_streams(1);
    for round in 1..=2 {
        let mut viewer = Wire::play(node.rtmp_port(), "studio_low");
        viewer.find("a picture", Message::is_key);
        assert_eq!((threads(&node, "video-"), threads(&node, "scale-")), (1, 1));
        assert_eq!(events_of(&node, "transcode_started").len(), round);
        drop(viewer);
        wait_until(SOON, "its threads have ended", || {
            (threads(&node, "video-") + threads(&node, "transcode") == 0).then_some(())
        });
        wait_until(SOON, "that is told", || {
            let ended = events_of(&node, "transcode_ended");
            (ended.len() == round).then(|| {
                let reason = ended[round - 1]["reason"].as_str().unwrap().to_owned();
                assert!(reason.contains("nobody"), "{reason}");
            })
        });
    }
}

#[test]
fn a_source_that_leaves_and_comes_back_keeps_the_viewers_of_its_renditions() {
    let _turn = beside_others();
    let node = Node::start(&transcode("", &LADDER[1..2]));
    let publisher = publish(&node, "320x180", 30);
    node.wait_for_streams(1);
    let mut viewer = Wire::play(node.rtmp_port(), "studio_low");
    let before = viewer.find("a picture", Message::is_key).time;
    publisher.interrupted(SOON);
    wait_until(SOON, "its encoders have ended", || (threads(&node, "video-") == 0).then_some(()));
    let ended = events_of(&node, "transcode_ended");
    assert!(ended[0]["reason"].as_str().unwrap().contains("source has left"), "{ended:?}");

    let _publisher = publish(&node, "160x120", 30);
    viewer.find("another header", Message::is_video_header);
    let after = viewer.find("a picture again", Message::is_key).time;
    assert!(after > before, "{before} {after}");
    viewer.find("audio again", |it| it.kind == AUDIO && it.time >= after);
}

/// Messages of a file that is published by hand: kind, time and body.
type Tags = Vec<(u8, u32, Vec<u8>)>;

/// A second of a picture of this size and a tone, as an encoder would publish it.
fn tags(node: &Node, size: &str) -> Tags {
    let file = node.file(&format!("{size}.flv"));
    let mut command = Command::new("ffmpeg");
    command
        .args(format!("-v error -y -f lavfi -i testsrc2=s={size}:r=30:d=2").split(' '))
        .args("-f lavfi -i sine=r=48000:d=2 -pix_fmt yuv420p -ac 2 -c:v libx264".split(' '))
        .args("-preset ultrafast -tune zerolatency -g 30 -c:a aac -f flv".split(' '))
        .arg(&file);
    Program::spawn("ffmpeg", command).succeeds(SOON);
    let bytes = fs::read(file).unwrap();
    let (mut at, mut tags) = (13, Vec::new());
    while let Some(head) = bytes.get(at..at + 11) {
        let number = |range: std::ops::Range<usize>| {
            head[range].iter().fold(0, |all, byte| all << 8 | u32::from(*byte))
        };
        let length = usize::try_from(number(1..4)).unwrap();
        let body = bytes[at + 11..at + 11 + length].to_vec();
        if [AUDIO, VIDEO].contains(&head[0]) {
            tags.push((head[0], number(4..7), body));
        }
        at += 11 + length + 4;
    }
    tags
}

#[test]
fn a_source_that_changes_its_size_in_mid_stream_goes_on_in_all_renditions() {
    let _turn = beside_others();
    let node = Node::start(&transcode("on_demand = false", &LADDER[..2]));
    let (first, second) = (tags(&node, "320x180"), tags(&node, "160x120"));
    let length = first.iter().map(|tag| tag.1).max().unwrap() + 33;
    let later = second.into_iter().map(|(kind, time, body)| (kind, time + length, body));
    let all: Tags = first.into_iter().chain(later).collect();
    let mut publisher = Publisher::start(&node, &format!("studio?key={}", node.key()));
    let began = Instant::now();
    let sender = std::thread::spawn(move || {
        for (kind, time, body) in &all {
            wait_until(SOON, "it is time", || {
                (began.elapsed() >= Duration::from_millis((*time).into())).then_some(())
            });
            publisher.send(*kind, *time, body);
        }
        publisher
    });
    let mut viewers = ["studio_full", "studio_low"].map(|name| Wire::play(node.rtmp_port(), name));
    for viewer in &mut viewers {
        let header = viewer.find("a header", Message::is_video_header).body;
        let key = viewer.find("a picture", Message::is_key).time;
        let is_other = |it: &Message| it.is_video_header() && it.body != header;
        viewer.find("the header of the other size", is_other);
        let next = viewer.find("a picture of the other size", Message::is_key).time;
        assert!(next > key && next < 2 * length + 1_000, "{key} {next} {length}");
    }
    let ended = events_of(&node, "transcode_ended");
    let reason = ended[0]["reason"].as_str().unwrap();
    assert!(reason.contains("from 320x180 to 160x120"), "{reason}");
    drop(sender.join().unwrap());
}

#[test]
fn a_player_that_cannot_take_the_codecs_gets_others_and_one_that_can_gets_the_original() {
    let _turn = beside_others();
    let bridge = format!("[[transcode]]\nstream = \"{STUDIO}\"\nbridge = true\nlinger = 1\n");
    let node = Node::start(&Config::new().more(&bridge));
    let _publisher = modern_publisher(&node.publish_url(), PAIRS[0].0);
    node.wait_for_streams(1);
    let play = |url: &str, codecs: &[&str]| {
        let mut command = modern_ffmpeg();
        command
            .args(["-v", "info"])
            .args(codecs)
            .args(["-i", url, "-t", "1", "-f", "framecrc", "-"]);
        let played = Program::spawn("modern ffmpeg", command).ended(SOON);
        assert!(played.status.success(), "{}", played.err);
        played.err
    };
    let http = |query: &str| format!("http://127.0.0.1:{}/{STUDIO}.flv{query}", node.rtmp_port());
    let original = ["Video: hevc", "Audio: opus"];
    let twin = ["Video: h264", "Audio: aac"];
    let assert_gets = |played: &str, wanted: [&str; 2]| {
        assert!(wanted.iter().all(|codec| played.contains(codec)), "{wanted:?}: {played}");
    };
    let enhanced = ["-rtmp_enhanced_codecs", "hvc1,Opus"];
    assert_gets(&play(&node.url(STUDIO), &enhanced), original);
    assert_gets(&play(&http("?codecs=hvc1,Opus"), &[]), original);
    assert!(events_of(&node, "transcode_started").is_empty(), "nobody needs it");

    assert_gets(&play(&node.url(STUDIO), &[]), twin);
    assert_gets(&play(&node.url(STUDIO), &["-rtmp_enhanced_codecs", "hvc1"]), twin);
    assert_gets(&play(&http(""), &[]), twin);
    let recorded = Recording::of(&node.url(STUDIO), 2, node.file("old.flv"));
    recorded.assert_audio_and_picture(1.0);
    assert!(!events_of(&node, "transcode_started").is_empty());
    wait_until(SOON, "its encoders have ended", || (threads(&node, "video-") == 0).then_some(()));
}

#[test]
fn every_codec_of_enhanced_rtmp_has_a_twin_in_h264_and_aac() {
    let _turn = beside_others();
    let bridge = format!("[[transcode]]\nstream = \"{STUDIO}\"\nbridge = true\n");
    for (codecs, names) in PAIRS {
        let node = Node::start(&Config::new().more(&bridge));
        let _publisher = modern_publisher(&node.publish_url(), codecs);
        node.wait_for_streams(1);
        let recorded = Recording::of(&node.url(STUDIO), 2, node.file("twin.flv"));
        for (track, codec) in [("v", "codec_name=h264"), ("a", "codec_name=aac")] {
            let about = recorded.about(track);
            assert!(about.lines().any(|line| line == codec), "{names:?}: {about}");
        }
        recorded.assert_audio_and_picture(1.0);
    }
}

/// What each connection of the only push was told to send.
fn connected(node: &Node, count: usize) -> Vec<String> {
    let texts = wait_until(SOON, "the push is live", || {
        let events = events_of(node, "output_connected");
        (events.len() >= count).then_some(events)
    });
    texts.iter().map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_push_sends_a_rendition_while_its_destination_cannot_take_what_is_published() {
    let _turn = beside_others();
    let nginx = Nginx::start(free_port());
    let bridge = format!("[[transcode]]\nstream = \"{STUDIO}\"\nbridge = true\nlinger = 1\n");
    let node = Node::start(&Config::new().more(&bridge).push(STUDIO, &nginx.url("show"), ""));
    let publisher = modern_publisher(&node.publish_url(), PAIRS[0].0);
    let texts = connected(&node, 1);
    assert!(texts[0].contains("with live/studio_bridge"), "{texts:?}");
    let shows = |rendition: &Value| {
        wait_until(SOON, "the API shows it", || {
            let push = done(&node, "GET /pushes", &Value::Null)[0].clone();
            (push["rendition"] == *rendition).then_some(())
        });
    };
    shows(&Value::from("live/studio_bridge"));
    let recorded = Recording::of(&nginx.url("show"), 3, node.file("rendition.flv"));
    recorded.assert_audio_and_picture(1.0);
    for (track, line) in [("v", "codec_name=h264"), ("v", "width=160"), ("a", "codec_name=aac")] {
        let about = recorded.about(track);
        assert!(about.lines().any(|own| own == line), "{line}: {about}");
    }

    publisher.interrupted(SOON);
    let _publisher = publish(&node, "320x180", 30);
    let texts = connected(&node, 2);
    assert!(!texts[1].contains("bridge"), "{texts:?}");
    let recorded = Recording::of(&nginx.url("show"), 3, node.file("original.flv"));
    recorded.assert_audio_and_picture(1.0);
    let about = recorded.about("v");
    assert!(about.lines().any(|own| own == "width=320"), "{about}");
    shows(&Value::Null);
    wait_until(SOON, "its encoders have ended", || (threads(&node, "video-") == 0).then_some(()));
    assert!(node.metric("output_failures_total", &[]) < 0.5, "a change is no failure");
}

#[test]
fn a_push_that_nothing_stands_in_for_says_which_transcode_is_missing() {
    let _turn = beside_others();
    let (lists, takes_all) = (Destination::listing("av01"), Destination::listing("av01"));
    let config = Config::new().push(STUDIO, &lists.url(), "");
    let node = Node::start(&config.push(STUDIO, &takes_all.url(), "codecs = \"all\""));
    let _publisher = modern_publisher(&node.publish_url(), PAIRS[0].0);
    let failed = wait_until(SOON, "it has failed", || events_of(&node, "output_failed").pop());
    let reason = failed["reason"].as_str().unwrap();
    for said in ["takes HEVC", "[[transcode]]", "`stream = \"live/studio\"`", "`bridge = true`"] {
        assert!(reason.contains(said), "{reason}");
    }
    wait_until(SOON, "the other one is sent it all the same", || {
        takes_all.messages().iter().any(|it| it.body.starts_with(b"\x91hvc1")).then_some(())
    });
}

#[test]
fn a_reload_adds_a_transcode_and_removes_it() {
    let _turn = beside_others();
    let none = Config::new();
    let node = Node::start(&none);
    let _publisher = publish(&node, "320x180", 30);
    node.wait_for_streams(1);
    let api = Api::of(&node);
    let with = transcode("", &LADDER[1..2]);
    let table = with.text().split_once("[[transcode]]").unwrap().1;
    Config::of(&none, format!("{}\n[[transcode]]{table}", none.text())).write(&node.file(""));
    let [done, restart, failed] = api.reload();
    assert!(restart.is_empty() && failed.is_empty(), "{restart:?} {failed:?}");
    assert!(done.iter().any(|step| step.contains("added transcode")), "{done:?}");
    let mut viewer = Wire::play(node.rtmp_port(), "studio_low");
    viewer.find("a picture", Message::is_key);
    none.write(&node.file(""));
    let [done, _, failed] = api.reload();
    assert!(done.iter().any(|step| step.contains("removed transcode")), "{done:?} {failed:?}");
    while viewer.next().is_some_and(|message| {
        message.status().is_none_or(|[code, ..]| code != "NetStream.Play.UnpublishNotify")
    }) {}
    wait_until(SOON, "its threads have ended", || {
        (threads(&node, "video-") + threads(&node, "transcode") == 0).then_some(())
    });
}
