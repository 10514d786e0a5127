//! Circles of files: the graph of `use` inside each folder of `src/`, and what is wrong with it.
//!
//! A file points at another where it names something of it: in a `use`, or in a path such as
//! `super::kept::Kept`. Names are followed through the re-exports of a `mod.rs` to the file that
//! they come from. Tests do not count, and neither does a `mod.rs` that only declares and re-exports.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{is_word, tokens};

const REMEDY: &str = "move what they share into a file that names neither, or pass a value in \
                      place of its owner";

/// Re-exports that are followed before a name is given up.
const HOPS_MAX: usize = 8;

/// Every circle in `files`, pairs of a path below `src/` and its text.
pub(crate) fn faults(files: &[(String, String)]) -> Vec<String> {
    let tree = Tree::read(files);
    let folders: BTreeSet<&str> = tree.sources.values().map(|source| source.folder()).collect();
    let circles = |folder: &&str| -> Vec<String> {
        tree.circles(folder).iter().map(|circle| circle.fault(folder)).collect()
    };
    folders.iter().flat_map(circles).collect()
}

/// Arrows between files that lead back to where they start: from, to, the names that are used.
#[derive(Default)]
struct Circle(BTreeMap<(String, String), BTreeSet<String>>);

impl Circle {
    fn files(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(from, _)| from.as_str()).collect()
    }

    fn fault(&self, folder: &str) -> String {
        let files: Vec<_> = self.files().into_iter().collect();
        let mut text =
            format!("src/{folder}: these files name each other in a circle: {}", files.join(", "));
        for ((from, to), names) in &self.0 {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            text.push_str(&format!("\n    {from} -> {to} ({})", names.join(", ")));
        }
        text.push_str(&format!("\n    remedy: {REMEDY}"));
        text
    }
}

/// A path as written: its segments.
type Path = Vec<String>;

/// One file, read.
struct Source {
    /// Where it stands in the tree of modules: `["config", "kept"]`.
    module: Path,
    path: String,
    /// What `use` brings into scope: the name here, the path it stands for.
    scope: BTreeMap<String, Path>,
    /// Paths that this file names, re-exports of its own children left out.
    named: BTreeSet<Path>,
    /// It holds nothing but `mod` and `use`.
    is_map: bool,
}

