//! Silent audio for a stream that has none: AAC frames whose times are counted in samples, up to
//! those of the pictures and never ahead of them.

use serde::{Deserialize, Serialize};

use super::repair::distance;

/// The sequence header: AAC-LC, 48 kHz, stereo.
pub const SILENCE_HEADER: &[u8] = b"\xaf\x00\x11\x90";

/// A frame of digital silence, as every encoder of AAC-LC writes it that adds nothing.
pub const SILENCE_FRAME: &[u8] = b"\xaf\x01\x21\x10\x04\x60\x8c\x1c";

/// For how long there have to be pictures without audio, milliseconds: a source's own audio may
/// begin a little later than they do.
const WAIT_MS: i32 = 500;

/// Furthest that silence lags behind the pictures, milliseconds. Where they are further ahead, they
/// have made a step, and so does it.
const STEP_MS: i32 = 2_000;

/// Milliseconds of a frame, as a fraction: 1024 samples at 48 kHz.
const FRAME_MS: (u64, u64) = (64, 3);

/// Silence beside the pictures of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence(State);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// There have been no pictures.
    #[default]
    Still,
    /// There are pictures since this time, and may yet be audio.
    Waits(u32),
    /// So many frames have been given since this time.
    Flows(u32, u64),
    /// The source has audio of its own.
    Over,
}

impl Silence {
    /// The source has audio of its own: there is none from here any more.
    pub const fn stop(&mut self) {
        self.0 = State::Over;
    }

    /// The time of the next frame, once the newest picture has the time `newest`; `None` until
    /// there is a newer one. Says with it whether the sequence header comes before it.
    pub fn next(&mut self, newest: u32) -> Option<(u32, bool)> {
        let (start, given) = match self.0 {
            State::Over => return None,
            State::Still => {
                self.0 = State::Waits(newest);
                return None;
            }
            State::Waits(since) if distance(since, newest) < WAIT_MS => return None,
            State::Waits(since) => (since, 0),
            State::Flows(start, given) => (start, given),
        };
        let time = time_of(start, given);
        let is_first = given == 0;
        match distance(time, newest) {
            ahead if ahead < 0 => None,
            ahead if ahead > STEP_MS => {
                self.0 = State::Flows(newest, 1);
                Some((newest, is_first))
            }
            _ => {
                self.0 = State::Flows(start, given + 1);
                Some((time, is_first))
            }
        }
    }
}

/// The time of frame `number`, milliseconds modulo 2^32.
fn time_of(start: u32, number: u64) -> u32 {
    let (ms, frames) = FRAME_MS;
    let since = number / frames * ms + number % frames * ms / frames;
    start.wrapping_add(u32::try_from(since & u64::from(u32::MAX)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(silence: &mut Silence, newest: u32) -> Vec<(u32, bool)> {
        std::iter::from_fn(|| silence.next(newest)).collect()
    }

    #[test]
    fn silence_begins_with_the_pictures_once_no_audio_has_come_for_a_while() {
        let mut silence = Silence::default();
        assert!(all(&mut silence, 1_000).is_empty() && all(&mut silence, 1_499).is_empty());
        let begun = all(&mut silence, 1_500);
        assert_eq!(begun[..4], [(1_000, true), (1_021, false), (1_042, false), (1_064, false)]);
        assert_eq!((begun.len(), begun.last()), (24, Some(&(1_490, false))));
        assert!(all(&mut silence, 1_510).is_empty(), "never ahead of the pictures");
        assert_eq!(all(&mut silence, 1_512), [(1_512, false)]);
        silence.stop();
        assert!(all(&mut silence, 9_000).is_empty());
    }

    #[test]
    fn silence_does_not_drift_from_the_pictures_in_a_day_nor_over_a_wrap() {
        let start = 0_u32.wrapping_sub(40_000_000);
        let (mut silence, mut frames, mut last) = (Silence::default(), 0_u64, start);
        for picture in 0..24 * 3_600 * 30_u64 {
            let since = u32::try_from(picture * 1_000 / 30).unwrap();
            let newest = start.wrapping_add(since);
            for (time, _) in all(&mut silence, newest) {
                assert!(distance(last, time) >= 0 && distance(time, newest) >= 0);
                (frames, last) = (frames + 1, time);
            }
            let samples = u64::from(since) * 48;
            assert!(since < 500 || (frames * 1_024).abs_diff(samples) <= 2 * 1_024, "{since}");
        }
        let expected = 24 * 3_600 * 48_000 / 1_024;
        assert!(frames.abs_diff(expected) <= 1, "{frames} of {expected}");
    }

    #[test]
    fn silence_makes_the_steps_that_pictures_make() {
        let mut silence = Silence::default();
        for newest in [0, 500, 540] {
            all(&mut silence, newest);
        }
        assert_eq!(all(&mut silence, 9_000), [(9_000, false)]);
        assert_eq!(all(&mut silence, 9_022), [(9_021, false)]);
    }
}
