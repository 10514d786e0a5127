//! Figures as the API shows them: latencies, and counts by name.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::stats::HistogramFigures;

/// Upper bounds, milliseconds: at most half again too large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// Half of all are within it.
    pub p50: f64,
    /// 99 of 100 are within it.
    pub p99: f64,
}

impl Latency {
    /// What `figures` say; nothing if they are empty.
    #[must_use]
    pub fn of(figures: &HistogramFigures) -> Option<Self> {
        let ms = |quantile| figures.quantile(quantile).map(|seconds| seconds * 1e3);
        Some(Self { p50: ms(0.5)?, p99: ms(0.99)? })
    }
}

/// Counts by the names of what they count.
pub fn named<const N: usize>(labels: [&str; N], counts: [u64; N]) -> BTreeMap<String, u64> {
    labels.map(str::to_owned).into_iter().zip(counts).collect()
}
