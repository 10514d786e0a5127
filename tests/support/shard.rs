//! A shard's core with a publisher and players on sockets that take everything: the way of a message
//! from the bytes that a publisher sends to those that each player is sent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a step that fails ends the program")]

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use stream_manager::internals::{
    Bell, Core, DropPolicy, GuardSpec, HookRules, Io, KeyRules, LimitSpec, LogLimits, Merge, Mesh,
    NodeLimits, PacketPool, PacketPoolSpec, PeerId, PeerLimits, PublishPolicy, ShardCore,
    ShardParts, ShardSpec, Start, TcpInfo, channel,
};
use stream_manager::media::{Kind, Micros};
use stream_manager::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};

/// Time between two messages, 30 pictures a second.
const STEP: Micros = Micros::from_millis(33);

/// Sockets that take everything at once.
#[derive(Default)]
struct Sockets {
    /// What each peer was sent, while anybody wants to know.
    sent: Option<HashMap<PeerId, Vec<u8>>>,
    bytes: u64,
}

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = pieces.iter().map(|piece| piece.len()).sum();
        self.bytes += count as u64;
        if let Some(sent) = &mut self.sent {
            let to = sent.entry(peer).or_default();
            pieces.iter().for_each(|piece| to.extend_from_slice(piece));
        }
        Ok(count)
    }

    fn has_unread(&mut self, _peer: PeerId) -> bool {
        false
    }

    fn tcp_info(&mut self, _peer: PeerId) -> Option<TcpInfo> {
        None
    }
}

/// A shard with a publisher of `live/show` and its players.
pub(crate) struct Relay {
    core: ShardCore,
    sockets: Sockets,
    publisher: PeerId,
    client: Client,
    packets: PacketPool,
    now: Micros,
    messages: u32,
    // The other ends of the core's rings.
    _control: Box<dyn std::any::Any>,
}

impl Relay {
    /// `players` play what one publishes.
    pub(crate) fn new(players: usize) -> Self {
        let packets = PacketPool::new(PacketPoolSpec::default()).unwrap();
        let stats = Arc::default();
        let (commands, from_control) = channel(8, Bell::new());
        let (settings, other_settings) = channel(8, Bell::new());
        let (reports, to_control) = channel(4_096, Bell::new());
        let parts = ShardParts {
            spec: spec(),
            acceptor: None,
            trust: Err("nobody".to_owned()),
            commands: from_control,
            settings: other_settings,
            reports,
            mesh: Mesh::full(&[Bell::new()]).remove(0),
            feeds: Vec::new(),
            taps: Vec::new(),
            records: Vec::new(),
            outputs: Vec::new(),
            pulls: Vec::new(),
            pulled: Arc::from([]),
            limits: Arc::new(NodeLimits::new(&limits(), vec![Arc::clone(&stats)])),
            packets: packets.clone(),
            stats,
            seed: 1,
        };
        let now = Micros::from_secs(1);
        let (core, client) = (ShardCore::new(parts, now), client(Goal::Publish, now));
        let mut relay = Self {
            core,
            sockets: Sockets::default(),
            publisher: PeerId::from_raw(0),
            client,
            packets,
            now,
            messages: 0,
            _control: Box::new((commands, settings, to_control)),
        };
        let publisher = client_of(&mut relay, Goal::Publish);
        (relay.publisher, relay.client) = publisher;
        for _ in 0..players {
            client_of(&mut relay, Goal::Play);
        }
        relay
    }

    /// The bytes of the publisher's next picture, whose body has this many bytes.
    pub(crate) fn picture(&mut self, bytes: usize) -> Vec<u8> {
        let is_key = self.messages.is_multiple_of(60);
        let mut body = vec![0x55; bytes];
        body[..5].copy_from_slice(&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        self.client.write_message(Kind::Video, self.messages * 33, &body).unwrap();
        self.messages += 1;
        let wire = self.client.output().to_vec();
        self.client.consume_output(wire.len());
        wire
    }

    /// The publisher's bytes come in, and what they make goes out; says how many bytes.
    #[inline(never)]
    pub(crate) fn step(&mut self, wire: &[u8]) -> u64 {
        let before = self.sockets.bytes;
        self.now = self.now + STEP;
        self.core.received(self.now, self.publisher, wire);
        while self.core.transmit(self.now, &mut self.sockets, 128) {}
        while self.core.next_action().is_some() {}
        self.sockets.bytes - before
    }

    /// Deadlines are looked at, as they are a few times a second.
    pub(crate) fn tick(&mut self) {
        self.core.tick(self.now, &mut self.sockets);
    }
}

/// Connects a client and lets it begin.
fn client_of(relay: &mut Relay, goal: Goal) -> (PeerId, Client) {
    let Relay { core, sockets, packets, now, .. } = relay;
    let from: SocketAddr = "192.0.2.1:5000".parse().unwrap();
    let peer = core.accepted(*now, from, false).unwrap();
    let mut client = client(goal, *now);
    sockets.sent = Some(HashMap::new());
    for _ in 0..20 {
        let said = client.output().to_vec();
        client.consume_output(said.len());
        core.received(*now, peer, &said);
        while core.transmit(*now, sockets, 128) {}
        while core.next_action().is_some() {}
        let heard = sockets.sent.as_mut().unwrap().remove(&peer).unwrap_or_default();
        client.feed(&heard, *now, packets).unwrap();
        while let Some(event) = client.poll_event() {
            if matches!(event, ClientEvent::Started { .. }) {
                sockets.sent = None;
                return (peer, client);
            }
        }
    }
    unreachable!("the client has not begun");
}

fn client(goal: Goal, now: Micros) -> Client {
    let url = Url::parse("rtmp://127.0.0.1/live/show").unwrap();
    Client::new(ClientSpec::new(&url, goal), now, [7; 32])
}

fn limits() -> LimitSpec {
    LimitSpec {
        connections_max: 10_000,
        connections_per_ip_max: 0,
        connects_per_minute: 0,
        publishes_per_minute: 0,
        egress_max_bps: 0,
        buffer_bytes_total: 64 << 20,
        guard: GuardSpec::default(),
    }
}

fn spec() -> ShardSpec {
    ShardSpec {
        number: 0,
        node: 1,
        chunk_size: 65_536,
        ping: Micros::from_secs(600),
        ping_timeout: Micros::from_secs(1_200),
        handshake_timeout: Micros::from_secs(10),
        gop_cache: true,
        start: Start::Keyframe,
        cors: Arc::default(),
        log: LogLimits::default(),
        merge: Merge::Frame,
        drop: DropPolicy::default(),
        publish: PublishPolicy::Open,
        keys: KeyRules::default(),
        peer: PeerLimits {
            idle: Micros::from_secs(600),
            blocked: Micros::from_secs(10),
            buffer_bytes: 16 << 20,
            pace_bps: 0,
            pace_percent: 0,
        },
        hooks: HookRules::default(),
        grace: Micros::from_secs(5),
    }
}
