//! Panics inside a shard: each ends the peer that it concerns, and nothing else.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::command::{FromShard, OutputRules, OutputSpec, ToShard};
use crate::event::NodeEvent;
use crate::frame::{PacketPool, PacketPoolSpec};
use crate::limits::{GuardSpec, LimitSpec, NodeLimits};
use crate::media::{Kind, Micros};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};
use crate::stats::{ErrorKind, ShardStats};
use crate::stream::{DropPolicy, LogLimits, Merge, Start};

/// Sockets that take everything and remember it, but for one that makes whoever uses it panic.
#[derive(Default)]
struct Sockets(HashMap<PeerId, Vec<u8>>, Option<PeerId>);

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        assert_ne!(Some(peer), self.1, "injected");
        let to = self.0.entry(peer).or_default();
        pieces.iter().for_each(|piece| to.extend_from_slice(piece));
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn has_unread(&mut self, _peer: PeerId) -> bool {
        false
    }

    fn tcp_info(&mut self, _peer: PeerId) -> Option<TcpInfo> {
        None
    }
}

/// A shard, its sockets, and control's ends of its rings.
struct Bench {
    core: ShardCore,
    sockets: Sockets,
    actions: Vec<Action>,
    stats: Arc<ShardStats>,
    packets: PacketPool,
    commands: Sender<ToShard>,
    reports: Receiver<FromShard>,
    _settings: Sender<ShardSettings>,
    now: Micros,
}

impl Bench {
    /// A shard that takes one connection of each address.
    fn new() -> Self {
        let packets = PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
        let stats = Arc::new(ShardStats::default());
        let limits = LimitSpec {
            connections_max: 100,
            connections_per_ip_max: 1,
            connects_per_minute: 0,
            publishes_per_minute: 0,
            egress_max_bps: 0,
            buffer_bytes_total: 1 << 20,
            guard: GuardSpec::default(),
        };
        let (commands, from_control) = channel(8, Bell::new());
        let (settings, other_settings) = channel(8, Bell::new());
        let (to_control, reports) = channel(1_024, Bell::new());
        let now = Micros::from_secs(1);
        let parts = ShardParts {
            spec: spec(),
            acceptor: None,
            trust: Err("nobody is trusted".to_owned()),
            commands: from_control,
            settings: other_settings,
            reports: to_control,
            mesh: Mesh::full(&[Bell::new()]).remove(0),
            feeds: Vec::new(),
            taps: Vec::new(),
            records: Vec::new(),
            outputs: Vec::new(),
            pulls: Vec::new(),
            pulled: Vec::new(),
            limits: Arc::new(NodeLimits::new(&limits, vec![Arc::clone(&stats)])),
            packets: packets.clone(),
            stats: Arc::clone(&stats),
            seed: 1,
        };
        Self {
            core: ShardCore::new(parts, now),
            sockets: Sockets::default(),
            actions: Vec::new(),
            stats,
            packets,
            commands,
            reports,
            _settings: settings,
            now,
        }
    }

    fn settle(&mut self) {
        while self.core.transmit(self.now, &mut self.sockets, 64) {}
        self.actions.extend(std::iter::from_fn(|| self.core.next_action()));
    }

    /// Lets time pass, with its looks at deadlines.
    fn pass(&mut self, time: Micros) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Micros::from_millis(100);
            self.core.tick(self.now, &mut self.sockets);
            self.settle();
        }
    }

    /// Somebody at this address publishes or plays `live/show`.
    fn join(&mut self, address: &str, goal: Goal) -> (PeerId, Client) {
        let from = SocketAddr::new(address.parse().unwrap(), 5_000);
        let peer = self.core.accepted(self.now, from, false).unwrap();
        let url = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
        let mut client = Client::new(ClientSpec::new(&url, goal), self.now, [7; 32]);
        for _ in 0..20 {
            self.say(peer, &mut client);
            if self
                .hear(peer, &mut client)
                .iter()
                .any(|it| matches!(it, ClientEvent::Started { .. }))
            {
                return (peer, client);
            }
        }
        panic!("the client has not begun");
    }

    fn say(&mut self, peer: PeerId, client: &mut Client) {
        let bytes = client.output().to_vec();
        client.consume_output(bytes.len());
        self.core.received(self.now, peer, &bytes);
        self.settle();
    }

    fn hear(&mut self, peer: PeerId, client: &mut Client) -> Vec<ClientEvent> {
        let bytes = self.sockets.0.remove(&peer).unwrap_or_default();
        client.feed(&bytes, self.now, &self.packets).unwrap();
        std::iter::from_fn(|| client.poll_event()).collect()
    }

    fn publish(&mut self, (peer, client): &mut (PeerId, Client), body: &[u8]) {
        client.write_message(Kind::Video, 0, body).unwrap();
        self.say(*peer, client);
    }

    /// Bodies of the messages that a player has been sent.
    fn heard(&mut self, (peer, client): &mut (PeerId, Client)) -> Vec<Vec<u8>> {
        let events = self.hear(*peer, client);
        let bodies = events.into_iter().filter_map(|event| match event {
            ClientEvent::Message { body, .. } => Some(body.to_vec()),
            _ => None,
        });
        bodies.collect()
    }
}

