//! Clock recovery: a publisher's timestamps matched to the node's clock.

use super::jitter::{JITTER_MAX, Jitter};
use crate::media::{Micros, UnwrappedTime};

/// A publisher this far from its time is matched anew, if it stays there, microseconds.
const STRANGE_MIN: i64 = 500_000;

/// For how long, microseconds. What comes late after a break of the network comes all at once.
const STRANGE_FOR: i64 = 300_000;

/// Pictures or audio that are later than this on average are given more time at once, microseconds:
/// more than half of the usual latency. What is less is made up for slowly.
const LATE_MAX: i64 = 120_000;

/// A kind of which nothing has come for this long has no part in the match, microseconds.
const GONE: i64 = 2_000_000;

/// Audio that is further behind the pictures is not waited for, microseconds.
const BEHIND_MAX: i64 = 10_000_000;

/// How long the first of one kind waits for the first of the other, if that was announced,
/// microseconds.
const START_WAIT: i64 = 3_000_000;

/// Time constant of the average lateness, microseconds: long against the jitter of a network.
const AVERAGE: i64 = 1_000_000;

/// In which time an average lateness is worked off, microseconds.
const CORRECTION: i64 = 20_000_000;

/// Most correction per time: one in 200 (0.5 %), which audio can follow unheard.
const CORRECTION_MAX: i64 = 200;

/// Most of a latency that pictures and audio spend decoded, microseconds.
const DECODED_MAX: i64 = 200_000;

/// How much earlier than one latency ahead pictures and audio are decoded, microseconds. There is
/// room for a few pictures, and for more than a second of audio.
const PICTURE_LEAD: i64 = 60_000;
const AUDIO_LEAD: i64 = 300_000;

/// Maps a publisher's times, modulo 2^32 ms, to the node's clock: `time + offset`.
///
/// It is a jitter buffer: what comes late again and again has the offset that this takes, at once,
/// and loses it slowly when it comes evenly.
///
/// Pictures and audio have the same offset, so that both stay as the publisher put them: the one
/// that the later of the two needs. The earlier one waits, still encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    latency: i64,
    times: UnwrappedTime,
    /// From a publisher's microseconds to the node's; `None` before the first message.
    offset: Option<i64>,
    /// The offset that jitter needs, which falls slowly once that is over.
    jitter: Option<i64>,
    audio: Track,
    pictures: Track,
    /// When the first message came, and the newest.
    first: i64,
    led: i64,
    resyncs: u64,
}

/// What is known of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// Whether it was announced.
    expected: bool,
    /// The offset with which its messages are due one latency after they come, on average, and when
    /// the newest of them came. `None` before the first.
    need: Option<(i64, i64)>,
    /// Since when all messages have been far from that.
    strange: Option<i64>,
    jitter: Jitter,
}

impl Track {
    /// A message with this need came at `now`; one that is less than `budget` behind the others is
    /// still in time.
    fn arrived(&mut self, need: i64, now: i64, budget: i64) {
        let Some((average, heard)) = &mut self.need else {
            self.need = Some((need, now));
            return;
        };
        let passed = (now - *heard).clamp(0, AVERAGE);
        *heard = now;
        let away = need.saturating_sub(*average);
        if (budget..=JITTER_MAX).contains(&away) {
            self.jitter.late(need, now);
        }
        if away.saturating_abs() <= STRANGE_MIN {
            self.strange = None;
            *average += away * passed / (AVERAGE + passed);
        } else if now - *self.strange.get_or_insert(now) >= STRANGE_FOR {
            self.strange = None;
            *average = need;
        }
    }

    /// Its need, unless nothing has come for long.
    fn need(&self, now: i64) -> Option<i64> {
        self.need.filter(|(_, heard)| now - heard < GONE).map(|(need, _)| need)
    }
}

impl Timeline {
    /// A timeline on which the first message is due `latency` after its arrival.
    pub(super) fn new(latency: Micros) -> Self {
        Self {
            latency: i64::try_from(latency.0).unwrap_or(0),
            times: UnwrappedTime::default(),
            offset: None,
            jitter: None,
            audio: Track::default(),
            pictures: Track::default(),
            first: 0,
            led: 0,
            resyncs: 0,
        }
    }

    /// There will be pictures, or audio.
    pub(super) const fn expect(&mut self, pictures: bool) {
        if pictures {
            self.pictures.expected = true;
        } else {
            self.audio.expected = true;
        }
    }

