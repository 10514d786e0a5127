//! Renditions: one programme in several encodes, judged by ffprobe and a second node.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{ask, done};
use crate::config::{Config, FPS, demo};
use crate::node::{Node, STUDIO, run_to_end};
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Program;
use crate::pushing::assert_undisturbed;
use crate::recording::{Packet, Recording};
use crate::reloading::Api;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Watcher, is_near};
use crate::wire::{AUDIO, Message, Wire};

/// `red` of ffmpeg as it comes out here.
const RED: [u8; 3] = [72, 96, 240];

/// Seconds that are recorded: a keyframe every second.
const SECONDS: u32 = 5;

/// The usual channel with these tables of renditions, and a keyframe every second.
fn with(renditions: &str) -> Config {
    let plain = Config::new().channel("demo").more("keyframe_seconds = 1\n").more(renditions);
    plain.layer("test-card", "").audio("tone", "hz = 440")
}

fn rendition(name: &str, more: &str) -> String {
    format!("[[channel.rendition]]\nname = \"{name}\"\n{more}\n")
}

fn ladder() -> String {
    rendition("low", "width = 160\nbitrate = \"200k\"")
        + &rendition("half", "height = 90\nbitrate = \"100k\"\nfps_divisor = 2")
        + &rendition("copy", "")
}

/// Milliseconds, as RTMP has them.
fn ms(packet: &Packet) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a few seconds")]
    let ms = (packet.pts * 1_000.0).round() as i64;
    ms
}

/// Times of these messages up to the `count`th, from a stream that is played.
fn times(viewer: &mut Wire, what: &str, is_it: fn(&Message) -> bool, count: usize) -> Vec<u32> {
    (0..count).map(|_| viewer.find(what, is_it).time).collect()
}

