//! Shards as their drivers see them. A panic ends the peer that it concerns and nothing else; after
//! one that concerns no peer alone the shard is rebuilt. Of a takeover peers notice nothing.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use super::core::LOOK_EARLY;
use super::send_state::SendState;
use super::*;
use crate::command::{
    ChannelSource, ChannelSwitch, Encoded, OutputRules, OutputSpec, ShardCommand, ShardReport,
    SubscriptionEvent,
};
use crate::event::{NodeEvent, Phase};
use crate::frame::{PacketBuf, PacketPool, PacketPoolSpec};
use crate::limits::{Audiences, GuardSpec, LimitSpec, NodeLimits};
use crate::media::{Kind, Micros, NodeId, Stamps, caught};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};
use crate::stats::{ErrorKind, OriginClock, ShardStats};
use crate::stream::{DropPolicy, Flags, LogLimits, Merge, Message, Start};
use crate::tls::harness::Authority;
use crate::tls::{Acceptor, Link};

mod latency;

/// Sockets that take everything and remember it, but for one that makes whoever uses it panic, and
/// for those that have so much room.
#[derive(Default)]
struct Sockets(HashMap<PeerId, Vec<u8>>, Option<PeerId>, HashMap<PeerId, usize>);

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        assert_ne!(Some(peer), self.1, "injected");
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut left = wanted;
        if let Some(room) = self.2.get_mut(&peer) {
            left = wanted.min(*room);
            *room -= left;
        }
        let taken = left;
        if taken == 0 && wanted > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let to = self.0.entry(peer).or_default();
        for piece in pieces {
            to.extend_from_slice(&piece[..left.min(piece.len())]);
            left -= left.min(piece.len());
        }
        Ok(taken)
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
    commands: Sender<ShardCommand>,
    reports: Receiver<ShardReport>,
    _settings: Sender<ShardSettings>,
    now: Micros,
}

impl Bench {
    /// A shard that takes one connection of each address.
    fn new() -> Self {
        Self::of_mesh(0, Mesh::full(&[Bell::new()]).remove(0))
    }

