//! File decoder: a video or audio file, played once or over and over.

mod join;
mod reader;
mod spec;
mod track;

use std::path::Path;

use self::reader::Reader;
pub use self::spec::FileSpec;
use self::spec::Follow;
use self::track::{State, Track, Verdict};

use super::alpha::Alpha;
use super::av::{Received, Setup};
use super::convert::{Converter, convert_further};
use super::demux::{Demuxer, Which};
use super::error::{Error, Fault};
use super::resampler::AudioResampler;
use super::{Counters, DecodeSink};
use crate::frame::PictureEvent;
use crate::media::{Micros, Orientation};

/// Packets of one kind read ahead while the other kind is looked for. A file that needs more is
/// interleaved so badly that the kind at hand is decoded first.
const AHEAD_PACKETS_MAX: usize = 512;

/// Packets read in one step.
const READS_PER_STEP: usize = 64;

/// Most pixels of a picture in a file: 8192 x 8192.
const PIXELS_MAX: i64 = 8_192 * 8_192;

/// Failures in a row after which a file is given up.
const FAILURES_MAX: u32 = 1_000;

/// Samples of luma a second up to which one thread decodes pictures, which is 720p at 60 a second:
/// more threads would wait for each other, and hand pictures from one core's cache to another's.
const ONE_THREAD_SAMPLES_MAX: i64 = 1_280 * 720 * 60;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Some progress, and at most one picture or one block of audio: call again.
    More,
    /// A picture waits because every frame of the pool is in use: call again in a moment.
    Full,
    /// What comes first is decoded and waits for its time: see [`File::start_at`].
    Ready,
    /// The file has been played; there is nothing more.
    Ended,
}

/// A file being decoded, step by step, whenever its caller has room for more.
///
/// The kind that is behind is decoded first, however the file is interleaved, so that a caller who
/// stops at a full queue of one kind never starves the other.
#[derive(Debug)]
pub struct File {
    reader: Reader,
    tracks: [Option<Track>; 2],
    pictures: Converter,
    further: Vec<Converter>,
    resampler: AudioResampler,
    follow: Follow,
    phase: Phase,
    /// What of the file is played: from and to, microseconds of the file.
    range: (i64, i64),
    /// What of the file is due at `base`: where this round began, microseconds of the file.
    origin: i64,
    /// When that is, microseconds on the node's clock.
    base: i64,
    /// It has no time yet: nothing is handed on.
    waits: bool,
    /// This round began at the in point, and not by a seek.
    is_whole: bool,
    /// No picture is due before this, microseconds on the node's clock.
    not_before: i64,
    /// When what follows is due, once it has ended.
    join: i64,
    failures: u32,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The file has been read to its end; decoders still hold some of it.
    Read,
    /// All was handed on and nothing follows.
    Ended,
}

const PICTURES: usize = 0;
const AUDIO: usize = 1;

impl File {
    /// Opens a file of any container and codec that the FFmpeg libraries read.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing, unreadable or unknown; [`Error::Empty`] if it has nothing
    /// of what is wanted.
    pub fn open(path: &Path, spec: FileSpec) -> Result<Self, Error> {
        let failed = |cause| Error::File { path: path.to_owned(), cause };
        // The libraries open addresses as well, and to open a pipe would wait for its writer.
        match std::fs::metadata(path) {
            Ok(about) if about.is_file() => {}
            Ok(about) if about.is_dir() => return Err(failed(Fault(-libc::EISDIR))),
            Ok(_) => return Err(failed(Fault::INVALID)),
            Err(error) => {
                let number = error.raw_os_error().unwrap_or(libc::ENOENT);
                return Err(failed(Fault(-number)));
            }
        }
        let demuxer = Demuxer::open(path).map_err(failed)?;
        let is_small = demuxer
            .best(Which::Pictures)
            .and_then(|index| demuxer.samples_per_second(index))
            .is_some_and(|samples| samples <= ONE_THREAD_SAMPLES_MAX);
        let setup = Setup {
            threads: if is_small { 1 } else { spec.threads },
            slices_only: false,
            low_delay: false,
            pixels_max: PIXELS_MAX,
            keeps_alpha: spec.keeps_alpha,
        };
        let (base, follow) = (i64::try_from(spec.start.0).unwrap_or(0), Follow::of(&spec));
        let mut tracks = [None, None];
        for (slot, which, wanted) in [
            (PICTURES, Which::Pictures, spec.want_pictures),
            (AUDIO, Which::Audio, spec.want_audio),
        ] {
            if let Some(index) = demuxer.best(which).filter(|_| wanted) {
                tracks[slot] =
                    Some(Track::open(&demuxer, (index, which), setup, base).map_err(failed)?);
            }
        }
        if tracks.iter().all(Option::is_none) {
            return Err(Error::Empty { path: path.to_owned() });
        }
        let (queue, micros) = (spec.queue, |at: Micros| i64::try_from(at.0).unwrap_or(i64::MAX));
        let range = (micros(spec.in_point), spec.out_point.map_or(i64::MAX, micros));
        let index = tracks[PICTURES].as_ref().map(|track: &Track| track.index);
        let own = index.map_or(Orientation::UPRIGHT, |index| demuxer.orientation(index));
        let pictures = Converter::new(spec.scale, spec.format, Box::new(move |_| queue))
            .keeping(spec.keeps_alpha.then_some(Alpha::Straight))
            .oriented(own.then(spec.orientation));
        let mut file = Self {
            reader: Reader::new(path, demuxer, setup),
            tracks,
            further: pictures.each(spec.further, queue),
            pictures,
            resampler: AudioResampler::new(false),
            follow,
            phase: Phase::Reading,
            range,
            origin: 0,
            base,
            waits: false,
            is_whole: true,
            not_before: 0,
            join: base,
            failures: 0,
            counters: Counters::default(),
        };
        if range.0 > 0 {
            file.go_to(range.0, base).map_err(failed)?;
        }
        Ok(file)
    }

