//! Probes of the program, the recipes that attach to them, and the look at the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::config::Config;
use crate::node::{BINARY, Node, run_to_end};
use crate::program::{Ended, Program};
use crate::wait::{SOON, beside_others};
use crate::watcher::Watcher;

const PROVIDER: &str = "stream_manager";

/// Exit status of a recipe that has said what is missing here.
const MISSING: i32 = 3;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The probes in a program's notes, each with the number of its arguments.
fn in_program(program: &str) -> BTreeMap<String, usize> {
    let mut command = Command::new("readelf");
    command.args(["--notes", "--wide", program]);
    let notes = String::from_utf8(Program::spawn("readelf", command).succeeds(SOON)).unwrap();
    let mut probes = BTreeMap::new();
    let (mut provider, mut name) = ("", "");
    for line in notes.lines().map(str::trim) {
        // The first line of a note has its type before the provider.
        if let Some((_, text)) = line.split_once("Provider: ") {
            provider = text;
        }
        match line.split_once(": ").unwrap_or_else(|| (line.trim_end_matches(':'), "")) {
            ("Name", text) => name = text,
            ("Arguments", text) if provider == PROVIDER => {
                let count = text.split_whitespace().count();
                let before = probes.insert(name.to_owned(), count);
                assert!(before.is_none_or(|it| it == count), "{name} differs by its place");
            }
            _ => {}
        }
    }
    probes
}

/// Those that the documentation lists, with the number of the arguments that it names.
fn documented() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(file("docs/profiling.md")).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("Probes\n")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let probe = |row: &str| {
        let (name, rest) = row.split_once('`').unwrap();
        let arguments = rest.rsplit('|').nth(1).unwrap();
        (name.to_owned(), arguments.matches('`').count() / 2)
    };
    rows.map(probe).collect()
}

#[test]
fn the_program_has_the_probes_that_are_documented_and_no_others() {
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    assert_eq!(in_program(BINARY), documented);
}

#[test]
fn recipes_attach_to_probes_that_there_are_and_ask_for_arguments_that_these_have() {
    let documented = documented();
    let mut attached = 0;
    for recipe in std::fs::read_dir(file("perf/bpftrace")).unwrap() {
        let text = std::fs::read_to_string(recipe.unwrap().path()).unwrap();
        assert!(text.starts_with("// ") && text.contains(" Normal: "));
        for part in text.split("usdt:PROGRAM:stream_manager:").skip(1) {
            let name = part.split_whitespace().next().unwrap();
            let body = part.split("tracepoint:").next().unwrap();
            let count = *documented.get(name).unwrap_or_else(|| panic!("no probe {name}"));
            let asked = body.split("arg").skip(1).filter_map(|rest| {
                let digits = rest.find(|c: char| !c.is_ascii_digit())?;
                rest[..digits].parse::<usize>().ok()
            });
            assert!(asked.max().is_none_or(|last| last < count), "{name} has {count}: {body}");
            attached += 1;
        }
    }
    assert!(attached > 20);
}

/// Runs a script of `perf/`.
fn run(script: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new("bash");
    command.arg(file("perf").join(script)).args(arguments);
    Program::spawn(script, command).ended(2 * SOON)
}

#[test]
fn each_recipe_tells_figures_of_a_running_node_or_what_is_missing_for_them() {
    let _turn = beside_others();
    let node = Node::start(&Config::new().channel("demo"));
    let viewers = [(); 2].map(|()| Watcher::of(&node.url("live/demo")));
    let (pid, port) = (node.program().id().to_string(), node.rtmp_port().to_string());
    let seconds = "2";
    let recipe = |name| ("bpf.sh", vec![name, pid.as_str(), seconds, port.as_str()]);
    let of_node = |script| (script, vec![pid.as_str(), seconds]);
    // What each tells if it can tell anything: a channel with viewers does all of that.
    for ((script, arguments), figure) in [
        (recipe("frame_latency"), "@us[7 appended]"),
        (recipe("drops"), "@frames: "),
        (recipe("loop_blocked"), "@turn_us[shard-0]"),
        (recipe("off_cpu"), "@off_us[compose]"),
        (recipe("run_queue"), "@run_queue_us[compose]"),
        (recipe("tcp_retransmits"), "@frames_sent: "),
        (of_node("syscalls.sh"), " sendmsg"),
        (of_node("sched.sh"), "compose"),
        (("retransmits.sh", vec![port.as_str(), seconds]), "connections at port"),
        (of_node("c2c.sh"), "Shared Data Cache Line Table"),
    ] {
        let Ended { status, out, err } = run(script, &arguments);
        let out = String::from_utf8_lossy(&out);
        let told = format!("{script} {arguments:?}: {status}\n{out}\n{err}");
        if status.code() == Some(MISSING) {
            let (what, remedy) = out.split_once('\n').unwrap();
            assert!(what.len() > "missing: ".len() && what.starts_with("missing: "), "{told}");
            assert!(remedy.starts_with("  to have it: "), "{told}");
            println!("{script} {}: {what}", arguments[0]);
        } else {
            assert!(status.success() && out.contains(figure), "{told}");
            println!("{script} {}: figures", arguments[0]);
        }
    }
    assert!(viewers.iter().all(|viewer| viewer.last().is_some()), "they play all the while");
}

#[test]
fn a_recipe_says_how_it_is_used_and_which_process_is_none() {
    let used = run("bpf.sh", &[]);
    assert_eq!(used.status.code(), Some(2));
    assert!(used.err.contains("frame_latency    How long frames take"), "{}", used.err);
    // No process has this number.
    let none = run("c2c.sh", &["4194305", "1"]);
    let told = format!("{}{}", String::from_utf8_lossy(&none.out), none.err);
    let is_told = told.contains("no process 4194305") || told.contains("missing: ");
    assert!(!none.status.success() && is_told, "{told}");
}

#[test]
fn the_machine_is_looked_at_and_measured_and_left_as_it_is() {
    let _turn = beside_others();
    let settings = ["/proc/sys/net/core/somaxconn", "/proc/sys/net/core/default_qdisc"];
    let read = || settings.map(|path| std::fs::read_to_string(path).ok());
    let before = read();
    let ended = run_to_end(&["tune", "--json"]);
    assert!(ended.status.success(), "{}", ended.err);
    let report: Value = serde_json::from_slice(&ended.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    for name in ["frequency governor", "steal time", "queueing discipline", "huge pages"] {
        assert!(findings.iter().any(|it| it["name"] == name), "no {name}: {report}");
    }
    for finding in findings {
        let has_command = !finding["commands"].as_array().unwrap().is_empty();
        assert_eq!(finding["verdict"] == "look", has_command, "{finding}");
    }
    assert!(report["measured"]["wake"]["p99_ns"].as_u64().unwrap() > 0, "{report}");

    let quick = run_to_end(&["tune", "--quick"]);
    let text = String::from_utf8(quick.out).unwrap();
    assert!(text.lines().any(|line| line.contains("clock source: ")), "{text}");
    let is_figure = |line: &str| line.starts_with("      measured ");
    assert!(!text.lines().any(is_figure), "nothing was measured: {text}");
    assert_eq!(read(), before);
}
