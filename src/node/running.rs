//! Starts every stage in order and ends them in the reverse one.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use tokio::sync::broadcast;

use super::channels::{self, Built, Entrance, Frames, Shop};
use super::desk::{Desk, EVENTS_MAX, Events, Line, Reloads};
use super::hooks::{HookDesk, Hooks, Subscriber};
use super::keeper::Keeper;
use super::keydesk::KeyDesk;
use super::keystore::open_store;
use super::limits::node_limits;
use super::live_channels::{COMPOSE_QUEUE, Known, LiveChannels, Workers};
use super::outputs::Outputs;
use super::place::{checked_plan, open_doors};
use super::pulls::Pulls;
use super::recordings::{Recordings, Writers};
use super::relay::{Relay, RelayParts};
use super::rules::{Rules, http_rules};
use super::scenes::Scenes;
use super::secure::Secure;
use super::sources::Tap;
use super::spec::shard_spec;
use super::start_error::StartError;
use super::surveys::Surveys;
use super::troubles::Troubles;
use crate::command::{COMMANDS_MAX, ChannelFeed, OutputSpec, REPORTS_MAX};
use crate::config::Config;
use crate::control::http::HttpRules;
use crate::control::keystore::{DevelopmentKey, Keys};
use crate::control::{Door, door};
use crate::event::NodeEvent;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::pipeline::{COMPOSED_MAX, ChannelStage, ComposeCore};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, CorePlan, Driver, DriverParts, Executor, Pinned};
use crate::shard::{HookRules, Mesh, SETTINGS_MAX, ShardCore, ShardParts, ShardSpec};
use crate::stats::{ChannelEntry, ChannelStats, OutputEntry, Registry, ShardStats};
use crate::tls::Acceptor;

/// What a program that embeds the node says beyond the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    /// Every channel shows its scene.
    Composed,
    /// The same inside another program, which keeps by itself what it has changed.
    Embedded,
    /// The one channel shows the frames that the program hands in; its pool has this many slots.
    HandedIn(u32),
}

/// A running node.
pub struct Node {
    clock: Clock,
    registry: Arc<Registry>,
    packets: PacketPool,
    events: Events,
    subscribers: broadcast::Sender<NodeEvent>,
    workers: Workers,
    writers: Writers,
    compose: Option<(Executor, StopLine)>,
    shards: Vec<Driver>,
    stop: Vec<StopLine>,
    desk: Option<Desk>,
    door: Door,
    development_key: Option<DevelopmentKey>,
    keys: Option<Keys>,
    entrance: Option<Entrance>,
    rtmp: SocketAddr,
    plan: CorePlan,
    tls: Option<Acceptor>,
    http: Arc<ArcSwap<HttpRules>>,
    keeper: Keeper,
}

/// What the first shard is given: channels, decoders that want streams, outputs, pulls and
/// recordings.
type Home = (Vec<ChannelFeed>, Vec<Tap>, Vec<OutputSpec>, RelayParts);

/// Tells a stage to stop, beside the desk that owns its command ring.
pub(super) type StopLine = (Arc<AtomicBool>, Arc<Bell>);

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node on {}", self.rtmp)
    }
}

