//! The table of peers: connections, and the connections of outputs and pulls, with what the send
//! loop needs of each in dense arrays beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::batch::Links;
use super::client::{ClientConnection, Dialer};
use super::connection::Connection;
use super::io::PeerId;
use super::output::Output;
use super::pull::Pull;
use super::send_state::SendState;
use super::table::{Key, Table};
use crate::media::Micros;
use crate::tls::Link;

impl Key for PeerId {
    fn new(index: u32, turn: u32) -> Self {
        Self::new(index, turn)
    }

    fn index(self) -> usize {
        self.index()
    }

    fn turn(self) -> u32 {
        (self.raw() >> 32) as u32
    }
}

/// What a peer is.
#[derive(Deserialize, Serialize)]
pub(super) enum Peer {
    /// A peer that has connected to the node.
    Connection(Box<Connection>),
    /// A connection of the output of this number.
    Output(usize),
    /// A connection of the pull of this number.
    Pull(usize),
    /// Its end is over; its socket is being closed.
    Closing,
    /// A connection that is being handled.
    Busy,
}

/// The connection of an output or a pull.
pub(super) fn client_of<'a>(
    peer: Option<&Peer>,
    outputs: &'a mut BTreeMap<usize, Output>,
    pulls: &'a mut BTreeMap<usize, Pull>,
) -> Option<&'a mut ClientConnection> {
    match peer? {
        Peer::Output(number) => outputs.get_mut(number)?.client(),
        Peer::Pull(number) => pulls.get_mut(number)?.client(),
        Peer::Connection(_) | Peer::Closing | Peer::Busy => None,
    }
}

impl Links for Table<PeerId, Peer> {
    fn link(&mut self, peer: PeerId) -> Option<&mut Link> {
        match self.get_mut(peer)? {
            Peer::Connection(connection) => connection.out.link.as_deref_mut(),
            _ => None,
        }
    }

    fn sealed(&self, peer: PeerId) -> &[u8] {
        match self.get(peer) {
            Some(Peer::Connection(connection)) => {
                connection.out.link.as_ref().map_or(&[], |link| link.sealed())
            }
            _ => &[],
        }
    }
}

/// All peers of a shard. The arrays beside the table are indexed by [`PeerId::index`].
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Peers {
    pub(super) table: Table<PeerId, Peer>,
    #[serde(skip)]
    pub(super) send_states: Vec<SendState>,
    /// When each is to be looked at for its deadlines.
    #[serde(with = "crate::media::instants")]
    due: Vec<Micros>,
    #[serde(skip)]
    connections: usize,
}

impl Peers {
    /// They were read from a snapshot: counts them. `false` if they contradict themselves.
    #[must_use]
    pub(super) fn resume(&mut self) -> bool {
        let is_whole = self.table.resume() && self.due.len() == self.table.places();
        self.send_states = vec![SendState::NEW; self.table.places()];
        let connection = |(_, peer): &(PeerId, &Peer)| matches!(peer, Peer::Connection(_));
        self.connections = self.table.iter().filter(connection).count();
        is_whole
    }

    /// Adds what `make` makes for its number.
    pub(super) fn insert_with(&mut self, due: Micros, make: impl FnOnce(PeerId) -> Peer) -> PeerId {
        let id = self.table.insert_with(make);
        self.send_states.resize(self.table.places(), SendState::NEW);
        self.due.resize(self.table.places(), Micros(0));
        self.send_states[id.index()] = SendState::NEW;
        self.due[id.index()] = due;
        self.connections += usize::from(matches!(self.table.get(id), Some(Peer::Connection(_))));
        id
    }

    /// A connection that is not being handled.
    pub(super) fn connection(&self, id: PeerId) -> Option<&Connection> {
        match self.table.get(id)? {
            Peer::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    /// Takes a connection out while it is handled.
    pub(super) fn take(&mut self, id: PeerId) -> Option<Box<Connection>> {
        let peer = self.table.get_mut(id)?;
        match std::mem::replace(peer, Peer::Busy) {
            Peer::Connection(mut connection) => {
                connection.out.step_in(&mut self.send_states[id.index()]);
                Some(connection)
            }
            other => {
                *peer = other;
                None
            }
        }
    }

    /// Puts it back, to be looked at for its deadlines at `due` at the latest.
    pub(super) fn put(&mut self, id: PeerId, connection: Box<Connection>, due: Micros) {
        connection.out.step_out(&mut self.send_states[id.index()]);
        self.due_by(id, due);
        if let Some(peer) = self.table.get_mut(id) {
            *peer = Peer::Connection(connection);
        }
    }

    /// The peer is to be looked at by then at the latest.
    pub(super) fn due_by(&mut self, id: PeerId, due: Micros) {
        let known = &mut self.due[id.index()];
        *known = due.min(*known);
    }

    /// The next connection whose deadlines are to be looked at by now, from place `from` of the
    /// table on, which is the place after it then. It is to be looked at again after `pause`,
    /// unless something happens before.
    pub(super) fn next_due(
        &mut self,
        from: &mut usize,
        now: Micros,
        pause: Micros,
    ) -> Option<PeerId> {
        while let Some(at) = self.due.get_mut(*from) {
            *from += 1;
            if *at <= now {
                *at = now + pause;
                if let Some(id) = self.table.key_at(*from - 1) {
                    return Some(id);
                }
            }
        }
        None
    }

    /// Its end is over; its place is kept until its socket has been closed.
    pub(super) fn set_closing(&mut self, id: PeerId) {
        if let Some(peer) = self.table.get_mut(id) {
            let was = std::mem::replace(peer, Peer::Closing);
            self.connections -= usize::from(matches!(was, Peer::Connection(_) | Peer::Busy));
        }
    }

    /// All have ended, and their sockets are closed. Their numbers are not used again.
    pub(super) fn clear(&mut self) {
        for id in self.table.keys() {
            self.table.remove(id);
        }
        self.connections = 0;
    }

    /// Connections that peers have made.
    pub(super) const fn connections(&self) -> usize {
        self.connections
    }
}
