//! The sending half of a peer: a cursor into a stream's log, and the few control bytes that go
//! between its messages. Players and outputs send in the same way.

use std::io::{self, IoSlice, Write};

use serde::{Deserialize, Serialize};

use super::batch::{BYTES_MAX, Batch, PIECES_MAX};
use super::io::{Io, PeerId};
use super::send_state::SendState;
use super::stream_id::StreamId;
use crate::media::Micros;
use crate::probes;
use crate::rtmp::Playback;
use crate::stream::{Cursor, DropPolicy, Drops, Start, StreamLog};
use crate::tls::Link;

/// Control bytes that may wait for a peer. One that lets more pile up is broken or hostile.
pub(super) const OUTBOX_BYTES_MAX: usize = 64 << 10;

/// Bytes of an empty outbox that are kept for the next control message.
const OUTBOX_BYTES_KEPT: usize = 128;

/// A call with at most this many pieces, and not full of bytes, has all that was ready in it: no
/// limit on pieces or messages was near.
const ALL_PIECES: usize = PIECES_MAX / 2;

/// What became of an attempt to send.
#[derive(Debug)]
pub(super) enum Sent {
    /// Everything there is has been sent.
    All,
    /// The socket is full: the driver says when it has room.
    Blocked,
    /// The connection is broken.
    Failed(io::Error),
}

/// What a peer reads a stream for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ReaderKind {
    /// An output: a connection of ours to another server.
    Output,
    /// A viewer: audience.
    Viewer,
    /// A preview in the dashboard, which is no audience.
    Preview,
}

/// One peer's sending half.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outbound {
    pub(super) id: PeerId,
    /// Encrypts what is sent, if the peer speaks TLS.
    #[serde(skip)]
    pub(super) link: Option<Box<Link>>,
    /// The stream that the cursor is in.
    pub(super) stream: Option<StreamId>,
    pub(super) kind: ReaderKind,
    cursor: Option<Cursor>,
    outbox: Vec<u8>,
    /// Bytes at the beginning of `outbox` that have been sent.
    sent: usize,
    /// Since when the socket has been full.
    #[serde(with = "crate::media::instants")]
    blocked_since: Option<Micros>,
    /// Its own rule for dropping, if it has one.
    policy: Option<DropPolicy>,
    bytes: u64,
    /// Whether it is in the queue of peers with something of their own to send.
    pub(super) is_queued: bool,
}

impl Outbound {
    /// Of a new peer; with its encryption if it speaks TLS.
    pub(super) const fn new(id: PeerId, link: Option<Box<Link>>) -> Self {
        Self {
            id,
            link,
            stream: None,
            kind: ReaderKind::Output,
            cursor: None,
            outbox: Vec::new(),
            sent: 0,
            blocked_since: None,
            policy: None,
            bytes: 0,
            is_queued: false,
        }
    }

    /// It was read from a snapshot, as a reader of `log` if it reads. `false` if it contradicts
    /// itself or the log.
    #[must_use]
    pub(super) fn resume(&mut self, log: Option<&StreamLog>) -> bool {
        self.sent <= self.outbox.len()
            && match (&mut self.cursor, log) {
                (Some(cursor), Some(log)) => cursor.resume(log),
                (cursor, log) => cursor.is_none() && log.is_none(),
            }
    }

    /// Takes over what the send loop has done alone.
    pub(super) fn step_in(&mut self, state: &mut SendState) {
        self.bytes += std::mem::take(&mut state.bytes);
        if state.place < SendState::BLOCKED
            && let Some(cursor) = &mut self.cursor
        {
            cursor.resume_at(state.place);
        }
        state.place = SendState::ALONE;
    }

    /// Leaves to the send loop what it can do alone.
    pub(super) fn step_out(&self, state: &mut SendState) {
        // An output's records are sealed with what is its own.
        let is_viewer = self.kind != ReaderKind::Output;
        let takes_batches = self.link.as_ref().is_none_or(|link| is_viewer && link.is_ready());
        state.place = match &self.cursor {
            _ if self.blocked_since.is_some() => SendState::BLOCKED,
            Some(cursor) if self.outbox.is_empty() && self.policy.is_none() && takes_batches => {
                cursor.shared_place().unwrap_or(SendState::ALONE)
            }
            _ => SendState::ALONE,
        };
        state.is_sealed = self.link.is_some();
    }

    /// Gives it a rule of its own for dropping.
    pub(super) const fn set_policy(&mut self, policy: Option<DropPolicy>) {
        self.policy = policy;
    }

    /// From here on each message of its stream is sent so long after it arrived.
    pub(super) const fn set_delay(&mut self, delay: Micros) {
        if let Some(cursor) = &mut self.cursor {
            cursor.set_delay(delay);
        }
    }

