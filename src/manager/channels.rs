//! Builds the stages of one channel and joins them with rings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::command::ChannelSwitch;
use crate::config::ChannelConfig;
use crate::decode::{File, FileSpec, Live, LiveSpec};
use crate::encode::VideoSpec;
use crate::event::NodeEvent;
use crate::frame::{Geometry, PacketPool, PictureEvent, Pool, SoundBlock};
use crate::media::{Micros, Rect, Size};
use crate::pipeline::{
    self, Channel, ChannelFeed, DECODED_SOUND_QUEUE, DecodeOut, ENCODED_QUEUE, EncodeShare,
    PICTURE_QUEUE, POOL_EXTRA_FRAMES, Picture, RawFrame, SOUND_QUEUE_BLOCKS, Sound, TAP_QUEUE,
    TapEvent, Timeline,
};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, NICE_ENCODE, Pacer, Worker};
use crate::scene::{self, Composer, Fit, Scene};
use crate::sound::{self, Mixer};
use crate::stats::ChannelStats;

use super::desk::Events;
use super::node::StartError;

/// Time between the start of the stages and tick 0, so that encoders are open when it comes.
const LEAD: Micros = Micros::from_millis(150);

/// Threads of a decoder.
const DECODE_THREADS: u8 = 2;

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
    pub(super) taps: Vec<(Arc<str>, Sender<TapEvent>)>,
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
            let mut composer = Composer::new(&config.scene, share.video.size)
                .map_err(|error| StartError::Scene(config.name.clone(), error))?;
            sources.want_pictures(&config.scene, &mut composer);
            (Some(Picture { composer, pool, encoder: raw }), None)
        }
        Frames::HandedIn(_) => (None, Some(Entrance { pool, encoder: raw, timeline })),
    };
    let mut encoded_audio = None;
    let mut mixed = None;
    if share.audio.is_some() {
        let mut mixer = Mixer::new(&config.sound);
        sources.want_sound(&config.sound, &mut mixer);
        let (encoder, encoded) = start_audio(shop, config, &share, &mut workers)?;
        mixed = Some(Sound { mixer, encoder });
        encoded_audio = Some(encoded);
    }
    let taps = sources.start(shop, timeline, share.video.size, &mut workers)?;
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
