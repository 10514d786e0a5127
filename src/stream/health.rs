//! Publisher health: its keyframes, its silence and its timestamps.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::message::Flags;
use crate::media::{Kind, Micros};

/// Pictures without a keyframe for this long are a fault. Viewers who come wait for the next one.
pub const KEYFRAME_INTERVAL_MAX: Micros = Micros::from_secs(10);

/// A publisher without a message for this long is told of.
const SILENCE_MAX: Micros = Micros::from_secs(10);

/// After a silence has been told, the next one is only told if messages came for this long between.
const ACTIVITY_MIN: Micros = Micros::from_secs(60);

/// Time over which the pace of timestamps is compared with the clock. Two such times in a row have
/// to agree, so that neither a stall nor the burst after it is taken for a wrong unit.
const PACE_SPAN: Micros = Micros::from_secs(5);

/// Timestamps that run this many times faster or slower than the clock are in another unit than
/// milliseconds, or of a file that is not sent in real time.
const PACE_MAX: f64 = 8.0;

/// Time over which the offset between audio and picture is a mean.
const OFFSET_SPAN: Micros = Micros::from_secs(1);

/// A track without a message for this long is not compared with the other one.
const OFFSET_PAUSE_MAX: Micros = Micros::from_secs(1);

/// Something that keeps viewers from playing a stream well. `Display` says it to the operator, with
/// what to do; the stream's name stands in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Warning {
    /// Pictures have come for [`KEYFRAME_INTERVAL_MAX`], and no keyframe with them.
    NoKeyframe,
    /// The last keyframe is older than this, and none has followed.
    KeyframeInterval(Micros),
    /// No message for `SILENCE_MAX`.
    Silence,
    /// Timestamps run this many times as fast as the clock: much faster, or much slower.
    Timestamps(f64),
}

impl Warning {
    /// Its word in events and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoKeyframe => "no_keyframe",
            Self::KeyframeInterval(_) => "keyframe_interval",
            Self::Silence => "silence",
            Self::Timestamps(_) => "timestamps",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::NoKeyframe => 1,
            Self::KeyframeInterval(_) => 2,
            Self::Silence => 4,
            Self::Timestamps(_) => 8,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyframe => write!(
                f,
                "its pictures have come for {:.0} s without a keyframe, so that nobody can see \
                 them; set the encoder's keyframe interval to 2 s",
                KEYFRAME_INTERVAL_MAX.secs_f64()
            ),
            Self::KeyframeInterval(most) => write!(
                f,
                "its keyframes are more than {:.0} s apart: viewers who come wait that long for a \
                 picture; set the encoder's keyframe interval to 2 s",
                most.secs_f64()
            ),
            Self::Silence => write!(
                f,
                "its publisher is connected and has sent nothing for {:.0} s; check the encoder \
                 and its network",
                SILENCE_MAX.secs_f64()
            ),
            Self::Timestamps(pace) if *pace > 1.0 => write!(
                f,
                "its timestamps run {pace:.0} times as fast as the clock; they have to be in \
                 milliseconds, and a file has to be sent in real time (FFmpeg: -re)"
            ),
            Self::Timestamps(pace) if *pace > 0.0 => write!(
                f,
                "its timestamps run {:.0} times slower than the clock; they have to be in \
                 milliseconds",
                1.0 / pace
            ),
            Self::Timestamps(_) => f.write_str(
                "its timestamps stand still or run backwards; they have to count the milliseconds \
                 since its beginning",
            ),
        }
    }
}

/// Watches the messages of one publisher as they come, with the timestamps that it gave them.
/// Taking a message is a few additions; what is wrong is fetched by [`Health::check`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// Longest time between keyframes that is not told of.
    keyframe_max: Micros,
    /// When the last message came, or the publisher.
    #[serde(with = "crate::media::instants")]
    received_at: Micros,
    /// Since when messages come without a silence between them.
    #[serde(with = "crate::media::instants")]
    active_since: Micros,
    video: Track,
    audio: Track,
    #[serde(with = "crate::media::instants")]
    first_picture: Option<Micros>,
    /// When the newest keyframe came, and its place on the unwrapped line of timestamps.
    #[serde(with = "crate::media::instants")]
    keyframe: Option<(Micros, i64)>,
    /// Timestamps between the last two keyframes.
    interval_ms: Option<i64>,
    offset: Offset,
    /// Warnings that were found and not fetched.
    found: Option<Warning>,
    /// Bits of the warnings that were found: each is told once of a publisher.
    told: u8,
}

