//! The record stage: the shard hands a stream's messages to a thread that writes files. Neither
//! waits for the other: a writer that is behind loses messages up to a keyframe, and they are
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::event::NodeEvent;
use crate::record::{Disk, Input, Moment, Recorder};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;
use crate::stats::RecordStats;
use crate::stream::{Message, StreamLog};

/// Messages that may wait for the disk: about ten seconds.
pub const RECORD_QUEUE: usize = 1_024;

/// Bytes that may wait for the disk. Beyond them, as beyond [`RECORD_QUEUE`], messages are left out
/// up to the next keyframe.
const QUEUE_BYTES_MAX: u64 = 32 << 20;

/// How long the writer sleeps when there is nothing to write, at most.
const IDLE: Duration = Duration::from_millis(100);

/// What a shard tells the writer of a recording.
#[derive(Debug)]
pub enum RecordEvent {
    /// A message of the stream.
    Message(Message),
    /// The publisher has left.
    Ended,
}

/// The shard's end of a recording.
#[derive(Debug)]
pub struct RecordTap {
    stream: Arc<str>,
    ring: Sender<RecordEvent>,
    stats: Arc<RecordStats>,
    /// Whether messages have been lost and no keyframe has come since.
    is_behind: bool,
    /// Whether the writer is still to be told that the publisher has left.
    owes_end: bool,
}

impl RecordTap {
    /// Hands the messages of `stream` to a writer.
    #[must_use]
    pub const fn new(stream: Arc<str>, ring: Sender<RecordEvent>, stats: Arc<RecordStats>) -> Self {
        Self { stream, ring, stats, is_behind: false, owes_end: false }
    }

    /// The stream that is recorded.
    pub(super) const fn stream(&self) -> &Arc<str> {
        &self.stream
    }

    /// Hands over a message that is about to enter `log`.
    pub(super) fn message(&mut self, message: &Message, log: &StreamLog) {
        if self.owes_end {
            self.ended();
        }
        if (self.is_behind || self.owes_end) && !self.catches_up(message, log) {
            return self.stats.dropped(1);
        }
        self.push(message);
    }

    /// The publisher has left.
    pub(super) fn ended(&mut self) {
        // What follows is of another publisher: the writer must know it before.
        self.owes_end = self.ring.push(RecordEvent::Ended).is_err();
    }

    /// Whether the recording can go on with this message: there is room again, and a decoder can
    /// start at it. The headers that may have been lost go first.
    fn catches_up(&mut self, message: &Message, log: &StreamLog) -> bool {
        let starts = message.is_key() || (!log.has_video() && !message.is_header());
        let roomy = self.ring.len() < self.ring.capacity() / 2
            && self.stats.queued_bytes() < QUEUE_BYTES_MAX / 2;
        if !starts || !roomy || self.owes_end {
            return false;
        }
        self.is_behind = false;
        log.headers().for_each(|header| self.push(header));
        !self.is_behind
    }

    fn push(&mut self, message: &Message) {
        let bytes = message.body().len();
        let full = self.stats.queued_bytes() + bytes as u64 > QUEUE_BYTES_MAX;
        if full || self.ring.push(RecordEvent::Message(message.clone())).is_err() {
            self.is_behind = true;
            return self.stats.dropped(1);
        }
        self.stats.handed_over(bytes);
    }
}

/// What a writer's thread is given beside its recorder.
pub struct RecordShare {
    /// From the shard.
    pub messages: Receiver<RecordEvent>,
    /// Rung when there is something.
    pub bell: Arc<Bell>,
    /// Set, and the bell rung, once no message will come any more.
    pub stopping: Arc<AtomicBool>,
    /// Figures.
    pub stats: Arc<RecordStats>,
    /// The node's clock.
    pub clock: Clock,
}

