//! `stream-manager keys` on a data directory.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::config::Config;
use crate::node::{BINARY, Node, run_to_end};
use crate::program::Ended;
use crate::redis::{Redis, made};
use crate::wait::beside_others;

fn keys(dir: &Path, line: &str) -> Ended {
    let dir = dir.to_str().unwrap();
    let words: Vec<_> =
        ["keys", "--data-dir", dir].into_iter().chain(line.split_whitespace()).collect();
    run_to_end(&words)
}

fn printed(dir: &Path, line: &str) -> String {
    let ended = keys(dir, line);
    assert!(ended.status.success(), "keys {line}: {}", ended.err);
    String::from_utf8(ended.out).unwrap()
}

#[test]
fn a_key_lives_from_its_creation_to_its_deletion() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let created = printed(dir, "create --stream show --owner Ada --alias studio --expires 12h");
    assert!(created.contains("live/show") && created.contains("rtmp://127.0.0.1:1935/live"));
    let secret = created.split_whitespace().find(|word| word.len() == 64).expect("the key");
    let id = created.split_whitespace().nth(1).unwrap();
    let list = printed(dir, "list");
    assert!(list.contains(id) && list.contains("studio") && list.contains("good"), "{list}");
    let (new_id, new) = made(&keys(dir, "rotate studio --grace 0 --json"));
    assert!(new_id != id && new != secret);
    assert!(printed(dir, &format!("show {id}")).contains("revoked"));
    assert!(printed(dir, "show studio").contains(&new_id), "the alias leads to the new key");
    assert!(printed(dir, "revoke studio").contains("revoked"));
    printed(dir, "alias studio --remove");
    printed(dir, &format!("alias other {new_id}"));
    printed(dir, &format!("delete {new_id}"));
    assert!(keys(dir, "show other").err.contains("no such key"));
    let all = [printed(dir, "list --json"), printed(dir, "list"), printed(dir, "list")].concat();
    assert!(!all.contains(secret) && !all.contains(&new), "a secret is shown again");
}

#[test]
fn a_weak_key_is_imported_only_when_told_to_and_with_a_word_of_warning() {
    let dir = TempDir::new().unwrap();
    let refused = keys(dir.path(), "import --stream live/old stream-key-123");
    assert!(!refused.status.success() && refused.err.contains("--weak"), "{}", refused.err);
    let imported = keys(dir.path(), "import --stream live/old --weak stream-key-123");
    assert!(imported.status.success() && imported.err.contains("guessed"), "{}", imported.err);
    assert!(!String::from_utf8(imported.out).unwrap().contains("stream-key-123"));
    assert!(imported.err.contains("standard input"), "others see it: {}", imported.err);
}

#[test]
fn secrets_need_not_stand_on_the_command_line() {
    let _turn = beside_others();
    let redis = Redis::start();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("redis-url");
    std::fs::write(&file, format!("{}\n", redis.url())).unwrap();
    let mut import = Command::new(BINARY)
        .args(["keys", "--redis-url-file", file.to_str().unwrap()])
        .args(["import", "--stream", "live/own", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(b"a key that was made elsewhere\n").unwrap();
    let ended = import.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && err.is_empty(), "{err}");
    let found = redis.keys("list");
    assert!(String::from_utf8(found.out).unwrap().contains("live/own"));
    assert!(found.err.contains("--redis-url-file"), "others see its password: {}", found.err);
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    let dir = TempDir::new().unwrap();
    let nothing = keys(dir.path(), "list");
    assert!(!nothing.status.success() && nothing.err.contains("--data-dir"), "{}", nothing.err);
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "a store was made");
    let bad = keys(dir.path(), "create --stream ../etc");
    assert!(bad.err.contains("live/show"), "{}", bad.err);
}

#[test]
fn a_store_that_a_node_has_open_is_left_to_the_node() {
    let _turn = beside_others();
    let node = Node::start(&Config::new());
    let refused = keys(&node.file("data"), "list");
    assert!(!refused.status.success());
    assert!(refused.err.contains("stop the node"), "{}", refused.err);
}
