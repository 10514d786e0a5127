//! Families of samples in the text format, under the exact names they are given.
//!
//! The crate's counters append `_total` to a name and describe them without it, as `OpenMetrics`
//! wants. Format 0.0.4 wants one name in both places, so every plain sample is written by the
//! crate's gauge encoder, which leaves names alone, and described with its true type.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, GaugeValueEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::stats::HistogramFigures;

/// The page being written.
pub(super) struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A family of numbers that only grow.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family((name, help), MetricType::Counter, samples)
    }

    /// A family of numbers that go up and down.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family((name, help), MetricType::Gauge, samples)
    }

    /// A family of distributions.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        samples: impl FnOnce(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.family((name, help), MetricType::Histogram, samples)
    }

    fn family(
        &mut self,
        (name, help): (&str, &str),
        kind: MetricType,
        samples: impl FnOnce(&mut Family<'_>) -> fmt::Result,
    ) -> fmt::Result {
        samples(&mut Family(self.0.encode_descriptor(name, help, None, kind)?))
    }
}

/// One family: samples that differ in their labels.
pub(super) struct Family<'a>(MetricEncoder<'a>);

impl Family<'_> {
    /// One number.
    pub(super) fn sample(
        &mut self,
        labels: &[(&str, &str)],
        value: impl Into<Value>,
    ) -> fmt::Result {
        let value = value.into();
        if labels.is_empty() {
            return self.0.encode_gauge(&value);
        }
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }

    /// A number for each value of one label.
    pub(super) fn each<const N: usize>(
        &mut self,
        label: &str,
        values: [&str; N],
        counts: [u64; N],
    ) -> fmt::Result {
        values
            .into_iter()
            .zip(counts)
            .try_for_each(|(value, count)| self.sample(&[(label, value)], count))
    }

    /// One distribution.
    pub(super) fn distribution(
        &mut self,
        labels: &[(&str, &str)],
        figures: &HistogramFigures,
    ) -> fmt::Result {
        let buckets: Vec<_> = figures.buckets().collect();
        self.buckets(labels, &buckets, (figures.sum_s(), figures.count()))
    }

    /// One distribution: the upper bound of each bucket and how many fell into it, and the sum and
    /// the number of all.
    pub(super) fn buckets(
        &mut self,
        labels: &[(&str, &str)],
        buckets: &[(f64, u64)],
        (sum, count): (f64, u64),
    ) -> fmt::Result {
        let mut family = self.0.encode_family(&labels)?;
        family.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }
}

/// The value of a sample. Counts are kept whole, whatever their size.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Count(u64),
    Measure(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(measure: f64) -> Self {
        Self::Measure(measure)
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => count.encode(encoder),
            Self::Measure(measure) => measure.encode(encoder),
        }
    }
}
