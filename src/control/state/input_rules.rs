//! State of inputs that rules watch: what is wrong with them, since when, and how often.

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::time::Time;
use crate::stats::InputRuleEntry;

/// An input that a rule of a channel watches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct InputRule {
    /// The channel.
    pub channel: String,
    /// The published stream.
    pub stream: String,
    /// The scene that is shown while it is faulty.
    pub scene: String,
    /// Whether nothing is wrong with it.
    pub healthy: bool,
    /// What is: `lost`, `stalled`, `no_pictures`, `low_bitrate`, `black`, `frozen`, `silent` or
    /// `clipping`.
    pub fault: Option<String>,
    /// Since when that is so, or nothing is wrong, milliseconds since 1970.
    pub since_at: Option<u64>,
    /// The scene that comes back once it is good again, while it is replaced.
    pub replaced: Option<String>,
    /// Times that it has been faulty.
    pub faults: u64,
}

/// All of them, by channel and stream.
pub(super) fn show(entries: &[InputRuleEntry], time: &Time) -> Vec<InputRule> {
    let shown = |it: &InputRuleEntry| InputRule {
        channel: it.channel.clone(),
        stream: it.stream.clone(),
        scene: it.scene.clone(),
        healthy: it.fault.is_none(),
        fault: it.fault.map(str::to_owned),
        since_at: it.since.map(|since| time.unix_ms(since)),
        replaced: it.replaced.clone(),
        faults: it.faults,
    };
    let mut all: Vec<_> = entries.iter().map(shown).collect();
    all.sort_by(|a, b| (&a.channel, &a.stream).cmp(&(&b.channel, &b.stream)));
    all
}
