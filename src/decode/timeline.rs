//! The clock of a publisher, matched to the node's.

use crate::media::Micros;

/// A publisher this far from its time is matched anew, microseconds.
const LATE_MAX: i64 = 500_000;

/// Without a picture for this long, sound leads the match, microseconds.
const PICTURES_GONE: i64 = 2_000_000;

/// Time constant of the average lateness, microseconds: long against the jitter of a network.
const AVERAGE: i64 = 5_000_000;

/// In which time an average lateness is worked off, microseconds.
const CORRECTION: i64 = 20_000_000;

/// Most correction per time: one in 200 (0.5 %), which sound can follow unheard.
const CORRECTION_MAX: i64 = 200;

/// Maps a publisher's times, modulo 2^32 ms, to the node's clock: `time + offset`.
///
/// Pictures lead the match, because they are what is seen to stutter; sound follows by the same
/// offset, so that both stay as the publisher put them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    latency: i64,
    /// The newest time as it came, and without its wrap, milliseconds.
    newest: Option<(u32, i64)>,
    /// From a publisher's microseconds to the node's; `None` before the first message.
    offset: Option<i64>,
    /// Average lateness, microseconds.
    lateness: i64,
    led: i64,
    pictured: i64,
    resyncs: u64,
}

impl Timeline {
    /// A timeline on which the first message is due `latency` after its arrival.
    pub(super) fn new(latency: Micros) -> Self {
        Self {
            latency: i64::try_from(latency.0).unwrap_or(0),
            newest: None,
            offset: None,
            lateness: 0,
            led: 0,
            pictured: i64::MIN / 2,
            resyncs: 0,
        }
    }

    /// Takes note of a message's arrival; its time without the wrap, milliseconds.
    pub(super) fn arrived(&mut self, time_ms: u32, at: Micros, picture: bool) -> i64 {
        let now = i64::try_from(at.0).unwrap_or(i64::MAX / 2);
        let time_ms = self.unwrap(time_ms);
        if picture {
            self.pictured = now;
        }
        let due = now.saturating_add(self.latency);
        let time = time_ms.saturating_mul(1_000);
        let Some(offset) = &mut self.offset else {
            self.offset = Some(due - time);
            self.led = now;
            return time_ms;
        };
        if !picture && now - self.pictured < PICTURES_GONE {
            return time_ms;
        }
        let late = due.saturating_sub(time.saturating_add(*offset));
        if late.saturating_abs() > LATE_MAX {
            *offset = due - time;
            self.lateness = 0;
            self.resyncs += 1;
        } else {
            let passed = (now - self.led).clamp(0, 1_000_000);
            self.lateness += (late - self.lateness) * passed / (AVERAGE + passed);
            let most = passed / CORRECTION_MAX;
            *offset += (self.lateness * passed / CORRECTION).clamp(-most, most);
        }
        self.led = now;
        time_ms
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
    pub(super) const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    fn unwrap(&mut self, time_ms: u32) -> i64 {
        let unwrapped = match self.newest {
            None => i64::from(time_ms),
            Some((newest, unwrapped)) => {
                let step = time_ms.wrapping_sub(newest).cast_signed();
                unwrapped.saturating_add(i64::from(step))
            }
        };
        self.newest = Some((time_ms, unwrapped));
        unwrapped
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
        let sound = line.arrived(77_010, Micros(5_011_000), false);
        assert_eq!(line.at(sound), 5_210_000);
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
    fn sound_leads_only_where_there_are_no_pictures() {
        let mut line = Timeline::new(LATENCY);
        play(&mut line, 0, 10, |t| 5_000_000 + t);
        line.arrived(9_000, Micros(5_200_000), false);
        assert_eq!(line.resyncs(), 0);
        line.arrived(11_000, Micros(8_200_000), false);
        assert_eq!(line.resyncs(), 1);
    }
}
