//! Figures of streams with a fallback: which of the two is shown, since when, and how often.

use crate::media::{FailoverState, Micros};

/// A stream with a fallback as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FallbackEntry {
    /// Its public name.
    pub stream: String,
    /// The stream that is published.
    pub source: String,
    /// Which is shown.
    pub state: FailoverState,
    /// Since when.
    pub since: Option<Micros>,
    /// Whether the fallback could be shown now.
    pub is_ready: bool,
    /// Why it could not, or not all of it; empty if it can.
    pub reason: String,
    /// Times that the fallback has been shown.
    pub breaks: u64,
    /// For how long in all, but for now.
    pub shown: Micros,
}
