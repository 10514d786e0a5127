//! Channel feeds: a channel's finished messages are taken from its encoders and put in the order of
//! their times. Channels come and go; one that takes another's place goes on with its stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::hub::{Hub, Source};
use super::shard::Shard;
use crate::command::{ChannelFeed, Encoded, FromShard};
use crate::media::Micros;

/// Sound messages that may wait for the pictures of their time, 0.7 s. The video encoder is later
/// than the audio encoder by its look-ahead; players want both in step, but no sound may hang on a
/// picture that does not come.
const HOLD_MAX: usize = 32;

/// The channels whose home a shard is.
#[derive(Default)]
pub(super) struct Feeds {
    open: RefCell<Vec<Feed>>,
    /// Those that wait until what they take the place of has handed over all it has.
    to_come: RefCell<Vec<ChannelFeed>>,
}

impl Feeds {
    /// Whether a feed has something that could be taken now.
    pub(super) fn have_mail(&self) -> bool {
        self.open.borrow().iter().any(|feed| feed.has_mail() || feed.is_over())
    }

    /// Takes the feeds of the node's start.
    pub(super) fn begin(&self, shard: &Rc<Shard>, feeds: Vec<ChannelFeed>) {
        let feeds = feeds.into_iter().map(|rings| Feed::open(shard, rings, None));
        self.open.borrow_mut().extend(feeds);
    }

    /// One more channel, which is told to control: it begins at once, or once a channel that was
    /// stopped has ended, or not at all if somebody else feeds its stream.
    pub(super) fn add(&self, shard: &Rc<Shard>, rings: ChannelFeed) {
        let is_left = |feed: &Feed| feed.rings.stream == rings.stream && feed.is_stopped();
        if self.open.borrow().iter().any(is_left) {
            return self.to_come.borrow_mut().push(rings);
        }
        let is_open = !shard.is_taken(&rings.stream);
        shard.report(FromShard::FeedOpened { switch: Arc::clone(&rings.switch), is_open });
        if is_open {
            let feed = Feed::open(shard, rings, None);
            self.open.borrow_mut().push(feed);
        }
    }

    /// Moves everything whose turn has come to the streams, and ends those of channels that have
    /// been stopped.
    pub(super) fn drain(&self, shard: &Rc<Shard>) {
        let mut open = self.open.borrow_mut();
        open.iter_mut().for_each(|feed| feed.drain(shard));
        let mut at = 0;
        while let Some(feed) = open.get_mut(at) {
            if !feed.is_over() {
                at += 1;
                continue;
            }
            feed.finish(shard);
            let feed = open.swap_remove(at);
            shard.source_left(&feed.hub);
            match self.successor(&feed.rings.stream) {
                Some(rings) => {
                    let switch = Arc::clone(&rings.switch);
                    open.push(Feed::open(shard, rings, Some(&feed)));
                    shard.report(FromShard::FeedOpened { switch, is_open: true });
                }
                None => shard.end_stream(&feed.hub),
            }
        }
    }

    fn successor(&self, stream: &str) -> Option<ChannelFeed> {
        let mut to_come = self.to_come.borrow_mut();
        let at = to_come.iter().position(|rings| *rings.stream == *stream)?;
        Some(to_come.remove(at))
    }

    /// The node stops: moves all that is left.
    pub(super) fn finish(&self, shard: &Rc<Shard>) {
        self.open.borrow_mut().iter_mut().for_each(|feed| feed.finish(shard));
    }
}

/// The home shard's end of a channel.
struct Feed {
    rings: ChannelFeed,
    hub: Rc<Hub>,
    newest_video: u32,
    seen_video: bool,
    /// Where its stream goes on from that of another source.
    goes_on_at: Option<u32>,
}

