//! Key service: looks up what shards ask, tells them what changes, writes down what
//! was used.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::command::{ShardCommand, ShardReport};
use crate::control::keystore::{Keys, Notice, StoreError, Usage};
use crate::keys::{self, Alias, Decision, Denial, KeyHash, Moment};
use crate::runtime::Clock;

/// Look-ups at once. Further ones are refused with the advice to try again.
const LOOKUPS_MAX: usize = 256;

/// How often the use of keys is written down.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Keys whose use waits to be written down. Further ones are not.
const USED_MAX: usize = 4_096;

/// Times a key is looked up anew because something changed meanwhile, and times it is tried for a
/// live publisher while the store is away; then the next notice has to do.
const TRIES: u32 = 5;

/// Pause between two of the latter.
const TRY_AGAIN: Duration = Duration::from_millis(400);

/// What a shard asks.
#[derive(Clone, Debug)]
enum Question {
    /// May somebody publish who shows this?
    Admit { hash: KeyHash, alias: Option<Alias> },
    /// May somebody go on who publishes with this?
    GoOn { hash: KeyHash },
}

/// A question that was looked up.
struct Answered {
    shard: usize,
    question: Question,
    decision: Decision,
    /// How many changes there had been before.
    changes: u64,
    tries: u32,
}

/// What is to be told, and to whom.
#[derive(Debug)]
pub(crate) enum KeyEvent {
    /// One shard.
    To(usize, ShardCommand),
    /// Every shard: a key has changed, or any may have.
    ToAll(Option<KeyHash>),
}

/// What the controller keeps about keys.
pub(crate) struct KeyService {
    /// `None` if anybody may publish.
    keys: Option<Keys>,
    notices: Option<broadcast::Receiver<Notice>>,
    answers: mpsc::Sender<Answered>,
    answered: mpsc::Receiver<Answered>,
    lookups: Arc<Semaphore>,
    /// One probe of the store at a time.
    probes: Arc<Semaphore>,
    /// Changes that were told to shards so far.
    changes: u64,
    used: HashMap<KeyHash, Usage>,
    write: Option<Interval>,
}

impl KeyService {
    pub(crate) fn new(keys: Option<Keys>) -> Self {
        let (answers, answered) = mpsc::channel(LOOKUPS_MAX);
        Self {
            keys,
            notices: None,
            answers,
            answered,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            probes: Arc::new(Semaphore::new(1)),
            changes: 0,
            used: HashMap::new(),
            write: None,
        }
    }

    /// The next thing to be told. May be dropped and called again at any time.
    pub(crate) async fn next(&mut self, clock: Clock) -> KeyEvent {
        loop {
            self.begin();
            let (Some(notices), Some(write)) = (&mut self.notices, &mut self.write) else {
                return std::future::pending().await;
            };
            tokio::select! {
                Some(answered) = self.answered.recv() => {
                    if let Some(news) = self.settle(answered, clock) {
                        return news;
                    }
                }
                notice = notices.recv() => {
                    self.changes += 1;
                    return KeyEvent::ToAll(match notice {
                        Ok(Notice::Changed(hash)) => Some(hash),
                        Ok(Notice::Unsure) | Err(broadcast::error::RecvError::Lagged(_)) => None,
                        // The store itself is in `keys`.
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    });
                }
                _ = write.tick() => {
                    self.write_down();
                    self.probe();
                }
            }
        }
    }

    /// A shard's report, if it is about keys; others are given back.
    pub(crate) fn handle(
        &mut self,
        shard: usize,
        report: ShardReport,
        clock: Clock,
    ) -> Option<ShardReport> {
        match report {
            ShardReport::KeyQuestion { hash, alias } => {
                self.look_up(shard, Question::Admit { hash, alias }, 0, clock);
            }
            ShardReport::KeyRecheck { hash } => {
                self.look_up(shard, Question::GoOn { hash }, 0, clock);
            }
            ShardReport::KeyUsed { hash } => {
                let now = clock.unix_secs();
                if let Some(usage) = self.usage(hash) {
                    usage.last_used_at = Some(now);
                }
            }
            ShardReport::KeyFailed { hash } => {
                if let Some(usage) = self.usage(hash) {
                    usage.failed += 1;
                }
            }
            other => return Some(other),
        }
        None
    }