#[test]
fn keyframes_have_the_same_times_in_all_renditions_and_each_has_its_size_and_rate() {
    let _turn = beside_others();
    let node = Node::start(&with(&ladder()));
    node.wait_for_streams(4);
    let names = ["demo", "demo_low", "demo_half", "demo_copy"];
    let mut viewers = names.map(|name| Wire::play(node.rtmp_port(), name));
    // The first picture is one in any case, and may be late on a busy machine.
    let is_later = |message: &Message| message.is_key() && message.time >= 1_000;
    let keys = viewers.each_mut().map(|viewer| times(viewer, "keyframes", is_later, 4));
    // They may have begun at different keyframes.
    let first = keys.iter().map(|times| times[0]).max().unwrap();
    for (name, times) in names.iter().zip(&keys) {
        assert!(times.contains(&first), "{name} has no keyframe at {first}: {keys:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1_000), "{name}: {times:?}");
    }

    let files = names.map(|name| {
        let file = node.file(&format!("{name}.flv"));
        let program = Recording::begin(&node.url(&format!("live/{name}")), SECONDS, &file);
        (program, file)
    });
    let sizes = [(320, 180), (160, 90), (160, 90), (320, 180)];
    let rates = [FPS, FPS, FPS / 2, FPS];
    for ((program, file), ((width, height), fps)) in
        files.into_iter().zip(sizes.into_iter().zip(rates))
    {
        program.succeeds(SOON + Duration::from_secs(SECONDS.into()));
        let recording = Recording::at(file);
        recording.assert_audio_and_picture(1.0);
        let about = recording.about("v");
        for line in [format!("width={width}"), format!("height={height}")] {
            assert!(about.lines().any(|own| own == line), "{about}");
        }
        let packets = recording.video_packets();
        let mut gaps: Vec<_> = packets.windows(2).map(|pair| ms(&pair[1]) - ms(&pair[0])).collect();
        // Some frames may be left out beside other tests.
        gaps.sort_unstable();
        let (frame, middle) = (i64::from(1_000 / fps), gaps[gaps.len() / 2]);
        assert!(gaps[0] >= frame && middle <= frame + 1, "{fps} fps: {gaps:?}");
    }
}

#[test]
fn audio_is_the_same_in_all_renditions_and_equal_ones_share_an_encoder() {
    let _turn = beside_others();
    let node = Node::start(&with(&ladder()));
    node.wait_for_streams(4);
    let names = ["demo", "demo_low", "demo_copy"];
    let mut viewers = names.map(|name| Wire::play(node.rtmp_port(), name));
    let is_block = |message: &Message| message.kind == AUDIO && message.time > 0;
    let heard = viewers.each_mut().map(|viewer| {
        let blocks = (0..120).map(|_| viewer.find("audio", is_block));
        blocks.map(|message| (message.time, message.body)).collect::<Vec<_>>()
    });
    let first = heard.iter().map(|blocks| blocks[0].0).max().unwrap();
    let common = heard.each_ref().map(|blocks| {
        let from = blocks.iter().position(|(time, _)| *time == first).expect("the same times");
        blocks[from..].iter().take(20).collect::<Vec<_>>()
    });
    assert!(common[0].len() == 20 && common.iter().all(|blocks| *blocks == common[0]));

    // What is shown of `copy` is what `main` encodes, byte for byte.
    let [main, low, copy] = viewers.each_mut().map(|viewer| {
        // They came at different times, which may be some keyframes apart.
        let pictures = (0..120).map(|_| viewer.find("a picture", Message::is_picture));
        pictures.map(|message| (message.time, message.body)).collect::<Vec<_>>()
    });
    let at = |all: &[(u32, Vec<u8>)], time| all.iter().find(|(own, _)| *own == time).cloned();
    let time = [&main, &low, &copy].map(|all| all[0].0).into_iter().max().unwrap();
    assert!(at(&main, time).is_some(), "there is one that all have");
    assert_eq!(at(&main, time), at(&copy, time));
    assert_ne!(at(&main, time), at(&low, time));

    let frames = |labels: &[&str]| node.metric("encoder_frames_total", labels);
    assert!(frames(&["rendition=\"low\""]) > 0.0 && frames(&["rendition=\"half\""]) > 0.0);
    assert!(frames(&["rendition=\"copy\""]).abs() < 0.5, "it has no encoder");
    let (_, channel) = ask(&node, "GET /channels/demo", &Value::Null);
    let renditions = channel["renditions"].as_array().unwrap();
    let [low, half, copy] = &renditions[..] else { panic!("{renditions:?}") };
    assert_eq!((&copy["shares"], &low["shares"]), (&Value::from("main"), &Value::Null));
    assert_eq!(
        (half["stream"].as_str(), half["width"].as_u64()),
        (Some("live/demo_half"), Some(160))
    );
    assert_eq!((low["fps_target"].as_f64(), half["fps_target"].as_f64()), (Some(30.0), Some(15.0)));
}

#[test]
fn an_output_sends_the_rendition_that_it_names_to_a_second_node() {
    let _turn = beside_others();
    let there = Node::start(&Config::new().publish_open());
    let low = rendition("low", "width = 160\nbitrate = \"200k\"");
    let config = with(&low).output("there", &there.url("live/sent")).more("rendition = \"low\"\n");
    let node = Node::start(&config);
    there.wait_for_streams(1);
    let got = Recording::of(&there.url("live/sent"), 2, there.file("sent.flv"));
    let about = got.about("v");
    assert!(about.lines().any(|line| line == "width=160"), "{about}");
    drop(node);
}

#[test]
fn a_reader_that_asks_for_a_keyframe_gets_it_in_all_renditions_at_once() {
    let _turn = beside_others();
    let config = with(&ladder()).delivery("start = \"live\"");
    let rarely = config.text().replacen("keyframe_seconds = 1", "keyframe_seconds = 20", 1);
    let node = Node::start(&Config::of(&config, rarely));
    node.wait_for_streams(4);
    let mut watching = ["demo", "demo_low"].map(|name| Wire::play(node.rtmp_port(), name));
    let began = watching.each_mut().map(|viewer| viewer.find("a keyframe", Message::is_key).time);
    // Whoever comes is given a keyframe; theirs are far apart otherwise.
    let _late = Wire::play(node.rtmp_port(), "demo_half");
    let asked = watching.each_mut().map(|viewer| {
        viewer.find("the keyframe that was asked for", |message| {
            message.is_key() && message.time > began.into_iter().max().unwrap()
        })
    });
    assert_eq!(asked[0].time, asked[1].time);
    assert!(!asked[0].time.is_multiple_of(20_000), "it would have come by itself");
}

#[test]
fn an_encoder_with_far_too_little_time_takes_no_picture_from_the_others() {
    let _turn = beside_others();
    let heavy = rendition("heavy", "preset = \"placebo\"\nbitrate = \"9M\"")
        + &rendition("low", "width = 320\nbitrate = \"200k\"");
    // Time that it does not have: more frames a second than this preset makes anywhere.
    let config = with(&heavy);
    let text = config.text().replacen(&format!("fps = {FPS}"), "fps = 120", 1);
    let text = text.replacen("width = 320\nheight = 180", "width = 1280\nheight = 720", 1);
    let node = Node::start(&Config::of(&config, text));
    node.wait_for_streams(3);
    let behind = ["rendition=\"heavy\"", "reason=\"queue_full\""];
    wait_until(SOON, "the heavy one is behind", || {
        (node.metric("encoder_dropped_frames", &behind) > 300.0).then_some(())
    });
    let page = node.http("/metrics").1;
    let frames = |rendition: &str, name: &str| -> f64 {
        let of = format!("rendition=\"{rendition}\"");
        let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(&of));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let given = |rendition| frames(rendition, "composer_frames_total{");
    let lost = |rendition| frames(rendition, "encoder_dropped_frames{");
    // Each is given or counts every tick; what waits for the scaler is neither yet.
    let [heavy, low] = ["heavy", "low"].map(|rendition| given(rendition) + lost(rendition));
    assert!((heavy - low).abs() < 20.0, "{heavy} ticks of the heavy one, {low} of the other");
    assert!(lost("low") < lost("heavy") / 2.0, "{} and {}", lost("low"), lost("heavy"));
    let unserved = node.metric("encoder_dropped_frames", &["reason=\"pool_empty\""]);
    assert!(unserved.abs() < 0.5, "the frames that the heavy one holds are missed by nobody");
}

#[test]
fn renditions_come_and_go_with_a_reload_and_the_others_streams_go_on() {
    let _turn = beside_others();
    let low = rendition("low", "width = 160\nbitrate = \"200k\"");
    let config = with(&low);
    let node = Node::start(&config);
    node.wait_for_streams(2);
    let mut viewers = ["demo", "demo_low"].map(|name| Wire::play(node.rtmp_port(), name));
    let before = viewers.each_mut().map(|viewer| {
        let is_late = |message: &Message| message.is_picture() && message.time > 2_500;
        viewer.find("a picture after a while", is_late).time
    });
    let api = Api::of(&node);
    let text = config.text().replacen(&low, &ladder(), 1);
    std::fs::write(node.file("node.toml"), &text).unwrap();
    let [done, restart, failed] = api.reload();
    assert_eq!(done, ["channel demo was replaced"], "{restart:?} {failed:?}");
    node.wait_for_streams(4);
    let after = viewers.each_mut().map(|viewer| {
        viewer.find("the headers of the new one", Message::is_video_header);
        viewer.find("its first keyframe", Message::is_key).time
    });
    assert_eq!(after[0], after[1], "at one time");
    assert!(after[0] > before[0] && after[1] > before[1]);
    let mut half = Wire::play(node.rtmp_port(), "demo_half");
    // Its first picture may be one frame after theirs; from then on it is in step.
    half.find("a keyframe", Message::is_key);
    let key = half.find("the next keyframe", Message::is_key).time;
    let theirs = viewers[0].find("the same keyframe", |it| it.is_key() && it.time >= key).time;
    assert_eq!(key, theirs);

    let one = text.replacen(&ladder(), "", 1);
    std::fs::write(node.file("node.toml"), one).unwrap();
    assert_eq!(api.reload()[0], ["channel demo was replaced"]);
    node.wait_for_streams(1);
    viewers[0].find("the headers once more", Message::is_video_header);
    viewers[0].find("a keyframe", Message::is_key);
    assert_undisturbed(&node, &mut viewers[0], 30);
}

#[test]
fn a_rendition_that_cannot_be_is_told_before_anything_starts() {
    let config = demo().channel("other").more(&rendition("low", "width = 161"));
    let dir = tempfile::TempDir::new().unwrap();
    let file = config.write(dir.path());
    let ended = run_to_end(&["run", "--config", file.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.err);
    assert!(ended.err.contains("`width` must be even, such as 160 or 162"), "{}", ended.err);
}

/// Lets ffmpeg say the time and the mean luma of so many pictures of a stream.
fn measure(url: &str, pictures: u32) -> Program {
    let filter = "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-";
    let pictures = pictures.to_string();
    let last = ["-i", url, "-an", "-frames:v", &pictures, "-vf", filter, "-f", "null", "-"];
    Program::start("ffmpeg", "-v error -copyts", &last)
}

/// What it said.
fn measured(program: Program) -> Vec<(f64, f64)> {
    let text = String::from_utf8(program.succeeds(SOON)).unwrap();
    let after = |mark: &str| -> Vec<f64> {
        let values = text.lines().filter_map(|line| line.split_once(mark));
        values.map(|(_, value)| value.trim().parse().unwrap()).collect()
    };
    after("pts_time:").into_iter().zip(after("YAVG=")).collect()
}

#[test]
fn renditions_drawn_at_their_own_size_show_inputs_and_change_scenes_with_the_canvas() {
    let _turn = beside_others();
    let native = |name: &str, size: &str| {
        rendition(name, &format!("{size}\nrender = \"native\"\nbitrate = \"300k\""))
    };
    let own = native("own", "width = 240\nheight = 136");
    let tall = native("tall", "width = 90\nheight = 160");
    let white = "[[channel.scene]]\nname = \"white\"\nbackground = \"#ffffff\"\n";
    let config = Config::new().channel("demo").more("keyframe_seconds = 1\n").more(&(own + &tall));
    let config = config.layer("live", &format!("stream = \"{STUDIO}\"\nslate = \"\""));
    let node = Node::start(&config.audio("tone", "hz = 440").more(white));
    let _publisher = ffmpeg_publishes_picture("color=red:s=320x180:r=30", &node.publish_url());
    let mut viewer = Watcher::of(&node.url("live/demo"));
    viewer.wait_until_at("the publisher is seen", (160, 90), |seen| is_near(seen, RED, 12));
    for (name, sides) in [("demo_own", ["240", "136"]), ("demo_tall", ["90", "160"])] {
        let recorded =
            Recording::of(&node.url(&format!("live/{name}")), 2, node.file(&format!("{name}.flv")));
        recorded.assert_audio_and_picture(1.0);
        let about = recorded.about("v");
        for (side, pixels) in ["width", "height"].iter().zip(sides) {
            let line = format!("{side}={pixels}");
            assert!(about.lines().any(|own| own == line), "{line}: {about}");
        }
    }

    let names = ["demo", "demo_own", "demo_tall"];
    let viewers = || node.metric("rtmp_viewers", &[]);
    wait_until(SOON, "those who recorded have left", || (viewers() < 1.5).then_some(()));
    let programs = names.map(|name| measure(&node.url(&format!("live/{name}")), 8 * FPS));
    wait_until(SOON, "all of them are watched", || (viewers() > 3.5).then_some(()));
    done(&node, "POST /channels/demo/scenes/white/activate", &json!({}));
    let seen = programs.map(measured);
    // Red and white are as bright as on the canvas; a third of the upright one is not black.
    let cuts = seen.each_ref().map(|pictures| {
        let (first, last) = (pictures[0].1, pictures[pictures.len() - 1].1);
        let cut = pictures.iter().find(|(_, luma)| *luma > (first + last) / 2.0);
        (cut.map(|(time, _)| (time * 1_000.0).round()), first.round(), last.round())
    });
    assert_eq!([cuts[1].0, cuts[2].0], [cuts[0].0; 2], "{cuts:?}");
    let (_, red, white) = cuts[0];
    for ((_, first, last), part) in cuts.iter().zip([1.0, 1.0, 51.0 / 160.0]) {
        let is_near = |luma: f64, full: f64| (luma - 16.0 - (full - 16.0) * part).abs() < 4.0;
        assert!(is_near(*first, red) && is_near(*last, white), "{cuts:?}");
    }
    assert!(white > 225.0, "{cuts:?}");
}

#[test]
fn keyframes_of_renditions_drawn_at_their_own_size_are_those_of_the_canvas() {
    let _turn = beside_others();
    let native = rendition("own", "width = 160\nrender = \"native\"\nbitrate = \"200k\"");
    let node = Node::start(&with(&(native + &rendition("low", "width = 160\nbitrate = \"200k\""))));
    node.wait_for_streams(3);
    let names = ["demo", "demo_own", "demo_low"];
    let mut viewers = names.map(|name| Wire::play(node.rtmp_port(), name));
    let is_later = |message: &Message| message.is_key() && message.time >= 1_000;
    let keys = viewers.each_mut().map(|viewer| times(viewer, "keyframes", is_later, 4));
    let first = keys.iter().map(|times| times[0]).max().unwrap();
    for (name, times) in names.iter().zip(&keys) {
        assert!(times.contains(&first), "{name} has no keyframe at {first}: {keys:?}");
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.into_iter().all(|gap| gap == 1_000), "{name}: {keys:?}");
    }
}
