//! Show of five minutes, as `docs/show.md` has it: its files and commands are read from that page,
//! and what the destinations and the recording got is judged from outside.

mod page;
mod tape;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::api::{done, events, events_of, token};
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use page::{Page, root};
use tape::{FILMS, HOST_HZ, RIGHT, Run, SLIP, Tape, Viewer, WINDOW_S};

/// Pictures of a second of the show.
const FPS: usize = 25;

/// How late the second push is, and how much later a busy machine may be, seconds.
const DELAY_S: f64 = 8.0;
const BUSY_S: f64 = 8.0;

/// How far what is seen may be from what the as-run log says, seconds.
const LOG_OFFSET_MAX: f64 = 1.5;

/// What is heard and what is not, decibels below full scale of one tone.
const HEARD_DB: f64 = -35.0;
const SILENT_DB: f64 = -55.0;

/// By how much the films make way for the speaker, and how exact that is, decibels.
const DUCKING_DB: f64 = 12.0;
const DUCKING_OFF_MAX_DB: f64 = 1.5;

/// Seconds that film and tone may be apart where one film follows another: a few levels.
const FILM_EDGE_S: f64 = 4.0 * WINDOW_S;

/// The rundown's length, after which it ends by itself, seconds.
const RUNDOWN_S: u64 = 280;

/// Makes a picture one of few colours.
const PALETTE: &str = "split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none";

/// Pictures of the page, in its order.
const PICTURES: [&str; 8] = [
    "before.png",
    "films.png",
    "lower-third.png",
    "pushes.png",
    "speaker.png",
    "live.png",
    "technical.png",
    "events.png",
];

/// What is on the air one after the other.
const SCENES: [&str; 8] =
    ["soon", "films", "live", "technical", "live", "films", "credits", "soon"];

/// How long the show is to last at least, seconds. With the rundown's length or more it ends by
/// itself, and else the operator ends its films once everything has been seen.
fn show_seconds() -> u64 {
    std::env::var("SHOW_SECONDS").map_or(0, |text| text.parse().unwrap())
}

/// The node, its two destinations, and who watches those.
struct Show {
    page: Page,
    node: Node,
    platform: Node,
    now: Viewer,
    later: Viewer,
    /// Pictures that were asked for.
    pictures: Cell<usize>,
}

impl Show {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let config = Config::new();
        let platform = platform(folder.path());
        let page = Page::read(folder.path(), &others(&config, &platform));
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("show.toml", page.block("Configuration", 0));
        write("rundown.toml", page.block("Rundown", 0));
        page.run("Films", 0);
        let checked = page.run("Check", 0);
        assert!(checked.contains("rundown.toml: ok, 2 items"), "{checked}");
        assert_eq!(page.block("Start", 0), "stream-manager run --config show.toml\n");
        let text = page.block("Configuration", 0).to_owned();
        let node = Node::start_in(folder, &Config::at([config.rtmp, config.http], text));
        platform.wait_for_streams(2);
        let [now, later] =
            ["now", "later"].map(|it| Viewer::of(&platform.url(&format!("live/{it}"))));
        Self { page, node, platform, now, later, pictures: Cell::new(0) }
    }

    fn wait_for(&mut self, scene: &str) {
        let is_film = |it: &str| scene == "films" && FILMS.iter().any(|(film, _)| *film == it);
        let now = &mut self.now;
        wait_until(SOON, &format!("{scene} is seen"), || {
            now.sees(|it| it.scene() == scene || is_film(it.scene())).then_some(())
        });
    }

    /// Waits until the first destination has shown so many more pictures.
    fn wait_for_pictures(&self, what: &str, more: usize) {
        let wanted = self.now.count() + more;
        wait_until(SOON, what, || (self.now.count() > wanted).then_some(()));
    }

    fn wait_for_lower_third(&mut self, colour: [u8; 3]) {
        let now = &mut self.now;
        wait_until(SOON, "the lower third is seen", || {
            now.sees(|it| it.has_lower_third(colour)).then_some(())
        });
    }

    /// Keeps the next picture of the page, of this view of the dashboard, if it is wanted.
    fn picture(&self, view: &str) {
        let number = self.pictures.replace(self.pictures.get() + 1);
        let Ok(folder) = std::env::var("SHOW_PICTURES") else { return };
        let base = format!("http://127.0.0.1:{}", self.node.http_port());
        let file = root().join(folder).join(PICTURES[number]);
        let script = root().join("web/test/picture.mjs");
        let whole = self.node.file("picture.png");
        let last = [&*base, &token(&self.node), view, whole.to_str().unwrap()];
        let last = [&[script.to_str().unwrap()], &last[..]].concat();
        Program::start("node", "", &last).succeeds(4 * SOON);
        // A palette makes it small enough for a page.
        let [whole, file] = [&whole, &file].map(|it| it.to_str().unwrap());
        let last = ["-i", whole, "-vf", PALETTE, file];
        Program::start("ffmpeg", "-v error -y", &last).succeeds(SOON);
    }

    /// The level of an audio source as the node measures it.
    fn peak_db(&self, source: usize) -> f64 {
        let audio = done(&self.node, "GET /channels/show/audio", &Value::Null);
        audio["sources"][source]["levels"]["peak_db"][0].as_f64().unwrap()
    }

    fn wait_until_healthy(&self) {
        wait_until(SOON, "the speaker is good", || {
            let inputs = self.page.run("Speaker", 1);
            inputs.replace(' ', "").contains("\"healthy\":true").then_some(())
        });
    }
}