impl Health {
    /// Of a publisher that comes at `now`. Keyframes should be no farther apart than
    /// `keyframe_max`, or [`KEYFRAME_INTERVAL_MAX`] if that is less.
    #[must_use]
    pub fn new(keyframe_max: Micros, now: Micros) -> Self {
        Self {
            keyframe_max: keyframe_max.min(KEYFRAME_INTERVAL_MAX),
            received_at: now,
            active_since: now,
            video: Track::default(),
            audio: Track::default(),
            first_picture: None,
            keyframe: None,
            interval_ms: None,
            offset: Offset::default(),
            found: None,
            told: 0,
        }
    }

    /// Takes a message of this kind that came at `now`. `time` is the publisher's own.
    pub fn message(&mut self, kind: Kind, time: u32, flags: Flags, now: Micros) {
        self.on_message(now);
        if flags.is_header() {
            return;
        }
        let (track, other) = match kind {
            Kind::Video => (&mut self.video, &self.audio),
            Kind::Audio => (&mut self.audio, &self.video),
            Kind::Data => return,
        };
        let pace = track.message(time, now);
        if let Some(other) = other.newest(now) {
            let ahead = i64::from(time.wrapping_sub(other).cast_signed());
            self.offset.add(if kind == Kind::Video { ahead } else { -ahead }, now);
        }
        if let Some(pace) = pace {
            self.find(Warning::Timestamps(pace));
        }
        if kind == Kind::Video {
            self.picture(flags.is_key(), now);
        }
    }

    /// The next thing that is wrong at `now`, if there is one. Each is told once of a publisher;
    /// a silence again if messages came for a minute before it.
    pub fn check(&mut self, now: Micros) -> Option<Warning> {
        if now.since(self.received_at) >= SILENCE_MAX {
            self.find(Warning::Silence);
        }
        self.found.take()
    }

    /// Time from keyframe to keyframe by the publisher's timestamps; what has passed since the last
    /// one if that is longer. `None` before the second keyframe.
    #[must_use]
    pub fn keyframe_interval(&self) -> Option<Micros> {
        let (_, at) = self.keyframe?;
        let open = self.video.line.saturating_sub(at);
        let longest = self.interval_ms?.max(open);
        Some(Micros::from_millis(u64::try_from(longest).unwrap_or(0)))
    }

    /// How many milliseconds pictures are ahead of the audio that comes with them, by the
    /// publisher's timestamps: a mean of the last second. `None` while there is only one of them.
    #[must_use]
    pub const fn av_offset_ms(&self) -> Option<f64> {
        self.offset.mean_ms
    }

    fn on_message(&mut self, now: Micros) {
        if now.since(self.received_at) >= SILENCE_MAX {
            self.active_since = now;
        } else if now.since(self.active_since) >= ACTIVITY_MIN {
            self.told &= !Warning::Silence.bit();
        }
        self.received_at = now;
    }

    fn picture(&mut self, is_key: bool, now: Micros) {
        let line = self.video.line;
        let first = *self.first_picture.get_or_insert(now);
        match self.keyframe {
            Some((_, at)) if is_key => self.interval_ms = Some(line - at),
            // Both clocks have to say so: the node's alone would take a stall of the network for a
            // long interval, and timestamps in another unit say anything.
            Some((came, at)) => {
                let passed = Micros::from_millis(u64::try_from(line - at).unwrap_or(0));
                if passed.min(now.since(came)) >= self.keyframe_max {
                    self.find(Warning::KeyframeInterval(self.keyframe_max));
                }
            }
            None if !is_key && now.since(first) >= KEYFRAME_INTERVAL_MAX => {
                self.find(Warning::NoKeyframe);
            }
            None => {}
        }
        if is_key {
            self.keyframe = Some((now, line));
        }
    }

    /// Notes a warning unless it was told. Of two at once the second is found again later.
    fn find(&mut self, warning: Warning) {
        if self.found.is_none() && self.told & warning.bit() == 0 {
            self.told |= warning.bit();
            self.found = Some(warning);
        }
    }
}