impl Source {
    fn folder(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

/// All files but those of tests, by module.
struct Tree {
    sources: BTreeMap<Path, Source>,
}

impl Tree {
    fn read(files: &[(String, String)]) -> Self {
        let mut sources = BTreeMap::new();
        let mut tests = BTreeSet::new();
        for (path, text) in files.iter().filter(|(path, _)| !is_test_file(path)) {
            let (source, its_tests) = read(path, text);
            tests.extend(its_tests);
            sources.insert(source.module.clone(), source);
        }
        sources.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { sources }
    }

    fn circles(&self, folder: &str) -> Vec<Circle> {
        let arrows = self.arrows(folder);
        let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in arrows.keys() {
            reach.entry(from).or_default().insert(to);
        }
        let files: Vec<&str> = reach.keys().copied().collect();
        for middle in &files {
            let beyond = reach[middle].clone();
            for reached in reach.values_mut().filter(|reached| reached.contains(middle)) {
                reached.extend(&beyond);
            }
        }
        let together = |a: &str, b: &str| {
            let reaches = |a: &str, b: &str| reach.get(a).is_some_and(|all| all.contains(b));
            reaches(a, b) && reaches(b, a)
        };
        let mut circles: BTreeMap<&str, Circle> = BTreeMap::new();
        for ((from, to), names) in &arrows {
            if let Some(first) = files.iter().find(|file| together(file, from))
                && together(from, to)
            {
                let circle = circles.entry(first).or_default();
                circle.0.insert((from.clone(), to.clone()), names.clone());
            }
        }
        circles.into_values().collect()
    }

    /// Who names whom in one folder, and what.
    fn arrows(&self, folder: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
        let mut arrows: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for source in self.sources.values().filter(|source| source.folder() == folder) {
            for path in &source.named {
                let Some((to, name)) = self.declared(source, path, HOPS_MAX) else { continue };
                if to.folder() == folder && to.path != source.path && !to.is_map {
                    let arrow = (source.path.clone(), to.path.clone());
                    arrows.entry(arrow).or_default().insert(name);
                }
            }
        }
        arrows
    }

    /// The file that declares what `path` names in `from`, and the name there.
    fn declared(&self, from: &Source, path: &[String], hops: usize) -> Option<(&Source, String)> {
        let hops = hops.checked_sub(1)?;
        let mut module = from.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
            }
            _ => {}
        }
        while let Some(segment) = rest.first() {
            module.push(segment.clone());
            if !self.sources.contains_key(&module) {
                module.pop();
                break;
            }
            rest = &rest[1..];
        }
        let source = self.sources.get(&module)?;
        let Some(name) = rest.first() else { return Some((source, "self".to_owned())) };
        if let Some(stands_for) = source.scope.get(name)
            && (source.path.ends_with("/mod.rs") || source.path == from.path)
            && stands_for != path
        {
            let whole: Path = stands_for.iter().chain(&rest[1..]).cloned().collect();
            return self.declared(source, &whole, hops);
        }
        // A bare name that nothing brought into scope is declared here, or is another crate.
        (source.module != from.module).then(|| (source, name.clone()))
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Reads one file: what it is, and which modules it declares for tests alone.
fn read(path: &str, text: &str) -> (Source, Vec<Path>) {
    let module: Path = path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|segment| *segment != "mod")
        .map(str::to_owned)
        .collect();
    let mut tests = Vec::new();
    let mut source = Source {
        module,
        path: path.to_owned(),
        scope: BTreeMap::new(),
        named: BTreeSet::new(),
        is_map: path.ends_with("/mod.rs"),
    };
    let tokens = tokens(text);
    let mut at = 0;
    let mut for_tests = false;
    let mut public = false;
    while let Some(token) = tokens.get(at).copied() {
        let next = |ahead: usize| tokens.get(at + ahead).copied().unwrap_or_default();
        match token {
            "#" => {
                let end = item_end(&tokens, at, &["]"]);
                for_tests |= tokens[at..end].join("") == "#[cfg(test)]";
                at = end;
                continue;
            }
            _ if for_tests => {
                if token == "mod" {
                    tests.push(source.module.iter().cloned().chain([next(1).into()]).collect());
                }
                at = item_end(&tokens, at, &[";", "}"]);
                for_tests = false;
                continue;
            }
            "pub" => {
                public = true;
                at = if next(1) == "(" { item_end(&tokens, at + 1, &[")"]) } else { at + 1 };
                continue;
            }
            "use" => {
                let end = item_end(&tokens, at, &[";"]);
                for (name, path) in use_tree(&tokens[at + 1..end]) {
                    if !(public && is_below(&source.module, &path)) {
                        source.named.insert(path.clone());
                    }
                    source.scope.insert(name, path);
                }
                at = end;
            }
            "mod" if next(2) == ";" => at += 3,
            _ => {
                source.is_map &= token == ";";
                if next(1) == "::" && is_word(token) {
                    let path = simple_path(&tokens[at..]);
                    at += path.len() * 2 - 1;
                    source.named.insert(path);
                } else {
                    at += 1;
                }
            }
        }
        public = false;
    }
    (source, tests)
}

/// Whether `path` leads into a child of the module that names it.
fn is_below(module: &[String], path: &[String]) -> bool {
    match path.first().map(String::as_str) {
        Some("super") => false,
        Some("crate") => path[1..].starts_with(module),
        _ => true,
    }
}

/// One past the token that ends what begins at `from`: the first of `ends` outside of brackets.
fn item_end(tokens: &[&str], from: usize, ends: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && ends.contains(token) {
            return at + 1;
        }
    }
    tokens.len()
}

