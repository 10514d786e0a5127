//! Fan-out of a decoder: hands its pictures to every scene that shows them, and keeps the newest
//! for those that will.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::decode::QUEUE_PICTURES;
use crate::frame::PictureEvent;
use crate::media::Micros;
use crate::ring::Sender;
use crate::runtime::Clock;

/// Pictures that may wait for their time. A file is not decoded further ahead.
pub const PICTURE_QUEUE: usize = QUEUE_PICTURES as usize;

/// Pictures that one composer may have waiting: those, and as many as are due and not taken yet. A
/// composer that has not run for so long loses what is new.
pub const TAKER_QUEUE: usize = PICTURE_QUEUE + PICTURE_QUEUE / 2;

/// The pictures of one decoder. Clones are the same.
///
/// The lock is held for as long as it takes to copy a few references, by the decoder's thread and
/// by those that load scenes; no composer takes it.
#[derive(Clone, Debug)]
pub struct FanOut(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sizes: Sizes,
    /// Whether it is decoded for those that will take it.
    is_warm: AtomicBool,
    /// Whether nobody else can take it any more.
    is_let_go: AtomicBool,
    /// What says which pictures are due; without it none is kept.
    clock: Option<Clock>,
}

#[expect(clippy::disallowed_types, reason = "held for a moment, by threads that load and decode")]
type Sizes = std::sync::Mutex<Vec<SizeOut>>;

/// One of the sizes that pictures are made at.
#[derive(Debug, Default)]
struct SizeOut {
    rings: Vec<PictureRing>,
    /// What has been handed on: the newest of what is due, and all that is not.
    recent: VecDeque<PictureEvent>,
    /// How much has been handed on.
    count: u64,
}

/// The way to one composer. A full ring drops what is new, but for the word that the source has
/// ended or failed: without it, its last picture would stand for ever.
#[derive(Debug)]
struct PictureRing {
    ring: Sender<PictureEvent>,
    /// The end or the failure for which there was no room yet.
    owed: Option<PictureEvent>,
}

impl PictureRing {
    const fn new(ring: Sender<PictureEvent>) -> Self {
        Self { ring, owed: None }
    }

    /// Hands on an end or a failure for which there was no room.
    fn settle(&mut self) {
        if let Some(event) = self.owed.take() {
            self.owed = self.ring.push(event).err();
        }
    }

    fn push(&mut self, picture: PictureEvent) {
        if !matches!(picture, PictureEvent::Picture { .. }) {
            self.owed = Some(picture);
            return self.settle();
        }
        self.settle();
        if self.owed.is_none() && !self.ring.is_closed() {
            drop(self.ring.push(picture));
        }
    }

    /// Whether there is no room for another picture.
    fn is_full(&self) -> bool {
        self.ring.len() + 2 > self.ring.capacity()
    }
}

impl SizeOut {
    fn push(&mut self, picture: &PictureEvent, keeps: Option<Micros>) {
        self.rings.retain(|it| !it.ring.is_closed());
        self.rings.iter_mut().for_each(|it| it.push(picture.share()));
        self.count += 1;
        if let Some(now) = keeps {
            if self.recent.len() == PICTURE_QUEUE {
                self.recent.pop_front();
            }
            self.recent.push_back(picture.share());
            self.trim(now);
        }
    }

    /// Forgets what lies before the newest of what is due.
    fn trim(&mut self, now: Micros) {
        while self.recent.get(1).is_some_and(|next| is_due(next, now)) {
            self.recent.pop_front();
        }
    }

    /// Pictures that wait for their time.
    fn ahead(&mut self, now: Micros) -> usize {
        self.trim(now);
        self.recent.iter().filter(|event| !is_due(event, now)).count()
    }
}

fn is_due(event: &PictureEvent, now: Micros) -> bool {
    !matches!(event, PictureEvent::Picture { at, .. } if *at > now)
}

impl FanOut {
    /// To these rings alone, one for each size.
    pub(super) fn fixed(rings: impl IntoIterator<Item = Sender<PictureEvent>>) -> Self {
        let size = |ring| SizeOut { rings: vec![PictureRing::new(ring)], ..SizeOut::default() };
        let sizes = rings.into_iter().map(size).collect();
        Self::with(sizes, None)
    }

    /// For whoever takes pictures of one of so many sizes, until it is let go.
    #[must_use]
    pub fn new(sizes: usize, clock: Clock) -> Self {
        Self::with((0..sizes).map(|_| SizeOut::default()).collect(), Some(clock))
    }

