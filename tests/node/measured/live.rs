//! The running node is asked and changed: scenes, outputs, peers.

use std::path::Path;

use serde_json::json;
use stream_manager::LiveNode;
use stream_manager::command::{Answer, Ask, ClientView, Document, ScenesView, StreamView};
use stream_manager::event::{NodeEvent, Phase, Stage};

use crate::config::{Config, FPS};
use crate::nginx::Nginx;
use crate::pairs::ffmpeg_publishes_picture;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, alone, free_port, quietly, wait_until};
use crate::watcher::{Watcher, is_near};
use crate::wire::Wire;

/// In BT.709 of limited range.
const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [32, 240, 118];
const LIME: [u8; 3] = [173, 42, 26];

/// A node in this process.
struct Live {
    node: LiveNode,
    rtmp: u16,
    dir: tempfile::TempDir,
}

impl Live {
    fn start(config: &Config) -> Self {
        let dir = tempfile::TempDir::new().unwrap();
        // Anybody may publish: keys are another scenario's.
        let text = config.text().replace("publish = \"key\"", "publish = \"open\"");
        let config_read = stream_manager::config::Config::parse(&text, "the scenario").unwrap();
        let node = LiveNode::start(&config_read).unwrap();
        Self { node, rtmp: config.rtmp, dir }
    }

    fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{stream}", self.rtmp)
    }

    fn does(&self, ask: Ask) {
        let told = format!("{ask:?}");
        let answer = self.node.ask(ask);
        assert!(matches!(answer, Answer::Done), "{told}: {answer:?}");
    }

    fn activate(&self, scene: &str, fade_ms: u32) {
        let (channel, scene) = ("demo".to_owned(), scene.to_owned());
        let transition = Some(json!({ "type": "fade", "duration_ms": fade_ms }));
        self.does(Ask::Activate { channel, scene, transition });
    }

    fn scenes(&self) -> ScenesView {
        match self.node.ask(Ask::Scenes { channel: "demo".to_owned() }) {
            Answer::Scenes(view) => view,
            other => panic!("{other:?}"),
        }
    }

    fn streams(&self) -> Vec<StreamView> {
        match self.node.ask(Ask::Streams) {
            Answer::Streams(list) => list,
            other => panic!("{other:?}"),
        }
    }

    fn clients(&self, stream: &str) -> Vec<ClientView> {
        match self.node.ask(Ask::Clients { stream: Some(stream.to_owned()) }) {
            Answer::Clients(list) => list,
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Waits for the end of a stage, and gives its reason.
    fn done(&self, stage: Stage) -> String {
        wait_until(SOON, "the stage is done", || {
            self.node.events().find_map(|event| match event {
                NodeEvent::Connection(event)
                    if event.kind.stage == stage && event.kind.phase == Phase::Done =>
                {
                    Some(event.reason.to_string())
                }
                _ => None,
            })
        })
    }

    fn output_state(&self, name: &str) -> Option<&'static str> {
        let outputs = self.node.node().unwrap().registry().snapshot().outputs;
        let output = outputs.into_iter().find(|output| output.name == name)?;
        Some(output.figures.line.state.label())
    }
}

/// A channel with a red scene on the air and a blue one beside it.
fn red_and_blue() -> Config {
    let config = Config::new().channel("demo").layer("color", "color = \"#ff0000\"");
    config.audio("tone", "hz = 440").more(
        "[[channel.scene]]\nname = \"blue\"\n[[channel.scene.layer]]\nname = \"all\"\n\
         type = \"color\"\ncolor = \"#0000ff\"\n",
    )
}

/// Records while something is changed; the middle of each picture, with its time.
fn middles(live: &Live, name: &str, change: impl FnOnce()) -> Vec<(f64, [u8; 3])> {
    let file = live.file(name);
    let recording = Recording::begin(&live.url("live/demo"), 4, &file);
    wait_for_bytes(&file);
    change();
    recording.succeeds(SOON);
    let recording = Recording::at(file);
    recording.pictures().iter().map(|picture| (picture.pts, picture.middle())).collect()
}

fn wait_for_bytes(file: &Path) {
    wait_until(SOON, "the recording has begun", || {
        std::fs::metadata(file).ok().filter(|it| it.len() > 20_000).map(drop)
    });
}

