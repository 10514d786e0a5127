//! Channel inputs: a channel's finished messages are taken from its encoders, of one rendition or
//! of several as tracks, and put in the order of their times. Channels come and go; one that takes
//! another's place goes on with its stream.

use std::sync::Arc;

use super::shared::Shared;
use super::stream_id::StreamId;
use super::streams::Source;
use super::track_order::{Rings, TrackOrder};
use crate::command::{ChannelSource, Encoded, ShardReport};
use crate::media::{Kind, Micros};
use crate::ring::Receiver;
use crate::rtmp::Hops;
use crate::stream::Message;

/// Audio messages that may wait for the pictures of their time, 0.7 s. The video encoder is later
/// than the audio encoder by its look-ahead; players want both in step, but no audio may hang on a
/// picture that does not come.
const HOLD_MAX: usize = 32;

/// The channels whose streams a shard owns.
#[derive(Default)]
pub(super) struct ChannelInputs {
    open: Vec<ChannelInput>,
    /// Those that wait until what they take the place of has handed over all it has.
    to_come: Vec<ChannelSource>,
}

impl ChannelInputs {
    /// Whether an input has something that could be taken now.
    pub(super) fn have_mail(&self) -> bool {
        self.open.iter().any(|input| input.has_mail() || input.is_over())
    }

    /// Takes the channels of the node's start.
    pub(super) fn begin(&mut self, shared: &mut Shared, feeds: Vec<ChannelSource>) {
        let inputs = feeds.into_iter().map(|feed| ChannelInput::open(shared, feed, None));
        self.open.extend(inputs);
    }

    /// One more channel, which is told to control: it begins at once, or once a channel that was
    /// stopped has ended, or not at all if somebody else feeds its stream.
    pub(super) fn add(&mut self, shared: &mut Shared, feed: ChannelSource) {
        let is_left = |input: &ChannelInput| {
            input.feed.stream == feed.stream && input.feed.switch.is_stopped()
        };
        if self.open.iter().any(is_left) {
            return self.to_come.push(feed);
        }
        let is_open = !shared.streams.is_taken(&feed.stream);
        shared.cx.report(ShardReport::ChannelOpened { switch: Arc::clone(&feed.switch), is_open });
        if is_open {
            let input = ChannelInput::open(shared, feed, None);
            self.open.push(input);
        }
    }

    /// Moves everything whose turn has come to the streams, and ends those of channels that have
    /// been stopped.
    pub(super) fn drain(&mut self, shared: &mut Shared) {
        self.open.iter_mut().for_each(|input| input.drain(shared));
        let mut at = 0;
        while let Some(input) = self.open.get_mut(at) {
            if !input.is_over() {
                at += 1;
                continue;
            }
            input.finish(shared);
            let input = self.open.swap_remove(at);
            shared.streams.source_left(&mut shared.cx, input.stream);
            match self.successor(&input.feed.stream) {
                Some(feed) => {
                    let switch = Arc::clone(&feed.switch);
                    self.open.push(ChannelInput::open(shared, feed, Some(&input)));
                    shared.cx.report(ShardReport::ChannelOpened { switch, is_open: true });
                }
                // Its source may come back: its viewers wait for it.
                None if input.feed.switch.awaits_source() => {
                    if shared.streams.has_source_goodbye(&input.feed.stream) {
                        shared.streams.say_goodbye(input.stream);
                    }
                }
                None => {
                    shared.streams.say_goodbye(input.stream);
                    shared.streams.end(&mut shared.cx, input.stream);
                }
            }
        }
    }

    fn successor(&mut self, stream: &str) -> Option<ChannelSource> {
        let at = self.to_come.iter().position(|feed| *feed.stream == *stream)?;
        Some(self.to_come.remove(at))
    }

    /// The node stops: moves all that is left.
    pub(super) fn finish(&mut self, shared: &mut Shared) {
        self.open.iter_mut().for_each(|input| input.finish(shared));
    }
}

/// The shard's end of a channel.
struct ChannelInput {
    feed: ChannelSource,
    stream: StreamId,
    tracks: TrackOrder,
    newest_video: u32,
    has_seen_video: bool,
    /// Where its stream goes on from that of another source.
    goes_on_at: Option<u32>,
    /// Of one with times of its own: what is added to them, once that is known.
    shift: Option<u32>,
    has_media: bool,
}

