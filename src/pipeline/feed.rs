//! Takes a channel's finished messages from its encoders and puts them in the order of their times.

use std::rc::Rc;

use super::encode::Encoded;
use super::hub::{Hub, Source};
use super::parts::ChannelFeed;
use super::shard::Shard;
use crate::media::Micros;

/// Sound messages that may wait for the pictures of their time, 0.7 s. The video encoder is later
/// than the audio encoder by its look-ahead; players want both in step, but no sound may hang on a
/// picture that does not come.
const HOLD_MAX: usize = 32;

/// The home shard's end of a channel.
pub(super) struct Feed {
    rings: ChannelFeed,
    hub: Rc<Hub>,
    newest_video: u32,
    seen_video: bool,
}

impl Feed {
    pub(super) fn open(shard: &Rc<Shard>, rings: ChannelFeed) -> Self {
        let source = Source::Channel(std::sync::Arc::clone(&rings.switch));
        let hub = shard.open(std::sync::Arc::clone(&rings.stream), source);
        Self { rings, hub, newest_video: 0, seen_video: false }
    }

    /// Whether an encoder has something that could be taken now.
    pub(super) fn has_mail(&self) -> bool {
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
    pub(super) fn drain(&mut self, shard: &Rc<Shard>) {
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
    pub(super) fn finish(&mut self, shard: &Rc<Shard>) {
        self.drain(shard);
        while let Some(next) = self.rings.audio.as_mut().and_then(|ring| ring.pop()) {
            self.hand_on(shard, next, shard.clock.now());
        }
    }

    fn hand_on(&self, shard: &Rc<Shard>, next: Encoded, now: Micros) {
        self.rings.stats.rtmp_seconds(now.since(next.due));
        let message = next.message;
        let (kind, time, flags) = (message.kind(), message.time(), message.flags());
        self.hub.health.borrow_mut().message(kind, time, flags, now);
        shard.publish(&self.hub, message, now);
    }
}
