//! Send batches: slices for the readers at one place of a log, gathered once for all of them.
//! Nearly all viewers of a stream stand at the same place.

use std::io::{self, IoSlice};

use super::io::{Io, PeerId};
use super::send_state::SendState;
use crate::media::Micros;
use crate::stream::{DropPolicy, StreamLog};
use crate::tls::{Link, SEALED_BYTES_MAX};

/// Most pieces of memory in one call. More would save nothing at the sizes of messages.
pub(super) const PIECES_MAX: usize = 64;

/// Most bytes in one call, so that one peer cannot keep the core from the others.
pub(super) const BYTES_MAX: usize = 512 << 10;

/// Viewers by TLS that are sealed for before the next call: with pictures of 12.5 KB the records of
/// all of them stay in a core's cache, and one call for so many costs nearly as little as for more.
const SEALED_AT_ONCE: usize = 16;

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

/// The encryption of peers.
pub(super) trait Links {
    /// That of a connection, if it speaks TLS.
    fn link(&mut self, peer: PeerId) -> Option<&mut Link>;

    /// What is sealed for it and waits for its socket.
    fn sealed(&self, peer: PeerId) -> &[u8];
}

/// What became of a batch at one reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes of the batch that are sent, or sealed and wait for the socket.
    pub(super) bytes: usize,
    /// Whether that is the whole batch, and nothing waits.
    pub(super) is_all: bool,
}

/// The readers of a stream who stand at one place of its log, and what each took of a batch.
#[derive(Debug, Default)]
pub(super) struct ReaderGroup {
    place: Option<u64>,
    plain: Part,
    /// Those who speak TLS.
    sealed: Part,
    results: Vec<io::Result<usize>>,
}

/// Readers, and what each took, as far as it was not asked for yet.
#[derive(Debug, Default)]
struct Part {
    peers: Vec<PeerId>,
    taken: Vec<Taken>,
    told: usize,
}

impl Part {
    fn begin(&mut self, peers: impl Iterator<Item = PeerId>) {
        self.peers.clear();
        self.peers.extend(peers);
        self.taken.clear();
        self.told = 0;
    }

    fn next(&mut self) -> Option<Taken> {
        self.told += 1;
        self.taken.get(self.told - 1).copied()
    }
}

impl ReaderGroup {
    /// Sends what is ready to those of `readers` who stand where the first of them stands that has
    /// something to take: to those without TLS by one call, to the others by one for some of them.
    /// Whether the first of them took something.
    pub(super) fn send(
        &mut self,
        io: &mut impl Io,
        batch: &mut Batch<'_>,
        readers: &[PeerId],
        (states, links): (&[SendState], &mut impl Links),
    ) -> bool {
        self.place = None;
        let (state, end) = (|id: &PeerId| &states[id.index()], batch.log.end());
        let takes = |place: &u64| *place < SendState::BLOCKED && *place != end;
        let Some(first) = readers.iter().map(|id| state(id).place).find(takes) else {
            return false;
        };
        let Some((pieces, wanted)) = batch.at(first) else { return false };
        let here = |is_sealed| {
            let is_here =
                move |id: &&PeerId| state(id).place == first && state(id).is_sealed == is_sealed;
            readers.iter().filter(is_here).copied()
        };
        self.plain.begin(here(false));
        self.sealed.begin(here(true));
        self.place = Some(first);
        if !self.plain.peers.is_empty() {
            io.send_to_all(&self.plain.peers, pieces, &mut self.results);
            let bytes = self.results.iter().map(|sent| *sent.as_ref().unwrap_or(&0));
            self.plain.taken.extend(bytes.map(|bytes| Taken { bytes, is_all: bytes == wanted }));
        }
        // More may not wait sealed: these go on by themselves.
        if wanted <= SEALED_BYTES_MAX {
            self.send_sealed(io, pieces, links);
        }
        let parts = [&self.plain, &self.sealed];
        parts.iter().any(|part| part.taken.first().is_some_and(|taken| taken.bytes > 0))
    }

    /// Seals `pieces` for a few readers at a time, and sends to them by one call.
    fn send_sealed(&mut self, io: &mut impl Io, pieces: &[IoSlice<'_>], links: &mut impl Links) {
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        for ids in self.sealed.peers.chunks(SEALED_AT_ONCE) {
            let first = self.sealed.taken.len();
            for id in ids {
                // One that fails meets its failure again when it goes on by itself.
                let bytes = links.link(*id).map_or(0, |link| link.seal(pieces).unwrap_or(0));
                self.sealed.taken.push(Taken { bytes, is_all: false });
            }
            let mut records = [IoSlice::new(&[]); SEALED_AT_ONCE];
            for (place, id) in records.iter_mut().zip(ids) {
                *place = IoSlice::new(links.sealed(*id));
            }
            io.send_each(ids, &records[..ids.len()], &mut self.results);
            let results = self.results.iter().zip(&mut self.sealed.taken[first..]);
            for (id, (sent, taken)) in ids.iter().zip(results) {
                let Some(link) = links.link(*id) else { continue };
                link.advance(*sent.as_ref().unwrap_or(&0));
                taken.is_all = taken.bytes == wanted && !link.has_sealed();
            }
        }
    }

    /// What the next reader takes: of what the group was sent, if it stands at that place, or of a
    /// batch for it alone. Nothing after a failure, which it meets again if it goes on by itself.
    pub(super) fn taken_by(
        &mut self,
        reader: PeerId,
        state: SendState,
        batch: &mut Batch<'_>,
        io: &mut impl Io,
    ) -> Taken {
        let of_group = match state.is_sealed {
            _ if self.place != Some(state.place) => None,
            true => self.sealed.next(),
            false => self.plain.next(),
        };
        match (of_group, batch.at(state.place)) {
            (Some(taken), _) => taken,
            (None, Some((pieces, wanted))) if !state.is_sealed => {
                let bytes = io.send(reader, pieces).unwrap_or(0);
                Taken { bytes, is_all: bytes == wanted }
            }
            // It seals, and sends, by itself.
            _ => Taken::default(),
        }
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
