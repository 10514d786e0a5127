//! Encoders of a channel: starts the threads of its encodes and scalers, and joins them with rings.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::command::{ChannelSource, ChannelSwitch, Encoded};
use crate::config::{ChannelConfig, MAIN_RENDITION, Render};
use crate::encode::{self, AudioSpec, ChangeReason, EncoderChange};
use crate::event::NodeEvent;
use crate::ffi::set_log_subject;
use crate::media::{Micros, caught};
use crate::pipeline::{
    self, AUDIO_QUEUE_BLOCKS, CpuShare, ENCODED_QUEUE, EncodeShare, EncodedRing, Opened, RawAudio,
    SCALE_QUEUE, ScaleOut, Share, Takes, Tee, TeeBranch, Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::scene::Scaler;
use crate::scene::kernel::Level;
use crate::stats::CoreRole;

use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::natives::NativeSize;
use crate::control::channels::renditions::{Encode, FurtherSize, Rendition, RenditionPlan};
use crate::control::threads::{ThreadPlace, ThreadRole};

/// Pictures by which decode times may be ahead of the first one.
const SHIFT_PICTURES: u64 = 2;

/// Starts the encoders of one channel.
pub(crate) struct EncoderStarter<'a> {
    pub(crate) context: &'a ChannelContext,
    pub(crate) config: &'a ChannelConfig,
    /// The canvas' grid.
    pub(crate) timeline: Timeline,
    pub(crate) switch: &'a Arc<ChannelSwitch>,
    /// Where each encoder says that it is open, or why it is not.
    pub(crate) opened: SyncSender<Opened>,
    /// Whether audio is not encoded: it comes as it is to be sent.
    pub(crate) passes_audio: bool,
}

/// Encoders that have been started.
pub(crate) struct StartedEncoders {
    /// For the composer.
    pub(crate) tee: Tee,
    /// Sizes at which the scene is to be drawn as well.
    pub(crate) natives: Vec<NativeSize>,
    /// For the shard, one of each rendition, the first one first.
    pub(crate) feeds: Vec<ChannelSource>,
    /// For the mixer, if the channel has audio.
    pub(crate) audio: Option<Sender<RawAudio>>,
    /// For whoever passes audio on, one to each rendition.
    pub(crate) passed: Vec<EncodedRing>,
}

/// What comes out of the encoders of a rendition: video, each track in its place, and audio.
type Streams = (Vec<Receiver<Encoded>>, Option<Receiver<Encoded>>);

/// Where the encoders of a rendition put it: video with the encode that it is of, and audio.
type Rings = (Vec<(usize, EncodedRing)>, Option<EncodedRing>);

