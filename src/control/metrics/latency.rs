//! Metrics of latency: the stages of all frames, by the threads that count them, and what the
//! machine's time of day is worth.

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
    })?;
    // Of a kernel that does not say there are no samples.
    let state = registry.origin.state();
    let help = "1 while something keeps the machine's time of day, such as NTP, else 0";
    page.gauge("clock_synchronised", help, |family| {
        state.map_or(Ok(()), |it| family.sample(&[], u64::from(it.is_synchronised)))
    })?;
    let help = "How wrong the machine's time of day may be at most, if something keeps it";
    page.gauge("clock_error_max_seconds", help, |family| {
        state.map_or(Ok(()), |it| family.sample(&[], it.error_max.secs_f64()))
    })
}
