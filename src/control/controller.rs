//! Controller: the control plane's side of the data plane. It answers what shards ask, passes on
//! what they report, and does what comes in by control handles.

mod channels;
mod fallbacks;
mod input_rules;
mod placement;
mod schedules;
mod steps;
mod supervision;
mod transcodes;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::command::{Answer, Ask, ShardCommand, ShardReport};
use crate::config::Becomes;
use crate::control::Request;
use crate::control::balance::Balance;
use crate::control::bitrates::Bitrates;
use crate::control::channel_warnings::ChannelWarnings;
use crate::control::channels::list::ChannelList;
use crate::control::channels::mixers::Mixers;
use crate::control::channels::scenes::{LoadReport, Scenes};
use crate::control::config_change;
use crate::control::config_store::{ConfigStore, Load};
use crate::control::event_queue::{EventQueue, VIEWER_EVENTS_MAX};
use crate::control::fallbacks::Fallbacks;
use crate::control::handle::{Reply, say};
use crate::control::hooks::HookService;
use crate::control::input_rules::InputRules;
use crate::control::key_service::{KeyEvent, KeyService};
use crate::control::log::LogLevel;
use crate::control::outputs::{self, Outputs};
use crate::control::packet_memory::PacketMemory;
use crate::control::placement::{Item, Placement};
use crate::control::pulls::Pulls;
use crate::control::recordings::Recordings;
use crate::control::reload::{self, Work};
use crate::control::schedules::Schedules;
use crate::control::settings::Rules;
use crate::control::shard_query::ShardQueries;
use crate::control::stream_snapshots::StreamSnapshots;
use crate::control::supervisor::Supervisor;
use crate::control::transcodes::Transcodes;
use crate::event::{NodeEvent, Operated, Severity};
use crate::keys::KeyHash;
use crate::media::Micros;
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;
use crate::stats::Registry;

/// How often the controller looks at what nobody tells it: deadlines of requests, threads that have
/// ended, shards that are loaded more than others, and packet memory.
const TICK: Duration = Duration::from_millis(200);

/// The same while packet memory grows: shards take it from what is mapped ahead.
const TICK_GROWING: Duration = Duration::from_millis(50);

/// The rings to and from one shard.
#[derive(Debug)]
pub(crate) struct ShardHandle {
    /// To the shard.
    pub(crate) commands: Sender<ShardCommand>,
    /// From the shard.
    pub(crate) reports: Receiver<ShardReport>,
}

/// Where shards' requests are answered.
pub(crate) struct Controller {
    /// One per shard.
    pub(crate) shards: Vec<ShardHandle>,
    /// Rung by every shard.
    pub(crate) bell: Arc<Bell>,
    /// Where keys are looked up.
    pub(crate) keys: KeyService,
    /// Shards that could not be told that a key has changed.
    pub(crate) unsure: Vec<usize>,
    /// To whoever embeds the node.
    pub(crate) events: EventQueue,
    /// From encoders and recordings, which have no line.
    pub(crate) inbox: EventQueue,
    /// Who is asked, and who is told.
    pub(crate) hooks: HookService,
    /// The node's clock.
    pub(crate) clock: Clock,
    /// By control handles.
    pub(crate) requests: tokio::sync::mpsc::Receiver<Request>,
    /// From the threads that load scenes.
    pub(crate) news: tokio::sync::mpsc::Receiver<LoadReport>,
    /// Questions that all shards answer.
    pub(crate) queries: ShardQueries,
    /// Pictures of streams.
    pub(crate) snapshots: Arc<StreamSnapshots>,
    /// Which shard has what of these.
    pub(crate) placement: Placement,
    /// How busy the shards are.
    pub(crate) balance: Balance,
    /// What is on its way from one shard to another, and when it begins there.
    pub(crate) moving: Option<(Item, Micros)>,
    /// The outputs of all channels.
    pub(crate) outputs: Outputs,
    /// What is pulled.
    pub(crate) pulls: Pulls,
    /// What is recorded.
    pub(crate) recordings: Recordings,
    /// The channels.
    pub(crate) channels: ChannelList,
    /// The transcodes.
    pub(crate) transcodes: Transcodes,
    /// The streams with a fallback.
    pub(crate) fallbacks: Fallbacks,
    /// Rules of channels about their inputs.
    pub(crate) input_rules: InputRules,
    /// The scenes of all channels.
    pub(crate) scenes: Scenes,
    /// How their audio is changed.
    pub(crate) mixers: Mixers,
    /// What they show when.
    pub(crate) schedules: Schedules,
    /// The node's figures.
    pub(crate) registry: Arc<Registry>,
    /// Their bitrates.
    pub(crate) bitrates: Bitrates,
    /// What they said that was told.
    pub(crate) warnings: ChannelWarnings,
    /// What is in use, and what is kept of its changes.
    pub(crate) config_store: ConfigStore,
    /// Where the rules of the whole node are changed.
    pub(crate) rules: Rules,
    /// Where a reload has the controller do its steps.
    pub(crate) reloads: ReloadState,
    /// Watches all threads.
    pub(crate) supervisor: Supervisor,
}

