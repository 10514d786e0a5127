//! Speed of a channel's encoder, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::control::time::Time;
use crate::media::Size;
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
    /// Width of the pictures now, pixels.
    pub width: u32,
    /// Height of the pictures now, pixels.
    pub height: u32,
    /// Frames encoded more than two of their intervals after they were due, since start.
    pub late_frames: u64,
    /// Why it is what it is: of the last change, `queue` (frames waited), `encode_time` (nearly all
    /// the time between two frames), `priority` (a channel of higher priority had too little time)
    /// or `headroom` (there was time for better).
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
    /// Width of the pictures since then, pixels.
    pub width: u32,
    /// Height of the pictures since then, pixels.
    pub height: u32,
    /// Why: as above.
    pub reason: String,
}

impl Speed {
    /// What these figures of a channel say.
    #[must_use]
    pub fn of(facts: &ChannelFacts, figures: &SpeedFigures, time: &Time) -> Self {
        let sides = |size: Option<Size>| {
            size.map_or((facts.width, facts.height), |size| (size.width(), size.height()))
        };
        let changes = figures.changes.iter().rev().flatten().map(|(change, preset, size)| {
            let (width, height) = sides(*size);
            SpeedChange {
                at: time.unix_ms(change.at),
                preset: (*preset).to_owned(),
                fps_divisor: change.divisor.into(),
                width,
                height,
                reason: change.reason.label().to_owned(),
            }
        });
        let (width, height) = sides(figures.size);
        let changes: Vec<_> = changes.collect();
        Self {
            mode: if facts.is_speed_fixed { "fixed" } else { "auto" }.to_owned(),
            preset: figures.preset.to_owned(),
            step: figures.step,
            steps: figures.steps,
            fps_divisor: figures.divisor.max(1),
            width,
            height,
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
    use crate::stats::{Changed, ChannelStats, SpeedReason};

    #[test]
    fn the_newest_change_comes_first_and_says_why_it_is_as_it_is() {
        let stats = ChannelStats::default();
        stats.speeds(vec!["superfast", "veryfast"], 0);
        stats.sizes([(64, 32), (48, 24)].map(|(w, h)| Size::new(w, h).unwrap()).into(), 0, 1);
        for (s, step, reason) in [(1, 1, SpeedReason::Headroom), (9, 0, SpeedReason::EncodeTime)] {
            let at = Micros::from_secs(s);
            let (size, changed) = (1 - step, Changed::Size);
            let change = crate::stats::SpeedChange { at, step, divisor: 1, size, changed, reason };
            stats.speed_changed(change);
        }
        let time = Time::new(5_000, || Micros::from_secs(10));
        let speed = Speed::of(&ChannelFacts::default(), &stats.read().speed, &time);
        assert_eq!((&speed.mode[..], &speed.preset[..], speed.steps), ("auto", "superfast", 2));
        assert_eq!((speed.reason.as_deref(), speed.fps_divisor), (Some("encode_time"), 1));
        assert_eq!((speed.width, speed.height), (48, 24));
        let changes: Vec<_> =
            speed.changes.iter().map(|it| (it.at, &it.preset[..], it.width, it.height)).collect();
        assert_eq!(changes, [(14_000, "superfast", 48, 24), (6_000, "veryfast", 64, 32)]);
    }
}
