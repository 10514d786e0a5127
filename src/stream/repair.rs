//! Timestamp repair: puts a source's times on one line that never goes back, whatever the source
//! does with its clock.

use serde::{Deserialize, Serialize};

use crate::media::Kind;

/// One per stream. Audio and picture share one offset, so that they stay as far apart as their
/// source stamps them, up to ten seconds either way.
///
/// Small steps back are bridged by a millisecond per frame, larger ones (and jumps ahead of more
/// than ten seconds) continue the line where it was; clocks that wrap at 2^32, 2^31 or 2^24 ms are
/// followed. Nothing is fatal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimestampRepair {
    /// Where the line of each kind ended before this source came: it never goes back there.
    floor: [u32; 3],
    /// Whether no source was here before.
    is_first: bool,
    /// Added to the source's times; `None` before its first frame.
    offset: Option<u32>,
    /// The offset before that: when a source starts its clock anew, a few frames of the other kind
    /// still have the old one.
    previous: Option<u32>,
    /// Newest time given out.
    newest: u32,
    /// Last time given out of each kind.
    last: [Option<u32>; 3],
}

/// Furthest step ahead that is taken for a gap and not for another clock, milliseconds.
const GAP_MS_MAX: i32 = 10_000;

/// Furthest that the kinds of one source are apart, milliseconds: ten seconds, and what one of them
/// goes on before the other one comes.
const APART_MS_MAX: i32 = 11_000;

/// Furthest step back that is taken for jitter and not for another clock, milliseconds.
const JITTER_MS_MAX: i32 = 1_000;

/// Step over a seam between two clocks, milliseconds: about one frame.
const SEAM_MS: u32 = 20;

/// Room before the first frame of a source whose clock does not begin near 0, for the other kind.
const LEAD_MS: u32 = 10_000;

/// Where broken clocks wrap: encoders that write 24 bits, servers that mask the sign.
const SHORT_WRAPS: [u32; 2] = [1 << 24, 1 << 31];

impl Default for TimestampRepair {
    /// For a line that begins near 0.
    fn default() -> Self {
        Self {
            floor: [0; 3],
            is_first: true,
            offset: None,
            previous: None,
            newest: 0,
            last: [None; 3],
        }
    }
}

impl TimestampRepair {
    /// The next frame comes from a new source: its line goes on at `at` milliseconds, or where the
    /// line is now if that is later.
    pub fn resume(&mut self, at: u32) {
        let is_later = distance(self.newest, at) > 0;
        let newest = if is_later { at } else { self.newest };
        let mut floor = self.floor;
        for (floor, last) in floor.iter_mut().zip(self.last) {
            *floor = if is_later { at } else { last.unwrap_or(*floor) };
        }
        // Where nothing has been, the first source is still to come.
        let is_first = self.is_first && self.last == [None; 3] && !is_later;
        *self = Self { floor, is_first, newest, ..Self::default() };
    }

    /// Newest time of the line, milliseconds modulo 2^32.
    #[must_use]
    pub const fn newest(&self) -> u32 {
        self.newest
    }

    /// The time for a frame (or data) that the source stamped with `time` milliseconds (modulo
    /// 2^32). Never earlier than the one before of its kind.
    pub fn repair(&mut self, kind: Kind, time: u32) -> u32 {
        let slot = slot_of(kind);
        let wanted =
            if kind == Kind::Data { self.place_untold(time) } else { self.place(slot, time) };
        self.give_out(slot, wanted)
    }

    /// The time for a sequence header or metadata. It says nothing about the source's clock: many
    /// sources stamp these with 0, also in mid-stream.
    pub fn repair_header(&self, kind: Kind, time: u32) -> u32 {
        let slot = slot_of(kind);
        let wanted = self.place_untold(time);
        // Frames that follow may still have this very time.
        let last = self.last[slot].unwrap_or(self.floor[slot]);
        if distance(last, wanted) < 0 { last } else { wanted }
    }

    /// A frame of a kind that the source has not sent yet has been given out with this time: what
    /// it sends of that kind comes later.
    pub fn reserve(&mut self, kind: Kind, time: u32) {
        self.floor[slot_of(kind)] = time;
    }

