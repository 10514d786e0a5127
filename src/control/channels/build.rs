//! Channel builder: the stages of one channel, joined with rings.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::audio::{Mixer, MixerControl};
use crate::command::{ChannelSource, ChannelSwitch};
use crate::config::{ChannelConfig, RENDITIONS_MAX};
use crate::frame::{Geometry, Pool};
use crate::media::{Micros, PixelFormat};
use crate::pipeline::{
    Audio, CHANGES_MAX, Channel, ChannelStage, FrameTapEnd, Keyframes, Opened, Picture, RawAudio,
    SCENE_REPORTS_MAX, SceneLine, Tee, Timeline, frame_tap,
};
use crate::ring::{Bell, Sender, channel};
use crate::runtime::Pacer;
use crate::scene::kernel::Level;
use crate::scene::{self, Composer, ResolvedScene};
use crate::stats::{ChannelEntry, ChannelStats, Timer};

use crate::control::channels::assets::{Prepared, prepare};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::encoders::{EncoderStarter, StartedEncoders};
use crate::control::channels::error::ChannelError;
use crate::control::channels::input_pool::InputPool;
use crate::control::channels::natives;
use crate::control::channels::renditions::{KnownStats, RenditionPlan};
use crate::control::channels::scenes::SceneEnds;
use crate::control::channels::sources::{Sources, Started, Subscription};

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(300);

/// How long an encoder may take to open.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// What a channel's encoders may have to say about their opening.
const OPENED_MAX: usize = 2 * (RENDITIONS_MAX + 2);

/// A channel whose stages are joined; its threads run, its composer is not started yet.
pub(crate) struct Built {
    /// For the compose core.
    pub(crate) stage: ChannelStage,
    /// For the shard that owns the streams, whose bell its encoders ring; that of the first
    /// rendition comes first.
    pub(crate) feeds: Vec<ChannelSource>,
    /// Decoders that want streams.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Says of each encoder that it is open, or why it is not.
    opened: mpsc::Receiver<Opened>,
    encoders: usize,
    /// For control: its figures, and what it is to make.
    pub(crate) entry: ChannelEntry,
    /// For control: how its scenes are changed. `None` if it shows another program's frames.
    pub(crate) scenes: Option<SceneEnds>,
    /// For control: how its audio is changed. `None` if it has none.
    pub(crate) mixer: Option<MixerControl>,
    /// What of the scene that begins cannot be shown yet.
    pub(crate) faults: Vec<scene::Error>,
    /// For a program that hands in its own frames.
    pub(crate) frame_input: Option<FrameInput>,
}

