//! The record stage: the shard hands a stream's messages to a thread that writes files. Neither
//! waits for the other: a writer that is behind loses messages up to a keyframe, and they are
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::command::{RecordEvent, RecordFeed};
use crate::event::NodeEvent;
use crate::media::Micros;
use crate::record::{Disk, Input, Moment, Recorder};
use crate::ring::{Bell, Receiver};
use crate::runtime::Clock;
use crate::stats::{RecordStats, RunState};
use crate::stream::{Message, StreamLog};

/// Messages that may wait for the disk: about ten seconds.
pub const RECORD_QUEUE: usize = 1_024;

/// Bytes that may wait for the disk. Beyond them, as beyond [`RECORD_QUEUE`], messages are left out
/// up to the next keyframe.
const QUEUE_BYTES_MAX: u64 = 32 << 20;

/// How often it is told that the disk is too slow.
const LOSS_EVERY: Micros = Micros::from_secs(10);

/// How long the writer sleeps when there is nothing to write, at most.
const IDLE: Duration = Duration::from_millis(100);

/// The shard's end of a recording.
#[derive(Debug)]
pub(super) struct RecordTap {
    feed: RecordFeed,
    /// Whether messages have been lost and no keyframe has come since.
    is_behind: bool,
    /// Whether the writer is still to be told that the publisher has left.
    owes_end: bool,
}

impl RecordTap {
    /// Hands the messages of a stream to a writer.
    pub(super) const fn new(feed: RecordFeed) -> Self {
        Self { feed, is_behind: false, owes_end: false }
    }

    /// The stream that is recorded.
    pub(super) const fn stream(&self) -> &Arc<str> {
        &self.feed.stream
    }

    /// Whether its writer has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.feed.ring.is_closed()
    }

    /// Hands over what a late viewer of `log` would be sent.
    pub(super) fn begin(&mut self, log: &StreamLog) {
        for message in log.catch_up() {
            if self.is_behind {
                break;
            }
            self.push(message);
        }
    }

    /// Hands over a message that is about to enter `log`.
    pub(super) fn message(&mut self, message: &Message, log: &StreamLog) {
        if self.owes_end {
            self.ended();
        }
        if self.is_behind && !self.catches_up(message, log) {
            return self.feed.stats.dropped(1);
        }
        self.push(message);
    }

    /// The publisher has left.
    pub(super) fn ended(&mut self) {
        // What follows is of another publisher: the writer must know it before.
        self.owes_end = self.feed.ring.push(RecordEvent::Ended).is_err();
        self.is_behind |= self.owes_end;
    }

    /// Whether the recording can go on with this message: there is room again, and a decoder can
    /// start at it. The headers that may have been lost go first.
    fn catches_up(&mut self, message: &Message, log: &StreamLog) -> bool {
        let starts = log.starts_at(message) || (!log.has_video() && !message.is_header());
        let roomy = self.feed.ring.len() < self.feed.ring.capacity() / 2
            && self.feed.stats.queued_bytes() < QUEUE_BYTES_MAX / 2;
        if !starts || !roomy || self.owes_end {
            return false;
        }
        self.is_behind = false;
        log.headers().for_each(|header| self.push(header));
        !self.is_behind
    }

    fn push(&mut self, message: &Message) {
        if self.is_closed() {
            return;
        }
        let bytes = message.body().len();
        let full = self.feed.stats.queued_bytes() + bytes as u64 > QUEUE_BYTES_MAX;
        if full || self.feed.ring.push(RecordEvent::Message(message.clone())).is_err() {
            self.is_behind = true;
            return self.feed.stats.dropped(1);
        }
        self.feed.stats.handed_over(bytes);
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
    let mut loss = Loss { told: share.stats.dropped_messages(), at: None };
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
        loss.tell(&mut recorder, &share.stats, moment.now);
        account(&mut recorder, &share.stats, &mut tell);
        if idle && stops {
            return share.stats.set_state(RunState::Stopped);
        }
        if idle {
            let (messages, stopping) = (&share.messages, &share.stopping);
            share.bell.park(IDLE, || {
                !messages.is_empty() || messages.is_finished() || stopping.load(Ordering::Acquire)
            });
        }
    }
}

/// What was lost because the disk is too slow.
struct Loss {
    /// Messages that have been told.
    told: u64,
    /// When they were.
    at: Option<Micros>,
}

impl Loss {
    fn tell<D: Disk>(&mut self, recorder: &mut Recorder<D>, stats: &RecordStats, now: Micros) {
        let lost = stats.dropped_messages() - self.told;
        if lost == 0 || self.at.is_some_and(|at| now.since(at) < LOSS_EVERY) {
            return;
        }
        (self.told, self.at) = (self.told + lost, Some(now));
        recorder.lost(lost);
    }
}

fn input(message: &Message) -> Input<'_> {
    Input {
        kind: message.kind(),
        time: message.time(),
        is_key: message.is_key() && message.track() == 0,
        header: (message.is_header() && !message.is_config()).then_some(message.track()),
        body: message.body(),
    }
}