    /// Takes note of a message's arrival; its time without the wrap, milliseconds.
    pub(super) fn arrived(&mut self, time_ms: u32, at: Micros, picture: bool) -> i64 {
        let now = i64::try_from(at.0).unwrap_or(i64::MAX / 2);
        let time_ms = self.times.unwrap(time_ms);
        let need = now.saturating_add(self.latency).saturating_sub(time_ms.saturating_mul(1_000));
        let track = if picture { &mut self.pictures } else { &mut self.audio };
        let budget = self.latency / 5 * 3;
        track.arrived(need, now, budget);
        let wanted = match (self.pictures.need(now), self.audio.need(now)) {
            (Some(pictures), Some(audio)) if audio.saturating_sub(pictures) <= BEHIND_MAX => {
                pictures.max(audio)
            }
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => need,
        };
        let Some(offset) = &mut self.offset else {
            self.offset = Some(wanted);
            (self.first, self.led) = (now, now);
            return time_ms;
        };
        let passed = (now - self.led).clamp(0, AVERAGE);
        let most = passed / CORRECTION_MAX;
        let jitter = [&self.pictures, &self.audio].map(|track| track.jitter.need(now));
        let jitter = jitter.into_iter().max().flatten().map(|need| need - budget);
        self.jitter = self.jitter.map(|was| was - most).max(jitter);
        // What was before a jump of the publisher's clock says nothing.
        self.jitter = self.jitter.filter(|need| (0..=JITTER_MAX).contains(&(need - wanted)));
        let wanted = self.jitter.map_or(wanted, |need| wanted.max(need));
        let late = wanted.saturating_sub(*offset);
        if !(-STRANGE_MIN..=LATE_MAX).contains(&late) {
            *offset = wanted;
            self.resyncs += 1;
        } else {
            *offset += (late * passed / CORRECTION).clamp(-most, most);
        }
        self.led = now;
        time_ms
    }

    /// The time of a message that was not taken in when it came, without the wrap, milliseconds.
    pub(super) fn unwrap(&mut self, time_ms: u32) -> i64 {
        self.times.unwrap(time_ms)
    }

    /// From when on something of this time is to be decoded, on the node's clock, microseconds.
    pub(super) fn decode_at(&self, time_ms: i64, picture: bool) -> i64 {
        let other = if picture { &self.audio } else { &self.pictures };
        if other.expected && other.need.is_none() {
            return self.first + START_WAIT;
        }
        let lead = if picture { PICTURE_LEAD } else { AUDIO_LEAD };
        self.at(time_ms) - self.latency.min(DECODED_MAX) - lead
    }

    /// When something of this time (without wrap, milliseconds) is due on the node's clock,
    /// microseconds.
    pub(super) fn at(&self, time_ms: i64) -> i64 {
        time_ms.saturating_mul(1_000).saturating_add(self.offset.unwrap_or(0)).max(0)
    }

    /// Forgets the publisher.
    pub(super) fn reset(&mut self) {
        let resyncs = self.resyncs;
        let latency = Micros(u64::try_from(self.latency).unwrap_or(0));
        *self = Self { resyncs, ..Self::new(latency) };
    }

    /// How often publisher and clock were matched anew.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(super) const fn resyncs(&self) -> u64 {
        self.resyncs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Micros = Micros(200_000);

    /// Feeds pictures every 20 ms; `arrival` gives microseconds for a time in milliseconds.
    fn play(line: &mut Timeline, from_ms: u32, count: u32, arrival: impl Fn(i64) -> i64) -> i64 {
        let mut at = 0;
        for n in 0..count {
            let time_ms = from_ms.wrapping_add(n * 20);
            let arrived = arrival(i64::from(n) * 20_000);
            let time = line.arrived(time_ms, Micros(u64::try_from(arrived).unwrap()), true);
            at = line.at(time);
        }
        at
    }

    #[test]
    fn the_first_message_is_due_one_latency_after_it_came() {
        let mut line = Timeline::new(LATENCY);
        let at = play(&mut line, 77_000, 1, |t| 5_000_000 + t);
        assert_eq!(at, 5_200_000);
        let audio = line.arrived(77_010, Micros(5_011_000), false);
        assert_eq!(line.at(audio), 5_210_000);
    }

    #[test]
    fn a_wrap_of_the_publishers_clock_is_not_seen() {
        let mut line = Timeline::new(LATENCY);
        let at = play(&mut line, u32::MAX - 1_000, 101, |t| 5_000_000 + t);
        assert_eq!(at, 5_200_000 + 2_000_000);
        assert_eq!(line.resyncs(), 0);
    }

