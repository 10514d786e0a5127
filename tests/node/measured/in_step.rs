//! Picture and audio of a programme, against each other.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Config, HEIGHT, WIDTH};
use crate::node::Node;
use crate::program::Program;
use crate::recording::{Recording, SAMPLE_RATE};
use crate::wait::{SOON, quietly, wait_until};
use crate::wire::{AUDIO, VIDEO, Wire};

/// Most seconds between a flash and its beep.
const OFFSET_MAX: f64 = 0.040;

#[test]
fn a_flash_and_its_beep_are_less_than_40_ms_apart() {
    let _turn = quietly();
    let config = Config::new().channel("demo").layer("flash", "").audio("beep", "");
    let node = Node::start(&config);
    let recording = Recording::of(&node.url("live/demo"), 6, node.file("flash.flv"));
    let (flashes, beeps) = (flashes(&recording), beeps(&recording));
    assert!(flashes.len() >= 4, "too few flashes: {flashes:?}");
    for flash in flashes {
        let offset =
            beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        let offset = offset.expect("a beep");
        println!("flash at {flash:.3} s, its beep {:+.1} ms later", offset * 1000.0);
        assert!(offset.abs() < OFFSET_MAX, "flash at {flash} s, beeps at {beeps:?}");
    }
}

/// Most seconds between a flash and its beep in a live input: pictures of 30 a second at both ends.
const LIVE_OFFSET_MAX: f64 = 0.070;

#[test]
fn a_live_input_whose_pictures_come_seconds_late_is_in_step_and_heard() {
    assert_in_step([2_500, 0]);
}

#[test]
fn a_live_input_whose_pictures_come_a_little_late_is_in_step_and_heard() {
    assert_in_step([400, 0]);
}

#[test]
fn a_live_input_whose_audio_comes_late_is_in_step_and_heard() {
    assert_in_step([0, 1_200]);
}

/// Shows a live input whose pictures and audio come so many milliseconds late: two seconds after
/// its first flash each one has its beep, and each beep its flash.
fn assert_in_step([picture_ms, audio_ms]: [u32; 2]) {
    let _turn = quietly();
    let config = Config::new().publish_open().channel("demo");
    let stream = "stream = \"live/guest\"\nslate = \"\"";
    let config = config.layer("live", stream).audio("live", "stream = \"live/guest\"");
    let node = Node::start(&config);
    let media = node.file("sync.flv");
    make_flashes(&media);
    let file = node.file("late.flv");
    let recording = thread::scope(|scope| {
        let tags = flv_tags(&media);
        scope.spawn(|| publish(node.rtmp_port(), tags, [picture_ms, audio_ms]));
        Recording::of(&node.url("live/demo"), 11, file)
    });
    let (flashes, beeps) = (flashes(&recording), beeps(&recording));
    println!("late by {picture_ms} and {audio_ms} ms: {flashes:?}, {beeps:?}");
    let first = flashes.first().copied().expect("a flash");
    let last = flashes.last().copied().expect("a flash");
    let later = |times: &[f64]| -> Vec<f64> {
        times.iter().copied().filter(|at| (first + 1.5..last + 0.1).contains(at)).collect()
    };
    let (flashes, beeps) = (later(&flashes), later(&beeps));
    assert!(flashes.len() >= 2, "too few flashes: {flashes:?}");
    // The first beep of a recording is not told from audio that was there before.
    assert!(beeps.len() + 1 >= flashes.len(), "flashes at {flashes:?}, beeps at {beeps:?}");
    for beep in beeps {
        let offset = flashes.iter().map(|flash| (beep - flash).abs()).min_by(f64::total_cmp);
        assert!(offset < Some(LIVE_OFFSET_MAX), "beep at {beep} s, flashes at {flashes:?}");
    }
}

