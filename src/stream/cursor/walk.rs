//! A reader's way through a log, message by message: the headers it still needs, then everything
//! from its position on, without the video that it has to skip.

use std::ops::Range;

use crate::media::Kind;
use crate::stream::log::{HEADERS, StreamLog};
use crate::stream::message::Message;
use crate::stream::repair::distance;

/// Where a reader is, at a boundary between two messages. A copy can walk ahead and be thrown away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Number of the next message.
    pub(super) pos: u64,
    /// Headers to be sent before it, one bit each, in the log's order.
    pub(super) headers: u8,
    pub(super) video: Video,
    /// Video messages passed over so far.
    pub(super) skipped: u64,
    /// Whether it is sent sound and its headers.
    pub(super) wants_audio: bool,
    /// Whether it is sent pictures and their headers.
    pub(super) wants_video: bool,
}

/// Whether a reader takes video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Video {
    Flows,
    /// Not before a keyframe.
    UntilKey,
    /// The reader lags: not before a keyframe at this time or later.
    UntilFresh(u32),
}

impl Walk {
    /// The next message for this reader; `None` at the head.
    pub(super) fn next<'a>(&mut self, log: &'a StreamLog) -> Option<&'a Message> {
        while self.headers != 0 {
            let place = self.headers.trailing_zeros();
            self.headers &= self.headers - 1;
            let place = usize::try_from(place).unwrap_or(HEADERS);
            let header = log.header(place, self.pos);
            if let Some(header) = header.filter(|header| self.wants(header.kind())) {
                return Some(header);
            }
        }
        self.pass(log);
        let message = log.get(self.pos)?;
        self.pos += 1;
        if message.is_key() {
            self.video = Video::Flows;
        }
        Some(message)
    }

    /// Passes over the messages that are not for this reader.
    pub(super) fn pass(&mut self, log: &StreamLog) {
        while (self.video != Video::Flows || !self.wants_all())
            && let Some(message) = log.get(self.pos)
            && !self.takes(message)
        {
            self.pos += 1;
            self.skipped += u64::from(self.wants(message.kind()));
        }
    }

    /// Whether the reader has not said that it does without sound or pictures.
    pub(super) const fn wants_all(&self) -> bool {
        self.wants_audio && self.wants_video
    }

    const fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.wants_audio,
            Kind::Video => self.wants_video,
            Kind::Data => true,
        }
    }

    fn takes(&self, message: &Message) -> bool {
        if message.kind() != Kind::Video || message.is_header() {
            return self.wants(message.kind());
        }
        if !self.wants_video {
            return false;
        }
        match self.video {
            Video::Flows => true,
            Video::UntilKey => message.is_key(),
            Video::UntilFresh(from) => message.is_key() && distance(from, message.time()) >= 0,
        }
    }

    /// Marks the headers whose number is in `range` to be sent before the next message.
    pub(super) fn want_headers(&mut self, log: &StreamLog, range: &Range<u64>) {
        for place in 0..HEADERS {
            if log.has_header_in(place, range) {
                self.headers |= 1 << place;
            }
        }
    }

    /// Marks the headers of a kind, which the reader has done without, to be sent before the next
    /// message.
    pub(super) fn want_headers_of(&mut self, log: &StreamLog, kind: Kind) {
        for place in 0..HEADERS {
            if log.header(place, self.pos).is_some_and(|header| header.kind() == kind) {
                self.headers |= 1 << place;
            }
        }
    }
}
