//! Socket table: the descriptors of a core's peers, each owned by one entry, and what is known of
//! their readiness. A core names a peer by its number and never sees a descriptor.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;

use super::epoll::Epoll;
use super::socket;
use crate::shard::{Io, PeerId, TcpInfo};

/// The sockets of one core.
#[derive(Debug)]
pub(super) struct Sockets {
    entries: Vec<Option<Entry>>,
    pub(super) epoll: Epoll,
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
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { entries: Vec::new(), epoll: Epoll::new()? })
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

impl Io for Sockets {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(entry) = self.get_mut(peer) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let sent = socket::send(&entry.stream, pieces);
        let is_full = match &sent {
            Ok(sent) => *sent < pieces.iter().map(|piece| piece.len()).sum(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        entry.set(Is::Blocked, is_full);
        sent
    }

    fn has_unread(&mut self, peer: PeerId) -> bool {
        self.get(peer).is_some_and(|entry| matches!(entry.stream.peek(&mut [0]), Ok(1)))
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
        let mut sockets = Sockets::new().unwrap();
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
        let mut sockets = Sockets::new().unwrap();
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
    fn an_entry_is_as_small_as_a_number_and_a_descriptor() {
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }
}