fn assert_even(pictures: &[(f64, [u8; 3])]) {
    for pair in pictures.windows(2) {
        let gap = (pair[1].0 - pair[0].0) * f64::from(FPS);
        assert!((gap - 1.0).abs() < 0.1, "{gap} frames from one picture to the next");
    }
}

#[test]
fn a_viewer_sees_a_cut_at_one_frame_and_no_gap_in_time() {
    let _turn = quietly();
    let live = Live::start(&red_and_blue());
    assert_eq!(live.scenes().names, ["main", "blue"]);
    let pictures = middles(&live, "cut.flv", || live.activate("blue", 0));
    assert_eq!(live.scenes().active, "blue");
    assert_even(&pictures);
    let cut = pictures.iter().position(|(_, middle)| !is_near(*middle, RED, 6)).unwrap();
    assert!(cut > 0, "it was red before");
    let wrong = pictures[cut..].iter().find(|(_, middle)| !is_near(*middle, BLUE, 6));
    assert!(wrong.is_none(), "{wrong:?} after the cut");
}

#[test]
fn a_viewer_sees_a_fade_pass_through_the_colours_between() {
    let _turn = quietly();
    let live = Live::start(&red_and_blue());
    let pictures = middles(&live, "fade.flv", || live.activate("blue", 500));
    assert_even(&pictures);
    let between = pictures
        .iter()
        .filter(|(_, middle)| !is_near(*middle, RED, 6) && !is_near(*middle, BLUE, 6));
    let count = between.count();
    assert!((10..=16).contains(&count), "{count} pictures of 500 ms at {FPS} fps");
    // Towards blue, step by step; the encoder may be off by a little.
    let chroma: Vec<_> = pictures.iter().map(|(_, middle)| middle[1]).collect();
    assert!(chroma.windows(2).all(|pair| pair[1] + 8 >= pair[0]), "{chroma:?}");
}

#[test]
fn a_scene_is_put_while_it_is_on_the_air_and_shows_its_live_input() {
    let _turn = alone(); // it counts the threads of this process
    let live = Live::start(&red_and_blue());
    let camera = live.url("live/camera");
    let _publisher = ffmpeg_publishes_picture("color=lime:s=320x180:r=30", &camera);
    wait_until(SOON, "the camera is live", || {
        live.streams().into_iter().find(|stream| stream.name == "live/camera").map(drop)
    });
    let mut viewer = Watcher::of(&live.url("live/demo"));
    viewer.wait_for("it is red", RED);
    let document = serde_json::json!({ "layer": [
        { "name": "camera", "type": "live", "stream": "live/camera", "fit": "fill" }
    ] });
    let (channel, scene) = ("demo".to_owned(), "main".to_owned());
    live.does(Ask::PutScene { channel, scene, version: Some(1), document });
    viewer.wait_for("the camera is seen", LIME);
    let decoders = threads("decode");
    live.activate("blue", 0);
    viewer.wait_for("it is blue", BLUE);
    wait_until(SOON, "the decoder has ended", || (threads("decode") < decoders).then_some(()));
}

#[test]
fn a_live_input_is_there_from_the_first_frame_of_a_scene_that_shows_it_larger() {
    let _turn = quietly();
    let input = "stream = \"live/camera\"\nslate = \"\"\n";
    let config = Config::new().channel("demo").layer("color", "color = \"#ff0000\"");
    let config = config.layer_at("live", [80, 46, 160, 90], input).more(&format!(
        "[[channel.scene]]\nname = \"large\"\n[[channel.scene.layer]]\nname = \"camera\"\n\
         type = \"live\"\n{input}"
    ));
    let live = Live::start(&config);
    let camera = live.url("live/camera");
    let _publisher = ffmpeg_publishes_picture("color=lime:s=320x180:r=30", &camera);
    Watcher::of(&live.url("live/demo")).wait_for("the camera is seen", LIME);
    let pictures = middles(&live, "larger.flv", || live.activate("large", 0));
    assert_even(&pictures);
    let wrong: Vec<_> = pictures.iter().filter(|(_, middle)| !is_near(*middle, LIME, 12)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(live.scenes().active, "large");
}

/// Threads of this process with a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.trim() == name).count()
}