fn account<D: Disk>(
    recorder: &mut Recorder<D>,
    stats: &RecordStats,
    tell: &mut impl FnMut(NodeEvent),
) {
    stats.wrote(recorder.take_bytes());
    stats.set_state(match () {
        () if recorder.has_failed() => RunState::Failed,
        () if recorder.is_writing() => RunState::Live,
        () => RunState::Idle,
    });
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
    use crate::media::{Kind, Micros};
    use crate::record::{Folder, Format, RecordSpec};
    use crate::ring::channel;
    use crate::stream::{Flags, LogLimits};

    fn message(kind: Kind, flags: Flags, body: &[u8]) -> Message {
        Message::new(kind, 0, flags, PacketBuf::copy_of(body), 1_000)
    }

    /// A tap, its other end, and a log with both headers.
    fn tap(capacity: usize) -> (RecordTap, Receiver<RecordEvent>, StreamLog) {
        let (ring, messages) = channel(capacity, Bell::new());
        let mut log = StreamLog::new(LogLimits::default(), true);
        log.push(message(Kind::Audio, Flags::HEADER, b"asc"), Micros(0));
        log.push(message(Kind::Video, Flags::HEADER, b"avcc"), Micros(0));
        let feed = RecordFeed { stream: Arc::from("live/a"), ring, stats: Arc::default() };
        (RecordTap::new(feed), messages, log)
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
        assert_eq!(
            bodies(&mut messages, &tap.feed.stats),
            ["inter"; 4],
            "no room for the keyframe"
        );
        tap.message(&inter, &log);
        assert_eq!(bodies(&mut messages, &tap.feed.stats), [""; 0], "not in the middle");
        tap.message(&key, &log);
        tap.message(&inter, &log);
        assert_eq!(bodies(&mut messages, &tap.feed.stats), ["asc", "avcc", "key", "inter"]);
        assert_eq!(tap.feed.stats.read().dropped, 4);
    }

    #[test]
    fn large_messages_are_bounded_by_their_bytes() {
        let (mut tap, mut messages, log) = tap(RECORD_QUEUE);
        let large = message(Kind::Video, Flags::KEY, &vec![b'x'; 8 << 20]);
        (0..10).for_each(|_| tap.message(&large, &log));
        assert_eq!(bodies(&mut messages, &tap.feed.stats).len(), 4);
        assert_eq!((tap.feed.stats.read().dropped, tap.feed.stats.queued_bytes()), (6, 0));
    }

    #[test]
    fn a_successor_is_not_taken_for_the_publisher_before_it_when_the_writer_is_behind() {
        let (mut tap, mut messages, log) = tap(4);
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..4).for_each(|_| tap.message(&key, &log));
        tap.ended();
        tap.message(&key, &log);
        assert_eq!(bodies(&mut messages, &tap.feed.stats), ["key"; 4], "no room for the news");
        tap.message(&key, &log);
        assert!(matches!(messages.pop(), Some(RecordEvent::Ended)));
        assert_eq!(bodies(&mut messages, &tap.feed.stats), ["asc", "avcc", "key"]);
    }

    #[test]
    fn what_a_slow_disk_has_cost_is_told_with_its_folder() {
        let (mut tap, messages, log) = tap(4);
        let key = message(Kind::Video, Flags::KEY, &[0x12, 0]);
        (0..9).for_each(|_| tap.message(&key, &log));
        let dir = tempfile::tempdir().unwrap();
        let spec = RecordSpec {
            name: "show".to_owned(),
            format: Format::Flv,
            split_s: 0,
            split_bytes: 0,
            free_bytes_min: 0,
        };
        let share = RecordShare {
            messages,
            bell: Bell::new(),
            stopping: Arc::new(AtomicBool::new(true)),
            stats: Arc::clone(&tap.feed.stats),
            clock: Clock::start(),
        };
        let mut told = Vec::new();
        // What was lost before it began is nothing that its files lack.
        let recorder = || Recorder::new(spec.clone(), Folder::new(dir.path()));
        let stats = Arc::clone(&tap.feed.stats);
        let mut loss = Loss { told: 0, at: None };
        let mut behind = recorder();
        loss.tell(&mut behind, &stats, Micros::from_secs(1));
        loss.tell(&mut behind, &stats, Micros::from_secs(2));
        let news: Vec<_> = behind.take_news().iter().map(ToString::to_string).collect();
        let [line] = &news[..] else { panic!("{news:?}") };
        assert!(
            line.contains("5 messages") && line.contains(dir.path().to_str().unwrap()),
            "{line}"
        );

        record(recorder(), share, |news| told.push(news.name()));
        assert_eq!(told, ["record_started", "record_finished"]);
        assert_eq!(stats.read().state, RunState::Stopped);
        assert!(tap.is_closed(), "the shard sees that it has ended");
    }

    #[test]
    fn a_writer_that_is_behind_hears_of_the_end_of_one_publisher_before_the_next() {
        let (mut tap, mut messages, mut log) = tap(4);
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..6).for_each(|_| tap.message(&key, &log));
        tap.ended();
        log.end_source();
        let sound = message(Kind::Audio, Flags::default(), b"sound");
        tap.message(&sound, &log);
        assert_eq!(bodies(&mut messages, &tap.feed.stats), ["key"; 4], "no room for the end");
        tap.message(&sound, &log);
        assert!(matches!(messages.pop(), Some(RecordEvent::Ended)));
        assert_eq!(bodies(&mut messages, &tap.feed.stats), ["sound"]);
    }
}
