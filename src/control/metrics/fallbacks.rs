//! Metrics of streams with a fallback: their families.

use std::fmt;

use super::page::Page;
use crate::media::FailoverState;
use crate::stats::Snapshot;

/// Writes what is told of them.
pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let all = &snapshot.fallbacks;
    page.gauge(
        "stream_fallback_state",
        "1 for what is shown of a stream with a fallback, 0 for the others",
        |family| {
            for it in all {
                for state in FailoverState::ALL {
                    let labels: [(&str, &str); 2] =
                        [("stream", &it.stream), ("state", state.label())];
                    family.sample(&labels, u64::from(it.state == state))?;
                }
            }
            Ok(())
        },
    )?;
    page.counter("stream_fallbacks_total", "Times that a fallback has been shown", |family| {
        all.iter().try_for_each(|it| family.sample(&[("stream", &it.stream)], it.breaks))
    })
}
