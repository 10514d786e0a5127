//! Fallback events: a stream is broken and filled in for, or good again.

use std::fmt;

use super::printable::Printable;
use super::severity::Severity;

/// Something happened to a stream with a fallback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallbackEvent {
    /// Its public name.
    pub stream: String,
    /// What happened.
    pub what: FallbackNews,
    /// Why, and what can be done.
    pub reason: String,
}

/// What happens to streams with a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackNews {
    /// The fallback is shown from now on.
    Started,
    /// The stream is shown again.
    Ended,
    /// The fallback cannot be shown, or not all of it.
    Failed,
}

impl FallbackEvent {
    pub(super) const fn severity(&self) -> Severity {
        match self.what {
            FallbackNews::Started | FallbackNews::Failed => Severity::Warn,
            FallbackNews::Ended => Severity::Info,
        }
    }

    pub(super) const fn event_name(&self) -> &'static str {
        match self.what {
            FallbackNews::Started => "fallback_started",
            FallbackNews::Ended => "fallback_ended",
            FallbackNews::Failed => "fallback_failed",
        }
    }
}

impl fmt::Display for FallbackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            FallbackNews::Started => "its fallback is shown",
            FallbackNews::Ended => "it is shown again",
            FallbackNews::Failed => "its fallback cannot be shown",
        };
        write!(f, "stream {}: {what}: {}", Printable(&self.stream), Printable(&self.reason))
    }
}
