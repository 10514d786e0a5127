//! Native renditions: the scene of a channel drawn once more at a rendition's own size, by a
//! composer and on a thread of its own, on the same ticks as the canvas.

use std::sync::Arc;
use std::time::Duration;

use super::tee::{Drawn, Tee};
use crate::frame::Pool;
use crate::media::{Point, Stamp, Stamps};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::{Clock, thread_id};
use crate::scene::{Change, Composed, Composer, Retired, Tick};
use crate::stats::{ChannelStats, Stage};
use crate::trace::{WORKER_RECORDS, begin_recording, record_stage};

/// Sizes that one channel is drawn at besides its canvas'.
pub const NATIVES_MAX: usize = 7;

/// Ticks that may wait for a native rendition: what the composer hands over at once when it catches
/// up. Further ones are left out there.
pub const NATIVE_QUEUE: usize = 8;

/// Scenes that are no longer shown and may wait for control. Further ones are dropped on the
/// rendition's own thread.
pub const NATIVE_RETIRED_QUEUE: usize = 8;

/// How long an idle thread sleeps before it looks again, should a ring of the bell be missed.
const IDLE: Duration = Duration::from_millis(500);

/// The same change of scene for each size that a channel is drawn at besides its canvas', in their
/// order.
pub type NativeChanges = [Option<Box<Change>>; NATIVES_MAX];

/// A tick of the channel on its way to a native rendition.
#[derive(Debug)]
pub struct NativeTick {
    tick: Tick,
    is_key: bool,
    stamps: Stamps,
    /// What is shown from this tick on.
    change: Option<Box<Change>>,
}

/// The composer's end of a native rendition.
#[derive(Debug)]
pub struct NativeBranch {
    ring: Sender<NativeTick>,
    /// What goes with the next tick that there is room for.
    change: Option<Box<Change>>,
    owes_key: bool,
}

impl NativeBranch {
    /// To the thread that takes these.
    #[must_use]
    pub const fn new(ring: Sender<NativeTick>) -> Self {
        Self { ring, change: None, owes_key: false }
    }

    /// Whether a change has not gone there yet.
    pub(super) fn is_changing(&self) -> bool {
        self.change.is_some() && !self.ring.is_closed()
    }

    /// Shows this from the next tick on.
    pub(super) fn change(&mut self, change: Option<Box<Change>>) {
        self.change = change;
    }

    /// Hands on a tick, if there is room; if not, the next one is a keyframe where it was to be,
    /// and takes the change along.
    pub(super) fn push(&mut self, tick: &Tick, is_key: bool, stamps: &Stamps) {
        let is_key = is_key || self.owes_key;
        let order = NativeTick { tick: *tick, is_key, stamps: *stamps, change: self.change.take() };
        match self.ring.push(order) {
            Ok(()) => self.owes_key = false,
            Err(order) => (self.owes_key, self.change) = (is_key, order.change),
        }
    }
}

/// What draws a native rendition.
pub struct NativeStage {
    /// Draws the scene at its size.
    pub composer: Composer,
    /// Where it draws.
    pub pool: Pool,
    /// To the encoders of that size.
    pub tee: Tee,
    /// Where scenes go that are no longer shown.
    pub retired: Sender<Retired>,
    /// Figures of the encoders.
    pub stats: Vec<Arc<ChannelStats>>,
    /// The node's clock.
    pub clock: Clock,
}

/// Draws until `ticks` ends. Runs on its own thread.
pub fn draw_native(mut ticks: Receiver<NativeTick>, bell: &Bell, mut stage: NativeStage) {
    begin_recording(thread_id(), WORKER_RECORDS);
    let mut next = None;
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        match ticks.pop() {
            Some(order) => {
                let n = order.tick.n;
                // Those before it were not run in time, or found no room.
                stage.tee.missed(next.unwrap_or(n)..n);
                next = Some(n + 1);
                stage.run(order);
            }
            None if ticks.is_finished() => return,
            None => bell.park(IDLE, || !ticks.is_empty() || ticks.is_finished()),
        }
    }
}

impl NativeStage {
    fn run(&mut self, NativeTick { tick, is_key, stamps, change }: NativeTick) {
        if let Some(change) = change {
            self.composer.change(*change);
        }
        if self.tee.admits(tick.n, is_key) {
            self.draw(&tick, &stamps);
        }
        while let Some(retired) = self.composer.take_retired() {
            drop(self.retired.push(retired));
        }
    }

    fn draw(&mut self, tick: &Tick, stamps: &Stamps) {
        let began = self.clock.now();
        let (composer, tee) = (&mut self.composer, &mut self.tee);
        match composer.compose(tick, &self.pool) {
            Composed::Fresh(frame) | Composed::Same(frame) => {
                let took = self.clock.now().since(began);
                self.stats.iter().for_each(|stats| stats.scale_seconds(took));
                let now = self.clock.stamp();
                scaled(&self.stats, stamps, now);
                let drawn = Drawn::new(tick.n, composer.mark()).stamped(*stamps, now);
                tee.push(&frame, drawn, |mark| composer.changed_since(mark));
            }
            Composed::NoFrame => tee.no_frame(),
        }
    }
}

/// A frame that the composer was done with has one of these renditions' sizes now.
pub(super) fn scaled(encoders: &[Arc<ChannelStats>], stamps: &Stamps, now: Stamp) {
    let took = now.since(stamps.at(Point::Composed));
    if stamps.is_some() {
        encoders.iter().for_each(|stats| stats.scaler_took(took));
        record_stage(Stage::Scale, stamps.frame, now, took);
    }
}

#[cfg(test)]
mod tests;
