//! Flight recorder: a ring of 16-byte records on each thread, which is written all the time and
//! read when somebody wants to know what has happened.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use crate::media::{FrameId, Micros, Stamp};
use crate::probes;
use crate::stats::Stage;

/// Records of a thread that works for many streams (1 MiB): ten seconds of 60 streams. Older ones
/// are written over.
pub const CORE_RECORDS: usize = 1 << 16;

/// Records of a thread that works for one stream (64 KiB): ten seconds of one.
pub const WORKER_RECORDS: usize = 1 << 12;

/// Threads that record, at most. Those that begin when there are so many do not.
const THREADS_MAX: usize = 512;

/// A turn of a loop that is shorter is not recorded: most are, and say nothing.
const TURN_MIN: Micros = Micros(100);

/// Bits of a time, nanoseconds: three days. What is gathered is from the last seconds.
const TIME_BITS: u32 = 48;

/// Bits of a duration, microseconds: longer ones are recorded as 16 s.
const TOOK_BITS: u32 = 24;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A frame has passed a stage.
    Stage(Stage),
    /// A turn of the thread's loop has ended.
    Turn,
    /// So many frames wait for an encoder.
    QueueLength,
    /// So many viewers have been sent to.
    Viewers,
    /// So many viewers' sockets are full.
    Blocked,
}

impl RecordKind {
    const OTHERS: [Self; 4] = [Self::Turn, Self::QueueLength, Self::Viewers, Self::Blocked];
    const OTHERS_FROM: u8 = 128;

    const fn number(self) -> u8 {
        match self {
            Self::Stage(stage) => stage as u8,
            Self::Turn => Self::OTHERS_FROM,
            Self::QueueLength => Self::OTHERS_FROM + 1,
            Self::Viewers => Self::OTHERS_FROM + 2,
            Self::Blocked => Self::OTHERS_FROM + 3,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        match number.checked_sub(Self::OTHERS_FROM) {
            None => Stage::of_number(number).map(Self::Stage),
            Some(other) => Self::OTHERS.get(usize::from(other)).copied(),
        }
    }
}

/// One thing that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What.
    pub kind: RecordKind,
    /// When it had happened.
    pub end: Stamp,
    /// To which frame; of a count, to which source.
    pub frame: FrameId,
    /// How long it took, microseconds; of a count, the count.
    pub value: u64,
}

impl Record {
    /// As it lies in the ring.
    fn words(&self) -> [u64; 2] {
        let value = self.value.min((1 << TOOK_BITS) - 1);
        let time = self.end.nanos() & ((1 << TIME_BITS) - 1);
        let head = time << (u64::BITS - TIME_BITS) | u64::from(self.kind.number());
        [head, self.frame.bits() << TOOK_BITS | value]
    }

    /// What lies in the ring, as it was at `now`.
    fn of(words: [u64; 2], now: Stamp) -> Option<Self> {
        let [head, body] = words;
        let kind = RecordKind::of_number(u8::try_from(head & 0xff).unwrap_or(u8::MAX))?;
        let time = head >> (u64::BITS - TIME_BITS);
        let before = now.nanos().wrapping_sub(time) & ((1 << TIME_BITS) - 1);
        Some(Self {
            kind,
            end: Stamp::from_nanos(now.nanos().saturating_sub(before)),
            frame: FrameId::from_bits(body >> TOOK_BITS),
            value: body & ((1 << TOOK_BITS) - 1),
        })
    }
}

/// The ring of a thread. Its thread alone writes; anybody reads, and leaves out what was written
/// over meanwhile.
#[derive(Debug)]
struct Ring {
    thread: String,
    /// The thread's number in the kernel.
    id: i32,
    /// Records so far.
    written: AtomicU64,
    places: Box<[[AtomicU64; 2]]>,
}

impl Ring {
    fn new(thread: String, id: i32, records: usize) -> Self {
        let places = (0..records.next_power_of_two()).map(|_| Default::default()).collect();
        Self { thread, id, written: AtomicU64::new(0), places }
    }

    fn place(&self, number: u64) -> &[AtomicU64; 2] {
        let mask = self.places.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the mask cuts it off")]
        let at = number as usize & mask;
        &self.places[at]
    }

    fn push(&self, record: &Record) {
        let number = self.written.load(Ordering::Relaxed);
        let [head, body] = record.words();
        let place = self.place(number);
        // Whoever sees one of these sees as well that all records before it were written.
        place[0].store(head, Ordering::Release);
        place[1].store(body, Ordering::Release);
        self.written.store(number + 1, Ordering::Release);
    }

