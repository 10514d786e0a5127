//! Audio input: reads timed blocks from a ring and lays their samples where they belong in the
//! programme.

use super::ramp::Ramp;
use crate::frame::AudioBlock;
use crate::media::{CHANNELS, Micros, SAMPLE_RATE};
use crate::ring::Receiver;

/// How far a playing source may be from its time before it is moved there, microseconds.
const JITTER_MAX: i64 = 30_000;

/// A block further ahead than this is a mistake of its source and thrown away, microseconds.
const AHEAD_MAX: i64 = 10_000_000;

/// Length of the fades around every cut, samples: 5 ms.
const FADE_SAMPLES: u32 = SAMPLE_RATE / 200;

/// Highest sample taken from a source: +18 dBFS. What is above is damage.
const SAMPLE_MAX: f32 = 8.0;

/// One source of timed blocks.
///
/// Audio that plays goes on sample by sample while it is within 30 ms of its time. When it is not,
/// samples are dropped (late) or silence inserted (early). A cut has no look-ahead: what was heard
/// last falls to zero while what comes next rises, each within 5 ms.
#[derive(Debug)]
pub(super) struct Input {
    ring: Receiver<AudioBlock>,
    /// Samples already taken from the oldest block.
    taken: usize,
    playing: bool,
    fade_in: Ramp,
    /// What was heard last.
    last: [f32; CHANNELS],
    /// What was heard last before the last cut, and its fall.
    cut: [f32; CHANNELS],
    tail: Ramp,
}

impl Input {
    pub(super) fn new(ring: Receiver<AudioBlock>) -> Self {
        let (fade_in, tail) = (Ramp::at(0.0), Ramp::at(0.0));
        let (last, cut) = ([0.0; CHANNELS], [0.0; CHANNELS]);
        Self { ring, taken: 0, playing: false, fade_in, last, cut, tail }
    }

    /// Fills `out` with the samples whose time begins at `at`; silence where there are none.
    /// Says whether any sample of the source was in it.
    pub(super) fn fill(&mut self, at: Micros, out: &mut [f32]) -> bool {
        let mut heard = false;
        let mut done = 0;
        let samples = out.len() / CHANNELS;
        while done < samples {
            let rest = &mut out[done * CHANNELS..];
            done += match self.next(time_after(at, done)) {
                Next::Nothing => {
                    self.silence(rest);
                    break;
                }
                Next::Silence(wait) => {
                    let wait = wait.min(samples - done);
                    self.silence(&mut rest[..wait * CHANNELS]);
                    wait
                }
                Next::Audio => {
                    heard = true;
                    self.copy(rest)
                }
            };
        }
        heard
    }

    /// What comes at `now`, after dropping what is too late.
    fn next(&mut self, now: i64) -> Next {
        if self.ring.drop_revoked() {
            self.taken = 0;
            self.stop();
        }
        loop {
            let Some(block) = self.ring.peek() else {
                self.stop();
                return Next::Nothing;
            };
            let samples = block.samples.min(block.data.len() / CHANNELS);
            if self.taken >= samples {
                self.discard();
                continue;
            }
            let early = time_after(block.at, self.taken) - now;
            if self.playing && early.abs() <= JITTER_MAX {
                return Next::Audio;
            }
            if early > AHEAD_MAX {
                self.discard();
                continue;
            }
            let distance = samples_in(early.unsigned_abs());
            if distance == 0 {
                self.start();
                return Next::Audio;
            }
            self.stop();
            if early > 0 {
                return Next::Silence(distance);
            }
            self.taken = (self.taken + distance).min(samples);
        }
    }

    /// Copies from the oldest block, which has samples left; says how many per channel.
    fn copy(&mut self, out: &mut [f32]) -> usize {
        let Some(block) = self.ring.peek() else { return 0 };
        let end = block.samples.min(block.data.len() / CHANNELS);
        let count = (end - self.taken).min(out.len() / CHANNELS);
        let out = &mut out[..count * CHANNELS];
        out.copy_from_slice(&block.data[self.taken * CHANNELS..][..count * CHANNELS]);
        for value in out.iter_mut() {
            *value = if value.is_finite() { value.clamp(-SAMPLE_MAX, SAMPLE_MAX) } else { 0.0 };
        }
        self.fade_in.apply(out);
        if let [.., left, right] = out {
            self.last = [*left, *right];
        }
        self.add_tail(out);
        self.taken += count;
        if self.taken == end {
            self.discard();
        }
        count
    }