/// The timestamps of one kind.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Track {
    /// When the newest message came, and its timestamp.
    #[serde(with = "crate::media::instants")]
    newest: Option<(Micros, u32)>,
    /// That timestamp on a line that neither wraps nor has an end.
    line: i64,
    /// Where on both clocks the present span begins.
    #[serde(with = "crate::media::instants")]
    begin: (Micros, i64),
    /// Whether the span before this one was much too fast or too slow.
    suspected: Option<Pace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Pace {
    Fast,
    Slow,
}

impl Track {
    /// Takes a message; how many times as fast as the clock timestamps run, if that is wrong.
    fn message(&mut self, time: u32, now: Micros) -> Option<f64> {
        let Some((_, before)) = self.newest.replace((now, time)) else {
            self.begin = (now, 0);
            return None;
        };
        self.line += i64::from(time.wrapping_sub(before).cast_signed());
        let (began, from) = self.begin;
        let passed = now.since(began);
        if passed < PACE_SPAN {
            return None;
        }
        self.begin = (now, self.line);
        let pace = (self.line - from) as f64 / (passed.secs_f64() * 1e3);
        let wrong = match pace {
            pace if pace >= PACE_MAX => Some(Pace::Fast),
            pace if pace <= 1.0 / PACE_MAX => Some(Pace::Slow),
            _ => None,
        };
        let agrees = wrong.is_some() && wrong == self.suspected;
        self.suspected = wrong;
        agrees.then_some(pace)
    }

    /// The newest timestamp, if it is not old.
    fn newest(&self, now: Micros) -> Option<u32> {
        let (came, time) = self.newest?;
        (now.since(came) <= OFFSET_PAUSE_MAX).then_some(time)
    }
}

/// A mean over spans of a second.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Offset {
    #[serde(with = "crate::media::instants")]
    began: Option<Micros>,
    sum_ms: i64,
    count: i64,
    mean_ms: Option<f64>,
}

