//! The control plane's side of the data plane: answers what shards ask, passes on what they
//! report, and answers what comes in at the door.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::hooks::HookDesk;
use super::keydesk::{KeyDesk, News as KeyNews};
use super::outputs::Outputs;
use super::pulls::Pulls;
use super::recordings::Recordings;
use super::scenes::{News, Scenes};
use super::surveys::{Surveys, say};
use super::troubles::Troubles;
use crate::command::{Answer, Ask, FromShard, ToShard};
use crate::control::Question;
use crate::event::{NodeEvent, Severity};
use crate::keys::KeyHash;
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::{Clock, Pulse};
use crate::stats::Registry;

/// Events that wait for a library program to read them; older ones make room for newer ones.
pub(super) const EVENTS_MAX: usize = 1_024;

/// Events of viewers are left out while so many events wait.
const VIEWER_EVENTS_MAX: usize = EVENTS_MAX / 2;

/// How often idle shards are woken from outside. That is when they look at their deadlines: a timer
/// of their own would wake them twice, and glommio 0.9 has been seen to sleep through its timer
/// when nothing else woke it.
const NUDGE: Duration = Duration::from_millis(200);

/// Events on their way to whoever embeds the node.
pub(super) type Events = Arc<ArrayQueue<NodeEvent>>;

/// The rings to and from one shard.
#[derive(Debug)]
pub(super) struct Line {
    /// To the shard.
    pub(super) commands: Sender<ToShard>,
    /// From the shard.
    pub(super) reports: Receiver<FromShard>,
    /// Says that the shard is awake.
    pub(super) pulse: Arc<Pulse>,
    /// Its beats when we looked last.
    pub(super) seen: u64,
}

impl Line {
    /// Wakes the shard so that it looks at its deadlines, and shakes it if the last ring did not.
    fn nudge(&mut self) {
        let beats = self.pulse.beats();
        if beats == self.seen && beats > 0 {
            tracing::debug!("a shard did not hear its bell");
            self.pulse.shake();
        }
        self.seen = beats;
        self.commands.bell().ring();
    }
}

/// Where shards' questions are answered.
pub(super) struct Desk {
    /// One per shard.
    pub(super) lines: Vec<Line>,
    /// Rung by every shard.
    pub(super) bell: Arc<Bell>,
    /// Where keys are looked up.
    pub(super) keys: KeyDesk,
    /// Shards that could not be told that a key has changed.
    pub(super) unsure: Vec<usize>,
    /// To whoever embeds the node.
    pub(super) events: Events,
    /// From encoders and recordings, which have no line.
    pub(super) inbox: Events,
    /// Who is asked, and who is told.
    pub(super) hooks: HookDesk,
    /// The node's clock.
    pub(super) clock: Clock,
    /// From the door.
    pub(super) questions: tokio::sync::mpsc::Receiver<Question>,
    /// From the threads that load scenes.
    pub(super) news: tokio::sync::mpsc::Receiver<News>,
    /// Questions that all shards answer.
    pub(super) surveys: Surveys,
    /// The outputs of all channels.
    pub(super) outputs: Outputs,
    /// What is pulled.
    pub(super) pulls: Pulls,
    /// What is recorded.
    pub(super) recordings: Recordings,
    /// The scenes of all channels.
    pub(super) scenes: Scenes,
    /// The node's figures.
    pub(super) registry: Arc<Registry>,
    /// What they said that was told.
    pub(super) troubles: Troubles,
}

/// The shard that is home to all channels, their outputs and the taps of their inputs.
const HOME: usize = 0;