const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 9, 9, 9];
const NEXT: &[u8] = &[0x27, 1, 0, 0, 0, 8, 8, 8];

fn spec() -> ShardSpec {
    ShardSpec {
        number: 0,
        node: 1,
        chunk_size: 4_096,
        ping: Micros::from_secs(600),
        ping_timeout: Micros::from_secs(1_200),
        handshake_timeout: Micros::from_secs(10),
        gop_cache: true,
        start: Start::Keyframe,
        cors: Arc::default(),
        log: LogLimits::default(),
        merge: Merge::Off,
        drop: DropPolicy::default(),
        publish: PublishPolicy::Open,
        keys: KeyRules::default(),
        peer: PeerLimits {
            idle: Micros::from_secs(600),
            blocked: Micros::from_secs(10),
            buffer_bytes: 1 << 20,
            pace_bps: 0,
            pace_percent: 0,
        },
        hooks: HookRules::default(),
        grace: Micros::from_secs(5),
    }
}

#[test]
fn a_player_whose_handling_panics_is_closed_and_the_others_go_on() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut publisher, KEY);
    let mut stays = bench.join("192.0.2.2", Goal::Play);
    let (gone, _) = bench.join("192.0.2.3", Goal::Play);
    bench.core.with(gone, |_, _| panic!("injected"));
    bench.settle();
    assert!(bench.actions.contains(&Action::Close(gone)));
    assert_eq!(bench.stats.read().errors[ErrorKind::Panic as usize], 1);
    bench.publish(&mut publisher, NEXT);
    assert_eq!(bench.heard(&mut stays), [NEXT]);
    assert!(!bench.sockets.0.contains_key(&gone), "nothing more is sent to it");
    // Its place among the connections of its address is free again, and so is its seat.
    bench.join("192.0.2.3", Goal::Play);
    bench.pass(Micros::from_millis(300));
    let stream = bench.core.shared.streams.named("live/show").unwrap();
    assert_eq!((stream.viewers(), bench.core.peers.connections()), (2, 3));
}

#[test]
fn a_peer_that_cannot_be_answered_for_a_panic_ends_alone() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    let from = "192.0.2.2:5000".parse().unwrap();
    let gone = bench.core.accepted(bench.now, from, false).unwrap();
    bench.sockets.1 = Some(gone);
    let url = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
    let mut client = Client::new(ClientSpec::new(&url, Goal::Play), bench.now, [7; 32]);
    bench.say(gone, &mut client);
    assert!(bench.actions.contains(&Action::Close(gone)));
    assert_eq!(bench.stats.read().errors[ErrorKind::Panic as usize], 1);
    let mut player = bench.join("192.0.2.2", Goal::Play);
    bench.publish(&mut publisher, KEY);
    assert_eq!(bench.heard(&mut player), [KEY]);
}

#[test]
fn a_publisher_whose_handling_panics_leaves_its_stream_as_one_that_went_away() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut publisher, KEY);
    let mut player = bench.join("192.0.2.2", Goal::Play);
    bench.core.with(publisher.0, |_, _| panic!("injected"));
    bench.settle();
    let mut next = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut next, KEY);
    assert_eq!(bench.heard(&mut player), [KEY], "it plays on");
    let is_end = |report: &FromShard| match report {
        FromShard::Connection(event) => event.to_string().contains("internal error"),
        _ => false,
    };
    let ended = std::iter::from_fn(|| bench.reports.pop()).filter(is_end);
    assert_eq!(ended.count(), 2, "the end of its publishing and that of its connection");
}

#[test]
fn an_output_whose_handling_panics_comes_back_and_its_connection_is_closed() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut publisher, KEY);
    let output = OutputSpec {
        id: 4,
        channel: Arc::from(""),
        name: Arc::from("copy"),
        stream: Arc::from("live/show"),
        url: Url::parse("rtmp://192.0.2.9/live/copy").unwrap(),
        enabled: true,
        rules: OutputRules::default(),
        stats: Arc::default(),
    };
    bench.commands.push(ToShard::AddOutput(Box::new(output))).unwrap();
    let address = Ok("192.0.2.9:1935".parse().unwrap());
    bench.commands.push(ToShard::Resolved { output: 4, address }).unwrap();
    bench.core.read_rings(bench.now);
    bench.settle();
    let connect = bench.actions.iter().find_map(|action| match action {
        Action::Connect { peer, .. } => Some(*peer),
        _ => None,
    });
    let peer = connect.unwrap();
    bench.core.connected(bench.now, peer);
    bench.settle();
    assert!(bench.sockets.0.contains_key(&peer), "it has begun its handshake");
    bench.core.with_output(4, |_, _| panic!("injected"));
    bench.settle();
    assert!(bench.actions.contains(&Action::Close(peer)));
    let failed = |report: FromShard| {
        matches!(report, FromShard::Node(NodeEvent::OutputFailed { reason, .. })
            if reason.contains("internal error"))
    };
    assert!(std::iter::from_fn(|| bench.reports.pop()).any(failed));
    bench.pass(Micros::from_secs(1));
    let asks = |report| matches!(report, FromShard::Resolve { output: 4, .. });
    assert!(std::iter::from_fn(|| bench.reports.pop()).any(asks), "it tries again");
}
