//! The rules of the tree, checked by reading it: `cargo test --test tidy`.

#![expect(clippy::unwrap_used, reason = "a file we cannot read should fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/surface.rs"]
mod surface;
#[path = "tidy/tokens.rs"]
mod tokens;
#[path = "tidy/words.rs"]
mod words;

/// Every module of `src/`, in the order data flows, and the modules it may name. A row may only
/// name rows above it, so there is no cycle.
const MAY_USE: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("probes", &["media"]),
    ("stats", &["media", "probes"]),
    ("trace", &["media", "probes", "stats"]),
    ("ring", &["media"]),
    ("frame", &["media", "ring"]),
    ("ffi", &["media", "frame"]),
    ("flv", &["media"]),
    ("event", &["media"]),
    ("keys", &["media"]),
    ("limits", &["media", "stats", "frame"]),
    ("scene", &["media", "stats", "ring", "frame", "ffi"]),
    ("schedule", &["media", "scene"]),
    ("audio", &["media", "stats", "ring", "frame"]),
    ("encode", &["media", "ring", "frame", "ffi"]),
    ("decode", &["media", "ring", "frame", "ffi", "flv", "scene"]),
    ("rtmp", &["media", "frame", "flv"]),
    ("record", &["media", "ffi", "event", "rtmp"]),
    ("stream", &["media", "probes", "frame", "rtmp"]),
    ("web", &["media"]),
    ("tls", &[]),
    (
        "command",
        &[
            "media", "stats", "ring", "frame", "event", "keys", "scene", "audio", "encode", "rtmp",
            "stream",
        ],
    ),
    (
        "shard",
        &[
            "media", "probes", "stats", "trace", "ring", "frame", "event", "keys", "limits",
            "encode", "decode", "rtmp", "stream", "web", "tls", "command",
        ],
    ),
    ("runtime", &["media", "stats", "trace", "ring", "command", "shard"]),
    ("host", &["ring", "runtime"]),
    ("profile", &["media"]),
    (
        "pipeline",
        &[
            "media", "stats", "trace", "ring", "frame", "ffi", "event", "keys", "scene", "audio",
            "encode", "decode", "rtmp", "record", "stream", "web", "tls", "command", "shard",
            "runtime", "limits",
        ],
    ),
    ("load", &["media", "frame", "rtmp", "tls", "runtime"]),
    (
        "config",
        &[
            "media", "stats", "event", "scene", "schedule", "audio", "encode", "rtmp", "record",
            "stream", "web", "tls", "command", "runtime",
        ],
    ),
    (
        "control",
        &[
            "media", "stats", "trace", "ring", "frame", "ffi", "event", "keys", "scene", "audio",
            "encode", "decode", "rtmp", "record", "stream", "web", "tls", "command", "shard",
            "runtime", "profile", "pipeline", "limits", "config", "schedule",
        ],
    ),
];

/// These join the rest and may name anything.
const WIRING: &[&str] = &["lib", "main", "cli", "internals", "node"];

/// A word, where it may appear (folders or files), and what to do instead.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("unsafe ", UNSAFE_IN, "wrap it in one of those"),
    ("glommio", &["runtime/"], "keep the step pure; let a driver run it"),
    (
        "tokio",
        &["control/", "load/", "node/", "cli/", "main.rs"],
        "the data plane does not know tokio",
    ),
    ("TcpStream", &["control/", "load/", "node/", "runtime/driver/"], "protocol code takes bytes"),
    ("Instant::now", &["runtime/clock.rs"], "take `now: Micros` as an argument"),
    ("SystemTime::now", &["runtime/clock.rs"], "take the time as an argument"),
    ("super::super::", &[], "name it from `crate::`, so that this test sees the arrow"),
    (TO_FIX, &[], "fix it before it lands"),
];

const UNSAFE_IN: &[&str] = &[
    "ffi/",
    "ring/",
    "frame/",
    "scene/kernel/",
    "encode/backend/",
    "encode/tests.rs",
    "decode/",
    "host/page_walk.rs",
    "load/cpu.rs",
    "profile/",
    // The environment can be changed only before there is another thread.
    "main.rs",
    "runtime/",
    "sync/src/",
];

