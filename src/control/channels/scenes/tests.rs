//! Scenes from wish to air, with the composer's side played by hand.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::command::{SceneView, ScenesView};
use crate::config::{from_document, to_document};
use crate::control::channels::frame_sockets::FrameSockets;
use crate::control::channels::players::Players;
use crate::control::threads::Threads;
use crate::event::NodeEvent;
use crate::frame::{Geometry, PacketPool, PacketPoolSpec, Pool};
use crate::media::PixelFormat;
use crate::pipeline::{CHANGES_MAX, SCENE_REPORTS_MAX, StartAt};
use crate::ring::{Bell, channel};
use crate::scene::kernel::Level;
use crate::scene::{Composed, Composer, Tick};

mod preview;

const CHANNEL: &str = "demo";

/// Control's side, and the composer at the other end of the rings.
struct Bench {
    scenes: Scenes,
    events: EventQueue,
    news: mpsc::Receiver<LoadReport>,
    composer: Composer,
    pool: Pool,
    changes: Receiver<SceneChange>,
    reports: Sender<SceneReport>,
    n: u64,
    /// What decoders want, as the shard holds it.
    subscriptions: Vec<Subscription>,
}

fn color(color: &str) -> Value {
    json!({ "layer": [{ "name": "all", "type": "color", "color": color }] })
}

fn bench() -> Bench {
    let size = Size::new(64, 32).unwrap();
    let mut config = ChannelConfig::plain(CHANNEL, "live/demo", size);
    config.scenes = [("main", "#000000"), ("other", "#ffffff")]
        .map(|(name, shade)| NamedScene {
            name: name.to_owned(),
            scene: from_document(&color(shade), size).unwrap(),
        })
        .to_vec();
    let events: EventQueue = Arc::new(crossbeam::queue::ArrayQueue::new(64));
    let context = ChannelContext {
        clock: Clock::start(),
        packets: PacketPool::new(PacketPoolSpec::default()).unwrap(),
        chunk_size: 60_000,
        cpu: Arc::default(),
        encode_cpus: Vec::new(),
        compose_cpus: Vec::new(),
        bells: Arc::from([]),
        home: Bell::new(),
        controller: Bell::new(),
        events: Arc::clone(&events),
        loader: Arc::default(),
        threads: Threads::default(),
        frame_sockets: FrameSockets::default(),
        players: Players::default(),
        composers: Threads::default(),
        loops: Arc::default(),
        origin: Arc::default(),
    };
    let (mut scenes, news) = Scenes::new(&context);
    let (to_composer, changes) = channel(CHANGES_MAX, Bell::new());
    let (reports, heard) = channel(SCENE_REPORTS_MAX, Bell::new());
    scenes.put(
        &config,
        Some(SceneEnds {
            changes: to_composer,
            reports: heard,
            natives: Vec::new(),
            stats: Arc::default(),
            inputs: InputPool::default(),
            tap: None,
        }),
        &[],
    );
    Bench {
        scenes,
        events,
        news,
        composer: Composer::new(config.scene(), size, Level::Scalar).unwrap(),
        pool: Pool::new(Geometry::new(size, PixelFormat::I420), 3).unwrap(),
        changes,
        reports,
        n: 0,
        subscriptions: Vec::new(),
    }
}

