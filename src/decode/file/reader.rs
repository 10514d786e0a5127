//! File reader: the packets of a file, from whatever point of it is wanted.

use std::path::{Path, PathBuf};

use crate::decode::av::{Decoder, Packet, Setup};
use crate::decode::demux::Demuxer;
use crate::decode::error::Fault;

/// How far before a point a format is searched that only guesses where a time is, microseconds.
const GUESS_MICROS: i64 = 10_000_000;

/// How a point of the file was gone to. If what comes first is behind it, the next one is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approach {
    /// To the keyframe before it, as the file's index says.
    Keyframe,
    /// To a time well before it.
    Guess,
    /// From the beginning.
    Beginning,
}

/// A file that is read again and again.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    demuxer: Demuxer,
    setup: Setup,
    approach: Approach,
    /// Whether going to keyframes works, so that the file need not be opened anew.
    rewinds: bool,
}

impl Reader {
    /// A file that has just been opened, and how its decoders are.
    pub(super) fn new(path: &Path, demuxer: Demuxer, setup: Setup) -> Self {
        let (path, rewinds) = (path.to_owned(), demuxer.can_rewind());
        Self { path, demuxer, setup, approach: Approach::Beginning, rewinds }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The time at which the file begins, microseconds.
    pub(super) fn start(&self) -> i64 {
        self.demuxer.start()
    }

    /// How long the file is, microseconds, if it says so.
    pub(super) fn duration(&self) -> Option<i64> {
        self.demuxer.duration()
    }

    /// The next packet, or `None` at the end of the file.
    pub(super) fn read(&mut self) -> Result<Option<Packet>, Fault> {
        self.demuxer.read()
    }

    /// Another decoder of a stream.
    pub(super) fn decoder(&self, index: usize) -> Result<Decoder, Fault> {
        self.demuxer.decoder(index, self.setup)
    }

    /// Something was missed that was there the first time: the file is opened anew from now on.
    pub(super) const fn distrust(&mut self) {
        self.rewinds = false;
    }

    /// Goes to this point of the file, microseconds after its start, or before it. Whether decoders
    /// can go on; otherwise there have to be others.
    pub(super) fn go_to(&mut self, point: i64) -> Result<bool, Fault> {
        let approach = match (self.rewinds, point > 0) {
            (true, _) => Approach::Keyframe,
            (false, true) => Approach::Guess,
            (false, false) => Approach::Beginning,
        };
        self.approach_by(approach, point)
    }

    /// Goes there by the next of the ways there are: what came first was behind it.
    pub(super) fn approach_anew(&mut self, point: i64) -> Result<bool, Fault> {
        let next = match self.approach {
            Approach::Keyframe => Approach::Guess,
            Approach::Guess | Approach::Beginning => Approach::Beginning,
        };
        self.approach_by(next, point)
    }

    /// Whether there is another way.
    pub(super) fn may_approach_anew(&self) -> bool {
        self.approach != Approach::Beginning
    }

    fn approach_by(&mut self, approach: Approach, point: i64) -> Result<bool, Fault> {
        let gone = match approach {
            Approach::Keyframe => self.demuxer.seek(point).is_ok(),
            Approach::Guess => self.demuxer.seek((point - GUESS_MICROS).max(0)).is_ok(),
            Approach::Beginning => false,
        };
        self.approach = if gone { approach } else { Approach::Beginning };
        if !gone {
            self.demuxer = Demuxer::open(&self.path)?;
        }
        Ok(gone)
    }
}
