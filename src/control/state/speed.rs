//! Speed of a channel's encoder, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::time::Time;
use crate::stats::{ChannelFacts, SpeedFigures};

/// How fast a channel's encoder encodes, and how many of its frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Speed {
    /// `auto`: as fast as it has to be; `fixed`: always as `preset` says.
    pub mode: String,
    /// The preset that it is like now; empty if its speed cannot be changed.
    pub preset: String,
    /// Place of that preset among those it may use, 0 being the fastest.
    pub step: u64,
    /// Presets that it may use; 0 if its speed cannot be changed.
    pub steps: u64,
    /// One frame of so many is encoded.
    pub fps_divisor: u64,
    /// Frames encoded more than two of their intervals after they were due, since start.
    pub late_frames: u64,
    /// Why it is what it is: of the last change, `queue` (frames waited), `encode_time` (nearly all
    /// the time between two frames) or `headroom` (there was time for better).
    pub reason: Option<String>,
    /// The last changes, at most 8, newest first.
    pub changes: Vec<SpeedChange>,
}

/// A change of a channel's encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpeedChange {
    /// When, milliseconds since 1970.
    pub at: u64,
    /// The preset that it is like since then; empty if its speed cannot be changed.
    pub preset: String,
    /// One frame of so many is encoded since then.
    pub fps_divisor: u64,
    /// Why: as above.
    pub reason: String,
}

impl Speed {
    /// What these figures of a channel say.
    #[must_use]
    pub fn of(facts: &ChannelFacts, figures: &SpeedFigures, time: &Time) -> Self {
        let changes = figures.changes.iter().rev().flatten().map(|(change, preset)| SpeedChange {
            at: time.unix_ms(change.at),
            preset: (*preset).to_owned(),
            fps_divisor: change.divisor.into(),
            reason: change.reason.label().to_owned(),
        });
        let changes: Vec<_> = changes.collect();
        Self {
            mode: if facts.is_speed_fixed { "fixed" } else { "auto" }.to_owned(),
            preset: figures.preset.to_owned(),
            step: figures.step,
            steps: figures.steps,
            fps_divisor: figures.divisor.max(1),
            late_frames: figures.late,
            reason: changes.first().map(|change| change.reason.clone()),
            changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use crate::stats::{ChannelStats, SpeedReason};

    #[test]
    fn the_newest_change_comes_first_and_says_why_it_is_as_it_is() {
        let stats = ChannelStats::default();
        stats.speeds(vec!["superfast", "veryfast"], 0);
        for (s, step, reason) in [(1, 1, SpeedReason::Headroom), (9, 0, SpeedReason::EncodeTime)] {
            let at = Micros::from_secs(s);
            let change =
                crate::stats::SpeedChange { at, step, divisor: 1, is_of_rate: false, reason };
            stats.speed_changed(change);
        }
        let time = Time::new(5_000, || Micros::from_secs(10));
        let speed = Speed::of(&ChannelFacts::default(), &stats.read().speed, &time);
        assert_eq!((&speed.mode[..], &speed.preset[..], speed.steps), ("auto", "superfast", 2));
        assert_eq!((speed.reason.as_deref(), speed.fps_divisor), (Some("encode_time"), 1));
        let changes: Vec<_> = speed.changes.iter().map(|it| (it.at, &it.preset[..])).collect();
        assert_eq!(changes, [(14_000, "superfast"), (6_000, "veryfast")]);
    }
}