impl Bench {
    fn ask(&mut self, ask: Ask) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        assert!(self.scenes.ask(ask, reply, true).is_none());
        answer
    }

    fn put(&self, scene: &str, version: Option<u64>, document: Value) -> Ask {
        let (channel, scene) = (CHANNEL.to_owned(), scene.to_owned());
        Ask::PutScene { channel, scene, version, document }
    }

    fn activate(&self, scene: &str, fade_ms: u32) -> Ask {
        let transition = Some(json!({ "type": "fade", "duration_ms": fade_ms }));
        Ask::Activate { channel: CHANNEL.to_owned(), scene: scene.to_owned(), transition }
    }

    /// What a loading thread says next.
    fn handle(&mut self) -> Vec<Subscription> {
        let news = self.news.blocking_recv().unwrap();
        self.scenes.handle(news)
    }

    /// Draws a tick; the luma of its corner.
    fn tick(&mut self) -> u8 {
        self.luma()[0]
    }

    /// Draws a tick; its luma.
    fn luma(&mut self) -> Vec<u8> {
        if let Some(SceneChange { ticket, change, .. }) = self.changes.pop() {
            self.composer.change(change);
            self.reports.push(SceneReport::Shown { ticket, tick: self.n }).unwrap();
        }
        let at = Micros::from_millis(20 * self.n);
        let tick = Tick { n: self.n, at, programme: at, unix_ms: 0 };
        let composed = self.composer.compose(&tick, &self.pool);
        while let Some(retired) = self.composer.take_retired() {
            self.reports.push(SceneReport::Retired(retired)).unwrap();
        }
        self.n += 1;
        self.scenes.read_mail();
        match composed {
            Composed::Fresh(frame) | Composed::Same(frame) => frame.plane(0).to_vec(),
            Composed::NoFrame => panic!("no frame"),
        }
    }

    /// Lets a wish come true that needs the composer.
    fn fulfil(&mut self, ask: Ask) -> Answer {
        let mut answer = self.ask(ask);
        while self.changes.is_empty() {
            if let Ok(answer) = answer.try_recv() {
                return answer;
            }
            self.handle();
        }
        assert!(answer.try_recv().is_err(), "not before it is seen");
        self.tick();
        answer.try_recv().unwrap()
    }

    fn view(&mut self) -> ScenesView {
        match self.ask(Ask::Scenes { channel: CHANNEL.to_owned() }).try_recv() {
            Ok(Answer::Scenes(view)) => view,
            other => panic!("{other:?}"),
        }
    }

    fn scene(&mut self, scene: &str) -> SceneView {
        let ask = Ask::Scene { channel: CHANNEL.to_owned(), scene: scene.to_owned() };
        match self.ask(ask).try_recv() {
            Ok(Answer::Scene(view)) => view,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_scene_is_active_once_its_first_frame_is_out() {
    let mut bench = bench();
    assert_eq!(bench.tick(), 16);
    let wish = bench.activate("other", 0);
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    assert_eq!(bench.tick(), 235);
    let view = bench.view();
    assert_eq!((view.active.as_str(), view.names.len()), ("other", 2));
    assert_eq!(bench.scene("other").version, 1, "showing a scene does not change it");
    let wish = bench.activate("other", 0);
    assert!(matches!(bench.ask(wish).try_recv(), Ok(Answer::Done)));
}

#[test]
fn a_fade_takes_its_time() {
    let mut bench = bench();
    bench.tick();
    let wish = bench.activate("other", 200);
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    let lumas: Vec<_> = (0..10).map(|_| bench.tick()).collect();
    assert!(lumas.is_sorted() && lumas[0] > 16 && lumas[8] < 235, "{lumas:?}");
    assert_eq!(lumas[9], 235);
    let wish = bench.activate("main", 10_001);
    assert!(matches!(bench.ask(wish).try_recv(), Ok(Answer::Invalid(_))));
}

#[test]
fn replacing_the_scene_on_the_air_shows_and_replacing_another_does_not() {
    let mut bench = bench();
    bench.tick();
    let wish = bench.put("main", Some(1), color("#ff0000"));
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    let red = bench.tick();
    assert!((16..235).contains(&red));
    assert_eq!(bench.scene("main").version, 2);

    let wish = bench.put("other", None, color("#0000ff"));
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    assert_eq!((bench.tick(), bench.scene("other").version), (red, 2));

    let wish = bench.put("third", None, color("#0000ff"));
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    assert_eq!(bench.view().names, ["main", "other", "third"]);
    assert_eq!(bench.scene("third").version, 1);
}

#[test]
fn what_is_read_can_be_put_back_and_changes_nothing() {
    let mut bench = bench();
    let before = bench.scene("other");
    let wish = bench.put("other", Some(before.version), before.document.clone());
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    assert_eq!(bench.scene("other"), before);
}

#[test]
fn a_version_that_is_not_the_present_one_is_a_conflict() {
    let mut bench = bench();
    for (scene, version, told) in
        [("main", 2, "at version 1, not 2"), ("new", 1, "there is no scene new")]
    {
        let wish = bench.put(scene, Some(version), color("#ff0000"));
        let answer = bench.ask(wish).try_recv();
        assert!(matches!(&answer, Ok(Answer::Conflict(text)) if text.contains(told)), "{answer:?}");
    }
    // Of two that began with the same version, the second loses, even if it came before the first
    // was done.
    let wishes = [0, 1].map(|_| bench.put("other", Some(1), color("#00ff00")));
    let [mut first, mut second] = wishes.map(|wish| bench.ask(wish));
    assert!(second.try_recv().is_err());
    bench.handle();
    assert!(matches!(first.try_recv(), Ok(Answer::Done)));
    assert!(matches!(second.try_recv(), Ok(Answer::Conflict(_))));
}

#[test]
fn what_cannot_be_shown_changes_nothing() {
    let mut bench = bench();
    bench.tick();
    let missing = json!({ "layer": [{ "name": "pic", "type": "image", "path": "/no/such.png" }] });
    let font = json!({ "layer": [
        { "name": "words", "type": "text", "text": "x", "font": "No Such Font" }
    ] });
    for (document, told) in [(missing, "layer \"pic\""), (font, "layer \"words\"")] {
        for scene in ["main", "other", "new"] {
            let wish = bench.put(scene, None, document.clone());
            let answer = bench.fulfil(wish);
            let Answer::Invalid(faults) = &answer else { panic!("{answer:?}") };
            assert!(faults.iter().any(|fault| fault.contains(told)), "{faults:?}");
        }
    }
    assert_eq!((bench.tick(), bench.view().names.len()), (16, 2));
    assert_eq!(bench.scene("main").version, 1);
}

#[test]
fn inputs_of_the_new_scene_ask_for_their_streams_and_those_that_go_on_do_not() {
    let mut bench = bench();
    bench.tick();
    let cam = json!({ "name": "cam", "type": "live", "stream": "live/cam" });
    let wish = bench.put("main", None, json!({ "layer": [cam] }));
    let mut answer = bench.ask(wish);
    let subscriptions = bench.handle();
    let names: Vec<_> = subscriptions.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["live/cam"]);
    assert!(bench.handle().is_empty());
    bench.tick();
    assert!(matches!(answer.try_recv(), Ok(Answer::Done)));

    // Its text changes, its place changes, its picture goes on; another one comes.
    let moved = json!({
        "name": "cam", "type": "live", "stream": "live/cam", "x": 20, "slate": "Back soon"
    });
    let more = json!({ "name": "more", "type": "live", "stream": "live/more", "width": 32 });
    let wish = bench.put("main", None, json!({ "layer": [moved, more] }));
    let mut answer = bench.ask(wish);
    let more = bench.handle();
    assert_eq!(more.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["live/more"]);
    assert!(bench.handle().is_empty());
    bench.tick();
    assert!(matches!(answer.try_recv(), Ok(Answer::Done)));
    assert!(!subscriptions[0].1.is_closed(), "its decoder goes on");

    // And then neither is shown: their decoders end, and with them their subscriptions.
    let wish = bench.activate("other", 0);
    assert!(matches!(bench.fulfil(wish), Answer::Done));
    let closed =
        || subscriptions.iter().chain(&more).all(|(_, subscription)| subscription.is_closed());
    let clock = Clock::start();
    while !closed() {
        assert!(clock.now() < Micros::from_secs(20), "decoders go on");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_channel_that_has_stopped_says_so() {
    let mut bench = bench();
    let (closed, _) = channel(1, Bell::new());
    drop(std::mem::replace(&mut bench.changes, channel(1, Bell::new()).1));
    drop(std::mem::replace(&mut bench.reports, closed));
    let wish = bench.activate("other", 0);
    let mut answer = bench.ask(wish);
    bench.handle();
    bench.handle();
    bench.scenes.tick();
    assert!(matches!(answer.try_recv(), Ok(Answer::Unavailable(text)) if text.contains("stopped")));
    assert_eq!(bench.view().active, "main");
}

#[test]
fn wishes_beyond_the_limit_are_turned_away_and_none_is_lost() {
    let mut bench = bench();
    let mut answers = Vec::new();
    for n in 0..REQUESTS_MAX + 1 {
        let wish = bench.put(&format!("s{}", n % 8), None, color(&format!("#0000{n:02x}")));
        answers.push(bench.ask(wish));
    }
    let wish = bench.activate("other", 0);
    assert!(matches!(bench.ask(wish).try_recv(), Ok(Answer::Unavailable(_))));
    // The first alone, the others together.
    bench.handle();
    bench.handle();
    for mut answer in answers {
        assert!(matches!(answer.try_recv(), Ok(Answer::Done)));
    }
    assert_eq!(bench.view().names.len(), 2 + 8);
    let last = bench.scene("s0");
    assert_eq!((last.version, &last.document["layer"][0]["color"]), (17, &json!("#000080")));
}

#[test]
fn edits_that_wait_are_seen_at_one_frame_and_one_that_is_wrong_fails_alone() {
    let alpha = |layer: &str, version: Option<u64>, alpha: f64| {
        patch(Some("main"), layer, version, &json!({ "alpha": alpha }))
    };
    let mut bench = bench();
    bench.tick();
    let put = bench.put("main", None, color("#ffffff"));
    let mut first = bench.ask(put);
    // While that is being loaded:
    let mut answers: Vec<_> = [0.5, 7.0, 0.25].map(|it| bench.ask(alpha("all", None, it))).into();
    let put = bench.put("other", None, color("#0000ff"));
    let mut joined = bench.ask(put);
    let mut missing = bench.ask(alpha("none", None, 1.0));
    let mut known = bench.ask(alpha("all", Some(4), 0.75));
    while bench.changes.is_empty() {
        bench.handle();
    }
    bench.tick();
    assert!(matches!(first.try_recv(), Ok(Answer::Done)));
    while bench.changes.is_empty() {
        bench.handle();
    }
    assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "not before it is seen");
    let dim = bench.tick();
    let told: Vec<_> = answers.iter_mut().map(|answer| answer.try_recv().unwrap()).collect();
    let [Answer::Shown { frame }, Answer::Invalid(faults), Answer::Shown { frame: last }] =
        told.as_slice()
    else {
        panic!("{told:?}");
    };
    assert_eq!(frame, last);
    assert!(faults[0].contains("alpha"), "{faults:?}");
    assert!((60..80).contains(&dim), "a quarter of white: {dim}");
    assert!(matches!(joined.try_recv(), Ok(Answer::Done)), "each is answered as it would be alone");
    assert!(matches!(missing.try_recv(), Ok(Answer::NotFound(_))));
    // The version that it names is the one that the others made.
    assert_eq!(bench.scene("main").version, 4);
    while bench.changes.is_empty() {
        bench.handle();
    }
    bench.tick();
    assert!(matches!(known.try_recv(), Ok(Answer::Shown { .. })));
    assert_eq!(bench.scene("main").version, 5);
}

#[test]
fn edits_that_fail_together_are_tried_one_by_one() {
    let mut bench = bench();
    let wish = bench.activate("other", 0);
    let mut first = bench.ask(wish);
    let mut answers: Vec<_> =
        ["red", "green"].map(|name| bench.ask(bench.put(name, None, color("#ff0000")))).into();
    while bench.changes.is_empty() {
        bench.handle();
    }
    bench.tick();
    assert!(matches!(first.try_recv(), Ok(Answer::Done)));
    let LoadReport { id, ticket, .. } = bench.news.blocking_recv().unwrap();
    let loaded = Loaded::Failed("there is no memory".to_owned());
    bench.scenes.handle(LoadReport { id, ticket, loaded });
    assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()), "nobody is told yet");
    for answer in &mut answers {
        bench.handle();
        assert!(matches!(answer.try_recv(), Ok(Answer::Done)));
    }
}

