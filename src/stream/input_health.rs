//! Health of an input: whether what a publisher sends can be shown and heard, by its pictures, its
//! audio and its bitrate. Pure: time is an argument.

use std::collections::VecDeque;
use std::fmt;

use crate::media::Micros;

/// Columns and rows of a [`Thumbnail`].
pub const THUMBNAIL: (usize, usize) = (64, 36);

/// Cells that are looked at of a picture.
const CELLS: usize = THUMBNAIL.0 * THUMBNAIL.1;

/// Two pictures differ if a cell of one is this much brighter, of 255: the same picture encoded
/// twice differs by less.
const CHANGE_MIN: u8 = 2;

/// A cell is black up to this brightness in limited range: a tenth of the way to white, as in
/// FFmpeg's `blackdetect`.
const BLACK_MAX: u8 = 16 + 219 / 10;

/// A picture is black if this many of a hundred cells are, as in FFmpeg's `blackdetect`.
const BLACK_PERCENT: usize = 98;

/// Audio is silent below this, of full scale: -60 dBFS.
const SILENCE: f32 = 0.001;

/// Audio clips from this on, of full scale: -0.01 dBFS.
const CLIPPING: f32 = 0.999;

/// Audio that has not clipped for so long does not clip any more.
const CLIPPING_APART: Micros = Micros::from_secs(1);

/// Parts in which the bytes of a bitrate are counted.
const BITRATE_PARTS: u64 = 10;

/// Brightness of a picture in few cells, 16 (black) to 235 (white), row by row.
pub type Thumbnail = [u8; CELLS];

/// What is wrong with an input, and for how long it has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputRules {
    /// Age of its last picture from which on it is lost or stalled.
    pub after: Micros,
    /// So many bits per second are too few, measured over this time.
    pub bitrate: Option<(u64, Micros)>,
    /// Its pictures do not change and its audio, if it has any, is silent.
    pub frozen: Option<Micros>,
    /// Its pictures are black.
    pub black: Option<Micros>,
    /// Its audio is silent, or it has none.
    pub silent: Option<Micros>,
    /// Its audio clips.
    pub clipping: Option<Micros>,
    /// So long nothing has to be wrong before it counts as good again.
    pub back_after: Micros,
}

impl InputRules {
    /// Whether its keyframes have to be decoded.
    #[must_use]
    pub const fn needs_pictures(&self) -> bool {
        self.frozen.is_some() || self.black.is_some()
    }

    /// Whether its audio has to be decoded.
    #[must_use]
    pub const fn needs_audio(&self) -> bool {
        self.frozen.is_some() || self.silent.is_some() || self.clipping.is_some()
    }
}

/// What can be wrong with an input. Of several the first one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFault {
    /// Nobody publishes it.
    Lost,
    /// Its publisher is connected and sends nothing.
    Stalled,
    /// Its publisher sends audio and no pictures.
    NoPictures,
    /// It has too few bits per second.
    LowBitrate,
    /// Its pictures are black.
    Black,
    /// Its pictures do not change.
    Frozen,
    /// Its audio is silent.
    Silent,
    /// Its audio clips.
    Clipping,
}

impl InputFault {
    /// Its name in the API and in events.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Stalled => "stalled",
            Self::NoPictures => "no_pictures",
            Self::LowBitrate => "low_bitrate",
            Self::Frozen => "frozen",
            Self::Black => "black",
            Self::Silent => "silent",
            Self::Clipping => "clipping",
        }
    }
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputNews {
    /// Something is wrong, and has been for so long.
    Faulty(InputFault, Micros),
    /// Nothing has been wrong for long enough; how long something was.
    Healthy(Micros),
}

/// The state of an input by what comes of it.
pub struct InputHealth {
    rules: InputRules,
    is_published: bool,
    /// When the last picture and the last audio came, or the stream began or ended.
    picture: Micros,
    audio: Micros,
    /// When it was last not so.
    moved: Micros,
    lit: Micros,
    loud: Micros,
    /// When it began to clip, and when it last did.
    clips: Option<(Micros, Micros)>,
    last: Option<Box<Thumbnail>>,
    /// Bytes of the latest parts of the time that a bitrate is measured over.
    bytes: VecDeque<u64>,
    part_began: Micros,
    /// Since when it is faulty, and by what.
    fault: Option<(InputFault, Micros)>,
    /// Since when nothing is wrong with it, while it counts as faulty.
    good_since: Option<Micros>,
}

