//! Figures of inputs that rules watch: what is wrong with them, since when, and how often.

use crate::media::Micros;

/// An input that a rule of a channel watches, as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputRuleEntry {
    /// The channel.
    pub channel: String,
    /// The published stream.
    pub stream: String,
    /// The scene that is shown while it is faulty.
    pub scene: String,
    /// What is wrong with it, such as `frozen`.
    pub fault: Option<&'static str>,
    /// Since when that is so, or nothing is wrong.
    pub since: Option<Micros>,
    /// The scene that comes back once it is good again, while it is replaced.
    pub replaced: Option<String>,
    /// Times that it has been faulty.
    pub faults: u64,
}
