//! Send batches: slices for the readers at one place of a log, gathered once for all of them.
//! Nearly all viewers of a stream stand at the same place.

use std::io::{self, IoSlice};

use super::io::{Io, PeerId};
use super::send_state::SendState;
use crate::media::Micros;
use crate::stream::{DropPolicy, StreamLog};

/// Most pieces of memory in one call. More would save nothing at the sizes of messages.
pub(super) const PIECES_MAX: usize = 64;

/// Most bytes in one call, so that one peer cannot keep the core from the others.
pub(super) const BYTES_MAX: usize = 512 << 10;

/// The pieces of all messages of a log from one place on. A batch belongs to one state of the log.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    log: &'a StreamLog,
    policy: &'a DropPolicy,
    from: u64,
    count: usize,
    bytes: usize,
    /// Whether these are all messages, and none of them is to be dropped.
    whole: bool,
    pieces: [IoSlice<'a>; PIECES_MAX],
}

impl<'a> Batch<'a> {
    pub(super) fn new(log: &'a StreamLog, policy: &'a DropPolicy) -> Self {
        let pieces = [IoSlice::new(&[]); PIECES_MAX];
        Self { log, policy, from: u64::MAX, count: 0, bytes: 0, whole: false, pieces }
    }

    pub(super) const fn log(&self) -> &'a StreamLog {
        self.log
    }

    /// Everything from message `from` on, and its bytes: for a reader that takes all of it. `None`
    /// if there is nothing, too much for one call, or so much that a reader may have to jump.
    pub(super) fn at(&mut self, from: u64) -> Option<(&[IoSlice<'a>], usize)> {
        if self.from != from {
            self.gather(from);
        }
        self.whole.then(|| (&self.pieces[..self.count], self.bytes))
    }

    fn gather(&mut self, from: u64) {
        (self.from, self.count, self.bytes) = (from, 0, 0);
        let (count, bytes, pieces) = (&mut self.count, &mut self.bytes, &mut self.pieces);
        let fits = self.log.pieces_from(from, &mut |piece| {
            let Some(place) = pieces.get_mut(*count) else { return false };
            *place = IoSlice::new(piece);
            *count += 1;
            *bytes += piece.len();
            *bytes < BYTES_MAX
        });
        let high = Micros::from_millis(self.policy.high_ms.into());
        self.whole = fits && self.count > 0 && self.log.lag(from) <= high;
    }
}

/// The readers of a stream who stand at one place of its log, and what each took of a batch.
#[derive(Debug, Default)]
pub(super) struct ReaderGroup {
    place: Option<u64>,
    peers: Vec<PeerId>,
    results: Vec<io::Result<usize>>,
    /// Results that were asked for.
    told: usize,
}

impl ReaderGroup {
    /// Sends what is ready to those of `readers` who stand where the first of them stands that has
    /// something to take, by one call.
    pub(super) fn send(
        &mut self,
        io: &mut impl Io,
        batch: &mut Batch<'_>,
        readers: &[PeerId],
        send_states: &[SendState],
    ) {
        (self.place, self.told) = (None, 0);
        let (place, end) = (|id: &PeerId| send_states[id.index()].place, batch.log.end());
        let takes = |place: &u64| *place < SendState::BLOCKED && *place != end;
        let Some(first) = readers.iter().map(place).find(takes) else { return };
        let Some((pieces, _)) = batch.at(first) else { return };
        self.peers.clear();
        self.peers.extend(readers.iter().filter(|id| place(id) == first));
        io.send_to_all(&self.peers, pieces, &mut self.results);
        self.place = Some(first);
    }

    /// Bytes that the next reader took, if it stands at the place of the group; 0 after a failure,
    /// which it meets again if it goes on by itself.
    pub(super) fn next(&mut self, place: u64) -> Option<usize> {
        if self.place != Some(place) {
            return None;
        }
        self.told += 1;
        self.results.get(self.told - 1).map(|sent| *sent.as_ref().unwrap_or(&0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PacketBuf;
    use crate::media::Kind;
    use crate::stream::{Flags, LogLimits, Message};

    fn log(sizes: &[usize]) -> StreamLog {
        let mut log = StreamLog::new(LogLimits::default(), true);
        for (size, time) in sizes.iter().zip((0_u32..).step_by(40)) {
            let body = PacketBuf::copy_of(&vec![7; *size]);
            let message = Message::new(Kind::Video, time, Flags::KEY, body, 4096);
            log.push(message, Micros::from_millis(time.into()));
        }
        log
    }

    #[test]
    fn readers_at_one_place_share_all_that_is_ready() {
        let (log, policy) = (log(&[10, 5_000, 20]), DropPolicy::default());
        let mut batch = Batch::new(&log, &policy);
        let (pieces, bytes) = batch.at(1).unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), bytes);
        let first = pieces[0].as_ptr();
        assert!(bytes > 5_020 && bytes < 5_080, "{bytes}");
        assert_eq!(batch.at(1).unwrap().0[0].as_ptr(), first, "nothing is copied");
        let (pieces, last) = batch.at(2).unwrap();
        assert_eq!((pieces.len(), last < bytes), (1, true));
    }

    #[test]
    fn nothing_and_too_much_are_left_to_each_reader() {
        let policy = DropPolicy::default();
        let all = log(&[10, 20]);
        assert!(Batch::new(&all, &policy).at(2).is_none(), "nothing there");
        let many = log(&[10; PIECES_MAX + 1]);
        assert!(Batch::new(&many, &DropPolicy { high_ms: 60_000, low_ms: 1 }).at(0).is_none());
        let large = log(&[BYTES_MAX]);
        assert!(Batch::new(&large, &policy).at(0).is_none());
        let late = log(&[10; 30]);
        assert!(Batch::new(&late, &policy).at(0).is_none(), "some may have to jump");
        assert!(Batch::new(&late, &policy).at(5).is_some());
    }
}