/// Where another program's frames enter.
#[derive(Debug)]
pub(crate) struct FrameInput {
    pub(crate) pool: Pool,
    pub(crate) tee: Tee,
    pub(crate) keys: Keyframes,
    /// Where keyframes are asked for.
    pub(crate) switch: Arc<ChannelSwitch>,
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

/// Builds every stage of the channel and starts its encoder, scaler and decoder threads. Its
/// renditions count on in the figures that `known` has of them.
pub(crate) fn build(
    context: &ChannelContext,
    config: &ChannelConfig,
    frames: Frames,
    known: &KnownStats,
) -> Result<Built, ChannelError> {
    let plan = RenditionPlan::new(config, context.encode_cpus.len(), known);
    // What may take long comes before the clock starts.
    let (pool, scene) = canvas(context, config, frames, &plan)?;
    let further = plan.pools(config.queue_frames).map_err(ChannelError::Memory)?;
    let timeline = Timeline { rate: config.rate, start: context.clock.now() + LEAD };
    let switch = Arc::new(ChannelSwitch::default());
    let (tell_open, opened) = mpsc::sync_channel(OPENED_MAX);
    let starter = EncoderStarter {
        context,
        config,
        timeline,
        switch: &switch,
        opened: tell_open,
        passes_audio: false,
    };
    let started = starter.start(&plan, further)?;
    let StartedEncoders { tee, natives: sizes, feeds, audio, .. } = started;
    let encoders = plan.encodes.len() + usize::from(audio.is_some());
    let keys = Keyframes::new(config.rate, config.keyframe_ticks(), config.common_divisor());
    let stats = plan.main_stats();

    let mut sources = Sources::default();
    let (mut picture, mut scenes, mut frame_input, mut faults) = (None, None, None, Vec::new());
    match scene {
        Some((resolved, (mut scene, found))) => {
            faults = found;
            sources.want_pictures(resolved.layers().into_iter(), &mut scene);
            let clock = context.clock;
            stats.set_layers(scene.measure(&Timer::new(move || clock.nanos()), &[]));
            let composer = Composer::with_scene(scene, Level::best());
            let (tap, tap_end) = frame_tap();
            let (line, mut ends) = scene_line(context, &stats, tap_end);
            let natives;
            (natives, ends.natives) = natives::start(context, config, sizes, &mut sources)?;
            scenes = Some(ends);
            picture = Some(Picture { composer, pool, tee, natives, keys, line, tap });
        }
        None if !sizes.is_empty() => return Err(ChannelError::Native(config.name.clone())),
        None => {
            let switch = Arc::clone(&switch);
            frame_input = Some(FrameInput { pool, tee, keys, switch, timeline });
        }
    }
    let (mixed, mixer) = audio.map(|encoder| mix(config, encoder, &mut sources)).unzip();
    let audio = mixed.as_ref().map(|mixed: &Audio| mixed.mixer.levels());
    let decoders = context.decoders(&config.name);
    let Started { subscriptions, .. } = sources.start(&decoders, timeline.start)?;
    if let Some(ends) = &mut scenes {
        ends.inputs = decoders.inputs;
    }
    Ok(Built {
        stage: ChannelStage::new(Channel {
            pacer: Pacer::new(timeline.rate, timeline.start),
            timeline,
            picture,
            audio: mixed,
            switch: Arc::clone(&switch),
            stats,
            clock: context.clock,
        }),
        feeds,
        subscriptions,
        opened,
        encoders,
        entry: ChannelEntry { audio, ..plan.entry(config) },
        scenes,
        mixer,
        faults,
        frame_input,
    })
}

/// The audio half of a channel, with what changes its mixer.
fn mix(
    config: &ChannelConfig,
    encoder: Sender<RawAudio>,
    sources: &mut Sources,
) -> (Audio, MixerControl) {
    let (mut mixer, control) = Mixer::controlled(&config.audio_sources, config.audio_bus);
    sources.want_audio(&config.audio_sources, &mut mixer);
    (Audio { mixer, encoder }, control)
}

impl Built {
    /// What stops the channel.
    pub(crate) fn switch(&self) -> Arc<ChannelSwitch> {
        self.feeds.first().map(|feed| Arc::clone(&feed.switch)).unwrap_or_default()
    }

