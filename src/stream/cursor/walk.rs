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
            if let Some(header) = log.header(place, self.pos) {
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
        while self.video != Video::Flows
            && let Some(message) = log.get(self.pos)
            && !self.takes(message)
        {
            self.pos += 1;
            self.skipped += 1;
        }
    }

    fn takes(&self, message: &Message) -> bool {
        if message.kind() != Kind::Video || message.is_header() {
            return true;
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
}
