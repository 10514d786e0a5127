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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Speed, VideoSink};
    use crate::frame::FrozenFrame;
    use crate::media::{FrameRate, PixelFormat, Size, VideoCodec};

    const SPEEDS: [Speed; 2] =
        [Speed { preset: "superfast", cost: 100 }, Speed { preset: "veryfast", cost: 131 }];

    /// An encoder that writes down its speeds.
    #[derive(Default)]
    struct Steps {
        chosen: Vec<usize>,
        delay: u32,
    }

    impl VideoEncoder for Steps {
        fn name(&self) -> &'static str {
            "steps"
        }
        fn header(&self) -> &[u8] {
            &[]
        }
        fn delay_frames(&self) -> u32 {
            self.delay
        }
        fn encode(
            &mut self,
            _: FrozenFrame,
            _: i64,
            _: bool,
            _: &mut dyn VideoSink,
        ) -> Result<(), Error> {
            Ok(())
        }
        fn flush(&mut self, _: &mut dyn VideoSink) -> Result<(), Error> {
            Ok(())
        }
        fn forces_keyframes(&self) -> bool {
            true
        }

        fn set_bitrate(&mut self, _: u32) -> Result<(), Error> {
            Ok(())
        }
        fn speeds(&self) -> &[Speed] {
            &SPEEDS
        }
        fn set_speed(&mut self, step: usize) -> Result<(), Error> {
            self.chosen.push(step);
            Ok(())
        }
    }

    fn spec(fastest_preset: Option<&str>) -> VideoSpec {
        VideoSpec {
            codec: VideoCodec::H264,
            encoder: None,
            device: None,
            size: Size::new(64, 64).unwrap(),
            rate: FrameRate::FPS_30,
            format: PixelFormat::I420,
            bitrate_bps: 800_000,
            preset: "veryfast".to_owned(),
            fastest_preset: fastest_preset.map(str::to_owned),
            tune: String::new(),
            profile: String::new(),
            gop_frames: 60,
            b_frames: 0,
            threads: 1,
        }
    }

    /// A channel that begins at second 10, and what is known of it.
    struct Channel {
        pace: Pace,
        encoder: Steps,
        stats: Arc<ChannelStats>,
    }

    const START: Micros = Micros::from_secs(10);

    impl Channel {
        fn new(fastest_preset: Option<&str>, delay: u32) -> Self {
            let mut encoder = Steps { delay, ..Steps::default() };
            let stats = Arc::default();
            let timeline = Timeline { rate: FrameRate::FPS_30, start: START };
            let spec = (&spec(fastest_preset), timeline);
            let pace = Pace::new(spec, &mut encoder, &stats, START).unwrap();
            Self { pace, encoder, stats }
        }

        /// Encodes the ticks that are admitted: each takes so long, and so many wait after it.
        fn encode(&mut self, ticks: std::ops::Range<u64>, took: Micros, waiting: usize) {
            for tick in ticks.filter(|tick| self.pace.admits(*tick)).collect::<Vec<_>>() {
                let now = START + FrameRate::FPS_30.due(tick) + took;
                let sample = Sample { now, took, waiting };
                self.pace.encoded(&mut self.encoder, tick, sample).unwrap();
            }
        }
    }

    #[test]
    fn a_fixed_speed_is_left_alone_and_all_pictures_are_encoded_however_late() {
        let mut channel = Channel::new(None, 0);
        channel.encode(0..100, Micros::from_millis(90), 20);
        assert!(channel.encoder.chosen.is_empty() && channel.pace.admits(7));
        assert!(!channel.pace.take_other_rate());
        let speed = channel.stats.read().speed;
        assert_eq!((speed.steps, speed.preset, speed.late), (0, "", 100));
    }

    #[test]
    fn it_begins_with_the_fastest_and_climbs_once_the_encoder_has_something_to_do() {
        let mut channel = Channel::new(Some("superfast"), 40);
        assert_eq!(channel.encoder.chosen, [0]);
        let quick = Micros::from_millis(5);
        channel.encode(0..40, quick, 0);
        assert_eq!(channel.encoder.chosen, [0], "it has only taken them in");
        channel.encode(40..80, quick, 0);
        assert_eq!(channel.encoder.chosen, [0, 1]);
        let speed = channel.stats.read().speed;
        assert_eq!((speed.step, speed.steps, speed.preset), (1, 2, "veryfast"));
        assert_eq!((speed.slower, speed.faster, speed.late), (1, 0, 0));
        assert_eq!(speed.changes[0].unwrap().0.reason, SpeedReason::Headroom);
    }

    #[test]
    fn another_frame_rate_begins_with_a_cut_and_leaves_out_ticks() {
        let mut channel = Channel::new(Some("superfast"), 0);
        channel.encode(0..100, Micros::from_millis(40), 8);
        assert!(channel.pace.take_other_rate() && !channel.pace.take_other_rate());
        let speed = channel.stats.read().speed;
        let (change, preset) = speed.changes.iter().flatten().next().unwrap();
        assert_eq!((change.is_of_rate, *preset), (true, "superfast"));
        assert!(speed.divisor > 1);
        assert_eq!((0..100).filter(|tick| channel.pace.admits(*tick)).count() as u64, {
            100_u64.div_ceil(speed.divisor)
        });
        assert!(channel.encoder.chosen.iter().all(|step| *step == 0));
    }

    #[test]
    fn a_picture_is_late_two_intervals_after_it_was_due() {
        let mut channel = Channel::new(Some("superfast"), 1_000);
        channel.encode(0..10, Micros::from_millis(66), 0);
        assert_eq!(channel.stats.read().speed.late, 0);
        channel.encode(10..20, Micros::from_millis(67), 0);
        assert_eq!(channel.stats.read().speed.late, 10);
    }
}