    /// Waits until its encoders are open. Dropping what could not be opened ends what did.
    pub(crate) fn wait_open(self) -> Result<Self, ChannelError> {
        let name = || self.entry.name.clone();
        for _ in 0..self.encoders {
            match self.opened.recv_timeout(OPEN_MAX) {
                Ok(Ok(())) => {}
                Ok(Err((of, error))) => return Err(ChannelError::Encoder(of, error)),
                Err(_) => return Err(ChannelError::EncoderSilent(name(), OPEN_MAX)),
            }
        }
        Ok(self)
    }
}

/// Where a channel's pictures are drawn, and what it shows first, unless that is handed in.
fn canvas(
    context: &ChannelContext,
    config: &ChannelConfig,
    frames: Frames,
    plan: &RenditionPlan,
) -> Result<(Pool, Option<(ResolvedScene, Prepared)>), ChannelError> {
    let least = plan.canvas_frames(config.queue_frames);
    let (slots, scene) = match frames {
        Frames::Composed => {
            (config.pool_frames.unwrap_or(least), Some(first_scene(context, config)?))
        }
        Frames::HandedIn(slots) => (slots.max(least), None),
    };
    let pool = Pool::new(Geometry::new(config.size, PixelFormat::I420), slots);
    Ok((pool.map_err(ChannelError::Memory)?, scene))
}

/// Loads the scene that begins; a file that cannot be read keeps nothing waiting, and is tried
/// again.
fn first_scene(
    context: &ChannelContext,
    config: &ChannelConfig,
) -> Result<(ResolvedScene, Prepared), ChannelError> {
    let fault = |error| ChannelError::Scene(config.name.clone(), error);
    let resolved = config.resolved(config.scene()).map_err(fault)?;
    let prepared =
        prepare(&resolved, &context.encode_cpus, &context.loader).map_err(ChannelError::Thread)?;
    Ok((resolved, prepared.map_err(fault)?))
}

/// The rings by which scenes reach the composer, and old ones come back.
fn scene_line(
    context: &ChannelContext,
    stats: &Arc<ChannelStats>,
    tap: FrameTapEnd,
) -> (SceneLine, SceneEnds) {
    // The composer looks on every tick; nobody needs to be woken.
    let (changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, heard) = channel(SCENE_REPORTS_MAX, Arc::clone(&context.controller));
    let (stats, inputs) = (Arc::clone(stats), InputPool::default());
    let ends =
        SceneEnds { changes, reports: heard, natives: Vec::new(), stats, inputs, tap: Some(tap) };
    (SceneLine::new(to_come, reports), ends)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::RenditionConfig;
    use crate::control::channels::frame_sockets::FrameSockets;
    use crate::control::channels::players::Players;
    use crate::control::threads::Threads;
    use crate::event::NodeEvent;
    use crate::frame::{PacketPool, PacketPoolSpec};
    use crate::media::Size;
    use crate::runtime::Clock;
    use crossbeam::queue::ArrayQueue;

    /// What channels have without a node around them.
    pub(crate) fn context() -> ChannelContext {
        ChannelContext {
            clock: Clock::start(),
            packets: PacketPool::new(PacketPoolSpec::default()).unwrap(),
            chunk_size: 60_000,
            cpu: Arc::default(),
            encode_cpus: Vec::new(),
            compose_cpus: Vec::new(),
            bells: Arc::from([]),
            home: Bell::new(),
            controller: Bell::new(),
            events: Arc::new(ArrayQueue::new(8)),
            loader: Arc::default(),
            threads: Threads::default(),
            frame_sockets: FrameSockets::default(),
            players: Players::default(),
            composers: Threads::default(),
            loops: Arc::default(),
            origin: Arc::default(),
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
        let built = build(&context, &config, Frames::Composed, &KnownStats::default()).unwrap();
        let error = built.wait_open().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("channel a: encoder: "), "{error}");
        wait_for_end(&context);
        let told = context.events.pop();
        assert!(matches!(&told, Some(NodeEvent::EncoderFailed { channel, .. }) if channel == "a"));
    }

    #[test]
    fn a_channel_waits_for_both_of_its_encoders_and_they_end_with_its_stage() {
        let context = context();
        let built = build(&context, &channel(), Frames::Composed, &KnownStats::default()).unwrap();
        let built = built.wait_open().unwrap();
        assert_eq!((built.encoders, built.entry.facts.preset.as_str()), (2, "ultrafast"));
        let feed = &built.feeds[0];
        for ring in [&feed.video, feed.audio.as_ref().unwrap()] {
            assert!(ring.peek().is_some_and(|encoded| encoded.message.is_header()));
        }
        drop(built.stage);
        wait_for_end(&context);
    }

    fn rendition(name: &str, side: u32, preset: &str) -> RenditionConfig {
        RenditionConfig {
            name: name.to_owned(),
            stream: format!("live/a_{name}"),
            size: Size::new(side, side).unwrap(),
            render: crate::config::Render::default(),
            fps_divisor: 1,
            codec: crate::media::VideoCodec::H264,
            encoder: None,
            bitrate_bps: 2_500_000,
            bitrate_min_bps: 625_000,
            preset: preset.to_owned(),
            fastest_preset: None,
            keep: crate::encode::Keep::default(),
        }
    }

    /// A channel at a fixed speed with these renditions.
    fn ladder(renditions: Vec<RenditionConfig>) -> ChannelConfig {
        ChannelConfig { renditions, fastest_preset: None, ..channel() }
    }

    #[test]
    fn equal_renditions_share_one_encoder_whose_packets_go_to_each_of_their_streams() {
        let context = context();
        let config =
            ladder(vec![rendition("copy", 64, "ultrafast"), rendition("low", 32, "ultrafast")]);
        let known = KnownStats::default();
        let mut built = build(&context, &config, Frames::Composed, &known).unwrap();
        built = built.wait_open().unwrap();
        assert_eq!(built.encoders, 3, "two of video, and one of audio for all");
        let shares: Vec<_> = built.entry.renditions.iter().map(|it| it.shares.as_deref()).collect();
        assert_eq!(shares, [Some("main"), None]);
        let streams: Vec<_> = built.feeds.iter().map(|feed| feed.stream.to_string()).collect();
        assert_eq!(streams, ["live/a", "live/a_copy", "live/a_low"]);
        let mut body = |at: usize| {
            let feed: &mut ChannelSource = &mut built.feeds[at];
            let audio = feed.audio.as_mut().unwrap().pop().unwrap().message;
            let video =
                [(); 2].map(|()| feed.video.pop().unwrap().message).into_iter().last().unwrap();
            (video.body().as_ptr(), audio.body().as_ptr())
        };
        let (main, copy, low) = (body(0), body(1), body(2));
        assert_eq!(main, copy, "the very same bytes");
        assert_eq!(main.1, low.1, "and the same audio in all");
        assert_ne!(main.0, low.0);
        drop(built.stage);
        wait_for_end(&context);
    }

    #[test]
    fn a_rendition_that_does_not_open_is_told_with_its_name() {
        let context = context();
        let config = ladder(vec![rendition("low", 32, "hasty")]);
        let known = KnownStats::default();
        let built = build(&context, &config, Frames::Composed, &known).unwrap();
        let error = built.wait_open().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("channel a: rendition low: encoder: "), "{error}");
        wait_for_end(&context);
    }

