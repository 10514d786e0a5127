//! The scripts that compare two programs, two profiles, and the figures of a history.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::node::BINARY;
use crate::wait::free_port;

/// Runs a script of `perf/`, with these settings in its environment.
fn run(script: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let script = format!("{}/perf/{script}", env!("CARGO_MANIFEST_DIR"));
    Command::new(script).args(arguments).envs(settings.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `compare.awk` says of rounds in which A and B took these times.
fn verdict(a: &[f64], b: &[f64]) -> (String, bool) {
    let dir = TempDir::new().unwrap();
    let rounds = dir.path().join("rounds");
    let line = |subject: &str, values: &[f64]| -> String {
        let lines = values.iter().enumerate();
        lines.map(|(n, value)| format!("{n} {subject} time {value}\n")).collect()
    };
    std::fs::write(&rounds, line("a", a) + &line("b", b)).unwrap();
    let program = format!("{}/perf/compare.awk", env!("CARGO_MANIFEST_DIR"));
    let mut awk = Command::new("awk");
    awk.args(["-v", "limit=0.03", "-f", &program]).arg(&rounds);
    let output = awk.output().unwrap();
    (text(&output.stdout).lines().last().unwrap().to_owned(), output.status.success())
}

#[test]
fn a_verdict_follows_from_all_rounds_and_not_from_the_worst_of_them() {
    let level = [100.0, 100.4, 99.7, 100.2, 99.9, 100.1];
    let times = |by: f64| level.map(|it| it * by);
    for (b, words, is_good) in [
        (times(1.0), "the same", true),
        (times(1.2), "B needs more", false),
        (times(0.8), "B needs less", true),
        // A difference that is there, but too small to count.
        (times(1.02), "the same", true),
        // One round was disturbed.
        ([100.0, 100.3, 99.8, 100.2, 300.0, 99.9], "undecided", true),
    ] {
        let (line, succeeds) = verdict(&level, &b);
        assert!(line.contains(words) && succeeds == is_good, "{b:?}: {line}");
    }
    let (line, _) = verdict(&level[..3], &times(1.2)[..3]);
    assert!(line.contains("too few rounds"), "{line}");
    // The chance of five rounds that are all above five others is 2 of the 252 orders there are.
    let (line, _) = verdict(&level[..5], &times(1.2)[..5]);
    assert!(line.contains("0.0079"), "{line}");
}

#[test]
fn profiles_are_compared_by_the_functions_own_parts() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, stacks: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, stacks).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let before = file("before.folded", "shard;pump;send 80\nshard;pump;read 20\n");
    let after =
        file("after.folded", "shard;pump;send 20\nshard;pump;copy 50\nshard;pump;read 30\n");
    let output = run("diff.sh", &[&before, &after, &file("diff.svg", "")], &[]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<_> =
        said.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines[1..4],
        [
            "80.00 % 20.00 % -60.00 send",
            "0.00 % 50.00 % +50.00 copy",
            "20.00 % 30.00 % +10.00 read"
        ]
    );
    let nothing = file("nothing.folded", "");
    let output = run("diff.sh", &[&before, &nothing], &[]);
    assert!(!output.status.success() && text(&output.stderr).contains("without samples"));
}

#[test]
fn a_program_is_the_same_as_itself_and_its_figures_are_remembered_and_drawn() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let history = path("figures.ndjson");
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let settings = [
        ("RTMP", &*ports[0]),
        ("HTTP", &*ports[1]),
        ("STREAM_MANAGER", BINARY),
        ("ROUNDS", "4"),
        ("SPAN", "2"),
        ("SETTLE", "1"),
        ("VIEWERS", "50"),
        // Rounds of a second beside other tests say little: only their course is looked at.
        ("LIMIT", "100"),
        ("HISTORY", &history),
        ("RESULTS", &path("results")),
    ];
    let output = run("compare.sh", &[BINARY, BINARY, "fanout"], &settings);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    for figure in ["cpu_us_per_mbit", "p50_us", "p99_us"] {
        let line = said.lines().find(|line| line.starts_with(figure) && line.contains(" to "));
        assert!(line.is_some_and(|line| line.ends_with("the same")), "{said}");
    }
    for side in ["a", "b"] {
        let stacks = path(&format!("results/fanout-{side}.folded"));
        let stacks = std::fs::read_to_string(stacks).unwrap();
        assert!(!stacks.is_empty() && stacks.lines().all(|line| line.contains(';')));
    }
    let remembered = std::fs::read_to_string(&history).unwrap();
    let figures: Vec<serde_json::Value> =
        remembered.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = figures.iter().map(|it| it["figure"].as_str().unwrap()).collect();
    assert_eq!(names, ["fanout cpu_us_per_mbit", "fanout p50_us", "fanout p99_us"]);
    for figure in &figures {
        let number = |name: &str| figure[name].as_f64().unwrap();
        assert!(number("min") <= number("median") && number("median") <= number("max"));
        assert_eq!(figure["rounds"], 4);
    }

    let picture = path("figures.svg");
    assert!(run("chart.sh", &[&history, &picture], &[]).status.success());
    let picture = std::fs::read_to_string(Path::new(&picture)).unwrap();
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<polyline").count(), 3, "a panel for each figure");
}
