//! Stream subscriptions: readers inside the node. A decoder of a scene and the writer of a
//! recording get a stream's messages over a ring, and never hold anything up: one that is behind
//! loses messages.

use crate::command::{RecordEvent, RecordSink, SubscriptionEvent};
use crate::media::Micros;
use crate::ring::Sender;
use crate::stream::{Message, StreamLog};

/// Bytes that may wait for the disk. Beyond them, as beyond the ring's capacity, messages are left
/// out up to the next keyframe.
const QUEUE_BYTES_MAX: u64 = 32 << 20;

/// Age that a message in a log is believed to have at most: headers say 0.
const AGE_MS_MAX: u32 = 120_000;

/// A reader inside the node.
#[derive(Debug)]
pub(in crate::shard) enum Subscription {
    /// The decoder of a live input.
    Decoder(Sender<SubscriptionEvent>),
    /// A recording.
    Recording(RecordSubscription),
}

impl Subscription {
    pub(super) const fn is_decoder(&self) -> bool {
        matches!(self, Self::Decoder(_))
    }

    /// Whether its other end has gone.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Decoder(ring) => ring.is_closed(),
            Self::Recording(subscription) => subscription.feed.ring.is_closed(),
        }
    }

    /// Hands over what a late viewer of `log` would be sent; to a decoder as if it had come when it
    /// did.
    pub(super) fn begin(&mut self, log: &StreamLog, now: Micros) {
        match self {
            Self::Decoder(ring) => {
                let newest = log.newest_time();
                for message in log.catch_up() {
                    let age = newest.wrapping_sub(message.time()).min(AGE_MS_MAX);
                    let arrived = Micros(now.0.saturating_sub(Micros::from_millis(age.into()).0));
                    // A ring that is too small for all of it: it starts at the next keyframe.
                    drop(ring.push(SubscriptionEvent::Message(message.clone(), arrived)));
                }
            }
            Self::Recording(subscription) => subscription.begin(log),
        }
    }

    /// Hands over a message that is about to enter `log`.
    pub(super) fn message(&mut self, message: &Message, log: &StreamLog, arrived: Micros) {
        match self {
            // A decoder that is behind loses messages and starts again at a keyframe.
            Self::Decoder(ring) => {
                drop(ring.push(SubscriptionEvent::Message(message.clone(), arrived)));
            }
            Self::Recording(subscription) => subscription.message(message, log),
        }
    }

    /// The publisher has left, and has said so or not.
    pub(super) fn ended(&mut self, has_goodbye: bool) {
        match self {
            Self::Decoder(ring) => drop(ring.push(SubscriptionEvent::Ended { has_goodbye })),
            Self::Recording(subscription) => subscription.ended(),
        }
    }
}

/// The shard's end of a recording.
#[derive(Debug)]
pub(in crate::shard) struct RecordSubscription {
    feed: RecordSink,
    /// Whether messages have been lost and no keyframe has come since.
    is_behind: bool,
    /// Whether the writer is still to be told that the publisher has left.
    owes_end: bool,
}

impl RecordSubscription {
    /// Hands the messages of a stream to a writer.
    pub(in crate::shard) const fn new(feed: RecordSink) -> Self {
        Self { feed, is_behind: false, owes_end: false }
    }

    /// Hands over what a late viewer of `log` would be sent.
    fn begin(&mut self, log: &StreamLog) {
        for message in log.catch_up() {
            if self.is_behind {
                break;
            }
            self.push(message);
        }
    }

    /// Hands over a message that is about to enter `log`.
    fn message(&mut self, message: &Message, log: &StreamLog) {
        if self.owes_end {
            self.ended();
        }
        if self.is_behind && !self.catches_up(message, log) {
            return self.feed.stats.dropped(1);
        }
        self.push(message);
    }

