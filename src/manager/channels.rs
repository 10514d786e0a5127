//! Builds the stages of one channel and joins them with rings.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::command::ChannelSwitch;
use crate::config::ChannelConfig;
use crate::encode::{self, AudioSpec};
use crate::event::NodeEvent;
use crate::ffi::av::set_log_subject;
use crate::frame::{Geometry, PacketPool, Pool};
use crate::media::Micros;
use crate::pipeline::{
    self, CHANGES_MAX, Channel, ChannelFeed, ENCODED_QUEUE, EncodeShare, POOL_EXTRA_FRAMES,
    Picture, RawFrame, RawSound, SCENE_REPORTS_MAX, SOUND_QUEUE_BLOCKS, SceneLine, Sound, Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, NICE_ENCODE, Pacer, Worker};
use crate::scene::kernel::Level;
use crate::scene::{self, Composer, PreparedScene};
use crate::sound::Mixer;
use crate::stats::ChannelStats;

use super::desk::Events;
use super::scenes::SceneEnds;
use super::sources::{Site, Sources, Started, Tap};
use super::start_error::StartError;

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(150);

/// How long the start waits for the files of a scene, which may lie on a server that does not
/// answer. The scene begins without them, and they are tried again.
const LOAD_MAX: Duration = Duration::from_secs(5);

/// What all channels of a node share.
pub(super) struct Shop {
    pub(super) clock: Clock,
    pub(super) packets: PacketPool,
    pub(super) chunk_size: u32,
    pub(super) encode_cpus: Vec<usize>,
    pub(super) home: Arc<Bell>,
    /// Rung for the desk.
    pub(super) desk: Arc<Bell>,
    pub(super) events: Events,
}

/// A channel whose stages are joined; its threads run, its composer is not started yet.
pub(super) struct Built {
    /// For the compose core.
    pub(super) channel: Channel,
    /// For the home shard.
    pub(super) feed: ChannelFeed,
    /// For the home shard: decoders that want streams.
    pub(super) taps: Vec<Tap>,
    pub(super) workers: Vec<Worker<()>>,
    /// For control: how its scenes are changed. `None` if it shows another program's frames.
    pub(super) scenes: Option<SceneEnds>,
    /// What of the scene that begins cannot be shown yet.
    pub(super) faults: Vec<scene::Error>,
    /// For a program that hands in its own frames.
    pub(super) entrance: Option<Entrance>,
}

/// Where another program's frames enter.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) pool: Pool,
    pub(super) encoder: Sender<RawFrame>,
    pub(super) timeline: Timeline,
}

/// Where a channel's pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// Its scene.
    Composed,
    /// Another program; the pool has this many slots.
    HandedIn(u32),
}

/// Builds every stage of the channel and starts its encoder and decoder threads.
pub(super) fn build(
    shop: &Shop,
    config: &ChannelConfig,
    frames: Frames,
    stats: &Arc<ChannelStats>,
) -> Result<Built, StartError> {
    let video = config.video_spec(shop.encode_cpus.len());
    let timeline = Timeline { rate: video.rate, start: shop.clock.now() + LEAD };
    let switch = Arc::new(ChannelSwitch::default());
    let share = EncodeShare {
        timeline,
        audio: config.audio,
        packets: shop.packets.clone(),
        chunk_size: shop.chunk_size,
        switch: Arc::clone(&switch),
        stats: Arc::clone(stats),
        clock: shop.clock,
        video,
    };
    let mut workers = Vec::new();
    let (raw, encoded_video) = start_video(shop, config, &share, &mut workers)?;
    let slots = match frames {
        Frames::Composed => config.pool_frames.unwrap_or(config.queue_frames + POOL_EXTRA_FRAMES),
        Frames::HandedIn(slots) => slots.max(config.queue_frames + POOL_EXTRA_FRAMES),
    };
    let geometry = Geometry::new(share.video.size, share.video.format);
    let pool = Pool::new(geometry, slots).map_err(StartError::Memory)?;

    let mut sources = Sources::default();
    let (mut picture, mut scenes, mut entrance) = (None, None, None);
    let mut faults = Vec::new();
    match frames {
        Frames::Composed => {
            let (mut scene, found) = first_scene(shop, config)?;
            faults = found;
            sources.want_pictures(config.scene().layers.iter(), &mut scene);
            let composer = Composer::with_scene(scene, Level::best());
            let (line, ends) = scene_line(shop);
            scenes = Some(ends);
            picture = Some(Picture { composer, pool, encoder: raw, line });
        }
        Frames::HandedIn(_) => entrance = Some(Entrance { pool, encoder: raw, timeline }),
    }
    let (mut encoded_audio, mut mixed) = (None, None);
    if let Some(spec) = share.audio {
        let mut mixer = Mixer::new(&config.sound);
        sources.want_sound(&config.sound, &mut mixer);
        let (encoder, encoded) = start_audio(shop, config, &share, spec, &mut workers)?;
        mixed = Some(Sound { mixer, encoder });
        encoded_audio = Some(encoded);
    }
    let Started { taps, workers: decoders, .. } =
        sources.start(&shop.site(config), timeline.start)?;
    workers.extend(decoders);
    Ok(Built {
        channel: Channel {
            pacer: Pacer::new(timeline.rate, timeline.start),
            timeline,
            picture,
            sound: mixed,
            switch: Arc::clone(&switch),
            stats: Arc::clone(stats),
            clock: shop.clock,
        },
        feed: ChannelFeed {
            stream: Arc::from(config.stream.as_str()),
            video: encoded_video,
            audio: encoded_audio,
            switch,
            stats: Arc::clone(stats),
        },
        taps,
        workers,
        scenes,
        faults,
        entrance,
    })
}

