//! Tests of both drivers with a small core that echoes, and does what its peers and mail say.

use super::*;
use crate::media::{Micros, Stamp};
use crate::ring::{Bell, Receiver, Sender, channel};
use crate::runtime::{Clock, NICE_PINNED, Pinned};
use crate::shard::{Action, Closed, Core, Io, PeerId};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// No answer within this time is none at all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What the core has heard.
#[derive(Debug, PartialEq)]
enum Seen {
    Accepted(PeerId, SocketAddr, bool),
    Connected(PeerId),
    Received(PeerId, Vec<u8>),
    Blocked(bool),
    Writable(PeerId),
    /// `None` at an end.
    Closed(PeerId, Option<ErrorKind>),
    Panicked(PeerId, String),
    Rebuilt,
    /// Due when, and ticked when.
    Ticked(Micros, Micros),
    Unread(PeerId, bool),
    Mail(u32),
}

enum Mail {
    Connect(SocketAddr),
    Read(PeerId, bool),
    /// Bytes of a known pattern for a peer.
    Flood(PeerId, usize),
    Shutdown(PeerId),
    Close(PeerId),
    AskUnread(PeerId),
    AskBlocked(PeerId),
    TickEvery(Micros),
    TurnAway,
    Echo(u32),
    Panic(FaultPoint),
}

/// Where the core panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultPoint {
    Rings,
    Tick,
    Transmit,
    Rebuild,
}

struct FakeCore {
    seen: crossbeam::channel::Sender<Seen>,
    mail: Receiver<Mail>,
    out: BTreeMap<PeerId, VecDeque<u8>>,
    blocked: Vec<PeerId>,
    actions: VecDeque<Action>,
    ask_unread: Option<PeerId>,
    tick_every: Option<Micros>,
    next_tick: Micros,
    turn: u32,
    turns_away: bool,
    stopped: bool,
    panics: Option<FaultPoint>,
}

impl FakeCore {
    fn panic_at(&mut self, place: FaultPoint) {
        if self.panics.take_if(|it| *it == place).is_some() {
            panic!("the core is broken");
        }
    }

    fn tell(&self, seen: Seen) {
        // The test may be over.
        drop(self.seen.send(seen));
    }

    /// Places are used again as soon as they are free, with another number.
    fn enter(&mut self) -> PeerId {
        self.turn += 1;
        let taken = |index: u32| self.out.keys().any(|peer| peer.index() == index as usize);
        let index = (0..).find(|index| !taken(*index)).unwrap();
        let peer = PeerId::new(index, self.turn);
        self.out.insert(peer, VecDeque::new());
        peer
    }

    fn close(&mut self, peer: PeerId) {
        if self.out.remove(&peer).is_some() {
            self.actions.push_back(Action::Close(peer));
        }
    }
}

/// Byte `at` of a flood.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap()
}

impl Core for FakeCore {
    fn at(&mut self, _stamp: Stamp) {}

    fn accepted(&mut self, _now: Micros, from: SocketAddr, secure: bool) -> Option<PeerId> {
        if self.turns_away {
            return None;
        }
        let peer = self.enter();
        self.tell(Seen::Accepted(peer, from, secure));
        Some(peer)
    }

    fn connected(&mut self, _now: Micros, peer: PeerId) {
        self.tell(Seen::Connected(peer));
    }

    fn received(&mut self, _now: Micros, peer: PeerId, bytes: &[u8]) {
        assert!(bytes != b"panic", "told to");
        self.tell(Seen::Received(peer, bytes.to_vec()));
        self.out.get_mut(&peer).unwrap().extend(bytes);
    }

    fn writable(&mut self, _now: Micros, peer: PeerId) {
        self.blocked.retain(|other| *other != peer);
        self.tell(Seen::Writable(peer));
    }

    fn closed(&mut self, _now: Micros, peer: PeerId, why: Closed) {
        let why = match why {
            Closed::End => None,
            Closed::Error(error) => Some(error.kind()),
        };
        self.tell(Seen::Closed(peer, why));
        if why.is_some() {
            self.close(peer);
        }
    }

    fn panicked(&mut self, _now: Micros, peer: PeerId, text: &str) {
        self.tell(Seen::Panicked(peer, text.to_owned()));
        self.close(peer);
    }

    fn rebuild(&mut self, _now: Micros) {
        self.panic_at(FaultPoint::Rebuild);
        self.out.clear();
        self.blocked.clear();
        self.actions.clear();
        self.tell(Seen::Rebuilt);
    }

