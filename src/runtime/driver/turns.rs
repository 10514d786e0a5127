//! Turns of a shard's loop: when each begins and ends, for the watchdog and the flight recorder.

use std::sync::Arc;

use crate::media::{Micros, Stamp};
use crate::runtime::thread_id;
use crate::stats::{LoopActivity, LoopRun};
use crate::trace::{CORE_RECORDS, begin_recording, record_turn};

/// The turns of this thread's loop.
#[derive(Debug)]
pub(super) struct Turns {
    run: LoopRun,
    /// Of the one that goes on.
    began: Option<Micros>,
}

impl Turns {
    /// This thread runs the loop from here on.
    pub(super) fn of(activity: &Arc<LoopActivity>) -> Self {
        begin_recording(thread_id(), CORE_RECORDS);
        Self { run: activity.run_by(thread_id()), began: None }
    }

    /// A turn begins.
    pub(super) fn begin(&mut self, now: Micros) {
        self.began = Some(now);
        self.run.begin(now);
    }

    /// It has ended.
    pub(super) fn end(&mut self, now: Micros) {
        self.run.end(now);
        if let Some(began) = self.began.take() {
            record_turn(Stamp::of(now), now.since(began));
        }
    }
}