    fn with(sizes: Vec<SizeOut>, clock: Option<Clock>) -> Self {
        let is_let_go = AtomicBool::new(clock.is_none());
        let shared =
            Shared { sizes: sizes.into(), is_warm: AtomicBool::default(), is_let_go, clock };
        Self(Arc::new(shared))
    }

    fn sizes(&self) -> MutexGuard<'_, Vec<SizeOut>> {
        self.0.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands pictures of a size to this ring as well: at once the newest that is due, and those
    /// that wait for their time.
    pub fn add(&self, size: usize, ring: Sender<PictureEvent>) {
        let now = self.0.clock.map(|clock| clock.now());
        let (mut sizes, mut ring) = (self.sizes(), PictureRing::new(ring));
        let Some(out) = sizes.get_mut(size) else { return };
        out.rings.retain(|it| !it.ring.is_closed());
        out.trim(now.unwrap_or_default());
        out.recent.iter().for_each(|event| ring.push(event.share()));
        out.rings.push(ring);
    }

    /// The newest of what is due of a size, and its number, if that is not `known`.
    #[must_use]
    pub fn newest(&self, size: usize, known: u64) -> Option<(u64, PictureEvent)> {
        let now = self.0.clock?.now();
        let mut sizes = self.sizes();
        let out = sizes.get_mut(size)?;
        out.trim(now);
        let first = out.recent.front().filter(|event| is_due(event, now))?;
        let number = out.count + 1 - out.recent.len() as u64;
        (number != known).then(|| (number, first.share()))
    }

    /// Whether it is to be decoded though nobody takes it.
    pub fn set_warm(&self, is_warm: bool) {
        self.0.is_warm.store(is_warm, Ordering::Relaxed);
    }