/// Writes until the node stops or the shard is gone. `tell` hears what happens.
pub fn record<D: Disk>(
    mut recorder: Recorder<D>,
    mut share: RecordShare,
    mut tell: impl FnMut(NodeEvent),
) {
    loop {
        let moment = Moment { now: share.clock.now(), unix_s: share.clock.unix_secs() };
        let stops = share.stopping.load(Ordering::Acquire) || share.messages.is_finished();
        let event = share.messages.pop();
        let idle = event.is_none();
        match event {
            Some(RecordEvent::Message(message)) => {
                share.stats.taken(message.body().len());
                recorder.message(&input(&message), moment);
            }
            Some(RecordEvent::Ended) => recorder.ended(moment),
            None if stops => recorder.finish(),
            None => {}
        }
        recorder.tick(moment);
        account(&mut recorder, &share.stats, &mut tell);
        if idle && stops {
            return;
        }
        if idle {
            let (messages, stopping) = (&share.messages, &share.stopping);
            share.bell.park(IDLE, || {
                !messages.is_empty() || messages.is_finished() || stopping.load(Ordering::Acquire)
            });
        }
    }
}

fn input(message: &Message) -> Input<'_> {
    Input {
        kind: message.kind(),
        time: message.time(),
        is_key: message.is_key(),
        header: message.header_track(),
        body: message.body(),
    }
}

fn account<D: Disk>(
    recorder: &mut Recorder<D>,
    stats: &RecordStats,
    tell: &mut impl FnMut(NodeEvent),
) {
    stats.wrote(recorder.bytes() - stats.read().bytes);
    stats.set_writing(recorder.is_writing());
    for news in recorder.take_news() {
        match &news {
            NodeEvent::RecordStarted { .. } => stats.file_begun(),
            NodeEvent::RecordStopped { .. } => stats.stopped(),
            _ => {}
        }
        tell(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::media::Kind;
    use crate::ring::channel;
    use crate::stream::{Flags, LogLimits};

    fn message(kind: Kind, flags: Flags, body: &[u8]) -> Message {
        Message::new(kind, 0, flags, PacketBuf::copy_of(body), 1_000)
    }

    /// A tap, its other end, and a log with both headers.
    fn tap(capacity: usize) -> (RecordTap, Receiver<RecordEvent>, StreamLog) {
        let (ring, messages) = channel(capacity, Bell::new());
        let mut log = StreamLog::new(LogLimits::default(), true);
        log.push(message(Kind::Audio, Flags::HEADER, b"asc"));
        log.push(message(Kind::Video, Flags::HEADER, b"avcc"));
        (RecordTap::new(Arc::from("live/a"), ring, Arc::default()), messages, log)
    }

    fn bodies(messages: &mut Receiver<RecordEvent>, stats: &RecordStats) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(RecordEvent::Message(message)) = messages.pop() {
            stats.taken(message.body().len());
            found.push(String::from_utf8_lossy(message.body()).into_owned());
        }
        found
    }

    #[test]
    fn a_writer_that_is_behind_goes_on_at_a_keyframe_with_the_headers_before_it() {
        let (mut tap, mut messages, log) = tap(4);
        let inter = message(Kind::Video, Flags::default(), b"inter");
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..6).for_each(|_| tap.message(&inter, &log));
        tap.message(&key, &log);
        assert_eq!(bodies(&mut messages, &tap.stats), ["inter"; 4], "no room for the keyframe");
        tap.message(&inter, &log);
        assert_eq!(bodies(&mut messages, &tap.stats), [""; 0], "not in the middle");
        tap.message(&key, &log);
        tap.message(&inter, &log);
        assert_eq!(bodies(&mut messages, &tap.stats), ["asc", "avcc", "key", "inter"]);
        assert_eq!(tap.stats.read().dropped, 4);
    }

    #[test]
    fn large_messages_are_bounded_by_their_bytes() {
        let (mut tap, mut messages, log) = tap(RECORD_QUEUE);
        let large = message(Kind::Video, Flags::KEY, &vec![b'x'; 8 << 20]);
        (0..10).for_each(|_| tap.message(&large, &log));
        assert_eq!(bodies(&mut messages, &tap.stats).len(), 4);
        assert_eq!((tap.stats.read().dropped, tap.stats.queued_bytes()), (6, 0));
    }
}