    #[test]
    fn a_rendition_that_is_drawn_ends_with_its_channel_and_needs_a_scene() {
        let context = context();
        let own = RenditionConfig {
            render: crate::config::Render::Native,
            ..rendition("own", 32, "ultrafast")
        };
        let (config, known) = (ladder(vec![own]), KnownStats::default());
        let built = build(&context, &config, Frames::Composed, &known).unwrap();
        let built = built.wait_open().unwrap();
        assert_eq!(built.scenes.as_ref().unwrap().natives.len(), 1);
        let other = build(&context, &config, Frames::HandedIn(8), &known);
        let error = other.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("`render = \"scaled\"`"), "{error}");
        drop(built.stage);
        wait_for_end(&context);
    }

    #[test]
    fn a_rendition_that_ends_leaves_the_others_and_the_channel_ends_all() {
        let context = context();
        let config = ladder(vec![rendition("low", 32, "ultrafast")]);
        let known = KnownStats::default();
        let built = build(&context, &config, Frames::Composed, &known).unwrap();
        let built = built.wait_open().unwrap();
        let [main, low] = [0, 1].map(|at| Arc::clone(&built.feeds[at].switch));
        low.stop();
        assert!(low.is_stopped() && !main.is_stopped());
        main.stop();
        let config = ladder(vec![rendition("low", 32, "ultrafast")]);
        let again = build(&context, &config, Frames::Composed, &known).unwrap();
        let again = again.wait_open().unwrap();
        again.switch().stop();
        assert!(again.feeds.iter().all(|feed| feed.switch.is_stopped()));
        drop((built.stage, again.stage));
        wait_for_end(&context);
    }
}