#[test]
fn a_scene_whose_file_has_gone_is_refused_when_written_and_shown_when_known() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logo.png");
    let image = json!({ "layer": [{ "name": "logo", "type": "image", "path": path }] });
    let mut bench = bench();
    let put = bench.put("third", None, image.clone());
    let Answer::Invalid(told) = bench.fulfil(put) else { panic!("not refused") };
    assert!(told[0].contains("logo.png"), "{told:?}");
    image::RgbaImage::from_pixel(8, 8, image::Rgba([255; 4])).save(&path).unwrap();
    let put = bench.put("third", None, image);
    assert!(matches!(bench.fulfil(put), Answer::Done));
    std::fs::remove_file(&path).unwrap();
    let activate = bench.activate("third", 0);
    assert!(matches!(bench.fulfil(activate), Answer::Done));
    let Some(NodeEvent::AssetFailed { channel, layer, .. }) = bench.events.pop() else {
        panic!("nothing is told")
    };
    assert_eq!((channel.as_str(), layer.as_str()), (CHANNEL, "logo"));
}

#[test]
fn a_channel_of_another_programs_frames_has_no_scenes_to_change() {
    let mut bench = bench();
    let config = ChannelConfig::plain("embedded", "live/x", Size::HD720);
    bench.scenes.put(&config, None, &[]);
    let (channel, scene) = ("embedded".to_owned(), "main".to_owned());
    let answer = bench.ask(Ask::Activate { channel, scene, transition: None }).try_recv();
    assert!(matches!(answer, Ok(Answer::Invalid(_))));
    let nobody = Ask::Scenes { channel: "nobody".to_owned() };
    assert!(matches!(bench.ask(nobody).try_recv(), Ok(Answer::NotFound(_))));
}

