//! Metrics of inputs that rules watch: their families.

use std::fmt;

use super::page::Page;
use crate::stats::Snapshot;

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let all = &snapshot.input_rules;
    page.gauge("input_faulty", "1 for an input with a rule that is faulty", |family| {
        all.iter().try_for_each(|it| {
            let labels: [(&str, &str); 2] = [("channel", &it.channel), ("stream", &it.stream)];
            family.sample(&labels, u64::from(it.fault.is_some()))
        })
    })?;
    page.counter("input_faults_total", "Times that an input with a rule was faulty", |family| {
        all.iter().try_for_each(|it| {
            let labels: [(&str, &str); 2] = [("channel", &it.channel), ("stream", &it.stream)];
            family.sample(&labels, it.faults)
        })
    })
}
