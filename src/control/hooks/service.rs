//! Hook service: who is asked before an event, and who is told of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::client::Client;
use super::journal::{Journal, JournalError};
use super::payload::{EventWriter, query};
use super::program::{Asked, Hooks};
use super::queue_share::QueueShare;
use super::subscriber::subscribers;
use super::webhook::{Post, Webhook};
use crate::command::{HookQuestion, Refusal, Refused, ShardCommand};
use crate::config::{Config, OnHookFailure};
use crate::control::time::Time;
use crate::event::{EventKind, NodeEvent, Phase, Stage};
use crate::media::Micros;
use crate::runtime::Clock;
use crate::shard::HookRules;
use crate::stats::{DeliveryStats, HookEntry, HookStats};
use crate::tls::{self, Connector};

/// Answers that wait for the controller. The tasks that have more wait.
const ANSWERS_MAX: usize = 256;

/// How much longer than the longest deadline a shard waits for the answer.
const ANSWER_MARGIN: Micros = Micros::from_secs(2);

/// How long the node's end waits for hooks and the journal to take what is left.
const FINISH_LIMIT: Duration = Duration::from_millis(1_000);

const STAGES: [Stage; 3] = [Stage::Connect, Stage::Publish, Stage::Play];

/// What the controller keeps about hooks, subscribers and the journal.
pub(crate) struct HookService {
    webhooks: Vec<Arc<Webhook>>,
    /// Ways to those that are told something, by their place in `webhooks`.
    queues: Vec<(usize, mpsc::Sender<Post>)>,
    /// The other ends, until there is a runtime for them.
    waiting: Vec<(Arc<Webhook>, mpsc::Receiver<Post>)>,
    tasks: Vec<JoinHandle<()>>,
    program: Hooks,
    journal: Option<Journal>,
    subscribers: broadcast::Sender<NodeEvent>,
    writer: EventWriter,
    answers: mpsc::Sender<Answer>,
    answered: mpsc::Receiver<Answer>,
    stats: Vec<HookEntry>,
}

/// Why hooks cannot be used.
#[derive(Debug)]
pub(crate) enum HooksError {
    /// The journal cannot be written.
    Journal(JournalError),
    /// Whom to trust for HTTPS cannot be read.
    Tls(tls::Error),
}

impl fmt::Display for HooksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

/// What a shard is answered.
type Answer = (usize, ShardCommand);

impl HookService {
    /// Opens the journal and makes ready for the hooks of `config` and of the `program`.
    pub(crate) fn open(config: &Config, program: Hooks, clock: Clock) -> Result<Self, HooksError> {
        let journal = Journal::open(&config.journal).map_err(HooksError::Journal)?;
        let started = clock.unix_millis().saturating_sub(clock.now().millis());
        let writer = EventWriter::new(&config.node.name, Time::new(started, move || clock.now()));
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let mut controller = Self {
            webhooks: Vec::new(),
            queues: Vec::new(),
            waiting: Vec::new(),
            tasks: Vec::new(),
            program,
            journal,
            subscribers: subscribers(),
            writer,
            answers,
            answered,
            stats: Vec::new(),
        };
        controller.webhooks(config, clock, &[])?;
        Ok(controller)
    }

    /// Takes other webhooks; what waits for the former ones is still told. Needs a runtime. If one
    /// of them cannot be, all is as it was.
    pub(crate) fn replace(&mut self, config: &Config, clock: Clock) -> Result<(), HooksError> {
        let (webhooks, queues) =
            (std::mem::take(&mut self.webhooks), std::mem::take(&mut self.queues));
        let stats = std::mem::take(&mut self.stats);
        if let Err(error) = self.webhooks(config, clock, &stats) {
            (self.webhooks, self.queues, self.stats) = (webhooks, queues, stats);
            self.waiting.clear();
            return Err(error);
        }
        self.tasks.retain(|task| !task.is_finished());
        self.begin();
        Ok(())
    }

    /// Those of the same name go on counting where they were `before`.
    fn webhooks(
        &mut self,
        config: &Config,
        clock: Clock,
        before: &[HookEntry],
    ) -> Result<(), HooksError> {
        for (place, hook) in config.hooks.iter().enumerate() {
            let ca_file = hook.ca_file.as_ref().or(config.tls.ca_file.as_ref());
            let trust = match ca_file {
                Some(file) => Connector::trusting(file),
                None if hook.url.is_secure() => Connector::system(),
                None => Connector::nobody(),
            };
            let client = Client::new(hook, &trust.map_err(HooksError::Tls)?, clock);
            let known = before.iter().find(|entry| entry.name == hook.name);
            let stats: Arc<HookStats> =
                known.map(|entry| Arc::clone(&entry.stats)).unwrap_or_default();
            self.stats.push(HookEntry { name: hook.name.clone(), stats: Arc::clone(&stats) });
            let webhook = Arc::new(Webhook::new(hook.clone(), client, stats));
            if hook.events.iter().any(|event| !is_decided(event)) {
                let (queue, waiting) = mpsc::channel(hook.queue);
                self.queues.push((place, queue));
                self.waiting.push((Arc::clone(&webhook), waiting));
            }
            self.webhooks.push(webhook);
        }
        Ok(())
    }