#[test]
fn a_channel_that_goes_or_is_replaced_leaves_nobody_waiting() {
    let mut bench = bench();
    let activate = bench.activate("other", 0);
    let mut answers = [activate.clone(), activate].map(|ask| bench.ask(ask));
    let size = Size::new(64, 32).unwrap();
    bench.scenes.put(&ChannelConfig::plain(CHANNEL, "live/demo", size), None, &[]);
    for answer in &mut answers {
        let told = answer.try_recv();
        let Ok(Answer::Unavailable(text)) = told else { panic!("{told:?}") };
        assert!(text.contains("has stopped"), "{text}");
    }
    assert_eq!(bench.scenes.channels.len(), 1, "another takes its place");
    bench.handle(); // what the thread says that loads for the channel before it
    assert!(bench.scenes.channels[0].job.is_none());
    bench.scenes.remove(CHANNEL);
    let none = bench.ask(Ask::Scenes { channel: CHANNEL.to_owned() }).try_recv();
    assert!(matches!(none, Ok(Answer::NotFound(_))), "{none:?}");
}

#[test]
fn a_scene_whose_files_do_not_come_makes_way_for_the_next_wish() {
    let mut bench = bench();
    let wish = bench.activate("other", 0);
    let mut late = bench.ask(wish);
    let wish = bench.put("third", None, color("#ff0000"));
    let mut next = bench.ask(wish);
    bench.scenes.tick();
    assert!(late.try_recv().is_err(), "it has time");
    bench.scenes.channels[0].job.as_mut().unwrap().deadline = Micros(0);
    bench.scenes.tick();
    assert!(matches!(late.try_recv(), Ok(Answer::Unavailable(_))));
    // What the first thread says in the end is heard by nobody.
    let answer = loop {
        bench.handle();
        if let Ok(answer) = next.try_recv() {
            break answer;
        }
    };
    assert!(matches!(answer, Answer::Done), "{answer:?}");
    let view = bench.view();
    assert_eq!((view.active.as_str(), view.names.len()), ("main", 3));
    assert_eq!(bench.tick(), 16);
}

