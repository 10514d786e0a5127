//! Streams with a fallback: what goes out while a publisher is killed, stopped and back again, as a
//! destination and ffmpeg see it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::{done, events_of};
use crate::config::Config;
use crate::destination::{Destination, Heard};
use crate::node::Node;
use crate::program::Program;
use crate::wait::{SOON, beside_others, wait_until};
use crate::wire::{AUDIO, Message, VIDEO};

/// A picture of one colour.
fn slate(dir: &Path, color: &str) -> String {
    let path = dir.join("slate.png").to_str().unwrap().to_owned();
    let source = format!("color=c={color}:s=320x180");
    let last = ["-i", &source, "-frames:v", "1", &path];
    Program::start("ffmpeg", "-v error -y -f lavfi", &last).succeeds(SOON);
    path
}

/// Publishes a green picture with a tone.
fn publish(node: &Node) -> Program {
    publish_color(node, "live/cam", "green")
}

fn publish_color(node: &Node, stream: &str, color: &str) -> Program {
    let url = node.url(stream);
    let picture = format!("color=c={color}:s=320x180:r=25");
    let last = ["-i", &*picture, "-f", "lavfi", "-i", "sine=r=48000"];
    let coded = "-c:v libx264 -preset ultrafast -g 25 -bf 0 -c:a aac -f flv".split(' ');
    let last: Vec<_> = last.into_iter().chain(coded).chain([&*url]).collect();
    Program::start("ffmpeg", "-v error -re -f lavfi", &last)
}

fn fallback(node: &Node) -> Value {
    done(node, "GET /fallbacks", &Value::Null)[0].clone()
}

fn wait_for(node: &Node, state: &str) -> Value {
    wait_until(SOON, &format!("the stream is {state}"), || {
        Some(fallback(node)).filter(|it| it["state"] == state)
    })
}

/// Times of what came of a kind, headers aside.
fn times(messages: &[Message], kind: u8) -> Vec<u32> {
    // The end of the pictures has the time of the last one.
    let is_end = |it: &Message| it.kind == VIDEO && it.body.starts_with(&[0x17, 2]);
    let is_it = |it: &&Message| {
        it.kind == kind && !it.is_video_header() && !it.is_audio_header() && !is_end(it)
    };
    messages.iter().filter(is_it).map(|it| it.time).collect()
}

/// What was recorded, a file for each time that the codecs' headers were others.
fn recordings(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|it| it.extension().is_some_and(|it| it == "flv")).collect();
    let number = |path: &Path| -> u32 {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        name.rsplit('-').next().unwrap().parse().unwrap_or_default()
    };
    files.sort_by_key(|path| number(path));
    files
}

const R: char = 'r';
const G: char = 'g';

/// The colours that follow each other in a file, as ffmpeg decodes it without a fault.
fn colors_of(file: &Path) -> Vec<char> {
    let last = ["-i", file.to_str().unwrap(), "-vf", "scale=1:1", "-pix_fmt", "rgb24"];
    let last = [&last[..], &["-f", "rawvideo", "-"]].concat();
    let pixels = Program::start("ffmpeg", "-v error -xerror", &last).succeeds(SOON);
    let mut seen: Vec<_> =
        pixels.chunks(3).map(|rgb| if rgb[0] > rgb[1] { R } else { G }).collect();
    seen.dedup();
    seen
}

