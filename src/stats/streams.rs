//! Figures of single streams, of as many as the node is told to keep series for.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// One stream at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamFigures {
    /// Public name.
    pub name: String,
    /// Whether somebody feeds it.
    pub live: bool,
    /// Bits per second of its messages.
    pub in_bps: f64,
    /// Bits per second to its readers.
    pub out_bps: f64,
    /// Its viewers.
    pub viewers: u64,
    /// Seconds from keyframe to keyframe, if that is known.
    pub keyframe_interval_s: Option<f64>,
    /// Seconds that its pictures are ahead of its audio, if it has both.
    pub av_offset_s: Option<f64>,
    /// What was wrong with it last, in a word, and when, seconds since 1970.
    pub last_error: Option<(&'static str, f64)>,
}

/// The streams that have series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamSnapshot {
    /// By name.
    pub streams: Vec<StreamFigures>,
    /// Live streams that have none, because there are too many.
    pub left_out: u64,
}

/// What control writes once a second and anybody reads.
#[derive(Debug, Default)]
pub(super) struct StreamList(ArcSwap<StreamSnapshot>);

impl StreamList {
    pub(super) fn set(&self, streams: StreamSnapshot) {
        self.0.store(Arc::new(streams));
    }

    pub(super) fn read(&self) -> StreamSnapshot {
        StreamSnapshot::clone(&self.0.load())
    }
}