/// What the controller needs to read the configuration again.
pub(crate) struct ReloadState {
    /// How it is read; `None` where there is no file to read.
    pub(crate) load: Option<Load>,
    /// The program's log, where its level is not fixed.
    pub(crate) log: Option<Arc<LogLevel>>,
    /// Whether one is under way.
    busy: bool,
    /// Who wanted it.
    pub(crate) actor: Option<String>,
    line: tokio::sync::mpsc::Sender<Work>,
    work: tokio::sync::mpsc::Receiver<Work>,
}

impl ReloadState {
    pub(crate) fn new() -> Self {
        let (line, work) = reload::line();
        Self { load: None, log: None, busy: false, actor: None, line, work }
    }
}

impl Controller {
    /// Answers until `stopped`, which is to be once the node has ended; then tells what is left.
    pub(crate) async fn run(mut self, stopped: impl Future) {
        let mut stopped = std::pin::pin!(stopped);
        self.hooks.begin();
        self.publish(NodeEvent::Started);
        let (answers, mut answered) = tokio::sync::mpsc::channel::<(usize, ShardCommand)>(64);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut packets =
            PacketMemory::new(self.channels.packets().clone(), Arc::clone(&self.registry));
        loop {
            let bell = Arc::clone(&self.bell);
            let mail = poll_fn(|cx| {
                bell.poll(cx, || {
                    self.shards.iter().any(|line| !line.reports.is_empty())
                        || self.scenes.have_mail()
                        || !self.channels.stopped.is_empty()
                })
            });
            tokio::select! {
                () = mail => {}
                Some((shard, answer)) = answered.recv() => self.tell(shard, answer),
                Some((ask, reply)) = self.requests.recv() => self.answer(ask, reply),
                Some(news) = self.news.recv() => {
                    for (stream, subscription) in self.scenes.handle(news) {
                        self.tell_owner(ShardCommand::Subscription(stream, subscription));
                    }
                }
                Some(outcome) = self.channels.outcomes.recv() => self.channel_built(outcome),
                Some(news) = self.transcodes.news.recv() => self.hear_transcode(news),
                Some(news) = self.fallbacks.news.recv() => self.hear_fallback(news),
                Some(news) = self.input_rules.news.recv() => self.hear_input_rule(news),
                news = self.keys.next(self.clock) => self.tell_news(news),
                (shard, answer) = self.hooks.next() => self.tell(shard, answer),
                Some(work) = self.reloads.work.recv() => self.reload_work(work),
                loaded = self.schedules.due(self.clock.unix_millis()) => {
                    loaded.into_iter().for_each(|it| self.schedule_loaded(it));
                    self.run_schedules();
                }
                _ = ticks.tick() => {
                    self.tick();
                    let bytes_max = self.config_store.in_use().limits.packet_bytes_max;
                    if packets.maintain(bytes_max, self.clock.now()) {
                        ticks.reset_after(TICK_GROWING);
                    }
                }
                _ = &mut stopped => break,
            }
            self.scenes.read_mail();
            self.channels.read_mail();
            for (stream, subscription) in self.scenes.take_subscriptions() {
                self.tell_owner(ShardCommand::Subscription(stream, subscription));
            }
            let changes = self.scenes.take_changes().into_iter();
            for change in changes.chain(self.mixers.take_changes()) {
                self.config_store.changed(change);
            }
            for (name, document) in self.scenes.take_pushed() {
                self.config_store.document(name, document);
            }
            self.read_reports(&answers);
            self.read_inbox();
            self.hear_scheduled();
        }
        // The stages have ended: what they said last is heard.
        self.read_reports(&answers);
        self.read_inbox();
        self.tell_warnings();
        self.publish(NodeEvent::Stopped);
        self.hooks.finish().await;
    }