    /// Decodes a bit and hands on at most one picture or one block of audio. The caller paces it:
    /// it calls when its reader has room for one more of each.
    ///
    /// # Errors
    /// If the file turns out to be unplayable ([`Error::File`], [`Error::Empty`],
    /// [`Error::InPoint`]) or memory is short; the file is then of no more use.
    pub fn step(&mut self, out: &mut dyn DecodeSink) -> Result<Step, Error> {
        if self.phase == Phase::Ended {
            return Ok(Step::Ended);
        }
        if let Some(block) = self.resampler.pop(false) {
            out.audio(block);
            self.counters.blocks += 1;
            return Ok(Step::More);
        }
        let Some(kind) = self.next_kind() else { return self.round(out) };
        match self.advance(kind, out) {
            Ok(step) => Ok(step),
            Err(Problem::Damage(cause)) => {
                self.counters.damaged += 1;
                self.failures += 1;
                if self.failures > FAILURES_MAX {
                    return Err(Error::File { path: self.reader.path().to_owned(), cause });
                }
                Ok(Step::More)
            }
            Err(Problem::Fatal(error)) => Err(error),
        }
    }

    /// Goes to a position of the file, within its in and out points. From then on steps decode up
    /// to what is seen or heard there first, and hand nothing on until [`File::start_at`].
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read any more.
    pub fn seek(&mut self, position: Micros) -> Result<(), Error> {
        let (from, to) = self.range;
        let position = i64::try_from(position.0).unwrap_or(i64::MAX).min(to).max(from);
        self.resampler.reset();
        (self.waits, self.is_whole) = (true, position == from);
        let gone = self.go_to(position, self.base);
        gone.map_err(|cause| Error::File { path: self.reader.path().to_owned(), cause })
    }

    /// Has steps hand nothing on until [`File::start_at`], and come to [`Step::Ready`].
    pub const fn wait(&mut self) {
        self.waits = true;
    }

    /// What comes next is due at this time on the node's clock.
    pub fn start_at(&mut self, at: Micros) {
        self.base = i64::try_from(at.0).unwrap_or(0);
        (self.waits, self.not_before) = (false, self.base);
        for track in self.tracks.iter_mut().flatten() {
            track.position = self.base;
        }
    }

    /// Where in the file this round began, and when that is due on the node's clock.
    #[must_use]
    pub fn round_start(&self) -> (Micros, Micros) {
        (micros(self.origin), micros(self.base))
    }

    /// When what has been handed on so far is over, on the node's clock.
    #[must_use]
    pub fn handed_until(&self) -> Micros {
        let tracks = self.tracks.iter().flatten().map(|track| track.position);
        micros(tracks.max().unwrap_or(self.base))
    }

    /// How long the file is, if it says so.
    #[must_use]
    pub fn duration(&self) -> Option<Micros> {
        self.reader.duration().map(micros)
    }

    /// Whether the file has pictures.
    #[must_use]
    pub const fn has_pictures(&self) -> bool {
        self.tracks[PICTURES].is_some()
    }

