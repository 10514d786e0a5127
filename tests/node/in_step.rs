//! Picture and sound of a programme, against each other.

use crate::config::Config;
use crate::node::Node;
use crate::recording::{Recording, SAMPLE_RATE};
use crate::wait::alone;

/// Most seconds between a flash and its beep.
const OFFSET_MAX: f64 = 0.040;

#[test]
fn a_flash_and_its_beep_are_less_than_40_ms_apart() {
    let _turn = alone();
    let config = Config::new().channel("demo").layer("flash", "").sound("beep", "");
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

/// Times at which the picture turns white; a first picture that is white may have been so before.
fn flashes(recording: &Recording) -> Vec<f64> {
    let pictures = recording.pictures();
    let is_white = |luma: u8| luma > 128;
    let pairs = pictures.windows(2);
    let turns =
        pairs.filter(|pair| !is_white(pair[0].middle()[0]) && is_white(pair[1].middle()[0]));
    let end = pictures.last().map_or(0.0, |picture| picture.pts);
    // Sound and picture of a recording need not end at the same moment.
    turns.map(|pair| pair[1].pts).filter(|&at| at < end - 0.5).collect()
}

/// Times at which it becomes loud after a fifth of a second of quiet.
fn beeps(recording: &Recording) -> Vec<f64> {
    let (start, samples) = recording.sound();
    let peak = samples.iter().copied().fold(0.0, f32::max);
    assert!(peak > 0.01, "nothing is heard: the loudest sample is {peak}");
    let rate = f64::from(SAMPLE_RATE);
    let mut beeps = Vec::new();
    let mut loud_before = None;
    for (number, _) in samples.iter().enumerate().filter(|&(_, &sample)| sample > peak / 4.0) {
        #[expect(clippy::cast_precision_loss, reason = "a few seconds of samples")]
        let at = start + number as f64 / rate;
        if loud_before.is_some_and(|before| at - before > 0.2) {
            beeps.push(at);
        }
        loud_before = Some(at);
    }
    beeps
}
