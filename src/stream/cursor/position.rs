//! Position of a reader in a log: the headers it still needs, then every message from there on,
//! without what it does not want and the video that it has to skip.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::media::{Kind, Micros};
use crate::stream::log::StreamLog;
use crate::stream::message::Message;
use crate::stream::tracks::Tracks;

/// Where a reader is, at a boundary between two messages. A copy can read ahead and be thrown away.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ReadPosition {
    /// Number of the next message.
    pub(super) number: u64,
    /// Headers to be sent before it, one bit each, in the log's order.
    pub(super) headers: u64,
    pub(super) video: Video,
    /// Whether there has been a picture for it.
    has_begun: bool,
    /// Pictures passed over since then.
    pub(super) skipped: u64,
    /// What it is sent of the stream, with the headers of that.
    pub(super) wants: Wants,
    /// Number of the first message that it is not to be sent yet.
    pub(super) until: u64,
}

/// What a reader is sent beside data.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Wants {
    /// Audio.
    pub(super) audio: bool,
    /// Pictures.
    pub(super) video: bool,
    /// Further tracks than the one that readers start by.
    pub(super) further_tracks: bool,
}

impl Wants {
    const ALL: Self = Self { audio: true, video: true, further_tracks: true };
}

/// Which pictures a reader takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Video {
    /// All.
    Flows,
    /// Those of some tracks, one bit each (see [`Tracks::bit`]). Others begin at a keyframe of
    /// their own; one that arrived before the time given is too old for that.
    Of(u64, #[serde(with = "crate::media::instants")] Micros),
}

impl Video {
    /// None before a keyframe.
    pub(super) const UNTIL_KEY: Self = Self::Of(0, Micros(0));
}

impl ReadPosition {
    /// Before the beginning.
    pub(super) const NEW: Self = Self {
        number: u64::MAX,
        headers: 0,
        video: Video::UNTIL_KEY,
        has_begun: false,
        skipped: 0,
        wants: Wants::ALL,
        until: u64::MAX,
    };

    /// Goes to a message. Pictures wait for a keyframe, unless it is one that readers start at.
    pub(super) fn go_to(&mut self, log: &StreamLog, number: u64) {
        self.number = number;
        self.video = Video::UNTIL_KEY;
        let pictures = self.pictures(log);
        if log.newest_key() == Some(number) && pictures.count_ones() == 1 {
            self.take_track(log, pictures, Micros(0));
        }
    }

    /// The next message for this reader; `None` at the head.
    pub(super) fn next<'a>(&mut self, log: &'a StreamLog) -> Option<&'a Message> {
        if self.number >= self.until {
            return None;
        }
        while self.headers != 0 {
            let slot = self.headers.trailing_zeros();
            self.headers &= self.headers - 1;
            let header = log.header(slot as usize, self.number);
            if let Some(header) = header.filter(|header| self.wants(log, header)) {
                return Some(header);
            }
        }
        self.pass(log);
        let message = log.get(self.number).filter(|_| self.number < self.until)?;
        self.number += 1;
        if let Video::Of(tracks, since) = self.video
            && message.is_key()
        {
            self.take_track(log, tracks | Tracks::bit(message.track()), since);
        }
        Some(message)
    }

    fn take_track(&mut self, log: &StreamLog, tracks: u64, since: Micros) {
        self.has_begun = true;
        let all = self.pictures(log) & !tracks == 0;
        self.video = if all { Video::Flows } else { Video::Of(tracks, since) };
    }

    /// Passes over the messages that are not for this reader.
    pub(super) fn pass(&mut self, log: &StreamLog) {
        while (self.video != Video::Flows || !self.wants_all())
            && let Some(message) = log.get(self.number)
            && !self.takes(log, message)
        {
            self.number += 1;
            self.skipped += u64::from(self.has_begun && self.wants(log, message));
        }
    }

    /// Whether the reader does without nothing.
    pub(super) const fn wants_all(&self) -> bool {
        let Wants { audio, video, further_tracks } = self.wants;
        audio && video && further_tracks
    }

    /// The tracks of which it takes pictures, one bit each.
    fn pictures(&self, log: &StreamLog) -> u64 {
        let first = Tracks::bit(log.first_track(Kind::Video));
        if self.wants.further_tracks { log.pictures() } else { log.pictures() & first }
    }

    fn wants(&self, log: &StreamLog, message: &Message) -> bool {
        let kind = message.kind();
        let wants_kind = match kind {
            Kind::Audio => self.wants.audio,
            Kind::Video => self.wants.video,
            Kind::Data => return true,
        };
        wants_kind && (self.wants.further_tracks || message.track() == log.first_track(kind))
    }

    fn takes(&self, log: &StreamLog, message: &Message) -> bool {
        if !self.wants(log, message) {
            return false;
        }
        match self.video {
            Video::Of(tracks, since) if message.kind() == Kind::Video && !message.is_header() => {
                let flows = tracks & Tracks::bit(message.track()) != 0;
                flows || message.is_key() && log.arrived_since(self.number, since)
            }
            Video::Of(..) | Video::Flows => true,
        }
    }

    /// Marks the headers whose number is in `range` to be sent before the next message.
    pub(super) fn want_headers(&mut self, log: &StreamLog, range: &Range<u64>) {
        self.headers |= log.headers_within(range);
    }

    /// Marks the headers of a kind, which the reader has done without, to be sent before the next
    /// message.
    pub(super) fn want_headers_of(&mut self, log: &StreamLog, kind: Kind) {
        self.headers |= log.headers_of(kind);
    }
}
