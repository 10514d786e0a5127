//! Supervisor: watches every thread of the node, and decides what becomes of it when one has ended
//! by a panic.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::OnCoreLoss;
use crate::control::threads::{ThreadRole, Threads};
use crate::media::Micros;
use crate::runtime::Exit;
use crate::stats::{CoreRole, CoreStats};

/// Times that the same thread is started again within [`AGAIN_WITHIN`]. If it panics once more, it
/// would go on doing so.
const AGAIN_MAX: usize = 3;

/// The time in which these are counted.
const AGAIN_WITHIN: Micros = Micros::from_secs(60);

/// What is done about a thread that has ended by a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It is started again, or what it worked for is built anew.
    Restart,
    /// The node ends: its caller is told.
    Exit,
    /// The node goes on without it.
    Nothing,
}

impl Remedy {
    /// In an event.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Restart => "it is started again",
            Self::Exit => "the node ends",
            Self::Nothing => "the node goes on without it",
        }
    }
}

/// A shard, as the supervisor knows it.
struct Shard {
    number: usize,
    exit: Arc<Exit>,
    is_told: bool,
}

/// Watches the threads of a node.
pub(crate) struct Supervisor {
    lists: Vec<Threads>,
    shards: Vec<Shard>,
    policy: OnCoreLoss,
    stats: Arc<CoreStats>,
    /// Losses of late.
    recent: VecDeque<(Micros, ThreadRole)>,
    /// What has not come back.
    missing: Vec<ThreadRole>,
    /// Channels that wait to be built anew, and compose cores before them.
    waiting: VecDeque<String>,
    fatal: watch::Sender<bool>,
}

impl Supervisor {
    /// For these threads. The receiver says when the node is to end.
    pub(crate) fn new(
        lists: Vec<Threads>,
        shards: Vec<Arc<Exit>>,
        policy: OnCoreLoss,
        stats: Arc<CoreStats>,
    ) -> (Self, watch::Receiver<bool>) {
        let (fatal, told) = watch::channel(false);
        let shard = |(number, exit)| Shard { number, exit, is_told: false };
        let supervisor = Self {
            lists,
            shards: shards.into_iter().enumerate().map(shard).collect(),
            policy,
            stats,
            recent: VecDeque::new(),
            missing: Vec::new(),
            waiting: VecDeque::new(),
            fatal,
        };
        (supervisor, told)
    }

    /// Threads that have ended by a panic since the last call, and its text. They are counted.
    pub(crate) fn losses(&mut self) -> Vec<(ThreadRole, String)> {
        let mut losses: Vec<_> = self.lists.iter().flat_map(Threads::losses).collect();
        for shard in self.shards.iter_mut().filter(|shard| !shard.is_told) {
            if let Some(text) = shard.exit.panic() {
                shard.is_told = true;
                let role = ThreadRole { role: CoreRole::Shard, of: shard.number.to_string() };
                losses.push((role, text.to_owned()));
            }
        }
        losses.iter().for_each(|(role, _)| self.stats.lost(role.role));
        losses
    }

    /// What to do about such a thread. If the node is to end, its caller hears of it.
    pub(crate) fn remedy(&mut self, role: &ThreadRole, now: Micros) -> Remedy {
        self.recent.retain(|(at, _)| now.since(*at) < AGAIN_WITHIN);
        let before = self.recent.iter().filter(|(_, other)| other == role).count();
        self.recent.push_back((now, role.clone()));
        let is_often = before >= AGAIN_MAX;
        let remedy = match (role.role, self.policy) {
            // What it showed is a placeholder until the scene is shown anew, and a load has failed.
            (CoreRole::Decoder | CoreRole::Loader, _) => Remedy::Nothing,
            // Nothing can take over the connections of a shard.
            (_, OnCoreLoss::Exit) | (CoreRole::Shard, _) => Remedy::Exit,
            (CoreRole::Compose, _) if is_often => Remedy::Exit,
            (CoreRole::Encoder | CoreRole::Recording, _) if is_often => Remedy::Nothing,
            _ => Remedy::Restart,
        };
        if !matches!(role.role, CoreRole::Decoder | CoreRole::Loader) {
            self.missing.retain(|other| other != role);
            self.missing.push(role.clone());
            self.show_missing();
        }
        if remedy == Remedy::Exit {
            // Nobody may have to be told.
            self.fatal.send_replace(true);
        }
        remedy
    }

