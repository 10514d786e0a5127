//! Channel context: what all channels of a node share.

use std::sync::Arc;

use crate::control::channels::frame_sockets::FrameSockets;
use crate::control::channels::input_pool::InputPool;
use crate::control::channels::players::Players;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::sources::DecoderContext;
use crate::control::event_queue::EventQueue;
use crate::control::threads::Threads;
use crate::encode::SharedCpu;
use crate::frame::PacketPool;
use crate::ring::Bell;
use crate::runtime::Clock;
use crate::stats::{Loops, OriginClock};

/// What all channels of a node share.
#[derive(Clone)]
pub(crate) struct ChannelContext {
    pub(crate) clock: Clock,
    pub(crate) packets: PacketPool,
    pub(crate) chunk_size: u32,
    pub(crate) encode_cpus: Vec<usize>,
    /// What encoders tell each other of their need.
    pub(crate) cpu: Arc<SharedCpu>,
    pub(crate) compose_cpus: Vec<usize>,
    /// Rung for each shard, by its number.
    pub(crate) bells: Arc<[Arc<Bell>]>,
    /// Rung for the shard that the encoders of one of them hand over to.
    pub(crate) home: Arc<Bell>,
    /// Rung for the controller.
    pub(crate) controller: Arc<Bell>,
    pub(crate) events: EventQueue,
    /// What scenes are loaded with.
    pub(crate) loader: Arc<SceneLoader>,
    /// Encoders, decoders and what loads for them.
    pub(crate) threads: Threads,
    /// Where programs send frames.
    pub(crate) frame_sockets: FrameSockets,
    /// The video files that are played.
    pub(crate) players: Players,
    /// The compose core, and those before it.
    pub(crate) composers: Threads,
    /// Loops that are watched.
    pub(crate) loops: Arc<Loops>,
    /// What video is stamped by with where it comes from.
    pub(crate) origin: Arc<OriginClock>,
}

impl ChannelContext {
    /// For one of them, whose stream this shard owns.
    pub(crate) fn at_shard(&self, shard: usize) -> Self {
        let home = self.bells.get(shard).unwrap_or(&self.home);
        Self { home: Arc::clone(home), ..self.clone() }
    }

    /// For the decoders of the one with this name.
    pub(crate) fn decoders(&self, channel: &str) -> DecoderContext {
        DecoderContext {
            channel: channel.to_owned(),
            cpus: self.encode_cpus.clone(),
            clock: self.clock,
            events: Arc::clone(&self.events),
            threads: self.threads.clone(),
            frame_sockets: self.frame_sockets.clone(),
            players: self.players.clone(),
            inputs: InputPool::default(),
        }
    }
}
