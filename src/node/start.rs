//! Start of a node, one line downwards: plan, reserve, bind, spawn, ready. Each step owns what it
//! has taken, so that a start which fails gives everything back.

use std::hash::{BuildHasher, RandomState};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam::queue::ArrayQueue;
use tokio::sync::{mpsc, watch};

use super::channel_set::ChannelSet;
use super::listen::listen;
use super::plan::{Plan, Setup};
use super::running::Node;
use super::spawn::{Running, SHARD_TURN_LIMIT, shard_name};
use super::start_error::StartError;
use super::tls::Tls;
use crate::command::{COMMANDS_MAX, REPORTS_MAX};
use crate::config::Config;
use crate::control::balance::Balance;
use crate::control::bitrates::Bitrates;
use crate::control::channel_warnings::ChannelWarnings;
use crate::control::channels::build::Frames;
use crate::control::channels::compose::{ComposeRings, start_compose};
use crate::control::channels::context::ChannelContext;
use crate::control::channels::frame_sockets::FrameSockets;
use crate::control::channels::list::ChannelList;
use crate::control::channels::players::Players;
use crate::control::channels::scene_loader::SceneLoader;
use crate::control::channels::scenes::{LoadReport, Scenes};
use crate::control::config_store::ConfigStore;
use crate::control::control_channel;
use crate::control::controller::{Controller, ReloadState, ShardHandle};
use crate::control::event_queue::{EVENTS_MAX, EventQueue};
use crate::control::fallbacks::Fallbacks;
use crate::control::hooks::HookService;
use crate::control::input_rules::InputRules;
use crate::control::key_service::KeyService;
use crate::control::schedules::Schedules;
use crate::control::settings::keys::{Opened, open_store};
use crate::control::settings::limits::node_limits;
use crate::control::settings::shard::shard_spec;
use crate::control::settings::{Rules, http_rules};
use crate::control::shard_query::ShardQueries;
use crate::control::stream_snapshots::StreamSnapshots;
use crate::control::supervisor::Supervisor;
use crate::control::transcodes::Transcodes;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::limits::NodeLimits;
use crate::media::NodeId;
use crate::ring::{Bell, Sender, channel};
use crate::runtime::{Clock, DriverParts, StopFlag, machine_number};
use crate::shard::{Mesh, SETTINGS_MAX, ShardParts, ShardSettings, ShardSpec};
use crate::stats::{OriginClock, Registry};

/// Starts everything that `config` describes.
///
/// # Errors
/// See [`StartError`]; nothing is left running, and no port is bound.
pub(super) fn start(config: &Config, setup: Setup) -> Result<Node, StartError> {
    let plan = Plan::new(config, &setup)?;
    let reserved = Reserved::new(config, &plan, setup)?;
    let bound = Bound::new(config, &plan)?;
    let (spawned, reserved) = Spawned::new(&plan, reserved, bound)?;
    Ok(spawned.ready(plan, reserved))
}

/// Memory, files, and the threads that write these.
struct Reserved {
    frames: Frames,
    keys: Opened,
    config_store: ConfigStore,
    /// What is in use at the start.
    config: Arc<Config>,
    packets: PacketPool,
    /// What scenes are loaded with.
    loader: Arc<SceneLoader>,
    hooks: HookService,
    /// One per shard.
    bells: Vec<Arc<Bell>>,
    /// To whoever embeds the node.
    events: EventQueue,
}

impl Reserved {
    fn new(config: &Config, plan: &Plan, setup: Setup) -> Result<Self, StartError> {
        let keys = open_store(config, setup.is_program, plan.clock).map_err(StartError::Store)?;
        let cpus = plan.cores.control.clone();
        let mut config_store =
            ConfigStore::open(config, cpus, setup.is_program).map_err(StartError::Thread)?;
        let loader = Arc::new(SceneLoader::with_documents(config_store.take_documents()));
        let config = config_store.in_use();
        let spec = PacketPoolSpec { bytes_max: config.limits.packet_bytes_max };
        let packets = PacketPool::new(spec).map_err(StartError::Memory)?;
        let hooks = HookService::open(&config, setup.hooks, plan.clock)?;
        let bells = plan.cores.net.iter().map(|_| Bell::new()).collect();
        let events = Arc::new(ArrayQueue::new(EVENTS_MAX));
        let frames = setup.frames;
        Ok(Self { frames, keys, config_store, config, packets, loader, hooks, bells, events })
    }
}

/// Ports that listen, one socket per shard.
struct Bound {
    listeners: Vec<TcpListener>,
    rtmp: SocketAddr,
    tls: Tls,
}

impl Bound {
    fn new(config: &Config, plan: &Plan) -> Result<Self, StartError> {
        let shards = plan.cores.net.len();
        let (bind, port) = (config.rtmp.bind, config.rtmp.port);
        let listeners = listen(bind, port, shards).map_err(StartError::Listen)?;
        let rtmp = listeners[0].local_addr().map_err(StartError::Thread)?;
        Ok(Self { listeners, rtmp, tls: Tls::open(config, shards)? })
    }
}

