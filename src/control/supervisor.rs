//! Supervisor: watches every thread of the node, and decides what becomes of it when one has ended
//! by a panic.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::config::OnCoreLoss;
use crate::control::threads::{ThreadRole, Threads};
use crate::media::Micros;
use crate::runtime::CoreWatch;
use crate::stats::{CoreRole, CoreStats};

/// Times that the same thread is started again within [`AGAIN_WITHIN`]. If it panics once more, it
/// would go on doing so.
const AGAIN_MAX: usize = 3;

/// The time in which these are counted.
const AGAIN_WITHIN: Micros = Micros::from_secs(60);

/// How long a shard counts as missing at least: its peers are coming back, and who asks once a
/// second whether the node is ready hears of it.
const MISSED_MIN: Micros = Micros::from_secs(1);

/// What is done about a thread that has panicked.
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
    watch: Arc<CoreWatch>,
    state: ShardState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardState {
    Runs,
    /// It has panicked, and that was told.
    Lost,
    /// It goes on since then, and is still missed.
    Back(Micros),
}

impl Shard {
    fn role(&self) -> ThreadRole {
        ThreadRole { role: CoreRole::Shard, of: self.number.to_string() }
    }

    /// The text of a panic that was not told yet.
    fn loss(&self) -> Option<String> {
        if self.state == ShardState::Lost {
            return None;
        }
        let ended = self.watch.exit().panic().map(str::to_owned);
        ended.or_else(|| self.watch.panic().map(|text| String::clone(&text)))
    }
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
        shards: Vec<Arc<CoreWatch>>,
        policy: OnCoreLoss,
        stats: Arc<CoreStats>,
    ) -> (Self, watch::Receiver<bool>) {
        let (fatal, told) = watch::channel(false);
        let shard = |(number, watch)| Shard { number, watch, state: ShardState::Runs };
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

    /// Threads that have panicked since the last call, and its text. They are counted.
    pub(crate) fn losses(&mut self) -> Vec<(ThreadRole, String)> {
        let mut losses: Vec<_> = self.lists.iter().flat_map(Threads::losses).collect();
        for shard in &mut self.shards {
            if let Some(text) = shard.loss() {
                shard.state = ShardState::Lost;
                losses.push((shard.role(), text));
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
            (_, OnCoreLoss::Exit) => Remedy::Exit,
            (CoreRole::Compose | CoreRole::Shard, _) if is_often => Remedy::Exit,
            (CoreRole::Shard, _) if self.has_ended(role) => Remedy::Exit,
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

    /// Whether it is a shard that cannot go on.
    fn has_ended(&self, role: &ThreadRole) -> bool {
        let mut ended = self.shards.iter().filter(|shard| shard.watch.exit().is_over());
        ended.any(|shard| shard.role() == *role)
    }

    /// Lets a shard go on, which was rebuilt after its panic.
    pub(crate) fn restart_shard(&mut self, role: &ThreadRole, now: Micros) {
        for shard in self.shards.iter_mut().filter(|shard| shard.role() == *role) {
            shard.state = ShardState::Back(now);
            shard.watch.go_on();
        }
    }

    /// Shards that have been running again for long enough are missed no more.
    pub(crate) fn restore_shards(&mut self, now: Micros) {
        let mut back = Vec::new();
        for shard in &mut self.shards {
            if matches!(shard.state, ShardState::Back(since) if now.since(since) >= MISSED_MIN) {
                shard.state = ShardState::Runs;
                back.push(shard.role());
            }
        }
        if !back.is_empty() {
            self.restored(|role| back.contains(role));
        }
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
    use crate::ring::Bell;

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
    fn a_shard_that_is_lost_is_told_once_goes_on_and_is_missed_for_a_second() {
        let stats = Arc::new(CoreStats::default());
        let watches = [0; 2].map(|_| Arc::new(CoreWatch::new(Bell::new())));
        let (mut supervisor, fatal) = Supervisor::new(
            Vec::new(),
            watches.to_vec(),
            OnCoreLoss::RestartCore,
            Arc::clone(&stats),
        );
        assert!(supervisor.losses().is_empty());
        let (shard, at) = (role(CoreRole::Shard, "1"), Micros::from_millis);
        watches[0].exit().set(Ok(()));
        watches[1].wait("broken".to_owned());
        assert_eq!(supervisor.losses(), [(shard.clone(), "broken".to_owned())]);
        assert!(supervisor.losses().is_empty());
        assert_eq!(supervisor.remedy(&shard, at(0)), Remedy::Restart);
        assert_eq!((stats.losses()[1], &**stats.missing()), (1, &["shard 1".to_owned()][..]));
        assert!(watches[1].is_waiting());
        supervisor.restart_shard(&shard, at(0));
        assert!(!watches[1].is_waiting());
        supervisor.restore_shards(at(999));
        assert_eq!(stats.missing().len(), 1);
        supervisor.restore_shards(at(1_000));
        assert!(stats.missing().is_empty());
        for again in 1..4 {
            watches[1].wait("broken".to_owned());
            assert_eq!(supervisor.losses().len(), 1);
            let remedy = supervisor.remedy(&shard, at(2_000));
            assert_eq!(remedy, if again < 3 { Remedy::Restart } else { Remedy::Exit });
            supervisor.restart_shard(&shard, at(2_000));
        }
        assert!(*fatal.borrow());
    }

    #[test]
    fn a_shard_whose_thread_has_ended_ends_the_node() {
        let watch = Arc::new(CoreWatch::new(Bell::new()));
        let (watches, stats) = (vec![Arc::clone(&watch)], Arc::default());
        let (mut supervisor, fatal) =
            Supervisor::new(Vec::new(), watches, OnCoreLoss::RestartCore, stats);
        watch.exit().set(Err("broken".to_owned()));
        let shard = role(CoreRole::Shard, "0");
        assert_eq!(supervisor.losses(), [(shard.clone(), "broken".to_owned())]);
        assert_eq!(supervisor.remedy(&shard, Micros(0)), Remedy::Exit);
        assert!(*fatal.borrow());
    }
}
