//! Source clock of a transcode: its frame rate, its times without the wrap, and which of its
//! pictures are keyframes in all renditions.

use crate::media::{FrameRate, Micros};

/// Pictures by whose times the frame rate of a source is measured.
const RATE_PICTURES: u32 = 13;

/// After this time the rate is taken from however many have come.
const RATE_WAIT: Micros = Micros::from_secs(1);

/// The rate of a source of which too little has come to measure it.
const RATE_USUAL: FrameRate = FrameRate::FPS_30;

/// Measures how many pictures a second a source has, by the first of them.
#[derive(Debug, Default)]
pub(super) struct RateProbe {
    /// Time of the first, milliseconds, and when it came.
    first: Option<(i64, Micros)>,
    newest_ms: i64,
    pictures: u32,
}

impl RateProbe {
    /// A picture has come, to be decoded at this time in milliseconds.
    pub(super) fn picture(&mut self, time_ms: i64, arrived: Micros) {
        self.first.get_or_insert((time_ms, arrived));
        self.newest_ms = self.newest_ms.max(time_ms);
        self.pictures = self.pictures.saturating_add(1);
    }

    /// The rate in whole frames a second, once enough has come or the time is up.
    pub(super) fn rate(&self, now: Micros) -> Option<FrameRate> {
        let (first_ms, since) = self.first?;
        if self.pictures < RATE_PICTURES && now.since(since) < RATE_WAIT {
            return None;
        }
        let span = u32::try_from(self.newest_ms - first_ms).unwrap_or(0);
        if self.pictures < 2 || span == 0 {
            return Some(RATE_USUAL);
        }
        let fps = ((self.pictures - 1) * 1_000 + span / 2) / span;
        FrameRate::new(fps.clamp(1, FrameRate::FPS_MAX), 1)
    }
}

/// Shortest time between two keyframes that the source has, and between two that readers ask for:
/// each costs bits.
const KEY_INTERVAL_MIN: Micros = Micros::from_millis(500);
const ASKED_INTERVAL: Micros = Micros::from_secs(1);

/// Which pictures of a source are keyframes in all its renditions: those that are keyframes there,
/// and further ones where these are too far apart or readers ask.
#[derive(Debug)]
pub struct SourceKeyframes {
    /// Longest time between two.
    interval: Micros,
    /// Every so many pictures all renditions encode one.
    common: u64,
    tick: u64,
    newest: Option<Micros>,
    newest_asked: Option<Micros>,
    /// Whether the next picture that all encode is one.
    is_owed: bool,
}

impl SourceKeyframes {
    /// At most `interval` apart, where all renditions encode every `common`th picture.
    #[must_use]
    pub fn new(interval: Micros, common: u32) -> Self {
        let common = u64::from(common.max(1));
        Self { interval, common, tick: 0, newest: None, newest_asked: None, is_owed: false }
    }

    /// The number of the picture that is shown `at`, and whether it is a keyframe. `is_key` says
    /// whether it is one in the source; whether readers have `asked` is looked at when they may.
    pub fn next(&mut self, at: Micros, is_key: bool, asked: impl FnOnce() -> bool) -> (u64, bool) {
        let passed = self.newest.map(|newest| at.since(newest));
        let is_due = match passed {
            None => true,
            Some(passed) => passed >= self.interval || (is_key && passed >= KEY_INTERVAL_MIN),
        };
        let may_ask = self.newest_asked.is_none_or(|last| at.since(last) >= ASKED_INTERVAL);
        let is_asked = may_ask && asked();
        if is_asked {
            self.newest_asked = Some(at);
        }
        if is_due && is_key {
            // A picture that all of them encode, so that it is one when the source has one.
            self.tick = self.tick.next_multiple_of(self.common);
        }
        self.is_owed |= is_due || is_asked;
        let tick = self.tick;
        self.tick += 1;
        let is_now = self.is_owed && tick.is_multiple_of(self.common);
        if is_now {
            self.newest = Some(at);
            self.is_owed = false;
        }
        (tick, is_now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn nobody() -> bool {
        false
    }

    /// Times in milliseconds of the keyframes among so many pictures, 40 ms apart, of a source with
    /// a keyframe every `gop` pictures; each comes with its number.
    fn keys(keys: &mut SourceKeyframes, pictures: u64, gop: u64) -> Vec<(u64, u64)> {
        let numbered = (0..pictures).filter_map(|n| {
            let at = Micros::from_millis(n * 40);
            let (tick, is_key) = keys.next(at, n.is_multiple_of(gop), nobody);
            is_key.then_some((tick, at.millis()))
        });
        numbered.collect()
    }

    fn times(found: &[(u64, u64)]) -> Vec<u64> {
        found.iter().map(|(_, at)| *at).collect()
    }

    #[test]
    fn keyframes_of_the_source_are_keyframes_of_all_its_renditions() {
        let mut all = SourceKeyframes::new(Micros::from_secs(2), 1);
        assert_eq!(times(&keys(&mut all, 130, 50)), [0, 2_000, 4_000]);
        let mut often = SourceKeyframes::new(Micros::from_secs(2), 1);
        assert_eq!(times(&keys(&mut often, 51, 5)), [0, 600, 1_200, 1_800], "200 ms is too often");
    }

    #[test]
    fn a_source_with_few_keyframes_gets_further_ones_between() {
        let mut all = SourceKeyframes::new(Micros::from_secs(2), 1);
        let found = times(&keys(&mut all, 251, 125));
        assert_eq!(found, [0, 2_000, 4_000, 5_000, 7_000, 9_000, 10_000]);
    }

    #[test]
    fn every_keyframe_is_a_picture_that_all_renditions_encode() {
        let mut all = SourceKeyframes::new(Micros::from_secs(2), 6);
        let found = keys(&mut all, 200, 50);
        assert_eq!(times(&found), [0, 2_000, 4_000, 6_000], "at the times of the source");
        assert!(found.iter().all(|(tick, _)| tick.is_multiple_of(6)), "{found:?}");
        let mut between = SourceKeyframes::new(Micros::from_millis(1_000), 4);
        let found = keys(&mut between, 60, 1_000);
        assert_eq!(times(&found), [0, 1_120, 2_240], "the next one after a second that all encode");
    }

    #[test]
    fn readers_get_a_keyframe_once_a_second_at_most() {
        let mut all = SourceKeyframes::new(Micros::from_secs(2), 1);
        let mut next = |ms, asked| all.next(Micros::from_millis(ms), false, || asked).1;
        assert!(next(0, false) && next(40, true));
        assert!(!next(80, true) && !next(1_000, true), "the request stays where it is");
        assert!(next(1_040, true) && !next(1_080, false));
    }

    #[test]
    fn the_rate_is_measured_by_the_times_of_the_first_pictures() {
        for fps in [1, 15, 24, 25, 30, 50, 60, 120] {
            let mut probe = RateProbe::default();
            for n in 0..i64::from(RATE_PICTURES) {
                assert_eq!(probe.rate(Micros(0)), None);
                probe.picture(7_000 + n * 1_000 / i64::from(fps), Micros(0));
            }
            assert_eq!(probe.rate(Micros(0)), FrameRate::new(fps, 1), "{fps}");
        }
        let mut slow = RateProbe::default();
        slow.picture(0, Micros(5));
        assert_eq!(slow.rate(Micros(6)), None);
        assert_eq!(slow.rate(RATE_WAIT + Micros(5)), Some(RATE_USUAL));
        slow.picture(500, Micros(500_000));
        assert_eq!(slow.rate(RATE_WAIT + Micros(5)), FrameRate::new(2, 1));
    }
}
