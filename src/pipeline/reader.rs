//! A peer's sending half: a cursor into a stream's log, and the few control bytes that go between
//! its messages. Viewers and outputs are both readers.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use std::task::Waker;

use super::batch::Batch;
use super::socket::{
    BYTES_MAX, PIECES_MAX, Raw, end_sending, has_unread, pace, send, wait_for_pictures,
};
use crate::media::Micros;
use crate::rtmp::Playback;
use crate::stream::{Cursor, DropPolicy, Drops, Start, StreamLog};
use crate::tls::Link;

/// Control bytes that may wait for a peer. One that lets more pile up is broken or hostile.
pub(super) const OUTBOX_BYTES_MAX: usize = 64 << 10;

/// A call with at most this many pieces, and not full of bytes, has all that was ready in it: no
/// limit on pieces or messages was near.
const ALL_PIECES: usize = PIECES_MAX / 2;

/// What became of an attempt to send.
#[derive(Debug)]
pub(super) enum Sent {
    /// Everything there is has been sent.
    All,
    /// The socket is full: the connection's task waits for room.
    Blocked,
    /// The connection is broken.
    Failed(io::Error),
}

/// What a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReaderKind {
    /// A connection of ours to another server.
    Output,
    /// Somebody who watches: audience.
    Viewer,
    /// A preview in the dashboard, which is none.
    Preview,
}

/// One peer's sending half.
#[derive(Debug)]
pub(super) struct Reader {
    fd: RawFd,
    /// Seals what is sent, if the peer speaks TLS.
    link: Option<Box<RefCell<Link>>>,
    state: RefCell<State>,
    /// Whether the socket was full; then only the connection's own task sends.
    blocked: Cell<bool>,
    blocked_since: Cell<Micros>,
    failed: RefCell<Option<io::Error>>,
    waker: RefCell<Option<Waker>>,
    bytes: Cell<u64>,
    kind: Cell<ReaderKind>,
    /// Its own rule for dropping, if it has one.
    policy: Cell<Option<DropPolicy>>,
}

#[derive(Debug)]
struct State {
    cursor: Option<Cursor>,
    outbox: Vec<u8>,
    sent: usize,
}

impl Reader {
    /// For the socket `fd`, which the connection's task owns and outlives this reader's use of it.
    pub(super) fn new(fd: RawFd) -> Self {
        Self {
            fd,
            link: None,
            state: RefCell::new(State { cursor: None, outbox: Vec::new(), sent: 0 }),
            blocked: Cell::new(false),
            blocked_since: Cell::new(Micros(0)),
            failed: RefCell::new(None),
            waker: RefCell::new(None),
            bytes: Cell::new(0),
            kind: Cell::new(ReaderKind::Output),
            policy: Cell::new(None),
        }
    }

    /// Gives it a rule of its own for dropping.
    pub(super) fn set_policy(&self, policy: Option<DropPolicy>) {
        self.policy.set(policy);
    }

    /// The same, for a peer that speaks TLS.
    pub(super) fn sealed(fd: RawFd, link: Link) -> Self {
        Self { link: Some(Box::new(RefCell::new(link))), ..Self::new(fd) }
    }

    /// The connection's TLS, if the peer speaks it. Not to be kept borrowed.
    pub(super) fn link(&self) -> Option<&RefCell<Link>> {
        self.link.as_deref()
    }

    /// Starts (or with `None` ends) reading a log. A message that is partly sent is completed.
    pub(super) fn set_cursor(&self, cursor: Option<Cursor>) {
        self.state.borrow_mut().cursor = cursor;
    }

    /// From here on it is sent this much of the stream; says whether it waits for a keyframe.
    pub(super) fn set_playback(&self, log: &StreamLog, playback: Playback) -> bool {
        let cursor = &mut self.state.borrow_mut().cursor;
        cursor.as_mut().is_some_and(|cursor| cursor.set_playback(log, playback))
    }

    /// Goes on as a new reader does.
    pub(super) fn restart(&self, start: Start) {
        if let Some(cursor) = &mut self.state.borrow_mut().cursor {
            cursor.restart(start);
        }
    }