#[test]
fn a_scene_that_is_inside_the_one_on_the_air_changes_there() {
    let mut bench = bench();
    let inset = json!({ "layer": [{ "name": "in", "type": "scene", "scene": "other" }] });
    let ask = bench.put("main", None, inset.clone());
    assert!(matches!(bench.fulfil(ask), Answer::Done));
    assert_eq!(bench.tick(), 235);
    let ask = bench.put("other", None, color("#000000"));
    assert!(matches!(bench.fulfil(ask), Answer::Done));
    assert_eq!((bench.tick(), bench.view().active.as_str()), (16, "main"));
    let circle = json!({ "layer": [{ "name": "in", "type": "scene", "scene": "main" }] });
    let ask = bench.put("other", None, circle);
    let Answer::Invalid(told) = bench.fulfil(ask) else { panic!("a circle") };
    assert!(
        told[0].contains("main > other > main") || told[0].contains("other > main"),
        "{told:?}"
    );
    let ask = bench.put("main", None, inset);
    assert!(matches!(bench.fulfil(ask), Answer::Done), "nothing is left of what was refused");
    let remove = Ask::RemoveScene { channel: CHANNEL.to_owned(), scene: "other".to_owned() };
    let answer = bench.ask(remove).try_recv().unwrap();
    assert!(matches!(&answer, Answer::Conflict(text) if text.contains("main")), "{answer:?}");
}

#[test]
fn overlays_are_above_whatever_scene_is_on_the_air_and_have_a_version() {
    let mut bench = bench();
    let overlays =
        |version, document| Ask::PutOverlays { channel: CHANNEL.to_owned(), version, document };
    let grey = json!({ "overlay": [{ "name": "o", "type": "color", "color": "#808080" }] });
    assert!(matches!(bench.fulfil(overlays(Some(1), grey)), Answer::Done));
    let shade = bench.tick();
    assert!((100..160).contains(&shade), "{shade}");
    let ask = bench.activate("other", 0);
    assert!(matches!(bench.fulfil(ask), Answer::Done));
    assert_eq!((bench.tick(), bench.view().active.as_str()), (shade, "other"));
    let now = match bench.ask(Ask::Overlays { channel: CHANNEL.to_owned() }).try_recv() {
        Ok(Answer::Overlays(view)) => view,
        other => panic!("{other:?}"),
    };
    assert_eq!((now.version, now.document["overlay"][0]["color"].as_str()), (2, Some("#808080")));
    let old = bench.ask(overlays(Some(1), json!({}))).try_recv().unwrap();
    assert!(matches!(&old, Answer::Conflict(text) if text.contains("version 2")), "{old:?}");
    let kept = bench.scenes.take_changes();
    assert!(matches!(&kept[0], Becomes::Overlays(_, layers) if layers.len() == 1), "{kept:?}");
    let wrong = json!({ "overlay": [{ "name": "o", "type": "image", "path": "/no/such.png" }] });
    let refused = bench.fulfil(overlays(None, wrong));
    assert!(matches!(&refused, Answer::Invalid(told) if told[0].contains("no/such.png")));
    assert!(matches!(bench.fulfil(overlays(Some(2), json!({}))), Answer::Done));
    assert_eq!(bench.tick(), 235);
}

