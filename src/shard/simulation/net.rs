//! Links between a core and its peers: sockets with little room, which take a part, are full, are
//! reset, and tell the driver as much as the kernel would.

use std::io::{self, ErrorKind, IoSlice};

use super::peers::Remote;
use super::programme::Audit;
use super::rng::Rng;
use crate::media::Micros;
use crate::shard::io::{Io, PeerId, TcpInfo};

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    bytes: Vec<u8>,
    at: usize,
}

impl Pipe {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.at > 4_096 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the first `count` bytes out, into `to`.
    pub(super) fn take(&mut self, count: usize, to: &mut Vec<u8>) {
        to.clear();
        to.extend_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
    }
}

/// How a peer's end has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerEnd {
    Open,
    /// It has said that it will send no more.
    Shut,
    /// The connection was reset.
    Reset,
}

/// One socket of a core, and who is at its other end.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about a socket, each by itself")]
pub(super) struct Link {
    pub(super) id: PeerId,
    pub(super) remote: Remote,
    pub(super) to_core: Pipe,
    pub(super) to_peer: Pipe,
    /// Bytes that wait for the peer at most.
    room: usize,
    pub(super) is_connecting: bool,
    /// The last send left something behind.
    pub(super) is_blocked: bool,
    /// The core does not want what comes.
    pub(super) is_paused: bool,
    /// Fewer bytes than these do not wake the driver.
    pub(super) low_water: usize,
    /// The core has said that it will send no more.
    pub(super) is_shut: bool,
    /// The peer has read that.
    pub(super) has_heard_end: bool,
    pub(super) peer_end: PeerEnd,
    /// The core knows that nothing more will come.
    pub(super) is_ended: bool,
    /// Until when the peer reads nothing.
    pub(super) stalled_until: Micros,
    /// Bytes that the peer has read.
    read: u64,
}

impl Link {
    pub(super) fn new(id: PeerId, remote: Remote, rng: &mut Rng) -> Self {
        Self {
            id,
            remote,
            to_core: Pipe::default(),
            to_peer: Pipe::default(),
            room: rng.pick(&[600, 2_000, 4_000, 4_000, 20_000, 100_000]),
            is_connecting: false,
            is_blocked: false,
            is_paused: false,
            low_water: 1,
            is_shut: false,
            has_heard_end: false,
            peer_end: PeerEnd::Open,
            is_ended: false,
            stalled_until: Micros(0),
            read: 0,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.to_peer.len() < self.room
    }

    /// The peer reads some of what has come, into `to`.
    pub(super) fn read(&mut self, count: usize, to: &mut Vec<u8>) {
        self.to_peer.take(count, to);
        self.read += count as u64;
    }
}

/// The sockets of one core.
#[derive(Debug)]
pub(super) struct Net {
    links: Vec<Option<Box<Link>>>,
    rng: Rng,
    /// Bytes that sockets have taken.
    pub(super) taken: u64,
    /// The first thing that no core may do.
    pub(super) fault: Option<String>,
}

impl Net {
    pub(super) const fn new(rng: Rng) -> Self {
        Self { links: Vec::new(), rng, taken: 0, fault: None }
    }

    pub(super) fn insert(&mut self, link: Link) {
        let index = link.id.index();
        if index >= self.links.len() {
            self.links.resize_with(index + 1, || None);
        }
        if let Some(other) = self.links[index].replace(Box::new(link)) {
            self.fault = Some(format!("the place of {:?} was taken twice", other.id));
        }
    }

    pub(super) fn get(&mut self, id: PeerId) -> Option<&mut Link> {
        self.links.get_mut(id.index())?.as_deref_mut().filter(|link| link.id == id)
    }

    pub(super) fn remove(&mut self, id: PeerId) -> Option<Box<Link>> {
        self.get(id)?;
        self.links[id.index()].take()
    }

    /// Whoever stalled reads again.
    pub(super) fn heal(&mut self) {
        self.links.iter_mut().flatten().for_each(|link| link.stalled_until = Micros(0));
    }

    /// Who is there, for a finding.
    pub(super) fn describe(&self, id: PeerId) -> String {
        let link = self.links.get(id.index()).and_then(Option::as_deref);
        link.map_or_else(String::new, |link| link.remote.describe())
    }

    /// What a peer has got, if it plays.
    pub(super) fn audit(&self, id: PeerId) -> Option<&Audit> {
        let link = self.links.get(id.index())?.as_deref().filter(|link| link.id == id)?;
        link.remote.audit()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.links.iter().flatten().map(|link| link.id)
    }
}

impl Io for Net {
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        let is_short = self.rng.once_in(6);
        let part = if is_short && wanted > 0 { 1 + self.rng.below(wanted) } else { wanted };
        let Some(link) = self.get(peer) else {
            self.fault = Some(format!("{peer:?} has no socket and is sent something"));
            return Err(ErrorKind::NotConnected.into());
        };
        if link.is_shut || link.is_connecting {
            let what = if link.is_shut { "after the end" } else { "before it is connected" };
            self.fault = Some(format!("{peer:?} is sent something {what}"));
            return Err(ErrorKind::BrokenPipe.into());
        }
        if link.peer_end == PeerEnd::Reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let mut left = part.min(link.room.saturating_sub(link.to_peer.len()));
        let taken = left;
        link.is_blocked = taken < wanted;
        if taken == 0 && wanted > 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        for piece in pieces {
            let now = left.min(piece.len());
            link.to_peer.push(&piece[..now]);
            left -= now;
        }
        self.taken += taken as u64;
        Ok(taken)
    }

    fn has_unread(&mut self, peer: PeerId) -> bool {
        self.get(peer).is_some_and(|link| !link.to_core.is_empty())
    }

    fn tcp_info(&mut self, peer: PeerId) -> Option<TcpInfo> {
        let link = self.get(peer)?;
        Some(TcpInfo {
            rtt: Micros(900),
            unacked: u32::from(!link.to_peer.is_empty()),
            notsent_bytes: 0,
            bytes_acked: link.read,
        })
    }
}