impl fmt::Debug for InputHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputHealth").field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl InputHealth {
    /// Of an input that nobody publishes yet.
    #[must_use]
    pub fn new(rules: &InputRules, now: Micros) -> Self {
        Self {
            rules: *rules,
            is_published: false,
            picture: now,
            audio: now,
            moved: now,
            lit: now,
            loud: now,
            clips: None,
            last: None,
            bytes: VecDeque::new(),
            part_began: now,
            fault: None,
            good_since: None,
        }
    }

    /// A message with so many bytes has come: a picture or audio, no header.
    pub fn message(&mut self, is_picture: bool, bytes: usize, now: Micros) {
        if !self.is_published {
            self.begin(now);
        }
        if is_picture {
            self.picture = now;
        } else {
            self.audio = now;
        }
        self.advance(now);
        if let Some(part) = self.bytes.back_mut() {
            *part += bytes as u64;
        }
    }

    /// A picture has been decoded.
    pub fn picture(&mut self, thumbnail: &Thumbnail, now: Micros) {
        let black = thumbnail.iter().filter(|cell| **cell <= BLACK_MAX).count();
        if black * 100 < CELLS * BLACK_PERCENT {
            self.lit = now;
        }
        let differs = |last: &Thumbnail| {
            last.iter().zip(thumbnail).any(|(a, b)| a.abs_diff(*b) >= CHANGE_MIN)
        };
        if self.last.as_deref().is_none_or(differs) {
            self.moved = now;
            self.last = Some(Box::new(*thumbnail));
        }
    }

    /// Audio with this highest sample, of full scale, has been decoded.
    pub fn audio(&mut self, peak: f32, now: Micros) {
        if peak >= SILENCE {
            self.loud = now;
        }
        if peak >= CLIPPING {
            let since = self.clips.filter(|(_, last)| now.since(*last) < CLIPPING_APART);
            self.clips = Some((since.map_or(now, |(since, _)| since), now));
        }
    }

    /// Its publisher has left.
    pub fn left(&mut self, now: Micros) {
        self.is_published = false;
        self.last = None;
        (self.picture, self.audio) = (now, now);
    }

    /// What has changed up to `now`.
    pub fn tick(&mut self, now: Micros) -> Option<InputNews> {
        self.advance(now);
        let found = self.found(now);
        match (self.fault, found) {
            (None, None) => None,
            (None, Some((fault, lasts))) => {
                self.fault = Some((fault, Micros(now.0.saturating_sub(lasts.0))));
                self.good_since = None;
                Some(InputNews::Faulty(fault, lasts))
            }
            (Some(_), Some(_)) => {
                self.good_since = None;
                None
            }
            (Some((_, since)), None) => {
                let good_since = *self.good_since.get_or_insert(now);
                // What counts is what has come since, not the time that nothing has.
                if self.picture.since(good_since) < self.rules.back_after {
                    return None;
                }
                (self.fault, self.good_since) = (None, None);
                Some(InputNews::Healthy(good_since.since(since)))
            }
        }
    }

    /// A publisher begins: what is measured of its content counts from now on.
    fn begin(&mut self, now: Micros) {
        self.is_published = true;
        (self.picture, self.audio) = (now, now);
        (self.moved, self.lit, self.loud) = (now, now, now);
        (self.clips, self.last) = (None, None);
        self.bytes.clear();
        self.part_began = now;
    }

    /// Begins the parts of the time of the bitrate that are due.
    fn advance(&mut self, now: Micros) {
        let Some((_, span)) = self.rules.bitrate else { return };
        let part = Micros((span.0 / BITRATE_PARTS).max(1));
        if self.bytes.is_empty() {
            self.bytes.push_back(0);
        }
        while now.since(self.part_began) >= part && self.is_published {
            self.part_began = self.part_began + part;
            self.bytes.push_back(0);
            if self.bytes.len() as u64 > BITRATE_PARTS + 1 {
                self.bytes.pop_front();
            }
        }
    }

    /// Whether too little has come in the whole time that is measured.
    fn has_low_bitrate(&self) -> bool {
        let Some((least, span)) = self.rules.bitrate else { return false };
        // The newest part is not over.
        let whole = self.bytes.iter().take(self.bytes.len().saturating_sub(1));
        let is_measured = self.bytes.len() as u64 > BITRATE_PARTS;
        let bits = whole.sum::<u64>().saturating_mul(8);
        is_measured && (bits as f64) < least as f64 * span.secs_f64()
    }

    /// What is wrong now, and for how long it has been.
    fn found(&self, now: Micros) -> Option<(InputFault, Micros)> {
        let rules = &self.rules;
        let age = now.since(self.picture);
        if age >= rules.after {
            let fault = match (self.is_published, now.since(self.audio) >= rules.after) {
                (false, _) => InputFault::Lost,
                (true, true) => InputFault::Stalled,
                (true, false) => InputFault::NoPictures,
            };
            return Some((fault, age));
        }
        if !self.is_published {
            return None;
        }
        if self.has_low_bitrate() {
            return Some((InputFault::LowBitrate, rules.bitrate.map_or(age, |(_, span)| span)));
        }
        let still = now.since(self.moved.max(self.loud));
        let clips = self.clips.filter(|(_, last)| now.since(*last) < CLIPPING_APART);
        let clips = clips.map_or(Micros(0), |(since, _)| now.since(since));
        let lasting = [
            (InputFault::Black, now.since(self.lit), rules.black),
            (InputFault::Frozen, still, rules.frozen),
            (InputFault::Silent, now.since(self.loud), rules.silent),
            (InputFault::Clipping, clips, rules.clipping),
        ];
        let is_long = |(_, lasts, limit): &&(_, Micros, Option<Micros>)| {
            limit.is_some_and(|limit| *lasts >= limit)
        };
        lasting.iter().find(is_long).map(|(fault, lasts, _)| (*fault, *lasts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = Micros::from_secs(1);
    const FRAME: Micros = Micros::from_millis(40);

    fn rules() -> InputRules {
        InputRules {
            after: Micros::from_millis(800),
            bitrate: None,
            frozen: None,
            black: None,
            silent: None,
            clipping: None,
            back_after: Micros::from_secs(2),
        }
    }

    fn secs(seconds: u64) -> Option<Micros> {
        Some(Micros::from_secs(seconds))
    }

    /// An input on a simulated clock that has a picture each 40 ms, a keyframe each second and
    /// audio.
    struct Bench {
        health: InputHealth,
        now: Micros,
        /// Brightness of its pictures, and by how much they change each second.
        light: u8,
        change: u8,
        peak: f32,
        bytes: usize,
        has_pictures: bool,
        has_audio: bool,
    }

    impl Bench {
        fn new(rules: &InputRules) -> Self {
            Self {
                health: InputHealth::new(rules, SECOND),
                now: SECOND,
                light: 100,
                change: 3,
                peak: 0.2,
                bytes: 1_000,
                has_pictures: true,
                has_audio: true,
            }
        }

        /// What is told in so many milliseconds, and when.
        fn run(&mut self, millis: u64) -> Vec<(u64, InputNews)> {
            let (end, mut told) = (self.now + Micros::from_millis(millis), Vec::new());
            while self.now < end {
                if self.has_pictures {
                    self.health.message(true, self.bytes, self.now);
                    if self.now.0.is_multiple_of(SECOND.0) {
                        self.light = self.light.wrapping_add(self.change);
                        self.health.picture(&[self.light; CELLS], self.now);
                    }
                }
                if self.has_audio {
                    self.health.message(false, 100, self.now);
                    self.health.audio(self.peak, self.now);
                }
                let news = self.health.tick(self.now);
                told.extend(news.map(|news| (self.now.millis(), news)));
                self.now = self.now + FRAME;
            }
            told
        }

        /// The only fault that is told in so many milliseconds.
        fn fault_in(&mut self, millis: u64) -> InputFault {
            match self.run(millis)[..] {
                [(_, InputNews::Faulty(fault, _))] => fault,
                ref other => panic!("{other:?}"),
            }
        }

        fn is_healthy_in(&mut self, millis: u64) -> bool {
            matches!(self.run(millis)[..], [(_, InputNews::Healthy(_))])
        }
    }

    #[test]
    fn the_age_of_its_last_picture_counts_and_what_is_said_is_where_to_look() {
        let mut bench = Bench::new(&rules());
        assert_eq!(bench.run(5_000), []);
        bench.has_pictures = false;
        let told = bench.run(3_000);
        let (at, InputNews::Faulty(InputFault::NoPictures, _)) = told[0] else {
            panic!("{told:?}")
        };
        assert!((6_760..=6_800).contains(&at), "800 ms after the last picture at 5960: {at}");
        assert_eq!(told.len(), 1);
        bench.has_pictures = true;
        assert!(bench.is_healthy_in(2_200), "good for two seconds");
        (bench.has_pictures, bench.has_audio) = (false, false);
        assert_eq!(bench.fault_in(1_000), InputFault::Stalled);
        bench.health.left(bench.now);
        assert_eq!(bench.run(5_000), [], "one fault is told once, whatever becomes of it");
    }

    #[test]
    fn an_input_that_nobody_publishes_is_lost() {
        let mut bench = Bench::new(&rules());
        (bench.has_pictures, bench.has_audio) = (false, false);
        assert_eq!(bench.fault_in(1_000), InputFault::Lost);
        (bench.has_pictures, bench.has_audio) = (true, true);
        assert!(bench.is_healthy_in(2_200));
        (bench.has_pictures, bench.has_audio) = (false, false);
        bench.health.left(bench.now);
        assert_eq!(bench.fault_in(1_000), InputFault::Lost);
    }

    #[test]
    fn it_is_good_again_only_after_it_has_been_for_long_enough_without_a_break() {
        let mut bench = Bench::new(&rules());
        bench.run(1_000);
        bench.has_pictures = false;
        bench.run(1_000);
        for _ in 0..5 {
            bench.has_pictures = true;
            assert_eq!(bench.run(1_500), [], "not yet good for two seconds");
            bench.has_pictures = false;
            assert_eq!(bench.run(1_000), [], "nothing is told twice");
        }
        bench.has_pictures = true;
        assert!(bench.is_healthy_in(2_200));
    }

    #[test]
    fn a_picture_that_does_not_change_is_frozen_unless_there_is_live_audio() {
        let mut bench = Bench::new(&InputRules { frozen: secs(5), ..rules() });
        assert_eq!(bench.run(10_000), []);
        bench.change = 0;
        assert_eq!(bench.run(86_400_000), [], "a slide that somebody talks over, for a day");
        bench.peak = 0.0;
        let told = bench.run(10_000);
        let (_, InputNews::Faulty(InputFault::Frozen, lasts)) = told[0] else { panic!("{told:?}") };
        assert_eq!((lasts.millis() / 100, told.len()), (50, 1));
        bench.change = 3;
        assert!(bench.is_healthy_in(4_000));
        bench.change = 1;
        assert_eq!(bench.run(20_000), [], "slow light changes cell by cell over time");
    }

    #[test]
    fn black_pictures_silent_audio_and_audio_that_clips_are_faults_after_their_times() {
        let mut bench = Bench::new(&InputRules { black: secs(2), ..rules() });
        (bench.light, bench.change) = (16, 0);
        assert_eq!(bench.fault_in(3_000), InputFault::Black);
        bench.light = 60;
        assert!(bench.is_healthy_in(4_000));

        let mut bench = Bench::new(&InputRules { silent: secs(3), ..rules() });
        bench.peak = 0.000_9;
        assert_eq!(bench.run(2_900), []);
        assert_eq!(bench.fault_in(500), InputFault::Silent);
        bench.peak = 0.01;
        assert!(bench.is_healthy_in(2_500));
        bench.has_audio = false;
        assert_eq!(bench.fault_in(4_000), InputFault::Silent, "audio that is not there");

        let mut bench = Bench::new(&InputRules { clipping: secs(2), ..rules() });
        bench.peak = 1.0;
        assert_eq!(bench.run(1_000), []);
        bench.peak = 0.5;
        assert_eq!(bench.run(2_000), []);
        bench.peak = 1.0;
        assert_eq!(bench.fault_in(2_500), InputFault::Clipping);
        bench.peak = 0.5;
        assert!(bench.is_healthy_in(3_500));
    }

    #[test]
    fn a_bitrate_below_the_least_one_is_a_fault_and_the_beginning_is_not() {
        let bitrate = Some((100_000, Micros::from_secs(5)));
        let mut bench = Bench::new(&InputRules { bitrate, ..rules() });
        assert_eq!(bench.run(20_000), [], "220 kb/s");
        bench.bytes = 100;
        assert_eq!(bench.fault_in(6_000), InputFault::LowBitrate);
        bench.bytes = 1_000;
        assert!(bench.is_healthy_in(8_000));
    }

    #[test]
    fn a_fade_to_black_a_pause_and_a_single_peak_are_normal() {
        let all = InputRules {
            frozen: secs(5),
            black: secs(3),
            silent: secs(10),
            clipping: secs(2),
            ..rules()
        };
        let mut bench = Bench::new(&all);
        for _ in 0..1_000 {
            (bench.light, bench.peak) = (16, 0.0);
            assert_eq!(bench.run(2_000), [], "a cut through black");
            (bench.light, bench.peak) = (90, 1.0);
            assert_eq!(bench.run(400), [], "a bang");
            bench.peak = 0.3;
            assert_eq!(bench.run(2_600), []);
        }
    }
}