fn transaction(document: Value) -> Ask {
    Ask::Transaction { channel: CHANNEL.to_owned(), document }
}

#[test]
fn a_transaction_changes_all_that_it_names_at_one_frame() {
    let mut bench = bench();
    bench.tick();
    let ask = transaction(json!({
        "versions": { "scenes": { "main": 1, "other": 1 }, "overlays": 1 },
        "scenes": {
            "main": null,
            "third": { "layer": [{ "name": "in", "type": "scene", "scene": "other" }] },
        },
        "layers": { "other": { "all": { "color": "#808080" } } },
        "overlays": { "overlay": [
            { "name": "sign", "type": "color", "color": "#ffffff", "x": 32, "visible": false },
        ] },
        "active": "third",
    }));
    let answer = bench.fulfil(ask);
    assert!(matches!(answer, Answer::Shown { frame: Some(1) }), "{answer:?}");
    let grey = bench.tick();
    assert!((100..160).contains(&grey), "{grey}");
    let view = bench.view();
    assert_eq!(
        (view.active.as_str(), &view.names[..]),
        ("third", &["other", "third"].map(String::from)[..])
    );
    assert_eq!((bench.scene("other").version, bench.scene("third").version), (2, 1));
    let kept = bench.scenes.take_changes();
    let of = |kind: fn(&Becomes) -> bool| kept.iter().filter(|change| kind(change)).count();
    assert_eq!(of(|it| matches!(it, Becomes::Scene(..))), 2);
    assert_eq!(of(|it| matches!(it, Becomes::Overlays(..))), 1);
    assert_eq!(of(|it| matches!(it, Becomes::OnAir(_, name) if name == "third")), 1);
    assert_eq!(of(|it| matches!(it, Becomes::Gone(_))), 1);
    // What is not on the air is seen in no frame.
    let ask = transaction(json!({ "scenes": { "fourth": color("#000000") } }));
    assert!(matches!(bench.fulfil(ask), Answer::Shown { frame: None }));
}

#[test]
fn a_transaction_of_which_a_part_is_wrong_changes_nothing_and_tells_each_place() {
    let mut bench = bench();
    bench.tick();
    let layer = |keys: Value| json!({ "layer": [keys] });
    for (document, said) in [
        (
            json!({ "scenes": { "main": color("#ffffff"),
                "other": layer(json!({ "name": "a", "type": "image", "path": "" })) } }),
            "scenes.other.layer[0].path (layer \"a\")",
        ),
        (json!({ "scenes": { "other": { "background": "blue" } } }), "scenes.other: `background`"),
        (
            json!({ "layers": { "main": { "all": { "alpha": 2 } } } }),
            "layers.main.layer[0].alpha (layer \"all\")",
        ),
        (json!({ "layers": { "main": { "gone": {} } } }), "layers.main.gone: there is no such"),
        (json!({ "layers": { "gone": {} } }), "layers.gone: there is no such scene"),
        (
            json!({ "layers": { "gone": {} }, "active": "other" }),
            "layers.gone: there is no such scene",
        ),
        (json!({ "overlays": { "overlay": [{}] } }), "overlays.overlay[0]"),
        (json!({ "overlay_layers": { "sign": {} } }), "overlay_layers.sign: there is no such"),
        (json!({ "scenes": { "other": color("#ffffff") }, "active": "gone" }), "active: there is"),
        (json!({ "scenes": { "main": null } }), "active: there is no scene main"),
        (json!({ "scene": {} }), "unknown field `scene`"),
        (json!({ "at": { "frame": -1 } }), "invalid value"),
        (json!({ "transition": { "type": "x" } }), "transition.type"),
        (
            json!({ "scenes": {
                "main": layer(json!({ "name": "all", "type": "scene", "scene": "other" })),
                "other": null,
            } }),
            "scenes.main: layer \"all\": the channel has no scene \"other\"",
        ),
    ] {
        let answer = bench.fulfil(transaction(document));
        let Answer::Invalid(told) = &answer else { panic!("{said}: {answer:?}") };
        assert!(told.iter().any(|text| text.contains(said)), "{said}: {told:?}");
    }
    for versions in [json!({ "scenes": { "main": 2 } }), json!({ "overlays": 7 })] {
        let ask =
            transaction(json!({ "versions": versions, "scenes": { "main": color("#ffffff") } }));
        let answer = bench.ask(ask).try_recv().unwrap();
        assert!(matches!(&answer, Answer::Conflict(_)), "{answer:?}");
    }
    assert_eq!((bench.tick(), bench.view().names.len()), (16, 2));
    assert_eq!(bench.view().active, "main");
    assert_eq!((bench.scene("main").version, bench.scene("other").version), (1, 1));
    assert!(bench.scenes.take_changes().is_empty());
}

