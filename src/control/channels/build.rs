//! Builds the stages of one channel and joins them with rings.

use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::audio::Mixer;
use crate::command::{ChannelSource, ChannelSwitch, Encoded};
use crate::config::ChannelConfig;
use crate::encode::{self, AudioSpec, ChangeReason, EncoderChange, VideoSpec};
use crate::event::NodeEvent;
use crate::ffi::set_log_subject;
use crate::frame::{Geometry, Pool};
use crate::media::{Micros, caught};
use crate::pipeline::{
    self, AUDIO_QUEUE_BLOCKS, Audio, CHANGES_MAX, Channel, ChannelStage, ENCODED_QUEUE,
    EncodeShare, POOL_EXTRA_FRAMES, Picture, RawAudio, RawFrame, SCENE_REPORTS_MAX, SceneLine,
    Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::Pacer;
use crate::scene::kernel::Level;
use crate::scene::{self, Composer};
use crate::stats::{ChannelEntry, ChannelFacts, ChannelStats, CoreRole};

use crate::control::channels::assets::{Prepared, prepare};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::scenes::SceneEnds;
use crate::control::channels::sources::{Sources, Started, Subscription};
use crate::control::event_queue::EventQueue;
use crate::control::threads::{ThreadPlace, ThreadRole};

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(150);

/// How long an encoder may take to open.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// What a channel's encoders may have to say about their opening.
const OPENED_MAX: usize = 4;

/// A channel whose stages are joined; its threads run, its composer is not started yet.
pub(crate) struct Built {
    /// For the compose core.
    pub(crate) stage: ChannelStage,
    /// For the shard that owns the stream, whose bell its encoders ring.
    pub(crate) feed: ChannelSource,
    /// Decoders that want streams.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Says of each encoder that it is open, or why it is not.
    opened: mpsc::Receiver<Result<(), encode::Error>>,
    encoders: usize,
    /// For control: its figures, and what it is to make.
    pub(crate) entry: ChannelEntry,
    /// For control: how its scenes are changed. `None` if it shows another program's frames.
    pub(crate) scenes: Option<SceneEnds>,
    /// What of the scene that begins cannot be shown yet.
    pub(crate) faults: Vec<scene::Error>,
    /// For a program that hands in its own frames.
    pub(crate) frame_input: Option<FrameInput>,
}

/// Where another program's frames enter.
#[derive(Debug)]
pub(crate) struct FrameInput {
    pub(crate) pool: Pool,
    pub(crate) encoder: Sender<RawFrame>,
    pub(crate) timeline: Timeline,
}

/// Where a channel's pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// Its scene.
    Composed,
    /// Another program; the pool has this many slots.
    HandedIn(u32),
}

/// Builds every stage of the channel and starts its encoder and decoder threads.
pub(crate) fn build(
    context: &ChannelContext,
    config: &ChannelConfig,
    frames: Frames,
    stats: &Arc<ChannelStats>,
) -> Result<Built, ChannelError> {
    let video = config.video_spec(context.encode_cpus.len());
    // What may take long comes before the clock starts.
    let (pool, scene) = canvas(context, config, frames, &video)?;
    let timeline = Timeline { rate: video.rate, start: context.clock.now() + LEAD };
    let switch = Arc::new(ChannelSwitch::default());
    let (tell_open, opened) = mpsc::sync_channel(OPENED_MAX);
    let share = EncodeShare {
        timeline,
        audio: config.audio,
        packets: context.packets.clone(),
        chunk_size: context.chunk_size,
        switch: Arc::clone(&switch),
        opened: tell_open,
        changed: tell_changes(context, config),
        stats: Arc::clone(stats),
        clock: context.clock,
        video,
    };
    let (raw, encoded_video) = start_video(context, config, &share)?;

    let mut sources = Sources::default();
    let (mut picture, mut scenes, mut frame_input, mut faults) = (None, None, None, Vec::new());
    match scene {
        Some((mut scene, found)) => {
            faults = found;
            sources.want_pictures(config.scene().layers.iter(), &mut scene);
            let composer = Composer::with_scene(scene, Level::best());
            let (line, ends) = scene_line(context);
            scenes = Some(ends);
            picture = Some(Picture { composer, pool, encoder: raw, line });
        }
        None => frame_input = Some(FrameInput { pool, encoder: raw, timeline }),
    }
    let (mut encoded_audio, mut mixed) = (None, None);
    if let Some(spec) = share.audio {
        let mut mixer = Mixer::new(&config.audio_sources);
        sources.want_audio(&config.audio_sources, &mut mixer);
        let (encoder, encoded) = start_audio(context, config, &share, spec)?;
        mixed = Some(Audio { mixer, encoder });
        encoded_audio = Some(encoded);
    }
    let Started { subscriptions, .. } = sources.start(&context.decoders(config), timeline.start)?;
    let encoders = 1 + usize::from(share.audio.is_some());
    Ok(Built {
        stage: ChannelStage::new(Channel {
            pacer: Pacer::new(timeline.rate, timeline.start),
            timeline,
            picture,
            audio: mixed,
            switch: Arc::clone(&switch),
            stats: Arc::clone(stats),
            clock: context.clock,
        }),
        feed: ChannelSource {
            stream: Arc::from(config.stream.as_str()),
            video: encoded_video,
            audio: encoded_audio,
            start: timeline.start,
            switch,
            stats: Arc::clone(stats),
        },
        subscriptions,
        opened,
        encoders,
        entry: entry(config, stats),
        scenes,
        faults,
        frame_input,
    })
}