    /// What needs a runtime, once there is one.
    fn begin(&mut self) {
        if let Some(keys) = self.keys.as_ref().filter(|_| self.notices.is_none()) {
            self.notices = Some(keys.changes());
            let mut write = interval(WRITE_EVERY);
            write.set_missed_tick_behavior(MissedTickBehavior::Delay);
            self.write = Some(write);
        }
    }

    fn usage(&mut self, hash: KeyHash) -> Option<&mut Usage> {
        let room = self.used.len() < USED_MAX || self.used.contains_key(&hash);
        room.then(|| self.used.entry(hash).or_default())
    }

    fn look_up(&self, shard: usize, question: Question, tries: u32, clock: Clock) {
        let (changes, answers) = (self.changes, self.answers.clone());
        let keys = self.keys.clone();
        let lookups = Arc::clone(&self.lookups);
        tokio::spawn(async move {
            let permit = match &question {
                Question::Admit { .. } => lookups.try_acquire_owned().ok(),
                // At most one per live publisher, and a revocation must not be lost.
                Question::GoOn { .. } => lookups.acquire_owned().await.ok(),
            };
            let decision = match (&keys, &permit) {
                (None, _) => Decision::denied("no key store"),
                (Some(_), None) => Decision::denied("too many stream keys are being checked"),
                (Some(keys), Some(_)) => decide(keys, &question, clock).await,
            };
            let answered = Answered { shard, question, decision, changes, tries };
            // The controller is gone only when the node stops.
            drop(answers.send(answered).await);
            drop(permit);
        });
    }

    /// An answer is good unless something was changed while it was looked up.
    fn settle(&self, answered: Answered, clock: Clock) -> Option<KeyEvent> {
        let Answered { shard, question, decision, changes, tries } = answered;
        if changes != self.changes && tries < TRIES {
            self.look_up(shard, question, tries + 1, clock);
            return None;
        }
        Some(KeyEvent::To(
            shard,
            match question {
                Question::Admit { hash, .. } => ShardCommand::KeyAnswer { hash, decision },
                Question::GoOn { hash } => ShardCommand::KeyVerdict { hash, decision },
            },
        ))
    }

    /// Finds out whether new publishers can be checked, also while none comes.
    fn probe(&self) {
        let Some(keys) = self.keys.clone() else { return };
        let Ok(permit) = Arc::clone(&self.probes).try_acquire_owned() else { return };
        tokio::spawn(async move {
            keys.probe().await;
            drop(permit);
        });
    }

    fn write_down(&mut self) {
        let Some(keys) = self.keys.clone().filter(|_| !self.used.is_empty()) else { return };
        let used = std::mem::take(&mut self.used);
        tokio::spawn(async move {
            for (hash, usage) in used {
                if let Err(error) = keys.used(&hash, usage).await {
                    tracing::debug!("the use of a key could not be written down: {error}");
                    return;
                }
            }
        });
    }
}

async fn decide(keys: &Keys, question: &Question, clock: Clock) -> Decision {
    let (hash, alias, tries) = match question {
        Question::Admit { hash, alias } => (hash, alias.as_ref(), 1),
        Question::GoOn { hash } => (hash, None, TRIES),
    };
    for attempt in 1..=tries {
        match keys.look_up(hash, alias).await {
            Ok(Some(found)) => {
                let at = Moment { now: clock.now(), unix_s: clock.unix_secs() };
                return keys::decide(found.key, &found.info, found.shown, at);
            }
            Ok(None) => match keys.was_deleted(hash).await {
                Ok(true) => return Decision::Deny(Denial::Deleted),
                Ok(false) => return Decision::unknown(),
                Err(error) => tracing::debug!("a key could not be looked up: {error}"),
            },
            Err(error @ StoreError::Record(..)) => {
                tracing::error!("{error}");
                return Decision::denied("the record of this stream key is damaged");
            }
            Err(error) => tracing::debug!("a key could not be looked up: {error}"),
        }
        if attempt < tries {
            sleep(TRY_AGAIN).await;
        }
    }
    Decision::Deny(Denial::StoreAway)
}
