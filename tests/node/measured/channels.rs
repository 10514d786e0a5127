//! Channels of a running node: they come with a changed file, go with it, and take each other's
//! place, while others play and watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::api::events;
use crate::config::{Config, FPS, WIDTH};
use crate::destination::{Destination, Heard};
use crate::node::Node;
use crate::program::Program;
use crate::reloading::Api;
use crate::wait::{SOON, quietly, wait_until};
use crate::web::Answer;
use crate::wire::{Message, USER_CONTROL, Wire};

/// A node without a key, with a channel with a moving picture and audio.
fn one() -> Config {
    moving(Config::new().publish_open(), "one")
}

fn moving(config: Config, name: &str) -> Config {
    config.channel(name).layer("test-card", "").audio("tone", "hz = 440")
}

/// `config` with other words in its text.
fn with(config: &Config, from: &str, to: &str) -> Config {
    assert!(config.text().contains(from), "{from}");
    Config::of(config, config.text().replacen(from, to, 1))
}

fn rewrite(node: &Node, config: &Config) {
    config.write(node.file("").as_path());
}

fn channels(api: &Api) -> Vec<String> {
    let all = api.json("channels");
    all.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// What has become of channels so far: kind, channel and who did it.
fn comings_and_goings(node: &Node) -> Vec<[String; 3]> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let all = events(node).into_iter().map(|it| ["kind", "channel", "actor"].map(|k| text(&it, k)));
    all.filter(|[kind, ..]| ["channel_started", "channel_stopped"].contains(&kind.as_str()))
        .collect()
}

/// Plays a stream until it is told to stop, or the stream ends, and keeps what it was sent.
struct Viewer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Message>>,
}

impl Viewer {
    fn of(node: &Node, name: &str) -> Self {
        let mut wire = Wire::play(node.rtmp_port(), name);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let mut messages = vec![wire.find("a picture", Message::is_picture)];
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match wire.next() {
                    Some(message) => messages.push(message),
                    None => break,
                }
            }
            messages
        });
        Self { stop, thread }
    }

    /// What it was sent until the stream's end.
    fn at_end(self) -> Vec<Message> {
        self.thread.join().unwrap()
    }

    /// What it was sent up to now.
    fn now(self) -> Vec<Message> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The times of the pictures.
fn pictures(messages: &[Message]) -> Vec<u32> {
    messages.iter().filter(|message| message.is_picture()).map(|message| message.time).collect()
}

