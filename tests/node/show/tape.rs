//! What came of the show: a recorded stream as ffmpeg decodes it, which scene it shows when, and
//! which tones are heard how loud.

use std::path::{Path, PathBuf};

use crate::program::Program;
use crate::recording::{Packet, Recording};
use crate::wait::SOON;

/// What is looked at is made so small: flat areas keep their colours.
const WIDTH: usize = 32;
const HEIGHT: usize = 18;
/// Bytes of a picture in red, green and blue.
const PICTURE_BYTES: usize = WIDTH * HEIGHT * 3;

/// Where scenes have their own colour, and where the lower third has, beside its letters.
const SCENE_AT: (usize, usize) = (16, 4);
const LOWER_THIRD_AT: (usize, usize) = (22, 14);

/// What a scene is told by: its name, and its red, green and blue.
const SCENES: [(&str, [u8; 3]); 8] = [
    ("one", [0xb0, 0x20, 0x20]),
    ("two", [0x20, 0x40, 0xc0]),
    ("three", [0x20, 0xa0, 0x40]),
    ("live", [0xe0, 0x80, 0x20]),
    ("soon", [0xb0, 0xb0, 0xb0]),
    ("technical", [0x60, 0x20, 0x60]),
    ("credits", [0x10, 0x70, 0x70]),
    ("nothing", [0, 0, 0]),
];

/// The colour of the lower third, and of the one with the slip.
pub(super) const RIGHT: [u8; 3] = [0xa0, 0xe0, 0xff];
pub(super) const SLIP: [u8; 3] = [0xff, 0x00, 0xff];

/// The films, and hertz of what is heard with each; that of the speaker.
pub(super) const FILMS: [(&str, f64); 3] = [("one", 500.0), ("two", 800.0), ("three", 1_250.0)];
pub(super) const HOST_HZ: f64 = 2_000.0;

/// Samples of a second that are looked at, and those of one level.
const SAMPLE_RATE: usize = 8_000;
const WINDOW: usize = 800;
/// Seconds of one level.
pub(super) const WINDOW_S: f64 = 0.1;

/// Pictures that a scene has to last for to be one: transitions and late inputs are shorter.
const LASTS_MIN: usize = 8;

/// How pictures are to be decoded.
const LOOK: &str = "-vf scale=32:18:flags=area -pix_fmt rgb24 -fps_mode passthrough -f rawvideo -";

/// A picture that is looked at.
#[derive(Clone)]
pub(super) struct Look(Vec<u8>);

impl Look {
    fn at(&self, (x, y): (usize, usize)) -> [u8; 3] {
        let at = (y * WIDTH + x) * 3;
        [self.0[at], self.0[at + 1], self.0[at + 2]]
    }

    /// The scene that it shows: the one whose colour is nearest.
    pub(super) fn scene(&self) -> &'static str {
        let seen = self.at(SCENE_AT);
        SCENES.iter().min_by_key(|(_, colour)| distance(seen, *colour)).unwrap().0
    }

    /// Whether the lower third has this colour.
    pub(super) fn has_lower_third(&self, colour: [u8; 3]) -> bool {
        distance(self.at(LOWER_THIRD_AT), colour) < 3 * 30 * 30
    }
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

/// Somebody who watches a stream while it goes on.
pub(super) struct Viewer(Program);

impl Viewer {
    pub(super) fn of(url: &str) -> Self {
        let last: Vec<_> = ["-i", url, "-map", "0:v"].into_iter().chain(LOOK.split(' ')).collect();
        Self(Program::start("ffmpeg", "-v error -fflags nobuffer", &last))
    }

    /// How many pictures it has seen.
    pub(super) fn count(&self) -> usize {
        self.0.last_block(PICTURE_BYTES).0 / PICTURE_BYTES
    }

    /// Whether the newest picture is as wanted.
    pub(super) fn sees(&mut self, wanted: impl Fn(&Look) -> bool) -> bool {
        assert!(self.0.runs(), "the viewer has ended:\n{}", self.0.err());
        let (_, block) = self.0.last_block(PICTURE_BYTES);
        block.len() == PICTURE_BYTES && wanted(&Look(block))
    }
}

