//! Mistakes of whoever runs a node: one clear message, the right exit code, nothing started.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::config::{Config, demo};
use crate::node::{BINARY, Node, run_to_end};
use crate::program::{Ended, Program};
use crate::wait::{SOON, beside_others};
use crate::wire::Wire;

/// Exit code of a configuration that cannot be used.
const BAD_CONFIG: Option<i32> = Some(2);

/// Runs the node with this configuration text until it gives up.
fn refused(text: &str) -> (TempDir, Ended) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, text).unwrap();
    let data = dir.path().join("data");
    let ended = run(&file, &data);
    (dir, ended)
}

fn run(file: &Path, data: &Path) -> Ended {
    let mut command = Command::new(BINARY);
    command.arg("run").arg("--config").arg(file).arg("--data-dir").arg(data);
    Program::spawn("stream-manager", command).ended(SOON)
}

/// That the message says all of this, once, and no more than a screen of it.
fn assert_told(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.err.contains(part), "no {part:?} in:\n{}", ended.err);
    }
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert!(ended.err.lines().count() <= 12, "a wall of text:\n{}", ended.err);
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_line() {
    let _turn = beside_others();
    let number = |text: &str| text.lines().count();
    let demo = demo();
    let base = demo.text();
    let cases = [
        (format!("{base}\n[rtmpp]\n"), number(base) + 2, "rtmpp"),
        ("[rtmp]\nchunk_sise = 60000\n".to_owned(), 2, "chunk_sise"),
        ("[rtmp]\nport = \"many\"\n".to_owned(), 2, "port"),
        ("\n[rtmp]\nport = 123456\n".to_owned(), 3, "port"),
        ("[rtmp\n".to_owned(), 1, "node.toml"),
    ];
    for (text, line, word) in cases {
        let (dir, ended) = refused(&text);
        assert_eq!(ended.status.code(), BAD_CONFIG, "{text}: {}", ended.err);
        assert_told(&ended, &[&format!("node.toml:{line}"), word]);
        assert!(!dir.path().join("data").exists(), "something has started");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_told() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("no-such.toml");
    let ended = run(&file, &dir.path().join("data"));
    assert_eq!(ended.status.code(), BAD_CONFIG, "{}", ended.err);
    assert_told(&ended, &["no-such.toml"]);
}

/// Looks at this configuration text and what it names.
fn checked(text: &str) -> Ended {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(&file, text).unwrap();
    run_to_end(&["config", "check", "--assets", file.to_str().unwrap()])
}

#[test]
fn a_missing_asset_is_told() {
    for (kind, more) in
        [("image", "path = \"/no/such/picture.png\""), ("video", "path = \"/no/such/picture.png\"")]
    {
        let ended = checked(Config::new().channel("demo").layer(kind, more).text());
        assert_eq!(ended.status.code(), BAD_CONFIG, "{}", ended.err);
        assert_told(&ended, &["/no/such/picture.png", "node.toml:", "demo", kind]);
    }
}

#[test]
fn a_missing_font_is_told() {
    for font in ["No Such Font", "/no/such/font.ttf"] {
        let more = format!("text = \"Hello\"\nfont = \"{font}\"");
        let ended = checked(Config::new().channel("demo").layer("text", &more).text());
        assert_eq!(ended.status.code(), BAD_CONFIG, "{}", ended.err);
        assert_told(&ended, &[font]);
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let _turn = beside_others();
    let config = demo();
    for port in [config.rtmp, config.http] {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (_dir, ended) = refused(config.text());
        assert!(!ended.status.success());
        assert_told(&ended, &[&port.to_string(), "in use"]);
    }
}

#[test]
fn a_node_that_anybody_could_publish_to_is_refused_unless_that_is_meant() {
    let _turn = beside_others();
    let config = demo().publish_open();
    let text = config.text().replacen("127.0.0.1", "0.0.0.0", 1);
    let (_dir, ended) = refused(&text);
    assert_eq!(ended.status.code(), BAD_CONFIG, "{}", ended.err);
    assert_told(&ended, &["node.toml", "anybody", "--i-know"]);

    let node = Node::start_with(&demo().publish_open(), &["--bind", "0.0.0.0", "--i-know"]);
    node.program().says("anybody who reaches this port may publish");
    let (mut wire, stream) = Wire::stream(node.rtmp_port());
    assert_eq!(wire.publish(stream, "show")[0], "NetStream.Publish.Start");
    let node = Node::start(&demo().publish_open());
    node.program().says("every program on this machine may publish");
    let node = Node::start(&demo());
    assert!(!node.program().err().contains("may publish"));
}

#[test]
fn a_second_node_does_not_take_the_ports_of_the_first() {
    let _turn = beside_others();
    let config = demo();
    let first = Node::start(&config);
    let other_http = demo();
    let text = config.text().replace(&config.http.to_string(), &other_http.http.to_string());
    let (_dir, second) = refused(&text);
    assert!(!second.status.success());
    assert_told(&second, &[&first.rtmp_port().to_string(), "in use"]);
}

#[test]
fn a_data_directory_that_cannot_be_made_is_told() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let file = demo().write(dir.path());
    // Below a file: not even root can make it.
    let data = file.join("data");
    let ended = run(&file, &data);
    assert!(!ended.status.success());
    assert_told(&ended, &["node.toml/data"]);
}

#[test]
fn a_data_directory_without_space_is_told() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let file = demo().write(dir.path());
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let (file, data) = (file.to_str().unwrap(), data.to_str().unwrap());
    let run = format!("exec {BINARY} run --config {file} --data-dir {data}");
    // A file system of 16 KiB for this process alone where that is allowed, otherwise a limit on
    // the size of every file it writes.
    let full = format!("mount -t tmpfs -o size=16k none {data} && {run}");
    let limited = format!("trap '' XFSZ; ulimit -f 1; {run}");
    let script = format!(
        "if unshare -rm true 2>/dev/null; then exec unshare -rm sh -c '{full}'; fi; {limited}"
    );
    let ended = Program::start("sh", "-c", &[&script]).ended(SOON);
    assert!(!ended.status.success());
    assert_told(&ended, &[data]);
}