    fn give_out(&mut self, slot: usize, wanted: u32) -> u32 {
        // Frames that were stamped backwards do not pile up in one millisecond.
        let out = match self.last[slot] {
            Some(last) if distance(last, wanted) < 0 => last.wrapping_add(1),
            None if distance(self.floor[slot], wanted) < 0 => self.floor[slot],
            _ => wanted,
        };
        self.last[slot] = Some(out);
        if distance(self.newest, out) > 0 {
            self.newest = out;
        }
        out
    }

    fn place(&mut self, slot: usize, time: u32) -> u32 {
        let Some(current) = self.offset else {
            let begin = self.begin(slot, time);
            self.offset = Some(begin.wrapping_sub(time));
            self.newest = begin; // from here on that of this source
            return begin;
        };
        let usual = time.wrapping_add(current);
        let is_usual = |last| (0..=JITTER_MS_MAX).contains(&distance(last, usual));
        if self.last[slot].is_some_and(is_usual) {
            return usual;
        }
        let [short, masked] = SHORT_WRAPS.map(|wrap| Some(current.wrapping_add(wrap)));
        let offsets = [Some(current), self.previous, short, masked].into_iter().flatten();
        let likely = offsets.filter_map(|offset| {
            Some((self.strangeness(slot, time.wrapping_add(offset))?, offset))
        });
        let best = likely.min_by_key(|(strangeness, _)| *strangeness);
        let seam = self.newest.wrapping_add(SEAM_MS).wrapping_sub(time);
        let offset = best.map_or(seam, |(_, offset)| offset);
        if offset != current {
            self.previous = Some(current);
            self.offset = Some(offset);
        }
        self.with_room(slot, time.wrapping_add(offset))
    }

    /// Where a source begins that stamps its first frame with `time`.
    fn begin(&self, slot: usize, time: u32) -> u32 {
        if self.is_first {
            let near_zero = i32::try_from(time).is_ok_and(|time| time <= GAP_MS_MAX);
            return if near_zero { time } else { LEAD_MS };
        }
        // Of a source before it one kind may have been far ahead.
        let floor = self.floor[slot];
        let is_near = (0..=JITTER_MS_MAX).contains(&distance(floor, self.newest));
        if is_near { self.newest } else { floor }
    }

    /// The first frame of a kind that would lie before the end of the source before moves the whole
    /// source ahead: the other kind makes one step, and both are as far apart as they should be.
    fn with_room(&mut self, slot: usize, out: u32) -> u32 {
        let short = distance(out, self.floor[slot]);
        if self.last[slot].is_some() || short <= SEAM_MS.cast_signed() {
            return out;
        }
        let short = short.unsigned_abs();
        for moved in self.last.iter_mut().chain([&mut self.offset]).flatten() {
            *moved = moved.wrapping_add(short);
        }
        self.previous = None;
        self.newest = self.newest.wrapping_add(short);
        out.wrapping_add(short)
    }

    /// Takes part in the line but says nothing about clocks: many sources stamp it with 0.
    fn place_untold(&self, time: u32) -> u32 {
        let Some(offset) = self.offset else { return self.newest };
        let time = time.wrapping_add(offset);
        let known = self.strangeness(slot_of(Kind::Data), time).is_some();
        if known { time } else { self.newest }
    }

    /// How far `out` is from what could follow; `None` if it must be from another clock.
    fn strangeness(&self, slot: usize, out: u32) -> Option<u32> {
        let ahead = distance(self.newest, out);
        let Some(last) = self.last[slot] else {
            let near = (-APART_MS_MAX..=APART_MS_MAX).contains(&ahead);
            return near.then(|| ahead.unsigned_abs());
        };
        let step = distance(last, out);
        if step < -JITTER_MS_MAX {
            return None;
        }
        // A kind that has paused comes back as far from the other one as it was.
        let own = (step <= GAP_MS_MAX).then(|| step.unsigned_abs());
        let others = (-APART_MS_MAX..=GAP_MS_MAX).contains(&ahead).then(|| ahead.unsigned_abs());
        own.into_iter().chain(others).min()
    }
}

/// `later - earlier` on the circle of 32-bit millisecond times; negative if it is the other way
/// round (RTMP 1.0 section 4).
pub(super) const fn distance(earlier: u32, later: u32) -> i32 {
    later.wrapping_sub(earlier).cast_signed()
}

