//! A shard with a publisher and players: the way of a message from the bytes that a publisher sends
//! to those that each player is sent. The core alone, with sockets that take everything, and the
//! core in a driver, with sockets of the kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a step that fails ends the program")]
#![allow(dead_code, reason = "who includes this needs a part of it")]

use std::any::Any;
use std::collections::HashMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stream_manager::internals::{
    Bell, Clock, Core, Driver, DriverKind, DriverParts, DropPolicy, GuardSpec, HookRules, Io,
    KeyRules, LimitSpec, LogLimits, Merge, Mesh, NodeLimits, PacketPool, PacketPoolSpec, PeerId,
    PeerLimits, Pinned, PublishPolicy, ShardCore, ShardParts, ShardSpec, Start, TcpInfo, channel,
};
use stream_manager::media::{Kind, Micros};
use stream_manager::rtmp::{Client, ClientEvent, ClientSpec, Goal, Url};

/// Time between two messages, 30 pictures a second.
const STEP: Micros = Micros::from_millis(33);

/// Sockets that take everything at once, or all but now and then.
#[derive(Default)]
struct Sockets {
    /// One send in so many finds room for half of it only; 0: none.
    full_every: u64,
    sends: u64,
    /// Whose sockets are full.
    full: Vec<PeerId>,
    /// What each peer was sent, while anybody wants to know.
    sent: Option<HashMap<PeerId, Vec<u8>>>,
    bytes: u64,
}

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.full.contains(&peer) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut count = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.sends += 1;
        if self.full_every > 0 && self.sends.is_multiple_of(self.full_every) {
            count /= 2;
            self.full.push(peer);
        }
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
    _control: Box<dyn Any>,
}

impl Relay {
    /// `players` play what one publishes.
    pub(crate) fn new(players: usize) -> Self {
        let (parts, control) = parts();
        let packets = parts.packets.clone();
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
            _control: control,
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
        self.messages += 1;
        next_picture(&mut self.client, self.messages - 1, bytes)
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

    /// From now on one send in so many finds a socket with room for half of it only.
    pub(crate) fn fill_sockets(&mut self, every: u64) {
        self.sockets.full_every = every;
        self.sockets.full.reserve(64);
    }

    /// Sockets that are full have room again, and what waits for them goes out; of how many.
    pub(crate) fn make_room(&mut self) -> usize {
        let mut count = 0;
        while let Some(peer) = self.sockets.full.pop() {
            self.core.writable(self.now, peer);
            while self.core.transmit(self.now, &mut self.sockets, 128) {}
            count += 1;
        }
        count
    }

    /// Deadlines are looked at, as they are a few times a second.
    pub(crate) fn tick(&mut self) {
        self.core.tick(self.now, &mut self.sockets);
    }
}

/// A shard in a driver, with a publisher of `live/show` and its players on loopback.
pub(crate) struct Served {
    driver: Option<Driver>,
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    publisher: (TcpStream, Client),
    players: Vec<TcpStream>,
    heard: Vec<u8>,
    messages: u32,
    _control: Box<dyn Any>,
}

impl Served {
    /// `players` play what one publishes; `begun` is called on the driver's thread.
    pub(crate) fn new(
        kind: DriverKind,
        players: usize,
        begun: impl FnOnce() + Send + 'static,
    ) -> Self {
        let (parts, control) = parts();
        let packets = parts.packets.clone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (bell, stopping, clock) = (Bell::new(), Arc::default(), Clock::start());
        let driver = DriverParts {
            listeners: vec![(listener, false)],
            bell: Arc::clone(&bell),
            stopping: Arc::clone(&stopping),
            clock,
            user_timeout: Micros::from_secs(60),
            activity: Arc::clone(parts.stats.activity()),
        };
        let core = move || {
            begun();
            ShardCore::new(parts, clock.now())
        };
        let driver = Driver::spawn(kind, "shard", Pinned::Anywhere, driver, core).unwrap();
        let begin = |goal| begin(address, goal, clock.now(), &packets);
        let publisher = begin(Goal::Publish);
        let players = (0..players).map(|_| begin(Goal::Play).0).collect();
        Self {
            driver: Some(driver),
            bell,
            stopping,
            publisher,
            players,
            heard: Vec::new(),
            messages: 0,
            _control: control,
        }
    }

    /// The bytes of the publisher's next picture, whose body has this many bytes.
    pub(crate) fn picture(&mut self, bytes: usize) -> Vec<u8> {
        self.messages += 1;
        self.heard.resize(HEADER + bytes, 0);
        next_picture(&mut self.publisher.1, self.messages - 1, bytes)
    }

    /// Sends the picture and waits until each player has it.
    pub(crate) fn step(&mut self, wire: &[u8]) {
        self.publisher.0.write_all(wire).unwrap();
        for player in &mut self.players {
            player.read_exact(&mut self.heard).unwrap();
            // A whole chunk header of a video message, and its body.
            assert!(self.heard[7] == 9 && matches!(self.heard[HEADER], 0x17 | 0x27));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        self.driver.take().map(Driver::join).unwrap().unwrap();
    }
}

/// What a message is sent to a player with: a basic header of one byte and a message header of
/// eleven (RTMP 1.0, sections 5.3.1.1 and 5.3.1.2.1), for bodies that fit into a chunk.
const HEADER: usize = 12;

fn next_picture(client: &mut Client, number: u32, bytes: usize) -> Vec<u8> {
    let is_key = number.is_multiple_of(60);
    let mut body = vec![0x55; bytes];
    body[..5].copy_from_slice(&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
    client.write_message(Kind::Video, number * 33, &body).unwrap();
    let wire = client.output().to_vec();
    client.consume_output(wire.len());
    wire
}

/// Connects a client by loopback and lets it begin.
fn begin(to: SocketAddr, goal: Goal, now: Micros, packets: &PacketPool) -> (TcpStream, Client) {
    let mut socket = TcpStream::connect(to).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut client = client(goal, now);
    let mut heard = [0; 4_096];
    loop {
        let said = client.output().to_vec();
        client.consume_output(said.len());
        socket.write_all(&said).unwrap();
        let count = socket.read(&mut heard).unwrap();
        client.feed(&heard[..count], now, packets).unwrap();
        while let Some(event) = client.poll_event() {
            if matches!(event, ClientEvent::Started { .. }) {
                return (socket, client);
            }
        }
    }
}

/// What a shard is made of, and the other ends of its rings.
fn parts() -> (ShardParts, Box<dyn Any>) {
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
        subscriptions: Vec::new(),
        records: Vec::new(),
        outputs: Vec::new(),
        pulls: Vec::new(),
        pulled: Arc::from([]),
        limits: Arc::new(NodeLimits::new(&limits(), vec![Arc::clone(&stats)])),
        packets,
        stats,
        seed: 1,
    };
    (parts, Box::new((commands, settings, to_control)))
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
        origin: Arc::default(),
        chunk_size: 65_536,
        ping: Micros::from_secs(600),
        ping_timeout: Micros::from_secs(1_200),
        handshake_timeout: Micros::from_secs(10),
        gop_cache: true,
        start: Start::Keyframe,
        cors: Arc::default(),
        log: LogLimits::default(),
        merge: Merge::Frame,
        low_latency: Arc::from([]),
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
        protected: Arc::default(),
        fill_audio: Arc::default(),
    }
}
