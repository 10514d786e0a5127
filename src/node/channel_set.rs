//! Channels, outputs, pulls and recordings of the configuration, while a node starts.

use std::sync::Arc;

use super::start_error::StartError;
use crate::command::{ChannelFeed, OutputSpec, PullSpec, PulledStream, RecordFeed};
use crate::config::{ChannelConfig, Config};
use crate::control::channels::build::{self, Built, FrameInput, Frames};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::list::Known;
use crate::control::channels::scenes::Scenes;
use crate::control::channels::sources::Tap;
use crate::control::hooks::HookService;
use crate::control::outputs::Outputs;
use crate::control::pulls::Pulls;
use crate::control::recordings::Recordings;
use crate::control::threads::Threads;
use crate::pipeline::ChannelStage;
use crate::stats::{
    ChannelEntry, ChannelStats, OutputEntry, PullEntry, RecordEntry, Registry, ShardStats,
};

/// Everything that the configuration lists by name: built, and its threads started.
pub(super) struct ChannelSet {
    /// For the compose core.
    stages: Vec<ChannelStage>,
    /// For the home shard.
    feeds: Vec<ChannelFeed>,
    taps: Vec<Tap>,
    output_specs: Vec<OutputSpec>,
    /// For the home shard; which streams are pulled, for all of them.
    pub(super) relay: RelayParts,
    /// For control.
    pub(super) known: Vec<Known>,
    pub(super) outputs: Outputs,
    pub(super) pulls: Pulls,
    pub(super) recordings: Recordings,
    pub(super) scenes: Scenes,
    /// For a program that hands in its own frames.
    pub(super) frame_input: Option<FrameInput>,
    /// For the figures.
    entries: Entries,
}

/// What a shard pulls from other servers, and what it hands to recordings.
#[derive(Default)]
pub(super) struct RelayParts {
    pub(super) pulls: Vec<PullSpec>,
    /// Streams that are pulled, on whatever shard somebody asks for them or publishes them.
    pub(super) pulled: Arc<[PulledStream]>,
    pub(super) records: Vec<RecordFeed>,
}

#[derive(Default)]
struct Entries {
    channels: Vec<ChannelEntry>,
    outputs: Vec<OutputEntry>,
    pulls: Vec<PullEntry>,
    records: Vec<RecordEntry>,
}

/// What one shard has beyond its connections: channels, decoders that want streams, outputs, pulls
/// and recordings.
pub(super) type Home = (Vec<ChannelFeed>, Vec<Tap>, Vec<OutputSpec>, RelayParts);

impl ChannelSet {
    /// Builds all of a configuration. Dropping it ends what it has started.
    pub(super) fn build(
        config: &Config,
        frames: Frames,
        scenes: Scenes,
        (context, writers): (&ChannelContext, &Threads),
    ) -> Result<Self, StartError> {
        let mut set = Self {
            stages: Vec::new(),
            feeds: Vec::new(),
            taps: Vec::new(),
            output_specs: Vec::new(),
            relay: RelayParts::default(),
            known: Vec::new(),
            outputs: Outputs::default(),
            pulls: Pulls::default(),
            recordings: Recordings::new(context, writers),
            scenes,
            frame_input: None,
            entries: Entries::default(),
        };
        let build = |channel: &ChannelConfig| {
            build::build(context, channel, frames, &Arc::new(ChannelStats::default()))
        };
        // All encoders open at once.
        let built = config.channels.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        for (channel, built) in config.channels.iter().zip(built) {
            set.add_channel(channel, built.wait_open()?);
        }
        set.add_relays(config)?;
        Ok(set)
    }

    fn add_channel(&mut self, config: &ChannelConfig, built: Built) {
        self.known.push(Known::of(&built));
        let Built { stage, feed, taps, scenes, faults, frame_input, entry, .. } = built;
        self.scenes.put(config, scenes, &faults);
        self.stages.push(stage);
        self.feeds.push(feed);
        self.taps.extend(taps);
        if frame_input.is_some() {
            self.frame_input = frame_input;
        }
        for (spec, entry) in self.outputs.channel(config) {
            self.output_specs.push(spec);
            self.entries.outputs.push(entry);
        }
        self.entries.channels.push(entry);
    }

    /// Starts the writers of recordings, and describes pulls and pushes.
    fn add_relays(&mut self, config: &Config) -> Result<(), StartError> {
        for pull in &config.pulls {
            let (spec, entry) = self.pulls.open(pull);
            self.relay.pulls.push(spec);
            self.entries.pulls.push(entry);
        }
        self.relay.pulled = self.pulls.streams();
        for push in &config.pushes {
            let (spec, entry) = self.outputs.push(push);
            self.output_specs.push(spec);
            self.entries.outputs.push(entry);
        }
        for record in &config.records {
            let opened = self.recordings.open(record.clone());
            let (entry, feed) = opened.map_err(StartError::Thread)?;
            self.entries.records.push(entry);
            self.relay.records.extend(feed);
        }
        Ok(())
    }

    /// The figures of the node.
    pub(super) fn registry(&mut self, shards: usize, hooks: &HookService) -> Registry {
        let entries = std::mem::take(&mut self.entries);
        let shards = (0..shards).map(|_| Arc::new(ShardStats::default())).collect();
        let mut registry = Registry::new(shards, entries.channels, entries.outputs);
        entries.pulls.iter().for_each(|entry| registry.add_pull(entry));
        entries.records.iter().for_each(|entry| registry.add_record(entry));
        registry.set_hooks(hooks.stats());
        registry.journal = hooks.journal_stats();
        registry
    }

    /// What the home shard is given; nothing from the second call on.
    pub(super) fn take_home(&mut self) -> Home {
        (
            std::mem::take(&mut self.feeds),
            std::mem::take(&mut self.taps),
            std::mem::take(&mut self.output_specs),
            std::mem::take(&mut self.relay),
        )
    }

    /// What the compose core is given.
    pub(super) fn take_stages(&mut self) -> Vec<ChannelStage> {
        std::mem::take(&mut self.stages)
    }
}