impl ChannelInput {
    /// Begins the stream of a channel, or goes on with it: after `before` by the clock, so that
    /// viewers are as late as they were.
    fn open(shared: &mut Shared, feed: ChannelSource, before: Option<&Self>) -> Self {
        let source = Source::Channel(Arc::clone(&feed.switch));
        let name = Arc::clone(&feed.stream);
        let stream = shared.streams.open(&mut shared.cx, name, source, &Hops::default());
        let newest = shared.streams.get(stream).map_or(0, |stream| stream.repair.newest());
        let goes_on_at = (newest > 0).then_some(newest);
        let shift = before.and_then(|it| it.shift);
        if goes_on_at.is_some() && !feed.switch.follows_source() {
            let by_clock = before.map(|it| (it.feed.switch.base_ms(), it.feed.start));
            let base = base_ms(newest, by_clock, feed.start, shared.cx.now);
            feed.switch.raise_base_ms(base);
        }
        Self {
            tracks: TrackOrder::new(1 + feed.tracks.len()),
            feed,
            stream,
            newest_video: 0,
            has_seen_video: false,
            goes_on_at,
            shift,
            has_media: false,
        }
    }

    /// Whether the channel was stopped and its encoders have ended.
    fn is_over(&self) -> bool {
        let audio = self.feed.audio.as_ref();
        self.feed.switch.is_stopped()
            && self.feed.video.is_closed()
            && self.feed.tracks.iter().all(|ring| ring.is_closed())
            && audio.is_none_or(|ring| ring.is_closed())
    }

    /// Whether an encoder has something that could be taken now.
    fn has_mail(&self) -> bool {
        self.next_track().is_some()
            || self.feed.audio.as_ref().is_some_and(|ring| {
                ring.len() > HOLD_MAX || ring.peek().is_some_and(|next| self.reached(next))
            })
    }

    /// Whether the pictures of this time are already in the stream.
    fn reached(&self, audio: &Encoded) -> bool {
        self.has_seen_video && audio.message.time() <= self.newest_video
    }

    fn ring(&mut self, track: usize) -> Option<&mut Receiver<Encoded>> {
        match track.checked_sub(1) {
            None => Some(&mut self.feed.video),
            Some(at) => self.feed.tracks.get_mut(at),
        }
    }

    /// The track whose next message is the next one of all, if it need not wait for another.
    fn next_track(&self) -> Option<usize> {
        if self.feed.tracks.is_empty() {
            return (!self.feed.video.is_empty()).then_some(0);
        }
        self.tracks.next(video_of(&self.feed))
    }

    /// Moves everything whose turn has come to the stream.
    fn drain(&mut self, shared: &mut Shared) {
        loop {
            let track = self.next_track();
            let video = track.and_then(|track| video_of(&self.feed).nth(track)?.peek());
            let video = video.map(|next| next.message.time());
            let audio = self.feed.audio.as_ref();
            let audio_first = audio.is_some_and(|ring| {
                ring.peek().is_some_and(|next| match video {
                    Some(video) => next.message.time() < video,
                    None => self.reached(next) || ring.len() > HOLD_MAX,
                })
            });
            let next = if audio_first {
                self.feed.audio.as_mut().and_then(|ring| ring.pop())
            } else {
                track.and_then(|track| self.ring(track)?.pop())
            };
            let Some(next) = next else { return };
            if let Some(track) = track.filter(|_| !audio_first) {
                self.tracks.taken(track, &next.message, video_of(&self.feed));
                self.newest_video = next.message.time();
                self.has_seen_video = true;
            }
            self.publish(shared, next);
        }
    }

    /// Moves all that is left: the encoders have ended.
    fn finish(&mut self, shared: &mut Shared) {
        self.drain(shared);
        while let Some(next) = self.feed.audio.as_mut().and_then(|ring| ring.pop()) {
            self.publish(shared, next);
        }
    }

    /// A message of a source, whose times are kept: all renditions of it have the same. Where the
    /// stream has had later ones, they go on from there, audio and pictures by the same step.
    fn of_source(&mut self, message: Message) -> Message {
        if message.is_header() {
            let first = self.goes_on_at.unwrap_or_else(|| self.feed.switch.base_ms());
            let shift = self.shift.filter(|_| self.has_media);
            return message.at(shift.map_or(first, |shift| self.newest_video.wrapping_add(shift)));
        }
        self.has_media = true;
        let (newest, time) = (self.goes_on_at, message.time());
        match *self.shift.get_or_insert_with(|| shift_of(newest, time)) {
            0 => message,
            shift => message.at(time.wrapping_add(shift)),
        }
    }

