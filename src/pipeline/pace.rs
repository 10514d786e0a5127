//! Pace of a channel's video encoder: its governor at work, and the figures about it.

use std::sync::Arc;

use super::channel::Timeline;
use crate::encode::{Change, Error, Governor, Reason, Sample, VideoEncoder, VideoSpec};
use crate::media::Micros;
use crate::stats::{ChannelStats, SpeedChange, SpeedReason};

/// Intervals between two pictures after which a picture should be encoded, from when it was due.
const LATE_INTERVALS: u64 = 2;

/// Which pictures an encoder is given and how fast it encodes them.
pub(super) struct Pace {
    /// `None` if the speed is fixed.
    governor: Option<Governor>,
    timeline: Timeline,
    stats: Arc<ChannelStats>,
    /// Whether the next picture is the first at another frame rate.
    is_other_rate: bool,
    /// Pictures that the encoder still only takes in, which costs no time worth measuring.
    taken_in: u32,
}

impl Pace {
    /// Of an encoder that has just been opened for `spec`: it begins with its fastest speed if
    /// that is not fixed.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_speed`].
    pub(super) fn new(
        (spec, timeline): (&VideoSpec, Timeline),
        encoder: &mut dyn VideoEncoder,
        stats: &Arc<ChannelStats>,
        now: Micros,
    ) -> Result<Self, Error> {
        let is_auto = spec.fastest_preset.is_some();
        let speeds = if is_auto { encoder.speeds() } else { &[] };
        let governor = is_auto.then(|| Governor::new(spec.rate, speeds, now));
        stats.speeds(speeds.iter().map(|speed| speed.preset).collect(), 0);
        if !speeds.is_empty() {
            encoder.set_speed(0)?;
        }
        let (stats, taken_in) = (Arc::clone(stats), encoder.delay_frames());
        Ok(Self { governor, timeline, stats, is_other_rate: false, taken_in })
    }

    /// Whether the picture of `tick` is encoded at the present frame rate.
    pub(super) fn admits(&self, tick: u64) -> bool {
        self.governor.as_ref().is_none_or(|governor| governor.admits(tick))
    }

    /// Whether the picture that is encoded next is the first at another frame rate, once.
    pub(super) fn take_other_rate(&mut self) -> bool {
        std::mem::take(&mut self.is_other_rate)
    }

    /// The picture of `tick` has been through the encoder; `waiting` wait for it.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_speed`].
    pub(super) fn encoded(
        &mut self,
        encoder: &mut dyn VideoEncoder,
        tick: u64,
        sample: Sample,
    ) -> Result<(), Error> {
        let setting = self.governor.as_ref().map(Governor::setting);
        let interval = setting.map_or(1, |setting| u64::from(setting.divisor));
        let wanted = self.timeline.rate.due(tick + LATE_INTERVALS * interval);
        if sample.now > self.timeline.start + wanted {
            self.stats.encoded_late();
        }
        if self.taken_in > 0 {
            self.taken_in -= 1;
            return Ok(());
        }
        let change = self.governor.as_mut().and_then(|governor| governor.picture(sample));
        let Some(Change { from, to, reason }) = change else { return Ok(()) };
        if from.step != to.step {
            encoder.set_speed(to.step)?;
        }
        self.is_other_rate |= from.divisor != to.divisor;
        self.stats.speed_changed(SpeedChange {
            at: sample.now,
            step: u8::try_from(to.step).unwrap_or(u8::MAX),
            divisor: u8::try_from(to.divisor).unwrap_or(u8::MAX),
            is_of_rate: from.divisor != to.divisor,
            reason: match reason {
                Reason::Queue => SpeedReason::Queue,
                Reason::EncodeTime => SpeedReason::EncodeTime,
                Reason::Headroom => SpeedReason::Headroom,
            },
        });
        Ok(())
    }
}
