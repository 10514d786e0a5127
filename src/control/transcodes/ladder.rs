//! Ladder of a transcode: decides what is encoded from a source as it is now, and starts the
//! encoders and scalers of it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use crossbeam::queue::ArrayQueue;
use tokio::sync::mpsc::Sender;

use crate::command::{ChannelSource, ChannelSwitch};
use crate::config::{ChannelConfig, TranscodeConfig};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::encoders::{EncoderStarter, StartedEncoders};
use crate::control::channels::renditions::{KnownStats, RenditionPlan};
use crate::decode::{Live, LiveSpec};
use crate::event::NodeEvent;
use crate::media::{AudioCodec, FrameRate, Micros, Size};
use crate::pipeline::{Ladder, LadderAudio, Renditions, SourceFacts, SourceKeyframes, Timeline};
use crate::rtmp::flv::AudioFormat;
use crate::stats::RenditionEntry;

/// Frames that may wait for each encoder. A source comes as it comes: a burst that is longer loses
/// pictures.
const QUEUE_FRAMES: u32 = 12;

/// Events of the encoders of one transcode that may wait for control; the oldest are lost.
pub(super) const EVENTS_MAX: usize = 32;

/// Threads of a source's decoder.
const DECODE_THREADS: u32 = 2;

/// What the thread of a transcode tells control.
pub(crate) enum LadderEvent {
    /// Encoders have been started: what they make of the source, and what their shard is given.
    Began { size: Size, fps: f64, entries: Vec<RenditionEntry>, feeds: Vec<ChannelSource> },
    /// They have been ended.
    Ended(String),
    /// They cannot be started, or nothing can be made of the source.
    Failed(String),
}

/// What a thread tells, and the number of the run that it is of.
pub(crate) type Report = (u64, LadderEvent);

/// Makes the renditions of one source.
pub(super) struct LadderMaker {
    context: ChannelContext,
    config: TranscodeConfig,
    run: u64,
    tell: Sender<Report>,
    known: KnownStats,
}

/// How the encoders of a transcode are called in threads and logs.
pub(super) fn subject(name: &str) -> String {
    format!("transcode {name}")
}

impl LadderMaker {
    /// Of run number `run`, which tells of trouble with its encoders by the queue.
    pub(super) fn new(
        context: &ChannelContext,
        config: &TranscodeConfig,
        (run, tell): (u64, Sender<Report>),
    ) -> (Self, Arc<ArrayQueue<NodeEvent>>) {
        let events = Arc::new(ArrayQueue::new(EVENTS_MAX));
        let context = ChannelContext { events: Arc::clone(&events), ..context.clone() };
        let (config, known) = (config.clone(), KnownStats::default());
        (Self { context, config, run, tell, known }, events)
    }

    /// What decodes its source: into as many frames as its encoders may hold.
    pub(super) fn decoder(&self) -> Live {
        let config = self.config.clone();
        let queue = move |size| {
            let channel = config.channel(size, FrameRate::FPS_30, QUEUE_FRAMES);
            let plan = RenditionPlan::of_source(&channel, 1, &KnownStats::default());
            plan.held_frames(QUEUE_FRAMES)
        };
        let queue = Box::new(queue);
        let spec = LiveSpec::new(Box::new(|size| size));
        Live::new(LiveSpec { threads: DECODE_THREADS, queue, ..spec })
    }

    fn tell(&self, news: LadderEvent) {
        // Control is gone only when the node stops.
        drop(self.tell.blocking_send((self.run, news)));
    }

    /// The channel whose further renditions are made of such a source.
    fn channel(&self, source: &SourceFacts) -> ChannelConfig {
        let channel = self.config.channel(source.size, source.rate, QUEUE_FRAMES);
        ChannelConfig { name: subject(&self.config.name), ..channel }
    }
}

impl Renditions for LadderMaker {
    fn passes(&self, audio: AudioFormat) -> bool {
        let wanted = self.config.audio.map(|spec| match spec.codec {
            AudioCodec::Aac => AudioFormat::Aac,
            AudioCodec::Opus => AudioFormat::Opus,
        });
        wanted == Some(audio)
    }

    fn begin(&mut self, source: &SourceFacts) -> Result<Ladder, String> {
        let config = self.channel(source);
        let cores = self.context.encode_cpus.len();
        let plan = RenditionPlan::of_source(&config, cores, &self.known);
        let scaled = plan.pools(QUEUE_FRAMES).map_err(|error| error.to_string())?;
        let switch = Arc::new(ChannelSwitch::of_source());
        switch.raise_base_ms(source.base_ms);
        // Nobody waits for the encoders: pictures wait for them.
        let (opened, _) = sync_channel::<_>(0);
        let starter = EncoderStarter {
            context: &self.context,
            config: &config,
            timeline: Timeline { rate: source.rate, start: source.start },
            switch: &switch,
            opened,
            passes_audio: source.audio.is_none_or(|audio| self.passes(audio)),
        };
        let started = starter.start(&plan, scaled).map_err(|error| error.to_string())?;
        let StartedEncoders { tee, feeds, audio, passed, .. } = started;
        let entries = plan.entries();
        self.known =
            KnownStats(entries.iter().map(|it| (it.name.clone(), Arc::clone(&it.stats))).collect());
        let audio = match audio {
            Some(encoder) => LadderAudio::Encoded(encoder),
            None if passed.is_empty() => LadderAudio::None,
            None => LadderAudio::Passed(passed),
        };
        let interval = Micros::from_secs(self.config.keyframe_s.into());
        let keys = SourceKeyframes::new(interval, config.common_divisor());
        self.tell(LadderEvent::Began { size: source.size, fps: source.rate.fps(), entries, feeds });
        Ok(Ladder { tee, audio, switch, keys })
    }

    fn ended(&mut self, why: &str) {
        self.tell(LadderEvent::Ended(why.to_owned()));
    }

    fn failed(&mut self, why: &str) {
        self.tell(LadderEvent::Failed(why.to_owned()));
    }
}
