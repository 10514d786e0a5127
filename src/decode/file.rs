//! File decoder: a video or audio file, played once or over and over.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::alpha::Alpha;
use super::av::{Decoder, Packet, Received, Setup};
use super::convert::{Converter, convert_further};
use super::demux::{Demuxer, Units, Which};
use super::error::{Error, Fault};
use super::resampler::AudioResampler;
use super::{Counters, DecodeSink, QUEUE_PICTURES, Scale};
use crate::frame::PictureEvent;
use crate::media::{Micros, PixelFormat, Size};

/// Packets of one kind read ahead while the other kind is looked for. A file that needs more is
/// interleaved so badly that the kind at hand is decoded first.
const AHEAD_PACKETS_MAX: usize = 512;

/// Packets read in one step.
const READS_PER_STEP: usize = 64;

/// Most pixels of a picture in a file: 8192 x 8192.
const PIXELS_MAX: i64 = 8_192 * 8_192;

/// Failures in a row after which a file is given up.
const FAILURES_MAX: u32 = 1_000;

/// Shown for this long if the file does not say, microseconds: 25 pictures per second.
const PICTURE_MICROS: i64 = 40_000;

/// Samples of luma a second up to which one thread decodes pictures, which is 720p at 60 a second:
/// more threads would wait for each other, and hand pictures from one core's cache to another's.
const ONE_THREAD_SAMPLES_MAX: i64 = 1_280 * 720 * 60;

/// How to play a file.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice by itself")]
pub struct FileSpec {
    /// Size of its pictures on the canvas.
    pub scale: Scale,
    /// Further sizes that they are made at, each for a reader of its own that nobody waits for.
    pub further: Vec<Scale>,
    /// Format of the canvas.
    pub format: PixelFormat,
    /// When its first picture is due, on the node's clock.
    pub start: Micros,
    /// Whether it begins again at its end.
    pub looped: bool,
    /// Whether its pictures are decoded.
    pub want_pictures: bool,
    /// Whether its audio is decoded.
    pub want_audio: bool,
    /// Threads its decoder may use, at least 1; one is enough for small pictures.
    pub threads: u32,
    /// Pictures that may wait for their reader.
    pub queue: u32,
    /// Whether pictures with alpha keep it: below their colours, which are multiplied by it, in
    /// frames twice as high. For an I420 canvas up to 4096 pixels high.
    pub keeps_alpha: bool,
}

impl FileSpec {
    /// Looped, with pictures and audio, on one thread, for an I420 canvas.
    #[must_use]
    pub fn new(scale: Scale, start: Micros) -> Self {
        Self {
            scale,
            further: Vec::new(),
            format: PixelFormat::I420,
            start,
            looped: true,
            want_pictures: true,
            want_audio: true,
            threads: 1,
            queue: QUEUE_PICTURES,
            keeps_alpha: false,
        }
    }
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Some progress, and at most one picture or one block of audio: call again.
    More,
    /// A picture waits because every frame of the pool is in use: call again in a moment.
    Full,
    /// The file has been played; there is nothing more.
    Ended,
}

/// A file being decoded, step by step, whenever its caller has room for more.
///
/// The kind that is behind is decoded first, however the file is interleaved, so that a caller who
/// stops at a full queue of one kind never starves the other.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    demuxer: Demuxer,
    tracks: [Option<Track>; 2],
    pictures: Converter,
    further: Vec<Converter>,
    resampler: AudioResampler,
    setup: Setup,
    looped: bool,
    phase: Phase,
    /// Time of the file's start in this round, microseconds on the node's clock.
    base: i64,
    /// Whether going back to the beginning works, so that the file need not be opened anew.
    rewinds: bool,
    failures: u32,
    counters: Counters,
}

