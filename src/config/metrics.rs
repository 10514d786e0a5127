//! Metrics settings, `[metrics]`: the most streams that have series of their own.

use super::fault::Faults;
use super::section::Section;

/// `[metrics]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Streams that have series of their own.
    pub streams_max: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { streams_max: 200 }
    }
}

/// Reads `[metrics]`.
pub(super) fn read(mut s: Section<'_>, faults: &mut Faults<'_>) -> MetricsConfig {
    let default = MetricsConfig::default();
    let streams_max = s.whole(faults, "streams_max", 0..=10_000);
    s.finish(faults);
    MetricsConfig { streams_max: streams_max.map_or(default.streams_max, |n: u32| n as usize) }
}