/// `a::b::c` at the start of `tokens`.
fn simple_path(tokens: &[&str]) -> Path {
    let mut path = vec![tokens[0].to_owned()];
    for pair in tokens[1..].chunks_exact(2) {
        if pair[0] != "::" || !is_word(pair[1]) {
            break;
        }
        path.push(pair[1].to_owned());
    }
    path
}

/// The names that `a::{b, c as d, e::{self}};` brings, and what each stands for.
fn use_tree(tokens: &[&str]) -> Vec<(String, Path)> {
    let mut found = Vec::new();
    let mut stack: Vec<Path> = Vec::new();
    let mut path: Path = Vec::new();
    let mut alias = None;
    let mut at = 0;
    while let Some(token) = tokens.get(at).copied() {
        match token {
            "{" => stack.push(path.clone()),
            "}" | "," | ";" => {
                let base = stack.last().map_or(0, Vec::len);
                if path.len() > base {
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let name = alias.take().or_else(|| path.last().cloned()).unwrap_or_default();
                    found.push((name, path.clone()));
                }
                if token == "}" {
                    stack.pop();
                }
                path = stack.last().cloned().unwrap_or_default();
            }
            "as" => {
                alias = tokens.get(at + 1).map(|name| (*name).to_owned());
                at += 1;
            }
            "::" => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    found
}

const MAP: &str = "mod a;\nmod b;\nmod c;\nmod d;\npub use a::{A, Other};\npub use c::*;";

fn read_all(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn files_that_name_each_other_are_a_circle_whatever_path_they_take() {
    let files = read_all(&[
        ("keys/mod.rs", MAP),
        ("keys/a.rs", "use super::b::B;\npub struct A(B);"),
        ("keys/b.rs", "fn f() -> Vec<crate::keys::c::C> { \"super::d::D\"; vec![] }"),
        (
            "keys/c.rs",
            "use std::{fmt, io::{self, Read}};\nuse crate::{media::Size, keys::{A as Q}};",
        ),
        ("keys/d.rs", "use super::{A, c::C};\n#[cfg(test)]\nmod tests { use super::c::C; }"),
    ]);
    let faults = faults(&files);
    let want = "src/keys: these files name each other in a circle: keys/a.rs, keys/b.rs, keys/c.rs\
                \n    keys/a.rs -> keys/b.rs (B)\
                \n    keys/b.rs -> keys/c.rs (C)\
                \n    keys/c.rs -> keys/a.rs (A)\
                \n    remedy: ";
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].starts_with(want), "{}", faults[0]);
}

#[test]
fn a_parent_that_uses_its_child_is_in_a_circle_where_the_child_names_it() {
    let parent = "mod walk;\nuse walk::Walk;\npub struct Cursor(Walk);";
    let files = |child| read_all(&[("stream/cursor.rs", parent), ("stream/cursor/walk.rs", child)]);
    let told = faults(&files("use super::Cursor;"));
    assert!(told[0].contains("stream/cursor.rs -> stream/cursor/walk.rs (Walk)"), "{told:#?}");
    assert_eq!(faults(&files("pub struct Walk;")), Vec::<String>::new());
}

#[test]
fn re_exports_and_tests_make_no_circle() {
    let files = read_all(&[
        ("web/mod.rs", "//! M.\nmod a;\n#[cfg(test)]\nmod probe;\npub use a::A;"),
        ("web/a.rs", "pub struct A<'a>(&'a u8);\n#[cfg(test)]\nuse super::probe::P;"),
        ("web/probe.rs", "use super::A;"),
        ("web/a/tests.rs", "use super::A;"),
        ("tls/a.rs", "pub mod b;\npub use b::B;\n"),
        ("tls/a/b.rs", "use crate::tls::a::Other;\n"),
    ]);
    assert_eq!(faults(&files), Vec::<String>::new());
}