impl Feed {
    /// Begins the stream of a channel, or goes on with it: after `before` by the clock, so that
    /// viewers are as late as they were.
    fn open(shard: &Rc<Shard>, rings: ChannelFeed, before: Option<&Self>) -> Self {
        let source = Source::Channel(Arc::clone(&rings.switch));
        let hub = shard.open(Arc::clone(&rings.stream), source);
        let newest = hub.repair.borrow().newest();
        let goes_on_at = (newest > 0).then_some(newest);
        if goes_on_at.is_some() {
            let by_clock = before.map(|it| (it.rings.switch.base_ms(), it.rings.start));
            let base = base_ms(newest, by_clock, rings.start, shard.clock.now());
            rings.switch.set_base_ms(base);
        }
        Self { rings, hub, newest_video: 0, seen_video: false, goes_on_at }
    }

    fn is_stopped(&self) -> bool {
        self.rings.switch.is_stopped()
    }

    /// Whether the channel was stopped and its encoders have ended.
    fn is_over(&self) -> bool {
        let audio = self.rings.audio.as_ref();
        self.is_stopped()
            && self.rings.video.is_closed()
            && audio.is_none_or(|ring| ring.is_closed())
    }

    /// Whether an encoder has something that could be taken now.
    fn has_mail(&self) -> bool {
        !self.rings.video.is_empty()
            || self.rings.audio.as_ref().is_some_and(|ring| {
                ring.len() > HOLD_MAX || ring.peek().is_some_and(|next| self.reached(next))
            })
    }

    /// Whether the pictures of this time are already in the stream.
    fn reached(&self, sound: &Encoded) -> bool {
        self.seen_video && sound.message.time() <= self.newest_video
    }

    /// Moves everything whose turn has come to the stream.
    fn drain(&mut self, shard: &Rc<Shard>) {
        let now = shard.clock.now();
        loop {
            let video = self.rings.video.peek().map(|next| next.message.time());
            let audio = self.rings.audio.as_ref();
            let audio_first = audio.is_some_and(|ring| {
                ring.peek().is_some_and(|next| match video {
                    Some(video) => next.message.time() < video,
                    None => self.reached(next) || ring.len() > HOLD_MAX,
                })
            });
            let next = if audio_first {
                self.rings.audio.as_mut().and_then(|ring| ring.pop())
            } else {
                self.rings.video.pop()
            };
            let Some(next) = next else { return };
            if !audio_first {
                self.newest_video = next.message.time();
                self.seen_video = true;
            }
            self.hand_on(shard, next, now);
        }
    }

    /// Moves all that is left: the encoders have ended.
    fn finish(&mut self, shard: &Rc<Shard>) {
        self.drain(shard);
        while let Some(next) = self.rings.audio.as_mut().and_then(|ring| ring.pop()) {
            self.hand_on(shard, next, shard.clock.now());
        }
    }

    fn hand_on(&self, shard: &Rc<Shard>, next: Encoded, now: Micros) {
        self.rings.stats.rtmp_seconds(now.since(next.due));
        let message = match self.goes_on_at {
            // Encoders say these before they know where the stream goes on.
            Some(at) if next.message.is_header() => next.message.at(at),
            _ => next.message,
        };
        let (kind, time, flags) = (message.kind(), message.time(), message.flags());
        self.hub.health.borrow_mut().message(kind, time, flags, now);
        shard.publish(&self.hub, message, now);
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
    fn a_channel_goes_on_by_the_clock_and_never_before_what_has_gone_out() {
        let at = Micros::from_millis;
        // Nothing is known but the newest time: what is due now comes right after it.
        assert_eq!(base_ms(7_000, None, at(100_000), at(100_500)) + 500, 7_020);
        assert_eq!(base_ms(7_000, None, at(100_000), at(99_900)), 7_020, "it starts later");
        // The channel before it began at 60 s and has sent what was due at 67 s.
        let before = Some((0, at(60_000)));
        assert_eq!(base_ms(7_000, before, at(67_100), at(67_300)), 7_100, "67.3 s is at 7.3 s");
        // It had sound up to 67.4 s.
        assert_eq!(base_ms(7_400, before, at(67_100), at(67_300)) + 200, 7_420);
        let wraps = base_ms(u32::MAX - 9, None, at(0), at(0));
        assert_eq!(wraps, 10);
    }
}
