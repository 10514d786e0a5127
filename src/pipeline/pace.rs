//! Pace of a channel's video encoder: its governor at work, and the figures about it.

use std::sync::Arc;

use super::channel::Timeline;
use super::tee::Share;
use crate::encode::{
    Change, Error, FallbackEncoder, Governor, Neighbours, Priority, Reason, Sample, Setting,
    SharedCpu, VideoEncoder, VideoSpec,
};
use crate::media::Micros;
use crate::stats::{Changed, ChannelStats, SpeedChange, SpeedReason};

/// Intervals between two pictures after which a picture should be encoded, from when it was due.
const LATE_INTERVALS: u64 = 2;

/// What the encoders of a node share of its CPUs, and the part of one of them.
#[derive(Clone, Debug, Default)]
pub struct CpuShare {
    /// All of them.
    pub cpu: Arc<SharedCpu>,
    /// Whom it gives way to.
    pub priority: Priority,
}

/// An encoder, and a picture that has been through it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded {
    /// Number of the picture.
    pub(super) tick: u64,
    /// When it was done.
    pub(super) now: Micros,
    /// Time in the encoder.
    pub(super) took: Micros,
    /// Frames that wait for it.
    pub(super) waiting: usize,
}

/// Which pictures an encoder is given, how large they are and how fast it encodes them.
pub(super) struct Pace {
    /// `None` if the speed is fixed.
    governor: Option<Governor>,
    timeline: Timeline,
    stats: Arc<ChannelStats>,
    shared: CpuShare,
    /// Where it says how many pictures it leaves out.
    share: Share,
    /// Whether the next picture is the first at another frame rate.
    is_other_rate: bool,
    /// The size that pictures have from the next one on, if that is another.
    other_size: Option<usize>,
    /// Frames in the ring that were put there at another frame rate, and its divisor.
    mixed: (usize, u32),
    /// Pictures that the encoder still only takes in, which costs no time worth measuring.
    taken_in: u32,
}

impl Pace {
    /// Of an encoder for `spec`, which has yet to be opened.
    pub(super) fn new(
        (spec, timeline): (&VideoSpec, Timeline),
        stats: &Arc<ChannelStats>,
        (shared, share): (CpuShare, Share),
    ) -> Self {
        share.set(1);
        stats.sizes(spec.sizes(), 0, 1);
        Self {
            governor: None,
            timeline,
            stats: Arc::clone(stats),
            shared,
            share,
            is_other_rate: false,
            other_size: None,
            mixed: (0, 1),
            taken_in: 0,
        }
    }

    /// Another encoder was opened for `spec`: it begins with its fastest speed if that is not
    /// fixed, and with the frame rate and the size of the one before.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_speed`].
    pub(super) fn opened(
        &mut self,
        spec: &VideoSpec,
        encoder: &mut dyn VideoEncoder,
        now: Micros,
    ) -> Result<(), Error> {
        let is_auto = spec.fastest_preset.is_some();
        let speeds = if is_auto { encoder.speeds() } else { &[] };
        let before = self.governor.as_ref().map(Governor::setting);
        self.governor = is_auto.then(|| {
            let governor = Governor::new(spec.rate, speeds, spec.keep, now);
            match before {
                Some(before) => governor.following(before),
                None => governor,
            }
        });
        self.stats.speeds(speeds.iter().map(|speed| speed.preset).collect(), 0);
        let Setting { size, divisor, .. } = before.unwrap_or(Setting::SAFE);
        self.stats.sizes(spec.sizes(), size, divisor);
        if !speeds.is_empty() {
            encoder.set_speed(0)?;
        }
        self.taken_in = encoder.delay_frames();
        Ok(())
    }

    /// The encoder was opened anew for pictures of another size: it goes on with its speed.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_speed`].
    pub(super) fn resized(&mut self, encoder: &mut dyn VideoEncoder) -> Result<(), Error> {
        self.taken_in = encoder.delay_frames();
        let Some(Setting { step, .. }) = self.governor.as_ref().map(Governor::setting) else {
            return Ok(());
        };
        if step < encoder.speeds().len() { encoder.set_speed(step) } else { Ok(()) }
    }

