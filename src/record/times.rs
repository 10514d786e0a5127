//! Track times of a stream: whether one of them leaps, and where a file begins.

use crate::media::Kind;

/// Step back of a track that is another clock and not jitter, milliseconds.
const BACK_MS_MAX: i32 = 1_000;

/// Step ahead of a track that is another clock and not a gap, milliseconds. The first time of a
/// track may be as far from the other one.
pub(super) const AHEAD_MS_MAX: i32 = 60_000;

/// How far a track may be behind the other one and still be waited for with the beginning of a
/// file, milliseconds.
const BEHIND_MS_MAX: i32 = 10_000;

/// What is known about audio and pictures.
#[derive(Debug, Default)]
pub(super) struct Times([Option<Newest>; 2]);

#[derive(Clone, Copy, Debug)]
struct Newest {
    time: u32,
    /// From the one before to it, if there was one before.
    step: i32,
    /// How far it was behind the other track when it came.
    behind: i32,
}

impl Times {
    /// Takes the time of a frame and says whether it leaps: what follows is by another clock. Each
    /// track is compared with itself, because one may be behind the other for as long as it likes.
    pub(super) fn pass(&mut self, kind: Kind, time: u32) -> bool {
        let (own, other) = self.of(kind);
        let leaps = match (own, other) {
            (Some(own), _) => !(-BACK_MS_MAX..=AHEAD_MS_MAX).contains(&distance(own.time, time)),
            (None, Some(other)) => {
                !(-AHEAD_MS_MAX..=AHEAD_MS_MAX).contains(&distance(other.time, time))
            }
            (None, None) => false,
        };
        if leaps {
            *self = Self::default();
        }
        let (own, other) = self.of(kind);
        let behind = other.map_or(0, |other| distance(time, other.time).max(0));
        let newest = match own {
            Some(own) if distance(own.time, time) <= 0 => Newest { behind, ..own },
            Some(own) => Newest { time, step: distance(own.time, time), behind },
            None => Newest { time, step: 0, behind },
        };
        self.0[slot_of(kind)] = Some(newest);
        leaps
    }

    /// The newest time of all.
    pub(super) fn newest(&self) -> Option<u32> {
        match self.0.map(|newest| Some(newest?.time)) {
            [Some(a), Some(b)] => Some(if distance(a, b) > 0 { b } else { a }),
            [a, b] => a.or(b),
        }
    }

    /// The time at which a file begins whose first frame is this one. What is still to come of the
    /// other track, because that is behind, is to have its place in the file.
    pub(super) fn base(&self, kind: Kind, time: u32) -> u32 {
        let (_, other) = self.of(kind);
        let Some(Newest { time: last, step, behind }) = other.filter(|other| other.step > 0) else {
            return time;
        };
        let next = last.wrapping_add_signed(step.min(BACK_MS_MAX));
        let late = distance(next, time);
        // A track that is further behind than it was has paused.
        let late = if late <= behind + BACK_MS_MAX { late } else { behind };
        time.wrapping_add_signed(-late.clamp(0, BEHIND_MS_MAX))
    }

    const fn of(&self, kind: Kind) -> (Option<Newest>, Option<Newest>) {
        let slot = slot_of(kind);
        (self.0[slot], self.0[1 - slot])
    }
}

const fn slot_of(kind: Kind) -> usize {
    match kind {
        Kind::Audio | Kind::Data => 0,
        Kind::Video => 1,
    }
}

/// `later - earlier` on the circle of 32-bit times.
pub(super) const fn distance(earlier: u32, later: u32) -> i32 {
    later.wrapping_sub(earlier).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures every 40 ms up to `until`, with audio that is this much behind; the first time that
    /// leaps.
    fn run(times: &mut Times, until: u32, behind: i32) -> Option<u32> {
        let pictures = (0..until).step_by(40).map(|time| 100_000 + time);
        pictures.into_iter().find(|time| {
            let leaps = times.pass(Kind::Video, *time);
            times.pass(Kind::Audio, time.wrapping_add_signed(-behind)) || leaps
        })
    }

    #[test]
    fn a_track_far_behind_or_ahead_of_the_other_does_not_leap() {
        for behind in [0, 999, 1_001, 9_000, -999, -1_001, -9_000] {
            assert_eq!(run(&mut Times::default(), 5_000, behind), None, "{behind}");
        }
    }

    #[test]
    fn a_step_of_a_track_by_another_clock_is_one_leap() {
        for (to, leaps) in [(104_000, false), (164_000, false), (100_000, true), (200_000, true)] {
            let mut times = Times::default();
            run(&mut times, 5_000, 0);
            assert_eq!(times.pass(Kind::Video, to), leaps, "{to}");
            assert!(!times.pass(Kind::Audio, to), "once for both");
            assert!(!leaps || times.newest() == Some(to));
        }
    }

    #[test]
    fn a_file_begins_where_the_track_that_is_behind_goes_on() {
        for (behind, base) in [(2_000, 103_000), (20, 104_980), (0, 105_000), (-3_000, 105_000)] {
            let mut times = Times::default();
            run(&mut times, 5_000, behind);
            times.pass(Kind::Video, 105_000);
            assert_eq!(times.base(Kind::Video, 105_000), base, "{behind}");
        }
    }

    #[test]
    fn a_track_that_has_paused_holds_nothing_back() {
        let mut times = Times::default();
        run(&mut times, 5_000, 0);
        for time in (105_000..125_000).step_by(40) {
            times.pass(Kind::Video, time);
        }
        assert_eq!(times.base(Kind::Video, 125_000), 125_000);
    }
}
