//! The families of the loops that are watched.

use std::fmt;

use super::page::Page;
use crate::stats::{LoopEntry, StallCause};

/// Writes what is told of each loop.
pub(super) fn write(page: &mut Page<'_>, loops: &[LoopEntry]) -> fmt::Result {
    let figures: Vec<_> = loops.iter().map(|it| (&it.name, it.activity.read())).collect();
    let help = "Longest time since start that a loop took for one turn";
    page.gauge("loop_turn_seconds_max", help, |family| {
        let mut figures = figures.iter();
        figures.try_for_each(|(name, figures)| {
            family.sample(&[("thread", name)], figures.longest.secs_f64())
        })
    })?;
    let help = "Turns that took too long: the thread ran, had no CPU, was in a call, or was unseen";
    page.counter("loop_stalls_total", help, |family| {
        let mut samples = figures.iter().flat_map(|(name, figures)| {
            let causes = StallCause::ALL.iter().zip(figures.stalls);
            causes.map(move |(cause, count)| (name, cause.label(), count))
        });
        samples.try_for_each(|(name, cause, count)| {
            family.sample(&[("thread", name), ("cause", cause)], count)
        })
    })
}
