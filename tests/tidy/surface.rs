//! The public surface of the library: the modules of its users, and inner parts that each have a
//! user in this package.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::rust_files;
use super::tokens::{is_word, tokens};

/// What another program may name.
const PUBLIC: &[&str] = &["command", "config", "event", "flv", "media", "rtmp"];

/// Public as far as the compiler knows, for this package alone.
const HIDDEN: &[&str] = &["cli", "internals"];

/// Where inner parts may be used from outside the library.
const USERS: &[&str] = &["benches", "examples", "perf/driver/src", "tests"];

/// Public modules of `library`, the text of `lib.rs`, that are not meant to be; and names that
/// `internals` exports and none of `users` says.
fn faults(library: &str, internals: &str, users: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hidden = false;
    for line in library.lines() {
        if let Some(module) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'))
        {
            let wanted = if hidden { HIDDEN } else { PUBLIC };
            if !wanted.contains(&module) {
                faults.push(format!(
                    "src/lib.rs: `{module}` is public: is it for users of the library? Else export \
                     what is needed from `internals`"
                ));
            }
        }
        hidden = line == "#[doc(hidden)]";
    }
    let said: BTreeSet<String> = users.iter().flat_map(|text| names(text)).collect();
    let exported = internals.lines().filter(|line| !line.starts_with("//!"));
    let exported = exported.collect::<Vec<_>>().join("\n");
    for export in exported.split(';').filter_map(|export| export.split_once("pub use crate::")) {
        // Of a path only the last segment is exported.
        let list = export.1.rsplit("::").next().unwrap_or_default();
        for name in names(list).into_iter().filter(|name| !said.contains(name)) {
            faults.push(format!("src/internals.rs: nobody uses `{name}`: do not export it"));
        }
    }
    faults
}

fn names(text: &str) -> Vec<String> {
    tokens(text).into_iter().filter(|token| is_word(token)).map(str::to_owned).collect()
}

#[test]
fn the_library_shows_what_its_users_need_and_nothing_else() {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut users = vec![read(Path::new("src/main.rs"))];
    users.extend(USERS.iter().flat_map(|dir| rust_files(Path::new(dir))).map(|file| read(&file)));
    let (library, internals) = (Path::new("src/lib.rs"), Path::new("src/internals.rs"));
    let faults = faults(&read(library), &read(internals), &users);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_public_module_and_an_export_that_nobody_uses_are_seen() {
    let library = "pub mod config;\n#[doc(hidden)]\npub mod cli;\npub mod shard;\nmod ring;\n";
    let internals = "pub use crate::ring::{Bell, channel};\npub use crate::frame::Pool;\n";
    let found = faults(library, internals, &["let pool: Pool = channel();".to_owned()]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`shard`") && found[1].contains("`Bell`"), "{found:?}");
}