/// The destinations: a node that records what it gets, each stream in a folder of its own.
fn platform(folder: &Path) -> Node {
    let config = ["now", "later"].iter().fold(Config::new().publish_open(), |config, it| {
        let dir = folder.join("got").join(it);
        config.record(&format!("live/{it}"), &format!("dir = {dir:?}"))
    });
    Node::start(&config)
}

/// What is written on the page, and what the scenario has in its place.
fn others(config: &Config, platform: &Node) -> [(&'static str, String); 5] {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // The other half of the day, so that nothing begins by itself.
    let of_day = (since.as_secs() + 43_200) % 86_400;
    let [hour, minute, second] = [of_day / 3_600, of_day / 60 % 60, of_day % 60];
    [
        ("1935", config.rtmp.to_string()),
        ("8080", config.http.to_string()),
        ("rtmp://one.example/live/KEY", platform.url("live/now")),
        ("rtmp://two.example/live/KEY", platform.url("live/later")),
        ("20:00:00", format!("{hour:02}:{minute:02}:{second:02}")),
    ]
}

#[test]
fn a_show_is_run_as_the_page_says_and_destinations_get_what_was_meant_for_them() {
    let _turn = beside_others();
    let mut show = Show::start();
    before_and_begin(&mut show);
    let begun = Instant::now();
    lower_third(&mut show);
    slip_and_dump(&mut show);
    let speaker = speaker_over_films(&show);
    break_in(&mut show, &speaker);
    let clip = show.page.run("Clip", 0);
    let clip: Value = serde_json::from_str(&clip).unwrap();
    let clip = PathBuf::from(clip["path"].as_str().unwrap());
    Recording::at(clip).assert_audio_and_picture(5.0);
    rundown_ends(&mut show, begun);
    assert_told(&show);
    show.page.assert_done(&PICTURES);

    let Show { node, platform, now, later, .. } = show;
    drop((now, later));
    let archive = node.file("recordings");
    let got = node.file("got");
    let log = std::fs::read_to_string(node.file("data/as-run/show.jsonl")).unwrap();
    node.signal("TERM");
    wait_until(SOON, "the destinations have all of it", || {
        (events_of(&platform, "record_finished").len() == 2).then_some(())
    });
    let archived = Tape::read(&only_file(&archive));
    let now = Tape::read(&only_file(&got.join("now")));
    let later = Tape::read(&only_file(&got.join("later")));
    for tape in [&archived, &now, &later] {
        assert_times_rise(tape);
        assert_eq!(scenes(&tape.runs()).iter().map(|it| it.scene).collect::<Vec<_>>(), SCENES);
    }
    for tape in [&archived, &now] {
        assert_as_the_log_says(tape, &log);
        assert_heard(tape);
    }
    assert_dumped(&now, &later);
    assert!(node.ended(SOON).status.success());
}

fn before_and_begin(show: &mut Show) {
    show.wait_for("soon");
    show.picture("programme");
    let view = show.page.run("Begin", 0);
    assert!(view.contains("the films"), "{view}");
    show.wait_for("films");
    show.page.run("Begin", 1);
    wait_until(SOON, "the films are heard", || (show.peak_db(0) > HEARD_DB).then_some(()));
    show.picture("programme");
}

/// Shows it, and sees how much later the second destination has it.
fn lower_third(show: &mut Show) {
    show.page.run("Lower third", 0);
    show.wait_for_lower_third(RIGHT);
    let seen = Instant::now();
    assert!(!show.later.sees(|it| it.has_lower_third(RIGHT)), "it is not late");
    let later = &mut show.later;
    wait_until(SOON, "it is seen later", || {
        later.sees(|it| it.has_lower_third(RIGHT)).then_some(())
    });
    let late = seen.elapsed().as_secs_f64();
    println!("the second destination is {late:.1} s later");
    assert!((DELAY_S - 1.0..DELAY_S + BUSY_S).contains(&late), "{late} s");
    show.picture("programme");
}

fn slip_and_dump(show: &mut Show) {
    show.page.run("A slip", 0);
    show.wait_for_lower_third(SLIP);
    show.page.run("A slip", 1);
    show.wait_for_lower_third(RIGHT);
    // Pictures of a second, which have a keyframe among them.
    show.wait_for_pictures("a keyframe has come", FPS);
    show.page.run("A slip", 2);
    show.picture("relays");
}

fn speaker_over_films(show: &Show) -> Program {
    let speaker = show.page.start("Speaker", 0);
    wait_until(SOON, "the speaker is heard", || (show.peak_db(1) > HEARD_DB).then_some(()));
    show.wait_until_healthy();
    show.picture("programme");
    speaker
}

/// The speaker is shown, lost and shown again, until the rundown is back.
fn break_in(show: &mut Show, speaker: &Program) {
    show.page.run("Break in", 0);
    show.wait_for("live");
    show.picture("programme");
    let ducked = show.peak_db(0);
    speaker.signal("KILL");
    show.wait_for("technical");
    wait_until(SOON, "the films are loud again", || {
        (show.peak_db(0) > ducked + DUCKING_DB / 2.0).then_some(())
    });
    show.wait_for_pictures("that is heard for a second", FPS);
    show.picture("programme");
    let speaker = show.page.start("Speaker", 0);
    show.wait_for("live");
    show.wait_for_pictures("the speaker is seen for a second", FPS);
    show.page.run("Return", 0);
    show.wait_for("films");
    speaker.signal("INT");
    show.wait_for_pictures("the films go on", 4 * FPS);
}

/// Ends the films, unless the show is to be as long as its rundown, and sees all of it out.
fn rundown_ends(show: &mut Show, begun: Instant) {
    let (seconds, whole) = (show_seconds(), Duration::from_secs(RUNDOWN_S));
    if seconds >= RUNDOWN_S {
        // Its other way to end is the one that is not taken.
        show.page.block("End", 0);
        wait_until(whole, "the films are over", || {
            let view = done(&show.node, "GET /channels/show/schedule", &Value::Null);
            (view["now"]["item"] == "the credits").then_some(())
        });
    } else {
        let lasts = Duration::from_secs(seconds);
        wait_until(whole, "the show has lasted", || (begun.elapsed() >= lasts).then_some(()));
        show.page.run("End", 0);
    }
    show.wait_for("credits");
    show.wait_for("soon");
    show.page.run("End", 1);
    show.picture("events");
    let later = &mut show.later;
    wait_until(SOON, "the second destination has its end", || {
        later.sees(|it| it.scene() == "soon").then_some(())
    });
    println!("the show took {:.0} s", begun.elapsed().as_secs_f64());
}

/// That `wanted` come one after the other among these.
fn assert_in_order(what: &str, found: &[String], wanted: &[&str]) {
    let mut rest = found.iter();
    for one in wanted {
        assert!(rest.any(|it| it == one), "{what}: {one} does not come in its turn: {found:#?}");
    }
}

/// That events and the as-run log tell the show in its order, in one connection each.
fn assert_told(show: &Show) {
    let kinds: Vec<_> =
        events(&show.node).iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect();
    let wanted = [
        "schedule_filler_started",
        "schedule_reloaded",
        "schedule_item_started",
        "transaction_done",
        "push_dumped",
        "input_healthy",
        "schedule_break_started",
        "input_faulty",
        "input_healthy",
        "schedule_break_ended",
        "clip_made",
        "schedule_item_ended",
        "schedule_item_started",
        "schedule_item_ended",
        "schedule_filler_started",
    ];
    assert_in_order("events", &kinds, &wanted);
    let log = show.page.run("End", 2);
    let lines: Vec<_> =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            let what = if line["item"].is_null() { &line["scene"] } else { &line["item"] };
            format!("{} {}", line["event"].as_str().unwrap(), what.as_str().unwrap_or("-"))
        })
        .collect();
    let wanted = [
        "filler_started soon",
        "item_started the films",
        "on_air films",
        "break_started live",
        "on_air live",
        "break_ended live",
        "on_air films",
        "item_ended the films",
        "item_started the credits",
        "on_air credits",
        "item_ended the credits",
        "filler_started soon",
        "on_air soon",
    ];
    assert_in_order("as-run log", &lines, &wanted);
    for push in ["now", "later"] {
        let label = format!("output=\"{push}\"");
        let connects = show.node.metric("output_connects_total", &[&label]);
        assert!((0.5..1.5).contains(&connects), "{push} has connected {connects} times");
    }
    assert_eq!(events_of(&show.platform, "postPublish").len(), 2, "each came once");
    assert_eq!(events_of(&show.node, "push_dumped").len(), 1);
}