    fn publish(&mut self, shared: &mut Shared, next: Encoded) {
        let (now, stamps) = (shared.cx.now, next.stamps);
        self.feed.stats.rtmp_seconds(now.since(next.due));
        let base_ms = self.feed.switch.base_ms();
        let message = match self.goes_on_at {
            _ if self.feed.switch.follows_source() => self.of_source(next.message),
            // Encoders say these before they know where the stream goes on.
            Some(at) if next.message.is_header() => next.message.at(at),
            // A new stream of a channel whose others go on.
            None if next.message.is_header() && next.message.time() != base_ms => {
                next.message.at(base_ms)
            }
            _ => next.message,
        };
        let (kind, time, flags) = (message.kind(), message.time(), message.flags());
        // Of pictures those of track 0 count: the others are the same ones.
        if (kind != Kind::Video || message.track() == 0)
            && let Some(stream) = shared.streams.get_mut(self.stream)
        {
            stream.health.message(kind, time, flags, now);
        }
        shared.streams.publish(&shared.cx, self.stream, message, (now, stamps));
    }
}

/// The rings of a stream's tracks, track 0 first.
fn video_of(feed: &ChannelSource) -> impl Rings<'_> {
    [&feed.video].into_iter().chain(&feed.tracks)
}

/// How far the times of a source may be ahead of where its renditions were, milliseconds: it has
/// been away. What is further ahead, or behind, is another line.
const AWAY_MS_MAX: i32 = 60_000;

/// What is added to the times of a source that goes on at `time` in a stream whose newest time is
/// `newest`, milliseconds modulo 2^32.
fn shift_of(newest: Option<u32>, time: u32) -> u32 {
    let Some(newest) = newest else { return 0 };
    let ahead = time.wrapping_sub(newest).cast_signed();
    match (1..=AWAY_MS_MAX).contains(&ahead) {
        true => 0,
        false => newest.wrapping_add(SEAM_MS).wrapping_sub(time),
    }
}

/// Step over the seam between two sources, milliseconds: about one frame.
const SEAM_MS: u32 = 20;

/// What the times of a channel that starts at `start` are put behind, where the stream's newest
/// time is `newest`, milliseconds modulo 2^32: what it makes from `now` on is later than that. Of
/// a channel before it, with this base and start, it goes on by the clock if that is later still.
fn base_ms(newest: u32, before: Option<(u32, Micros)>, start: Micros, now: Micros) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "RTMP time is modulo 2^32")]
    let passed = |since: Micros, at: Micros| at.since(since).millis() as u32;
    let soonest = newest.wrapping_add(SEAM_MS).wrapping_sub(passed(start, now));
    let by_clock = before.map(|(base, began)| base.wrapping_add(passed(began, start)));
    let is_later = |base: &u32| base.wrapping_sub(soonest).cast_signed() > 0;
    by_clock.filter(is_later).unwrap_or(soonest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_source_are_kept_unless_the_stream_has_had_later_ones() {
        assert_eq!(shift_of(None, 3_600_000), 0, "a new stream begins where its source is");
        assert_eq!(shift_of(Some(7_000), 7_040), 0);
        assert_eq!(shift_of(Some(7_000), 12_000), 0, "the source was away for five seconds");
        assert_eq!(shift_of(Some(u32::MAX), 19), 0, "over the wrap");
        for time in [0, 6_999, 7_000, 600_000] {
            assert_eq!(
                shift_of(Some(7_000), time).wrapping_add(time),
                7_020,
                "{time} is another line"
            );
        }
    }

    #[test]
    fn a_channel_goes_on_by_the_clock_and_never_before_what_has_gone_out() {
        let at = Micros::from_millis;
        // Nothing is known but the newest time: what is due now comes right after it.
        assert_eq!(base_ms(7_000, None, at(100_000), at(100_500)) + 500, 7_020);
        assert_eq!(base_ms(7_000, None, at(100_000), at(99_900)), 7_020, "it starts later");
        // The channel before it began at 60 s and has sent what was due at 67 s.
        let before = Some((0, at(60_000)));
        assert_eq!(base_ms(7_000, before, at(67_100), at(67_300)), 7_100, "67.3 s is at 7.3 s");
        // It had audio up to 67.4 s.
        assert_eq!(base_ms(7_400, before, at(67_100), at(67_300)) + 200, 7_420);
        let wraps = base_ms(u32::MAX - 9, None, at(0), at(0));
        assert_eq!(wraps, 10);
    }
}