    #[test]
    fn jitter_moves_nothing_much() {
        let mut line = Timeline::new(LATENCY);
        let jitter = |t: i64| 5_000_000 + t + t / 20_000 * 7_919 % 60_000 - 30_000;
        let at = play(&mut line, 0, 3_001, jitter);
        assert!((at - 65_200_000 + 30_000).abs() < 45_000, "{}", at - 65_200_000);
        assert_eq!(line.resyncs(), 0);
    }

    #[test]
    fn a_drifting_publisher_is_followed_slowly() {
        let mut line = Timeline::new(LATENCY);
        // 0.1 % slow for 100 s: 100 ms behind at the end.
        let at = play(&mut line, 0, 5_001, |t| 5_000_000 + t + t / 1_000);
        let behind = 100_000_000 + 5_200_000 + 100_000 - at;
        assert!((0..40_000).contains(&behind), "{behind}");
        assert_eq!(line.resyncs(), 0);
    }

    #[test]
    fn a_long_stall_and_a_jump_of_the_clock_are_matched_anew() {
        let mut line = Timeline::new(LATENCY);
        play(&mut line, 0, 50, |t| 5_000_000 + t);
        let at = play(&mut line, 1_000, 50, |t| 8_000_000 + t);
        assert_eq!((at, line.resyncs()), (8_200_000 + 980_000, 1));
        let at = play(&mut line, 3_000_000_000, 50, |t| 9_000_000 + t);
        assert_eq!((at, line.resyncs()), (9_200_000 + 980_000, 2));
    }

    #[test]
    fn audio_leads_only_where_there_are_no_pictures() {
        let mut line = Timeline::new(LATENCY);
        play(&mut line, 0, 10, |t| 5_000_000 + t);
        line.arrived(9_000, Micros(5_200_000), false);
        assert_eq!(line.resyncs(), 0);
        line.arrived(11_000, Micros(8_200_000), false);
        assert_eq!(line.resyncs(), 1);
    }

    /// Plays both kinds every 20 ms for so many seconds, each so many microseconds behind its
    /// time; gives how far the newest of each is from its due time when it comes.
    fn both(line: &mut Timeline, from_ms: u32, seconds: u32, behind: [i64; 2]) -> [i64; 2] {
        let mut early = [0; 2];
        let mut events: Vec<_> = (0..seconds * 50)
            .flat_map(|n| [(n, false), (n, true)])
            .map(|(n, picture)| {
                let time_ms = from_ms + n * 20;
                let came = 5_000_000 + i64::from(time_ms) * 1_000 + behind[usize::from(picture)];
                (came, time_ms, picture)
            })
            .collect();
        events.sort_unstable();
        for (came, time_ms, picture) in events {
            let at = Micros(u64::try_from(came).unwrap());
            let time = line.arrived(time_ms, at, picture);
            early[usize::from(picture)] = line.at(time) - came;
        }
        early
    }

    #[test]
    fn the_later_of_pictures_and_audio_has_its_latency_and_the_other_waits_for_it() {
        for behind in [0, 150_000, 400_000, 1_000_000, 2_500_000, 9_000_000] {
            for picture_is_late in [true, false] {
                let (audio, picture) = if picture_is_late { (0, behind) } else { (behind, 0) };
                let mut line = Timeline::new(LATENCY);
                both(&mut line, 0, 12, [audio, picture]);
                let early = both(&mut line, 12_000, 2, [audio, picture]);
                let [late, other] =
                    if picture_is_late { [early[1], early[0]] } else { [early[0], early[1]] };
                assert!((late - 200_000).abs() < 1_000, "{behind}: {early:?}");
                assert!((other - 200_000 - behind).abs() < 1_000, "{behind}: {early:?}");
            }
        }
    }

    #[test]
    fn pictures_that_become_late_are_given_the_time_within_two_seconds() {
        for behind in [300_000, 700_000, 3_000_000] {
            let mut line = Timeline::new(LATENCY);
            both(&mut line, 0, 10, [0, 0]);
            let early = both(&mut line, 10_000, 5, [0, behind]);
            assert!(early[1] > 50_000, "still shown late: {early:?}");
        }
    }

    #[test]
    fn a_break_of_the_network_after_which_all_comes_at_once_moves_nothing() {
        let mut line = Timeline::new(LATENCY);
        let broken =
            |t: i64| 5_000_000 + if (2_000_000..2_900_000).contains(&t) { 2_900_000 } else { t };
        let at = play(&mut line, 0, 300, broken);
        assert_eq!((at, line.resyncs()), (5_200_000 + 299 * 20_000, 0));
    }