    fn has_mail(&self) -> bool {
        !self.mail.is_empty()
    }

    fn read_rings(&mut self, now: Micros) {
        while let Some(mail) = self.mail.pop() {
            match mail {
                Mail::Connect(address) => {
                    let peer = self.enter();
                    self.actions.push_back(Action::Connect { peer, address });
                }
                Mail::Read(peer, wanted) => self.actions.push_back(Action::Read(peer, wanted)),
                Mail::Flood(peer, count) => {
                    self.out.get_mut(&peer).unwrap().extend((0..count).map(pattern));
                }
                Mail::Shutdown(peer) => self.actions.push_back(Action::Shutdown(peer)),
                Mail::Close(peer) => self.close(peer),
                Mail::AskUnread(peer) => (self.ask_unread, self.next_tick) = (Some(peer), now),
                Mail::AskBlocked(peer) => {
                    let is_blocked = self.blocked.contains(&peer);
                    self.tell(Seen::Blocked(is_blocked));
                }
                Mail::TickEvery(every) => {
                    (self.tick_every, self.next_tick) = (Some(every), now + every);
                }
                Mail::TurnAway => self.turns_away = true,
                Mail::Echo(number) => self.tell(Seen::Mail(number)),
                Mail::Panic(place) => {
                    self.panics = Some(place);
                    self.panic_at(FaultPoint::Rings);
                    assert!(place != FaultPoint::Rebuild, "broken before");
                    if place == FaultPoint::Tick {
                        self.next_tick = now;
                    }
                }
            }
        }
    }

    fn tick(&mut self, now: Micros, io: &mut dyn Io) {
        self.panic_at(FaultPoint::Tick);
        if let Some(peer) = self.ask_unread.take() {
            self.tell(Seen::Unread(peer, io.has_unread(peer)));
        }
        self.tell(Seen::Ticked(self.next_tick, now));
        self.next_tick = self.tick_every.map_or(Micros(u64::MAX), |every| now + every);
    }

    fn next_tick(&self) -> Micros {
        self.next_tick
    }

    fn transmit(&mut self, _now: Micros, io: &mut impl Io, budget: usize) -> bool {
        self.panic_at(FaultPoint::Transmit);
        let mut sends = 0;
        for (peer, out) in &mut self.out {
            while !out.is_empty() && !self.blocked.contains(peer) {
                if sends == budget {
                    return true;
                }
                sends += 1;
                let (one, two) = out.as_slices();
                let piece = |bytes: &'_ [u8]| bytes.len().min(300);
                let one = IoSlice::new(&one[..piece(one)]);
                let two = IoSlice::new(if one.len() < 300 { &two[..piece(two)] } else { &[] });
                match io.send(*peer, &[one, two]) {
                    Ok(sent) => drop(out.drain(..sent)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked.push(*peer),
                    Err(_) => out.clear(),
                }
            }
        }
        false
    }

    fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn stop(&mut self, _now: Micros) {
        self.stopped = true;
        self.out.values_mut().for_each(|out| out.extend(b"bye"));
    }

    fn is_finished(&self, _now: Micros) -> bool {
        self.out.values().all(VecDeque::is_empty)
    }
}

/// A driver with a fake core, and everything the test holds of it.
struct Bench {
    driver: Option<Driver>,
    seen: crossbeam::channel::Receiver<Seen>,
    mail: Sender<Mail>,
    stopping: Arc<AtomicBool>,
    bell: Arc<Bell>,
    plain: SocketAddr,
    secure: SocketAddr,
}

impl Bench {
    /// `None`, with a word about it, where the kernel has no `io_uring` for us.
    fn new(kind: DriverKind) -> Option<Self> {
        Self::placed(kind, Pinned::Anywhere)
    }