impl EncoderStarter<'_> {
    /// Starts all of them; `sizes` are those that the plan has beside the canvas'.
    pub(crate) fn start(
        self,
        plan: &RenditionPlan,
        sizes: Vec<FurtherSize>,
    ) -> Result<StartedEncoders, ChannelError> {
        let switches: Vec<_> = (0..plan.encodes.len()).map(|at| self.switch_of(plan, at)).collect();
        let (rings, streams): (Vec<Rings>, Vec<Streams>) =
            plan.renditions.iter().map(|rendition| self.rings(plan, rendition)).unzip();
        let (video_rings, audio_rings): (Vec<_>, Vec<_>) = rings.into_iter().unzip();
        let mut video_rings = grouped(plan, video_rings.into_iter().flatten());
        let (mut branches, mut natives) = (Vec::new(), Vec::new());
        for at in plan.unscaled() {
            let rings = std::mem::take(&mut video_rings[at]);
            branches.push(self.start_video(plan, at, (&switches[at], rings), 1)?.0);
        }
        for size in sizes {
            let divisors = size.encodes.iter().map(|at| plan.encodes[*at].divisor);
            let divisor = match size.render {
                Render::Scaled => divisors.fold(0, gcd).max(1),
                Render::Native => 1,
            };
            let (mut encoders, mut takes) = (Vec::new(), Vec::new());
            for at in &size.encodes {
                let rings = std::mem::take(&mut video_rings[*at]);
                let (branch, share) =
                    self.start_video(plan, *at, (&switches[*at], rings), divisor)?;
                encoders.push(branch);
                takes.push(Takes { divisor: plan.encodes[*at].divisor, share });
            }
            match size.render {
                Render::Scaled => {
                    branches.push(self.start_scaler(plan, size, (divisor, takes), encoders)?);
                }
                Render::Native => natives.push(NativeSize::new(plan, size, Tee::new(encoders))),
            }
        }
        let (mut audio, mut passed) = (None, audio_rings.into_iter().flatten().collect());
        if let Some(spec) = self.config.audio.filter(|_| !self.passes_audio) {
            audio = Some(self.start_audio(plan, spec, std::mem::take(&mut passed))?);
        }
        let feeds = plan.renditions.iter().zip(streams).map(|(rendition, (mut video, audio))| {
            ChannelSource {
                stream: Arc::from(rendition.stream.as_str()),
                video: video.remove(0),
                tracks: video,
                audio,
                start: self.timeline.start,
                switch: Arc::clone(&switches[rendition.encode]),
                stats: Arc::clone(&plan.encodes[rendition.encode].stats),
            }
        });
        let (feeds, tee) = (feeds.collect(), Tee::new(branches));
        Ok(StartedEncoders { feeds, tee, natives, audio, passed })
    }

    /// What stops an encode's streams: that of a channel's first one is the channel's.
    fn switch_of(&self, plan: &RenditionPlan, encode: usize) -> Arc<ChannelSwitch> {
        match encode {
            0 if plan.has_main => Arc::clone(self.switch),
            _ => Arc::new(ChannelSwitch::of_rendition(self.switch)),
        }
    }

    /// The rings from the encoders of a rendition to the shard: one of video for each track, and
    /// one of audio if there is any.
    fn rings(&self, plan: &RenditionPlan, rendition: &Rendition) -> (Rings, Streams) {
        let ring = |encode: usize, track: u8| {
            let (ring, encoded) = channel(ENCODED_QUEUE, Arc::clone(&self.context.home));
            let stats = Arc::clone(&plan.encodes[encode].stats);
            (EncodedRing { ring, track, stats }, encoded)
        };
        let encodes = [&rendition.encode].into_iter().chain(&rendition.further);
        let video = (0..).zip(encodes).map(|(track, encode)| {
            let (ring, encoded) = ring(*encode, track);
            ((*encode, ring), encoded)
        });
        let (video, encoded_video) = video.unzip();
        let (audio, encoded_audio) = self.config.audio.map(|_| ring(rendition.encode, 0)).unzip();
        ((video, audio), (encoded_video, encoded_audio))
    }

    fn share(
        &self,
        plan: &RenditionPlan,
        encode: &Encode,
        switch: &Arc<ChannelSwitch>,
    ) -> EncodeShare {
        let Encode { name, spec, stats, .. } = encode;
        let slowest = plan.encodes.iter().map(|encode| encode.spec.rate);
        let shift = match self.config.b_frames {
            0 => Micros(0),
            _ => slowest.map(|rate| rate.due(SHIFT_PICTURES)).max().unwrap_or(Micros(0)),
        };
        EncodeShare {
            timeline: Timeline { rate: spec.rate, start: self.timeline.start },
            shift,
            video: spec.clone(),
            audio: self.config.audio,
            packets: self.context.packets.clone(),
            chunk_size: self.context.chunk_size,
            cpu: CpuShare { cpu: Arc::clone(&self.context.cpu), priority: self.config.priority },
            share: Share::default(),
            switch: Arc::clone(switch),
            opened: self.opened.clone(),
            changed: self.tell_changes(name),
            stats: Arc::clone(stats),
            origin: self.config.origin_stamp.then(|| Arc::clone(&self.context.origin)),
            clock: self.context.clock,
        }
    }

    /// Starts the thread of an encode, whose tee has one of `of_divisor` frames of the canvas. With
    /// the branch comes where the encode says how many of its frames it leaves out.
    fn start_video(
        &self,
        plan: &RenditionPlan,
        at: usize,
        (switch, out): (&Arc<ChannelSwitch>, Vec<EncodedRing>),
        of_divisor: u32,
    ) -> Result<(TeeBranch, Share), ChannelError> {
        let encode = &plan.encodes[at];
        let bell = Bell::new();
        let (raw, frames) = channel(self.config.queue_frames as usize, Arc::clone(&bell));
        let share = self.share(plan, encode, switch);
        let (own, part) = (share.clone(), share.share.clone());
        let run = move || pipeline::encode_video(&own, frames, &bell, out);
        self.start_encoder(&encode.name, "video", share, run)?;
        let takes = Takes { divisor: encode.divisor / of_divisor, share: part.clone() };
        Ok((TeeBranch::encoder(raw, takes, Arc::clone(&encode.stats)), part))
    }

    /// Starts the audio encoder's thread.
    fn start_audio(
        &self,
        plan: &RenditionPlan,
        spec: AudioSpec,
        out: Vec<EncodedRing>,
    ) -> Result<Sender<RawAudio>, ChannelError> {
        let bell = Bell::new();
        let (raw, blocks) = channel(AUDIO_QUEUE_BLOCKS, Arc::clone(&bell));
        let share = self.share(plan, &plan.encodes[0], self.switch);
        let own = share.clone();
        let run = move || pipeline::encode_audio(&own, spec, blocks, &bell, out);
        self.start_encoder(MAIN_RENDITION, "audio", share, run)?;
        Ok(raw)
    }

    /// Starts the thread that scales for `encoders`.
    fn start_scaler(
        &self,
        plan: &RenditionPlan,
        FurtherSize { size, pool, encodes, .. }: FurtherSize,
        (divisor, takes): (u32, Vec<Takes>),
        encoders: Vec<TeeBranch>,
    ) -> Result<TeeBranch, ChannelError> {
        let bell = Bell::new();
        let (raw, frames) = channel(SCALE_QUEUE, Arc::clone(&bell));
        let stats: Vec<_> = encodes.iter().map(|at| Arc::clone(&plan.encodes[*at].stats)).collect();
        let branch = TeeBranch::scaler(raw, divisor, takes.into_iter().zip(stats.clone()));
        let scaler = Scaler::new(self.config.size, size, Level::best());
        let (tee, clock) = (Tee::new(encoders), self.context.clock);
        let out = ScaleOut { tee, pool, stats, clock };
        let name = &self.config.name;
        let thread = format!("scale-{}-{name}", size.height());
        self.spawn(&thread, move || pipeline::scale(frames, &bell, scaler, out))?;
        Ok(branch)
    }

    /// Starts the thread of an encoder. However that of the first rendition fails, by a panic too,
    /// the channel ends with it; another one ends alone.
    fn start_encoder(
        &self,
        rendition: &str,
        kind: &str,
        share: EncodeShare,
        run: impl FnOnce() -> Result<(), encode::Error> + Send + 'static,
    ) -> Result<(), ChannelError> {
        let name = self.config.name.clone();
        let (thread, subject) = match rendition {
            MAIN_RENDITION => (format!("{kind}-{name}"), name.clone()),
            rendition => {
                (format!("{kind}-{rendition}-{name}"), format!("{name}: rendition {rendition}"))
            }
        };
        let failed = Failed { events: Arc::clone(&self.context.events), share, name, subject };
        let run = move || {
            set_log_subject(&format!("channel {}", failed.subject));
            match caught(run) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.tell(error),
                Err(panic) => {
                    failed.tell(encode::Error::Device(panic.clone()));
                    // The supervisor hears of it as of any other thread.
                    resume_unwind(Box::new(panic));
                }
            }
        };
        self.spawn(&thread, run)
    }

    fn spawn(&self, thread: &str, run: impl FnOnce() + Send + 'static) -> Result<(), ChannelError> {
        let role = ThreadRole { role: CoreRole::Encoder, of: self.config.name.clone() };
        let place = ThreadPlace::below(thread, &self.context.encode_cpus);
        let started = self.context.threads.spawn(role, place, None, run);
        started.map(drop).map_err(ChannelError::Thread)
    }

    /// Tells of each change of an encode's encoder.
    fn tell_changes(&self, rendition: &str) -> Arc<dyn Fn(&EncoderChange) + Send + Sync> {
        let (events, channel) = (Arc::clone(&self.context.events), self.config.name.clone());
        let of = match rendition {
            MAIN_RENDITION => String::new(),
            rendition => format!("rendition {rendition}: "),
        };
        Arc::new(move |change| {
            let EncoderChange { from, to, reason, text } = change;
            let reason = match reason {
                ChangeReason::Failed => format!("{of}{text}"),
                ChangeReason::Recovered => format!("{of}{to} works again"),
            };
            let (channel, from, to) = (channel.clone(), (*from).to_owned(), (*to).to_owned());
            events.force_push(NodeEvent::EncoderChanged { channel, from, to, reason });
        })
    }
}