    fn silence(&mut self, out: &mut [f32]) {
        out.fill(0.0);
        self.add_tail(out);
    }

    /// Adds what was heard before the last cut, as it falls to zero.
    fn add_tail(&mut self, out: &mut [f32]) {
        for pair in out.chunks_exact_mut(CHANNELS) {
            if self.tail.is_at_rest() {
                return;
            }
            let height = self.tail.next();
            pair[0] += self.cut[0] * height;
            pair[1] += self.cut[1] * height;
        }
    }

    fn start(&mut self) {
        self.playing = true;
        self.fade_in = Ramp::at(0.0);
        self.fade_in.go(1.0, FADE_SAMPLES);
    }

    fn stop(&mut self) {
        if !self.playing {
            return;
        }
        self.playing = false;
        self.cut = self.last;
        self.tail = Ramp::at(1.0);
        self.tail.go(0.0, FADE_SAMPLES);
    }

    fn discard(&mut self) {
        self.ring.pop();
        self.taken = 0;
    }
}

enum Next {
    /// The ring is empty.
    Nothing,
    /// The next sample is due only after this many.
    Silence(usize),
    /// The next sample is due.
    Audio,
}

/// The time `samples` after `at`, microseconds, rounded to the nearest.
fn time_after(at: Micros, samples: usize) -> i64 {
    let at = i64::try_from(at.0).unwrap_or(i64::MAX / 2);
    let samples = i64::try_from(samples).unwrap_or(0);
    at + (samples * 1_000_000 + i64::from(SAMPLE_RATE) / 2) / i64::from(SAMPLE_RATE)
}

