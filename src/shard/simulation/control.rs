//! Control as the shards see it: it answers questions late, wrongly or never, has wishes of its
//! own, and keeps account of what it hears.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::node::{NAMES, Node};
use super::rng::Rng;
use crate::command::{
    DelayChange, OutputRules, OutputSpec, PullSpec, PulledStream, Refused, Scope, ShardCommand,
    ShardQuery, ShardReport, SnapshotFault, StreamSnapshot, SubscriptionEvent,
};
use crate::event::{ClientId, Event, Phase, Stage};
use crate::keys::{Decision, Denial, Grant, KeyHash, KeyLimits, Takeover};
use crate::media::Micros;
use crate::ring::{Bell, Receiver, channel};
use crate::rtmp::Url;

/// Outputs, and pulls, at a time.
const OUTPUTS_MAX: usize = 4;
const PULLS_MAX: usize = 2;

/// A stream key.
#[derive(Debug)]
struct Key {
    hash: KeyHash,
    decision: Decision,
}

/// What control knows and is about to say.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) rng: Rng,
    /// Until when, to which shard, what.
    due: Vec<(Micros, usize, ShardCommand)>,
    keys: Vec<Key>,
    /// Until when the key store is away.
    away_until: Micros,
    stages: HashMap<(ClientId, Stage), Phase>,
    clients: Vec<ClientId>,
    /// Postludes by stage: connect, publish, play.
    pub(super) admitted: [u64; 3],
    /// Number, shard and stream of each.
    outputs: Vec<(usize, usize, usize)>,
    /// Number and stream of each.
    pulls: Vec<(usize, usize)>,
    numbers: usize,
    subscriptions: Vec<Receiver<SubscriptionEvent>>,
    /// Surveys that were not answered.
    pub(super) queries: usize,
    pub(super) is_calm: bool,
}

/// Keys of a stream: one that waits for its name, one that takes it.
pub(super) fn key_of(name: usize, takes: bool) -> String {
    format!("k{name}Zq8-{}-hT4vXw91LmBc7", if takes { "take" } else { "wait" })
}

