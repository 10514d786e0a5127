//! Socket table: the descriptors of a core's peers, each owned by one entry, and what is known of
//! their readiness. A core names a peer by its number and never sees a descriptor.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;

use super::epoll::Epoll;
use super::send_ring::{SENDS_MAX, SendRing};
use super::socket;
use crate::media::Stamp;
use crate::runtime::Clock;
use crate::shard::{Io, PeerId, TcpInfo};

/// From so many sends of the same bytes on, one call for all of them costs less than one for each.
const RING_SENDS_MIN: usize = 4;

/// The sockets of one core.
pub(super) struct Sockets {
    entries: Vec<Option<Entry>>,
    pub(super) epoll: Epoll,
    /// For sends to many, where the driver may use `io_uring`.
    ring: Option<SendRing>,
    clock: Clock,
}

/// One peer's socket. The send loop touches 16 bytes of it.
#[derive(Debug)]
pub(super) struct Entry {
    peer: PeerId,
    pub(super) stream: TcpStream,
    state: u8,
}

/// A fact about an entry.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Is {
    /// It does not stand yet.
    Connecting = 1,
    /// Something may be there to read.
    Readable = 1 << 1,
    /// Nothing more will come after what is there: it is read until it says so.
    HungUp = 1 << 2,
    /// The core does not want what comes.
    Paused = 1 << 3,
    /// The last send left something behind: the core waits for room.
    Blocked = 1 << 4,
    /// It waits for its turn to be read.
    Queued = 1 << 5,
    /// The core knows that nothing more will come.
    Ended = 1 << 6,
}

impl Entry {
    pub(super) const fn is(&self, fact: Is) -> bool {
        self.state & fact as u8 != 0
    }

    pub(super) const fn set(&mut self, fact: Is, holds: bool) {
        self.state = if holds { self.state | fact as u8 } else { self.state & !(fact as u8) };
    }

    /// Whether it should be read as soon as it is its turn.
    pub(super) const fn wants_reading(&self) -> bool {
        let kept = Is::Connecting as u8 | Is::Paused as u8 | Is::Ended as u8;
        self.is(Is::Readable) && self.state & kept == 0
    }
}

impl Sockets {
    pub(super) fn new(ring: Option<SendRing>, clock: Clock) -> io::Result<Self> {
        Ok(Self { entries: Vec::new(), epoll: Epoll::new()?, ring, clock })
    }

    /// From now on `stream` is the socket of `peer`, and its changes are reported under its number.
    pub(super) fn insert(&mut self, peer: PeerId, stream: TcpStream, now: &[Is]) -> io::Result<()> {
        if peer.index() >= self.entries.len() {
            self.entries.resize_with(peer.index() + 1, || None);
        }
        let added = self.epoll.add(&stream, peer.raw());
        let state = now.iter().fold(0, |state, fact| state | *fact as u8);
        self.entries[peer.index()] = Some(Entry { peer, stream, state });
        added
    }

    /// Closes the peer's socket.
    pub(super) fn remove(&mut self, peer: PeerId) {
        if self.get(peer).is_some() {
            self.entries[peer.index()] = None;
        }
    }

    /// Closes all of them.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn get(&self, peer: PeerId) -> Option<&Entry> {
        self.entries.get(peer.index())?.as_ref().filter(|entry| entry.peer == peer)
    }

    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Entry> {
        self.entries.get_mut(peer.index())?.as_mut().filter(|entry| entry.peer == peer)
    }

    /// Reads what has come for `peer` by one call; `None` if nothing has.
    pub(super) fn read(&mut self, peer: PeerId, to: &mut [u8]) -> Option<io::Result<usize>> {
        let entry = self.get_mut(peer)?;
        loop {
            let result = (&entry.stream).read(to);
            match &result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    entry.set(Is::Readable, false);
                    return None;
                }
                // A short read has emptied the socket: the next byte is a change, and reported.
                // An end that has been reported is not reported again.
                Ok(count) if *count < to.len() && !entry.is(Is::HungUp) => {
                    entry.set(Is::Readable, false);
                }
                _ => {}
            }
            if matches!(result, Ok(0) | Err(_)) {
                entry.set(Is::Ended, true);
            }
            return Some(result);
        }
    }
}

impl Sockets {
    /// Sends to each of `peers` its part of `batch`: by one call for many of them, where there is
    /// a ring.
    fn send_batch(
        &mut self,
        peers: &[PeerId],
        batch: Batch<'_>,
        results: &mut Vec<io::Result<usize>>,
    ) {
        #[cfg(test)]
        crate::runtime::fault::point_in("send");
        results.clear();
        for (chunk, part) in peers.chunks(SENDS_MAX).enumerate() {
            let batch = batch.from(chunk * SENDS_MAX);
            match self.ring.take() {
                Some(ring) if part.len() >= RING_SENDS_MIN => {
                    self.send_by_ring(ring, part, batch, results);
                }
                ring => {
                    self.ring = ring;
                    let each = part.iter().enumerate();
                    results.extend(each.map(|(number, peer)| self.send(*peer, batch.of(number))));
                }
            }
        }
    }