#[test]
fn a_layer_in_a_group_and_an_overlay_change_by_their_names_and_fade() {
    let mut bench = bench();
    let inner = json!({ "name": "all", "type": "color", "color": "#000000" });
    let group = json!({ "layer": [{ "name": "g", "type": "group", "layer": [inner] }] });
    let sign = json!({ "name": "sign", "type": "color", "color": "#ffffff", "visible": false });
    let ask = transaction(json!({
        "scenes": { "main": group }, "overlays": { "overlay": [sign] },
    }));
    assert!(matches!(bench.fulfil(ask), Answer::Shown { frame: Some(0) }));
    assert_eq!(bench.tick(), 16);
    let fade = json!({ "type": "fade", "duration_ms": 200 });
    for change in [
        json!({ "layers": { "main": { "g/all": { "color": "#ffffff" } } }, "transition": fade }),
        json!({ "layers": { "main": { "g/all": { "color": null } } } }),
        json!({ "overlay_layers": { "sign": { "visible": true } }, "transition": fade }),
    ] {
        let fades = change.get("transition").is_some();
        assert!(matches!(bench.fulfil(transaction(change)), Answer::Shown { .. }));
        let lumas: Vec<_> = (0..11).map(|_| bench.tick()).collect();
        match fades {
            true => assert!(lumas.is_sorted() && lumas[3] < 235 && lumas[10] == 235, "{lumas:?}"),
            false => assert_eq!(lumas, [16; 11]),
        }
    }
}

fn patch(scene: Option<&str>, layer: &str, version: Option<u64>, patch: &Value) -> Ask {
    Ask::PatchLayer {
        channel: CHANNEL.to_owned(),
        scene: scene.map(str::to_owned),
        layer: layer.to_owned(),
        version,
        patch: patch.as_object().unwrap().clone(),
    }
}

#[test]
fn a_patch_of_a_layer_changes_the_keys_that_it_names_and_no_other() {
    let mut bench = bench();
    bench.tick();
    let inner = json!({ "name": "in", "type": "color", "color": "#000000",
        "border": { "width": 4, "color": "#ffffff" } });
    let group = json!({ "layer": [{ "name": "g", "type": "group", "layer": [inner] }] });
    let put = bench.put("main", None, group);
    assert!(matches!(bench.fulfil(put), Answer::Done));
    assert_eq!(bench.tick(), 235);
    bench.scenes.take_changes();
    let ask = patch(Some("main"), "g/in", Some(2), &json!({ "border": { "color": "#000000" } }));
    assert!(matches!(bench.fulfil(ask), Answer::Shown { frame: Some(_) }));
    assert_eq!(bench.tick(), 16);
    let now = bench.scene("main");
    let border = &now.document["layer"][0]["layer"][0]["border"];
    assert_eq!((now.version, border), (3, &json!({ "width": 4, "color": "#000000" })));
    let ask = patch(Some("main"), "g/in", None, &json!({ "border": null, "color": "#ffffff" }));
    assert!(matches!(bench.fulfil(ask), Answer::Shown { frame: Some(_) }));
    assert_eq!(bench.tick(), 235);
    assert!(bench.scene("main").document["layer"][0]["layer"][0].get("border").is_none());
    let kept = bench.scenes.take_changes();
    let [Becomes::Scene(_, NamedScene { scene, .. })] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!(to_document(scene), bench.scene("main").document, "the last edit is kept");
    // What is not on the air is seen in no frame.
    let ask = patch(Some("other"), "all", None, &json!({ "alpha": 0.5 }));
    assert!(matches!(bench.fulfil(ask), Answer::Shown { frame: None }));
}

#[test]
fn a_patch_of_what_is_not_there_or_has_changed_or_cannot_be_is_refused() {
    let mut bench = bench();
    bench.tick();
    let nothing = json!({});
    for (scene, layer, said) in [
        (Some("gone"), "all", "no scene gone"),
        (Some("main"), "gone", "scene main has no layer gone"),
        (Some("main"), "all/in", "scene main has no layer all/in"),
        (None, "all", "there is no overlay all"),
    ] {
        let answer = bench.fulfil(patch(scene, layer, None, &nothing));
        assert!(matches!(&answer, Answer::NotFound(text) if text.contains(said)), "{answer:?}");
    }
    let old = bench.fulfil(patch(Some("main"), "all", Some(7), &nothing));
    assert!(matches!(&old, Answer::Conflict(text) if text.contains("version 1")), "{old:?}");
    let wrong = bench.fulfil(patch(Some("main"), "all", None, &json!({ "alpha": 2 })));
    let Answer::Invalid(told) = &wrong else { panic!("{wrong:?}") };
    assert!(told[0].starts_with("layer[0].alpha (layer \"all\")"), "{told:?}");
    assert_eq!((bench.tick(), bench.scene("main").version), (16, 1));
}