    /// What is there, oldest first, of the time from `since` on.
    fn read(&self, since: Stamp, now: impl Fn() -> Stamp) -> ThreadRecords {
        let end = self.written.load(Ordering::Acquire);
        let room = self.places.len() as u64;
        let begin = end.saturating_sub(room);
        let words: Vec<_> = (begin..end)
            .map(|number| {
                let place = self.place(number);
                [place[0].load(Ordering::Acquire), place[1].load(Ordering::Acquire)]
            })
            .collect();
        // The one that is being written now lies in the place of the oldest.
        let whole = (self.written.load(Ordering::Acquire) + 1).saturating_sub(room);
        let now = now();
        let lost = usize::try_from(whole.saturating_sub(begin)).unwrap_or(usize::MAX);
        let records = words.into_iter().skip(lost).filter_map(|words| Record::of(words, now));
        let records: Vec<_> = records.collect();
        let is_cut = begin > 0 && records.first().is_some_and(|oldest| oldest.end > since);
        let records = records.into_iter().filter(|record| record.end >= since).collect();
        ThreadRecords { thread: self.thread.clone(), id: self.id, records, is_cut }
    }
}

/// What a thread has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadRecords {
    /// The thread's name.
    pub thread: String,
    /// Its number in the kernel.
    pub id: i32,
    /// Oldest first.
    pub records: Vec<Record>,
    /// Whether older ones that were asked for have been written over.
    pub is_cut: bool,
}

/// Threads that record, each for as long as it runs.
type Rings = Vec<Weak<Ring>>;

static RINGS: ArcSwapOption<Rings> = ArcSwapOption::const_empty();

thread_local! {
    static OWN: OnceCell<Arc<Ring>> = const { OnceCell::new() };
}

/// This thread, of that number in the kernel, records from here on until it ends, and its last
/// `records` are there to be read.
pub fn begin_recording(id: i32, records: usize) {
    if cfg!(feature = "no-trace") {
        return;
    }
    OWN.with(|own| {
        own.get_or_init(|| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            let ring = Arc::new(Ring::new(name, id, records));
            RINGS.rcu(|rings| {
                let live = rings.iter().flat_map(|rings| rings.iter());
                let live = live.filter(|ring| ring.strong_count() > 0).cloned();
                let mut all: Rings = live.take(THREADS_MAX - 1).collect();
                all.push(Arc::downgrade(&ring));
                Some(Arc::new(all))
            });
            ring
        });
    });
}

fn record(record: &Record) {
    if cfg!(feature = "no-trace") {
        return;
    }
    // After the end of a thread's values nobody could read it any more.
    let _recorded = OWN.try_with(|own| {
        if let Some(ring) = own.get() {
            ring.push(record);
        }
    });
}

/// A frame has passed a stage, which took so long: the stage's probe fires. Threads that do not
/// record leave it at that.
#[inline]
pub fn record_stage(stage: Stage, frame: FrameId, end: Stamp, took: Micros) {
    fire(stage, frame, took);
    record(&Record { kind: RecordKind::Stage(stage), end, frame, value: took.0 });
}

/// The probe of a stage that is a part of the way; there is none for stretches of several,
/// nor for what was before it.
#[inline]
fn fire(stage: Stage, frame: FrameId, took: Micros) {
    match stage {
        Stage::Tick => probes::frame_started(frame, took),
        Stage::Compose => probes::frame_composed(frame, took),
        Stage::Scale => probes::frame_scaled(frame, took),
        Stage::Queue => probes::frame_taken(frame, took),
        Stage::Lookahead => probes::frame_encoding(frame, took),
        Stage::Encode => probes::frame_encoded(frame, took),
        Stage::Read => probes::message_read(frame, took),
        Stage::Append => probes::frame_appended(frame, took),
        Stage::Hop => probes::frame_received(frame, took),
        Stage::Send => probes::frame_sent(frame, took),
        Stage::FanOut => probes::frame_served(frame, took),
        Stage::Blocked
        | Stage::ToLog
        | Stage::ToFirst
        | Stage::ToLast
        | Stage::Origin
        | Stage::PublisherCapture
        | Stage::PublisherEncode
        | Stage::PublisherUplink => {}
    }
}

/// A turn of this thread's loop has ended.
pub fn record_turn(end: Stamp, took: Micros) {
    probes::loop_turn(took);
    if took >= TURN_MIN {
        record(&Record { kind: RecordKind::Turn, end, frame: FrameId::default(), value: took.0 });
    }
}