    /// Sends to at most [`SENDS_MAX`] peers by one call. A ring that fails is not used again.
    fn send_by_ring(
        &mut self,
        mut ring: SendRing,
        peers: &[PeerId],
        what: Batch<'_>,
        results: &mut Vec<io::Result<usize>>,
    ) {
        let first = results.len();
        // Stands for what was not sent yet: no send is interrupted without having begun.
        results.extend(peers.iter().map(|_| Err(io::ErrorKind::Interrupted.into())));
        let sockets = peers.iter().enumerate();
        let sockets = sockets.filter_map(|(at, peer)| Some((at, self.get(*peer)?.stream.as_fd())));
        let take = |at: usize, sent| results[first + at] = sent;
        let sent = match what {
            Batch::Same(pieces) => ring.send(sockets, pieces, take),
            Batch::Each(pieces) => {
                ring.send_each(sockets.map(|(at, socket)| (at, socket, &*pieces[at])), take)
            }
        };
        match sent {
            Ok(()) => self.ring = Some(ring),
            Err(error) => tracing::warn!("many sends by one call no longer work: {error}"),
        }
        let results = results[first..].iter_mut().enumerate();
        for (peer, (at, sent)) in peers.iter().zip(results) {
            let pieces = what.of(at);
            match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    *sent = self.send(*peer, pieces);
                }
                _ => {
                    let is_full = is_full(sent, bytes(pieces));
                    if let Some(entry) = self.get_mut(*peer) {
                        entry.set(Is::Blocked, is_full);
                    }
                }
            }
        }
    }
}

/// Bytes for several peers.
#[derive(Clone, Copy)]
enum Batch<'a> {
    /// All of it to each.
    Same(&'a [IoSlice<'a>]),
    /// To each its own piece.
    Each(&'a [IoSlice<'a>]),
}

impl<'a> Batch<'a> {
    /// The same for the peers from that number on.
    fn from(self, number: usize) -> Self {
        match self {
            Self::Same(_) => self,
            Self::Each(pieces) => Self::Each(&pieces[number..]),
        }
    }

    /// What goes to the peer of that number.
    fn of(self, number: usize) -> &'a [IoSlice<'a>] {
        match self {
            Self::Same(pieces) => pieces,
            Self::Each(pieces) => &pieces[number..=number],
        }
    }
}

