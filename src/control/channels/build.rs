//! Builds the stages of one channel and joins them with rings.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::command::{ChannelFeed, ChannelSwitch, Encoded};
use crate::config::ChannelConfig;
use crate::encode::{self, AudioSpec, VideoSpec};
use crate::event::NodeEvent;
use crate::ffi::av::set_log_subject;
use crate::frame::{Geometry, PacketPool, Pool};
use crate::media::Micros;
use crate::pipeline::{
    self, CHANGES_MAX, Channel, ChannelStage, ENCODED_QUEUE, EncodeShare, POOL_EXTRA_FRAMES,
    Picture, RawFrame, RawSound, SCENE_REPORTS_MAX, SOUND_QUEUE_BLOCKS, SceneLine, Sound, Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, NICE_ENCODE, Pacer, Worker};
use crate::scene::kernel::Level;
use crate::scene::{self, Composer};
use crate::sound::Mixer;
use crate::stats::{ChannelEntry, ChannelFacts, ChannelStats};

use super::assets::{Prepared, prepare};
use super::desk::Events;
use super::scenes::SceneEnds;
use super::sources::{Site, Sources, Started, Tap};
use super::start_error::StartError;

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(150);

/// How long an encoder may take to open.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// What a channel's encoders may have to say about their opening.
const OPENED_MAX: usize = 4;

/// What all channels of a node share.
#[derive(Clone)]
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
    pub(super) stage: ChannelStage,
    /// For the home shard.
    pub(super) feed: ChannelFeed,
    /// For the home shard: decoders that want streams.
    pub(super) taps: Vec<Tap>,
    pub(super) workers: Vec<Worker<()>>,
    /// Says of each encoder that it is open, or why it is not.
    opened: mpsc::Receiver<Result<(), encode::Error>>,
    encoders: usize,
    /// For control: its figures, and what it is to make.
    pub(super) entry: ChannelEntry,
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
    // What may take long comes before the clock starts.
    let (pool, scene) = canvas(shop, config, frames, &video)?;
    let timeline = Timeline { rate: video.rate, start: shop.clock.now() + LEAD };
    let switch = Arc::new(ChannelSwitch::default());
    let (tell_open, opened) = mpsc::sync_channel(OPENED_MAX);
    let share = EncodeShare {
        timeline,
        audio: config.audio,
        packets: shop.packets.clone(),
        chunk_size: shop.chunk_size,
        switch: Arc::clone(&switch),
        opened: tell_open,
        stats: Arc::clone(stats),
        clock: shop.clock,
        video,
    };
    let mut workers = Vec::new();
    let (raw, encoded_video) = start_video(shop, config, &share, &mut workers)?;

    let mut sources = Sources::default();
    let (mut picture, mut scenes, mut entrance, mut faults) = (None, None, None, Vec::new());
    match scene {
        Some((mut scene, found)) => {
            faults = found;
            sources.want_pictures(config.scene().layers.iter(), &mut scene);
            let composer = Composer::with_scene(scene, Level::best());
            let (line, ends) = scene_line(shop);
            scenes = Some(ends);
            picture = Some(Picture { composer, pool, encoder: raw, line });
        }
        None => entrance = Some(Entrance { pool, encoder: raw, timeline }),
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
    let encoders = workers.len();
    workers.extend(decoders);
    Ok(Built {
        stage: ChannelStage::new(Channel {
            pacer: Pacer::new(timeline.rate, timeline.start),
            timeline,
            picture,
            sound: mixed,
            switch: Arc::clone(&switch),
            stats: Arc::clone(stats),
            clock: shop.clock,
        }),
        feed: ChannelFeed {
            stream: Arc::from(config.stream.as_str()),
            video: encoded_video,
            audio: encoded_audio,
            start: timeline.start,
            switch,
            stats: Arc::clone(stats),
        },
        taps,
        workers,
        opened,
        encoders,
        entry: entry(config, stats),
        scenes,
        faults,
        entrance,
    })
}