/// There are so many of something now, of this source.
pub fn record_count(kind: RecordKind, source: u16, at: Stamp, count: u64) {
    match kind {
        RecordKind::QueueLength => probes::frames_waiting(source, count),
        RecordKind::Viewers => probes::viewers_sent(source, count),
        RecordKind::Blocked => probes::viewers_full(source, count),
        RecordKind::Stage(_) | RecordKind::Turn => {}
    }
    record(&Record { kind, end: at, frame: FrameId::new(source, 0), value: count });
}

/// What all threads of the process have recorded since a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// By thread.
    pub threads: Vec<ThreadRecords>,
}

/// Gathers what all threads of the process have recorded since then. `now` tells the time. No
/// thread that records waits for it.
#[must_use]
pub fn gather(since: Stamp, now: impl Fn() -> Stamp) -> Gathered {
    let rings = RINGS.load_full().unwrap_or_default();
    let live = rings.iter().filter_map(Weak::upgrade);
    Gathered { threads: live.map(|ring| ring.read(since, &now)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn at(number: u64) -> Record {
        let kind = RecordKind::Stage(Stage::Encode);
        let end = Stamp::from_nanos(1_000 + number);
        Record { kind, end, frame: FrameId::new(9, number), value: number & 0xff_ffff }
    }

    const fn late() -> Stamp {
        Stamp::from_nanos(1 << 40)
    }

    #[test]
    fn every_kind_of_record_is_read_back_as_it_was() {
        let stages = Stage::ALL.map(RecordKind::Stage);
        for kind in stages.into_iter().chain(RecordKind::OTHERS) {
            let end = Stamp::from_nanos((1 << 50) + 12_345);
            let record = Record { kind, end, frame: FrameId::new(u16::MAX, 77), value: 99 };
            let now = Stamp::from_nanos((1 << 50) + 5_000_000_000);
            assert_eq!(Record::of(record.words(), now), Some(record));
        }
        let long = Record { value: u64::MAX, ..at(1) };
        assert_eq!(Record::of(long.words(), late()).unwrap().value, 0xff_ffff);
        assert_eq!(Record::of([0x7f, 0], late()), None);
    }

    #[test]
    fn a_ring_keeps_the_newest_and_says_that_older_ones_are_gone() {
        let ring = Ring::new("x".to_owned(), 1, 8);
        (0..5).for_each(|number| ring.push(&at(number)));
        let read = ring.read(Stamp::from_nanos(1_002), late);
        assert_eq!((read.records, read.is_cut), (vec![at(2), at(3), at(4)], false));
        (5..20).for_each(|number| ring.push(&at(number)));
        let read = ring.read(Stamp::NONE, late);
        let newest: Vec<_> = (13..20).map(at).collect();
        assert_eq!((read.records, read.is_cut), (newest, true));
    }

    #[test]
    fn what_is_read_while_a_thread_writes_was_written_so() {
        let (ring, stop) = (Ring::new("x".to_owned(), 1, 64), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    ring.push(&at(number));
                }
            });
            let mut seen = 0;
            while seen < 20_000 {
                let read = ring.read(Stamp::NONE, late);
                for pair in read.records.windows(2) {
                    assert_eq!(pair[0].end.nanos() + 1, pair[1].end.nanos());
                }
                for record in &read.records {
                    let number = record.end.nanos() - 1_000;
                    assert_eq!(record.value, number & 0xff_ffff);
                    assert_eq!(record.frame, FrameId::new(9, number));
                }
                seen += read.records.len();
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_thread_that_records_is_gathered_until_it_ends() {
        let of = |gathered: Gathered| {
            gathered.threads.into_iter().find(|thread| thread.thread == "recorded")
        };
        std::thread::scope(|scope| {
            let run = || {
                record_turn(Stamp::from_nanos(5), Micros(500));
                begin_recording(42, 16);
                record_turn(Stamp::from_nanos(5_000_000), Micros(500));
                record_turn(Stamp::from_nanos(6_000_000), Micros(5));
                record_stage(Stage::Send, FrameId::new(1, 2), late(), Micros(3));
                of(gather(Stamp::NONE, late))
            };
            let thread = std::thread::Builder::new().name("recorded".to_owned());
            let told = thread.spawn_scoped(scope, run).unwrap().join().unwrap().unwrap();
            assert_eq!((told.id, told.records.len()), (42, 2), "{told:?}");
            assert_eq!(told.records[0].kind, RecordKind::Turn);
        });
        assert_eq!(of(gather(Stamp::NONE, late)), None);
    }
}