/// Who is told that an encoder has failed.
struct Failed {
    events: crate::control::event_queue::EventQueue,
    share: EncodeShare,
    name: String,
    subject: String,
}

impl Failed {
    /// A stream without an encoder has nothing to say: it stops, and says why.
    fn tell(self, error: encode::Error) {
        let Self { events, share, name: channel, subject } = self;
        share.switch.stop();
        let of = subject.strip_prefix(&format!("{channel}: ")).map(|of| format!("{of}: "));
        let reason = format!("{}{error}", of.unwrap_or_default());
        events.force_push(NodeEvent::EncoderFailed { channel, reason });
        // Nobody listens any more once it was open.
        drop(share.opened.try_send(Err((subject, error))));
    }
}

/// The rings of each encode: those of the renditions that show it.
fn grouped(
    plan: &RenditionPlan,
    rings: impl Iterator<Item = (usize, EncodedRing)>,
) -> Vec<Vec<EncodedRing>> {
    let mut grouped: Vec<Vec<_>> = plan.encodes.iter().map(|_| Vec::new()).collect();
    for (encode, ring) in rings {
        grouped[encode].push(ring);
    }
    grouped
}

/// The greatest number that divides both.
const fn gcd(a: u32, b: u32) -> u32 {
    let (mut large, mut small) = (a, b);
    while small > 0 {
        (large, small) = (small, large % small);
    }
    large
}