/// Looked for in comments too.
const TO_FIX: &str = "FIXME";

/// Words that a file's first line does not begin with: it names the thing, by the field's term,
/// before it says anything about it.
const QUESTIONS: &[&str] =
    &["What", "Who", "Whose", "Whether", "How", "When", "Where", "Why", "Which"];

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a `mod.rs` before its tests: it is a map, not a place to live.
const INDEX_LINES_MAX: usize = 150;

const COLUMNS_MAX: usize = 100;

const ARROW_REMEDY: &str = "move what both need into a module above, or take it as an argument";

/// Files that are longer than the rule, and their ceiling. Rows may only shrink or go.
const LONG_FILES: &[(&str, usize)] = &[];

#[test]
fn the_tree_is_tidy() {
    let mut faults = table_faults(MAY_USE);
    let mut modules = BTreeSet::new();
    let mut files = Vec::new();
    for file in rust_files(Path::new("src")) {
        let path = file.strip_prefix("src").unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap();
        modules.insert(module_of(&path).to_owned());
        faults.extend(file_faults(&path, &text));
        files.push((path, text));
    }
    for file in rust_files(Path::new("sync/src")) {
        let path = file.to_str().unwrap().replace('\\', "/");
        faults.extend(file_faults(&path, &fs::read_to_string(&file).unwrap()));
    }
    faults.extend(circles::faults(&files));
    faults.extend(words::faults(&files));
    for module in modules.iter().filter(|module| !WIRING.contains(&module.as_str())) {
        if !MAY_USE.iter().any(|(name, _)| name == module) {
            faults.push(format!("src/{module}: no row in MAY_USE"));
        }
    }
    let map = fs::read_to_string("docs/ARCHITECTURE.md").unwrap();
    for (module, _) in MAY_USE.iter().filter(|(module, _)| !map.contains(&format!("`{module}`"))) {
        faults.push(format!("docs/ARCHITECTURE.md: does not mention `{module}`"));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_checker_sees_each_kind_of_fault() {
    let long = "x".repeat(101);
    let text = format!(
        "use crate::{{media::Size, pipeline::{{Serve, Push}},\n    control}};\n\
         let t = Instant::now();\nunsafe {{ free(t) }}\nuse tokio::net;\n// {TO_FIX}\n\
         use super::super::thing;\n{long}\n"
    );
    let faults = file_faults("rtmp/chunk.rs", &text).join("\n");
    for want in [
        "no `//!`",
        "rtmp may not use pipeline",
        "rtmp may not use control",
        "chunk.rs:3: `Instant::now` outside",
        "chunk.rs:4: `unsafe ` outside",
        "chunk.rs:5: `tokio` outside",
        "chunk.rs:6: `FIXME` outside",
        "chunk.rs:7: `super::super::` outside",
        "chunk.rs:8: longer than 100 columns",
    ] {
        assert!(faults.contains(want), "missed {want:?} in:\n{faults}");
    }
    assert!(!faults.contains("may not use media"), "{faults}");
    let faults = file_faults("rtmp/chunk.rs", "//! What a chunk holds.\n").join("\n");
    assert!(faults.contains("begins with `What`"), "{faults}");
}

#[test]
fn the_checker_lets_good_files_pass() {
    let text = "//! Good.\n\nuse crate::media::Size;\n// unsafe tokio crate::control\nfn f() {}\n";
    assert_eq!(file_faults("rtmp/chunk.rs", text), Vec::<String>::new());
    assert_eq!(
        file_faults("runtime/driver/socket.rs", "//! S.\nunsafe { f() }\n"),
        Vec::<String>::new()
    );
    assert_eq!(file_faults("node/start.rs", "//! N.\nuse crate::rtmp;\n"), Vec::<String>::new());
}

#[test]
fn tests_do_not_count_as_lines_of_a_file() {
    let lines = |count: usize| "fn f() {}\n".repeat(count);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(900));
    let fits = format!("//! F.\n{}{tests}", lines(FILE_LINES_MAX - 1));
    assert_eq!(file_faults("rtmp/a.rs", &fits), Vec::<String>::new());
    let long = format!("//! F.\n{}{tests}", lines(FILE_LINES_MAX));
    assert!(file_faults("rtmp/a.rs", &long)[0].contains("501 lines before its tests, limit 500"));
    let index = format!("//! F.\n{}", lines(INDEX_LINES_MAX));
    assert!(file_faults("rtmp/mod.rs", &index)[0].contains("limit 150"));
    let apart = format!("//! F.\n{}", lines(900));
    assert_eq!(file_faults("rtmp/tests.rs", &apart), Vec::<String>::new());
}

#[test]
fn the_checker_sees_an_arrow_that_points_up() {
    let faults = table_faults(&[("media", &[]), ("ring", &["frame"]), ("frame", &["media"])]);
    assert_eq!(faults, ["MAY_USE: ring names frame, which is not above it"]);
}

fn table_faults(table: &[(&str, &[&str])]) -> Vec<String> {
    let mut above = BTreeSet::new();
    let mut faults = Vec::new();
    for (module, uses) in table {
        for name in uses.iter().filter(|name| !above.contains(*name)) {
            faults.push(format!("MAY_USE: {module} names {name}, which is not above it"));
        }
        above.insert(module);
    }
    faults
}

fn file_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("src/{path}: no `//!` line saying what it is for"));
    }
    let first = text.strip_prefix("//!").unwrap_or("").split_whitespace().next().unwrap_or("");
    if QUESTIONS.contains(&first) {
        faults.push(format!(
            "src/{path}: begins with `{first}`: name the module first, as in `Pull gate: …`"
        ));
    }
    faults.extend(length_fault(path, text));
    let mut code = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.lines()) {
        if line.chars().count() > COLUMNS_MAX && !line.contains("://") {
            faults.push(format!("src/{path}:{number}: longer than {COLUMNS_MAX} columns"));
        }
        let without_comment = line.split("//").next().unwrap_or(line);
        code.push_str(without_comment);
        code.push('\n');
        for (word, places, instead) in ONLY_IN {
            let looked_at = if *word == TO_FIX { line } else { without_comment };
            if looked_at.contains(word) && !places.iter().any(|place| path.starts_with(place)) {
                faults.push(format!("src/{path}:{number}: `{word}` outside {places:?}: {instead}"));
            }
        }
    }
    faults.extend(arrow_faults(path, &code));
    faults
}