/// Twelve seconds with a flash and a beep every two seconds.
fn make_flashes(file: &Path) {
    let picture = format!(
        "color=black:s={WIDTH}x{HEIGHT}:r=30,\
         drawbox=c=white:t=fill:enable='lt(mod(t,2),0.2)',format=yuv420p"
    );
    let audio = "aevalsrc='if(lt(mod(t,2),0.2),0.5*sin(2*PI*1000*t),0)':s=48000:c=stereo";
    let coded = "-t 12 -c:v libx264 -preset ultrafast -bf 0 -g 30 -c:a aac";
    let coded: Vec<_> = coded.split_whitespace().collect();
    let file = file.display().to_string();
    let sources = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", audio];
    let last = [&sources[..], &coded[..], &[&file]].concat();
    Program::start("ffmpeg", "-v error -y", &last).succeeds(SOON);
}

/// Kind, time and body of the tags of an FLV file.
fn flv_tags(file: &Path) -> Vec<(u8, u32, Vec<u8>)> {
    let bytes = std::fs::read(file).unwrap();
    let (mut rest, mut tags) = (&bytes[13..], Vec::new());
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
    while rest.len() > 11 {
        let (head, after) = rest.split_at(11);
        let length = number(&head[1..4]) as usize;
        let time = number(&[head[7], head[4], head[5], head[6]]);
        tags.push((head[0], time, after[..length].to_vec()));
        rest = &after[length + 4..];
    }
    tags
}

/// Publishes `live/guest` in real time, with true stamps, pictures and audio each sent so many
/// milliseconds late; their headers first.
fn publish(port: u16, tags: Vec<(u8, u32, Vec<u8>)>, [picture_ms, audio_ms]: [u32; 2]) {
    let (mut wire, stream) = Wire::stream(port);
    wire.publish(stream, "guest");
    let is_header = |kind: u8, body: &[u8]| !matches!(kind, AUDIO | VIDEO) || body[1] == 0;
    let mut timed: Vec<_> = tags
        .into_iter()
        .map(|(kind, time, body)| match kind {
            _ if is_header(kind, &body) => (0, kind, time, body),
            VIDEO => (time + picture_ms + 1, kind, time, body),
            _ => (time + audio_ms + 1, kind, time, body),
        })
        .collect();
    timed.sort_by_key(|(due, ..)| *due);
    let began = Instant::now();
    for (due, kind, time, body) in timed {
        let due = Duration::from_millis(due.into());
        wait_until(SOON, "it is time to send", || (began.elapsed() >= due).then_some(()));
        wire.send(kind, stream, time, &body).unwrap();
    }
}

/// Times at which the picture turns white; a first picture that is white may have been so before.
fn flashes(recording: &Recording) -> Vec<f64> {
    let pictures = recording.pictures();
    let is_white = |luma: u8| luma > 128;
    let pairs = pictures.windows(2);
    let turns =
        pairs.filter(|pair| !is_white(pair[0].middle()[0]) && is_white(pair[1].middle()[0]));
    let end = pictures.last().map_or(0.0, |picture| picture.pts);
    // Audio and picture of a recording need not end at the same moment.
    turns.map(|pair| pair[1].pts).filter(|&at| at < end - 0.5).collect()
}

/// Times at which it becomes loud after a fifth of a second of quiet.
fn beeps(recording: &Recording) -> Vec<f64> {
    let (start, samples) = recording.audio();
    let peak = samples.iter().copied().fold(0.0, f32::max);
    assert!(peak > 0.01, "nothing is heard: the loudest sample is {peak}");
    let rate = f64::from(SAMPLE_RATE);
    let mut beeps = Vec::new();
    // One that had begun before the recording is none.
    let mut loud_before = start;
    for (number, _) in samples.iter().enumerate().filter(|&(_, &sample)| sample > peak / 4.0) {
        #[expect(clippy::cast_precision_loss, reason = "a few seconds of samples")]
        let at = start + number as f64 / rate;
        if at - loud_before > 0.2 {
            beeps.push(at);
        }
        loud_before = at;
    }
    beeps
}