/// Samples in that many microseconds, rounded to the nearest.
fn samples_in(micros: u64) -> usize {
    let samples = (micros.saturating_mul(u64::from(SAMPLE_RATE)) + 500_000) / 1_000_000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BLOCK_SAMPLES;
    use crate::ring::{Bell, Sender, channel};

    const START: Micros = Micros::from_secs(100);

    fn block(at: Micros, samples: usize, value: f32) -> AudioBlock {
        AudioBlock { at, samples, data: [value; BLOCK_SAMPLES * CHANNELS] }
    }

    fn later(samples: usize) -> Micros {
        Micros(u64::try_from(time_after(START, samples)).unwrap())
    }

    fn input(blocks: impl IntoIterator<Item = AudioBlock>) -> (Sender<AudioBlock>, Input) {
        let (mut tx, rx) = channel(64, Bell::new());
        blocks.into_iter().for_each(|block| tx.push(block).unwrap());
        (tx, Input::new(rx))
    }

    /// Left channel of the next `samples` from sample `first` on.
    fn left(input: &mut Input, first: usize, samples: usize) -> Vec<f32> {
        let mut out = vec![7.0; samples * CHANNELS];
        input.fill(later(first), &mut out);
        out.chunks(2).map(|pair| pair[0]).collect()
    }

    fn near(value: f32, expected: f32) -> bool {
        (value - expected).abs() < 1e-6
    }

    #[test]
    fn audio_starts_at_its_exact_sample_and_fades_in() {
        let (_tx, mut input) = input([block(later(300), 1_024, 0.5)]);
        let out = left(&mut input, 0, 1_000);
        assert!(out[..300].iter().all(|v| near(*v, 0.0)));
        assert!(near(out[300], 0.5 / 240.0) && near(out[300 + 119], 0.25));
        assert!(out[300 + 239..].iter().all(|v| near(*v, 0.5)));
    }

    #[test]
    fn what_is_late_when_it_starts_is_cut_to_its_time() {
        let mut first = block(START, 1_024, 0.0);
        for (n, value) in first.data.chunks_mut(2).enumerate() {
            value.fill(f32::from(u16::try_from(n).unwrap()) / 1_024.0);
        }
        let (_tx, mut input) = input([first]);
        let out = left(&mut input, 500, 400);
        assert!(near(out[300], 800.0 / 1_024.0), "{}", out[300]);
    }

    #[test]
    fn small_jitter_is_ignored_and_loses_no_sample() {
        let wobble = [0_i64, 20_000, -20_000, 29_000, -29_000];
        let blocks = wobble.iter().enumerate().map(|(n, wobble)| {
            let at = time_after(START, n * 1_024) + wobble;
            block(Micros(u64::try_from(at).unwrap()), 1_024, 0.25)
        });
        let (_tx, mut input) = input(blocks);
        let out = left(&mut input, 0, 5 * 1_024);
        assert!(out[240..].iter().all(|v| near(*v, 0.25)));
    }

    #[test]
    fn a_gap_is_filled_with_silence_between_short_fades() {
        let gap = 4_800;
        let (_tx, mut input) =
            input([block(START, 1_024, 0.5), block(later(1_024 + gap), 1_024, 0.5)]);
        let out = left(&mut input, 0, 2_048 + gap);
        assert!(near(out[1_023], 0.5));
        assert!(out[1_024..1_264].windows(2).all(|w| w[0] > w[1]), "falls");
        assert!(out[1_264..1_024 + gap].iter().all(|v| near(*v, 0.0)));
        assert!(near(out[1_024 + gap + 240], 0.5));
        assert!(out.windows(2).all(|w| (w[0] - w[1]).abs() < 0.01), "no click");
    }

    #[test]
    fn a_source_that_falls_behind_is_moved_back_to_its_time_without_a_click() {
        // The second block says it should have been heard 50 ms ago.
        let (_tx, mut input) = input([
            block(later(2_400), 1_024, 0.5),
            block(later(2_400 + 1_024 - 2_400), 1_024, -0.5),
            block(later(2_400 + 2_048 - 2_400), 1_024, -0.5),
            block(later(2_400 + 3_072 - 2_400), 1_024, -0.5),
            block(later(2_400 + 4_096 - 2_400), 1_024, -0.5),
        ]);
        let out = left(&mut input, 2_400, 2_048);
        assert!(near(out[1_023], 0.5) && near(out[1_300], -0.5));
        assert!(out[1..].windows(2).all(|w| (w[0] - w[1]).abs() < 0.01), "no click");
        // Blocks of the past are gone: what is left begins after what was heard.
        assert!(input.ring.len() <= 1);
    }

    #[test]
    fn a_cut_across_small_calls_does_not_click_either() {
        let (_tx, mut input) = input([
            block(START, 1_024, 0.5),
            block(later(1_024 + 24), 1_024, -0.5),
            block(later(10_000), 1_024, 0.5),
        ]);
        let mut out = Vec::new();
        for _ in 0..600 {
            out.extend(left(&mut input, out.len(), 20));
        }
        // 24 samples of jitter are played through: one step of the source itself.
        let steps = out.windows(2).filter(|w| (w[0] - w[1]).abs() > 0.01).count();
        assert_eq!(steps, 1);
        assert!(near(out[2_047], -0.5) && near(out[9_000], 0.0) && near(out[10_500], 0.5));
    }

    #[test]
    fn an_empty_ring_is_silence_and_audio_comes_back_by_itself() {
        let (mut tx, mut input) = input([block(START, 1_024, 0.5)]);
        assert!(near(left(&mut input, 0, 2_048)[2_047], 0.0));
        assert!(left(&mut input, 2_048, 1_024).iter().all(|v| near(*v, 0.0)));
        tx.push(block(later(3_072), 1_024, 0.5)).unwrap();
        assert!(near(left(&mut input, 3_072, 1_024)[1_000], 0.5));
    }

    #[test]
    fn broken_blocks_harm_nobody() {
        let mut nan = block(START, 1_024, f32::NAN);
        nan.data[2_000] = 1e30;
        let (_tx, mut input) = input([
            block(START, 0, 1.0),
            block(Micros(u64::MAX), 1_024, 1.0),
            nan,
            block(later(1_024), usize::MAX, 0.5),
        ]);
        let out = left(&mut input, 0, 2_048);
        assert!(out.iter().all(|v| v.is_finite() && v.abs() <= SAMPLE_MAX));
        assert!(near(out[2_000], 0.5));
    }

    #[test]
    fn odd_pieces_give_the_same_as_one_call() {
        let blocks = || (0..4).map(|n| block(later(100 + n * 1_024), 1_024, 0.5));
        let (_tx, mut whole) = input(blocks());
        let (_tx2, mut parts) = input(blocks());
        let expected = left(&mut whole, 0, 4_000);
        let mut out = Vec::new();
        for _ in 0..32 {
            out.extend(left(&mut parts, out.len(), 125));
        }
        assert_eq!(out, expected);
    }
}