/// Threads that run.
struct Spawned {
    running: Running,
    rtmp: SocketAddr,
    acceptor: Option<crate::tls::Acceptor>,
    context: ChannelContext,
    registry: Arc<Registry>,
    shards: Vec<ShardHandle>,
    settings: Vec<Sender<ShardSettings>>,
    limits: Arc<NodeLimits>,
    compose: ComposeRings,
    channels: ChannelSet,
    news: mpsc::Receiver<LoadReport>,
}

impl Spawned {
    fn new(plan: &Plan, reserved: Reserved, bound: Bound) -> Result<(Self, Reserved), StartError> {
        let config = &*reserved.config;
        let mut running = Running::new(plan.clock);
        // Random, and another one at each start.
        let random = RandomState::new().hash_one("node");
        let context = ChannelContext {
            clock: plan.clock,
            packets: reserved.packets.clone(),
            chunk_size: config.rtmp.chunk_size,
            encode_cpus: plan.cores.encode.clone(),
            compose_cpus: vec![plan.cores.compose],
            cpu: Arc::default(),
            bells: reserved.bells.as_slice().into(),
            home: Arc::clone(&reserved.bells[0]),
            controller: Bell::new(),
            events: Arc::new(ArrayQueue::new(EVENTS_MAX)),
            loader: Arc::clone(&reserved.loader),
            threads: running.threads.clone(),
            frame_sockets: FrameSockets::default(),
            players: Players::default(),
            composers: running.composers.clone(),
            loops: Arc::default(),
            origin: origin_clock(plan.clock, random),
        };
        let (scenes, news) = Scenes::new(&context);
        let frames = reserved.frames;
        let mut channels = ChannelSet::build(config, frames, scenes, (&context, &running.writers))?;
        let mut registry = channels.registry(plan.cores.net.len(), &reserved.hooks);
        registry.loops = Arc::clone(&context.loops);
        registry.origin = Arc::clone(&context.origin);
        let registry = Arc::new(registry);
        let limits = node_limits(config, registry.shards.clone());
        let acceptor = bound.tls.acceptor.clone();
        let rtmp = bound.rtmp;
        let shards = ShardStart { plan, reserved: &reserved, context: &context, random };
        let shared = (&registry, &limits);
        let (shards, settings) = shards.spawn(&mut running, bound, &mut channels, shared)?;
        running.start_watchdog(&context, &plan.cores)?;
        let compose = start_compose(&context, channels.take_stages());
        let compose = compose.map_err(StartError::Thread)?;
        let spawned = Self {
            running,
            rtmp,
            acceptor,
            context,
            registry,
            shards,
            settings,
            limits,
            compose,
            channels,
            news,
        };
        Ok((spawned, reserved))
    }

    /// What looks after the node's loops, and word of the end when they cannot go on.
    fn supervisor(&self, config: &Config) -> (Supervisor, watch::Receiver<bool>) {
        Supervisor::new(
            self.running.watched(),
            self.running.shard_watches(),
            config.node.on_core_loss,
            Arc::clone(&self.registry.cores),
        )
    }

    /// The streams with a fallback, none of which runs yet.
    fn fallbacks(&self, config: &Config) -> Fallbacks {
        let now = self.context.clock.now();
        let place = |stream: &str| self.channels.placement.choose_for_channel(stream, stream, now);
        let streams = (&*config.streams, config.rtmp.grace);
        Fallbacks::new(&self.context, streams, place, &self.registry)
    }

    /// Joins everything to what the caller runs and looks at.
    fn ready(self, plan: Plan, reserved: Reserved) -> Node {
        let fallbacks = self.fallbacks(&reserved.config);
        let (supervisor, fatal) = self.supervisor(&reserved.config);
        let (keys, development_key, store) = reserved.keys;
        let (handle, requests) = control_channel();
        let snapshots = Arc::new(StreamSnapshots::new(handle.clone(), plan.clock));
        let http = Arc::new(ArcSwap::from_pointee(http_rules(&reserved.config)));
        let subscribers = reserved.hooks.subscribers();
        let rules = Rules {
            limits: self.limits,
            shards: self.settings,
            acceptors: self.acceptor.iter().cloned().collect(),
            http: Arc::clone(&http),
            store,
            clock: plan.clock,
        };
        let controller = Controller {
            supervisor,
            queries: ShardQueries::new(self.shards.len()),
            snapshots: Arc::clone(&snapshots),
            shards: self.shards,
            bell: Arc::clone(&self.context.controller),
            keys: KeyService::new(keys.clone()),
            unsure: Vec::new(),
            events: Arc::clone(&reserved.events),
            inbox: Arc::clone(&self.context.events),
            fallbacks,
            input_rules: InputRules::new(&self.context),
            transcodes: Transcodes::new(&self.context, &reserved.config.transcodes, &self.registry),
            channels: ChannelList::new(self.context, self.compose, self.channels.known),
            hooks: reserved.hooks,
            clock: plan.clock,
            requests,
            news: self.news,
            placement: self.channels.placement,
            balance: Balance::default(),
            moving: None,
            outputs: self.channels.outputs,
            pulls: self.channels.pulls,
            recordings: self.channels.recordings,
            scenes: self.channels.scenes,
            mixers: self.channels.mixers,
            schedules: schedules(&reserved.config, plan.clock.unix_millis()),
            registry: Arc::clone(&self.registry),
            bitrates: Bitrates::default(),
            warnings: ChannelWarnings::default(),
            config_store: reserved.config_store.clone(),
            rules,
            reloads: ReloadState::new(),
        };
        Node {
            running: self.running,
            clock: plan.clock,
            registry: self.registry,
            events: reserved.events,
            subscribers,
            controller: Some(controller),
            handle,
            snapshots,
            fatal,
            development_key,
            keys,
            frame_input: self.channels.frame_input,
            rtmp: self.rtmp,
            tls: self.acceptor,
            http,
            config_store: reserved.config_store,
            plan: plan.cores,
            _process: plan.process,
        }
    }
}