impl Shop {
    fn site(&self, config: &ChannelConfig) -> Site {
        Site {
            channel: config.name.clone(),
            cpus: self.encode_cpus.clone(),
            clock: self.clock,
            events: Arc::clone(&self.events),
        }
    }
}

/// Loads the scene that begins, on a thread of its own, so that a file that cannot be read keeps
/// nothing waiting; what of it is stood for by placeholders.
fn first_scene(
    shop: &Shop,
    config: &ChannelConfig,
) -> Result<(PreparedScene, Vec<scene::Error>), StartError> {
    let (size, first) = (config.size, config.scene().clone());
    let (done, loaded) = mpsc::sync_channel(1);
    let load = move || {
        // Nobody listens any more if it took too long.
        drop(done.send(PreparedScene::with_placeholders(&first, size)));
    };
    Worker::spawn("scene", shop.encode_cpus.clone(), NICE_ENCODE, load)
        .map_err(StartError::Thread)?;
    let loaded = loaded.recv_timeout(LOAD_MAX).unwrap_or_else(|_| {
        let cause = format!("it has not been read within {} s", LOAD_MAX.as_secs());
        PreparedScene::without_files(config.scene(), size, &cause)
    });
    loaded.map_err(|error| StartError::Scene(config.name.clone(), error))
}

/// The rings by which scenes reach the composer, and old ones come back.
fn scene_line(shop: &Shop) -> (SceneLine, SceneEnds) {
    // The composer looks on every tick; nobody needs to be woken.
    let (changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, heard) = channel(SCENE_REPORTS_MAX, Arc::clone(&shop.desk));
    (SceneLine::new(to_come, reports), SceneEnds { changes, reports: heard })
}

type Encoders = (Sender<RawFrame>, Receiver<pipeline::Encoded>);

/// Starts the video encoder's thread.
fn start_video(
    shop: &Shop,
    config: &ChannelConfig,
    share: &EncodeShare,
    workers: &mut Vec<Worker<()>>,
) -> Result<Encoders, StartError> {
    let bell = Bell::new();
    let (raw, frames) = channel(config.queue_frames as usize, Arc::clone(&bell));
    let (out, encoded) = channel(ENCODED_QUEUE, Arc::clone(&shop.home));
    let (share, name, events) = (share.clone(), config.name.clone(), Arc::clone(&shop.events));
    let run = move || {
        set_log_subject(&format!("channel {name}"));
        if let Err(error) = pipeline::encode_video(&share, frames, &bell, out) {
            encoder_failed(&events, &share.switch, name, &error);
        }
    };
    let thread = format!("video-{}", config.name);
    let worker = Worker::spawn(&thread, shop.encode_cpus.clone(), NICE_ENCODE, run);
    workers.push(worker.map_err(StartError::Thread)?);
    Ok((raw, encoded))
}

/// Starts the audio encoder's thread.
fn start_audio(
    shop: &Shop,
    config: &ChannelConfig,
    share: &EncodeShare,
    spec: AudioSpec,
    workers: &mut Vec<Worker<()>>,
) -> Result<(Sender<RawSound>, Receiver<pipeline::Encoded>), StartError> {
    let bell = Bell::new();
    let (raw, blocks) = channel(SOUND_QUEUE_BLOCKS, Arc::clone(&bell));
    let (out, encoded) = channel(ENCODED_QUEUE, Arc::clone(&shop.home));
    let (share, name, events) = (share.clone(), config.name.clone(), Arc::clone(&shop.events));
    let run = move || {
        set_log_subject(&format!("channel {name}"));
        if let Err(error) = pipeline::encode_audio(&share, spec, blocks, &bell, out) {
            encoder_failed(&events, &share.switch, name, &error);
        }
    };
    let thread = format!("audio-{}", config.name);
    let worker = Worker::spawn(&thread, shop.encode_cpus.clone(), NICE_ENCODE, run);
    workers.push(worker.map_err(StartError::Thread)?);
    Ok((raw, encoded))
}

/// A channel without an encoder has nothing to say: it stops, and says why.
fn encoder_failed(events: &Events, switch: &ChannelSwitch, channel: String, error: &encode::Error) {
    switch.stop();
    events.force_push(NodeEvent::EncoderFailed { channel, reason: error.to_string() });
}