impl Node {
    /// Starts everything that `config` describes.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Setup::Composed, Hooks::new())
    }

    pub(super) fn start_with(
        config: &Config,
        setup: Setup,
        hooks: Hooks,
    ) -> Result<Self, StartError> {
        let plan = checked_plan(config)?;
        let clock = Clock::start();
        let (listeners, rtmp, secure) = open_doors(config, plan.net.len())?;
        let (keys, own_key, store) = open_store(config, clock).map_err(StartError::Store)?;
        let keeper = Keeper::open(config, plan.control.clone(), setup == Setup::Composed)?;
        let config = &*keeper.in_use();
        let packets = PacketPool::new(PacketPoolSpec::default()).map_err(StartError::Memory)?;
        let bells: Vec<_> = plan.net.iter().map(|_| Bell::new()).collect();
        let events: Events = Arc::new(ArrayQueue::new(EVENTS_MAX));
        let hooks = HookDesk::open(config, hooks, clock)?;

        let shop = shop(config, &plan, clock, &packets, &bells[0]);
        let (scenes, news) = Scenes::new(clock, plan.encode.clone(), Arc::clone(&shop.events));
        let mut stage = Stage::build(scenes, &shop, config, setup)?;
        let (writers, mut pulls) = (Writers::default(), Pulls::default());
        let mut recordings = Recordings::new(&shop, &writers);
        let mut relay = Relay::build(config, &mut stage.all_outputs, &mut pulls, &mut recordings)?;
        let registry = Arc::new(stage.registry(&plan, &mut relay, &hooks));
        let (door, questions) = door();
        let mut node = Self {
            clock,
            registry: Arc::clone(&registry),
            packets,
            events: Arc::clone(&events),
            subscribers: hooks.subscribers(),
            workers: stage.workers.clone(),
            writers,
            compose: None,
            shards: Vec::new(),
            stop: Vec::new(),
            desk: None,
            door,
            development_key: own_key,
            keys: keys.clone(),
            entrance: stage.entrance,
            rtmp,
            plan: plan.clone(),
            tls: secure.acceptor.clone(),
            http: Arc::new(ArcSwap::from_pointee(http_rules(config))),
            keeper: keeper.clone(),
        };
        let home = (stage.feeds, stage.taps, stage.outputs, relay.parts);
        let doors = (listeners.into_iter().zip(bells).collect(), secure);
        let told = (home, hooks.rules(), &shop.desk);
        let (lines, rules) = node.start_shards(config, &plan, doors, told)?;
        let (compose, to_and_from) = start_compose(plan.compose, stage.channels, &shop)?;
        node.compose = Some(compose);
        node.desk = Some(Desk {
            surveys: Surveys::new(lines.len()),
            lines,
            bell: Arc::clone(&shop.desk),
            keys: KeyDesk::new(keys),
            unsure: Vec::new(),
            events,
            inbox: Arc::clone(&shop.events),
            channels: LiveChannels::new(shop, to_and_from, stage.workers, stage.known),
            hooks,
            clock,
            questions,
            news,
            outputs: stage.all_outputs,
            pulls,
            recordings,
            scenes: stage.scenes,
            registry,
            troubles: Troubles::default(),
            keeper,
            rules: Rules { store, ..rules },
            reloads: Reloads::new(),
        });
        Ok(node)
    }

    /// Starts a shard on each listener; the first is the home of all channels.
    fn start_shards(
        &mut self,
        config: &Config,
        plan: &CorePlan,
        (doors, mut secure): (Vec<(TcpListener, Arc<Bell>)>, Secure),
        (home, hooks, desk): (Home, HookRules, &Arc<Bell>),
    ) -> Result<(Vec<Line>, Rules), StartError> {
        let (mut lines, mut settings) = (Vec::new(), Vec::new());
        let pulled = home.3.pulled.clone();
        // Random, and another one at each start.
        let node = RandomState::new().hash_one("node");
        let mut home = Some(home);
        let bells: Vec<_> = doors.iter().map(|(_, bell)| Arc::clone(bell)).collect();
        let meshes = Mesh::full(&bells);
        let limits = node_limits(config, self.registry.shards.clone());
        for (number, ((listener, bell), mesh)) in doors.into_iter().zip(meshes).enumerate() {
            let (to_shard, commands) = channel(COMMANDS_MAX, Arc::clone(&bell));
            let (reports, from_shard) = channel(REPORTS_MAX, Arc::clone(desk));
            let (to_come, other_rules) = channel(SETTINGS_MAX, Arc::clone(&bell));
            settings.push(to_come);
            lines.push(Line { commands: to_shard, reports: from_shard });
            let stopping = Arc::new(AtomicBool::new(false));
            self.stop.push((Arc::clone(&stopping), Arc::clone(&bell)));
            let (feeds, taps, outputs, relay) = home.take().unwrap_or_default();
            let secure_listener = secure.take();
            let spec = ShardSpec { node, ..shard_spec(config, number, hooks.clone()) };
            let driver_parts = DriverParts {
                listeners: std::iter::once((listener, false))
                    .chain(secure_listener.map(|listener| (listener, true)))
                    .collect(),
                bell,
                stopping,
                clock: self.clock,
                user_timeout: spec.peer.blocked,
            };
            let parts = ShardParts {
                spec,
                acceptor: secure.acceptor.clone(),
                trust: secure.trust.clone(),
                commands,
                settings: other_rules,
                reports,
                mesh,
                feeds,
                taps,
                records: relay.records,
                outputs,
                pulls: relay.pulls,
                pulled: pulled.clone(),
                limits: Arc::clone(&limits),
                packets: self.packets.clone(),
                stats: Arc::clone(&self.registry.shards[number]),
                seed: self.clock.unix_millis().rotate_left(17) ^ number as u64,
            };
            let (name, clock) = (format!("shard-{number}"), self.clock);
            let place = Pinned::Spinning(plan.net[number], plan.net_spin);
            let driver = Driver::spawn(plan.driver.kind, &name, place, driver_parts, move || {
                ShardCore::new(parts, clock.now())
            });
            self.shards.push(driver.map_err(StartError::Thread)?);
        }
        let acceptors = secure.acceptor.into_iter().collect();
        let (http, clock) = (Arc::clone(&self.http), self.clock);
        Ok((lines, Rules { limits, shards: settings, acceptors, http, store: None, clock }))
    }

    /// Where the running node is asked about its streams, scenes and outputs, and told to change
    /// them. Answers come once its desk runs.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// What meets peers by TLS on the RTMPS port, if there is one.
    #[must_use]
    pub const fn tls(&self) -> Option<&Acceptor> {
        self.tls.as_ref()
    }

    /// What is in use: what it was started with, and above it what was changed since.
    #[must_use]
    pub fn in_use(&self) -> Arc<Config> {
        self.keeper.in_use()
    }

    /// Which CPU does what.
    #[must_use]
    pub const fn plan(&self) -> &CorePlan {
        &self.plan
    }

    /// The node's clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The node's figures.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where it listens for RTMP.
    #[must_use]
    pub const fn rtmp(&self) -> SocketAddr {
        self.rtmp
    }

    /// The node's own key to try things with, if it has one.
    #[must_use]
    pub const fn development_key(&self) -> Option<&DevelopmentKey> {
        self.development_key.as_ref()
    }

    /// The keys of its store, if publishing needs one.
    #[must_use]
    pub const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    pub(super) const fn packets(&self) -> &PacketPool {
        &self.packets
    }

    pub(super) const fn http_rules(&self) -> &Arc<ArcSwap<HttpRules>> {
        &self.http
    }

    pub(super) const fn events(&self) -> &Events {
        &self.events
    }

    /// Hears every event from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        Subscriber::to(&self.subscribers)
    }

    /// The control plane's side of the shards, to be run by the caller's runtime; once.
    pub(super) const fn take_desk(&mut self) -> Option<Desk> {
        self.desk.take()
    }

    pub(super) const fn take_entrance(&mut self) -> Option<Entrance> {
        self.entrance.take()
    }

    /// Ends the node: channels first, then encoders hand over what they hold, then the shards say
    /// goodbye to their peers. Takes at most about two and a half seconds.
    pub fn stop(mut self) {
        if let Some((compose, line)) = self.compose.take() {
            tell_to_stop(&line);
            if let Err(error) = compose.join() {
                tracing::error!("the compose core ended badly: {error}");
            }
        }
        self.workers.finish(self.clock);
        self.stop.iter().for_each(tell_to_stop);
        for shard in self.shards.drain(..) {
            if let Err(error) = shard.join() {
                tracing::error!("a shard ended badly: {error}");
            }
        }
        self.writers.finish(self.clock);
    }
}

