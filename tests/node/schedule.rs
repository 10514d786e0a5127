//! Schedules: scenes by the wall clock, live break-ins, and the as-run log.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::api::{ask, done, events_of};
use crate::config::Config;
use crate::node::{Node, run_to_end};
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::Watcher;

const RED: [u8; 3] = [63, 102, 240];
const BLUE: [u8; 3] = [32, 240, 118];
const GREEN: [u8; 3] = [173, 42, 26];
const BLACK: [u8; 3] = [16, 128, 128];

const SCHEDULE: &str = "/channels/demo/schedule";

/// How late a scene may be on the air, milliseconds, on a machine that is busy with other tests.
const LATE_MAX_MS: u64 = 4_000;

/// What the first scenario has in its as-run log.
const WRITTEN: [&str; 18] = [
    "filler_started",
    "on_air",
    "reloaded",
    "item_started",
    "on_air",
    "item_ended",
    "item_started",
    "on_air",
    "break_started",
    "on_air",
    "break_ended",
    "on_air",
    "item_ended",
    "item_started",
    "on_air",
    "item_ended",
    "filler_started",
    "on_air",
];

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// An item that follows the one before it, or starts so many seconds from now.
fn item(name: &str, scene: &str, starts_in: Option<u64>, length: &str) -> String {
    let at = starts_in.map(|seconds| {
        let of_day = (unix_ms() / 1_000 + seconds) % 86_400;
        let [hour, minute, second] = [of_day / 3_600, of_day / 60 % 60, of_day % 60];
        format!("at = \"{hour:02}:{minute:02}:{second:02}\"\n")
    });
    let at = at.unwrap_or_default();
    format!("[[item]]\nname = \"{name}\"\nscene = \"{scene}\"\nduration = \"{length}\"\n{at}")
}

fn write(file: &Path, items: &[String]) {
    std::fs::write(file, format!("filler = \"black\"\n{}", items.concat())).unwrap();
}

/// The as-run log, one value for each line.
fn as_run(node: &Node) -> Vec<Value> {
    let text = std::fs::read_to_string(node.file("data/as-run/demo.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn config(file: &Path) -> Config {
    let colours = [("black", "000000"), ("red", "ff0000"), ("blue", "0000ff"), ("live", "00ff00")];
    let scenes = colours.map(|(name, colour)| {
        format!("[[channel.scene]]\nname = \"{name}\"\nbackground = \"#{colour}\"\n")
    });
    Config::new()
        .channel("demo")
        .more("[channel.transition]\ntype = \"cut\"\n[channel.audio]\nenabled = false\n")
        .more(&scenes.concat())
        .more(&format!("[channel.schedule]\nfile = {file:?}\n"))
}

#[test]
fn a_schedule_shows_its_scenes_at_their_times_and_gives_way_to_a_break_in() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.toml");
    write(&file, &[item("later", "red", Some(40_000), "00:01:00")]);
    let node = Node::start(&config(&file));
    let mut viewer = Watcher::of(&node.url("live/demo"));
    viewer.wait_for("the filler is seen", BLACK);
    let view = done(&node, &format!("GET {SCHEDULE}"), &Value::Null);
    assert_eq!((&view["scene"], &view["now"]), (&json!("black"), &Value::Null), "{view}");
    assert_eq!(view["next"][0]["item"], "later", "{view}");

    let items = [
        item("first", "red", Some(4), "00:00:05"),
        item("second", "blue", None, "00:10:00"),
        item("third", "red", None, "00:00:12"),
    ];
    write(&file, &items);
    let view = done(&node, &format!("POST {SCHEDULE}/reload"), &Value::Null);
    let planned = view["next"][0]["planned_at"].as_u64().unwrap();
    assert_eq!(view["next"][1]["began_at"].as_u64(), Some(planned + 5_000), "{view}");
    viewer.wait_for("the first item is seen", RED);
    assert!(unix_ms() >= planned, "not before its time");
    viewer.wait_for("the item that follows it is seen", BLUE);
    assert!(unix_ms() >= planned + 5_000);

    done(&node, &format!("POST {SCHEDULE}/break"), &json!({ "scene": "live" }));
    viewer.wait_for("the break-in is seen", GREEN);
    assert_eq!(ask(&node, &format!("POST {SCHEDULE}/skip"), &Value::Null).0, 409);
    let missing = json!({ "scene": "nowhere" });
    assert_eq!(ask(&node, &format!("POST {SCHEDULE}/break"), &missing).0, 404);
    let view = done(&node, &format!("POST {SCHEDULE}/return"), &Value::Null);
    assert_eq!((&view["now"]["item"], &view["break_in"]), (&json!("second"), &Value::Null));
    viewer.wait_for("the schedule is back", BLUE);
    assert_eq!(ask(&node, &format!("POST {SCHEDULE}/return"), &Value::Null).0, 409);
    done(&node, &format!("POST {SCHEDULE}/skip"), &Value::Null);
    viewer.wait_for("the item after it is seen", RED);
    viewer.wait_for("the filler is seen again", BLACK);

    std::fs::write(&file, "[[item]]\nname = \"a\"\nscene = \"red\"\n").unwrap();
    let (status, told) = ask(&node, &format!("POST {SCHEDULE}/reload"), &Value::Null);
    assert_eq!(status, 400, "{told}");
    assert!(told.to_string().contains("the first item needs `at`"), "{told}");

    let lines = wait_until(SOON, "all of it is written down", || {
        Some(as_run(&node)).filter(|lines| lines.len() == WRITTEN.len())
    });
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, WRITTEN);
    assert_eq!((&lines[3]["item"], &lines[3]["planned_at"]), (&json!("first"), &json!(planned)));
    let late = lines[4]["at"].as_u64().unwrap() - planned;
    assert!(late <= LATE_MAX_MS, "{late} ms late");
    assert_eq!(lines[5]["duration_ms"], 5_000);
    assert_eq!(
        (&lines[8]["actor"], &lines[12]["reason"]),
        (&json!("token:admin"), &json!("skipped"))
    );
    assert_eq!(lines[15]["reason"], "over", "a skip holds");
    assert_eq!(events_of(&node, "schedule_item_started").len(), 3);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
}

#[test]
fn a_node_that_starts_joins_what_its_schedule_shows_and_a_bad_one_is_told() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("day.toml");
    write(&file, &[item("all day", "blue", Some(86_400 - 5), "20:00:00")]);
    let config = config(&file);
    let node = Node::start(&config);
    Watcher::of(&node.url("live/demo")).wait_for("what runs is joined", BLUE);
    let started = events_of(&node, "schedule_item_started");
    assert!(started[0]["text"].as_str().unwrap().contains("all day is joined"), "{started:?}");
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());

    let checked = run_to_end(&["schedule", "check", file.to_str().unwrap()]);
    let out = String::from_utf8_lossy(&checked.out).into_owned();
    assert!(checked.status.success() && out.contains("all day (scene blue)"), "{out}");
    write(&file, &[item("all day", "blau", Some(5), "20:00:00")]);
    let node = config.write(dir.path());
    let told = run_to_end(&["config", "check", node.to_str().unwrap()]);
    assert!(!told.status.success() && told.err.contains("\"blau\" is no scene"), "{}", told.err);
    write(&file, &[item("short", "blue", Some(5), "15")]);
    let told = run_to_end(&["schedule", "check", file.to_str().unwrap()]);
    assert!(!told.status.success() && told.err.contains("`duration`"), "{}", told.err);
}