    /// The publisher has left.
    fn ended(&mut self) {
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
        if self.feed.ring.is_closed() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::frame::PacketBuf;
    use crate::media::Kind;
    use crate::ring::{Bell, Receiver, channel};
    use crate::stats::RecordStats;
    use crate::stream::{Flags, LogLimits};

    fn message(kind: Kind, flags: Flags, body: &[u8]) -> Message {
        Message::new(kind, 0, flags, PacketBuf::copy_of(body), 1_000)
    }

    /// A subscription, its other end, and a log with both headers.
    fn subscription(capacity: usize) -> (RecordSubscription, Receiver<RecordEvent>, StreamLog) {
        let (ring, messages) = channel(capacity, Bell::new());
        let mut log = StreamLog::new(LogLimits::default(), true);
        log.push(message(Kind::Audio, Flags::HEADER, b"asc"), Micros(0));
        log.push(message(Kind::Video, Flags::HEADER, b"avcc"), Micros(0));
        let (name, stream) = (Arc::from("show"), Arc::from("live/a"));
        let feed = RecordSink { name, stream, ring, stats: Arc::default() };
        (RecordSubscription::new(feed), messages, log)
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
        let (mut subscription, mut messages, log) = subscription(4);
        let inter = message(Kind::Video, Flags::default(), b"inter");
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..6).for_each(|_| subscription.message(&inter, &log));
        subscription.message(&key, &log);
        assert_eq!(
            bodies(&mut messages, &subscription.feed.stats),
            ["inter"; 4],
            "no room for the keyframe"
        );
        subscription.message(&inter, &log);
        assert_eq!(bodies(&mut messages, &subscription.feed.stats), [""; 0], "not in the middle");
        subscription.message(&key, &log);
        subscription.message(&inter, &log);
        assert_eq!(
            bodies(&mut messages, &subscription.feed.stats),
            ["asc", "avcc", "key", "inter"]
        );
        assert_eq!(subscription.feed.stats.read().dropped, 4);
    }

    #[test]
    fn large_messages_are_bounded_by_their_bytes() {
        let (mut subscription, mut messages, log) = subscription(1_024);
        let large = message(Kind::Video, Flags::KEY, &vec![b'x'; 8 << 20]);
        (0..10).for_each(|_| subscription.message(&large, &log));
        assert_eq!(bodies(&mut messages, &subscription.feed.stats).len(), 4);
        assert_eq!(
            (subscription.feed.stats.read().dropped, subscription.feed.stats.queued_bytes()),
            (6, 0)
        );
    }

    #[test]
    fn a_successor_is_not_taken_for_the_publisher_before_it_when_the_writer_is_behind() {
        let (mut subscription, mut messages, log) = subscription(4);
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..4).for_each(|_| subscription.message(&key, &log));
        subscription.ended();
        subscription.message(&key, &log);
        assert_eq!(
            bodies(&mut messages, &subscription.feed.stats),
            ["key"; 4],
            "no room for the news"
        );
        subscription.message(&key, &log);
        assert!(matches!(messages.pop(), Some(RecordEvent::Ended)));
        assert_eq!(bodies(&mut messages, &subscription.feed.stats), ["asc", "avcc", "key"]);
    }

    #[test]
    fn a_writer_that_is_behind_hears_of_the_end_of_one_publisher_before_the_next() {
        let (mut subscription, mut messages, mut log) = subscription(4);
        let key = message(Kind::Video, Flags::KEY, b"key");
        (0..6).for_each(|_| subscription.message(&key, &log));
        subscription.ended();
        log.end_source();
        let audio = message(Kind::Audio, Flags::default(), b"audio");
        subscription.message(&audio, &log);
        assert_eq!(
            bodies(&mut messages, &subscription.feed.stats),
            ["key"; 4],
            "no room for the end"
        );
        subscription.message(&audio, &log);
        assert!(matches!(messages.pop(), Some(RecordEvent::Ended)));
        assert_eq!(bodies(&mut messages, &subscription.feed.stats), ["audio"]);
    }
}