fn tell_to_stop((stopping, bell): &StopLine) {
    stopping.store(true, Ordering::Release);
    bell.ring();
}

/// The channels while they are being built.
struct Stage {
    channels: Vec<ChannelStage>,
    feeds: Vec<ChannelFeed>,
    taps: Vec<Tap>,
    outputs: Vec<OutputSpec>,
    workers: Workers,
    known: Vec<Known>,
    entrance: Option<Entrance>,
    channel_entries: Vec<ChannelEntry>,
    output_entries: Vec<OutputEntry>,
    all_outputs: Outputs,
    scenes: Scenes,
}

impl Stage {
    fn new(scenes: Scenes) -> Self {
        Self {
            scenes,
            channels: Vec::new(),
            feeds: Vec::new(),
            taps: Vec::new(),
            outputs: Vec::new(),
            workers: Workers::default(),
            known: Vec::new(),
            entrance: None,
            channel_entries: Vec::new(),
            output_entries: Vec::new(),
            all_outputs: Outputs::default(),
        }
    }

    /// Builds all channels of a configuration.
    fn build(
        scenes: Scenes,
        shop: &Shop,
        config: &Config,
        setup: Setup,
    ) -> Result<Self, StartError> {
        let mut stage = Self::new(scenes);
        for channel in &config.channels {
            stage.add(shop, channel, setup)?;
        }
        Ok(stage)
    }