/// A time in which one scene is shown.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) scene: &'static str,
    /// Seconds.
    pub(super) begin: f64,
    /// Seconds: its last picture's.
    pub(super) end: f64,
}

/// A recorded stream.
pub(super) struct Tape {
    file: PathBuf,
    /// Its packets, in the order of the file.
    pub(super) packets: Vec<Packet>,
    /// Each picture with its time.
    pub(super) looks: Vec<(f64, Look)>,
}

impl Tape {
    /// Reads all of it: it has to decode without a complaint.
    pub(super) fn read(file: &Path) -> Self {
        let packets = Recording::at(file.to_owned()).packets();
        let planes = decoded(file, &format!("-map 0:v {LOOK}"));
        let times = packets.iter().filter(|packet| packet.is_video).map(|packet| packet.pts);
        let times: Vec<_> = times.collect();
        assert_eq!(planes.len() / PICTURE_BYTES, times.len(), "a picture for each packet");
        let looks = planes.chunks(PICTURE_BYTES).map(|planes| Look(planes.to_vec()));
        Self { file: file.to_owned(), looks: times.into_iter().zip(looks).collect(), packets }
    }

    /// The scenes that follow each other.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<(Run, usize)> = Vec::new();
        for (at, look) in &self.looks {
            let scene = look.scene();
            match runs.last_mut() {
                Some((run, count)) if run.scene == scene => (run.end, *count) = (*at, *count + 1),
                _ => runs.push((Run { scene, begin: *at, end: *at }, 1)),
            }
        }
        let lasting = runs.into_iter().filter(|(_, count)| *count >= LASTS_MIN).map(|(run, _)| run);
        let mut joined: Vec<Run> = Vec::new();
        for run in lasting {
            match joined.last_mut() {
                Some(last) if last.scene == run.scene => last.end = run.end,
                _ => joined.push(run),
            }
        }
        joined
    }

    /// How loud a tone is, decibels below full scale, and when each tenth of a second begins.
    pub(super) fn levels(&self, hz: &[f64]) -> Vec<(f64, Vec<f64>)> {
        let bytes = decoded(&self.file, &format!("-map 0:a -ac 1 -ar {SAMPLE_RATE} -f s16le -"));
        let sample = |pair: &[u8]| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
        let samples: Vec<_> = bytes.chunks_exact(2).map(sample).collect();
        let start = self.packets.iter().find(|packet| !packet.is_video).unwrap().pts;
        let mut at = start;
        let mut levels = Vec::new();
        for window in samples.chunks_exact(WINDOW) {
            levels.push((at, hz.iter().map(|hz| level(window, *hz)).collect()));
            at += WINDOW_S;
        }
        levels
    }
}

/// The level of one frequency, by Goertzel's algorithm, with a window of Hann's.
fn level(samples: &[f64], hz: f64) -> f64 {
    let length = WINDOW as f64;
    let step = std::f64::consts::TAU * hz / SAMPLE_RATE as f64;
    let (mut last, mut before) = (0.0, 0.0);
    for (number, sample) in samples.iter().enumerate() {
        let hann = 1.0 - (std::f64::consts::TAU * number as f64 / length).cos();
        (last, before) = (sample * hann + 2.0 * step.cos() * last - before, last);
    }
    let power = last * last + before * before - 2.0 * step.cos() * last * before;
    20.0 * (2.0 * power.max(0.0).sqrt() / length).max(1e-6).log10()
}

fn decoded(file: &Path, how: &str) -> Vec<u8> {
    let last = [&["-i", file.to_str().unwrap()], &how.split(' ').collect::<Vec<_>>()[..]].concat();
    let ended = Program::start("ffmpeg", "-v error -xerror", &last).ended(10 * SOON);
    assert!(ended.status.success(), "{}", ended.err);
    ended.out
}