impl Built {
    /// Waits until its encoders are open. Dropping what could not be opened ends what did.
    pub(super) fn wait_open(self) -> Result<Self, StartError> {
        let name = || self.entry.name.clone();
        for _ in 0..self.encoders {
            match self.opened.recv_timeout(OPEN_MAX) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(StartError::Encoder(name(), error)),
                Err(_) => return Err(StartError::EncoderSilent(name(), OPEN_MAX)),
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
        bitrate_bps: config.bitrate_bps.into(),
        codec: config.codec.name().to_owned(),
        encoder: encode::first_choice(config.codec).to_owned(),
        preset: config.preset.clone(),
    };
    let (name, stream) = (config.name.clone(), config.stream.clone());
    ChannelEntry { name, stream, facts: Arc::new(facts), stats: Arc::clone(stats) }
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

/// Where a channel's pictures are drawn, and what it shows first, unless that is handed in.
fn canvas(
    shop: &Shop,
    config: &ChannelConfig,
    frames: Frames,
    video: &VideoSpec,
) -> Result<(Pool, Option<Prepared>), StartError> {
    let least = config.queue_frames + POOL_EXTRA_FRAMES;
    let (slots, scene) = match frames {
        Frames::Composed => (config.pool_frames.unwrap_or(least), Some(first_scene(shop, config)?)),
        Frames::HandedIn(slots) => (slots.max(least), None),
    };
    let pool = Pool::new(Geometry::new(video.size, video.format), slots);
    Ok((pool.map_err(StartError::Memory)?, scene))
}

/// Loads the scene that begins; a file that cannot be read keeps nothing waiting, and is tried
/// again.
fn first_scene(shop: &Shop, config: &ChannelConfig) -> Result<Prepared, StartError> {
    let prepared = prepare(config.scene(), config.size, &shop.encode_cpus);
    let prepared = prepared.map_err(StartError::Thread)?;
    prepared.map_err(|error| StartError::Scene(config.name.clone(), error))
}

/// The rings by which scenes reach the composer, and old ones come back.
fn scene_line(shop: &Shop) -> (SceneLine, SceneEnds) {
    // The composer looks on every tick; nobody needs to be woken.
    let (changes, to_come) = channel(CHANGES_MAX, Bell::new());
    let (reports, heard) = channel(SCENE_REPORTS_MAX, Arc::clone(&shop.desk));
    (SceneLine::new(to_come, reports), SceneEnds { changes, reports: heard })
}

type Encoders = (Sender<RawFrame>, Receiver<Encoded>);

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
            encoder_failed(&events, &share, name, error);
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
) -> Result<(Sender<RawSound>, Receiver<Encoded>), StartError> {
    let bell = Bell::new();
    let (raw, blocks) = channel(SOUND_QUEUE_BLOCKS, Arc::clone(&bell));
    let (out, encoded) = channel(ENCODED_QUEUE, Arc::clone(&shop.home));
    let (share, name, events) = (share.clone(), config.name.clone(), Arc::clone(&shop.events));
    let run = move || {
        set_log_subject(&format!("channel {name}"));
        if let Err(error) = pipeline::encode_audio(&share, spec, blocks, &bell, out) {
            encoder_failed(&events, &share, name, error);
        }
    };
    let thread = format!("audio-{}", config.name);
    let worker = Worker::spawn(&thread, shop.encode_cpus.clone(), NICE_ENCODE, run);
    workers.push(worker.map_err(StartError::Thread)?);
    Ok((raw, encoded))
}

/// A channel without an encoder has nothing to say: it stops, and says why.
fn encoder_failed(events: &Events, share: &EncodeShare, channel: String, error: encode::Error) {
    share.switch.stop();
    events.force_push(NodeEvent::EncoderFailed { channel, reason: error.to_string() });
    // Nobody listens any more once it was open.
    drop(share.opened.try_send(Err(error)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketPoolSpec;
    use crate::media::Size;
    use crossbeam::queue::ArrayQueue;

    fn shop() -> Shop {
        Shop {
            clock: Clock::start(),
            packets: PacketPool::new(PacketPoolSpec::default()).unwrap(),
            chunk_size: 60_000,
            encode_cpus: Vec::new(),
            home: Bell::new(),
            desk: Bell::new(),
            events: Arc::new(ArrayQueue::new(8)),
        }
    }

    fn channel() -> ChannelConfig {
        let size = Size::new(64, 64).unwrap();
        ChannelConfig {
            preset: "ultrafast".to_owned(),
            ..ChannelConfig::plain("a", "live/a", size)
        }
    }

    fn wait_for_end(workers: Vec<Worker<()>>) {
        assert!(workers.into_iter().all(|worker| worker.join().is_some()));
    }

    #[test]
    fn an_encoder_that_does_not_open_is_told_with_its_channel_and_leaves_nothing_running() {
        let shop = shop();
        let config = ChannelConfig { preset: "hasty".to_owned(), ..channel() };
        let mut built = build(&shop, &config, Frames::Composed, &Arc::default()).unwrap();
        let workers = std::mem::take(&mut built.workers);
        let error = built.wait_open().map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("channel a: encoder: "), "{error}");
        wait_for_end(workers);
        let told = shop.events.pop();
        assert!(matches!(&told, Some(NodeEvent::EncoderFailed { channel, .. }) if channel == "a"));
    }

    #[test]
    fn a_channel_waits_for_both_of_its_encoders_and_they_end_with_its_stage() {
        let built = build(&shop(), &channel(), Frames::Composed, &Arc::default()).unwrap();
        let mut built = built.wait_open().unwrap();
        assert_eq!((built.encoders, built.entry.facts.preset.as_str()), (2, "ultrafast"));
        for ring in [&built.feed.video, built.feed.audio.as_ref().unwrap()] {
            assert!(ring.peek().is_some_and(|encoded| encoded.message.is_header()));
        }
        let workers = std::mem::take(&mut built.workers);
        drop(built.stage);
        wait_for_end(workers);
    }
}