    /// What waits for its delay is never sent. Says how many messages that leaves out.
    pub(super) fn dump(&mut self, log: &StreamLog) -> u64 {
        self.cursor.as_mut().map_or(0, |cursor| cursor.dump(log))
    }

    /// Whether something of the log is still to be sent.
    pub(super) fn is_behind(&self, log: &StreamLog) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| !cursor.is_caught_up(log))
    }

    /// Starts reading the log of `stream`.
    pub(super) fn read(&mut self, stream: StreamId, cursor: Cursor) {
        self.stream = Some(stream);
        self.cursor = Some(cursor);
    }

    /// From here on it is sent this much of the stream; says whether it waits for a keyframe.
    pub(super) fn set_playback(&mut self, log: &StreamLog, playback: Playback) -> bool {
        self.cursor.as_mut().is_some_and(|cursor| cursor.set_playback(log, playback))
    }

    /// Goes on as a new reader does.
    pub(super) const fn restart(&mut self, start: Start) {
        if let Some(cursor) = &mut self.cursor {
            cursor.restart(start);
        }
    }

    /// Appends control bytes.
    ///
    /// # Errors
    /// If more than [`OUTBOX_BYTES_MAX`] would wait: the peer does not read.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.outbox.len() + bytes.len() > OUTBOX_BYTES_MAX {
            return Err(io::Error::other("the peer does not read what it asked for"));
        }
        self.outbox.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether neither control bytes nor a started message wait.
    pub(super) fn is_flushed(&self) -> bool {
        !self.has_sealed()
            && self.outbox.is_empty()
            && self.cursor.as_ref().is_none_or(Cursor::is_between)
    }

    /// Whether no message has been sent in part.
    #[cfg(test)]
    pub(super) fn is_between(&self) -> bool {
        self.cursor.as_ref().is_none_or(Cursor::is_between)
    }

    /// Whether control bytes wait to be sent: the peer cannot have answered them.
    pub(super) fn holds_back(&self) -> bool {
        self.has_sealed() || !self.outbox.is_empty()
    }

    fn has_sealed(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.has_sealed())
    }

    /// Whether the socket was full.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// How long the socket has taken nothing at all.
    pub(super) fn blocked_for(&self, now: Micros) -> Micros {
        self.blocked_since.map_or(Micros(0), |since| now.since(since))
    }

    /// The socket has room again.
    pub(super) const fn unblock(&mut self) {
        self.blocked_since = None;
    }

    /// Bytes sent since the connection began.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long what is to be sent next has been there.
    pub(super) fn lag(&self, log: &StreamLog) -> Micros {
        self.cursor.as_ref().map_or(Micros(0), |cursor| cursor.lag(log))
    }

    /// How long what a reader is sent next has waited whose socket is full.
    pub(super) fn waited(&self, log: &StreamLog, now: Micros) -> Micros {
        let waited = self.lag(log) + now.since(log.newest_arrival());
        waited.max(self.blocked_for(now))
    }

    /// What was dropped for this reader so far.
    pub(super) fn drops(&self) -> Drops {
        self.cursor.as_ref().map(Cursor::drops).unwrap_or_default()
    }

    /// Sends all that is ready, until the socket is full.
    pub(super) fn send(
        &mut self,
        io: &mut impl Io,
        now: Micros,
        log: Option<&StreamLog>,
        policy: &DropPolicy,
    ) -> Sent {
        if self.is_blocked() {
            return Sent::Blocked;
        }
        if let (Some(cursor), Some(log)) = (&mut self.cursor, log) {
            cursor.hold_back(log, now);
        }
        let policy = self.policy.unwrap_or(*policy);
        let sent = if self.link.is_some() {
            self.send_sealed(io, log, &policy)
        } else {
            self.send_plain(io, log, &policy)
        };
        if matches!(sent, Sent::Blocked) {
            self.blocked_since = Some(now);
            let waited = || log.map(|log| self.waited(log, now)).unwrap_or_default();
            probes::socket_full(self.id.index(), waited);
        }
        sent
    }

    fn send_plain(
        &mut self,
        io: &mut impl Io,
        log: Option<&StreamLog>,
        policy: &DropPolicy,
    ) -> Sent {
        loop {
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let id = self.id;
            let (count, wanted) = self.gather(log, policy, &mut pieces);
            if wanted == 0 {
                return Sent::All;
            }
            match io.send(id, &pieces[..count]) {
                Ok(sent) => {
                    self.bytes += sent as u64;
                    self.advance(log, sent);
                    let is_all = sent == wanted && count <= ALL_PIECES && wanted < BYTES_MAX;
                    if is_all && self.outbox.is_empty() {
                        return Sent::All;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Blocked,
                Err(error) => return Sent::Failed(error),
            }
        }
    }

    /// The same for a peer that speaks TLS. What is sealed goes out before more is, so that little
    /// waits where it cannot be dropped any more.
    fn send_sealed(
        &mut self,
        io: &mut impl Io,
        log: Option<&StreamLog>,
        policy: &DropPolicy,
    ) -> Sent {
        let Some(mut link) = self.link.take() else { return Sent::All };
        let sent = loop {
            match link.write_to(&mut PeerWriter { io, peer: self.id }) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Sent::Blocked,
                Err(error) => break Sent::Failed(error),
            }
            if link.is_handshaking() {
                break Sent::All; // the peer speaks next
            }
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let (count, wanted) = self.gather(log, policy, &mut pieces);
            if wanted == 0 {
                break Sent::All;
            }
            match link.seal(&pieces[..count]) {
                Ok(0) => break Sent::Failed(io::ErrorKind::WriteZero.into()),
                Ok(sealed) => {
                    self.bytes += sealed as u64;
                    self.advance(log, sealed);
                }
                Err(error) => break Sent::Failed(error),
            }
        };
        self.link = Some(link);
        sent
    }

    /// A part of a batch has been sent: goes on by itself from there.
    pub(super) fn sent_of_batch(&mut self, batch: &Batch<'_>, sent: usize) {
        self.bytes += sent as u64;
        self.advance(Some(batch.log()), sent);
    }

    /// Encrypts the word that nothing more will be sent, and sends it as far as the socket has
    /// room: the connection ends now, whether the peer hears it or not.
    pub(super) fn say_close(&mut self, io: &mut impl Io) {
        if let Some(link) = &mut self.link {
            link.close();
            drop(link.write_to(&mut PeerWriter { io, peer: self.id }));
        }
    }

    /// Ends reading, but completes a message that is partly sent: what is left of it goes out with
    /// the control bytes, so that the peer can read those.
    pub(super) fn finish_message(&mut self, log: &StreamLog) {
        self.stream = None;
        let Some(mut cursor) = self.cursor.take() else { return };
        if cursor.is_between() {
            return;
        }
        let mut rest = Vec::new();
        cursor.gather(log, 0, &mut |piece| {
            rest.extend_from_slice(piece);
            true
        });
        let unsent = self.outbox.split_off(self.sent);
        rest.extend(unsent);
        (self.outbox, self.sent) = (rest, 0);
    }

    /// Collects what is to be sent next, in wire order: control bytes go between messages.
    fn gather<'a>(
        &'a mut self,
        log: Option<&'a StreamLog>,
        policy: &DropPolicy,
        pieces: &mut [IoSlice<'a>; PIECES_MAX],
    ) -> (usize, usize) {
        let control = &self.outbox[self.sent..];
        let between = self.cursor.as_ref().is_none_or(Cursor::is_between);
        let (mut count, mut bytes) = (0, 0);
        if !control.is_empty() && between {
            pieces[0] = IoSlice::new(control);
            (count, bytes) = (1, control.len());
        }
        let only_the_started = !control.is_empty() && !between;
        let (Some(cursor), Some(log)) = (&mut self.cursor, log) else { return (count, bytes) };
        cursor.settle(log, policy);
        let limit = if only_the_started { 0 } else { BYTES_MAX };
        cursor.gather(log, limit, &mut |piece| {
            if count == PIECES_MAX {
                return false;
            }
            pieces[count] = IoSlice::new(piece);
            count += 1;
            bytes += piece.len();
            true
        });
        (count, bytes)
    }

    fn advance(&mut self, log: Option<&StreamLog>, sent: usize) {
        let control = (self.outbox.len() - self.sent).min(sent);
        let between = self.cursor.as_ref().is_none_or(Cursor::is_between);
        let control = if between { control } else { 0 };
        self.sent += control;
        if self.sent == self.outbox.len() && self.sent > 0 {
            // What a handshake took is given back; acknowledgements and pings fit in what is kept.
            self.outbox.clear();
            self.outbox.shrink_to(OUTBOX_BYTES_KEPT);
            self.sent = 0;
        }
        if let (Some(cursor), Some(log)) = (&mut self.cursor, log) {
            cursor.advance(log, sent - control);
        }
    }
}

/// A peer's socket as a writer that does not block.
struct PeerWriter<'a, I> {
    io: &'a mut I,
    peer: PeerId,
}

impl<I: Io> Write for PeerWriter<'_, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io.send(self.peer, &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.send(self.peer, pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