    /// No encoder makes pictures of another size: it leaves some out instead.
    pub(super) fn cannot_resize(&mut self, now: Micros) {
        let change = self.governor.as_mut().and_then(|governor| governor.without_sizes(now));
        if let Some(change) = change {
            self.tell(change, now, 0);
        }
        self.other_size = None;
    }

    /// A frame was taken out of the ring.
    pub(super) const fn taken(&mut self) {
        self.mixed.0 = self.mixed.0.saturating_sub(1);
    }

    /// Whether the picture of `tick` is encoded at the present frame rate.
    pub(super) fn admits(&self, tick: u64) -> bool {
        self.governor.as_ref().is_none_or(|governor| governor.admits(tick))
    }

    /// Whether the picture that is encoded next is the first at another frame rate, once.
    pub(super) fn take_other_rate(&mut self) -> bool {
        std::mem::take(&mut self.is_other_rate)
    }

    /// Place of the size that the picture that is encoded next is the first of, once.
    pub(super) const fn take_other_size(&mut self) -> Option<usize> {
        self.other_size.take()
    }

    /// A picture has been through the encoder.
    ///
    /// # Errors
    /// As [`VideoEncoder::set_speed`].
    pub(super) fn encoded(
        &mut self,
        encoder: &mut FallbackEncoder,
        picture: Encoded,
    ) -> Result<(), Error> {
        let is_software = encoder.is_software();
        self.encoded_by(encoder.encoder_mut(), picture, is_software)
    }

    /// The same; only one that `is_software` shares the CPUs.
    fn encoded_by(
        &mut self,
        encoder: &mut dyn VideoEncoder,
        Encoded { tick, now, took, waiting }: Encoded,
        is_software: bool,
    ) -> Result<(), Error> {
        let setting = self.governor.as_ref().map(Governor::setting);
        let interval = setting.map_or(1, |setting| u64::from(setting.divisor));
        let wanted = self.timeline.rate.due(tick + LATE_INTERVALS * interval);
        if now > self.timeline.start + wanted {
            self.stats.encoded_late();
        }
        if self.taken_in > 0 {
            self.taken_in -= 1;
            return Ok(());
        }
        let Some(governor) = &mut self.governor else { return Ok(()) };
        let CpuShare { cpu, priority } = &self.shared;
        let neighbours =
            if is_software { cpu.neighbours(*priority, now) } else { Neighbours::default() };
        let own = own_frames(waiting, self.mixed, interval);
        let change = governor.picture(Sample { now, took, waiting: own, neighbours });
        if is_software {
            cpu.report(*priority, governor.need(), now);
        }
        let Some(change) = change else { return Ok(()) };
        if change.from.step != change.to.step {
            encoder.set_speed(change.to.step)?;
        }
        self.tell(change, now, waiting);
        Ok(())
    }

    /// The governor has chosen another setting, with so many frames in the ring.
    fn tell(&mut self, Change { from, to, reason }: Change, now: Micros, waiting: usize) {
        if from.divisor != to.divisor {
            self.is_other_rate = true;
            self.mixed = (waiting, from.divisor);
            self.share.set(to.divisor);
        }
        if from.size != to.size {
            self.other_size = Some(to.size);
        }
        self.stats.speed_changed(SpeedChange {
            at: now,
            step: u8::try_from(to.step).unwrap_or(u8::MAX),
            divisor: u8::try_from(to.divisor).unwrap_or(u8::MAX),
            size: u8::try_from(to.size).unwrap_or(u8::MAX),
            changed: match () {
                () if from.size != to.size => Changed::Size,
                () if from.divisor != to.divisor => Changed::Rate,
                () => Changed::Speed,
            },
            reason: match reason {
                Reason::Queue => SpeedReason::Queue,
                Reason::EncodeTime => SpeedReason::EncodeTime,
                Reason::Headroom => SpeedReason::Headroom,
                Reason::Priority => SpeedReason::Priority,
            },
        });
    }
}