#[test]
fn a_publisher_that_is_killed_or_stopped_is_filled_in_for_in_one_connection() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let destination = Destination::start();
    let stream = format!(
        "[[stream]]\nname = \"live/cam\"\nfallback = {{ image = \"{}\" }}\nafter_ms = 400\n\
         back_after_ms = 500\n",
        slate(dir.path(), "red")
    );
    let config = Config::new()
        .publish_open()
        .rtmp("grace = 1")
        .more(&stream)
        .push("live/cam", &destination.url(), "")
        .record("live/cam", &format!("dir = \"{}\"", dir.path().display()));
    let node = Node::start(&config);
    let mut publisher = publish(&node);
    wait_for(&node, "source");
    wait_until(SOON, "the fallback is built", || (fallback(&node)["ready"] == true).then_some(()));
    for round in 0..4 {
        match round % 2 {
            0 => {
                publisher.signal("KILL");
                wait_for(&node, "fallback");
                publisher = publish(&node);
            }
            _ => {
                publisher.signal("STOP");
                wait_for(&node, "fallback");
                publisher.signal("CONT");
            }
        }
        let told = wait_for(&node, "source");
        assert_eq!(told["breaks"], round + 1, "{told}");
    }
    let started = events_of(&node, "fallback_started");
    let reasons: Vec<_> = started.iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    let has = |words: &str| reasons.iter().filter(|it| it.contains(words)).count();
    assert_eq!((has("connection was lost"), has("has sent nothing")), (2, 2), "{reasons:?}");
    assert_eq!(events_of(&node, "fallback_ended").len(), 4);

    // A wanted end ends it.
    publisher.signal("INT");
    let is_closed = || destination.heard().iter().any(|it| matches!(it, Heard::Closed));
    wait_until(SOON, "the destination is told of the end", || is_closed().then_some(()));
    let messages = destination.messages();
    assert!(messages.iter().any(|it| it.command() == "deleteStream"));
    let connections = destination.heard().iter().filter(|it| matches!(it, Heard::Closed)).count();
    assert_eq!(connections, 1, "one connection through all of it");
    for kind in [VIDEO, AUDIO] {
        let times = times(&messages, kind);
        assert!(times.len() > 100, "{}", times.len());
        let bad = times.windows(2).find(|pair| pair[1] <= pair[0]);
        assert_eq!(bad, None, "times rise: {kind}");
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(gap < 400 + 40 + 400, "{gap} ms without anything of kind {kind}");
    }

    // What was recorded decodes without a fault, and shows both.
    let files = wait_until(SOON, "all recordings are whole", || {
        let files: Vec<_> = recordings(dir.path());
        (events_of(&node, "record_finished").len() == files.len()).then_some(files)
    });
    let colors: Vec<_> = files.iter().map(|file| colors_of(file)).collect();
    assert_eq!(colors, [G, R, G, R, G, R, G, R, G].map(|it| vec![it]), "green, and four times red");
}

/// A file of two seconds of red with a tone.
fn red_file(dir: &Path) -> String {
    let path = dir.join("loop.mp4").to_str().unwrap().to_owned();
    let picture = "-i color=c=red:s=320x180:r=25 -f lavfi -i sine=r=48000 -t 2";
    let coded = "-c:v libx264 -preset ultrafast -c:a aac";
    let last: Vec<_> = picture.split(' ').chain(coded.split(' ')).chain([&*path]).collect();
    Program::start("ffmpeg", "-v error -y -f lavfi", &last).succeeds(SOON);
    path
}

#[test]
fn a_file_another_stream_and_a_scene_fill_in_for_what_is_lost() {
    let _turn = beside_others();
    let dir = tempfile::tempdir().unwrap();
    let fallbacks = [
        ("live/a", format!("file = \"{}\"", red_file(dir.path()))),
        ("live/b", "stream = \"live/spare\"".to_owned()),
        ("live/c", "scene = \"show/slate\"".to_owned()),
    ];
    let slate = "[[channel.scene]]\nname = \"slate\"\nbackground = \"#ff0000\"\n";
    let config = Config::new().publish_open().channel("show").layer("test-card", "").more(slate);
    let config = fallbacks.iter().fold(config, |config, (name, fallback)| {
        let folder = dir.path().join(name.rsplit('/').next().unwrap());
        let rules = "after_ms = 400\nback_after_ms = 500\n";
        config
            .more(&format!("[[stream]]\nname = \"{name}\"\nfallback = {{ {fallback} }}\n{rules}"))
            .record(name, &format!("dir = \"{}\"", folder.display()))
    });
    let node = Node::start(&config);
    let all = |is_it: &dyn Fn(&Value) -> bool, what: &str| {
        wait_until(SOON, what, || {
            let list = done(&node, "GET /fallbacks", &Value::Null);
            let list = list.as_array().unwrap().clone();
            (list.len() == 3 && list.iter().all(is_it)).then_some(list)
        })
    };
    let spare = publish_color(&node, "live/spare", "red");
    let publish = || fallbacks.each_ref().map(|(name, _)| publish_color(&node, name, "green"));
    let publishers = publish();
    all(&|it| it["state"] == "source" && it["ready"] == true, "all have a source and a fallback");
    publishers.iter().for_each(|it| it.signal("KILL"));
    all(&|it| it["state"] == "fallback", "all are filled in for");
    drop(publishers);
    let publishers = publish();
    all(&|it| it["state"] == "source", "all have their source again");
    publishers.iter().for_each(|it| it.signal("INT"));
    all(&|it| it["state"] == "idle", "all have ended");
    let folder = |name: &str| dir.path().join(name.rsplit('/').next().unwrap());
    wait_until(SOON, "all recordings are whole", || {
        let files: usize = fallbacks.iter().map(|(name, _)| recordings(&folder(name)).len()).sum();
        (events_of(&node, "record_finished").len() == files).then_some(())
    });
    for (name, fallback) in &fallbacks {
        // Another stream with the same headers goes on in the same file.
        let mut colors =
            recordings(&folder(name)).iter().flat_map(|it| colors_of(it)).collect::<Vec<_>>();
        colors.dedup();
        assert_eq!(colors, [G, R, G], "{fallback}");
    }
    drop(spare);
}
