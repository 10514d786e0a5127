//! Output rules: how an output is treated, beyond where it goes, and what is changed of that while
//! it runs.

use serde::{Deserialize, Serialize};

use crate::media::Micros;
use crate::stream::DropPolicy;

/// When an output gives up messages, and when it gives up its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRules {
    /// When it drops; `None` means like every other reader of the node.
    pub drop: Option<DropPolicy>,
    /// Without any progress for this long the connection is closed and made anew.
    pub stall_timeout: Micros,
    /// Which tracks of a stream that has several it is sent.
    pub tracks: SentTracks,
    /// Whether it is sent a stream whose codecs the destination does not announce.
    pub codecs: SentCodecs,
    /// What it is told when the stream ends because its source was lost.
    pub on_gap: OnGap,
    /// How long after its arrival it is sent a message.
    pub delay: Micros,
}

/// Which tracks a destination is sent of a stream of several (Enhanced RTMP v2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SentTracks {
    /// All, if its answer to `connect` announces multitrack (`capsEx`); else the first alone.
    #[default]
    Auto,
    /// All, whatever it announces.
    All,
}

/// What a destination is told when a stream is over whose source has not said so: it was lost, and
/// has not come back in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnGap {
    /// Nothing: the connection closes, and the destination may hold its broadcast.
    #[default]
    Hold,
    /// That it is over, as when the source says so.
    End,
}

/// Which codecs a destination is sent (Enhanced RTMP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SentCodecs {
    /// Those that its answer to `connect` announces; else a rendition that stands in for the
    /// stream.
    #[default]
    Auto,
    /// All, whatever it announces.
    All,
}

impl OutputRules {
    /// Why a log of so many milliseconds is too short for its delay, if it is.
    #[must_use]
    pub fn delay_fault(&self, log_ms: u32) -> Option<String> {
        let seconds = self.delay.millis() / 1_000;
        let needed = seconds + u64::from(Self::DELAY_MARGIN_S);
        let is_short = seconds > 0 && u64::from(log_ms) < needed * 1_000;
        is_short.then(|| {
            format!(
                "`delay_s` ({seconds}) needs `log_seconds` of at least {needed} in [delivery], \
                 which is {}",
                log_ms / 1_000
            )
        })
    }

    /// Longest [`OutputRules::delay`], seconds: no log is longer.
    pub const DELAY_S_MAX: u32 = 118;

    /// What a log holds beyond the longest delay of those that read it, seconds: the keyframe that
    /// they start at is older than the delay.
    pub const DELAY_MARGIN_S: u32 = 2;

    /// [`OutputRules::stall_timeout`] if nobody says otherwise.
    pub const STALL_TIMEOUT: Micros = Micros::from_secs(8);
}

impl Default for OutputRules {
    fn default() -> Self {
        Self {
            drop: None,
            stall_timeout: Self::STALL_TIMEOUT,
            tracks: SentTracks::default(),
            codecs: SentCodecs::default(),
            on_gap: OnGap::default(),
            delay: Micros(0),
        }
    }
}

/// What is to become of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayChange {
    /// Each message is sent so long after it arrived; whole seconds.
    Set(Micros),
    /// What waits is never sent.
    Dump,
}

/// A wish about the delay of an output or a push.
#[derive(Clone, Debug)]
pub struct DelayAsk {
    /// The channel; `None` of a push.
    pub channel: Option<String>,
    /// The output or the push.
    pub name: String,
    /// What is wanted.
    pub change: DelayChange,
}