impl Offset {
    fn add(&mut self, ms: i64, now: Micros) {
        let began = *self.began.get_or_insert(now);
        self.sum_ms += ms;
        self.count += 1;
        if now.since(began) >= OFFSET_SPAN {
            self.mean_ms = Some(self.sum_ms as f64 / self.count as f64);
            *self = Self { mean_ms: self.mean_ms, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames per second of both tracks.
    const RATE: u64 = 25;

    /// A publisher and the clock.
    struct Publisher {
        health: Health,
        now: Micros,
        frames: u64,
        /// Frames from keyframe to keyframe; 0 for none at all.
        gop: u64,
        /// Ticks per second of its timestamps.
        ticks: u64,
        told: Vec<&'static str>,
    }

    impl Publisher {
        fn new(gop: u64) -> Self {
            let now = Micros::from_secs(100);
            let health = Health::new(Micros::from_secs(60), now);
            Self { health, now, frames: 0, gop, ticks: 1_000, told: Vec::new() }
        }

        fn tick(&mut self) {
            self.now = self.now + Micros(1_000_000 / RATE);
            while let Some(warning) = self.health.check(self.now) {
                self.told.push(warning.code());
            }
        }

        #[expect(clippy::cast_possible_truncation, reason = "timestamps wrap")]
        fn frame(&mut self) {
            let time = (self.frames * self.ticks / RATE) as u32;
            let is_key = self.gop > 0 && self.frames.is_multiple_of(self.gop);
            let flags = if is_key { Flags::KEY } else { Flags::default() };
            self.health.message(Kind::Video, time, flags, self.now);
            self.health.message(Kind::Audio, time, Flags::default(), self.now);
            self.frames += 1;
        }

        fn publish(&mut self, seconds: u64) {
            for _ in 0..seconds * RATE {
                self.frame();
                self.tick();
            }
        }

        fn pause(&mut self, seconds: u64) {
            (0..seconds * RATE).for_each(|_| self.tick());
        }
    }

    #[test]
    fn a_publisher_as_it_should_be_is_not_told_of() {
        for gop in [RATE, 2 * RATE, 10 * RATE] {
            let mut publisher = Publisher::new(gop);
            publisher.publish(120);
            assert!(publisher.told.is_empty(), "{gop}: {:?}", publisher.told);
        }
    }

    #[test]
    fn pictures_without_any_keyframe_are_told_once_after_ten_seconds() {
        let mut publisher = Publisher::new(0);
        publisher.publish(10);
        assert!(publisher.told.is_empty());
        publisher.publish(60);
        assert_eq!(publisher.told, ["no_keyframe"]);
    }

    #[test]
    fn keyframes_twenty_seconds_apart_are_told_once() {
        let mut publisher = Publisher::new(20 * RATE);
        publisher.publish(10);
        assert!(publisher.told.is_empty());
        publisher.publish(1);
        assert_eq!(publisher.told, ["keyframe_interval"]);
        publisher.publish(90);
        assert_eq!(publisher.told, ["keyframe_interval"]);
        assert_eq!(publisher.health.keyframe_interval(), Some(Micros::from_secs(20)));
    }

    #[test]
    fn keyframes_farther_apart_than_the_node_keeps_are_told_as_well() {
        let mut publisher = Publisher::new(8 * RATE);
        publisher.health = Health::new(Micros::from_secs(5), publisher.now);
        publisher.publish(6);
        assert_eq!(publisher.told, ["keyframe_interval"]);
    }

    #[test]
    fn a_silence_is_told_once_and_again_after_a_minute_of_messages() {
        let mut publisher = Publisher::new(RATE);
        publisher.publish(5);
        publisher.pause(9);
        assert!(publisher.told.is_empty());
        publisher.pause(30);
        assert_eq!(publisher.told, ["silence"]);
        publisher.publish(5);
        publisher.pause(15);
        assert_eq!(publisher.told, ["silence"], "it comes and goes");
        publisher.publish(61);
        publisher.pause(15);
        assert_eq!(publisher.told, ["silence", "silence"]);
    }

    #[test]
    fn who_publishes_and_never_sends_anything_is_silent() {
        let mut publisher = Publisher::new(RATE);
        publisher.pause(11);
        assert_eq!(publisher.told, ["silence"]);
    }

    #[test]
    fn timestamps_in_another_unit_are_told_once_with_how_wrong_they_are() {
        for (ticks, word) in
            [(1_000_000, "1000 times as fast"), (90_000, "90 times as fast"), (1, "slower")]
        {
            let mut publisher = Publisher::new(RATE);
            publisher.ticks = ticks;
            let mut texts = Vec::new();
            for _ in 0..60 * RATE {
                publisher.frame();
                publisher.now = publisher.now + Micros(1_000_000 / RATE);
                texts.extend(publisher.health.check(publisher.now).map(|w| w.to_string()));
            }
            assert_eq!(texts.len(), 1, "{ticks}: {texts:?}");
            assert!(texts[0].contains(word) && texts[0].contains("milliseconds"), "{texts:?}");
        }
        let mut still = Publisher::new(RATE);
        still.ticks = 0;
        still.publish(30);
        assert_eq!(still.told, ["timestamps"]);
    }

    #[test]
    fn a_stall_of_the_network_and_the_burst_after_it_are_no_fault_of_the_encoder() {
        let mut publisher = Publisher::new(2 * RATE);
        for stall in [3, 9] {
            publisher.publish(7);
            publisher.pause(stall);
            (0..stall * RATE).for_each(|_| publisher.frame());
            publisher.publish(30);
        }
        assert!(publisher.told.is_empty(), "{:?}", publisher.told);
    }

    #[test]
    fn timestamps_that_wrap_go_on() {
        let mut publisher = Publisher::new(2 * RATE);
        publisher.frames = u64::from(u32::MAX) / 1_000 * RATE - 4 * RATE;
        publisher.publish(30);
        assert!(publisher.told.is_empty(), "{:?}", publisher.told);
        assert_eq!(publisher.health.keyframe_interval(), Some(Micros::from_secs(2)));
    }

    #[test]
    fn the_offset_is_how_far_pictures_are_ahead_and_unknown_with_one_track() {
        let mut health = Health::new(KEYFRAME_INTERVAL_MAX, Micros(0));
        let at = |frame: u32| Micros::from_millis(u64::from(frame) * 40);
        for frame in 0..50 {
            health.message(Kind::Video, frame * 40 + 2_500, Flags::KEY, at(frame));
        }
        assert_eq!(health.av_offset_ms(), None);
        for frame in 50..150 {
            health.message(Kind::Video, frame * 40 + 2_500, Flags::KEY, at(frame));
            health.message(Kind::Audio, frame * 40, Flags::default(), at(frame));
        }
        let offset = health.av_offset_ms().unwrap();
        assert!((offset - 2_500.0).abs() < 40.0, "{offset}");
    }
}