#[test]
fn an_output_is_added_stopped_started_and_removed_while_the_node_runs() {
    let _turn = quietly();
    let live = Live::start(&red_and_blue());
    let port = free_port();
    let nginx = Nginx::start(port);
    let (channel, name) = ("demo".to_owned(), "cdn".to_owned());
    let document = || Document(serde_json::json!({"name": "cdn", "url": nginx.url("show")}));
    let add = Ask::AddOutput { channel: channel.clone(), document: document() };
    let added = live.node.ask(add.clone());
    assert!(matches!(&added, Answer::Named(name) if name == "cdn"), "{added:?}");
    assert!(matches!(live.node.ask(add), Answer::Conflict(_)));
    // nginx-rtmp lets its viewers wait for the next keyframe, which is at most 2 s away.
    Recording::of(&nginx.url("show"), 4, live.file("pushed.flv")).assert_audio_and_picture(1.0);

    let goodbyes = || nginx.log().matches("deleteStream").count();
    live.does(Ask::StopOutput { channel: channel.clone(), name: name.clone() });
    wait_until(SOON, "it has stopped", || {
        (live.output_state("cdn") == Some("stopped")).then_some(())
    });
    wait_until(SOON, "it has said goodbye", || (goodbyes() >= 1).then_some(()));
    live.does(Ask::StartOutput { channel: channel.clone(), name: name.clone() });
    wait_until(SOON, "it is live again", || {
        (live.output_state("cdn") == Some("live")).then_some(())
    });

    live.does(Ask::RemoveOutput { channel: channel.clone(), name: name.clone() });
    assert_eq!(live.output_state("cdn"), None);
    wait_until(SOON, "it has said goodbye", || (goodbyes() >= 2).then_some(()));
    assert!(matches!(live.node.ask(Ask::RemoveOutput { channel, name }), Answer::NotFound(_)));
}

#[test]
fn streams_and_peers_are_listed_and_peers_are_ended_with_a_reason() {
    let _turn = quietly();
    let live = Live::start(&red_and_blue());
    let camera = live.url("live/camera");
    let publisher = ffmpeg_publishes_picture("testsrc=s=320x180:r=30", &camera);
    let stream = wait_until(SOON, "the camera is live", || {
        let found = live.streams().into_iter().find(|stream| stream.name == "live/camera")?;
        (found.bitrate_bps > 0.0).then_some(found)
    });
    assert_eq!(stream.source, "publisher");
    let video = stream.video.expect("pictures");
    assert_eq!((video.codec.as_str(), video.width, video.height), ("H264", 320, 180));
    assert!((video.fps - 30.0).abs() < 0.1 && stream.bytes_in > 0);
    assert_eq!(stream.audio.expect("audio").codec, "AAC");
    let demo = live.streams().into_iter().find(|stream| stream.name == "live/demo").unwrap();
    assert_eq!((demo.source, demo.publisher), ("channel", None));

    let mut viewer = Wire::play(live.rtmp, "camera");
    let player = wait_until(SOON, "the viewer is listed", || {
        live.clients("live/camera").into_iter().find(|it| it.state == "player" && it.bytes_out > 0)
    });
    let unknown = Ask::Kick { client: "AAAAAAAA".to_owned(), actor: None };
    assert!(matches!(live.node.ask(unknown), Answer::NotFound(_)));
    live.does(Ask::Kick { client: player.id, actor: None });
    while viewer.next().is_some() {}
    assert_eq!(live.done(Stage::Play), "ended by the operator");

    let id = stream.publisher.expect("a publisher").id;
    assert!(live.clients("live/camera").iter().any(|it| it.id == id && it.state == "publisher"));
    let kick = || Ask::KickPublisher { stream: "live/camera".to_owned(), actor: None };
    live.does(kick());
    assert_eq!(live.done(Stage::Publish), "ended by the operator");
    let ended: Program = publisher;
    assert!(!ended.ended(SOON).status.success(), "ffmpeg was sent away");
    assert!(matches!(live.node.ask(kick()), Answer::NotFound(_)));
}