const fn slot_of(kind: Kind) -> usize {
    match kind {
        Kind::Data => 0,
        Kind::Audio => 1,
        Kind::Video => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(repair: &mut TimestampRepair, times: &[(Kind, u32)]) -> Vec<u32> {
        times.iter().map(|(kind, time)| repair.repair(*kind, *time)).collect()
    }

    /// Video every 40 ms and audio 20 ms after it.
    fn frames(from: u32, count: u32) -> Vec<(Kind, u32)> {
        let at = |n: u32| from.wrapping_add(n * 40);
        (0..count)
            .flat_map(|n| [(Kind::Video, at(n)), (Kind::Audio, at(n).wrapping_add(20))])
            .collect()
    }

    #[test]
    fn good_times_stay_as_they_are() {
        let good = frames(0, 100);
        let times: Vec<_> = good.iter().map(|(_, time)| *time).collect();
        assert_eq!(run(&mut TimestampRepair::default(), &good), times);
    }

    #[test]
    fn a_clock_that_does_not_begin_near_zero_is_moved_there() {
        let mut repair = TimestampRepair::default();
        let got = run(&mut repair, &[(Kind::Video, 1 << 30), (Kind::Audio, (1 << 30) - 40)]);
        assert_eq!(got, [10_000, 9_960]);
    }

    #[test]
    fn wraps_at_24_31_and_32_bits_leave_no_mark() {
        for bits in [24, 31, 32] {
            let mut repair = TimestampRepair::default();
            let mask = u32::try_from((1_u64 << bits) - 1).unwrap();
            let wrapped: Vec<_> =
                frames(mask - 1_990, 200).iter().map(|(kind, time)| (*kind, time & mask)).collect();
            let got = run(&mut repair, &wrapped);
            assert!(got.windows(2).all(|pair| pair[1] - pair[0] == 20), "{bits} bits: {got:?}");
        }
    }

    #[test]
    fn a_clock_that_starts_anew_continues_the_line_with_both_kinds_in_step() {
        for restart in [0, 5_000, 90_000, 4_000_000] {
            let mut repair = TimestampRepair::default();
            let end = *run(&mut repair, &frames(60_000, 100)).last().unwrap();
            // The audio still has two frames of the old clock when the picture has the new one.
            let mut mixed = frames(restart, 50);
            mixed.insert(1, (Kind::Audio, 60_000 + 100 * 40 + 20));
            mixed.remove(2);
            let got = run(&mut repair, &mixed);
            let pictures: Vec<_> = got.iter().step_by(2).copied().collect();
            assert_eq!(pictures[0], end + SEAM_MS);
            assert!(pictures.windows(2).all(|pair| pair[1] - pair[0] == 40));
            for pair in got[4..].windows(2) {
                assert_eq!(pair[1] - pair[0], 20, "in step again");
            }
        }
    }

    #[test]
    fn jitter_is_bridged_and_a_gap_stays_a_gap() {
        let mut repair = TimestampRepair::default();
        let video = |time| (Kind::Video, time);
        let got = run(&mut repair, &[video(100), video(140), video(120), video(160), video(9_000)]);
        assert_eq!(got, [100, 140, 141, 160, 9_000]);
    }

    #[test]
    fn data_stamped_with_zero_moves_nothing() {
        let mut repair = TimestampRepair::default();
        run(&mut repair, &frames(0, 1_000));
        assert_eq!(repair.repair(Kind::Data, 0), 39_980);
        assert_eq!(repair.repair(Kind::Video, 40_000), 40_000);
    }

    #[test]
    fn headers_in_mid_stream_move_nothing_whatever_their_time() {
        for header in [0, 39_980, 40_020, 3_000_000_000] {
            for kind in [Kind::Audio, Kind::Video, Kind::Data] {
                let mut repair = TimestampRepair::default();
                assert_eq!(repair.repair_header(kind, header), 0, "before everything else");
                run(&mut repair, &frames(0, 1_000));
                let time = repair.repair_header(kind, header);
                assert!((39_960..=40_020).contains(&time), "{kind:?} {header}: {time}");
                let after = frames(40_000, 20);
                let times: Vec<_> = after.iter().map(|(_, time)| *time).collect();
                assert_eq!(run(&mut repair, &after), times);
            }
        }
    }

    #[test]
    fn the_same_time_twice_is_the_sources_own_and_stays() {
        // GStreamer's flvmux writes audio between two pictures with the time of the first.
        let muxed = [(9, 136), (8, 136), (9, 170), (8, 170), (8, 170), (9, 203), (8, 203)];
        let kind = |id| if id == 9 { Kind::Video } else { Kind::Audio };
        let input: Vec<_> = muxed.iter().map(|(id, time)| (kind(*id), *time)).collect();
        let times: Vec<_> = muxed.iter().map(|(_, time)| *time).collect();
        assert_eq!(run(&mut TimestampRepair::default(), &input), times);
    }

    #[test]
    fn a_clock_that_was_put_back_a_little_makes_no_heap_of_frames_in_one_millisecond() {
        let mut repair = TimestampRepair::default();
        run(&mut repair, &frames(0, 100));
        let got = run(&mut repair, &frames(3_500, 40));
        for kind in 0..2 {
            let of_kind: Vec<_> = got.iter().skip(kind).step_by(2).collect();
            assert!(of_kind.is_sorted_by(|a, b| a < b), "{of_kind:?}");
        }
        assert_eq!(got[79], 3_500 + 39 * 40 + 20, "back on the source's own line");
    }

    #[test]
    fn audio_far_from_the_picture_stays_as_far_if_it_may_be_the_same_clock() {
        let mut repair = TimestampRepair::default();
        let mixed: Vec<_> =
            (0..100).flat_map(|n| [(Kind::Video, 8_000 + n * 40), (Kind::Audio, n * 40)]).collect();
        let times: Vec<_> = mixed.iter().map(|(_, time)| *time).collect();
        assert_eq!(run(&mut repair, &mixed), times);
    }

    /// Both kinds come at the same moment; the audio is stamped that much later than the picture.
    fn apart(start: u32, offset: i32, frames: u32, audio_first: bool) -> Vec<(Kind, u32)> {
        let mut mixed = Vec::new();
        for n in 0..frames {
            let time = start.wrapping_add(n * 40);
            let pair = [(Kind::Video, time), (Kind::Audio, time.wrapping_add_signed(offset))];
            mixed.extend(if audio_first { [pair[1], pair[0]] } else { pair });
        }
        mixed
    }

    /// How much later the audio of each pair is stamped.
    fn offsets(kinds: &[(Kind, u32)], times: &[u32]) -> Vec<i32> {
        let pairs = kinds.chunks(2).zip(times.chunks(2));
        let ahead = |(kinds, times): (&[(Kind, u32)], &[u32])| {
            let ahead = distance(times[0], times[1]);
            if kinds[0].0 == Kind::Video { ahead } else { -ahead }
        };
        pairs.map(ahead).collect()
    }

    #[test]
    fn offsets_of_up_to_ten_seconds_are_kept_from_the_first_message_on() {
        for offset in (-10_000..=10_000).step_by(500) {
            for (start, audio_first) in
                [(12_000, true), (12_000, false), (1 << 31, true), (7, false)]
            {
                let mut repair = TimestampRepair::default();
                repair.resume(0); // a stream that nobody has fed
                let mixed = apart(start, offset, 50, audio_first);
                let times = run(&mut repair, &mixed);
                let got = offsets(&mixed, &times);
                // A clock that begins near zero has no room for what is before it.
                let known = if start == 7 && offset < 0 { 1 } else { 0 };
                assert_eq!(got[known..], vec![offset; 50 - known], "{start} {audio_first}");
            }
        }
    }

    #[test]
    fn offsets_of_a_source_that_follows_another_are_kept_once_both_kinds_are_there() {
        for (before, after) in [(0, 2_500), (0, -2_500), (10_000, 10_000), (-9_000, 10_000)] {
            for audio_first in [true, false] {
                let mut repair = TimestampRepair::default();
                let first = apart(20_000, before, 300, audio_first);
                let ended = run(&mut repair, &first);
                repair.resume(0);
                let mixed = apart(500_000, after, 300, audio_first);
                let times = run(&mut repair, &mixed);
                assert_eq!(
                    offsets(&mixed, &times)[1..],
                    vec![after; 299],
                    "{before} {audio_first}"
                );
                for kind in 0..2 {
                    let line = ended.iter().chain(&times).skip(kind).step_by(2);
                    assert!(line.is_sorted(), "no kind goes back: {before} {after}");
                }
            }
        }
    }

    #[test]
    fn a_kind_far_behind_the_other_that_pauses_comes_back_as_far_behind() {
        let mut repair = TimestampRepair::default();
        run(&mut repair, &apart(12_000, -8_000, 100, false));
        for n in 100..2_000 {
            repair.repair(Kind::Video, 12_000 + n * 40);
        }
        let after = apart(12_000 + 80_000, -8_000, 50, false);
        let times = run(&mut repair, &after);
        assert_eq!(offsets(&after, &times), [-8_000; 50]);
    }

    #[test]
    fn audio_and_picture_of_two_clocks_are_put_side_by_side() {
        let mut repair = TimestampRepair::default();
        let mixed: Vec<_> = (0..200)
            .flat_map(|n| [(Kind::Video, n * 40), (Kind::Audio, 900_000 + n * 40)])
            .collect();
        let got = run(&mut repair, &mixed);
        for (n, pair) in (0..).zip(got.chunks(2)) {
            assert_eq!(pair, [n * 40, SEAM_MS + n * 40]);
        }
    }

    #[test]
    fn a_single_kind_is_enough_for_wraps_jumps_and_restarts() {
        for kind in [Kind::Audio, Kind::Video] {
            let mut repair = TimestampRepair::default();
            let line = |from: u32, count: u32| {
                (0..count).map(move |n| (kind, from.wrapping_add(n * 20))).collect::<Vec<_>>()
            };
            let got = run(&mut repair, &line(u32::MAX - 999, 200));
            assert!(got.windows(2).all(|pair| pair[1] - pair[0] == 20), "over the end of 32 bits");
            let end = got[199];
            assert_eq!(run(&mut repair, &line(0, 1)), [end + SEAM_MS], "a new clock");
            assert_eq!(run(&mut repair, &line(70_000, 1)), [end + 2 * SEAM_MS], "a jump ahead");
        }
    }

    #[test]
    fn a_kind_that_pauses_comes_back_in_step() {
        let mut repair = TimestampRepair::default();
        run(&mut repair, &frames(0, 10));
        for n in 10..2_000 {
            assert_eq!(repair.repair(Kind::Video, n * 40), n * 40, "without any audio");
        }
        assert_eq!(repair.repair(Kind::Audio, 80_010), 80_010);
    }

    #[test]
    fn a_publisher_that_returns_goes_on_where_the_line_is() {
        let mut repair = TimestampRepair::default();
        run(&mut repair, &frames(0, 100));
        repair.resume(7_000);
        assert_eq!(run(&mut repair, &frames(500, 2)), [7_000, 7_020, 7_040, 7_060]);
        repair.resume(0);
        assert_eq!(repair.repair(Kind::Video, 3), 7_060);
        assert_eq!(repair.repair(Kind::Audio, 0), 7_060, "never before its source");
    }

    proptest! {
        #[test]
        fn no_kind_ever_goes_back_or_leaps(
            steps in proptest::collection::vec(
                (0..3_u8, prop_oneof![4 => 0..100_u32, 1 => any::<u32>()], any::<bool>()),
                1..200,
            ),
        ) {
            let mut repair = TimestampRepair::default();
            let (mut time, mut newest) = (0_u32, 0);
            let mut last = [0; 3];
            for (kind, step, back) in steps {
                let kind = [Kind::Data, Kind::Audio, Kind::Video][usize::from(kind)];
                time = if back { time.wrapping_sub(step) } else { time.wrapping_add(step) };
                let out = repair.repair(kind, time);
                let slot = slot_of(kind);
                prop_assert!(distance(last[slot], out) >= 0);
                prop_assert!(distance(newest, out) <= GAP_MS_MAX + APART_MS_MAX);
                newest = if distance(newest, out) > 0 { out } else { newest };
                last[slot] = out;
            }
        }

        #[test]
        fn frames_of_one_clock_keep_their_distances(
            start in any::<u32>(),
            steps in proptest::collection::vec((any::<bool>(), 0..900_u32), 1..100),
        ) {
            let mut repair = TimestampRepair::default();
            let mut time = start;
            let mut before = None;
            for (is_audio, step) in steps {
                time = time.wrapping_add(step);
                let kind = if is_audio { Kind::Audio } else { Kind::Video };
                let out = repair.repair(kind, time);
                let offset = out.wrapping_sub(time);
                prop_assert_eq!(*before.get_or_insert(offset), offset);
            }
        }
    }
}