    /// Gives up what is overdue, and looks after threads and shards.
    fn tick(&mut self) {
        for shard in std::mem::take(&mut self.unsure) {
            self.tell_changed(shard, None);
        }
        self.queries.tick(self.clock.now());
        self.scenes.tick();
        self.mixers.tick();
        let config = self.config_store.in_use();
        let assets_max = config.limits.asset_cache_bytes_max;
        self.registry.set_asset_cache(self.scenes.keep_assets(assets_max));
        self.scenes.fetch_data(config.tls.ca_file.as_deref());
        self.channels.tick();
        // Also where nothing is due: a clock that was set is told by the time since the last look.
        self.run_schedules();
        self.look_after_transcodes();
        self.look_after_fallbacks();
        self.look_after_input_rules();
        self.supervise();
        self.balance_shards();
        let (channels, transcodes) = (&self.channels.known, &self.transcodes);
        let switch_of = |stream: &str| {
            let of_channel = channels.iter().find_map(|known| known.switch_of(stream));
            of_channel.or_else(|| transcodes.switch_of(stream))
        };
        self.bitrates.look(self.clock.now(), &self.registry, switch_of);
        if self.warnings.is_due(self.clock.now()) {
            self.tell_warnings();
        }
    }

    /// Tells what the figures of the channels say.
    fn tell_warnings(&mut self) {
        let figures = self.registry.snapshot();
        let mut news = self.warnings.look(&figures.channels);
        news.extend(self.warnings.look_at_transcodes(&figures.transcodes));
        news.into_iter().for_each(|event| self.publish(event));
    }

    /// Answers a request, now or when those who know have answered.
    fn answer(&mut self, ask: Ask, reply: Reply) {
        let Some((ask, reply)) = self.answer_about_itself(ask, reply) else { return };
        if ShardQueries::answers(&ask) {
            if let Some(order) = self.queries.begin(ask, reply, self.clock.now()) {
                for shard in 0..self.shards.len() {
                    self.tell(shard, ShardCommand::Query(order.clone()));
                }
            }
            return;
        }
        let Some((ask, reply)) = self.answer_about_schedule(ask, reply) else { return };
        let Some((ask, reply)) = self.scenes.ask(ask, reply, true) else { return };
        let Some((ask, reply)) = self.mixers.ask(ask, reply) else { return };
        let config = self.config_store.in_use();
        let mut refusals = outputs::platform_refusals(&config.channels, &ask);
        refusals.extend(outputs::delay_refusals(config.delivery.log_ms, &ask));
        if !refusals.is_empty() {
            return say(reply, Answer::Invalid(refusals));
        }
        let change = config_change::of(&ask);
        let answer = self.obey(ask);
        if let (Answer::Done | Answer::Named(_), Some(change)) = (&answer, change) {
            self.config_store.take(change);
        }
        say(reply, answer);
    }

    /// Answers what is about events and the configuration, now or later; gives back all else.
    fn answer_about_itself(&mut self, ask: Ask, reply: Reply) -> Option<(Ask, Reply)> {
        match ask {
            Ask::Tell(event) => {
                // Who follows the state has heard of it already, before the answer to who did it.
                self.hooks.handle(&event);
                say(reply, Answer::Done);
            }
            Ask::LogChanged(filter) => {
                self.config_store.changed(Becomes::Log(filter));
                say(reply, Answer::Done);
            }
            Ask::Kept => {
                let written = self.config_store.written();
                tokio::spawn(async move {
                    // Nothing is said only when the node stops.
                    drop(written.await);
                    say(reply, Answer::Done);
                });
            }
            Ask::Config { secrets } => {
                let config = self.config_store.in_use();
                let text = if secrets { config.exported() } else { config.shown() };
                say(reply, Answer::Config(text.into()));
            }
            Ask::Reload { actor } => self.reload(actor, reply),
            other => return Some((other, reply)),
        }
        None
    }

    /// Has the configuration read again, unless that is under way.
    fn reload(&mut self, actor: Option<String>, reply: Reply) {
        let Some(load) = self.reloads.load.clone() else {
            let text = "this node has no configuration file to read again";
            return say(reply, Answer::Invalid(vec![text.to_owned()]));
        };
        if self.reloads.busy {
            let text = "the configuration is being read already; ask again when that is done";
            return say(reply, Answer::Conflict(text.to_owned()));
        }
        self.reloads.busy = true;
        self.reloads.actor = actor;
        let (config_store, line) = (self.config_store.clone(), self.reloads.line.clone());
        tokio::spawn(reload::run(load, config_store, line, reply));
    }