/// Of so many frames in the ring those that are encoded: those that were put there at another frame
/// rate, `mixed` of one of so many, are left out in part.
fn own_frames(waiting: usize, (mixed, of): (usize, u32), interval: u64) -> usize {
    let mixed = mixed.min(waiting);
    let interval = usize::try_from(interval).unwrap_or(1).max(1);
    let left = (mixed * of as usize / interval).min(mixed);
    waiting - mixed + left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Keep, Speed, VideoSink};
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

    fn spec(fastest_preset: Option<&str>, keep: Keep) -> VideoSpec {
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
            keep,
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
            Self::of(&spec(fastest_preset, Keep::Resolution), delay, CpuShare::default())
        }

        fn of(spec: &VideoSpec, delay: u32, shared: CpuShare) -> Self {
            let mut encoder = Steps { delay, ..Steps::default() };
            let (stats, share) = (Arc::default(), Share::default());
            let timeline = Timeline { rate: FrameRate::FPS_30, start: START };
            let mut pace = Pace::new((spec, timeline), &stats, (shared, share));
            pace.opened(spec, &mut encoder, START).unwrap();
            Self { pace, encoder, stats }
        }

        /// Encodes the ticks that are admitted: each takes so long, and so many wait after it.
        fn encode(&mut self, ticks: std::ops::Range<u64>, took: Micros, waiting: usize) {
            for tick in ticks {
                let now = START + FrameRate::FPS_30.due(tick) + took;
                if self.pace.admits(tick) {
                    let picture = Encoded { tick, now, took, waiting };
                    self.pace.encoded_by(&mut self.encoder, picture, true).unwrap();
                }
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
        let (change, preset, _) = speed.changes.iter().flatten().next().unwrap();
        assert_eq!((change.changed, *preset), (Changed::Rate, "superfast"));
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

    #[test]
    fn where_the_frame_rate_is_kept_smaller_pictures_begin_once_and_another_encoder_goes_on() {
        let spec = spec(Some("superfast"), Keep::Fps);
        let mut channel = Channel::of(&spec, 0, CpuShare::default());
        channel.encode(0..100, Micros::from_millis(40), 0);
        assert_eq!(channel.pace.take_other_size(), Some(1));
        assert_eq!(channel.pace.take_other_size(), None);
        assert!(!channel.pace.take_other_rate() && channel.pace.admits(7));
        let speed = channel.stats.read().speed;
        assert_eq!((speed.size, speed.divisor), (Size::new(48, 48), 1));
        let (change, preset, size) = speed.changes.iter().flatten().next().unwrap();
        assert_eq!((change.changed, *preset, *size), (Changed::Size, "superfast", speed.size));
        channel.pace.opened(&spec, &mut channel.encoder, Micros::from_secs(20)).unwrap();
        assert_eq!(channel.stats.read().speed.size, Size::new(48, 48));
        channel.pace.cannot_resize(Micros::from_secs(20));
        assert_eq!(channel.stats.read().speed.size, Some(spec.size));
        channel.encode(400..500, Micros::from_millis(40), 8);
        assert!(channel.pace.take_other_size().is_none() && channel.pace.take_other_rate());
    }

    #[test]
    fn frames_of_the_rate_before_count_as_many_as_are_encoded_of_them() {
        assert_eq!(own_frames(12, (12, 1), 3), 4);
        assert_eq!(own_frames(12, (6, 1), 3), 8);
        assert_eq!(own_frames(5, (12, 1), 2), 2);
        assert_eq!(own_frames(5, (0, 1), 4), 5);
        assert_eq!(own_frames(4, (4, 3), 2), 4, "those that are left out now were before as well");
    }

    #[test]
    fn a_channel_of_low_priority_gives_way_to_one_that_has_too_little_time() {
        let cpu = Arc::<SharedCpu>::default();
        let of = |priority| {
            let shared = CpuShare { cpu: Arc::clone(&cpu), priority };
            Channel::of(&spec(Some("superfast"), Keep::Resolution), 0, shared)
        };
        let (mut low, mut high) = (of(Priority::Low), of(Priority::High));
        let quick = Micros::from_millis(5);
        low.encode(0..60, quick, 0);
        assert_eq!(low.stats.read().speed.step, 1);
        high.encode(60..90, Micros::from_millis(40), 0);
        low.encode(90..91, quick, 0);
        let speed = low.stats.read().speed;
        assert_eq!((speed.step, speed.faster), (0, 1));
        let last = speed.changes.iter().flatten().last().unwrap().0;
        assert_eq!((last.reason, last.changed), (SpeedReason::Priority, Changed::Speed));
        assert_eq!(high.stats.read().speed.divisor, 1);
    }
}
