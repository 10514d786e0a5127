//! Probes of the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::node::BINARY;
use crate::program::Program;
use crate::wait::SOON;

const PROVIDER: &str = "stream_manager";

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