    /// Arrivals of a source that stands still for `stall` microseconds in every five seconds before
    /// `until`, and makes up for it at twice its speed, or at once.
    fn stalling(stall: i64, until: i64, at_once: bool) -> impl Fn(i64) -> i64 {
        move |t| {
            let (start, within) = (t / 5_000_000 * 5_000_000, t % 5_000_000);
            let late = if at_once { stall - within } else { stall - within / 2 };
            5_000_000 + if start >= 5_000_000 && t < until { t + late.max(0) } else { t }
        }
    }

    /// How much earlier than it is due each picture comes, of those from one second to another.
    fn early(line: &mut Timeline, seconds: [u32; 2], arrival: impl Fn(i64) -> i64) -> Vec<i64> {
        let times = (seconds[0] * 50..seconds[1] * 50).map(|n| n * 20);
        let early = times.map(|time_ms| {
            let came = arrival(i64::from(time_ms) * 1_000);
            let time = line.arrived(time_ms, Micros(u64::try_from(came).unwrap()), true);
            line.at(time) - came
        });
        early.collect()
    }

    #[test]
    fn what_stalls_again_and_again_is_waited_for_and_comes_in_time_then() {
        for at_once in [true, false] {
            for stall in [300_000, 700_000, 2_000_000] {
                let mut line = Timeline::new(LATENCY);
                let arrival = stalling(stall, 60_000_000, at_once);
                early(&mut line, [0, 20], &arrival);
                let early = early(&mut line, [20, 60], &arrival);
                let latest = early.into_iter().min().unwrap();
                assert!(latest > 30_000, "{stall}, at once {at_once}: {latest}");
            }
        }
    }

    #[test]
    fn the_wait_shrinks_back_slowly_once_it_comes_evenly() {
        let mut line = Timeline::new(LATENCY);
        let arrival = stalling(700_000, 30_000_000, true);
        early(&mut line, [0, 30], &arrival);
        let resyncs = line.resyncs();
        let mut last = early(&mut line, [30, 31], &arrival).pop().unwrap();
        assert!(last > 600_000, "{last}");
        for second in 31..400 {
            let now = early(&mut line, [second, second + 1], &arrival).pop().unwrap();
            assert!((0..=5_100).contains(&(last - now)), "{second}: from {last} to {now}");
            last = now;
        }
        assert!((last - 200_000).abs() < 5_000, "{last}");
        assert_eq!(line.resyncs(), resyncs, "nothing was cut");
    }

    #[test]
    fn a_clock_that_jumps_by_hours_is_not_held_up_by_the_jitter_before() {
        for jump in [-7_200_000_i64, -20_000, 20_000, 7_200_000] {
            let mut line = Timeline::new(LATENCY);
            early(&mut line, [0, 30], stalling(700_000, 30_000_000, true));
            let mut early = 0;
            for n in 0..50 {
                let time = u32::try_from((30_000 + n * 20 + jump).rem_euclid(1 << 32)).unwrap();
                let came = 35_000_000 + n * 20_000;
                let time = line.arrived(time, Micros(u64::try_from(came).unwrap()), true);
                early = line.at(time) - came;
            }
            assert!((0..400_000).contains(&early), "{jump}: {early}");
        }
    }

    #[test]
    fn what_comes_first_waits_for_the_other_kind_if_that_is_announced() {
        let mut line = Timeline::new(LATENCY);
        line.expect(true);
        let audio = line.arrived(0, Micros(5_000_000), false);
        assert_eq!(line.decode_at(audio, false), 8_000_000, "not for ever");
        line.arrived(0, Micros(7_000_000), true);
        assert_eq!(line.decode_at(audio, false), 7_000_000 - AUDIO_LEAD);
        assert_eq!(line.at(audio), 7_200_000, "together with its picture");
        let mut alone = Timeline::new(LATENCY);
        let audio = alone.arrived(0, Micros(5_000_000), false);
        assert!(alone.decode_at(audio, false) < 5_000_000);
    }

    #[test]
    fn audio_that_stands_still_does_not_hold_up_the_pictures_for_ever() {
        let mut line = Timeline::new(LATENCY);
        let mut early = 0;
        for n in 0..1_500_i64 {
            let came = Micros(u64::try_from(5_000_000 + n * 20_000).unwrap());
            line.arrived(0, came, false);
            let time = line.arrived(u32::try_from(n * 20).unwrap(), came, true);
            early = line.at(time) - 5_000_000 - n * 20_000;
        }
        assert_eq!(early, 200_000);
    }
}
