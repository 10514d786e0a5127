//! State of streams with a fallback: which of the two is shown, since when, and how often.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::time::Time;
use crate::stats::FallbackEntry;

/// A stream with a fallback.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Fallback {
    /// Its public name.
    pub stream: String,
    /// The stream that is published, as it is.
    pub source: String,
    /// `idle` (there is no source), `source`, `fallback` or `returning` (the fallback, while the
    /// source is good again, but has not been for long enough).
    pub state: String,
    /// Since when the source, or the fallback, is shown, milliseconds since 1970.
    pub since_at: Option<u64>,
    /// Whether the fallback could be shown now.
    pub ready: bool,
    /// Why it could not, or not all of it.
    pub error: Option<String>,
    /// Times that it has been shown.
    pub breaks: u64,
    /// For how long in all, up to the last return of the source, milliseconds.
    pub shown_ms: u64,
}

/// All of them by the public names of their streams.
pub(super) fn show(entries: &[FallbackEntry], time: &Time) -> BTreeMap<String, Fallback> {
    let shown = |it: &FallbackEntry| Fallback {
        stream: it.stream.clone(),
        source: it.source.clone(),
        state: it.state.label().to_owned(),
        since_at: it.since.map(|since| time.unix_ms(since)),
        ready: it.is_ready,
        error: (!it.reason.is_empty()).then(|| it.reason.clone()),
        breaks: it.breaks,
        shown_ms: it.shown.millis(),
    };
    entries.iter().map(|it| (it.stream.clone(), shown(it))).collect()
}