    /// Whether the file has audio that is decoded.
    #[must_use]
    pub const fn has_audio(&self) -> bool {
        self.tracks[AUDIO].is_some()
    }

    /// What was done since it was opened.
    #[cfg(test)]
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The kind that is behind, of those not at their end. A kind whose packets are too far away
    /// in the file waits. While it has no time, one of which nothing is decoded, pictures first.
    fn next_kind(&self) -> Option<usize> {
        let crowded = |kind: usize| {
            let other = self.tracks[1 - kind].as_ref();
            other.is_some_and(|other| other.queue.len() >= AHEAD_PACKETS_MAX)
        };
        let running = |kind: &usize| {
            self.tracks[*kind].as_ref().is_some_and(|track| track.state != State::Done)
        };
        let running = [PICTURES, AUDIO].into_iter().filter(running);
        if self.waits {
            let state = |kind: usize| self.tracks[kind].as_ref().map(|track| track.state);
            let kinds: Vec<_> = running.collect();
            let is_left = |kind: &&usize| state(**kind) != Some(State::Holding) && !crowded(**kind);
            return kinds.iter().find(is_left).or_else(|| kinds.first()).copied();
        }
        running.min_by_key(|kind| {
            self.tracks[*kind].as_ref().map(|track| {
                let starving = track.state == State::Running && track.queue.is_empty();
                (starving && crowded(*kind), track.position)
            })
        })
    }

    fn advance(&mut self, kind: usize, out: &mut dyn DecodeSink) -> Result<Step, Problem> {
        // Of both kinds, pictures say whether a point was met: they have the keyframes.
        let says = kind == PICTURES || self.tracks[PICTURES].is_none();
        let may_miss = says && self.reader.may_approach_anew();
        let Some(track) = &mut self.tracks[kind] else { return Ok(Step::More) };
        if track.state == State::Holding {
            return if self.waits { Ok(Step::Ready) } else { self.hand_on(kind, out) };
        }
        match track.decoder.receive().map_err(Problem::Damage)? {
            Received::Frame => {
                self.failures = 0;
                let range = (self.origin, self.range.1);
                let verdict = track.judge(self.reader.start(), range, may_miss);
                match verdict {
                    Verdict::Wanted => track.state = State::Holding,
                    Verdict::Early => {}
                    Verdict::Late => track.state = State::Done,
                    Verdict::Missed => {
                        let gone = self.reader.approach_anew(self.origin);
                        gone.and_then(|gone| self.begin(gone, self.base))
                            .map_err(Problem::Damage)?;
                    }
                }
                if verdict == Verdict::Wanted && !self.waits && !self.holds_back(kind) {
                    return self.hand_on(kind, out);
                }
            }
            Received::End => track.state = State::Done,
            Received::Hungry if track.state == State::Draining => track.state = State::Done,
            Received::Hungry => self.feed(kind).map_err(Problem::Damage)?,
        }
        Ok(Step::More)
    }

    /// Hands on the decoded frame of a kind.
    fn hand_on(&mut self, kind: usize, out: &mut dyn DecodeSink) -> Result<Step, Problem> {
        let until = match kind {
            AUDIO => self.audio_until(),
            _ => self.clock_of(self.range.1),
        };
        let Some(track) = &mut self.tracks[kind] else { return Ok(Step::More) };
        let frame = track.decoder.frame();
        let at = match track.time {
            Some(time) => self.base.saturating_add(time.saturating_sub(self.origin)),
            None => track.position,
        };
        if kind == AUDIO {
            track.state = State::Running;
            let from = if self.origin > 0 { self.base } else { i64::MIN };
            self.resampler.push(frame, at, from..until).map_err(Problem::Damage)?;
            track.position = self.resampler.end().unwrap_or(at);
            return Ok(Step::More);
        }
        let converted = self.pictures.convert(&track.decoder);
        let frame = match converted {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(Step::Full),
            Err(Error::Decoder(cause)) => {
                track.state = State::Running;
                return Err(Problem::Damage(cause));
            }
            Err(error) => return Err(Problem::Fatal(error)),
        };
        track.state = State::Running;
        track.position = at.saturating_add(track.duration).min(until);
        self.counters.pictures += 1;
        // Of what stands at the point already the rest is seen.
        let at = if self.origin > 0 { at.max(self.base) } else { at };
        let at = micros(at.max(self.not_before));
        out.picture(PictureEvent::Picture { frame, at });
        convert_further(&mut self.further, (&track.decoder, at), out);
        Ok(Step::More)
    }