/// The longest time from one picture to the next.
fn longest_gap(times: &[u32]) -> u32 {
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

/// Milliseconds of a picture, rounded up.
const PICTURE_MS: u32 = 1_000_u32.div_ceil(FPS);

#[test]
fn a_channel_comes_and_goes_with_the_file_and_no_other_loses_a_picture() {
    let _turn = quietly();
    // Nobody waits for a channel that has been removed.
    let base = one().rtmp("grace = 3600");
    let node = Node::start(&base);
    let api = Api::of(&node);
    let other = Viewer::of(&node, "one");
    let destination = Destination::start();
    rewrite(&node, &moving(base.clone(), "two").output("cdn", &destination.url()));
    node.signal("HUP");
    node.wait_for_streams(2);
    // An independent program finds pictures and audio.
    let found = "-v error -count_packets -show_entries stream=codec_type,width -of csv=p=0 \
                 -read_intervals %+1";
    let shown = Program::start("ffprobe", found, &[&node.url("live/two")]).succeeds(SOON);
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains(&format!("video,{WIDTH}")) && shown.contains("audio"), "{shown}");
    wait_until(SOON, "it is known everywhere", || {
        let is_listed = channels(&api) == ["one", "two"];
        let fps = node.metric("encoder_fps", &["channel=\"two\""]);
        (is_listed && fps > 20.0 && node.http("/readyz").0 == 200).then_some(())
    });
    let state = api.json("channels/two");
    assert_eq!((&state["width"], &state["outputs"][0]), (&WIDTH.into(), &"cdn".into()));
    wait_until(SOON, "its output sends", || {
        destination.messages().iter().any(Message::is_picture).then_some(())
    });

    let ours = Viewer::of(&node, "two");
    let mut flv = Answer::to(node.rtmp_port(), "GET", "/live/two.flv", "");
    assert_eq!(flv.flv_header(), 5);
    rewrite(&node, &base);
    node.signal("HUP");
    let heard = ours.at_end();
    let status = |message: &Message| message.status().map(|[code, ..]| code);
    let codes: Vec<_> = heard.iter().filter_map(status).collect();
    assert_eq!(codes.last().map(String::as_str), Some("NetStream.Play.UnpublishNotify"));
    let eof = |message: &Message| message.kind == USER_CONTROL && message.body[..2] == [0, 1];
    assert!(heard.iter().any(eof), "no StreamEOF");
    while flv.tag().is_some() {}
    assert!(flv.body.is_over(), "the file was cut off");
    wait_until(SOON, "the destination was told goodbye", || {
        let unpublished = destination.messages().iter().any(|it| it.command() == "FCUnpublish");
        let closed = destination.heard().iter().any(|it| matches!(it, Heard::Closed));
        (unpublished && closed).then_some(())
    });
    wait_until(SOON, "nothing knows it any more", || {
        let is_gone = channels(&api) == ["one"] && api.json("outputs") == Value::Array(Vec::new());
        (is_gone && !node.http("/metrics").1.contains("channel=\"two\"")).then_some(())
    });
    assert_eq!(node.http("/readyz").0, 200);
    let (mut publisher, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(publisher.publish(stream, "two")[0], "NetStream.Publish.Start", "its name is free");
    let told = ["started", "stopped"]
        .map(|what| ["channel_".to_owned() + what, "two".to_owned(), "signal".to_owned()]);
    assert_eq!(comings_and_goings(&node), told);
    let times = pictures(&other.now());
    assert!(times.len() > 60 && longest_gap(&times) <= PICTURE_MS, "{times:?}");
    let log = node.program().err();
    let mut troubles = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
    assert!(troubles.all(|line| line.contains("publish = \"open\"")), "{log}");
}

#[test]
fn a_channel_of_another_size_and_rate_takes_the_others_place_and_who_watches_stays() {
    let _turn = quietly();
    let destination = Destination::start();
    let folder = tempfile::TempDir::new().unwrap();
    let base = one().output("cdn", &destination.url());
    let base = base.record("live/one", &format!("dir = {:?}", folder.path()));
    let node = Node::start(&base);
    let api = Api::of(&node);
    let recorded = || {
        let all = api.json("recordings");
        assert_eq!(all[0]["error"], Value::Null, "{all}");
        (all[0]["state"] == "live").then(|| all[0]["file"].clone())
    };
    let first_file = wait_until(SOON, "it is recorded", recorded);
    let viewer = Viewer::of(&node, "one");
    let rate = || {
        let all = api.json("streams");
        all.as_array().unwrap()[0]["bitrate_bps"].as_f64().unwrap()
    };
    wait_until(SOON, "its rate is measured", || (rate() > 500e3).then_some(()));
    let before = rate();
    assert!(before < 900e3, "{before}");
    let frames = || node.metric("encoder_frames_total", &["channel=\"one\""]);
    let encoded = frames();
    let bigger = with(&base, "bitrate = 600000", "bitrate = 2400000");
    rewrite(&node, &with(&bigger, "width = 320", "width = 480"));
    let [done, restart, failed] = api.reload();
    assert_eq!(done, ["channel one was replaced"]);
    assert_eq!([restart, failed], [const { Vec::<String>::new() }; 2]);
    wait_until(SOON, "its rate is the new one", || (rate() > 2_000e3).then_some(()));
    wait_until(SOON, "its state is the new one", || {
        let state = api.json("channels/one");
        (state["width"] == 480 && state["target_bps"] == 2_400_000).then_some(())
    });
    assert!(frames() > encoded, "its frames are counted on");
    wait_until(SOON, "the recording goes on, in a file of its own", || {
        recorded().filter(|file| *file != first_file)
    });
    let told = ["stopped", "started"].map(|what| format!("channel_{what}"));
    let kinds = comings_and_goings(&node).into_iter().map(|it| it[0].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), told);
    let shown = api.send("GET", "config", &Value::Null).1;
    assert!(shown.contains("bitrate = 2400000"), "{shown}");
    for (who, messages) in [("the viewer", viewer.now()), ("the output", destination.messages())] {
        let headers: Vec<_> =
            (0..messages.len()).filter(|at| messages[*at].is_video_header()).collect();
        let last = *headers.last().unwrap();
        let next = messages[last..].iter().find(|it| it.is_picture()).unwrap();
        assert!(next.is_key(), "{who} gets a keyframe after the new header");
        let times = pictures(&messages);
        assert!(times.is_sorted(), "{who}: {times:?}");
        assert!(longest_gap(&times) < 5_000, "{who}: {times:?}");
        assert!(messages[..last].iter().any(Message::is_picture), "{who} had pictures before");
        assert!(messages[last..].iter().any(Message::is_audio_header), "{who} hears the new audio");
    }
    // Who comes now begins with what there is now.
    let found = "-v error -show_entries stream=width -of csv=p=0 -select_streams v";
    let shown = Program::start("ffprobe", found, &[&node.url("live/one")]).succeeds(SOON);
    assert_eq!(String::from_utf8(shown).unwrap().trim(), "480");
    let heard = destination.heard();
    assert_eq!(heard.iter().filter(|it| matches!(it, Heard::Connected)).count(), 1);
    assert!(!heard.iter().any(|it| matches!(it, Heard::Closed)), "the output stays connected");
}