/// Tells of each change of a channel's encoder.
fn tell_changes(
    context: &ChannelContext,
    config: &ChannelConfig,
) -> Arc<dyn Fn(&EncoderChange) + Send + Sync> {
    let (events, channel) = (Arc::clone(&context.events), config.name.clone());
    Arc::new(move |change| {
        let EncoderChange { from, to, reason, text } = change;
        let reason = match reason {
            ChangeReason::Failed => text.clone(),
            ChangeReason::Recovered => format!("{to} works again"),
        };
        let (channel, from, to) = (channel.clone(), (*from).to_owned(), (*to).to_owned());
        events.force_push(NodeEvent::EncoderChanged { channel, from, to, reason });
    })
}

impl Built {
    /// Waits until its encoders are open. Dropping what could not be opened ends what did.
    pub(crate) fn wait_open(self) -> Result<Self, ChannelError> {
        let name = || self.entry.name.clone();
        for _ in 0..self.encoders {
            match self.opened.recv_timeout(OPEN_MAX) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(ChannelError::Encoder(name(), error)),
                Err(_) => return Err(ChannelError::EncoderSilent(name(), OPEN_MAX)),
            }
        }
        Ok(self)
    }
}

fn entry(config: &ChannelConfig, stats: &Arc<ChannelStats>) -> ChannelEntry {
    let facts = ChannelFacts {
        width: config.size.width(),
        height: config.size.height(),
        fps: config.rate.fps(),
        bitrate_min_bps: config.bitrate_min_bps.into(),
        bitrate_bps: config.bitrate_bps.into(),
        codec: config.codec.name().to_owned(),
        encoder: encode::first_choice(&config.video_spec(1)).to_owned(),
        preset: config.preset.clone(),
        is_speed_fixed: config.fastest_preset.is_none(),
    };
    let (name, stream) = (config.name.clone(), config.stream.clone());
    ChannelEntry { name, stream, facts: Arc::new(facts), stats: Arc::clone(stats) }
}

/// Where a channel's pictures are drawn, and what it shows first, unless that is handed in.
fn canvas(
    context: &ChannelContext,
    config: &ChannelConfig,
    frames: Frames,
    video: &VideoSpec,
) -> Result<(Pool, Option<Prepared>), ChannelError> {
    let least = config.queue_frames + POOL_EXTRA_FRAMES;
    let (slots, scene) = match frames {
        Frames::Composed => {
            (config.pool_frames.unwrap_or(least), Some(first_scene(context, config)?))
        }
        Frames::HandedIn(slots) => (slots.max(least), None),
    };
    let pool = Pool::new(Geometry::new(video.size, video.format), slots);
    Ok((pool.map_err(ChannelError::Memory)?, scene))
}

/// Loads the scene that begins; a file that cannot be read keeps nothing waiting, and is tried
/// again.
fn first_scene(context: &ChannelContext, config: &ChannelConfig) -> Result<Prepared, ChannelError> {
    let prepared = prepare(config.scene(), config.size, &context.encode_cpus);
    let prepared = prepared.map_err(ChannelError::Thread)?;
    prepared.map_err(|error| ChannelError::Scene(config.name.clone(), error))
}

/// The rings by which scenes reach the composer, and old ones come back.
fn scene_line(context: &ChannelContext) -> (SceneLine, SceneEnds) {
    // The composer looks on every tick; nobody needs to be woken.
    let (changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, heard) = channel(SCENE_REPORTS_MAX, Arc::clone(&context.controller));
    (SceneLine::new(to_come, reports), SceneEnds { changes, reports: heard })
}

type Encoders = (Sender<RawFrame>, Receiver<Encoded>);

/// Starts the video encoder's thread.
fn start_video(
    context: &ChannelContext,
    config: &ChannelConfig,
    share: &EncodeShare,
) -> Result<Encoders, ChannelError> {
    let bell = Bell::new();
    let (raw, frames) = channel(config.queue_frames as usize, Arc::clone(&bell));
    let (out, encoded) = channel(ENCODED_QUEUE, Arc::clone(&context.home));
    let own = share.clone();
    let run = move || pipeline::encode_video(&own, frames, &bell, out);
    start_encoder(context, &config.name, share, ("video", run))?;
    Ok((raw, encoded))
}