    /// What shards have to ask.
    pub(crate) fn rules(&self) -> HookRules {
        let decides = |hook: &&Arc<Webhook>| hook.config().events.iter().any(|e| is_decided(e));
        let deciding: Vec<_> = self.webhooks.iter().filter(decides).map(|h| h.config()).collect();
        let asked = |stage: &Stage| {
            let name = before(*stage);
            deciding.iter().any(|hook| hook.events.iter().any(|event| event == name))
                || self.program.stages().any(|of| of == *stage)
        };
        let mut params: Vec<Arc<str>> = self.program.shown().to_vec();
        params
            .extend(deciding.iter().flat_map(|hook| &hook.params).map(|name| name.as_str().into()));
        params.sort();
        params.dedup();
        let program = self.program.stages().next().map(|_| &self.program);
        let limits = deciding.iter().map(|hook| hook.timeout).chain(program.map(Hooks::longest));
        HookRules {
            stages: STAGES.iter().filter(|stage| asked(stage)).copied().collect(),
            params: params.into(),
            answer_timeout: limits.max().unwrap_or_default() + ANSWER_MARGIN,
            open_when_silent: deciding.iter().all(|hook| hook.on_failure == OnHookFailure::Open)
                && program.is_none_or(Hooks::is_open),
        }
    }

    /// Figures of the webhooks.
    pub(crate) fn stats(&self) -> Vec<HookEntry> {
        self.stats.clone()
    }

    /// Figures of the journal.
    pub(crate) fn journal_stats(&self) -> Option<Arc<DeliveryStats>> {
        self.journal.as_ref().map(|journal| Arc::clone(journal.stats()))
    }

    /// Where events are told to subscribers.
    pub(crate) fn subscribers(&self) -> broadcast::Sender<NodeEvent> {
        self.subscribers.clone()
    }

    /// Starts what needs a runtime. Call it once, inside one.
    pub(crate) fn begin(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.tasks.extend(waiting.into_iter().map(|(hook, queue)| tokio::spawn(hook.run(queue))));
    }

    /// The next answer for a shard.
    pub(crate) async fn next(&mut self) -> Answer {
        match self.answered.recv().await {
            Some(answer) => answer,
            // We hold the other end ourselves.
            None => std::future::pending().await,
        }
    }

    /// Asks all who decide about it, at once; the first who refuses ends it.
    pub(crate) fn decide(&mut self, shard: usize, question: HookQuestion) {
        let HookQuestion { ticket, event, params } = question;
        let mut all: JoinSet<Refusal> = JoinSet::new();
        let (name, id) = (event.kind.name(), self.writer.next_id());
        let asked = Asked { event: event.clone(), params };
        for answer in self.program.ask(&asked) {
            all.spawn(async move { by("program", answer.await) });
        }
        let event = NodeEvent::Connection(event);
        for hook in self.webhooks.iter().filter(|hook| hook.wants(name)) {
            let param = query(&asked.params, &hook.config().params);
            let body = Bytes::from(self.writer.tell(&event, &id, &param));
            let hook = Arc::clone(hook);
            all.spawn(async move {
                let text = hook.decide(Post { event: name, body }).await;
                by(&format!("hook:{}", hook.config().name), text)
            });
        }
        let (answers, params) = (self.answers.clone(), asked.params);
        tokio::spawn(async move {
            let refusal = first_refusal(all).await;
            // A hook may say more than it should of what it was shown.
            let refusal = refusal.map(|Refused { text, by }| {
                let shown = params.expose().filter(|(_, value)| !value.is_empty());
                let text =
                    shown.fold(text, |text, (_, value)| Arc::from(text.replace(value, "***")));
                Refused { text, by }
            });
            // The controller is gone only when the node stops.
            drop(answers.send((shard, ShardCommand::HookAnswer { ticket, refusal })).await);
        });
    }

    /// Tells everybody who wants to know what has happened.
    pub(crate) fn handle(&mut self, event: &NodeEvent) {
        // Nobody may be there to hear it.
        drop(self.subscribers.send(event.clone()));
        let name = event.name();
        let told = |(place, _): &&(usize, mpsc::Sender<Post>)| self.webhooks[*place].wants(name);
        let is_told = !is_decided(name) && self.queues.iter().any(|queue| told(&queue));
        if !is_told && self.journal.is_none() {
            return;
        }
        let share = QueueShare::of(event);
        let id = self.writer.next_id();
        let body = Bytes::from(self.writer.tell(event, &id, ""));
        if is_told {
            for (place, queue) in &self.queues {
                let hook = &self.webhooks[*place];
                if hook.wants(name) {
                    hook.tell(queue, Post { event: name, body: body.clone() }, share);
                }
            }
        }
        if let Some(journal) = &self.journal {
            journal.write(body, share);
        }
    }

    /// Lets hooks and the journal take what is left, for a moment.
    pub(crate) async fn finish(self) {
        let Self { queues, waiting, tasks, mut journal, .. } = self;
        drop((queues, waiting));
        journal.iter_mut().for_each(Journal::close);
        let all = async {
            for task in tasks {
                // A task that failed has nothing left.
                drop(task.await);
            }
            while journal.as_ref().is_some_and(|journal| !journal.is_finished()) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(FINISH_LIMIT, all).await.is_err() {
            tracing::warn!("hooks or the journal were too slow: the last events are lost");
        }
    }
}

async fn first_refusal(mut all: JoinSet<Refusal>) -> Refusal {
    while let Some(answer) = all.join_next().await {
        match answer {
            Ok(None) => {}
            Ok(refusal) => return refusal,
            Err(_) => return by("hook", Some(Arc::from("a hook of this server failed"))),
        }
    }
    None
}

/// Says who refuses, if somebody does.
fn by(who: &str, text: Option<Arc<str>>) -> Refusal {
    text.map(|text| Refused { text, by: Arc::from(who) })
}

/// Whether hooks decide about the event of this name.
fn is_decided(event: &str) -> bool {
    STAGES.iter().any(|stage| before(*stage) == event)
}

const fn before(stage: Stage) -> &'static str {
    EventKind { stage, phase: Phase::Pre }.name()
}
