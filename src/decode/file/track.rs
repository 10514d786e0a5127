//! Track of a file: its decoder, the packets that wait for it, and how far it is.

use std::collections::VecDeque;

use crate::decode::av::{Decoder, Packet, Setup};
use crate::decode::demux::{Demuxer, Units, Which};
use crate::decode::error::Fault;

/// What times of containers are rounded to, microseconds: a picture that goes on for no longer than
/// that behind a point is not seen there.
const ROUNDING_MICROS: i64 = 1_000;

/// How much audio before a point is decoded, microseconds: codecs need something to begin with.
const AUDIO_PREROLL_MICROS: i64 = 200_000;

/// Shown for this long if the file does not say, microseconds: 25 pictures per second.
const PICTURE_MICROS: i64 = 40_000;

/// One stream of the file.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) index: usize,
    is_audio: bool,
    pub(super) decoder: Decoder,
    pub(super) units: Units,
    pub(super) queue: VecDeque<Packet>,
    /// When the next frame is due, microseconds on the node's clock.
    pub(super) position: i64,
    /// Where in the file the decoded frame is, microseconds, if it says so.
    pub(super) time: Option<i64>,
    /// End of the packets so far, in file time.
    pub(super) packets_end: i64,
    /// Microseconds a picture lasts.
    pub(super) duration: i64,
    /// Frames of this round, and of the first.
    pub(super) frames: u64,
    pub(super) frames_first: Option<u64>,
    pub(super) state: State,
}

/// How far a track is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// A frame is decoded and waits to be handed on.
    Holding,
    /// Everything was sent to the decoder.
    Draining,
    Done,
}

/// What becomes of a decoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is over before the point where the round begins.
    Early,
    Wanted,
    /// It comes after the out point.
    Late,
    /// The first one is behind the point.
    Missed,
}

impl Track {
    /// A stream of a file whose first round begins at `at`.
    pub(super) fn open(
        demuxer: &Demuxer,
        (index, which): (usize, Which),
        setup: Setup,
        at: i64,
    ) -> Result<Self, Fault> {
        Ok(Self {
            index,
            decoder: demuxer.decoder(index, setup)?,
            units: demuxer.units(index),
            queue: VecDeque::new(),
            is_audio: which == Which::Audio,
            position: at,
            time: None,
            packets_end: i64::MIN,
            duration: demuxer.picture_micros(index).unwrap_or(PICTURE_MICROS),
            frames: 0,
            frames_first: None,
            state: State::Running,
        })
    }

    /// Is ready for another round that begins at `at`.
    pub(super) fn begin(&mut self, at: i64) {
        self.queue.clear();
        self.position = at;
        self.packets_end = i64::MIN;
        self.frames = 0;
        self.state = State::Running;
    }

    /// Takes a packet of the stream, which is one of a file that begins at `start`, unless it is
    /// over well before the round does, at `origin`.
    pub(super) fn take(&mut self, packet: Packet, start: i64, origin: i64) {
        let end = packet.end().map_or(i64::MIN, |end| self.units.micros(end));
        self.packets_end = self.packets_end.max(end);
        // Between a keyframe and the point behind it there may be much audio.
        let needed = start.saturating_add(origin - AUDIO_PREROLL_MICROS);
        let is_over = self.is_audio && origin > 0 && packet.end().is_some() && end < needed;
        if self.state != State::Done && !is_over {
            self.queue.push_back(packet);
        }
    }

    /// What becomes of the frame that was decoded last, in a file that begins at `start`, in a
    /// round from `origin` to `until`. Where it `may_miss`, the first one says whether `origin` was
    /// met.
    pub(super) fn judge(
        &mut self,
        start: i64,
        (origin, until): (i64, i64),
        may_miss: bool,
    ) -> Verdict {
        let (frame, units) = (self.decoder.frame(), self.units);
        self.time = frame.time().map(|time| units.micros(time).saturating_sub(start));
        let is_first = self.frames == 0;
        self.frames += 1;
        let Some(time) = self.time else { return Verdict::Wanted };
        if time.saturating_add(ROUNDING_MICROS) > until {
            return Verdict::Late;
        }
        if origin <= 0 {
            return Verdict::Wanted;
        }
        let length = match self.is_audio {
            true => frame.audio_micros(),
            false => frame.duration().map_or(self.duration, |length| units.micros(length)),
        };
        let point = origin.saturating_add(ROUNDING_MICROS);
        if time.saturating_add(length) <= point {
            return Verdict::Early;
        }
        if may_miss && is_first && time > point { Verdict::Missed } else { Verdict::Wanted }
    }
}