    fn placed(kind: DriverKind, place: Pinned) -> Option<Self> {
        if kind == DriverKind::Glommio && crate::runtime::preflight::check_io_uring().is_err() {
            println!("skipped: the kernel refuses io_uring");
            return None;
        }
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [plain, secure] =
            [&listeners[0], &listeners[1]].map(|listener| listener.local_addr().unwrap());
        let bell = Bell::new();
        let (mail, inbox) = channel(64, Arc::clone(&bell));
        let (seeing, seen) = crossbeam::channel::unbounded();
        let stopping = Arc::new(AtomicBool::new(false));
        let parts = DriverParts {
            listeners: listeners.into_iter().zip([false, true]).collect(),
            bell: Arc::clone(&bell),
            stopping: Arc::clone(&stopping),
            clock: Clock::start(),
            user_timeout: Micros::from_secs(10),
            activity: Arc::default(),
        };
        let make_core = || FakeCore {
            seen: seeing,
            mail: inbox,
            out: BTreeMap::new(),
            blocked: Vec::new(),
            actions: VecDeque::new(),
            ask_unread: None,
            tick_every: None,
            next_tick: Micros(u64::MAX),
            turn: 0,
            turns_away: false,
            stopped: false,
            panics: None,
        };
        let driver = Driver::spawn(kind, "test", place, parts, make_core).unwrap();
        Some(Self { driver: Some(driver), seen, mail, stopping, bell, plain, secure })
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(TIMEOUT).unwrap()
    }

    /// What it heard of that kind; what came before is passed over.
    fn wait_for(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        loop {
            let seen = self.next();
            if wanted(&seen) {
                return seen;
            }
        }
    }

    fn mail(&mut self, mail: Mail) {
        assert!(self.mail.push(mail).is_ok());
    }

    /// A client, and its number on the other side.
    fn client(&self) -> (TcpStream, PeerId) {
        let client = TcpStream::connect(self.plain).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        let ours = client.local_addr().unwrap();
        let told = self.wait_for(|seen| matches!(seen, Seen::Accepted(..)));
        let Seen::Accepted(peer, from, false) = told else { panic!("{told:?}") };
        assert_eq!(from, ours);
        (client, peer)
    }

    /// Waits until the core has been lost.
    fn watch_lost(&self) -> Arc<CoreWatch> {
        let watch = Arc::clone(self.driver.as_ref().unwrap().watch());
        while !watch.is_waiting() {
            std::thread::yield_now();
        }
        assert_eq!(watch.panic().unwrap().as_str(), "the core is broken");
        watch
    }