#[test]
fn a_frame_too_far_ahead_is_refused_and_nothing_is_kept() {
    let mut bench = bench();
    bench.tick();
    let ask = transaction(json!({
        "at": { "frame": 9_999 }, "scenes": { "main": color("#ffffff") },
    }));
    let mut answer = bench.ask(ask);
    while bench.changes.is_empty() {
        bench.handle();
    }
    let SceneChange { ticket, change, natives, at } = bench.changes.pop().unwrap();
    assert_eq!(at, StartAt::Frame(9_999));
    bench.reports.push(SceneReport::TooFar { ticket, tick: 7, natives }).unwrap();
    bench.reports.push(SceneReport::Retired(change.into_retired())).unwrap();
    bench.scenes.read_mail();
    let answer = answer.try_recv().unwrap();
    let Answer::Invalid(told) = &answer else { panic!("{answer:?}") };
    assert!(told[0].starts_with("at: it is frame 7 now"), "{told:?}");
    assert_eq!(bench.scene("main").version, 1);
}

/// A scene with a text that is bound to something.
fn bound(keys: &Value) -> Value {
    let mut layer = json!({ "name": "score", "type": "text", "size": 30 });
    layer.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({ "layer": [layer] })
}

impl Bench {
    /// Waits until the scene on the air is loaded anew, and shows that; whether letters are seen.
    fn reloaded(&mut self) -> bool {
        while self.changes.is_empty() {
            self.scenes.tick();
            if let Ok(news) = self.news.try_recv() {
                self.scenes.handle(news);
            }
            std::thread::park_timeout(Duration::from_millis(4));
        }
        self.shows_letters()
    }

    fn shows_letters(&mut self) -> bool {
        self.luma().iter().any(|luma| *luma > 200)
    }
}

#[test]
fn a_text_shows_the_document_that_was_pushed_last() {
    let mut bench = bench();
    bench.tick();
    let put = bench.put("main", None, bound(&json!({ "text": "{home}", "data": "score" })));
    assert!(matches!(bench.fulfil(put), Answer::Done));
    assert!(!bench.shows_letters());
    let push = |name: &str, document| Ask::PutData { name: name.to_owned(), document };
    for (document, is_seen) in [(Some(json!({ "home": "MM" })), true), (None, false)] {
        let answer = bench.ask(push("score", document)).try_recv();
        assert!(matches!(answer, Ok(Answer::Done)));
        assert_eq!(bench.reloaded(), is_seen);
    }
    // What nobody shows changes nothing.
    assert!(matches!(bench.ask(push("other", Some(json!(1)))).try_recv(), Ok(Answer::Done)));
    let wrong = bench.ask(push("", Some(json!(1)))).try_recv();
    assert!(matches!(&wrong, Ok(Answer::Invalid(told)) if told[0].contains("name")), "{wrong:?}");
    assert!(bench.changes.is_empty() && bench.view().active == "main");
}

#[test]
fn a_text_shows_what_a_file_says_now_and_its_last_good_text_while_it_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("score.txt");
    let mut bench = bench();
    bench.tick();
    let scene = bound(&json!({ "file": path }));
    let put = bench.put("main", None, scene.clone());
    let refused = bench.fulfil(put);
    assert!(matches!(&refused, Answer::Invalid(told) if told[0].contains("score.txt")));
    std::fs::write(&path, "").unwrap();
    let put = bench.put("main", None, scene);
    assert!(matches!(bench.fulfil(put), Answer::Done));
    assert!(!bench.shows_letters());
    std::fs::write(&path, "MM").unwrap();
    assert!(bench.reloaded());
    std::fs::remove_file(&path).unwrap();
    assert!(bench.reloaded(), "the last good text stays");
    let told = bench.events.pop().unwrap();
    let is_it = |layer: &str, reason: &str| layer == "score" && reason.contains("score.txt");
    assert!(
        matches!(&told, NodeEvent::AssetFailed { layer, reason, .. } if is_it(layer, reason)),
        "{told:?}"
    );
    std::fs::write(&path, " ").unwrap();
    assert!(!bench.reloaded());
    assert!(matches!(bench.events.pop(), Some(NodeEvent::AssetRestored { .. })));
}