    /// One of several.
    fn of_mesh(number: usize, mesh: Mesh) -> Self {
        let packets = PacketPool::new(PacketPoolSpec { bytes_max: 16 << 20 }).unwrap();
        let (stats, now) = (Arc::new(ShardStats::default()), Micros::from_secs(1));
        let (mut parts, (commands, settings, reports)) = parts(&packets, &stats);
        (parts.spec.number, parts.mesh) = (number, mesh);
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

    /// Another core goes on from what is written of this one, with parts that `change` changes.
    fn take_over(&mut self, change: impl FnOnce(&mut ShardParts)) -> ShardSnapshot {
        let snapshot = self.core.save(self.now, &mut self.sockets).unwrap();
        self.actions.extend(std::iter::from_fn(|| self.core.next_action()));
        let (mut parts, ends) = parts(&self.packets, &self.stats);
        change(&mut parts);
        let audiences = Audiences::of_streams(snapshot.streams.clone());
        self.core = ShardCore::restore(&snapshot.bytes, parts, &audiences, self.now).unwrap();
        (self.commands, self._settings, self.reports) = ends;
        let is_listed = |entry: &PeerEntry| snapshot.peers.contains(entry);
        assert!(self.core.sockets().iter().all(is_listed), "{:?}", snapshot.peers);
        self.settle();
        snapshot
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

    /// The core takes what is in its rings.
    fn read_rings(&mut self) {
        self.core.read_rings(self.now);
        self.settle();
    }

    /// The core panics in the middle of this call, and is rebuilt.
    fn lose(&mut self, call: Call) {
        self.core.fails_in = Some(0);
        let Self { core, sockets, now, .. } = self;
        assert_eq!(caught(|| call(core, *now, sockets)), Err("injected".to_owned()));
        self.sockets.0.clear();
        self.actions.clear();
        self.core.rebuild(self.now);
        self.settle();
        assert_eq!(self.actions, [], "its sockets are closed already");
    }

    /// Somebody at this address publishes or plays `live/show`.
    fn join(&mut self, address: &str, goal: Goal) -> (PeerId, Client) {
        self.begin(address, goal).0
    }

    /// The same, and what it hears by the time it has begun.
    fn begin(&mut self, address: &str, goal: Goal) -> ((PeerId, Client), Vec<ClientEvent>) {
        let from = SocketAddr::new(address.parse().unwrap(), 5_000);
        let peer = self.core.accepted(self.now, from, false).unwrap();
        let url = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
        let mut client = Client::new(ClientSpec::new(&url, goal), self.now, [7; 32]);
        for _ in 0..20 {
            self.say(peer, &mut client);
            let heard = self.receive(peer, &mut client);
            if heard.iter().any(|it| matches!(it, ClientEvent::Started { .. })) {
                return ((peer, client), heard);
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

    fn receive(&mut self, peer: PeerId, client: &mut Client) -> Vec<ClientEvent> {
        let bytes = self.sockets.0.remove(&peer).unwrap_or_default();
        client.feed(&bytes, self.now, &self.packets).unwrap();
        std::iter::from_fn(|| client.poll_event()).collect()
    }

    fn publish(&mut self, (peer, client): &mut (PeerId, Client), body: &[u8]) {
        client.write_message(Kind::Video, 0, body).unwrap();
        self.say(*peer, client);
    }

    /// An output of `live/show` that has begun its handshake.
    fn connect_output(&mut self) -> PeerId {
        self.commands.push(ShardCommand::AddOutput(Box::new(output(4, "copy")))).unwrap();
        let address = Ok("192.0.2.9:1935".parse().unwrap());
        self.commands.push(ShardCommand::Resolved { output: 4, address }).unwrap();
        self.read_rings();
        let connect = self.actions.iter().find_map(|action| match action {
            Action::Connect { peer, .. } => Some(*peer),
            _ => None,
        });
        let peer = connect.unwrap();
        self.core.connected(self.now, peer);
        self.settle();
        assert!(self.sockets.0.contains_key(&peer), "it has begun its handshake");
        peer
    }

    /// The output has failed by an internal error, and tries again before long.
    fn expect_output_again(&mut self) {
        let failed = |report: ShardReport| {
            matches!(report, ShardReport::Node(NodeEvent::OutputFailed { reason, .. })
                if reason.contains("internal error"))
        };
        assert!(std::iter::from_fn(|| self.reports.pop()).any(failed));
        self.pass(Micros::from_secs(1));
        let asks = |report| matches!(report, ShardReport::Resolve { output: 4, .. });
        assert!(std::iter::from_fn(|| self.reports.pop()).any(asks), "it tries again");
    }

    /// A channel that makes `live/show`: where its pictures go, and what it is asked for.
    fn add_channel(&mut self) -> (Sender<Encoded>, Arc<ChannelSwitch>) {
        let (pictures, video) = channel(16, Bell::new());
        let switch = Arc::new(ChannelSwitch::default());
        let feed = ChannelSource {
            stream: Arc::from("live/show"),
            video,
            tracks: Vec::new(),
            audio: None,
            start: self.now,
            switch: Arc::clone(&switch),
            stats: Arc::default(),
        };
        self.commands.push(ShardCommand::Channel(Box::new(feed))).unwrap();
        self.read_rings();
        (pictures, switch)
    }

    fn encode(
        &mut self,
        (pictures, _): &mut (Sender<Encoded>, Arc<ChannelSwitch>),
        flags: Flags,
        body: &[u8],
    ) {
        let message = Message::new(Kind::Video, 0, flags, PacketBuf::copy_of(body), 4_096);
        pictures.push(Encoded { message, due: self.now, stamps: Stamps::default() }).unwrap();
        self.read_rings();
    }

    /// Bodies of the pictures and headers that a player has been sent.
    fn heard(&mut self, (peer, client): &mut (PeerId, Client)) -> Vec<Vec<u8>> {
        let events = self.receive(*peer, client);
        video_bodies(events)
    }
}

fn video_bodies(events: Vec<ClientEvent>) -> Vec<Vec<u8>> {
    let bodies = events.into_iter().filter_map(|event| match event {
        ClientEvent::Message { kind: Kind::Video, body, .. } => Some(body.to_vec()),
        _ => None,
    });
    bodies.collect()
}

/// A call that a driver makes for no peer.
type Call = fn(&mut ShardCore, Micros, &mut Sockets);

const READ_RINGS: Call = |core, now, _| core.read_rings(now);
const TICK: Call = |core, now, io| core.tick(now, io);
const TRANSMIT: Call = |core, now, io| assert!(!core.transmit(now, io, 64));

const HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f];

/// Control's ends of a shard's rings.
type Ends = (Sender<ShardCommand>, Sender<ShardSettings>, Receiver<ShardReport>);

/// What a shard is given that takes one connection of each address.
fn parts(packets: &PacketPool, stats: &Arc<ShardStats>) -> (ShardParts, Ends) {
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
    let parts = ShardParts {
        spec: spec(),
        acceptor: None,
        trust: Err("nobody is trusted".to_owned()),
        commands: from_control,
        settings: other_settings,
        reports: to_control,
        mesh: Mesh::full(&[Bell::new()]).remove(0),
        feeds: Vec::new(),
        subscriptions: Vec::new(),
        records: Vec::new(),
        outputs: Vec::new(),
        pulls: Vec::new(),
        pulled: Arc::from([]),
        limits: Arc::new(NodeLimits::new(&limits, vec![Arc::clone(stats)])),
        packets: packets.clone(),
        stats: Arc::clone(stats),
        seed: 1,
    };
    (parts, (commands, settings, reports))
}

/// An output of `live/show`.
fn output(id: usize, name: &str) -> OutputSpec {
    OutputSpec {
        id,
        channel: Arc::from(""),
        name: Arc::from(name),
        stream: Arc::from("live/show"),
        url: Url::parse("rtmp://192.0.2.9/live/copy").unwrap(),
        enabled: true,
        rules: OutputRules::default(),
        stats: Arc::default(),
    }
}

const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 9, 9, 9];
const OTHER_KEY: &[u8] = &[0x17, 1, 0, 0, 0, 7, 7, 7];
const NEXT: &[u8] = &[0x27, 1, 0, 0, 0, 8, 8, 8];

/// The time of day when the clock begins, microseconds since 1970.
const DAY_US: u64 = 1_780_000_000_000_000;

fn origin_clock() -> OriginClock {
    let clock = OriginClock::new(NodeId::new(1, 2));
    clock.set(DAY_US, None);
    clock
}

fn spec() -> ShardSpec {
    ShardSpec {
        number: 0,
        node: 1,
        origin: Arc::new(origin_clock()),
        chunk_size: 4_096,
        ping: Micros::from_secs(600),
        ping_timeout: Micros::from_secs(1_200),
        handshake_timeout: Micros::from_secs(10),
        gop_cache: true,
        start: Start::Keyframe,
        cors: Arc::default(),
        log: LogLimits::default(),
        merge: Merge::Off,
        low_latency: Arc::default(),
        drop: DropPolicy::default(),
        publish: PublishPolicy::Open,
        protected: Arc::from([]),
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
        fill_audio: Arc::default(),
    }
}

#[test]
fn a_shard_that_is_awake_looks_at_what_is_due_soon_and_need_not_be_woken_for_it() {
    let mut bench = Bench::new();
    bench.core.tick(bench.now, &mut bench.sockets);
    let due = bench.core.next_tick();
    let soon = due - LOOK_EARLY;
    assert!(!bench.core.is_tick_due(Micros(soon.0 - 1)) && bench.core.is_tick_due(soon));
    bench.core.tick(soon, &mut bench.sockets);
    assert_eq!(bench.core.next_tick(), due + (soon.since(bench.now)));
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
    // Its place among the connections of its address is free again, and so is its permit.
    bench.join("192.0.2.3", Goal::Play);
    bench.pass(Micros::from_millis(300));
    let stream = bench.core.shared.streams.named("live/show").unwrap();
    assert_eq!((stream.viewers(), bench.core.peers.connections()), (2, 3));
}

#[test]
fn a_panic_while_bytes_are_opened_leaves_room_to_open_those_of_others() {
    let mut bench = Bench::new();
    let (gone, _) = bench.join("192.0.2.1", Goal::Publish);
    // As it is while bytes are opened.
    let plain = std::mem::take(&mut bench.core.plain);
    bench.core.panicked(bench.now, gone, "injected");
    assert_eq!(bench.core.plain.len(), plain.len());
}

#[test]
fn nothing_of_a_low_latency_stream_waits_and_its_viewers_start_live() {
    for (low_latency, now, late) in
        [("live/show", &[KEY, NEXT][..], &[][..]), ("live/other", &[], &[KEY, NEXT])]
    {
        let mut bench = Bench::new();
        bench.take_over(|parts| {
            parts.spec.merge = Merge::Millis(200);
            parts.spec.low_latency = [Arc::from(low_latency)].into();
        });
        let mut publisher = bench.join("192.0.2.1", Goal::Publish);
        let mut player = bench.join("192.0.2.2", Goal::Play);
        bench.publish(&mut publisher, KEY);
        bench.publish(&mut publisher, NEXT);
        assert_eq!(bench.heard(&mut player), now, "{low_latency}");
        let (_, heard) = bench.begin("192.0.2.3", Goal::Play);
        assert_eq!(video_bodies(heard), late, "{low_latency}");
    }
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
    let is_end = |report: &ShardReport| match report {
        ShardReport::Connection(event) => event.to_string().contains("internal error"),
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
    let peer = bench.connect_output();
    bench.core.with_output(4, |_, _| panic!("injected"));
    bench.settle();
    assert!(bench.actions.contains(&Action::Close(peer)));
    bench.expect_output_again();
}

#[test]
fn a_panic_in_any_part_of_a_shard_ends_each_peer_once_and_gives_back_what_it_held() {
    for call in [READ_RINGS, TICK, TRANSMIT] {
        let mut bench = Bench::new();
        for _ in 0..2 {
            let mut publisher = bench.join("192.0.2.1", Goal::Publish);
            let mut player = bench.join("192.0.2.2", Goal::Play);
            bench.publish(&mut publisher, KEY);
            assert_eq!(bench.heard(&mut player), [KEY]);
            while bench.reports.pop().is_some() {}
            bench.lose(call);
            let mut ended: Vec<_> = std::iter::from_fn(|| bench.reports.pop())
                .filter_map(|report| match report {
                    ShardReport::Connection(event) => Some((event.kind.phase, event.kind.name())),
                    _ => None,
                })
                .collect();
            ended.sort_by_key(|(_, name)| *name);
            let all = ["doneConnect", "doneConnect", "donePlay", "donePublish"];
            assert_eq!(ended, all.map(|name| (Phase::Done, name)));
            bench.core.received(bench.now, player.0, KEY);
            assert_eq!(bench.core.peers.table.len(), 0, "their numbers are nobody's");
        }
    }
}

#[test]
fn the_channel_of_a_shard_that_is_rebuilt_goes_on_with_its_headers_and_so_do_its_readers() {
    let mut bench = Bench::new();
    let mut channel_end = bench.add_channel();
    let (subscription, mut received) = channel(16, Bell::new());
    bench.commands.push(ShardCommand::Subscription(Arc::from("live/show"), subscription)).unwrap();
    bench.read_rings();
    let mut player = bench.join("192.0.2.2", Goal::Play);
    bench.encode(&mut channel_end, Flags::HEADER, HEADER);
    bench.encode(&mut channel_end, Flags::KEY, KEY);
    assert_eq!(bench.heard(&mut player), [HEADER, KEY]);
    bench.connect_output();
    assert!(!channel_end.1.take_key_request());
    bench.lose(TICK);
    assert!(channel_end.1.take_key_request(), "whoever comes back does not wait for long");
    let (mut player, early) = bench.begin("192.0.2.2", Goal::Play);
    bench.encode(&mut channel_end, Flags::default(), NEXT);
    bench.encode(&mut channel_end, Flags::KEY, KEY);
    let heard = [video_bodies(early), bench.heard(&mut player)].concat();
    assert_eq!(heard, [HEADER, KEY]);
    let mut taken = Vec::new();
    while let Some(SubscriptionEvent::Message(message, _)) = received.pop() {
        taken.push(message.body().to_vec());
    }
    assert_eq!(taken, [HEADER, KEY, NEXT, KEY], "nothing of it is lost, nor said twice");
    bench.expect_output_again();
}

/// Several shards, whose rings are read until nothing more is said.
fn exchange(benches: &mut [Bench]) {
    for _ in 0..6 {
        benches.iter_mut().for_each(Bench::read_rings);
    }
}

fn two_shards() -> Vec<Bench> {
    let meshes = Mesh::full(&[Bell::new(), Bell::new()]).into_iter().enumerate();
    meshes.map(|(number, mesh)| Bench::of_mesh(number, mesh)).collect()
}

#[test]
fn viewers_of_other_shards_wait_for_the_publishers_of_one_that_is_rebuilt() {
    for back_at in [0, 1] {
        let mut shards = two_shards();
        let mut publisher = shards[0].join("192.0.2.1", Goal::Publish);
        shards[0].publish(&mut publisher, KEY);
        exchange(&mut shards);
        let mut player = shards[1].join("192.0.2.2", Goal::Play);
        exchange(&mut shards);
        assert_eq!(shards[1].heard(&mut player), [KEY]);
        shards[0].lose(READ_RINGS);
        exchange(&mut shards);
        let mut publisher = shards[back_at].join("192.0.2.1", Goal::Publish);
        exchange(&mut shards);
        shards[back_at].publish(&mut publisher, KEY);
        exchange(&mut shards);
        assert_eq!(shards[1].heard(&mut player), [KEY], "it plays on");
    }
}

#[test]
fn a_shard_that_is_rebuilt_gets_the_streams_of_others_anew_and_nothing_of_before() {
    let mut shards = two_shards();
    let mut publisher = shards[1].join("192.0.2.1", Goal::Publish);
    shards[1].publish(&mut publisher, HEADER);
    shards[1].publish(&mut publisher, KEY);
    exchange(&mut shards);
    shards[0].join("192.0.2.2", Goal::Play);
    exchange(&mut shards);
    // It is on its way when the other shard is lost, without the header that it needs.
    shards[1].publish(&mut publisher, OTHER_KEY);
    shards[0].lose(TICK);
    let mut player = shards[0].join("192.0.2.2", Goal::Play);
    exchange(&mut shards);
    shards[1].publish(&mut publisher, NEXT);
    exchange(&mut shards);
    assert_eq!(shards[0].heard(&mut player), [HEADER, OTHER_KEY, NEXT]);
}

#[test]
fn a_publisher_and_its_viewers_go_on_in_another_core_in_the_middle_of_a_message() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut publisher, KEY);
    let mut player = bench.join("192.0.2.2", Goal::Play);
    assert_eq!(bench.heard(&mut player), [KEY; 0], "it was heard while it joined");
    let large = [NEXT, &vec![7; 100_000][..]].concat();
    let (peer, client) = &mut publisher;
    client.write_message(Kind::Video, 40, &large).unwrap();
    let bytes = client.output().to_vec();
    client.consume_output(bytes.len());
    for piece in bytes.chunks(30_000) {
        bench.core.received(bench.now, *peer, piece);
        let snapshot = bench.take_over(|_| {});
        let kinds: Vec<_> = snapshot.peers.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [PeerKind::Publisher, PeerKind::Viewer]);
    }
    assert_eq!(bench.heard(&mut player), [large]);
    let stream = bench.core.shared.streams.named("live/show").unwrap();
    assert_eq!((stream.viewers(), stream.audience.seated()), (1, 1));
    assert_eq!(bench.core.accepted(bench.now, "192.0.2.2:7".parse().unwrap(), false), None);
    let is_fact = |report: &ShardReport| matches!(report, ShardReport::Connection(_));
    assert_eq!(std::iter::from_fn(|| bench.reports.pop()).filter(is_fact).count(), 0, "once");
}

#[test]
fn an_output_goes_on_under_its_name_and_one_that_is_gone_says_goodbye() {
    let mut bench = Bench::new();
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    bench.publish(&mut publisher, KEY);
    for (id, name) in [(4, "copy"), (5, "old"), (6, "asks")] {
        bench.commands.push(ShardCommand::AddOutput(Box::new(output(id, name)))).unwrap();
        if name != "asks" {
            let address = Ok("192.0.2.9:1935".parse().unwrap());
            bench.commands.push(ShardCommand::Resolved { output: id, address }).unwrap();
        }
    }
    bench.core.read_rings(bench.now);
    bench.settle();
    let connects = bench.actions.iter().filter_map(|action| match action {
        Action::Connect { peer, .. } => Some(*peer),
        _ => None,
    });
    let [stays, goes] = connects.collect::<Vec<_>>()[..] else { panic!("two connect") };
    let specs = [(7, "new"), (8, "copy"), (9, "asks")];
    let snapshot = bench.take_over(|parts| {
        parts.outputs.extend(specs.map(|(id, name)| output(id, name)));
    });
    let outgoing: Vec<_> = snapshot.peers.iter().filter(|it| it.is_connecting).collect();
    assert_eq!(outgoing.iter().map(|it| it.id).collect::<Vec<_>>(), [stays, goes]);
    assert!(bench.actions.contains(&Action::Close(goes)));
    let asks = |report| matches!(report, ShardReport::Resolve { output: 9, .. });
    assert!(std::iter::from_fn(|| bench.reports.pop()).any(asks), "it asks again");
    bench.core.connected(bench.now, stays);
    bench.settle();
    assert!(bench.sockets.0.contains_key(&stays), "it has begun its handshake");
    let numbers: Vec<_> = bench.core.outputs.keys().copied().collect();
    assert_eq!(numbers, [7, 8, 9]);
}

#[test]
fn a_peer_that_speaks_tls_is_ended_and_listed_and_the_others_are_handed_over() {
    let mut bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new().issue(dir.path(), "node.example");
    bench.take_over(|parts| parts.acceptor = Some(Acceptor::load(files, &[]).unwrap()));
    let at = |text: &str| text.parse().unwrap();
    let sealed = bench.core.accepted(bench.now, at("192.0.2.1:7"), true).unwrap();
    let plain = bench.core.accepted(bench.now, at("192.0.2.2:7"), false).unwrap();
    let snapshot = bench.take_over(|_| {});
    assert_eq!(snapshot.peers.iter().map(|entry| entry.id).collect::<Vec<_>>(), [plain]);
    let [(id, reason)] = snapshot.ended[..] else { panic!("{:?}", snapshot.ended) };
    assert!(id == sealed && reason.contains("encrypted"), "{reason}");
    assert!(bench.actions.contains(&Action::Close(sealed)));
}

/// A player by TLS.
struct SealedPlayer {
    peer: PeerId,
    link: Link,
    client: Client,
    bodies: Vec<Vec<u8>>,
}

impl Bench {
    /// What both ends of a player by TLS have for each other. Says whether it has begun.
    fn exchange(&mut self, player: &mut SealedPlayer) -> bool {
        let SealedPlayer { peer, link, client, bodies } = player;
        let said = client.output().to_vec();
        if !said.is_empty() && !link.is_handshaking() {
            assert_eq!(link.seal(&[IoSlice::new(&said)]).unwrap(), said.len());
            client.consume_output(said.len());
        }
        let mut wire = Vec::new();
        link.write_to(&mut wire).unwrap();
        if !wire.is_empty() {
            self.core.received(self.now, *peer, &wire);
        }
        self.settle();
        let sealed = self.sockets.0.remove(peer).unwrap_or_default();
        let (mut input, mut plain) = (&sealed[..], vec![0; 4_096]);
        loop {
            let count = link.open(&mut input, &mut plain).unwrap();
            if count == 0 {
                break;
            }
            client.feed(&plain[..count], self.now, &self.packets).unwrap();
        }
        let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
        let has_begun = events.iter().any(|event| matches!(event, ClientEvent::Started { .. }));
        bodies.extend(video_bodies(events));
        has_begun
    }
}

#[test]
fn viewers_by_tls_are_sent_every_picture_in_its_order_however_their_sockets_block() {
    const PLAYERS: usize = 20;
    let mut bench = Bench::new();
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let files = authority.issue(dir.path(), "node.example");
    bench.take_over(|parts| parts.acceptor = Some(Acceptor::load(files, &[]).unwrap()));
    let connector = authority.connector(dir.path());
    let mut publisher = bench.join("192.0.2.1", Goal::Publish);
    let mut plain = bench.join("192.0.2.2", Goal::Play);
    let mut players = Vec::new();
    for number in 0..PLAYERS {
        let from: SocketAddr = format!("192.0.2.{}:7", number + 3).parse().unwrap();
        let peer = bench.core.accepted(bench.now, from, true).unwrap();
        let url = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
        let client = Client::new(ClientSpec::new(&url, Goal::Play), bench.now, [7; 32]);
        let link = connector.link("node.example").unwrap();
        let mut player = SealedPlayer { peer, link, client, bodies: Vec::new() };
        let has_begun = (0..30).any(|_| bench.exchange(&mut player));
        assert!(has_begun, "the client has not begun");
        players.push(player);
    }
    let (mut sent, mut heard, mut shared) = (Vec::new(), Vec::new(), 0);
    for n in 0..40_usize {
        let mut body = vec![u8::try_from(n).unwrap(); [500, 12_500, 70_000, 30_000][n % 4]];
        body[..5].copy_from_slice(&[if n % 8 == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        bench.publish(&mut publisher, &body);
        sent.push(body);
        heard.extend(bench.heard(&mut plain));
        for (number, player) in players.iter_mut().enumerate() {
            bench.exchange(player);
            let state = bench.core.peers.send_states[player.peer.index()];
            assert!(state.is_sealed);
            shared += usize::from(state.place < SendState::BLOCKED);
            if number % 3 == 0 {
                // It has room for a part of the next one, and now and then for all that waits.
                let room = if n % 6 == 0 { 1 << 20 } else { (number + 1) * (n + 1) * 89 % 20_000 };
                bench.sockets.2.insert(player.peer, room);
                bench.core.writable(bench.now, player.peer);
                bench.settle();
            }
        }
    }
    bench.sockets.2.clear();
    assert_eq!(heard.len(), sent.len());
    assert!(shared > 40 * PLAYERS / 2, "{shared}: most are sent to together");
    for player in &mut players {
        bench.core.writable(bench.now, player.peer);
        bench.settle();
        bench.exchange(player);
        assert!(player.bodies == sent, "{} of {} pictures", player.bodies.len(), sent.len());
    }
}

/// A channel of `live/show`, and where its pictures come from.
fn feed(start: Micros) -> (ChannelSource, Sender<Encoded>) {
    let (pictures, video) = channel(8, Bell::new());
    let (stream, switch, stats) = (Arc::from("live/show"), Arc::default(), Arc::default());
    (
        ChannelSource { stream, video, tracks: Vec::new(), audio: None, start, switch, stats },
        pictures,
    )
}

fn picture(time: u32, due: Micros) -> Encoded {
    let body = PacketBuf::copy_of(KEY);
    let message = Message::new(Kind::Video, time, Flags::KEY, body, 4_096);
    Encoded { message, due, stamps: Stamps::default() }
}

#[test]
fn all_renditions_of_a_channel_have_the_clock_that_the_latest_of_their_streams_needs() {
    for names in [["live/late", "live/early"], ["live/early", "live/late"]] {
        let mut bench = Bench::new();
        for (name, time) in [("live/early", 900), ("live/late", 5_900)] {
            let (before, mut pictures) = feed(bench.now);
            let before = ChannelSource { stream: Arc::from(name), ..before };
            bench.take_over(|parts| parts.feeds.push(before));
            pictures.push(picture(time, bench.now)).unwrap();
            bench.core.read_rings(bench.now);
        }
        let channel = Arc::new(ChannelSwitch::default());
        let now = bench.now;
        let renditions = names.map(|name| {
            let switch = Arc::new(ChannelSwitch::of_rendition(&channel));
            ChannelSource { stream: Arc::from(name), switch, ..feed(now).0 }
        });
        let switches = renditions.each_ref().map(|feed| Arc::clone(&feed.switch));
        bench.take_over(|parts| parts.feeds.extend(renditions));
        let bases = switches.each_ref().map(|switch| switch.base_ms());
        assert!(bases[0] > 5_900 && bases[0] == bases[1], "{names:?}: {bases:?}");
        switches[0].stop();
        assert!(switches[0].is_stopped() && !switches[1].is_stopped());
        channel.stop();
        assert!(switches[1].is_stopped());
        switches[1].request_key();
        assert!(channel.take_key_request(), "a keyframe is asked for in all");
    }
}

#[test]
fn viewers_of_a_channel_go_on_with_its_next_encoder_and_taps_begin_as_late_viewers_do() {
    let mut bench = Bench::new();
    let (first, mut pictures) = feed(bench.now);
    bench.take_over(|parts| parts.feeds.push(first));
    pictures.push(picture(900, bench.now)).unwrap();
    bench.core.read_rings(bench.now);
    let mut player = bench.join("192.0.2.2", Goal::Play);
    let (next, mut pictures) = feed(bench.now);
    let switch = Arc::clone(&next.switch);
    let (ring, mut received) = channel(8, Bell::new());
    bench.take_over(|parts| {
        parts.feeds.push(next);
        parts.subscriptions.push((Arc::from("live/show"), ring));
    });
    assert!(switch.base_ms() > 900, "its times go on where the stream is");
    bench.heard(&mut player);
    pictures.push(picture(switch.base_ms(), bench.now)).unwrap();
    bench.core.read_rings(bench.now);
    bench.settle();
    assert_eq!(bench.heard(&mut player), [KEY]);
    let Some(SubscriptionEvent::Message(first, _)) = received.pop() else { panic!("nothing came") };
    assert_eq!(first.body(), KEY);
}