/// Starts the audio encoder's thread.
fn start_audio(
    context: &ChannelContext,
    config: &ChannelConfig,
    share: &EncodeShare,
    spec: AudioSpec,
) -> Result<(Sender<RawAudio>, Receiver<Encoded>), ChannelError> {
    let bell = Bell::new();
    let (raw, blocks) = channel(AUDIO_QUEUE_BLOCKS, Arc::clone(&bell));
    let (out, encoded) = channel(ENCODED_QUEUE, Arc::clone(&context.home));
    let own = share.clone();
    let run = move || pipeline::encode_audio(&own, spec, blocks, &bell, out);
    start_encoder(context, &config.name, share, ("audio", run))?;
    Ok((raw, encoded))
}

/// Starts the thread of an encoder. However it fails, by a panic too, the channel ends with it.
fn start_encoder(
    context: &ChannelContext,
    channel: &str,
    share: &EncodeShare,
    (kind, run): (&str, impl FnOnce() -> Result<(), encode::Error> + Send + 'static),
) -> Result<(), ChannelError> {
    let (events, share, name) = (Arc::clone(&context.events), share.clone(), channel.to_owned());
    let run = move || {
        set_log_subject(&format!("channel {name}"));
        match caught(run) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => encoder_failed(&events, &share, name, error),
            Err(panic) => {
                encoder_failed(&events, &share, name, encode::Error::Device(panic.clone()));
                // The supervisor hears of it as of any other thread.
                resume_unwind(Box::new(panic));
            }
        }
    };
    let role = ThreadRole { role: CoreRole::Encoder, of: channel.to_owned() };
    let thread = format!("{kind}-{channel}");
    let started =
        context.threads.spawn(role, ThreadPlace::below(&thread, &context.encode_cpus), None, run);
    started.map(drop).map_err(ChannelError::Thread)
}

/// A channel without an encoder has nothing to say: it stops, and says why.
fn encoder_failed(events: &EventQueue, share: &EncodeShare, channel: String, error: encode::Error) {
    share.switch.stop();
    events.force_push(NodeEvent::EncoderFailed { channel, reason: error.to_string() });
    // Nobody listens any more once it was open.
    drop(share.opened.try_send(Err(error)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::threads::Threads;
    use crate::frame::{PacketPool, PacketPoolSpec};
    use crate::media::Size;
    use crate::runtime::Clock;
    use crossbeam::queue::ArrayQueue;

    fn context() -> ChannelContext {
        ChannelContext {
            clock: Clock::start(),
            packets: PacketPool::new(PacketPoolSpec::default()).unwrap(),
            chunk_size: 60_000,
            encode_cpus: Vec::new(),
            compose_cpus: Vec::new(),
            bells: Arc::from([]),
            home: Bell::new(),
            controller: Bell::new(),
            events: Arc::new(ArrayQueue::new(8)),
            threads: Threads::default(),
            composers: Threads::default(),
        }
    }

    fn channel() -> ChannelConfig {
        let size = Size::new(64, 64).unwrap();
        ChannelConfig {
            preset: "ultrafast".to_owned(),
            ..ChannelConfig::plain("a", "live/a", size)
        }
    }

    fn wait_for_end(context: &ChannelContext) {
        assert!(context.threads.finish(context.clock, Micros::from_secs(60)));
        assert!(context.threads.losses().is_empty());
    }

    #[test]
    fn an_encoder_that_does_not_open_is_told_with_its_channel_and_leaves_nothing_running() {
        let context = context();
        let config = ChannelConfig { preset: "hasty".to_owned(), ..channel() };
        let built = build(&context, &config, Frames::Composed, &Arc::default()).unwrap();
        let error = built.wait_open().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("channel a: encoder: "), "{error}");
        wait_for_end(&context);
        let told = context.events.pop();
        assert!(matches!(&told, Some(NodeEvent::EncoderFailed { channel, .. }) if channel == "a"));
    }

    #[test]
    fn a_channel_waits_for_both_of_its_encoders_and_they_end_with_its_stage() {
        let context = context();
        let built = build(&context, &channel(), Frames::Composed, &Arc::default()).unwrap();
        let built = built.wait_open().unwrap();
        assert_eq!((built.encoders, built.entry.facts.preset.as_str()), (2, "ultrafast"));
        for ring in [&built.feed.video, built.feed.audio.as_ref().unwrap()] {
            assert!(ring.peek().is_some_and(|encoded| encoded.message.is_header()));
        }
        drop(built.stage);
        wait_for_end(&context);
    }
}