#[test]
fn a_channel_whose_stream_somebody_publishes_is_refused_and_all_else_is_applied() {
    let _turn = quietly();
    let base = one();
    let node = Node::start(&base);
    let api = Api::of(&node);
    let (mut publisher, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(publisher.publish(stream, "two")[0], "NetStream.Publish.Start");
    let threads = threads(&node);
    let file = moving(base.clone(), "two").more("[node]\nlog = \"debug\"\n");
    rewrite(&node, &file);
    let refused = || {
        let [done, restart, failed] = api.reload();
        assert_eq!((restart, failed.len()), (Vec::new(), 1), "{failed:?}");
        (done, failed.join(" "))
    };
    let (done, failed) = refused();
    assert_eq!(done, ["the log level is debug"]);
    assert!(failed.contains("channel two") && failed.contains("live/two"), "{failed}");
    assert_eq!(channels(&api), ["one"]);
    assert!(!api.send("GET", "config", &Value::Null).1.contains("name = \"two\""));
    wait_until(SOON, "nothing of it is left", || (self::threads(&node) <= threads).then_some(()));
    // One that is to make that stream from now on goes on with its own.
    let moved = with(&base, "stream = \"live/one\"", "stream = \"live/two\"");
    let viewer = Viewer::of(&node, "one");
    rewrite(&node, &moved.more("[node]\nlog = \"debug\"\n"));
    let (done, failed) = refused();
    assert_eq!(done, Vec::<String>::new());
    assert!(failed.contains("channel one") && failed.contains("live/two"), "{failed}");
    assert_eq!(api.json("channels/one")["stream"], "live/one");
    let times = pictures(&viewer.now());
    assert!(longest_gap(&times) <= PICTURE_MS, "{times:?}");
    // What the file says is tried again when it is read again.
    drop(publisher);
    rewrite(&node, &file);
    wait_until(SOON, "it begins once the publisher has left", || {
        let [done, _, _] = api.reload();
        done.iter().any(|line| line == "channel two began").then_some(())
    });
    Viewer::of(&node, "two").now();
}

#[test]
fn channels_that_came_and_went_leave_nothing_behind() {
    let _turn = quietly();
    let base = one();
    let node = Node::start(&base);
    let api = Api::of(&node);
    let more = moving(base.clone(), "two").layer_at("video", [0, 0, 32, 32], "path = \"none.mp4\"");
    let open = || std::fs::read_dir(format!("/proc/{}/fd", node.program().id())).unwrap().count();
    let mut before = None;
    for round in 0..20 {
        for (config, line) in [(&more, "channel two began"), (&base, "channel two ended")] {
            rewrite(&node, config);
            let [done, _, failed] = api.reload();
            assert_eq!((done, failed), (vec![line.to_owned()], Vec::new()), "round {round}");
        }
        // What is opened once, whatever comes first.
        before.get_or_insert_with(|| (settled(|| threads(&node)), settled(open)));
    }
    let (threads_before, open_before) = before.unwrap();
    wait_until(SOON, "all threads and descriptors are given back", || {
        (threads(&node) <= threads_before && open() <= open_before).then_some(())
    });
    assert_eq!(channels(&api), ["one"]);
    Viewer::of(&node, "one").now();
}

fn threads(node: &Node) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", node.program().id())).unwrap().count()
}

/// A count once it stays the same for a while.
fn settled(mut count: impl FnMut() -> usize) -> usize {
    let (mut last, mut same) = (count(), 0);
    wait_until(SOON, "nothing changes any more", || {
        let now = count();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (same == 100).then_some(now)
    })
}
