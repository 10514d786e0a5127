//! The boundary between a shard and its driver. A driver owns descriptors, waits for readiness and
//! time, and moves bytes; a core decides everything else and touches none of these.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::media::{Micros, Stamp};

/// One peer of a shard. Numbers are never used twice: the low half is a place in tables, the high
/// half counts how often that place has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerId(u64);

impl PeerId {
    /// The peer at place `index`, which is taken for the `turn`-th time.
    #[must_use]
    pub const fn new(index: u32, turn: u32) -> Self {
        Self((turn as u64) << 32 | index as u64)
    }

    /// Its place in tables.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// The whole number, for where one is needed (`epoll_event.u64`, hook questions).
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The peer of that number.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Sockets as a core may use them: nothing here waits.
pub trait Io {
    /// Sends `pieces`, in order, as one call (`sendmsg`), and says how many bytes the socket took.
    ///
    /// # Errors
    /// `WouldBlock` if the socket is full: [`Core::writable`] follows when it has room. Anything
    /// else ends the connection.
    fn send(&mut self, peer: PeerId, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends the same `pieces` to each of `peers`, and puts into `results`, which is emptied first,
    /// what [`Io::send`] would have said of each.
    fn send_to_all(
        &mut self,
        peers: &[PeerId],
        pieces: &[IoSlice<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) {
        results.clear();
        results.extend(peers.iter().map(|peer| self.send(*peer, pieces)));
    }

    /// Sends to each of `peers` its own of `pieces`, and puts into `results`, which is emptied
    /// first, what [`Io::send`] would have said of each.
    fn send_each(
        &mut self,
        peers: &[PeerId],
        pieces: &[IoSlice<'_>],
        results: &mut Vec<io::Result<usize>>,
    ) {
        results.clear();
        let each = peers.iter().zip(pieces);
        results.extend(each.map(|(peer, piece)| self.send(*peer, &[*piece])));
    }

    /// Whether something has come that has not been given to the core. An end, or an error, is
    /// nothing.
    fn has_unread(&mut self, peer: PeerId) -> bool;

    /// The time to the nanosecond, on the clock of the times that the core is given;
    /// [`Stamp::NONE`] where nobody measures.
    fn stamp(&self) -> Stamp {
        Stamp::NONE
    }

    /// What the kernel says about the connection (`TCP_INFO`); `None` if it does not say.
    fn tcp_info(&mut self, peer: PeerId) -> Option<TcpInfo>;
}

/// A part of `struct tcp_info` (linux/tcp.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round trip time, `tcpi_rtt`.
    pub rtt: Micros,
    /// Segments sent and not acknowledged, `tcpi_unacked`.
    pub unacked: u32,
    /// Bytes in the socket that have not been sent, `tcpi_notsent_bytes`.
    pub notsent_bytes: u32,
    /// Bytes that the peer's kernel has acknowledged, `tcpi_bytes_acked`.
    pub bytes_acked: u64,
}

impl TcpInfo {
    /// Whether anything waits for the peer's kernel.
    #[must_use]
    pub const fn has_unacknowledged(&self) -> bool {
        self.unacked > 0 || self.notsent_bytes > 0
    }
}

/// What a driver is to do for a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a TCP connection without waiting for it: [`Core::connected`] or [`Core::closed`]
    /// follows.
    Connect {
        /// The peer that it becomes.
        peer: PeerId,
        /// Where to.
        address: SocketAddr,
    },
    /// Say that nothing more will be sent: `shutdown(SHUT_WR)`. What the peer says is still read.
    Shutdown(PeerId),
    /// Close the socket. The core has forgotten the peer.
    Close(PeerId),
    /// Let the kernel send at most so many bits per second (`SO_MAX_PACING_RATE`).
    Pace(PeerId, u64),
    /// Let fewer bytes than these pass without a wake-up (`SO_RCVLOWAT`).
    ReceiveLowWater(PeerId, u32),
    /// Read what the peer sends, or (with false) leave it in the socket for now.
    Read(PeerId, bool),
}

/// Why a peer is gone.
#[derive(Debug)]
pub enum Closed {
    /// It will send nothing more (end of file).
    End,
    /// The connection is broken, or an outgoing one could not be made.
    Error(io::Error),
}

/// A shard as its driver sees it. After each call, or after several, the driver takes the actions
/// and lets the core transmit.
pub trait Core {
    /// It is this time now, to the nanosecond, when the next call is made: what passes through it
    /// is stamped with it. A driver that does not say it stamps with the time of the call.
    fn at(&mut self, stamp: Stamp);

    /// A peer has connected from `from`, by TLS if `secure`. `None` if it is turned away: the
    /// driver closes its socket at once.
    fn accepted(&mut self, now: Micros, from: SocketAddr, secure: bool) -> Option<PeerId>;

    /// An outgoing connection stands.
    fn connected(&mut self, now: Micros, peer: PeerId);

    /// The peer has sent these bytes.
    fn received(&mut self, now: Micros, peer: PeerId, bytes: &[u8]);

    /// The socket has room again after a send that would have blocked.
    fn writable(&mut self, now: Micros, peer: PeerId);

    /// The peer is gone. [`Action::Close`] follows, at once or after what is left to do.
    fn closed(&mut self, now: Micros, peer: PeerId, why: Closed);

    /// Handling this peer has panicked: it alone is given up, whatever its state.
    /// [`Action::Close`] follows.
    fn panicked(&mut self, now: Micros, peer: PeerId, text: &str);

    /// The core has panicked where no peer alone is to blame. All sockets of peers have been
    /// closed, and nothing that it had asked for is done any more. It tells that its peers are
    /// gone, and begins anew with what it was given.
    fn rebuild(&mut self, now: Micros);

    /// Whether other threads have left something in the core's rings, so that it must not sleep.
    fn has_mail(&self) -> bool;

    /// Takes what other threads have left in the core's rings.
    fn read_rings(&mut self, now: Micros);

    /// Looks at deadlines.
    fn tick(&mut self, now: Micros, io: &mut dyn Io);

    /// When [`Core::tick`] is due next, at the latest.
    fn next_tick(&self) -> Micros;

    /// Whether a driver that is awake is to call [`Core::tick`] now: what is due soon need not wake
    /// it once more.
    fn is_tick_due(&self, now: Micros) -> bool {
        now >= self.next_tick()
    }

    /// Sends what is ready, for at most about `budget` sends. Says whether more is ready: others
    /// may have their turn first.
    fn transmit(&mut self, now: Micros, io: &mut impl Io, budget: usize) -> bool
    where
        Self: Sized;

    /// What to do next, in this order, until there is nothing more.
    fn next_action(&mut self) -> Option<Action>;

    /// The node stops: peers are told, and what is in flight gets a moment to leave.
    fn stop(&mut self, now: Micros);

    /// Whether everything has ended since [`Core::stop`].
    fn is_finished(&self, now: Micros) -> bool;
}
