//! Streams into files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::config::{Config, demo};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::recording::Recording;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{Message, Wire};

/// Files in a folder, in the order of their names.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Bytes in a folder.
fn bytes(dir: &Path) -> u64 {
    files(dir).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum()
}

fn end_of_pictures(recording: &Recording) -> f64 {
    recording.video_packets().iter().map(|packet| packet.dts).fold(0.0, f64::max)
}

#[test]
fn a_node_that_is_killed_leaves_files_that_lack_at_most_the_last_second() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let (flv, mp4) = (dir.path().join("flv"), dir.path().join("mp4"));
    let config = demo()
        .record("live/demo", &format!("dir = \"{}\"", flv.display()))
        .record("live/demo", &format!("dir = \"{}\"\nformat = \"mp4\"", mp4.display()));
    let node = Node::start(&config);
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    let mut newest = 0;
    // Some seconds of the stream, of which the recording has everything but the last one.
    while newest < 5_000 {
        newest = viewer.find("a picture", Message::is_picture).time;
    }
    node.signal("KILL");
    while let Some(message) = viewer.next() {
        newest = if message.is_picture() { message.time } else { newest };
    }
    drop(node.ended(SOON));
    for folder in [flv, mp4] {
        let [file] = &files(&folder)[..] else { panic!("one file in {}", folder.display()) };
        let recording = Recording::at(file.clone());
        recording.assert_sound_and_picture(2.0);
        let lost = f64::from(newest) / 1_000.0 - end_of_pictures(&recording);
        assert!(lost <= 1.5, "{lost} s are lost in {}", file.display());
    }
}

#[test]
fn a_recording_that_ends_in_order_knows_its_length_and_is_split_at_keyframes() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let more = format!("dir = \"{}\"\nsplit_s = 2", dir.path().display());
    let node = Node::start(&demo().record("live/demo", &more));
    wait_until(SOON, "there are files", || {
        (node.metric("record_files_total", &["stream=\"live/demo\""]) >= 3.0).then_some(())
    });
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
    let files = files(dir.path());
    for file in &files[..2] {
        let recording = Recording::at(file.clone());
        recording.assert_sound_and_picture(1.0);
        let told = Command::new("ffprobe")
            .args("-v error -show_entries format=duration -of csv=p=0".split(' '))
            .arg(file)
            .output()
            .unwrap();
        let told: f64 = String::from_utf8(told.stdout).unwrap().trim().parse().unwrap();
        assert!((told - end_of_pictures(&recording)).abs() < 0.2, "{told} s");
    }
}

#[test]
fn what_is_published_is_recorded_without_its_key() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let config = Config::new().record(STUDIO, &format!("dir = \"{}\"", dir.path().display()));
    let node = Node::start(&config);
    let publisher = ffmpeg_publishes(&node.publish_url());
    wait_until(SOON, "it is recorded", || (bytes(dir.path()) > 150_000).then_some(()));
    drop(publisher);
    node.signal("TERM");
    assert!(node.ended(Duration::from_secs(30)).status.success());
    let [file] = &files(dir.path())[..] else { panic!("one file") };
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with("record_0-"), "{file:?}");
    Recording::at(file.clone()).assert_sound_and_picture(1.0);
}

#[test]
fn a_folder_that_cannot_be_used_stops_the_recording_and_not_the_stream() {
    let _turn = beside_others();
    let config = demo().record("live/demo", "dir = \"/proc/nowhere\"");
    let node = Node::start(&config);
    wait_until(SOON, "the recording has stopped", || {
        (node.metric("record_stops_total", &[]) >= 1.0).then_some(())
    });
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    crate::pushing::assert_even(&mut viewer, 60);
    wait_until(SOON, "it is told", || {
        node.program().err().contains("stopped and tries again").then_some(())
    });
}