    /// Appends control bytes.
    ///
    /// # Errors
    /// If more than [`OUTBOX_BYTES_MAX`] would wait: the peer does not read.
    pub(super) fn queue(&self, bytes: &[u8]) -> io::Result<()> {
        let outbox = &mut self.state.borrow_mut().outbox;
        if outbox.len() + bytes.len() > OUTBOX_BYTES_MAX {
            return Err(io::Error::other("the peer does not read what it asked for"));
        }
        outbox.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether control bytes or a started message still wait.
    pub(super) fn is_flushed(&self) -> bool {
        let state = self.state.borrow();
        let sealed = self.link().is_some_and(|link| link.borrow().has_sealed());
        !sealed && state.outbox.is_empty() && state.cursor.as_ref().is_none_or(Cursor::is_between)
    }

    /// Whether control bytes wait to be sent: the peer cannot have answered them.
    pub(super) fn holds_back(&self) -> bool {
        let sealed = self.link().is_some_and(|link| link.borrow().has_sealed());
        sealed || !self.state.borrow().outbox.is_empty()
    }

    /// Whether something has come that has not been read.
    pub(super) fn has_unread(&self) -> bool {
        has_unread(self.fd)
    }

    /// Whether the socket was full.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// The socket.
    pub(super) const fn fd(&self) -> RawFd {
        self.fd
    }

    /// How long the socket has taken nothing at all.
    pub(super) fn blocked_for(&self, now: Micros) -> Micros {
        if self.blocked.get() { now.since(self.blocked_since.get()) } else { Micros(0) }
    }

    /// Bytes sent since the connection began.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// How long what is to be sent next has been there.
    pub(super) fn lag(&self, log: &StreamLog) -> Micros {
        let state = self.state.borrow();
        state.cursor.as_ref().map_or(Micros(0), |cursor| cursor.lag(log))
    }

    /// What was dropped for this reader so far.
    pub(super) fn drops(&self) -> Drops {
        self.state.borrow().cursor.as_ref().map(Cursor::drops).unwrap_or_default()
    }

    /// Remembers whom to wake when the pump finds the socket full or broken.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut slot = self.waker.borrow_mut();
        if !slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    /// Whether little of what the peer sends wakes the connection's task.
    pub(super) fn wait_for_pictures(&self, wait: bool) {
        // Under TLS nobody knows how much of a message has come.
        if self.link.is_none() {
            wait_for_pictures(self.fd, wait);
        }
    }

    /// From here on it is sent at most so many bits per second.
    pub(super) fn pace(&self, bps: u64) {
        pace(self.fd, bps);
    }

    /// Says what it is; before it reads a stream.
    pub(super) fn set_kind(&self, kind: ReaderKind) {
        self.kind.set(kind);
    }

    pub(super) const fn kind(&self) -> ReaderKind {
        self.kind.get()
    }

    /// Whether its pace may be set; that of an output may not.
    pub(super) fn is_paced(&self) -> bool {
        self.kind.get() != ReaderKind::Output
    }

    /// Wakes the connection's task.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Takes the error that the pump met.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failed.borrow_mut().take()
    }

    /// Sends for the pump: a full or broken socket becomes the business of the connection's task.
    /// Says how many bytes went out.
    pub(super) fn pump(&self, batch: &mut Batch<'_>, now: Micros) -> u64 {
        if self.blocked.get() {
            return 0;
        }
        let before = self.bytes.get();
        if self.send_batch(batch) {
            return self.bytes.get() - before;
        }
        match self.send(Some(batch.log()), batch.policy()) {
            Sent::All => {}
            Sent::Blocked => {
                self.block(now);
                self.wake();
            }
            Sent::Failed(error) => {
                self.blocked.set(true);
                *self.failed.borrow_mut() = Some(error);
                self.wake();
            }
        }
        self.bytes.get() - before
    }

    /// Sends what the other readers at its place are sent, if it may have that. Says whether that
    /// was all; if not, it goes on by itself.
    fn send_batch(&self, batch: &mut Batch<'_>) -> bool {
        if self.link.is_some() || self.policy.get().is_some() {
            return false;
        }
        let (mut state, log) = (self.state.borrow_mut(), batch.log());
        let State { cursor: Some(cursor), outbox, .. } = &mut *state else { return false };
        let place = if outbox.is_empty() { cursor.shared_place() } else { None };
        let Some((pieces, wanted)) = place.and_then(|place| batch.at(place)) else { return false };
        // Going on by itself, it meets the failure again.
        let sent = send(self.fd, pieces).unwrap_or(0);
        self.bytes.set(self.bytes.get() + sent as u64);
        if sent == wanted {
            cursor.catch_up(log);
        } else {
            cursor.advance(log, sent);
        }
        sent == wanted
    }

