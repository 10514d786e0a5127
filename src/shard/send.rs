//! The send loop: what peers have of their own, and what streams bring to their readers.

use std::io;

use super::batch::{Batch, Taken};
use super::client::Dialer;
use super::connection::{Closing, Connection, broken};
use super::core::{LOOK_EVERY, ShardCore};
use super::io::{Action, Io, PeerId};
use super::outbound::Sent;
use super::peers::{Peer, client_of};
use super::send_state::SendState;
use super::shared::Shared;
use super::stream_id::StreamId;
use crate::media::{Micros, Stamp, caught};

/// Readers of one stream that are sent to in one go.
const SENDS_AT_ONCE: usize = 64;

impl ShardCore {
    /// Sends what is ready, for about `budget` sends. Says whether more is ready.
    pub(super) fn send(&mut self, io: &mut impl Io, budget: usize) -> bool {
        let mut left = budget;
        while let Some(id) = self.shared.cx.ready.pop_front() {
            self.flush(id, io);
            #[cfg(test)]
            self.fault_point();
            left = left.saturating_sub(1);
        }
        while left > 0
            && let Some(next) = self.shared.streams.next_dirty()
        {
            #[cfg(test)]
            self.fault_point();
            if next.from == 0 {
                self.shared.streams.begin_sending(next.stream);
            }
            let to = next.from + SENDS_AT_ONCE.min(left);
            self.shared.streams.send_up_to(to);
            left -= self.send_stream(io, next.stream, (next.from, to));
            self.shared.streams.have_sent();
        }
        self.handle_notices();
        #[cfg(test)]
        self.fault_point();
        self.close_leaving(io);
        !self.shared.cx.ready.is_empty() || self.shared.streams.next_dirty().is_some()
    }

    /// Sends what is new to the readers of a stream from number `from` on, and before number `to`.
    /// Says how many those are, and at least 1.
    fn send_stream(&mut self, io: &mut impl Io, id: StreamId, (from, to): (usize, usize)) -> usize {
        let Self { shared, peers, outputs, group, .. } = self;
        let Some(stream) = shared.streams.get(id) else { return 1 };
        let to = to.min(stream.readers.len());
        let readers = stream.readers.get(from..to).unwrap_or_default();
        let (log, end, policy) = (&stream.log, stream.log.end(), &shared.cx.spec.drop);
        let mut batch = Batch::new(log, policy);
        let (mut bytes, mut sends, mut blocked) = (0, 0, 0);
        // It takes memory only where a connection ends.
        let mut broken = Vec::new();
        let mut first = Stamp::NONE;
        if group.send(io, &mut batch, readers, (&peers.send_states, &mut peers.table)) {
            first = io.stamp();
        }
        for &reader in readers {
            let state = &mut peers.send_states[reader.index()];
            let mut taken = Taken::default();
            match state.place {
                SendState::BLOCKED => {
                    blocked += 1;
                    continue;
                }
                place if place == end => continue,
                place if place < SendState::BLOCKED => {
                    taken = group.taken_by(reader, *state, &mut batch, io);
                    if taken.is_all {
                        (state.place, state.bytes) = (end, state.bytes + taken.bytes as u64);
                        bytes += taken.bytes as u64;
                        sends += 1;
                        continue;
                    }
                }
                _ => {}
            }
            let out = match peers.table.get_mut(reader) {
                Some(Peer::Connection(connection)) => &mut connection.out,
                Some(Peer::Output(number)) => {
                    let client = outputs.get_mut(number).and_then(|output| output.client());
                    let Some(client) = client else { continue };
                    &mut client.out
                }
                _ => continue,
            };
            out.step_in(state);
            let before = out.bytes();
            out.sent_of_batch(&batch, taken.bytes);
            let sent = out.send(io, shared.cx.now, Some(log), policy);
            out.step_out(state);
            bytes += out.bytes() - before;
            sends += u64::from(out.bytes() > before);
            if out.bytes() > before && !first.is_some() {
                first = io.stamp();
            }
            match sent {
                Sent::All => {}
                Sent::Blocked => {
                    blocked += 1;
                    peers.due_by(reader, shared.cx.now + LOOK_EVERY);
                }
                Sent::Failed(error) => broken.push((reader, error)),
            }
        }
        let count = readers.len();
        shared.cx.stats.sent(sends, bytes);
        shared.cx.stats.send_blocked(blocked);
        account(shared, id, (bytes, to, blocked), [first, io.stamp()]);
        for (reader, error) in broken {
            self.fail(reader, &error);
        }
        count.max(1)
    }

    /// Counts how long readers have waited whose sockets are full: they are sent nothing that would
    /// count it.
    pub(super) fn count_blocked(&mut self) {
        let Self { shared, peers, outputs, .. } = self;
        let now = shared.cx.now;
        for (_, stream) in shared.streams.all() {
            for reader in &stream.readers {
                if peers.send_states[reader.index()].place != SendState::BLOCKED {
                    continue;
                }
                let out = match peers.table.get(*reader) {
                    Some(Peer::Connection(connection)) => &connection.out,
                    Some(Peer::Output(number)) => {
                        let client = outputs.get_mut(number).and_then(|output| output.client());
                        let Some(client) = client else { continue };
                        &client.out
                    }
                    _ => continue,
                };
                stream.delivery.blocked(out.waited(&stream.log, now));
            }
        }
    }

