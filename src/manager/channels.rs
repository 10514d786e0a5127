//! Builds the stages of one channel and joins them with rings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::command::ChannelSwitch;
use crate::config::ChannelConfig;
use crate::decode::{File, FileSpec, Live, LiveSpec};
use crate::encode::{self, AudioSpec};
use crate::event::NodeEvent;
use crate::frame::{Geometry, PacketPool, PictureEvent, Pool, SoundBlock};
use crate::media::{Micros, Rect, Size};
use crate::pipeline::{
    self, Channel, ChannelFeed, DECODED_SOUND_QUEUE, DecodeOut, ENCODED_QUEUE, EncodeShare,
    PICTURE_QUEUE, POOL_EXTRA_FRAMES, Picture, RawFrame, RawSound, SOUND_QUEUE_BLOCKS, Sound,
    TAP_QUEUE, TapEvent, Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, NICE_ENCODE, Pacer, Worker};
use crate::scene::kernel::Level;
use crate::scene::{self, Composer, Fit, Scene};
use crate::sound::{self, Mixer};
use crate::stats::ChannelStats;

use super::desk::Events;
use super::node::StartError;

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(150);

/// Threads of a decoder.
const DECODE_THREADS: u32 = 2;

/// What all channels of a node share.
pub(super) struct Shop {
    pub(super) clock: Clock,
    pub(super) packets: PacketPool,
    pub(super) chunk_size: u32,
    pub(super) encode_cpus: Vec<usize>,
    pub(super) home: Arc<Bell>,
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
    let (picture, entrance) = match frames {
        Frames::Composed => {
            let mut composer = Composer::new(&config.scene, share.video.size, Level::best())
                .map_err(|error| StartError::Scene(config.name.clone(), error))?;
            sources.want_pictures(&config.scene, &mut composer);
            (Some(Picture { composer, pool, encoder: raw }), None)
        }
        Frames::HandedIn(_) => (None, Some(Entrance { pool, encoder: raw, timeline })),
    };
    let mut encoded_audio = None;
    let mut mixed = None;
    if let Some(spec) = share.audio {
        let mut mixer = Mixer::new(&config.sound);
        sources.want_sound(&config.sound, &mut mixer);
        let (encoder, encoded) = start_audio(shop, config, &share, spec, &mut workers)?;
        mixed = Some(Sound { mixer, encoder });
        encoded_audio = Some(encoded);
    }
    let taps = sources.start(shop, &config.name, timeline.start, &mut workers)?;
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
        entrance,
    })
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
    tracing::error!("channel {channel}: the encoder failed: {error}");
    switch.stop();
    events.force_push(NodeEvent::EncoderFailed { channel, reason: error.to_string() });
}

/// Something that is decoded, once, for all layers and inputs that use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SourceKey {
    Live(String),
    Video(PathBuf),
}

/// Who uses a source.
#[derive(Default)]
struct Users {
    pictures: Option<(Sender<PictureEvent>, Rect, Fit)>,
    sounds: Vec<Sender<SoundBlock>>,
}

/// A decoder's wish for a stream: its name, and where the messages go.
pub(super) type Tap = (Arc<str>, Sender<TapEvent>);

/// The decoders that a channel needs.
#[derive(Default)]
struct Sources(HashMap<SourceKey, Users>);

impl Sources {
    /// Connects every layer that shows a stream or a video file. Two layers of one source are two
    /// decoders only in their pictures: the second gets a source of its own.
    fn want_pictures(&mut self, scene: &Scene, composer: &mut Composer) {
        for layer in &scene.layers {
            let key = match &layer.source {
                scene::Source::Live { stream, .. } => SourceKey::Live(stream.clone()),
                scene::Source::Video(path) => SourceKey::Video(path.clone()),
                _ => continue,
            };
            // The composer looks on every tick; nobody needs to be woken.
            let (sender, receiver) = channel(PICTURE_QUEUE, Bell::new());
            if composer.input(&layer.name, receiver).is_ok() {
                self.0.entry(key).or_default().pictures = Some((sender, layer.place, layer.fit));
            }
        }
    }

    /// Connects every mixer input that plays a stream or a video file.
    fn want_sound(&mut self, inputs: &[sound::InputSpec], mixer: &mut Mixer) {
        for input in inputs {
            let key = match &input.source {
                sound::Source::Live(stream) => SourceKey::Live(stream.clone()),
                sound::Source::Video(path) => SourceKey::Video(path.clone()),
                _ => continue,
            };
            let (sender, receiver) = channel(DECODED_SOUND_QUEUE, Bell::new());
            if mixer.attach(&input.name, receiver) {
                self.0.entry(key).or_default().sounds.push(sender);
            }
        }
    }

    /// Starts a decoder thread for each source; gives the taps of the live ones.
    fn start(
        self,
        shop: &Shop,
        name: &str,
        start: Micros,
        workers: &mut Vec<Worker<()>>,
    ) -> Result<Vec<Tap>, StartError> {
        let mut taps = Vec::new();
        for (key, users) in self.0 {
            let bell = Bell::new();
            let wants_sound = !users.sounds.is_empty();
            let (scale, pictures) = match users.pictures {
                Some((sender, place, fit)) => (scale(place, fit), Some(sender)),
                None => (scale(Rect { x: 0, y: 0, w: 16, h: 16 }, Fit::Fill), None),
            };
            let out = DecodeOut { pictures, sounds: users.sounds };
            let run: Box<dyn FnOnce() + Send> = match key {
                SourceKey::Live(stream) => {
                    let (tap, events) = channel(TAP_QUEUE, Arc::clone(&bell));
                    taps.push((Arc::from(stream), tap));
                    let decoder =
                        Live::new(LiveSpec { threads: DECODE_THREADS, ..LiveSpec::new(scale) });
                    Box::new(move || pipeline::decode_live(decoder, events, &bell, out))
                }
                SourceKey::Video(path) => {
                    let spec = FileSpec {
                        want_sound: wants_sound,
                        threads: DECODE_THREADS,
                        ..FileSpec::new(scale, start)
                    };
                    let decoder = File::open(&path, spec)
                        .map_err(|error| StartError::Source(name.to_owned(), error))?;
                    Box::new(move || pipeline::decode_file(decoder, &bell, out))
                }
            };
            let worker = Worker::spawn("decode", shop.encode_cpus.clone(), NICE_ENCODE, run);
            workers.push(worker.map_err(StartError::Thread)?);
        }
        Ok(taps)
    }
}

/// How large a source's pictures are made for a layer.
fn scale(place: Rect, fit: Fit) -> Box<dyn FnMut(Size) -> Size + Send> {
    Box::new(move |source| scene::layout::fit(place, fit, source).scaled)
}