/// One stream of the file.
#[derive(Debug)]
struct Track {
    index: usize,
    decoder: Decoder,
    units: Units,
    queue: VecDeque<Packet>,
    /// When the next frame is due, microseconds on the node's clock.
    position: i64,
    /// End of the packets so far, in file time.
    packets_end: i64,
    /// Microseconds a picture lasts.
    duration: i64,
    /// Frames of this round, and of the first.
    frames: u64,
    frames_first: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The file has been read to its end; decoders still hold some of it.
    Read,
    /// All was handed on and nothing follows.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// A frame is decoded and waits to be handed on.
    Holding,
    /// Everything was sent to the decoder.
    Draining,
    Done,
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
        let base = i64::try_from(spec.start.0).unwrap_or(0);
        let mut tracks = [None, None];
        for (slot, which, wanted) in [
            (PICTURES, Which::Pictures, spec.want_pictures),
            (AUDIO, Which::Audio, spec.want_audio),
        ] {
            if let Some(index) = demuxer.best(which).filter(|_| wanted) {
                tracks[slot] = Some(Track::open(&demuxer, index, setup, base).map_err(failed)?);
            }
        }
        if tracks.iter().all(Option::is_none) {
            return Err(Error::Empty { path: path.to_owned() });
        }
        let queue = spec.queue;
        Ok(Self {
            path: path.to_owned(),
            rewinds: demuxer.can_rewind(),
            demuxer,
            tracks,
            pictures: Converter::new(spec.scale, spec.format, Box::new(move |_| queue))
                .keeping(spec.keeps_alpha.then_some(Alpha::Straight)),
            further: Converter::each(spec.further, spec.format, queue),
            resampler: AudioResampler::new(false),
            setup,
            looped: spec.looped,
            phase: Phase::Reading,
            base,
            failures: 0,
            counters: Counters::default(),
        })
    }

    /// Decodes a bit and hands on at most one picture or one block of audio. The caller paces it:
    /// it calls when its reader has room for one more of each.
    ///
    /// # Errors
    /// If the file turns out to be unplayable ([`Error::File`], [`Error::Empty`]) or memory is
    /// short; the file is then of no more use.
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
                    return Err(Error::File { path: self.path.clone(), cause });
                }
                Ok(Step::More)
            }
            Err(Problem::Fatal(error)) => Err(error),
        }
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
    /// in the file waits.
    fn next_kind(&self) -> Option<usize> {
        let crowded = |kind: usize| {
            let other = self.tracks[1 - kind].as_ref();
            other.is_some_and(|other| other.queue.len() >= AHEAD_PACKETS_MAX)
        };
        let running = |kind: &usize| {
            self.tracks[*kind].as_ref().is_some_and(|track| track.state != State::Done)
        };
        [PICTURES, AUDIO].into_iter().filter(running).min_by_key(|kind| {
            self.tracks[*kind].as_ref().map(|track| {
                let starving = track.state == State::Running && track.queue.is_empty();
                (starving && crowded(*kind), track.position)
            })
        })
    }

    fn advance(&mut self, kind: usize, out: &mut dyn DecodeSink) -> Result<Step, Problem> {
        let Some(track) = &mut self.tracks[kind] else { return Ok(Step::More) };
        if track.state == State::Holding {
            return self.hand_on(kind, out);
        }
        match track.decoder.receive().map_err(Problem::Damage)? {
            Received::Frame => {
                track.state = State::Holding;
                track.frames += 1;
                self.failures = 0;
                return self.hand_on(kind, out);
            }
            Received::End => track.state = State::Done,
            Received::Hungry if track.state == State::Draining => track.state = State::Done,
            Received::Hungry => self.feed(kind).map_err(Problem::Damage)?,
        }
        Ok(Step::More)
    }

    /// Hands on the decoded frame of a kind.
    fn hand_on(&mut self, kind: usize, out: &mut dyn DecodeSink) -> Result<Step, Problem> {
        let start = self.demuxer.start();
        let Some(track) = &mut self.tracks[kind] else { return Ok(Step::More) };
        let frame = track.decoder.frame();
        let at = match frame.time() {
            Some(time) => self.base.saturating_add(track.units.micros(time).saturating_sub(start)),
            None => track.position,
        };
        if kind == AUDIO {
            track.state = State::Running;
            self.resampler.push(frame, at).map_err(Problem::Damage)?;
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
        track.position = at.saturating_add(track.duration);
        self.counters.pictures += 1;
        let at = Micros(u64::try_from(at).unwrap_or(0));
        out.picture(PictureEvent::Picture { frame, at });
        convert_further(&mut self.further, (&track.decoder, at), out);
        Ok(Step::More)
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
            match self.demuxer.read() {
                Ok(Some(packet)) => self.sort(packet),
                Ok(None) => self.phase = Phase::Read,
                Err(_damage) => {
                    // What cannot be read any more is the end of the file.
                    self.counters.damaged += 1;
                    self.phase = Phase::Read;
                }
            }
        }
        Ok(())
    }

    fn sort(&mut self, packet: Packet) {
        let mut tracks = self.tracks.iter_mut().flatten();
        if let Some(track) = tracks.find(|track| Some(track.index) == packet.stream()) {
            let end = packet.end().map_or(i64::MIN, |end| track.units.micros(end));
            track.packets_end = track.packets_end.max(end);
            track.queue.push_back(packet);
        }
    }

    /// Everything was decoded: begins again, or ends.
    fn round(&mut self, out: &mut dyn DecodeSink) -> Result<Step, Error> {
        let pictures = self.tracks[PICTURES].as_ref().map_or(i64::MIN, |track| {
            let end = track.packets_end.saturating_sub(self.demuxer.start());
            track.position.max(self.base.saturating_add(end))
        });
        let end = pictures.max(self.resampler.end().unwrap_or(i64::MIN));
        if end <= self.base {
            return Err(Error::Empty { path: self.path.clone() });
        }
        if !self.looped {
            while let Some(block) = self.resampler.pop(true) {
                out.audio(block);
                self.counters.blocks += 1;
            }
            self.phase = Phase::Ended;
            out.picture(PictureEvent::Ended);
            return Ok(Step::Ended);
        }
        self.resampler.seam(end);
        self.base = end;
        self.phase = Phase::Reading;
        self.counters.loops += 1;
        self.again(end).map_err(|cause| Error::File { path: self.path.clone(), cause })?;
        Ok(Step::More)
    }

    /// Begins another round at `at`. If the last one missed something that the first one had, the
    /// file is opened anew from now on.
    fn again(&mut self, at: i64) -> Result<(), Fault> {
        let complete = |track: &Track| track.frames_first.is_none_or(|n| track.frames >= n);
        self.rewinds &= self.tracks.iter().flatten().all(complete);
        let rewound = self.rewinds && self.demuxer.rewind().is_ok();
        if !rewound {
            self.demuxer = Demuxer::open(&self.path)?;
        }
        for track in self.tracks.iter_mut().flatten() {
            if rewound {
                track.decoder.flush();
            } else {
                track.decoder = self.demuxer.decoder(track.index, self.setup)?;
            }
            track.begin(at);
        }
        Ok(())
    }
}

