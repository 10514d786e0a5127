//! Streams into files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::ask;
use crate::config::{Config, demo};
use crate::node::{Node, STUDIO};
use crate::pairs::ffmpeg_publishes;
use crate::program::Program;
use crate::pushing::assert_undisturbed;
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
        recording.assert_audio_and_picture(2.0);
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
        recording.assert_audio_and_picture(1.0);
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
    Recording::at(file.clone()).assert_audio_and_picture(1.0);
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
    assert_undisturbed(&node, &mut viewer, 60);
    node.program().says("failed and tries again");
}

/// Presentation and decoding times of the pictures or of the audio, milliseconds.
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
    // B-frames, and audio that begins two seconds after the pictures.
    let how = "-v error -f lavfi -i testsrc2=s=320x180:r=30 -itsoffset 2 -f lavfi -i \
               sine=r=48000 -t 9 -c:v libx264 -preset ultrafast -bf 3 -g 30 -c:a aac";
    Program::start("ffmpeg", how, &[path]).succeeds(SOON);
    let source = Recording::at(path.into());
    assert!(times(&source, true).iter().any(|(pts, dts)| pts - dts > 60), "there are B-frames");
    assert!(times(&source, false)[0].1 > 1_900, "audio is late");

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

/// Waits until a recording is in a state, and gives what the API shows of it.
fn recording_that_is(node: &Node, name: &str, state: &str) -> Value {
    wait_until(SOON, &format!("{name} is {state}"), || {
        let (_, shown) = ask(node, &format!("GET /recordings/{name}"), &Value::Null);
        (shown["state"] == state).then_some(shown)
    })
}

#[test]
fn recordings_are_added_stopped_started_and_removed_while_the_node_runs() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("later");
    let node = Node::start(&demo());
    node.wait_for_streams(1);
    let wanted = json!({
        "name": "later", "stream": "live/demo", "dir": folder, "format": "mp4", "split_s": 600,
    });
    assert_eq!(ask(&node, "POST /recordings", &wanted).0, 201);
    assert_eq!(ask(&node, "POST /recordings", &wanted).0, 409, "its name is taken");
    let (status, problem) = ask(&node, "POST /recordings", &json!({"name": "b", "format": "mkv"}));
    let told = problem["detail"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(told.contains("needs `stream`") && told.contains("\"mp4\""), "{told}");
    let shown = recording_that_is(&node, "later", "live");
    assert_eq!((&shown["format"], &shown["dir"]), (&json!("mp4"), &json!(folder)));

    // From a keyframe on, of which there is one every two seconds at least.
    let mut viewer = Wire::play(node.rtmp_port(), "demo");
    let first = viewer.find("a picture", Message::is_picture).time;
    viewer.find("a later picture", |it| it.is_picture() && it.time >= first + 4_000);
    wait_until(SOON, "it is written", || (bytes(&folder) > 100_000).then_some(()));
    assert_eq!(ask(&node, "POST /recordings/later/stop", &Value::Null).0, 204);
    let shown = recording_that_is(&node, "later", "stopped");
    assert_eq!((&shown["file"], &shown["files"]), (&Value::Null, &json!(1)));
    Recording::at(files(&folder)[0].clone()).assert_audio_and_picture(1.0);

    wait_until(SOON, "it is started", || {
        (ask(&node, "POST /recordings/later/start", &Value::Null).0 == 204).then_some(())
    });
    recording_that_is(&node, "later", "live");
    wait_until(SOON, "there is another file", || (files(&folder).len() == 2).then_some(()));
    assert_eq!(ask(&node, "DELETE /recordings/later", &Value::Null).0, 204);
    assert_eq!(ask(&node, "POST /recordings/later/start", &Value::Null).0, 404);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
    assert_eq!(files(&folder).len(), 2, "its files stay");
    Recording::at(files(&folder)[1].clone()).assert_audio_and_picture(0.5);
}

#[test]
fn a_failure_names_the_folder_and_stays_until_it_is_over() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    // A file where the folder should be.
    let folder = dir.path().join("folder");
    std::fs::write(&folder, "in the way").unwrap();
    let node = Node::start(&demo().record("live/demo", &format!("dir = \"{}\"", folder.display())));
    let shown = recording_that_is(&node, "record_0", "failed");
    let named = |text: &str| text.contains(folder.to_str().unwrap());
    let error = wait_until(SOON, "it says why", || {
        let (_, shown) = ask(&node, "GET /recordings/record_0", &Value::Null);
        shown["error"].as_str().map(str::to_owned)
    });
    assert!(named(&error), "{error} in {shown}");
    wait_until(SOON, "it is a warning", || {
        let err = node.program().err();
        let mut lines = err.lines().filter(|line| line.contains("failed and tries again"));
        lines.next().map(|line| assert!(line.contains("WARN") && named(line), "{line}"))
    });
    std::fs::remove_file(&folder).unwrap();
    let shown = recording_that_is(&node, "record_0", "live");
    wait_until(SOON, "it is over", || {
        let (_, shown) = ask(&node, "GET /recordings/record_0", &Value::Null);
        shown["error"].is_null().then_some(())
    });
    assert_eq!(shown["stream"], "live/demo");
}

#[test]
fn what_an_mp4_cannot_hold_is_refused_with_a_word_and_an_flv_has_it() {
    let _turn = beside_others();
    let dir = tempfile::TempDir::new().unwrap();
    let folder = |name: &str| dir.path().join(name);
    let more = |name: &str| format!("dir = \"{}\"\nformat = \"{name}\"", folder(name).display());
    let config = Config::new().publish_open();
    let config = config.record("live/show", &more("mp4")).record("live/show", &more("flv"));
    let node = Node::start(&config);
    let url = format!("rtmp://127.0.0.1:{}/live/show", node.rtmp_port());
    // H.264 with G.711.
    let how = "-v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=8000 -c:v libx264 \
               -preset ultrafast -g 15 -c:a pcm_mulaw -ar 8000 -f flv";
    let publisher = Program::start("ffmpeg", how, &[&url]);
    let refused = wait_until(SOON, "it is told", || {
        let err = node.program().err();
        err.lines().find(|line| line.contains("record_0 failed")).map(str::to_owned)
    });
    assert!(
        refused.contains("WARN") && refused.contains("G.711 is not recorded as MP4"),
        "{refused}"
    );
    recording_that_is(&node, "record_0", "failed");
    wait_until(SOON, "the FLV is written", || (bytes(&folder("flv")) > 100_000).then_some(()));
    drop(publisher);
    node.signal("TERM");
    assert!(node.ended(SOON).status.success());
    let [file] = &files(&folder("flv"))[..] else { panic!("one file") };
    assert!(Recording::at(file.clone()).about("a").contains("codec_name=pcm_mulaw"));
    for file in files(&folder("mp4")) {
        let about = Recording::at(file.clone()).about("a");
        assert!(!about.contains("codec_name"), "{}: {about}", file.display());
    }
}