impl Control {
    pub(super) fn new(rng: Rng, names: &[&'static str]) -> Self {
        let all = (0..names.len()).flat_map(|name| [(name, false), (name, true)]);
        let mut control = Self {
            rng,
            due: Vec::new(),
            keys: Vec::new(),
            away_until: Micros(0),
            stages: HashMap::new(),
            clients: Vec::new(),
            admitted: [0; 3],
            outputs: Vec::new(),
            pulls: Vec::new(),
            numbers: 0,
            subscriptions: Vec::new(),
            queries: 0,
            is_calm: false,
        };
        for (name, takes) in all {
            let hash = KeyHash::of(&key_of(name, takes));
            let rng = &mut control.rng;
            let limits = KeyLimits {
                bitrate_bps: rng.once_in(10).then_some(60_000),
                viewers: rng.once_in(5).then_some(3),
                ..KeyLimits::default()
            };
            let grant = Grant {
                key: hash,
                stream: Arc::from(names[name]),
                owner: Arc::from("owner"),
                label: Arc::from(""),
                addresses: Arc::default(),
                until: None,
                limits,
                takeover: if takes { Takeover::Take } else { Takeover::Refuse },
            };
            control.keys.push(Key { hash, decision: Decision::Allow(Arc::new(grant)) });
        }
        control
    }

    fn output_spec(id: usize, stream: &str) -> OutputSpec {
        OutputSpec {
            id,
            channel: Arc::from(""),
            name: Arc::from(format!("out{id}")),
            stream: Arc::from(stream),
            url: Url::parse("rtmp://destination/live/out").unwrap(),
            enabled: true,
            rules: OutputRules { stall_timeout: Micros::from_secs(3), ..OutputRules::default() },
            stats: Arc::default(),
        }
    }

    fn pull_spec(id: usize, stream: &str) -> PullSpec {
        PullSpec {
            id,
            name: Arc::from(format!("pull{id}")),
            stream: Arc::from(stream),
            url: Url::parse("rtmp://origin/live/in").unwrap(),
            linger: None,
            enabled: true,
            stats: Arc::default(),
        }
    }

    /// The outputs of a shard, as a node that takes over is told of them.
    pub(super) fn outputs_of(&self, shard: usize) -> Vec<OutputSpec> {
        let outputs = self.outputs.iter().filter(|(_, home, _)| *home == shard);
        outputs.map(|(id, _, name)| Self::output_spec(*id, NAMES[*name])).collect()
    }

    /// The same of pulls.
    pub(super) fn pulls_of(&self, shard: usize, shards: usize) -> Vec<PullSpec> {
        let pulls = self.pulls.iter().filter(|(id, _)| id % shards == shard);
        pulls.map(|(id, name)| Self::pull_spec(*id, NAMES[*name])).collect()
    }

    /// Streams that are pulled, and at which of so many shards.
    pub(super) fn pulled(&self, shards: usize) -> Arc<[PulledStream]> {
        let pulled = self.pulls.iter().map(|&(number, name)| PulledStream {
            name: Arc::from(NAMES[name]),
            shard: number % shards,
        });
        pulled.collect()
    }

    /// The stream of an output.
    pub(super) fn output(&self, number: usize) -> Option<usize> {
        self.outputs.iter().find(|it| it.0 == number).map(|it| it.2)
    }

    /// The stream of a pull.
    pub(super) fn pull(&self, number: usize) -> Option<usize> {
        self.pulls.iter().find(|it| it.0 == number).map(|it| it.1)
    }

    /// Stages that have begun and are not over.
    pub(super) fn open_stages(&self) -> usize {
        self.stages.len()
    }

    /// Hears what the shards say.
    pub(super) fn receive(&mut self, now: Micros, nodes: &mut [Node]) -> Result<(), String> {
        for (shard, node) in nodes.iter_mut().enumerate() {
            while let Some(report) = node.reports.pop() {
                self.on_report(now, shard, report)?;
            }
        }
        Ok(())
    }

    fn on_report(&mut self, now: Micros, shard: usize, report: ShardReport) -> Result<(), String> {
        let answer = match report {
            ShardReport::KeyQuestion { hash, .. } => {
                ShardCommand::KeyAnswer { hash, decision: self.decide(&hash, now) }
            }
            ShardReport::KeyRecheck { hash } => {
                ShardCommand::KeyVerdict { hash, decision: self.decide(&hash, now) }
            }
            ShardReport::HookQuestion(question) => {
                let refused = Refused { text: Arc::from("no"), by: Arc::from("hook:sim") };
                let refusal = self.rng.once_in(8).then_some(refused);
                ShardCommand::HookAnswer { ticket: question.ticket, refusal }
            }
            ShardReport::SnapshotWanted(request) => {
                let snapshot = match self.rng.once_in(2) {
                    true => Err(SnapshotFault::Missing("no keyframe".to_owned())),
                    false => Ok(StreamSnapshot { etag: "\"sim\"".into(), jpeg: [0; 64].into() }),
                };
                ShardCommand::Snapshot { ticket: request.ticket, snapshot }
            }
            ShardReport::Resolve { output, .. } => {
                ShardCommand::Resolved { output, address: self.address() }
            }
            ShardReport::ResolvePull { pull, .. } => {
                ShardCommand::PullResolved { pull, address: self.address() }
            }
            ShardReport::Connection(event) => return self.on_event(&event),
            ShardReport::Answer(_) => {
                self.queries = self.queries.checked_sub(1).ok_or("an answer nobody asked for")?;
                return Ok(());
            }
            ShardReport::KeyUsed { .. }
            | ShardReport::KeyFailed { .. }
            | ShardReport::ChannelOpened { .. }
            | ShardReport::Node(_) => return Ok(()),
        };
        if self.is_calm || !self.rng.once_in(60) {
            let delay = self.rng.pick(&[0, 0, 1, 5, 30, 200, 2_500]);
            let delay = if self.is_calm { 0 } else { delay };
            self.due.push((now + Micros::from_millis(delay), shard, answer));
        }
        Ok(())
    }

    fn decide(&self, hash: &KeyHash, now: Micros) -> Decision {
        if now < self.away_until {
            return Decision::Deny(Denial::StoreAway);
        }
        let key = self.keys.iter().find(|key| key.hash == *hash);
        key.map_or(Decision::unknown(), |key| key.decision.clone())
    }

    fn address(&mut self) -> Result<SocketAddr, String> {
        if !self.is_calm && self.rng.once_in(8) {
            return Err("no such host".to_owned());
        }
        Ok((Ipv4Addr::new(192, 0, 2, 1), 1_935).into())
    }

    /// Each stage is asked for, perhaps let in, and over exactly once.
    fn on_event(&mut self, event: &Event) -> Result<(), String> {
        let stage = (event.client, event.kind.stage);
        let known = self.stages.get(&stage).copied();
        match (event.kind.phase, known) {
            (Phase::Pre, None) => {
                self.stages.insert(stage, Phase::Pre);
                if self.clients.len() == 64 {
                    self.clients.remove(0);
                }
                self.clients.push(event.client);
            }
            (Phase::Post, Some(Phase::Pre)) => {
                self.stages.insert(stage, Phase::Post);
                let at = match event.kind.stage {
                    Stage::Connect => 0,
                    Stage::Publish => 1,
                    Stage::Play => 2,
                };
                self.admitted[at] += 1;
            }
            (Phase::Done, Some(_)) => {
                self.stages.remove(&stage);
            }
            _ => return Err(format!("{} after {known:?}", event.kind.name())),
        }
        Ok(())
    }

    /// Gives the shards what is due.
    pub(super) fn speak(&mut self, now: Micros, nodes: &mut [Node]) {
        let mut at = 0;
        while at < self.due.len() {
            if self.due[at].0 > now || nodes[self.due[at].1].commands_len() > 32 {
                at += 1;
                continue;
            }
            let (_, shard, command) = self.due.remove(at);
            nodes[shard].command(command);
        }
        for subscription in &mut self.subscriptions {
            if self.rng.once_in(3) {
                while subscription.pop().is_some() {}
            }
        }
    }

    /// Wants something else.
    pub(super) fn wish(&mut self, now: Micros, shards: usize, names: &[&'static str]) {
        let shard = self.rng.below(shards);
        match self.rng.below(24) {
            0 => self.change_key(now, shards),
            1 => self.away_until = now + Micros::from_millis(self.rng.pick(&[500, 3_000])),
            2..=4 => self.add_output(now, shard, names),
            5 | 6 if !self.outputs.is_empty() => {
                let at = self.rng.below(self.outputs.len());
                let (output, shard, _) = self.outputs[at];
                if self.rng.once_in(2) {
                    self.outputs.swap_remove(at);
                    self.due.push((now, shard, ShardCommand::RemoveOutput { output }));
                } else if self.rng.once_in(2) {
                    let change = match self.rng.pick(&[0, 300, 1_000]) {
                        1_000 => DelayChange::Dump,
                        delay => DelayChange::Set(Micros::from_millis(delay)),
                    };
                    self.due.push((now, shard, ShardCommand::DelayOutput { output, change }));
                } else {
                    let on = self.rng.once_in(2);
                    self.due.push((now, shard, ShardCommand::SwitchOutput { output, on }));
                }
            }
            7 | 8 => self.add_pull(now, shards, names),
            9 if !self.pulls.is_empty() => {
                let at = self.rng.below(self.pulls.len());
                let (pull, _) = self.pulls[at];
                if self.rng.once_in(2) {
                    self.pulls.swap_remove(at);
                    self.due.push((now, pull % shards, ShardCommand::RemovePull { pull }));
                    self.tell_pulled(now, shards);
                } else {
                    let on = self.rng.once_in(2);
                    self.due.push((now, pull % shards, ShardCommand::SwitchPull { pull, on }));
                }
            }
            10..=12 => self.query(now, shard, names),
            13 => {
                let (sender, receiver) = channel(8, Bell::new());
                self.subscriptions.push(receiver);
                if self.subscriptions.len() > 3 {
                    self.subscriptions.remove(0);
                }
                let name = Arc::from(self.rng.pick(names));
                self.due.push((now, shard, ShardCommand::Subscription(name, sender)));
            }
            _ => {}
        }
    }

    /// A key is revoked, or good again.
    fn change_key(&mut self, now: Micros, shards: usize) {
        let at = self.rng.below(self.keys.len());
        let Key { hash, decision } = &mut self.keys[at];
        let hash = *hash;
        if let Decision::Allow(grant) = decision {
            let (grant, way) = (Arc::clone(grant), self.rng.below(3));
            self.keys[at].decision = match way {
                0 => Decision::Deny(Denial::Revoked),
                1 => {
                    let until = Some(now + Micros::from_secs(3));
                    Decision::Allow(Arc::new(Grant { until, ..(*grant).clone() }))
                }
                _ => Decision::Allow(grant),
            };
            // It is good again before long.
        } else {
            let fresh = Self::new(Rng::new(at as u64), NAMES);
            self.keys[at].decision = fresh.keys[at].decision.clone();
        }
        let hash = (!self.rng.once_in(4)).then_some(hash);
        (0..shards)
            .for_each(|shard| self.due.push((now, shard, ShardCommand::KeyChanged { hash })));
    }

    fn add_output(&mut self, now: Micros, shard: usize, names: &[&'static str]) {
        if self.outputs.len() == OUTPUTS_MAX {
            return;
        }
        let name = self.rng.below(names.len());
        self.numbers += 1;
        self.outputs.push((self.numbers, shard, name));
        let spec = OutputSpec {
            enabled: !self.rng.once_in(5),
            ..Self::output_spec(self.numbers, names[name])
        };
        self.due.push((now, shard, ShardCommand::AddOutput(Box::new(spec))));
    }

    /// Pulls are at all shards, by their numbers.
    fn add_pull(&mut self, now: Micros, shards: usize, names: &[&'static str]) {
        let name = self.rng.below(names.len());
        if self.pulls.len() == PULLS_MAX || self.pulls.iter().any(|pull| pull.1 == name) {
            return;
        }
        self.numbers += 1;
        self.pulls.push((self.numbers, name));
        let spec = PullSpec {
            linger: (!self.rng.once_in(3)).then_some(Micros::from_secs(1)),
            enabled: !self.rng.once_in(5),
            ..Self::pull_spec(self.numbers, names[name])
        };
        self.due.push((now, self.numbers % shards, ShardCommand::AddPull(Box::new(spec))));
        self.tell_pulled(now, shards);
    }

    fn tell_pulled(&mut self, now: Micros, shards: usize) {
        let pulled = self.pulled(shards);
        for shard in 0..shards {
            self.due.push((now, shard, ShardCommand::Pulled(Arc::clone(&pulled))));
        }
    }

    fn query(&mut self, now: Micros, shard: usize, names: &[&'static str]) {
        let actor: Arc<str> = Arc::from("operator");
        let name: Arc<str> = Arc::from(self.rng.pick(names));
        let scope = match self.rng.below(8) {
            0 | 1 => Scope::Streams,
            2 => Scope::Clients(None),
            3 => Scope::Clients(Some(name)),
            4 => Scope::KickPublisher { stream: name, actor },
            5 => {
                let (span, before) = (Micros::from_secs(5), Micros::from_millis(100));
                Scope::Recent { stream: name, span, before }
            }
            _ if self.clients.is_empty() => return,
            _ => {
                let client = self.clients[self.rng.below(self.clients.len())];
                Scope::Kick { client, actor }
            }
        };
        self.queries += 1;
        let order = ShardQuery { number: 1, scope };
        self.due.push((now, shard, ShardCommand::Query(order)));
    }
}
