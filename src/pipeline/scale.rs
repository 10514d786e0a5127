//! The scale stage: a plain thread that takes a channel's frames and hands them, at another size,
//! to the encoders of that size.

use std::sync::Arc;
use std::time::Duration;

use super::native::scaled;
use super::tee::{Drawn, RawFrame, Tee};
use crate::frame::Pool;
use crate::ring::{Bell, Receiver};
use crate::runtime::{Clock, thread_id};
use crate::scene::Scaler;
use crate::stats::ChannelStats;
use crate::trace::{WORKER_RECORDS, begin_recording};

/// Frames that may wait for a scaler: what the composer hands over at once when it catches up.
pub const SCALE_QUEUE: usize = 8;

/// How long an idle scaler sleeps before it looks again, should a ring of the bell be missed.
const IDLE: Duration = Duration::from_millis(500);

/// Where scaled frames go.
pub struct ScaleOut {
    /// To the encoders.
    pub tee: Tee,
    /// Where they are drawn.
    pub pool: Pool,
    /// Figures of the encoders.
    pub stats: Vec<Arc<ChannelStats>>,
    /// The node's clock.
    pub clock: Clock,
}

/// Scales until `frames` ends. Runs on its own thread.
pub fn scale(mut frames: Receiver<RawFrame>, bell: &Bell, mut scaler: Scaler, mut out: ScaleOut) {
    begin_recording(thread_id(), WORKER_RECORDS);
    loop {
        #[cfg(test)]
        crate::runtime::fault::point();
        match frames.pop() {
            Some(raw) => scale_one(&raw, &mut scaler, &mut out),
            None if frames.is_finished() => return,
            None => bell.park(IDLE, || !frames.is_empty() || frames.is_finished()),
        }
    }
}

fn scale_one(raw: &RawFrame, scaler: &mut Scaler, out: &mut ScaleOut) {
    scaler.change(&raw.changed);
    if !out.tee.admits(raw.tick, raw.is_key) {
        return;
    }
    let began = out.clock.now();
    let Some(frame) = scaler.scale(&raw.frame, &out.pool) else { return out.tee.no_frame() };
    let took = out.clock.now().since(began);
    out.stats.iter().for_each(|stats| stats.scale_seconds(took));
    // An encoder redraws nothing: what has changed is of no use to it.
    let now = out.clock.stamp();
    scaled(&out.stats, &raw.stamps, now);
    let drawn = Drawn::new(raw.tick, 0).at(raw.at).stamped(raw.stamps, now);
    out.tee.push(&frame, drawn, |_| raw.changed);
}

#[cfg(test)]
mod tests;
