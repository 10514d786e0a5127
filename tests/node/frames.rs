//! Frames of other programs in the programme: a client in C, one in Python, and a web page in
//! Chromium; those that die come back, and those that lie harm nobody.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::api::events_of;
use crate::config::Config;
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::watcher::{Watcher, is_near};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const WHITE: [u8; 3] = [235, 128, 128];

/// Half transparent red and green on white, and blue of three quarters.
const RED: [u8; 3] = [148, 115, 184];
const GREEN: [u8; 3] = [204, 85, 77];
const BLUE: [u8; 3] = [83, 212, 120];

/// A place in the upper half, and one in the lower, in which the programs draw.
const ABOVE: (usize, usize) = (20, 20);
const BELOW: (usize, usize) = (20, 170);

/// A node with a layer for frames over white.
fn node(socket: &Path) -> Node {
    let config = Config::new().channel("demo").layer("color", "color = \"#ffffff\"");
    Node::start(&config.layer("frames", &format!("socket = {socket:?}")))
}

fn wait_for_both(picture: &mut Watcher, what: &str, [above, below]: [[u8; 3]; 2]) {
    picture.wait_until(what, |picture| {
        is_near(picture.at(ABOVE.0, ABOVE.1), above, 10)
            && is_near(picture.at(BELOW.0, BELOW.1), below, 10)
    });
}

fn python(script: &str, arguments: &[&str]) -> Program {
    let script = format!("{ROOT}/examples/{script}");
    Program::start("python3", "-B", &[&[script.as_str()], arguments].concat())
}

/// The C example, compiled as strictly as its users may.
fn compiled(dir: &Path) -> PathBuf {
    let program = dir.join("frames");
    let done = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .args([format!("-I{ROOT}/ffi"), format!("{ROOT}/examples/frames.c"), "-o".to_owned()])
        .arg(&program)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    program
}

#[test]
fn programs_in_c_and_python_are_drawn_with_alpha_and_come_back_after_they_were_killed() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("overlay");
    let program = compiled(dir.path());
    let node = node(&socket);
    let mut picture = Watcher::of(&node.url("live/demo"));
    wait_for_both(&mut picture, "nothing is drawn yet", [WHITE, WHITE]);
    let path = socket.to_str().unwrap();
    for round in 1..=2 {
        let client = Program::start(program.to_str().unwrap(), "", &[path]);
        wait_for_both(&mut picture, "the C client is seen above", [RED, WHITE]);
        client.signal("KILL");
        wait_for_both(&mut picture, "it is gone", [WHITE, WHITE]);
        let client = python("frames.py", &[path]);
        wait_for_both(&mut picture, "the Python client is seen below", [WHITE, GREEN]);
        client.signal("KILL");
        wait_for_both(&mut picture, "it is gone too", [WHITE, WHITE]);
        wait_until(SOON, "all of it is told", || {
            let told = ["input_connected", "input_lost"].map(|kind| events_of(&node, kind));
            let is_of_layer = |event: &serde_json::Value| event["layer"] == "frames-1";
            assert!(told.iter().flatten().all(is_of_layer), "{told:?}");
            told.iter().all(|events| events.len() == 2 * round).then_some(())
        });
    }
    // A node that is killed leaves its socket there.
    drop(node);
    assert!(socket.exists());
    let node = self::node(&socket);
    let _client = python("frames.py", &[path]);
    let mut picture = Watcher::of(&node.url("live/demo"));
    wait_for_both(&mut picture, "the next node has it too", [WHITE, GREEN]);
}

#[test]
fn a_web_page_is_drawn_with_its_transparent_background_by_a_browser_that_may_die() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("overlay");
    let node = node(&socket);
    let mut picture = Watcher::of(&node.url("live/demo"));
    let page = format!("{ROOT}/examples/browser_overlay.html");
    let arguments = [socket.to_str().unwrap(), page.as_str(), "--size", "320x180"];
    let overlay = python("browser_overlay.py", &arguments);
    let left = |picture: &crate::recording::Picture| picture.at(4, 170);
    for _ in 0..2 {
        picture.wait_until("the page is seen", |picture| {
            is_near(left(picture), BLUE, 12) && is_near(picture.at(160, 40), WHITE, 10)
        });
        let killed = Command::new("pkill")
            .args(["-KILL", "-P", &overlay.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success(), "there was a browser");
        picture.wait_until("it is gone", |picture| is_near(left(picture), WHITE, 10));
    }
}

#[test]
fn a_program_that_lies_is_let_go_and_the_programme_goes_on() {
    let _turn = beside_others();
    let dir = TempDir::new().unwrap();
    let socket = dir.path().join("overlay");
    let node = node(&socket);
    let mut picture = Watcher::of(&node.url("live/demo"));
    wait_for_both(&mut picture, "the programme is seen", [WHITE, WHITE]);
    let path = socket.to_str().unwrap();
    let lie = format!(
        "import sys\nsys.path.insert(0, '{ROOT}/examples')\nimport frames\n\
         client = frames.Client('{path}', 320, 180)\n\
         client.free, client.slot_bytes = [9], 0\n\
         client.send(bytes(4 * 320 * 180))\n\
         try:\n    client._receive()\nexcept frames.Gone as gone:\n    print(gone)\n"
    );
    let told = Program::start("python3", "-B -c", &[&lie]).succeeds(SOON);
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("`slot` of a frame is 9"), "{told}");
    let lost = wait_until(SOON, "it is told", || events_of(&node, "input_lost").pop());
    assert_eq!(lost["layer"], "frames-1");
    assert!(lost["reason"].as_str().unwrap().contains("`slot` of a frame is 9"), "{lost}");
    let _client = python("frames.py", &[path]);
    wait_for_both(&mut picture, "another program is seen", [WHITE, GREEN]);
}