    /// When something of the file is due in this round, microseconds on the node's clock.
    const fn clock_of(&self, time: i64) -> i64 {
        self.base.saturating_add(time.saturating_sub(self.origin))
    }

    /// Sends the next packet of a kind to its decoder, reading ahead to find one.
    fn feed(&mut self, kind: usize) -> Result<(), Fault> {
        for _ in 0..READS_PER_STEP {
            let Some(track) = &mut self.tracks[kind] else { return Ok(()) };
            if let Some(mut packet) = track.queue.pop_front() {
                return track.decoder.send(Some(&mut packet));
            }
            if self.phase == Phase::Read {
                track.state = State::Draining;
                return track.decoder.send(None);
            }
            self.read_one();
        }
        Ok(())
    }

    /// Reads a packet, for the track that it belongs to.
    fn read_one(&mut self) {
        match self.reader.read() {
            Ok(Some(packet)) => {
                let (start, mut tracks) = (self.reader.start(), self.tracks.iter_mut());
                let is_its = |it: &&mut Track| Some(it.index) == packet.stream();
                if let Some(track) = tracks.by_ref().flatten().find(is_its) {
                    track.take(packet, start, self.origin);
                }
            }
            Ok(None) => self.phase = Phase::Read,
            Err(_damage) => {
                // What cannot be read any more is the end of the file.
                self.counters.damaged += 1;
                self.phase = Phase::Read;
            }
        }
    }

    /// Everything was decoded: begins again, or ends.
    fn round(&mut self, out: &mut dyn DecodeSink) -> Result<Step, Error> {
        self.finish_audio();
        let pictures = self.tracks[PICTURES].as_ref().map_or(i64::MIN, |track| {
            let end = track.packets_end.saturating_sub(self.reader.start());
            track.position.max(self.clock_of(end))
        });
        let end = pictures.max(self.resampler.end().unwrap_or(i64::MIN));
        let end = end.min(self.clock_of(self.range.1));
        if end <= self.base && self.is_whole {
            let path = self.reader.path().to_owned();
            let is_beyond = self.range.0 > 0;
            return Err(if is_beyond { Error::InPoint { path } } else { Error::Empty { path } });
        }
        let end = end.max(self.base);
        if self.follow != Follow::Itself {
            self.join = self.join_of(pictures, end);
            while let Some(block) = self.resampler.pop(true) {
                out.audio(block);
                self.counters.blocks += 1;
            }
            self.tracks.iter_mut().flatten().for_each(|track| track.position = end);
            self.phase = Phase::Ended;
            out.picture(PictureEvent::Ended);
            return Ok(Step::Ended);
        }
        self.resampler.seam(end);
        self.base = end;
        self.counters.loops += 1;
        self.again(end)
            .map_err(|cause| Error::File { path: self.reader.path().to_owned(), cause })?;
        Ok(Step::More)
    }

    /// Begins another round at `at`. If the last one missed something that the first one had, the
    /// file is opened anew from now on.
    fn again(&mut self, at: i64) -> Result<(), Fault> {
        if self.is_whole {
            for track in self.tracks.iter_mut().flatten() {
                if track.frames_first.is_some_and(|n| track.frames < n) {
                    self.reader.distrust();
                }
                track.frames_first = track.frames_first.or(Some(track.frames));
            }
        }
        self.is_whole = true;
        self.go_to(self.range.0, at)
    }

    /// Goes to this point of the file, which is due at `at`.
    fn go_to(&mut self, point: i64, at: i64) -> Result<(), Fault> {
        self.origin = point;
        let gone = self.reader.go_to(point)?;
        self.begin(gone, at)
    }

    /// Begins a round at `at`, with the decoders that there are or with others.
    fn begin(&mut self, keeps_decoders: bool, at: i64) -> Result<(), Fault> {
        self.phase = Phase::Reading;
        for track in self.tracks.iter_mut().flatten() {
            if keeps_decoders {
                track.decoder.flush();
            } else {
                track.decoder = self.reader.decoder(track.index)?;
            }
            track.begin(at);
        }
        Ok(())
    }
}

/// Times before the node's clock began are its beginning.
fn micros(time: i64) -> Micros {
    Micros(u64::try_from(time).unwrap_or(0))
}

/// Why a step went wrong.
enum Problem {
    /// Something in the file: counted, and on with what follows.
    Damage(Fault),
    /// Nothing more can be done.
    Fatal(Error),
}

#[cfg(test)]
mod tests;