    fn fail(&mut self, id: PeerId, error: &io::Error) {
        match self.peers.take(id) {
            Some(connection) => {
                let reason = broken(&self.shared.cx, error);
                self.end_connection(connection, &reason);
            }
            None => self.client_failed(id, error.to_string()),
        }
    }

    /// Sends what waits for one peer, and goes on with its close.
    fn flush(&mut self, id: PeerId, io: &mut impl Io) {
        match self.peers.table.get(id) {
            Some(Peer::Connection(_)) => self.flush_connection(id, io),
            Some(Peer::Output(_) | Peer::Pull(_)) => self.flush_client(id, io),
            _ => {}
        }
    }

    fn flush_connection(&mut self, id: PeerId, io: &mut impl Io) {
        let Some(mut connection) = self.peers.take(id) else { return };
        let shared = &mut self.shared;
        match caught(|| flush(&mut connection, shared, io)) {
            Ok(Ok(())) => self.peers.put(id, connection, Micros(u64::MAX)),
            Ok(Err(reason)) => self.end_connection(connection, &reason),
            Err(text) => self.end_after_panic(connection, &text),
        }
    }

    fn flush_client(&mut self, id: PeerId, io: &mut impl Io) {
        let Self { shared, peers, outputs, pulls, .. } = self;
        let Some(client) = client_of(peers.table.get(id), outputs, pulls) else { return };
        let (out, state) = (&mut client.out, &mut peers.send_states[id.index()]);
        out.is_queued = true;
        out.step_in(state);
        let stream = out.stream;
        let log = stream.and_then(|id| shared.streams.get(id)).map(|it| &it.log);
        let before = out.bytes();
        let sent = out.send(io, shared.cx.now, log, &shared.cx.spec.drop);
        let bytes = out.bytes() - before;
        out.step_out(state);
        account_ahead(shared, stream, bytes, io);
        match (sent, self.peers.table.get(id)) {
            (Sent::Failed(error), _) => self.client_failed(id, error.to_string()),
            (_, Some(Peer::Output(number))) => {
                self.with_output(*number, |output, shared| output.check_end(shared));
            }
            (_, Some(Peer::Pull(number))) => {
                self.with_pull(*number, |pull, shared| pull.check_end(shared));
            }
            _ => {}
        }
        // Only now: what could not be sent at once is not to be tried again and again.
        if let Some(client) = self.client(id) {
            client.out.is_queued = false;
        }
    }

    /// Closes the sockets of peers that are over.
    pub(super) fn close_leaving(&mut self, io: &mut impl Io) {
        for mut out in std::mem::take(&mut self.shared.leaving) {
            out.say_close(io);
            self.shared.cx.act(Action::Close(out.id));
            self.peers.table.remove(out.id);
        }
    }
}

/// Readers of a stream up to number `to` have been sent so many bytes, the first of them then, and
/// all of them now; the sockets of so many are full.
fn account(
    shared: &mut Shared,
    id: StreamId,
    (bytes, to, blocked): (u64, usize, u64),
    times: [Stamp; 2],
) {
    let Shared { cx, streams, .. } = shared;
    let Some(stream) = streams.get_mut(id) else { return };
    stream.meter.add_out(bytes);
    let [first, now] = times.map(|at| at.max(cx.stamp()));
    if bytes > 0 {
        stream.delivery.sent(first);
    }
    let viewers = stream.readers.len();
    if to >= viewers {
        stream.delivery.end(now, viewers, blocked);
    }
}

/// One reader of a stream, if it is one, has been sent so many bytes before all are.
fn account_ahead(shared: &mut Shared, id: Option<StreamId>, bytes: u64, io: &impl Io) {
    let Shared { cx, streams, .. } = shared;
    cx.stats.bytes_out(bytes);
    let Some(stream) = id.and_then(|id| streams.get_mut(id)) else { return };
    stream.meter.add_out(bytes);
    if bytes > 0 {
        stream.delivery.sent_ahead(io.stamp().max(cx.stamp()));
    }
}

/// Sends what waits for a connection, and goes on with its close.
///
/// # Errors
/// Why it is over.
fn flush(connection: &mut Connection, shared: &mut Shared, io: &mut impl Io) -> Result<(), String> {
    connection.out.is_queued = false;
    if !connection.has_ended() {
        let out = &mut connection.out;
        let stream = out.stream;
        let log = stream.and_then(|id| shared.streams.get(id)).map(|it| &it.log);
        let before = out.bytes();
        let sent = out.send(io, shared.cx.now, log, &shared.cx.spec.drop);
        let bytes = out.bytes() - before;
        account_ahead(shared, stream, bytes, io);
        if let Sent::Failed(error) = sent {
            return Err(broken(&shared.cx, &error));
        }
    }
    let cx = &mut shared.cx;
    match connection.closing(cx.now) {
        Closing::No | Closing::Waits => {}
        Closing::Shutdown => {
            connection.out.say_close(io);
            cx.act(Action::Shutdown(connection.out.id));
        }
        Closing::Over => return Err(String::new()),
    }
    Ok(())
}
