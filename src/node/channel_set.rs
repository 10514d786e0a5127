//! Channels, outputs, pulls and recordings of the configuration, while a node starts.

use std::sync::Arc;

use super::start_error::StartError;
use crate::command::{ChannelSource, OutputSpec, PullSpec, RecordSink, ShardCommand};
use crate::config::{ChannelConfig, Config};
use crate::control::channels::build::{self, Built, FrameInput, Frames};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::error::ChannelError;
use crate::control::channels::list::Known;
use crate::control::channels::mixers::Mixers;
use crate::control::channels::renditions::KnownStats;
use crate::control::channels::scenes::Scenes;
use crate::control::channels::sources::Subscription;
use crate::control::hooks::HookService;
use crate::control::outputs::Outputs;
use crate::control::placement::Placement;
use crate::control::pulls::Pulls;
use crate::control::recordings::Recordings;
use crate::control::threads::Threads;
use crate::pipeline::ChannelStage;
use crate::stats::{ChannelEntry, OutputEntry, PullEntry, RecordEntry, Registry, ShardStats};

/// Everything that the configuration lists by name: built, and its threads started.
pub(super) struct ChannelSet {
    /// For the compose core.
    stages: Vec<ChannelStage>,
    /// For each shard.
    shares: Vec<ShardShare>,
    /// For control.
    pub(super) placement: Placement,
    pub(super) known: Vec<Known>,
    pub(super) outputs: Outputs,
    pub(super) pulls: Pulls,
    pub(super) recordings: Recordings,
    pub(super) scenes: Scenes,
    /// How their audio is changed.
    pub(super) mixers: Mixers,
    /// For a program that hands in its own frames.
    pub(super) frame_input: Option<FrameInput>,
    /// For the figures.
    entries: Entries,
}

/// What one shard has beyond its connections.
#[derive(Default)]
pub(super) struct ShardShare {
    /// Channels whose streams it owns.
    pub(super) feeds: Vec<ChannelSource>,
    /// Decoders that want streams.
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) outputs: Vec<OutputSpec>,
    pub(super) pulls: Vec<PullSpec>,
    pub(super) records: Vec<RecordSink>,
}

#[derive(Default)]
struct Entries {
    channels: Vec<ChannelEntry>,
    outputs: Vec<OutputEntry>,
    pulls: Vec<PullEntry>,
    records: Vec<RecordEntry>,
}

impl ChannelSet {
    /// Builds all of a configuration, and says where each part goes: first what brings streams,
    /// then what reads them. Dropping it ends what it has started.
    pub(super) fn build(
        config: &Config,
        frames: Frames,
        scenes: Scenes,
        (context, writers): (&ChannelContext, &Threads),
    ) -> Result<Self, StartError> {
        let mut set = Self {
            stages: Vec::new(),
            shares: context.bells.iter().map(|_| ShardShare::default()).collect(),
            placement: Placement::new(context.bells.len()),
            known: Vec::new(),
            outputs: Outputs::default(),
            pulls: Pulls::of(&config.streams),
            recordings: Recordings::new(context, writers),
            scenes,
            mixers: Mixers::default(),
            frame_input: None,
            entries: Entries::default(),
        };
        let now = context.clock.now();
        let mut build = |channel: &ChannelConfig| {
            let (name, stream) = (&channel.name, &channel.stream);
            let shard = set.placement.choose_for_channel(name, stream, now);
            let streams =
                channel.streams().map(|(name, stream)| (name.to_owned(), Arc::from(stream)));
            set.placement.put_channel(name, &streams.collect::<Vec<_>>(), shard, now);
            let known = KnownStats::default();
            let built = build::build(&context.at_shard(shard), channel, frames, &known)?;
            Ok((shard, built))
        };
        // All encoders open at once.
        let built = config.channels.iter().map(&mut build);
        let built = built.collect::<Result<Vec<_>, ChannelError>>()?;
        for pull in &config.pulls {
            let (spec, entry) = set.pulls.open(pull);
            set.give(ShardCommand::AddPull(Box::new(spec)));
            set.entries.pulls.push(entry);
        }
        for (channel, (shard, built)) in config.channels.iter().zip(built) {
            set.add_channel(channel, shard, built.wait_open()?);
        }
        set.add_readers(config)?;
        Ok(set)
    }

    fn add_channel(&mut self, config: &ChannelConfig, shard: usize, mut built: Built) {
        self.known.push(Known::of(&built));
        let frame_input = built.frame_input.take();
        let Built { stage, feeds, subscriptions, scenes, mixer, faults, entry, .. } = built;
        self.scenes.put(config, scenes, &faults);
        self.mixers.put(&config.name, mixer);
        self.stages.push(stage);
        self.shares[shard].feeds.extend(feeds);
        for (stream, subscription) in subscriptions {
            self.give(ShardCommand::Subscription(stream, subscription));
        }
        if frame_input.is_some() {
            self.frame_input = frame_input;
        }
        for (spec, entry) in self.outputs.channel(config) {
            self.give(ShardCommand::AddOutput(Box::new(spec)));
            self.entries.outputs.push(entry);
        }
        self.entries.channels.push(entry);
    }

    /// Describes pushes, and starts the writers of recordings.
    fn add_readers(&mut self, config: &Config) -> Result<(), StartError> {
        for push in &config.pushes {
            let (spec, entry) = self.outputs.push(push);
            self.give(ShardCommand::AddOutput(Box::new(spec)));
            self.entries.outputs.push(entry);
        }
        for record in &config.records {
            let opened = self.recordings.open(record.clone());
            let (entry, feed) = opened.map_err(StartError::Thread)?;
            self.entries.records.push(entry);
            if let Some(feed) = feed {
                self.give(ShardCommand::Record(feed));
            }
        }
        Ok(())
    }

    /// Puts something where the rule places it, as a command to a shard that runs would.
    fn give(&mut self, command: ShardCommand) {
        let shard = self.placement.route(&command);
        let share = &mut self.shares[shard];
        match command {
            ShardCommand::AddOutput(spec) => share.outputs.push(*spec),
            ShardCommand::AddPull(spec) => share.pulls.push(*spec),
            ShardCommand::Record(feed) => share.records.push(feed),
            ShardCommand::Subscription(stream, subscription) => {
                share.subscriptions.push((stream, subscription));
            }
            // A start gives nothing else.
            _ => {}
        }
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

    /// What this shard is given; nothing from the second call on.
    pub(super) fn take_share(&mut self, shard: usize) -> ShardShare {
        std::mem::take(&mut self.shares[shard])
    }

    /// What the compose core is given.
    pub(super) fn take_stages(&mut self) -> Vec<ChannelStage> {
        std::mem::take(&mut self.stages)
    }
}