    fn add(
        &mut self,
        shop: &Shop,
        config: &crate::config::ChannelConfig,
        setup: Setup,
    ) -> Result<(), StartError> {
        let stats = Arc::new(ChannelStats::default());
        let frames = match setup {
            Setup::Composed | Setup::Embedded => Frames::Composed,
            Setup::HandedIn(slots) => Frames::HandedIn(slots),
        };
        let built = channels::build(shop, config, frames, &stats)?;
        self.known.push(Known::of(&built));
        let Built { stage, feed, taps, workers, scenes, faults, entrance, entry, .. } = built;
        self.scenes.put(config, scenes, &faults);
        self.channels.push(stage);
        self.feeds.push(feed);
        self.taps.extend(taps);
        self.workers.add(workers);
        if entrance.is_some() {
            self.entrance = entrance;
        }
        for (spec, entry) in self.all_outputs.channel(config) {
            self.outputs.push(spec);
            self.output_entries.push(entry);
        }
        self.channel_entries.push(entry);
        Ok(())
    }

    fn registry(&mut self, plan: &CorePlan, relay: &mut Relay, hooks: &HookDesk) -> Registry {
        self.outputs.append(&mut relay.outputs);
        self.output_entries.append(&mut relay.output_entries);
        let mut registry = Registry::new(
            plan.net.iter().map(|_| Arc::new(ShardStats::default())).collect(),
            std::mem::take(&mut self.channel_entries),
            std::mem::take(&mut self.output_entries),
        );
        relay.pull_entries.iter().for_each(|entry| registry.add_pull(entry));
        relay.record_entries.iter().for_each(|entry| registry.add_record(entry));
        registry.set_hooks(hooks.stats());
        registry.journal = hooks.journal_stats();
        registry
    }
}

fn shop(
    config: &Config,
    plan: &CorePlan,
    clock: Clock,
    packets: &PacketPool,
    home: &Arc<Bell>,
) -> Shop {
    Shop {
        clock,
        packets: packets.clone(),
        chunk_size: config.rtmp.chunk_size,
        encode_cpus: plan.encode.clone(),
        home: Arc::clone(home),
        desk: Bell::new(),
        events: Arc::new(ArrayQueue::new(EVENTS_MAX)),
    }
}

/// The rings to and from the compose core.
type ComposeLines = (Sender<ChannelStage>, Receiver<ChannelStage>);

/// Starts the compose core with these channels.
fn start_compose(
    cpu: usize,
    channels: Vec<ChannelStage>,
    shop: &Shop,
) -> Result<((Executor, StopLine), ComposeLines), StartError> {
    let (stopping, bell) = (Arc::new(AtomicBool::new(false)), Bell::new());
    let (add, to_come) = channel(COMPOSE_QUEUE, Arc::clone(&bell));
    let (gone, stopped) = channel(COMPOSED_MAX, Arc::clone(&shop.desk));
    let stop = (Arc::clone(&stopping), Arc::clone(&bell));
    let core = ComposeCore::new(channels, (to_come, gone), (stopping, bell), shop.clock);
    let executor = Executor::spawn("compose", Pinned::Cpu(cpu), move || core.run());
    Ok(((executor.map_err(StartError::Thread)?, stop), (add, stopped)))
}