impl Desk {
    /// Answers until `stopped`, which is to be once the node has ended; then tells what is left.
    pub(super) async fn run(mut self, stopped: impl Future) {
        let mut stopped = std::pin::pin!(stopped);
        self.hooks.begin();
        self.publish(NodeEvent::Started);
        let (answers, mut answered) = tokio::sync::mpsc::channel::<(usize, ToShard)>(64);
        let mut nudge = tokio::time::interval(NUDGE);
        nudge.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let bell = Arc::clone(&self.bell);
            let mail = poll_fn(|cx| {
                bell.poll(cx, || {
                    self.lines.iter().any(|line| !line.reports.is_empty())
                        || self.scenes.have_mail()
                })
            });
            tokio::select! {
                () = mail => {}
                Some((shard, answer)) = answered.recv() => self.tell(shard, answer),
                Some((ask, reply)) = self.questions.recv() => self.answer(ask, reply),
                Some(news) = self.news.recv() => {
                    for (stream, tap) in self.scenes.hear(news) {
                        self.tell(HOME, ToShard::Tap(stream, tap));
                    }
                }
                news = self.keys.next(self.clock) => self.tell_news(news),
                (shard, answer) = self.hooks.next() => self.tell(shard, answer),
                _ = nudge.tick() => self.tick(),
                _ = &mut stopped => break,
            }
            self.scenes.read_mail();
            self.read_reports(&answers);
            self.read_inbox();
        }
        // The stages have ended: what they said last is heard.
        self.read_reports(&answers);
        self.read_inbox();
        self.tell_troubles();
        self.publish(NodeEvent::Stopped);
        self.hooks.finish().await;
    }

    /// Several times a second: wakes the shards, and gives up what is overdue.
    fn tick(&mut self) {
        self.lines.iter_mut().for_each(Line::nudge);
        for shard in std::mem::take(&mut self.unsure) {
            self.tell_changed(shard, None);
        }
        self.surveys.tick(self.clock.now());
        self.scenes.tick();
        if self.troubles.is_due(self.clock.now()) {
            self.tell_troubles();
        }
    }

    /// Tells what the figures of the channels say.
    fn tell_troubles(&mut self) {
        for event in self.troubles.look(&self.registry.snapshot().channels) {
            self.publish(event);
        }
    }

    /// Answers what came in at the door, now or when those who know have answered.
    fn answer(&mut self, ask: Ask, reply: tokio::sync::oneshot::Sender<Answer>) {
        if let Ask::Tell(event) = ask {
            // Who follows the state has heard of it already, before the answer to who did it.
            self.hooks.hear(&event);
            return say(reply, Answer::Done);
        }
        if Surveys::answers(&ask) {
            if let Some(order) = self.surveys.begin(ask, reply, self.clock.now()) {
                for shard in 0..self.lines.len() {
                    self.tell(shard, ToShard::Survey(order.clone()));
                }
            }
            return;
        }
        if Pulls::answers(&ask) {
            return self.answer_about_pulls(ask, reply);
        }
        if Recordings::answers(&ask) {
            let (answer, command) = self.recordings.ask(ask, &self.registry);
            if let Some(command) = command {
                self.tell(HOME, command);
            }
            return say(reply, answer);
        }
        let Some((ask, reply)) = self.scenes.ask(ask, reply) else { return };
        if let Some((answer, command)) = self.outputs.ask(ask, &self.registry) {
            if let Some(command) = command {
                self.tell(HOME, command);
            }
            say(reply, answer);
        }
    }

    fn answer_about_pulls(&mut self, ask: Ask, reply: tokio::sync::oneshot::Sender<Answer>) {
        let (answer, command) = self.pulls.ask(ask, &self.registry);
        if let Some(command) = command {
            // First who may have to ask for it.
            for shard in 0..self.lines.len() {
                self.tell(shard, ToShard::Pulled(self.pulls.streams()));
            }
            self.tell(HOME, command);
        }
        say(reply, answer);
    }

    fn hear(
        &mut self,
        shard: usize,
        report: FromShard,
        answers: &tokio::sync::mpsc::Sender<(usize, ToShard)>,
    ) {
        let Some(report) = self.keys.hear(shard, report, self.clock) else { return };
        match report {
            FromShard::Resolve { output, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    // The desk is gone only when the node stops.
                    drop(answers.send((shard, ToShard::Resolved { output, address })).await);
                });
            }
            FromShard::Survey(survey) => self.surveys.hear(shard, *survey),
            FromShard::ResolvePull { pull, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    drop(answers.send((shard, ToShard::PullResolved { pull, address })).await);
                });
            }
            FromShard::HookQuestion(question) => self.hooks.decide(shard, *question),
            FromShard::Connection(event) => self.publish(NodeEvent::Connection(event)),
            FromShard::Node(event) => self.publish(event),
            // Heard by the desk of keys.
            FromShard::KeyQuestion { .. }
            | FromShard::KeyRecheck { .. }
            | FromShard::KeyUsed { .. }
            | FromShard::KeyFailed { .. } => {}
        }
    }

    fn tell_news(&mut self, news: KeyNews) {
        match news {
            KeyNews::To(shard, command) => self.tell(shard, command),
            KeyNews::ToAll(hash) => {
                for shard in 0..self.lines.len() {
                    self.tell_changed(shard, hash);
                }
            }
        }
    }

    /// A revocation must arrive: if there is no room now, the shard is told of all keys later.
    fn tell_changed(&mut self, shard: usize, hash: Option<KeyHash>) {
        let told = self.lines[shard].commands.push(ToShard::KeyChanged { hash });
        if told.is_err() && !self.unsure.contains(&shard) {
            self.unsure.push(shard);
        }
    }

    /// Logs an event and tells everybody.
    fn publish(&mut self, event: NodeEvent) {
        match event.severity() {
            Severity::Debug => tracing::debug!("{event}"),
            Severity::Info => tracing::info!("{event}"),
            Severity::Warn => tracing::warn!("{event}"),
            Severity::Error => tracing::error!("{event}"),
        }
        self.hooks.hear(&event);
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

    fn read_reports(&mut self, answers: &tokio::sync::mpsc::Sender<(usize, ToShard)>) {
        for shard in 0..self.lines.len() {
            while let Some(report) = self.lines[shard].reports.pop() {
                self.hear(shard, report, answers);
            }
        }
    }

    fn tell(&mut self, shard: usize, command: ToShard) {
        if self.lines[shard].commands.push(command).is_err() {
            tracing::error!("shard {shard} does not read its commands");
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("no address for {host}: {error}"))?;
    found.next().ok_or_else(|| format!("no address for {host}"))
}