    fn reload_work(&mut self, work: Work) {
        match work {
            Work::Step(step, wanted, reply) => self.take_step(*step, &wanted, reply),
            Work::Done(answer, reply) => {
                self.reloads.busy = false;
                let text = reload::words(&answer);
                let is_whole = matches!(&answer, Answer::Reloaded(view) if view.is_whole());
                match is_whole {
                    true => tracing::info!("{text}"),
                    false => tracing::warn!("{text}"),
                }
                let actor = self.reloads.actor.take();
                let operated =
                    Operated { name: "config_reloaded", text, actor, ..Operated::default() };
                // It was logged by how much it matters.
                self.pass_on(NodeEvent::Operated(Box::new(operated)));
                say(reply, answer);
            }
        }
    }

    fn handle(
        &mut self,
        shard: usize,
        report: ShardReport,
        answers: &tokio::sync::mpsc::Sender<(usize, ShardCommand)>,
    ) {
        let Some(report) = self.keys.handle(shard, report, self.clock) else { return };
        match report {
            ShardReport::Resolve { output, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    // The controller is gone only when the node stops.
                    drop(answers.send((shard, ShardCommand::Resolved { output, address })).await);
                });
            }
            ShardReport::ChannelOpened { switch, is_open } => self.channel_opened(&switch, is_open),
            ShardReport::Answer(answer) => self.queries.handle(shard, *answer),
            ShardReport::ResolvePull { pull, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    drop(answers.send((shard, ShardCommand::PullResolved { pull, address })).await);
                });
            }
            ShardReport::SnapshotWanted(it) => self.snapshots.answer((shard, it), answers),
            ShardReport::HookQuestion(question) => self.hooks.decide(shard, *question),
            ShardReport::Connection(event) => self.publish(NodeEvent::Connection(event)),
            ShardReport::Node(event) => {
                if let NodeEvent::OutputConnected { channel, name, rendition, .. } = &event {
                    self.registry.set_output_rendition(channel, name, rendition.as_deref());
                }
                self.publish(event);
            }
            // Heard by the key service.
            ShardReport::KeyQuestion { .. }
            | ShardReport::KeyRecheck { .. }
            | ShardReport::KeyUsed { .. }
            | ShardReport::KeyFailed { .. } => {}
        }
    }

    fn tell_news(&mut self, news: KeyEvent) {
        match news {
            KeyEvent::To(shard, command) => self.tell(shard, command),
            KeyEvent::ToAll(hash) => {
                for shard in 0..self.shards.len() {
                    self.tell_changed(shard, hash);
                }
            }
        }
    }

    /// A revocation must arrive: if there is no room now, the shard is told of all keys later.
    fn tell_changed(&mut self, shard: usize, hash: Option<KeyHash>) {
        let told = self.shards[shard].commands.push(ShardCommand::KeyChanged { hash });
        if told.is_err() && !self.unsure.contains(&shard) {
            self.unsure.push(shard);
        }
    }

    /// Logs an event and tells everybody.
    pub(crate) fn publish(&mut self, event: NodeEvent) {
        match event.severity() {
            Severity::Debug => tracing::debug!("{event}"),
            Severity::Info => tracing::info!("{event}"),
            Severity::Warn => tracing::warn!("{event}"),
            Severity::Error => tracing::error!("{event}"),
        }
        if let NodeEvent::PlaybackEnded { channel, layer } = &event {
            self.schedule_layer_ended(channel, layer);
        }
        self.pass_on(event);
    }

    /// To all but the log.
    fn pass_on(&mut self, event: NodeEvent) {
        self.hooks.handle(&event);
        // Viewers are many: what they do must not push out what else happens.
        if !event.is_of_viewers() || self.events.len() < VIEWER_EVENTS_MAX {
            self.events.force_push(event);
        }
    }

    /// Publishes what encoders and recordings have to say.
    fn read_inbox(&mut self) {
        while let Some(event) = self.inbox.pop() {
            self.publish(event);
        }
    }

    fn read_reports(&mut self, answers: &tokio::sync::mpsc::Sender<(usize, ShardCommand)>) {
        for shard in 0..self.shards.len() {
            while let Some(report) = self.shards[shard].reports.pop() {
                self.handle(shard, report, answers);
            }
        }
    }

    pub(crate) fn tell(&mut self, shard: usize, command: ShardCommand) {
        if self.shards[shard].commands.push(command).is_err() {
            tracing::error!("shard {shard} does not read its commands");
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("no address for {host}: {error}"))?;
    found.next().ok_or_else(|| format!("no address for {host}"))
}
