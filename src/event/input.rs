//! Input events: a stream that a rule watches is faulty, or good again.

use std::fmt;

use super::printable::Printable;
use super::severity::Severity;

/// Something happened to an input that a rule of a channel watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputEvent {
    /// The channel.
    pub channel: String,
    /// The published stream.
    pub stream: String,
    /// What happened.
    pub what: InputEventKind,
    /// What is wrong, such as `frozen`; empty where nothing is.
    pub code: &'static str,
    /// What was found, and what can be done.
    pub reason: String,
}

/// What happens to inputs that rules watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEventKind {
    /// Something is wrong with it.
    Faulty,
    /// It is good again.
    Healthy,
    /// Another scene could not be shown in its place.
    Failed,
}

impl InputEvent {
    pub(super) const fn severity(&self) -> Severity {
        match self.what {
            InputEventKind::Faulty | InputEventKind::Failed => Severity::Warn,
            InputEventKind::Healthy => Severity::Info,
        }
    }

    pub(super) const fn event_name(&self) -> &'static str {
        match self.what {
            InputEventKind::Faulty => "input_faulty",
            InputEventKind::Healthy => "input_healthy",
            InputEventKind::Failed => "input_rule_failed",
        }
    }
}

impl fmt::Display for InputEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, reason) = (Printable(&self.stream), Printable(&self.reason));
        write!(f, "channel {}: input {stream} {reason}", self.channel)
    }
}