    /// Sends all that is ready, until the socket is full.
    pub(super) fn send(&self, log: Option<&StreamLog>, policy: &DropPolicy) -> Sent {
        if let Some(link) = &self.link {
            return self.send_sealed(&mut link.borrow_mut(), log, policy);
        }
        let mut state = self.state.borrow_mut();
        let policy = &self.policy.get().unwrap_or(*policy);
        loop {
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let (count, wanted) = state.gather(log, policy, &mut pieces);
            if wanted == 0 {
                return Sent::All;
            }
            match send(self.fd, &pieces[..count]) {
                Ok(sent) => {
                    self.bytes.set(self.bytes.get() + sent as u64);
                    state.advance(log, sent);
                    let is_all = sent == wanted && count <= ALL_PIECES && wanted < BYTES_MAX;
                    if is_all && state.outbox.is_empty() {
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
    fn send_sealed(&self, link: &mut Link, log: Option<&StreamLog>, policy: &DropPolicy) -> Sent {
        let mut state = self.state.borrow_mut();
        loop {
            match link.write_to(&mut Raw(self.fd)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Blocked,
                Err(error) => return Sent::Failed(error),
            }
            if link.is_handshaking() {
                return Sent::All; // the peer speaks next
            }
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let (count, wanted) = state.gather(log, policy, &mut pieces);
            if wanted == 0 {
                return Sent::All;
            }
            match link.seal(&pieces[..count]) {
                Ok(0) => return Sent::Failed(io::ErrorKind::WriteZero.into()),
                Ok(sealed) => {
                    self.bytes.set(self.bytes.get() + sealed as u64);
                    state.advance(log, sealed);
                }
                Err(error) => return Sent::Failed(error),
            }
        }
    }

    /// Says to the peer that nothing more will come, once all has been sent.
    pub(super) fn end_sending(&self) {
        self.farewell();
        end_sending(self.fd);
    }

    /// Says to a peer that speaks TLS that nothing more will come, as far as its socket has room.
    pub(super) fn farewell(&self) {
        if let Some(link) = &self.link {
            let mut link = link.borrow_mut();
            link.close();
            // The connection ends now, whether the peer heard it or not.
            drop(link.write_to(&mut Raw(self.fd)));
        }
    }

    /// Ends reading, but completes a message that is partly sent: what is left of it goes out with
    /// the control bytes, so that the peer can read those.
    pub(super) fn finish_message(&self, log: &StreamLog) {
        let mut state = self.state.borrow_mut();
        let Some(mut cursor) = state.cursor.take() else { return };
        if cursor.is_between() {
            return;
        }
        let mut rest = Vec::new();
        cursor.gather(log, 0, &mut |piece| {
            rest.extend_from_slice(piece);
            true
        });
        let sent = state.sent;
        let unsent = state.outbox.split_off(sent);
        rest.extend(unsent);
        (state.outbox, state.sent) = (rest, 0);
    }

    /// Gives the first piece that waits to `write`, which says how much of it the socket took.
    /// This is how a connection's task waits for room: `None` means that nothing waits.
    pub(super) fn write_first<R>(
        &self,
        log: Option<&StreamLog>,
        policy: &DropPolicy,
        write: impl FnOnce(&[u8]) -> (usize, R),
    ) -> Option<R> {
        if let Some(link) = &self.link {
            return link.borrow_mut().write_first(write);
        }
        let mut state = self.state.borrow_mut();
        let policy = &self.policy.get().unwrap_or(*policy);
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let (count, wanted) = state.gather(log, policy, &mut pieces);
        if wanted == 0 {
            return None;
        }
        // glommio's `poll_write` of an empty slice on a full socket would register nothing.
        let first = pieces[..count].iter().find(|piece| !piece.is_empty())?;
        let (sent, result) = write(first);
        self.bytes.set(self.bytes.get() + sent as u64);
        state.advance(log, sent);
        Some(result)
    }

    /// The socket is full since `now` (or earlier, if it was already).
    pub(super) fn block(&self, now: Micros) {
        if !self.blocked.replace(true) {
            self.blocked_since.set(now);
        }
    }

    /// The socket has room again, or nothing waits for it any more.
    pub(super) fn unblock(&self) {
        self.blocked.set(false);
    }
}

impl State {
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
            self.outbox = Vec::new();
            self.sent = 0;
        }
        if let (Some(cursor), Some(log)) = (&mut self.cursor, log) {
            cursor.advance(log, sent - control);
        }
    }
}