/// What the channels' schedules are at this time, milliseconds since 1970.
fn schedules(config: &Config, now: u64) -> Schedules {
    Schedules::new(&config.channels, config.node.data_dir.as_deref(), now)
}

/// The time of day for origin stamps, at the node of this number.
fn origin_clock(clock: Clock, random: u64) -> Arc<OriginClock> {
    #[expect(clippy::cast_possible_truncation, reason = "some of its bits are enough")]
    let origin = OriginClock::new(NodeId::new(machine_number(), random as u32));
    origin.set(clock.unix_at_start(), Clock::state());
    Arc::new(origin)
}

/// What the shards of a node are started from.
struct ShardStart<'a> {
    plan: &'a Plan,
    reserved: &'a Reserved,
    context: &'a ChannelContext,
    /// The node's number.
    random: u64,
}

impl ShardStart<'_> {
    /// Starts a shard on each listener, with what is placed there.
    fn spawn(
        &self,
        running: &mut Running,
        bound: Bound,
        channels: &mut ChannelSet,
        (registry, limits): (&Arc<Registry>, &Arc<NodeLimits>),
    ) -> Result<(Vec<ShardHandle>, Vec<Sender<ShardSettings>>), StartError> {
        let (config, clock) = (&*self.reserved.config, self.plan.clock);
        let (mut handles, mut settings) = (Vec::new(), Vec::new());
        let Bound { listeners, mut tls, .. } = bound;
        let pulled = channels.placement.pulled();
        let hooks = self.reserved.hooks.rules();
        let bells = &self.reserved.bells;
        let meshes = Mesh::full(bells);
        for (number, ((listener, bell), mesh)) in
            listeners.into_iter().zip(bells).zip(meshes).enumerate()
        {
            let (to_shard, commands) = channel(COMMANDS_MAX, Arc::clone(bell));
            let (reports, from_shard) = channel(REPORTS_MAX, Arc::clone(&self.context.controller));
            let (to_come, other_rules) = channel(SETTINGS_MAX, Arc::clone(bell));
            let stop = StopFlag::new(Arc::clone(bell));
            let share = channels.take_share(number);
            let (node, origin) = (self.random, Arc::clone(&self.context.origin));
            let spec = ShardSpec { node, origin, ..shard_spec(config, number, hooks.clone()) };
            let secure = tls.take().map(|listener| (listener, true));
            let driver = DriverParts {
                listeners: std::iter::once((listener, false)).chain(secure).collect(),
                bell: Arc::clone(bell),
                stopping: Arc::clone(stop.flag()),
                clock,
                user_timeout: spec.peer.blocked,
                activity: Arc::clone(registry.shards[number].activity()),
            };
            let parts = ShardParts {
                spec,
                acceptor: tls.acceptor.clone(),
                trust: tls.trust.clone(),
                commands,
                settings: other_rules,
                reports,
                mesh,
                feeds: share.feeds,
                subscriptions: share.subscriptions,
                records: share.records,
                outputs: share.outputs,
                pulls: share.pulls,
                pulled: Arc::clone(&pulled),
                limits: Arc::clone(limits),
                packets: self.reserved.packets.clone(),
                stats: Arc::clone(&registry.shards[number]),
                seed: clock.unix_millis().rotate_left(17) ^ number as u64,
            };
            let activity = Arc::clone(&driver.activity);
            registry.loops.put(&shard_name(number), SHARD_TURN_LIMIT, activity);
            running.start_shard(&self.plan.cores, (driver, parts), stop)?;
            settings.push(to_come);
            handles.push(ShardHandle { commands: to_shard, reports: from_shard });
        }
        Ok((handles, settings))
    }
}