/// The one file of a folder: a reconnection or another header would have made a second.
fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn assert_times_rise(tape: &Tape) {
    for is_video in [true, false] {
        let times = tape.packets.iter().filter(|it| it.is_video == is_video).map(|it| it.dts);
        let times: Vec<_> = times.collect();
        let bad = times.windows(2).find(|pair| pair[1] <= pair[0]);
        assert_eq!(bad, None, "times rise, video: {is_video}");
    }
}

/// The scenes from the first filler on, all films as one.
fn scenes(runs: &[Run]) -> Vec<Run> {
    let mut scenes: Vec<Run> = Vec::new();
    for run in runs.iter().skip_while(|run| run.scene != "soon") {
        let is_film = FILMS.iter().any(|(film, _)| *film == run.scene);
        let scene = if is_film { "films" } else { run.scene };
        match scenes.last_mut() {
            Some(last) if last.scene == scene => last.end = run.end,
            _ if scene == "nothing" => {}
            _ => scenes.push(Run { scene, ..*run }),
        }
    }
    scenes
}

/// That scenes are seen as far apart as the log says that they were put on the air.
fn assert_as_the_log_says(tape: &Tape, log: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut told = lines.iter().filter(|line| line["event"] == "on_air");
    let seen = scenes(&tape.runs());
    let mut first = None;
    for (number, scene) in [(1, "films"), (2, "live"), (5, "films"), (6, "credits"), (7, "soon")] {
        let line = told.find(|line| line["scene"] == scene).expect("it is told");
        let at = line["at"].as_f64().unwrap() / 1_000.0;
        let offset = at - seen[number].begin;
        let off = offset - *first.get_or_insert(offset);
        assert!(off.abs() < LOG_OFFSET_MAX, "{scene} is {off} s from where the log has it");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    assert!(values.len() >= 5, "only {} levels", values.len());
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// That each film is heard while it is seen, and makes way for the speaker.
fn assert_heard(tape: &Tape) {
    let tones: Vec<_> = FILMS.iter().map(|(_, hz)| *hz).chain([HOST_HZ]).collect();
    let levels = tape.levels(&tones);
    let film = |of: &[f64]| of[..3].iter().copied().fold(f64::MIN, f64::max);
    let within = |from: f64, to: f64| {
        levels.iter().filter(move |(at, _)| (from..to).contains(at)).map(|(_, of)| of)
    };
    let seen = scenes(&tape.runs());
    let before = within(seen[0].begin, seen[1].begin - 0.5).map(|of| film(of));
    assert!(before.fold(f64::MIN, f64::max) < SILENT_DB, "films are heard before the show");

    let (came, _) = levels.iter().find(|(_, of)| of[3] > HEARD_DB).expect("the speaker is heard");
    let alone = median(within(came - 4.0, came - 0.3).map(|of| film(of)));
    let ducked = median(within(came + 1.0, came + 3.0).map(|of| film(of)));
    let ducking = alone - ducked;
    println!("the films have {alone:.1} dB, and {ducking:.1} dB less under the speaker");
    assert!(alone > HEARD_DB, "{alone} dB");
    assert!((ducking - DUCKING_DB).abs() < DUCKING_OFF_MAX_DB, "{ducking} dB");
    let lost = within(seen[3].begin, seen[3].end).filter(|of| of[3] < SILENT_DB);
    let back = lost.filter(|of| (film(of) - alone).abs() < DUCKING_OFF_MAX_DB).count();
    assert!(back >= 5, "the films are loud again in {back} levels only");

    let runs = tape.runs();
    let faded_in = seen[1].begin + 5.0;
    let mut films = 0;
    for run in runs.iter().filter(|it| it.begin > faded_in && it.end < seen[6].begin) {
        let Some(number) = FILMS.iter().position(|(name, _)| *name == run.scene) else { continue };
        for of in within(run.begin + FILM_EDGE_S, run.end - FILM_EDGE_S) {
            let is_it = (0..3).all(|other| of[other] <= of[number]) && of[number] > SILENT_DB;
            assert!(is_it, "{} is seen at {:.1} s, and heard is {of:?}", run.scene, run.begin);
        }
        films += 1;
    }
    assert!(films >= 3, "{films} films");
    let end = seen[7].end;
    let after = within(end - 2.0, end - 0.5).map(|of| film(of)).fold(f64::MIN, f64::max);
    assert!(after < SILENT_DB, "films are heard after the show: {after} dB");
}

/// That the second destination never got the slip, and all else.
fn assert_dumped(now: &Tape, later: &Tape) {
    let slips = |tape: &Tape| -> Vec<f64> {
        let slips = tape.looks.iter().filter(|(_, look)| look.has_lower_third(SLIP));
        slips.map(|(at, _)| *at).collect()
    };
    let slip = slips(now);
    assert!(!slip.is_empty(), "the first destination has the slip");
    assert_eq!(slips(later), Vec::<f64>::new(), "the second one has none");
    let steps = |tape: &Tape| -> Vec<f64> {
        tape.looks.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 1.0).collect()
    };
    assert_eq!(steps(now), Vec::<f64>::new(), "the first one has no gap");
    let gaps = steps(later);
    let lasted = slip[slip.len() - 1] - slip[0];
    println!("a slip of {lasted:.1} s, and gaps of {gaps:?} s");
    assert_eq!(gaps.len(), 1, "one dump, one gap: {gaps:?}");
    assert!(gaps[0] > lasted && gaps[0] < DELAY_S + BUSY_S, "{gaps:?}");
}