    fn ask_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn stop(mut self) -> Result<(), String> {
        self.ask_to_stop();
        self.driver.take().unwrap().join()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

fn exchange(client: &mut TcpStream, text: &[u8]) {
    client.write_all(text).unwrap();
    let mut got = vec![0; text.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, text);
}

fn is_closed(client: &mut TcpStream) -> bool {
    match client.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn peers_are_read_and_sent_to(kind: DriverKind) {
    let Some(bench) = Bench::new(kind) else { return };
    let (mut one, first) = bench.client();
    let (mut two, second) = bench.client();
    assert_ne!(first, second);
    for text in ["a", "bc", "def"] {
        exchange(&mut one, text.as_bytes());
        exchange(&mut two, text.as_bytes());
    }
    let secure = TcpStream::connect(bench.secure).unwrap();
    let told = bench.wait_for(|seen| matches!(seen, Seen::Accepted(..)));
    let Seen::Accepted(_, from, true) = told else { panic!("{told:?}") };
    assert_eq!(from, secure.local_addr().unwrap());
    assert_eq!(bench.stop(), Ok(()));
}

fn more_than_one_read_takes_arrives_whole(kind: DriverKind) {
    let Some(bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    let mut writer = client.try_clone().unwrap();
    let sent: Vec<u8> = (0..5_000_000).map(pattern).collect();
    let expected = sent.clone();
    let writing = crate::runtime::Worker::spawn("writer", Vec::new(), 0, move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = vec![0; expected.len()];
    client.read_exact(&mut got).unwrap();
    assert!(got == expected);
    writing.unwrap().join().unwrap();
    let end = bench.wait_for(|seen| !matches!(seen, Seen::Received(..) | Seen::Writable(_)));
    assert_eq!(end, Seen::Closed(peer, None));
}

fn a_full_socket_is_told_of_when_it_has_room(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    let count = 8 << 20;
    bench.mail(Mail::Flood(peer, count));
    // Nobody reads: it is blocked once the buffers of both sides are full.
    let mut is_blocked = || {
        bench.mail(Mail::AskBlocked(peer));
        bench.next() == Seen::Blocked(true)
    };
    while !is_blocked() {}
    let mut got = vec![0; count];
    client.read_exact(&mut got).unwrap();
    assert!(got.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
    assert_eq!(bench.next(), Seen::Writable(peer));
}

fn a_half_closed_peer_is_still_sent_to(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(bench.next(), Seen::Received(peer, b"last".to_vec()));
    assert_eq!(bench.next(), Seen::Closed(peer, None));
    bench.mail(Mail::Flood(peer, 3));
    let mut got = [0; 7];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"last\0\x01\x02");
    bench.mail(Mail::Close(peer));
    assert!(is_closed(&mut client));
}

fn our_side_can_be_shut_and_the_other_is_read_on(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    bench.mail(Mail::Shutdown(peer));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    client.write_all(b"still here").unwrap();
    assert_eq!(bench.next(), Seen::Received(peer, b"still here".to_vec()));
}

fn a_panic_ends_one_peer(kind: DriverKind) {
    let Some(bench) = Bench::new(kind) else { return };
    let (mut good, _) = bench.client();
    let (mut bad, peer) = bench.client();
    exchange(&mut good, b"before");
    bad.write_all(b"panic").unwrap();
    assert!(is_closed(&mut bad));
    let told = bench.wait_for(|seen| matches!(seen, Seen::Panicked(..)));
    assert_eq!(told, Seen::Panicked(peer, "told to".to_owned()));
    exchange(&mut good, b"after");
    let (mut next, number) = bench.client();
    assert_eq!((number.index(), number == peer), (peer.index(), false), "its place is free");
    exchange(&mut next, b"new");
    assert_eq!(bench.stop(), Ok(()));
}

fn a_panic_elsewhere_costs_all_peers_and_the_core_goes_on_when_it_may(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    for place in [FaultPoint::Rings, FaultPoint::Tick, FaultPoint::Transmit] {
        let (mut client, _) = bench.client();
        bench.mail(Mail::Panic(place));
        assert!(is_closed(&mut client));
        bench.wait_for(|seen| *seen == Seen::Rebuilt);
        let watch = bench.watch_lost();
        let mut early = TcpStream::connect(bench.plain).unwrap();
        early.set_read_timeout(Some(TIMEOUT)).unwrap();
        early.write_all(b"early").unwrap();
        bench.mail(Mail::Echo(1));
        assert!(bench.seen.try_recv().is_err(), "it does nothing");
        watch.go_on();
        bench.wait_for(|seen| *seen == Seen::Mail(1));
        let mut got = [0; 5];
        early.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"early");
    }
    assert_eq!(bench.stop(), Ok(()));
}

fn a_core_that_waits_after_a_panic_ends_when_it_is_to_stop(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    bench.mail(Mail::Panic(FaultPoint::Rings));
    bench.watch_lost();
    assert_eq!(bench.stop(), Ok(()));
}

fn a_core_that_cannot_be_rebuilt_ends_and_closes_its_sockets(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, _) = bench.client();
    bench.mail(Mail::Panic(FaultPoint::Rebuild));
    assert!(is_closed(&mut client));
    let driver = bench.driver.take().unwrap();
    while !driver.is_finished() {
        std::thread::yield_now();
    }
    assert!(TcpStream::connect(bench.plain).is_err(), "nobody listens");
    assert_eq!(driver.watch().exit().panic(), Some("the core is broken"));
    assert_eq!(driver.join(), Err("the core is broken".to_owned()));
}

fn a_core_that_cannot_be_made_is_an_error_of_its_role(kind: DriverKind) {
    let Some(bench) = Bench::new(kind) else { return };
    let parts = DriverParts {
        listeners: Vec::new(),
        bell: Arc::clone(&bench.bell),
        stopping: Arc::clone(&bench.stopping),
        clock: Clock::start(),
        user_timeout: Micros::from_secs(1),
        activity: Arc::default(),
    };
    let broken = || -> FakeCore { panic!("no core") };
    let driver = Driver::spawn(kind, "test", Pinned::Anywhere, parts, broken).unwrap();
    assert_eq!(driver.join(), Err("no core".to_owned()));
}

fn ticks_come_when_they_are_due(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    bench.mail(Mail::TickEvery(Micros(1_300)));
    for _ in 0..20 {
        let Seen::Ticked(due, now) = bench.next() else { panic!() };
        assert!(now >= due, "{now:?} is before {due:?}");
    }
}

fn mail_wakes_a_core_that_sleeps(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    for number in 0..2_000 {
        bench.mail(Mail::Echo(number));
        assert_eq!(bench.next(), Seen::Mail(number));
    }
}

fn a_core_connects_and_hears_of_what_fails(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    bench.mail(Mail::Connect(address));
    let Seen::Connected(peer) = bench.next() else { panic!() };
    let (mut server, _) = listener.accept().unwrap();
    exchange(&mut server, b"hello");
    assert_eq!(bench.next(), Seen::Received(peer, b"hello".to_vec()));
    drop(listener);
    bench.mail(Mail::Connect(address));
    let Seen::Closed(refused, why) = bench.next() else { panic!() };
    assert_eq!((refused == peer, why), (false, Some(ErrorKind::ConnectionRefused)));
}

fn a_connection_that_does_not_come_to_stand_is_given_up(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    // Its queue is full: the kernel drops what else comes.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _waiting = TcpStream::connect(address).unwrap();
    bench.mail(Mail::Connect(address));
    let Seen::Closed(_, why) = bench.next() else { panic!() };
    assert_eq!(why, Some(ErrorKind::TimedOut));
}

fn what_comes_for_a_paused_peer_waits_in_its_socket(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    bench.mail(Mail::Read(peer, false));
    bench.mail(Mail::Echo(1));
    assert_eq!(bench.next(), Seen::Mail(1));
    bench.mail(Mail::AskUnread(peer));
    assert_eq!(bench.next(), Seen::Unread(peer, false));
    client.write_all(b"early").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // Over loopback it has arrived, and been told of, before the mail is.
    while !matches!(bench.next(), Seen::Unread(_, true)) {
        bench.mail(Mail::AskUnread(peer));
    }
    bench.mail(Mail::Read(peer, true));
    let told = bench.wait_for(|seen| matches!(seen, Seen::Received(..)));
    assert_eq!(told, Seen::Received(peer, b"early".to_vec()));
    assert_eq!(bench.next(), Seen::Closed(peer, None));
}

fn a_reset_connection_is_an_error_even_while_it_is_not_read(kind: DriverKind) {
    for paused in [false, true] {
        let Some(mut bench) = Bench::new(kind) else { return };
        let (client, peer) = bench.client();
        bench.mail(Mail::Read(peer, !paused));
        bench.mail(Mail::Echo(1));
        assert_eq!(bench.next(), Seen::Mail(1));
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(bench.next(), Seen::Closed(peer, Some(ErrorKind::ConnectionReset)));
    }
}

fn a_peer_that_is_turned_away_is_closed_at_once(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut welcome, _) = bench.client();
    bench.mail(Mail::TurnAway);
    bench.mail(Mail::Echo(1));
    assert_eq!(bench.next(), Seen::Mail(1));
    assert!(is_closed(&mut TcpStream::connect(bench.plain).unwrap()));
    exchange(&mut welcome, b"stays");
}

fn a_stop_closes_the_door_and_lets_out_what_is_in_flight(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let (mut client, peer) = bench.client();
    let count = 8 << 20;
    bench.mail(Mail::Flood(peer, count));
    bench.ask_to_stop();
    let clock = Clock::start();
    while TcpStream::connect(bench.plain).is_ok() {
        assert!(Duration::from(clock.now()) < TIMEOUT, "somebody listens still");
    }
    let mut got = Vec::with_capacity(count + 3);
    client.read_to_end(&mut got).unwrap();
    assert_eq!((got.len(), &got[count..]), (count + 3, &b"bye"[..]));
    assert_eq!(bench.driver.take().unwrap().join(), Ok(()));
    assert!(TcpListener::bind(bench.plain).is_ok(), "the port is free");
}

fn many_peers_that_send_much_are_read_by_the_clock(kind: DriverKind) {
    let Some(mut bench) = Bench::new(kind) else { return };
    let mut clients: Vec<_> = (0..50).map(|_| bench.client().0).collect();
    for round in 0..100 {
        for client in &mut clients {
            client.write_all(&[round; 16]).unwrap();
        }
        bench.mail(Mail::Echo(round.into()));
        for client in &mut clients {
            let mut got = [0; 16];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, [round; 16]);
        }
    }
    // The last one may come after what the clients got.
    for _ in 0..100 {
        bench.wait_for(|seen| matches!(seen, Seen::Mail(_)));
    }
}

fn a_driver_that_spins_does_the_same(kind: DriverKind) {
    let cpu = crate::runtime::allowed_cpus()[0];
    let place = Pinned::Spinning(cpu, Duration::from_micros(300));
    let Some(mut bench) = Bench::placed(kind, place) else { return };
    let (mut client, _) = bench.client();
    exchange(&mut client, b"quick");
    bench.mail(Mail::TickEvery(Micros(500)));
    bench.wait_for(|seen| matches!(seen, Seen::Ticked(..)));
    exchange(&mut client, b"again");
    assert_eq!(bench.stop(), Ok(()));
}

/// Each test once for each driver.
macro_rules! for_both_drivers {
    ($($name:ident,)*) => {
        mod glommio_driver {
            $(#[test] fn $name() { super::$name(super::DriverKind::Glommio); })*
        }
        mod epoll_driver {
            $(#[test] fn $name() { super::$name(super::DriverKind::Epoll); })*
        }
    };
}

for_both_drivers! {
    peers_are_read_and_sent_to,
    more_than_one_read_takes_arrives_whole,
    a_full_socket_is_told_of_when_it_has_room,
    a_half_closed_peer_is_still_sent_to,
    our_side_can_be_shut_and_the_other_is_read_on,
    a_panic_ends_one_peer,
    a_panic_elsewhere_costs_all_peers_and_the_core_goes_on_when_it_may,
    a_core_that_waits_after_a_panic_ends_when_it_is_to_stop,
    a_core_that_cannot_be_rebuilt_ends_and_closes_its_sockets,
    a_core_that_cannot_be_made_is_an_error_of_its_role,
    ticks_come_when_they_are_due,
    mail_wakes_a_core_that_sleeps,
    a_core_connects_and_hears_of_what_fails,
    a_connection_that_does_not_come_to_stand_is_given_up,
    what_comes_for_a_paused_peer_waits_in_its_socket,
    a_reset_connection_is_an_error_even_while_it_is_not_read,
    a_peer_that_is_turned_away_is_closed_at_once,
    a_stop_closes_the_door_and_lets_out_what_is_in_flight,
    many_peers_that_send_much_are_read_by_the_clock,
    a_driver_that_spins_does_the_same,
}

/// How far beyond its time a sleep may go before it counts as one that nobody woke.
const OVERSLEPT: Micros = Micros::from_secs(2);

/// Runs for `OVERSLEEP_MINUTES` and says by how much sleeps went beyond their time, next to those
/// of a thread that does nothing else. Under load, both wait for a CPU; neither sleeps for good.
fn no_sleep_goes_beyond_its_time(kind: DriverKind) {
    let minutes = std::env::var("OVERSLEEP_MINUTES").ok().and_then(|text| text.parse().ok());
    let end = Micros::from_secs(60 * minutes.unwrap_or(1));
    let interval = Micros::from_millis(7);
    let Some(mut bench) = Bench::new(kind) else { return };
    let plain = crate::runtime::Worker::spawn("plain", Vec::new(), NICE_PINNED, move || {
        let (clock, bell) = (Clock::start(), doorbell::Doorbell::new().unwrap());
        let mut late = Vec::new();
        while clock.now() < end {
            let due = clock.now() + interval;
            bell.wait(interval.into());
            late.push(clock.now().since(due));
        }
        late
    });
    let (clock, mut late) = (Clock::start(), Vec::new());
    let (mut client, _) = bench.client();
    bench.mail(Mail::TickEvery(interval));
    while clock.now() < end {
        let Seen::Ticked(due, now) = bench.wait_for(|seen| matches!(seen, Seen::Ticked(..))) else {
            panic!()
        };
        late.push(now.since(due));
        match late.len() % 16 {
            3 => bench.mail(Mail::Echo(0)),
            7 => exchange(&mut client, b"ping"),
            _ => {}
        }
    }
    assert_eq!(bench.stop(), Ok(()));
    for (name, mut late) in [(kind.name(), late), ("plain", plain.unwrap().join().unwrap())] {
        late.sort_unstable();
        let [median, most] = [late.len() / 2, late.len() - 1].map(|at| late[at].0);
        let p99 = late[late.len() * 99 / 100].0;
        println!(
            "{name}: {} sleeps, late by {median} us (p50), {p99} (p99), {most} at most",
            late.len()
        );
        assert!(Micros(most) < OVERSLEPT, "{name} overslept");
    }
}

#[test]
#[ignore = "runs for minutes"]
fn no_sleep_of_the_glommio_driver_goes_beyond_its_time() {
    no_sleep_goes_beyond_its_time(DriverKind::Glommio);
}

#[test]
#[ignore = "runs for minutes"]
fn no_sleep_of_the_epoll_driver_goes_beyond_its_time() {
    no_sleep_goes_beyond_its_time(DriverKind::Epoll);
}
