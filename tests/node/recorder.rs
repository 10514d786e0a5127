//! Streams into files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::config::{Config, demo};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
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

/// Presentation and decoding times of the pictures or of the sound, milliseconds.
fn times(recording: &Recording, is_video: bool) -> Vec<(i64, i64)> {
    let packets = recording.packets().into_iter().filter(|packet| packet.is_video == is_video);
    #[expect(clippy::cast_possible_truncation, reason = "a short file")]
    let millis = |seconds: f64| (seconds * 1e3).round() as i64;
    packets.map(|packet| (millis(packet.pts), millis(packet.dts))).collect()
}

/// That these files hold every packet of `source` with its times, but for one step for all of a
/// file's, because each begins near 0.
fn assert_same_times(source: &Recording, files: &[PathBuf]) {
    let wanted = [true, false].map(|is_video| times(source, is_video));
    let mut found = [Vec::new(), Vec::new()];
    for file in files {
        let recording = Recording::at(file.clone());
        let tracks = [true, false].map(|is_video| times(&recording, is_video));
        let step = wanted[0][found[0].len()].1 - tracks[0][0].1;
        for (all, track) in found.iter_mut().zip(tracks) {
            all.extend(track.into_iter().map(|(pts, dts)| (pts + step, dts + step)));
        }
    }
    for (found, wanted) in found.iter().zip(&wanted) {
        let wrong =
            found.iter().zip(wanted).enumerate().find(|(_, (found, wanted))| found != wanted);
        assert_eq!(wrong, None, "{files:?}: as it is in the file, and as it was published");
        assert_eq!(found.len(), wanted.len(), "{files:?}");
    }
}

#[test]
fn every_time_in_a_recording_is_as_it_was_published_also_over_a_split() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("source.flv");
    let path = path.to_str().unwrap();
    // B-frames, and sound that begins two seconds after the pictures.
    let how = "-v error -f lavfi -i testsrc2=s=320x180:r=30 -itsoffset 2 -f lavfi -i \
               sine=r=48000 -t 9 -c:v libx264 -preset ultrafast -bf 3 -g 30 -c:a aac";
    Program::start("ffmpeg", how, &[path]).succeeds(SOON);
    let source = Recording::at(path.into());
    assert!(times(&source, true).iter().any(|(pts, dts)| pts - dts > 60), "there are B-frames");
    assert!(times(&source, false)[0].1 > 1_900, "sound is late");

    let folders = ["flv", "flv\"\nsplit_s = 3\n#", "mp4", "mp4\"\nsplit_s = 3\n#"];
    let mut config = Config::new().publish_open();
    for (number, format) in folders.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        let more = format!("dir = \"{}\"\nformat = \"{format}\"", folder.display());
        config = config.record("live/show", &more);
    }
    let node = Node::start(&config);
    let url = format!("rtmp://127.0.0.1:{}/live/show", node.rtmp_port());
    let publish = ["-i", path, "-c", "copy", "-f", "flv", &url];
    Program::start("ffmpeg", "-v error -re", &publish).succeeds(SOON + Duration::from_secs(9));
    node.signal("TERM");
    let ended = node.ended(SOON);
    assert!(ended.status.success());
    let trouble = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    // That anybody may publish is told, and that the node stops with a publisher.
    let trouble: Vec<_> = ended.err.lines().filter(trouble).collect();
    let trouble: Vec<_> = trouble.iter().filter(|line| !line.contains("publish = ")).collect();
    assert!(trouble.is_empty(), "{trouble:?}");
    for number in 0..folders.len() {
        let files = files(&dir.path().join(number.to_string()));
        assert_eq!(files.len(), if number % 2 == 0 { 1 } else { 3 }, "{files:?}");
        assert_same_times(&source, &files);
    }
}