    /// Whether that is so.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.0.is_warm.load(Ordering::Relaxed)
    }

    /// Nobody will take it any more, beside those that do.
    pub fn let_go(&self) {
        self.set_warm(false);
        self.0.is_let_go.store(true, Ordering::Relaxed);
        self.sizes().iter_mut().for_each(|size| size.recent.clear());
    }

    /// How many take it at a size, or have until lately.
    #[cfg(test)]
    pub(crate) fn takers(&self, size: usize) -> usize {
        self.sizes()[size].rings.len()
    }

    /// No more will come.
    pub(super) fn end(&self) {
        self.sizes().clear();
    }

    /// Whether no more will come.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.sizes().is_empty()
    }

    /// Whether somebody takes it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.sizes().iter().flat_map(|size| &size.rings).any(|it| !it.ring.is_closed())
    }

    /// Whether nobody looks now.
    pub(super) fn is_unseen(&self) -> bool {
        !self.is_warm() && !self.is_taken()
    }

    /// Whether nobody looks or will.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_let_go.load(Ordering::Relaxed) && !self.is_taken()
    }

    /// Hands on a picture at the first size; an end or a failure at all sizes.
    pub(super) fn push(&self, event: &PictureEvent) {
        match event {
            PictureEvent::Picture { .. } => self.push_at(0, event),
            PictureEvent::Ended | PictureEvent::Failed => {
                let count = self.sizes().len();
                (0..count).for_each(|size| self.push_at(size, event));
            }
        }
    }

    pub(super) fn push_at(&self, size: usize, event: &PictureEvent) {
        let is_let_go = self.0.is_let_go.load(Ordering::Relaxed);
        let keeps = self.0.clock.filter(|_| !is_let_go).map(|clock| clock.now());
        if let Some(out) = self.sizes().get_mut(size) {
            out.push(event, keeps);
        }
    }

    /// Takes back what is not due and what has not been taken yet.
    pub(super) fn revoke(&self) {
        let now = self.0.clock.map(|clock| clock.now());
        for out in self.sizes().iter_mut() {
            out.recent.retain(|event| now.is_some_and(|now| is_due(event, now)));
            for it in &mut out.rings {
                it.owed = None;
                it.ring.revoke();
            }
        }
    }

    /// Hands on ends and failures for which rings had no room. Whether none is left.
    pub(super) fn settle(&self) -> bool {
        let mut sizes = self.sizes();
        sizes.iter_mut().flat_map(|size| &mut size.rings).fold(true, |is_settled, it| {
            it.settle();
            is_settled && (it.owed.is_none() || it.ring.is_closed())
        })
    }

    /// Whether enough waits for its time. Where none is kept, whether there is no room at the first
    /// size that anybody shows, which sets the pace.
    pub(super) fn is_full(&self) -> bool {
        let mut sizes = self.sizes();
        if let Some(clock) = self.0.clock.filter(|_| !self.0.is_let_go.load(Ordering::Relaxed)) {
            let now = clock.now();
            return sizes.first_mut().is_some_and(|size| size.ahead(now) + 2 > PICTURE_QUEUE);
        }
        let mut rings = sizes.iter().flat_map(|size| &size.rings);
        rings.find(|it| !it.ring.is_closed()).is_some_and(PictureRing::is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::{PixelFormat, Size};
    use crate::ring::{Bell, Receiver, channel};

    /// Later than any of these tests.
    const LATER: Micros = Micros::from_secs(1_000_000);

    fn pool() -> Pool {
        let size = Size::new(64, 32).unwrap();
        Pool::new(Geometry::new(size, PixelFormat::I420), 64).unwrap()
    }

    fn picture(pool: &Pool, at: Micros) -> PictureEvent {
        PictureEvent::Picture { frame: pool.take().unwrap().freeze(), at }
    }

    fn taker(out: &FanOut) -> Receiver<PictureEvent> {
        let (ring, pictures) = channel(TAKER_QUEUE, Bell::new());
        out.add(0, ring);
        pictures
    }

    /// The times of what is in a ring; nothing for an end.
    fn times(ring: &mut Receiver<PictureEvent>) -> Vec<Option<u64>> {
        let events = std::iter::from_fn(|| ring.pop());
        let time = |event| match event {
            PictureEvent::Picture { at, .. } => Some(at.0),
            _ => None,
        };
        events.map(time).collect()
    }

    #[test]
    fn who_comes_later_has_the_newest_picture_at_once_and_those_to_come_with_the_others() {
        let (pool, out) = (pool(), FanOut::new(1, Clock::start()));
        let mut first = taker(&out);
        for at in [Micros(0), Micros(1), LATER, LATER + Micros(1)] {
            out.push(&picture(&pool, at));
        }
        let (now, after) = (Some(LATER.0), Some(LATER.0 + 1));
        assert_eq!(times(&mut first), [Some(0), Some(1), now, after]);
        let mut second = taker(&out);
        assert_eq!(times(&mut second), [Some(1), now, after], "what has gone is not shown again");
        out.push(&PictureEvent::Ended);
        assert_eq!((times(&mut first), times(&mut second)), (vec![None], vec![None]));
    }

    #[test]
    fn what_nobody_takes_is_decoded_no_further_ahead_and_keeps_few_pictures() {
        let (pool, out) = (pool(), FanOut::new(1, Clock::start()));
        out.set_warm(true);
        for _ in 0..200 {
            drop(taker(&out));
            out.push(&picture(&pool, Micros(0)));
        }
        assert_eq!((pool.in_use(), out.is_full()), (1, false));
        while !out.is_full() {
            out.push(&picture(&pool, LATER));
        }
        assert_eq!(pool.in_use(), PICTURE_QUEUE);
        assert!(!out.is_unseen() && !out.is_over());
        out.let_go();
        assert!(out.is_unseen() && out.is_over());
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_taker_that_stops_taking_keeps_nobody_else_waiting() {
        let (pool, out) = (pool(), FanOut::new(1, Clock::start()));
        let (asleep, mut awake) = (taker(&out), taker(&out));
        for _ in 0..2 * TAKER_QUEUE {
            out.push(&picture(&pool, Micros(0)));
            assert_eq!(times(&mut awake), [Some(0)]);
            assert!(!out.is_full());
        }
        assert_eq!(asleep.len(), TAKER_QUEUE);
    }

    #[test]
    fn who_looks_now_and_then_is_given_each_picture_once() {
        let (pool, out) = (pool(), FanOut::new(1, Clock::start()));
        assert!(out.newest(0, 0).is_none());
        out.push(&picture(&pool, Micros(0)));
        out.push(&picture(&pool, LATER));
        let (number, _) = out.newest(0, 0).unwrap();
        assert!(out.newest(0, number).is_none(), "the other is not due");
        out.push(&PictureEvent::Failed);
        assert!(out.newest(0, number).is_none(), "nor is what comes after it");
    }

    #[test]
    fn who_takes_from_a_decoder_that_is_gone_hears_that_nothing_comes() {
        let out = FanOut::new(1, Clock::start());
        let mut before = taker(&out);
        drop(crate::pipeline::DecodeOut::shared(out.clone(), Vec::new()));
        let after = taker(&out);
        assert!(before.pop().is_none() && before.is_finished() && after.is_finished());
        assert!(out.is_ended());
    }
}
