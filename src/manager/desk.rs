//! The control plane's side of the shards: answers what they ask, passes on what they report.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use crate::command::{FromShard, ToShard};
use crate::control::keystore::KeyStore;
use crate::event::NodeEvent;
use crate::keys::{self, Decision, KeyHash};
use crate::ring::{Bell, Receiver, Sender};
use crate::runtime::Clock;

/// Events that wait for a library program to read them; older ones make room for newer ones.
pub(super) const EVENTS_MAX: usize = 1_024;

/// How often idle shards are woken from outside: glommio 0.9 has been seen to sleep through its own
/// timer when nothing else woke it, and a shard's deadlines must not depend on traffic.
const NUDGE: Duration = Duration::from_millis(100);

/// Events on their way to whoever embeds the node.
pub(super) type Events = Arc<ArrayQueue<NodeEvent>>;

/// The rings to and from one shard.
#[derive(Debug)]
pub(super) struct Line {
    /// To the shard.
    pub(super) commands: Sender<ToShard>,
    /// From the shard.
    pub(super) reports: Receiver<FromShard>,
}

/// Where shards' questions are answered.
pub(super) struct Desk {
    /// One per shard.
    pub(super) lines: Vec<Line>,
    /// Rung by every shard.
    pub(super) bell: Arc<Bell>,
    /// Where keys are looked up; `None` if anybody may publish.
    pub(super) store: Option<Box<dyn KeyStore>>,
    /// To whoever embeds the node.
    pub(super) events: Events,
    /// The node's clock.
    pub(super) clock: Clock,
}

impl Desk {
    /// Answers until dropped.
    pub(super) async fn run(mut self) {
        let (answers, mut answered) = tokio::sync::mpsc::channel::<(usize, ToShard)>(64);
        let mut nudge = tokio::time::interval(NUDGE);
        loop {
            let bell = Arc::clone(&self.bell);
            let mail = poll_fn(|cx| {
                bell.poll(cx, || self.lines.iter().any(|line| !line.reports.is_empty()))
            });
            tokio::select! {
                () = mail => {}
                Some((shard, answer)) = answered.recv() => self.tell(shard, answer),
                _ = nudge.tick() => self.lines.iter().for_each(|line| line.commands.bell().ring()),
            }
            for shard in 0..self.lines.len() {
                while let Some(report) = self.lines[shard].reports.pop() {
                    self.hear(shard, report, &answers);
                }
            }
        }
    }

    fn hear(
        &mut self,
        shard: usize,
        report: FromShard,
        answers: &tokio::sync::mpsc::Sender<(usize, ToShard)>,
    ) {
        match report {
            FromShard::KeyQuestion { hash, peer } => {
                let decision = self.decide(&hash, peer);
                self.tell(shard, ToShard::KeyAnswer { hash, decision });
            }
            FromShard::Resolve { output, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    // The desk is gone only when the node stops.
                    drop(answers.send((shard, ToShard::Resolved { output, address })).await);
                });
            }
            FromShard::ResolvePull { pull, host, port } => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let address = resolve(&host, port).await;
                    drop(answers.send((shard, ToShard::PullResolved { pull, address })).await);
                });
            }
            FromShard::Connection(event) => {
                tracing::info!("{event}");
                self.publish(NodeEvent::Connection(event));
            }
            FromShard::Node(event) => {
                tracing::info!("{event}");
                self.publish(event);
            }
        }
    }

    fn decide(&self, hash: &KeyHash, peer: std::net::IpAddr) -> Decision {
        let Some(store) = &self.store else { return Decision::denied("no key store") };
        match store.get(hash) {
            Ok(Some(info)) => keys::decide(&info, self.clock.unix_secs(), peer),
            Ok(None) => Decision::unknown(),
            Err(error) => {
                tracing::error!("the key store does not answer: {error}");
                Decision::denied("the key store does not answer")
            }
        }
    }

    fn publish(&self, event: NodeEvent) {
        self.events.force_push(event);
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
