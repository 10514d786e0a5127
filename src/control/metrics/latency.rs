//! Metrics of latency: the stages of all frames, by the threads that count them.

use std::fmt;

use super::page::Page;
use crate::media::Micros;
use crate::stats::Registry;

/// Writes what is told of each thread and stage. All nodes have the same buckets: theirs add up.
pub(super) fn write(page: &mut Page<'_>, registry: &Registry) -> fmt::Result {
    let reading = registry.read_latency(Micros(0));
    let help = "Time of frames and messages in a stage, from when it was to begin";
    page.histogram("frame_stage_seconds", help, |family| {
        for (thread, figures) in &reading.threads {
            for (stage, figures) in figures.each() {
                let labels: [(&str, &str); 2] = [("thread", thread), ("stage", stage.label())];
                let buckets: Vec<_> = figures.octaves().collect();
                let sum = figures.sum().secs_f64();
                family.buckets(&labels, &buckets, (sum, figures.count()))?;
            }
        }
        Ok(())
    })
}
