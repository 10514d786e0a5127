//! Encoder input: the frames that a program draws, on their way to the encoder.

use std::sync::Arc;
use std::time::Duration;

use crate::command::ChannelSwitch;
use crate::control::channels::build::FrameInput;
use crate::frame::{Frame, Pool};
use crate::media::{FrameId, Point, Stamps};
use crate::pipeline::{Drawn, Keyframes, Tee, Timeline};
use crate::runtime::Clock;
use crate::scene::Damage;
use crate::stats::{ChannelStats, DropReason};

/// The way in for frames: one program thread takes empty frames, draws, and pushes them.
#[derive(Debug)]
pub struct EncoderInput {
    pool: Pool,
    tee: Tee,
    keys: Keyframes,
    switch: Arc<ChannelSwitch>,
    timeline: Timeline,
    clock: Clock,
    stats: Arc<ChannelStats>,
    next: u64,
    dropped: u64,
}

impl EncoderInput {
    /// Takes frames for the channel that counts them in `stats`.
    pub(super) fn new(input: FrameInput, clock: Clock, stats: Arc<ChannelStats>) -> Self {
        let FrameInput { pool, tee, keys, switch, timeline } = input;
        Self { pool, tee, keys, switch, timeline, clock, stats, next: 0, dropped: 0 }
    }

    /// Sleeps until the next frame is due on the encoder's clock. A program with a clock of its own
    /// needs not call this.
    pub fn wait_for_tick(&self) {
        let due = self.timeline.start + self.timeline.rate.due(self.next);
        loop {
            let now = self.clock.now();
            if now >= due {
                return;
            }
            std::thread::park_timeout(Duration::from(due - now));
        }
    }

    /// An empty frame to draw into, or `None` while all are in use.
    #[must_use]
    pub fn take(&mut self) -> Option<Frame> {
        let frame = self.pool.take();
        if frame.is_none() {
            self.skip();
        }
        frame
    }

    /// Hands a frame to the encoder as the picture of now. It is dropped, and counted, if the
    /// encoder is behind.
    pub fn push(&mut self, frame: Frame) {
        let elapsed = self.clock.now().since(self.timeline.start);
        let tick = self.next.max(self.timeline.rate.tick_at(elapsed));
        self.next = tick + 1;
        let is_key = self.keys.is_due(tick, false, || self.switch.take_key_request());
        let whole = Damage::whole(frame.geometry().size());
        let now = self.clock.stamp();
        let mut stamps = Stamps::due(FrameId::new(self.stats.source(), tick), now);
        [Point::Started, Point::Composed].into_iter().for_each(|point| stamps.set(point, now));
        let drawn = Drawn::new(tick, tick).stamped(stamps, now);
        let is_seen =
            self.tee.admits(tick, is_key) && self.tee.push(&frame.freeze(), drawn, |_| whole);
        self.dropped += u64::from(!is_seen);
    }

    /// Frames that were dropped since the start.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn skip(&mut self) {
        self.dropped += 1;
        self.stats.dropped(DropReason::PoolEmpty, 1);
        self.next += 1;
    }
}