    /// Has a channel built anew once there is time for it.
    pub(crate) fn want_channel(&mut self, name: &str) {
        if !self.waiting.iter().any(|other| other == name) {
            self.waiting.push_back(name.to_owned());
        }
    }

    /// The next channel that is to be built anew.
    pub(crate) fn next_channel(&mut self) -> Option<String> {
        self.waiting.pop_front()
    }

    /// What was missing is there again, or nobody misses it any more.
    pub(crate) fn restored(&mut self, is_it: impl Fn(&ThreadRole) -> bool) {
        let before = self.missing.len();
        self.missing.retain(|role| !is_it(role));
        if self.missing.len() < before {
            self.show_missing();
        }
    }

    fn show_missing(&self) {
        self.stats.set_missing(self.missing.iter().map(ThreadRole::to_string).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(role: CoreRole, of: &str) -> ThreadRole {
        ThreadRole { role, of: of.to_owned() }
    }

    fn supervisor(policy: OnCoreLoss) -> (Supervisor, watch::Receiver<bool>, Arc<CoreStats>) {
        let stats = Arc::new(CoreStats::default());
        let (supervisor, fatal) = Supervisor::new(Vec::new(), Vec::new(), policy, stats.clone());
        (supervisor, fatal, stats)
    }

    #[test]
    fn a_core_is_started_again_until_it_panics_too_often() {
        let (mut supervisor, fatal, _) = supervisor(OnCoreLoss::RestartCore);
        let compose = role(CoreRole::Compose, "");
        for second in 0..3 {
            let remedy = supervisor.remedy(&compose, Micros::from_secs(second));
            assert_eq!(remedy, Remedy::Restart);
        }
        let later = Micros::from_secs(61);
        assert_eq!(supervisor.remedy(&compose, later), Remedy::Restart, "some time has passed");
        assert!(!*fatal.borrow());
        assert_eq!(supervisor.remedy(&compose, later), Remedy::Restart);
        assert_eq!(supervisor.remedy(&compose, later), Remedy::Exit);
        assert!(*fatal.borrow());
    }

    #[test]
    fn an_encoder_that_panics_again_and_again_ends_its_channel_alone() {
        let (mut supervisor, fatal, _) = supervisor(OnCoreLoss::RestartCore);
        let remedies = [0; 5].map(|_| supervisor.remedy(&role(CoreRole::Encoder, "a"), Micros(0)));
        assert_eq!(remedies[2..], [Remedy::Restart, Remedy::Nothing, Remedy::Nothing]);
        assert_eq!(
            supervisor.remedy(&role(CoreRole::Encoder, "b"), Micros(0)),
            Remedy::Restart,
            "another channel"
        );
        assert!(!*fatal.borrow());
    }

    #[test]
    fn who_wants_the_process_to_end_is_told_at_the_first_loss_that_matters() {
        let (mut supervisor, fatal, stats) = supervisor(OnCoreLoss::Exit);
        let decoder = role(CoreRole::Decoder, "a");
        assert_eq!(supervisor.remedy(&decoder, Micros(0)), Remedy::Nothing);
        assert!(!*fatal.borrow() && stats.missing().is_empty());
        assert_eq!(supervisor.remedy(&role(CoreRole::Encoder, "a"), Micros(0)), Remedy::Exit);
        assert!(*fatal.borrow());
        assert_eq!(*stats.missing(), ["an encoder of channel a"]);
    }

    #[test]
    fn a_shard_that_is_lost_is_told_once_and_missed() {
        let stats = Arc::new(CoreStats::default());
        let exits: Vec<Arc<Exit>> = vec![Arc::default(), Arc::default()];
        let (mut supervisor, fatal) =
            Supervisor::new(Vec::new(), exits.clone(), OnCoreLoss::RestartCore, stats.clone());
        assert!(supervisor.losses().is_empty());
        exits[1].set(Err("broken".to_owned()));
        exits[0].set(Ok(()));
        let shard = role(CoreRole::Shard, "1");
        assert_eq!(supervisor.losses(), [(shard.clone(), "broken".to_owned())]);
        assert!(supervisor.losses().is_empty());
        assert_eq!(supervisor.remedy(&shard, Micros(0)), Remedy::Exit);
        assert!(*fatal.borrow());
        assert_eq!((stats.losses()[1], stats.missing().len()), (1, 1));
        supervisor.restored(|role| role.role == CoreRole::Shard);
        assert!(stats.missing().is_empty());
    }
}