fn length_fault(path: &str, text: &str) -> Option<String> {
    if path.ends_with("tests.rs") {
        return None;
    }
    let own = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = own.lines().count();
    let usual = if path.ends_with("mod.rs") { INDEX_LINES_MAX } else { FILE_LINES_MAX };
    let limit = LONG_FILES.iter().find(|(name, _)| *name == path).map_or(usual, |(_, max)| *max);
    let fault = format!("src/{path}: {lines} lines before its tests, limit {limit}");
    (lines > limit).then_some(fault)
}

fn arrow_faults(path: &str, code: &str) -> Vec<String> {
    let module = module_of(path);
    let Some((_, uses)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
        return Vec::new();
    };
    let is_module =
        |name: &str| WIRING.contains(&name) || MAY_USE.iter().any(|(module, _)| *module == name);
    crate_names(code)
        .into_iter()
        .filter(|name| is_module(name) && name != module && !uses.contains(&name.as_str()))
        .map(|name| format!("src/{path}: {module} may not use {name}: {ARROW_REMEDY}"))
        .collect()
}

/// The first path segment after each `crate::`, looking inside `{a::b, c::{d}}` groups.
fn crate_names(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            names.extend(first_word(rest));
            continue;
        }
        let mut depth = 0;
        for (i, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && (c == '{' || c == ',') {
                names.extend(first_word(rest[i + 1..].trim_start()));
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn first_word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