impl Track {
    fn open(demuxer: &Demuxer, index: usize, setup: Setup, at: i64) -> Result<Self, Fault> {
        Ok(Self {
            index,
            decoder: demuxer.decoder(index, setup)?,
            units: demuxer.units(index),
            queue: VecDeque::new(),
            position: at,
            packets_end: i64::MIN,
            duration: demuxer.picture_micros(index).unwrap_or(PICTURE_MICROS),
            frames: 0,
            frames_first: None,
            state: State::Running,
        })
    }

    /// Is ready for another round that begins at `at`.
    fn begin(&mut self, at: i64) {
        self.queue.clear();
        self.position = at;
        self.packets_end = i64::MIN;
        self.frames_first = self.frames_first.or(Some(self.frames));
        self.frames = 0;
        self.state = State::Running;
    }
}

/// Why a step went wrong.
enum Problem {
    /// Something in the file: counted, and on with what follows.
    Damage(Fault),
    /// Nothing more can be done.
    Fatal(Error),
}

impl std::fmt::Debug for FileSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, looped, want_audio, threads, .. } = self;
        write!(f, "FileSpec({start:?}, loop {looped}, audio {want_audio}, {threads} threads)")
    }
}

/// The size itself: for files that are shown as they are.
impl Default for FileSpec {
    fn default() -> Self {
        Self::new(Box::new(|size: Size| size), Micros(0))
    }
}