fn bytes(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

/// Whether a send has left something of so many bytes behind.
fn is_full(sent: &io::Result<usize>, bytes: usize) -> bool {
    match sent {
        Ok(sent) => *sent < bytes,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(entry) = self.get_mut(peer) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let sent = socket::send(&entry.stream, pieces);
        entry.set(Is::Blocked, is_full(&sent, bytes(pieces)));
        sent
    }

    fn send_to_all(
        &mut self,
        peers: &[PeerId],
        pieces: &[IoSlice<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) {
        self.send_batch(peers, Batch::Same(pieces), results);
    }

    fn send_each(
        &mut self,
        peers: &[PeerId],
        pieces: &[IoSlice<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) {
        self.send_batch(peers, Batch::Each(pieces), results);
    }

    fn has_unread(&mut self, peer: PeerId) -> bool {
        self.get(peer).is_some_and(|entry| matches!(entry.stream.peek(&mut [0]), Ok(1)))
    }

    fn stamp(&self) -> Stamp {
        self.clock.stamp()
    }

    fn tcp_info(&mut self, peer: PeerId) -> Option<TcpInfo> {
        socket::tcp_info(&self.get(peer)?.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Micros;
    use std::io::Write;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket::tune(&ours, Micros::from_secs(10)).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    #[test]
    fn a_number_of_an_earlier_peer_reaches_nobody() {
        let mut sockets = Sockets::new(None, Clock::start()).unwrap();
        let (first, mut far) = pair();
        let (old, new) = (PeerId::new(3, 1), PeerId::new(3, 2));
        sockets.insert(old, first, &[]).unwrap();
        sockets.remove(old);
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "its socket is closed");
        let (second, mut far) = pair();
        sockets.insert(new, second, &[]).unwrap();
        sockets.remove(old);
        let refused = sockets.send(old, &[IoSlice::new(b"stray")]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotConnected);
        assert!(sockets.tcp_info(old).is_none() && !sockets.has_unread(old));
        assert_eq!(sockets.send(new, &[IoSlice::new(b"ok")]).unwrap(), 2);
        let mut got = [0; 2];
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ok");
    }

    #[test]
    fn a_read_that_fills_the_buffer_leaves_the_socket_readable() {
        let mut sockets = Sockets::new(None, Clock::start()).unwrap();
        let (ours, mut far) = pair();
        let peer = PeerId::new(0, 0);
        sockets.insert(peer, ours, &[Is::Readable]).unwrap();
        assert!(sockets.read(peer, &mut [0; 4]).is_none(), "nothing has come");
        far.write_all(b"123456").unwrap();
        while !sockets.has_unread(peer) {
            std::thread::yield_now();
        }
        sockets.get_mut(peer).unwrap().set(Is::Readable, true);
        assert_eq!(sockets.read(peer, &mut [0; 4]).unwrap().unwrap(), 4);
        assert!(sockets.get(peer).unwrap().wants_reading());
        assert_eq!(sockets.read(peer, &mut [0; 4]).unwrap().unwrap(), 2);
        assert!(!sockets.get(peer).unwrap().wants_reading());
    }

    #[test]
    fn what_goes_to_many_arrives_with_each_and_says_of_each_how_it_went() {
        for ring in [None, SendRing::new().ok()] {
            let mut sockets = Sockets::new(ring, Clock::start()).unwrap();
            let (mut peers, mut far) = (Vec::new(), Vec::new());
            for index in 0..150 {
                let (ours, theirs) = pair();
                peers.push(PeerId::new(index, 1));
                sockets.insert(peers[index as usize], ours, &[]).unwrap();
                far.push(theirs);
            }
            let [full, gone, shut] = [17, 70, 149];
            let big = vec![0; 1 << 16];
            while sockets.send(peers[full], &[IoSlice::new(&big)]).is_ok() {}
            sockets.get_mut(peers[full]).unwrap().set(Is::Blocked, false);
            sockets.remove(peers[gone]);
            let stream = &sockets.get(peers[shut]).unwrap().stream;
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let (pieces, mut results) = ([b"one ".as_slice(), b"two"], vec![Ok(1)]);
            sockets.send_to_all(&peers, &pieces.map(IoSlice::new), &mut results);
            assert_eq!(results.len(), peers.len());
            for (at, result) in results.iter().enumerate() {
                let kind = result.as_ref().map_err(io::Error::kind).copied();
                match at {
                    _ if at == full => assert_eq!(kind, Err(io::ErrorKind::WouldBlock)),
                    _ if at == gone => assert_eq!(kind, Err(io::ErrorKind::NotConnected)),
                    _ if at == shut => assert_eq!(kind, Err(io::ErrorKind::BrokenPipe)),
                    _ => {
                        let mut got = [0; 7];
                        far[at].read_exact(&mut got).unwrap();
                        assert_eq!((kind, &got), (Ok(7), b"one two"));
                    }
                }
                let is_blocked = sockets.get(peers[at]).is_some_and(|entry| entry.is(Is::Blocked));
                assert_eq!(is_blocked, at == full);
            }
        }
    }

    #[test]
    fn each_of_many_is_sent_its_own_bytes() {
        for ring in [None, SendRing::new().ok()] {
            let mut sockets = Sockets::new(ring, Clock::start()).unwrap();
            let (mut peers, mut far, mut texts) = (Vec::new(), Vec::new(), Vec::new());
            for index in 0..70 {
                let (ours, theirs) = pair();
                peers.push(PeerId::new(index, 1));
                sockets.insert(peers[index as usize], ours, &[]).unwrap();
                far.push(theirs);
                texts.push(format!("bytes of {index}"));
            }
            let [full, gone] = [5, 66];
            let big = vec![0; 1 << 16];
            while sockets.send(peers[full], &[IoSlice::new(&big)]).is_ok() {}
            sockets.get_mut(peers[full]).unwrap().set(Is::Blocked, false);
            sockets.remove(peers[gone]);
            let pieces: Vec<_> = texts.iter().map(|text| IoSlice::new(text.as_bytes())).collect();
            let mut results = vec![Ok(1)];
            sockets.send_each(&peers, &pieces, &mut results);
            assert_eq!(results.len(), peers.len());
            for (at, result) in results.iter().enumerate() {
                let kind = result.as_ref().map_err(io::Error::kind).copied();
                match at {
                    _ if at == full => assert_eq!(kind, Err(io::ErrorKind::WouldBlock)),
                    _ if at == gone => assert_eq!(kind, Err(io::ErrorKind::NotConnected)),
                    _ => {
                        let mut got = vec![0; texts[at].len()];
                        far[at].read_exact(&mut got).unwrap();
                        assert_eq!((kind, got), (Ok(texts[at].len()), texts[at].clone().into()));
                    }
                }
                let is_blocked = sockets.get(peers[at]).is_some_and(|entry| entry.is(Is::Blocked));
                assert_eq!(is_blocked, at == full);
            }
        }
    }

    #[test]
    fn an_entry_is_as_small_as_a_number_and_a_descriptor() {
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }
}
