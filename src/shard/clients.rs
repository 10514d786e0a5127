//! Outputs and pulls as the core handles them, and the connections that they make.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::client::{ClientConnection, Dialer};
use super::context::Context;
use super::core::ShardCore;
use super::io::{Action, Closed, PeerId};
use super::outbound::Outbound;
use super::output::Output;
use super::peers::{Peer, Peers, client_of};
use super::pull::Pull;
use super::send_state::SendState;
use super::shared::Shared;
use crate::media::{Micros, caught};

impl ShardCore {
    /// The connection of an output or a pull.
    pub(super) fn client(&mut self, id: PeerId) -> Option<&mut ClientConnection> {
        client_of(self.peers.table.get(id), &mut self.outputs, &mut self.pulls)
    }

    /// Lets an output handle something.
    pub(super) fn with_output<R>(
        &mut self,
        number: usize,
        handle: impl FnOnce(&mut Output, &mut Shared) -> R,
    ) -> Option<R> {
        let Self { shared, peers, outputs, .. } = self;
        let result = with(shared, peers, outputs, number, handle);
        self.release_clients();
        result
    }

    /// Lets a pull handle something.
    pub(super) fn with_pull<R>(
        &mut self,
        number: usize,
        handle: impl FnOnce(&mut Pull, &mut Shared) -> R,
    ) -> Option<R> {
        let Self { shared, peers, pulls, .. } = self;
        let result = with(shared, peers, pulls, number, handle);
        self.release_clients();
        result
    }

    /// Connections of outputs and pulls that are over hear nothing any more.
    fn release_clients(&mut self) {
        for out in &self.shared.leaving {
            self.peers.set_closing(out.id);
        }
    }

    /// Begins a connection for an output or a pull.
    pub(super) fn connect(&mut self, peer: Peer, address: SocketAddr) -> PeerId {
        let due = Micros(u64::MAX);
        let id = self.peers.insert_with(due, |_| peer);
        self.shared.cx.act(Action::Connect { peer: id, address });
        id
    }

    /// Takes the bytes for the connection of an output or a pull.
    pub(super) fn client_received(&mut self, id: PeerId, bytes: &[u8]) {
        let mut plain = std::mem::take(&mut self.plain);
        let mut rest = bytes;
        let mut is_first = true;
        while std::mem::take(&mut is_first) || !rest.is_empty() {
            let opened = match self.client(id).and_then(|it| it.out.link.as_deref_mut()) {
                None => {
                    self.hand_to_client(id, rest);
                    break;
                }
                Some(link) => link.open(&mut rest, &mut plain).map(|n| (n, link.peer_closed())),
            };
            match opened {
                Ok((0, true)) => {
                    self.client_lost(id, Closed::End);
                    break;
                }
                // The handshake may have something to say.
                Ok((0, false)) => self.hand_to_client(id, &[]),
                Ok((count, _)) => {
                    self.hand_to_client(id, &plain[..count]);
                    is_first = true;
                }
                Err(failure) => {
                    self.client_failed(id, failure.to_string());
                    break;
                }
            }
        }
        self.plain = plain;
    }

    fn hand_to_client(&mut self, id: PeerId, bytes: &[u8]) {
        match self.peers.table.get(id) {
            Some(Peer::Output(number)) => {
                self.with_output(*number, |output, shared| output.received(shared, bytes));
            }
            Some(Peer::Pull(number)) => {
                self.with_pull(*number, |pull, shared| pull.received(shared, bytes));
            }
            _ => {}
        }
    }

    pub(super) fn client_lost(&mut self, id: PeerId, why: Closed) {
        let is_output = matches!(self.peers.table.get(id), Some(Peer::Output(_)));
        let reason = match why {
            Closed::End if is_output => "the destination closed".to_owned(),
            Closed::End => "the server closed".to_owned(),
            Closed::Error(error) => error.to_string(),
        };
        self.client_failed(id, reason);
    }

    pub(super) fn client_failed(&mut self, id: PeerId, reason: String) {
        match self.peers.table.get(id) {
            Some(Peer::Output(number)) => {
                self.with_output(*number, |output, shared| output.lost(shared, reason));
            }
            Some(Peer::Pull(number)) => {
                self.with_pull(*number, |pull, shared| pull.lost(shared, reason));
            }
            _ => {}
        }
    }
}

/// Lets one of `dialers` handle something. A panic ends its connection alone. `None` then, and if
/// it is gone.
fn with<D: Dialer, R>(
    shared: &mut Shared,
    peers: &mut Peers,
    dialers: &mut BTreeMap<usize, D>,
    number: usize,
    handle: impl FnOnce(&mut D, &mut Shared) -> R,
) -> Option<R> {
    let dialer = dialers.get_mut(&number)?;
    if let Some(client) = dialer.client() {
        client.out.step_in(&mut peers.send_states[client.out.id.index()]);
    }
    let result = caught(|| handle(dialer, shared));
    if let Err(text) = &result {
        shared.cx.stats.error_panic();
        tracing::error!("{dialer} failed, and only it: {text}");
        dialer.lost(shared, "internal error".to_owned());
    }
    if let Some(client) = dialer.client() {
        client.pass_on();
        queue_if_needed(&mut shared.cx, peers, &mut client.out);
    }
    if dialer.is_finished() {
        dialers.remove(&number);
    }
    result.ok()
}

/// Lets the send loop know of a client's connection that has something of its own to send.
fn queue_if_needed(cx: &mut Context, peers: &mut Peers, out: &mut Outbound) {
    let state = &mut peers.send_states[out.id.index()];
    out.step_out(state);
    let reads_alone = out.stream.is_some() && state.place == SendState::ALONE;
    let has_to_send = (out.holds_back() || reads_alone) && !out.is_blocked();
    if has_to_send && !std::mem::replace(&mut out.is_queued, true) {
        cx.ready.push_back(out.id);
    }
}
