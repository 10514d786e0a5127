//! Tee: each frame goes, by reference, to all encoders and scalers that take it. Each has a ring
//! and a drop rule of its own, so that one that is slow holds nobody else.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::frame::FrozenFrame;
use crate::media::{Micros, Point, Stamp, Stamps};
use crate::ring::{Gate, Sender};
use crate::scene::Damage;
use crate::stats::{ChannelStats, DropReason};

/// A frame on its way to an encoder or a scaler.
#[derive(Debug)]
pub struct RawFrame {
    /// The picture.
    pub frame: FrozenFrame,
    /// Its number on the grid of whoever takes it.
    pub tick: u64,
    /// Whether it has to be a keyframe.
    pub is_key: bool,
    /// When it is shown, on the line of its source's times; `None` if that is its place on the
    /// grid.
    pub at: Option<Micros>,
    /// What has changed since the frame before it in the same ring.
    pub changed: Damage,
    /// When it was where on its way.
    pub stamps: Stamps,
}

/// A frame that is handed to a [`Tee`].
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    /// The tick that was admitted.
    pub tick: u64,
    /// The mark of the canvas now.
    pub mark: u64,
    /// When it is shown, see [`RawFrame::at`].
    pub at: Option<Micros>,
    /// When it was where on its way.
    pub stamps: Stamps,
}

impl Drawn {
    /// The frame of this tick on the grid, of which no more is known.
    #[must_use]
    pub fn new(tick: u64, mark: u64) -> Self {
        Self { tick, mark, at: None, stamps: Stamps::default() }
    }

    /// With the time that it has of its own.
    #[must_use]
    pub const fn at(self, at: Option<Micros>) -> Self {
        Self { at, ..self }
    }

    /// With its stamps; it is handed over now.
    #[must_use]
    pub const fn stamped(self, mut stamps: Stamps, now: Stamp) -> Self {
        stamps.set(Point::Queued, now);
        Self { stamps, ..self }
    }
}

/// How many frames an encoder leaves out for lack of time: it says so, and nobody draws them.
#[derive(Clone, Debug)]
pub struct Share(Arc<AtomicU32>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl Share {
    /// One frame of `divisor` is encoded from now on.
    pub(super) fn set(&self, divisor: u32) {
        self.0.store(divisor.max(1), Ordering::Relaxed);
    }

    fn divisor(&self) -> u64 {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// What an encoder takes, as a part of the frames before it.
#[derive(Clone, Debug)]
pub struct Takes {
    /// One frame of so many is its own, at least 1.
    pub divisor: u32,
    /// How many of those it encodes.
    pub share: Share,
}

impl Takes {
    /// Frames from one that it encodes to the next.
    fn interval(&self) -> u64 {
        u64::from(self.divisor.max(1)) * self.share.divisor()
    }

    fn is_wanted(&self, tick: u64) -> bool {
        tick.is_multiple_of(self.interval())
    }
}

/// One way out of a [`Tee`].
#[derive(Debug)]
pub struct TeeBranch {
    ring: Sender<RawFrame>,
    gate: Gate,
    /// It takes one frame of so many at most.
    divisor: u64,
    /// What the encoders at its end take.
    wanted: Box<[Takes]>,
    /// Whether the next frame that it takes has to be a keyframe.
    owes_key: bool,
    /// Whether it takes the frame of the present tick.
    takes: bool,
    /// Mark of the canvas as it was given last.
    seen: u64,
    /// Whether an encoder is at its end.
    is_encoder: bool,
    /// Figures of those encoders that get to see its frames.
    stats: Box<[Arc<ChannelStats>]>,
}

impl TeeBranch {
    /// To an encoder.
    #[must_use]
    pub fn encoder(ring: Sender<RawFrame>, takes: Takes, stats: Arc<ChannelStats>) -> Self {
        let divisor = takes.divisor;
        Self::new(ring, (divisor, [takes].into()), [stats].into(), true)
    }

    /// To a scaler, which takes one frame of `divisor` at most, at least 1, for the encoders that
    /// take these of the same frames and have these figures.
    #[must_use]
    pub fn scaler(
        ring: Sender<RawFrame>,
        divisor: u32,
        encoders: impl IntoIterator<Item = (Takes, Arc<ChannelStats>)>,
    ) -> Self {
        let (wanted, stats): (Vec<_>, Vec<_>) = encoders.into_iter().unzip();
        Self::new(ring, (divisor, wanted.into()), stats.into(), false)
    }

    fn new(
        ring: Sender<RawFrame>,
        (divisor, wanted): (u32, Box<[Takes]>),
        stats: Box<[Arc<ChannelStats>]>,
        is_encoder: bool,
    ) -> Self {
        Self {
            gate: Gate::for_capacity(ring.capacity()),
            ring,
            divisor: u64::from(divisor.max(1)),
            wanted,
            owes_key: false,
            takes: false,
            // No canvas has this mark: the first frame is all new.
            seen: 0,
            is_encoder,
            stats,
        }
    }

    fn look(&mut self, tick: u64, is_key: bool) {
        self.owes_key |= is_key;
        self.takes = false;
        let is_wanted = self.owes_key || self.wanted.iter().any(|it| it.is_wanted(tick));
        if !tick.is_multiple_of(self.divisor) || !is_wanted {
            return;
        }
        let waiting = self.ring.len();
        if self.is_encoder {
            self.stats.iter().for_each(|stats| stats.queue_length(waiting));
        }
        self.takes = self.gate.admits(waiting);
        if !self.takes {
            self.dropped(DropReason::QueueFull, 1);
        }
    }

    fn dropped(&self, reason: DropReason, frames: u64) {
        self.stats.iter().for_each(|stats| stats.dropped(reason, frames));
    }
}

/// The ways that frames take.
#[derive(Debug)]
pub struct Tee {
    branches: Vec<TeeBranch>,
}

impl Tee {
    /// To all of these.
    #[must_use]
    pub const fn new(branches: Vec<TeeBranch>) -> Self {
        Self { branches }
    }

    /// Whether all whom it led to have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.branches.iter().all(|branch| branch.ring.is_closed())
    }

    /// Whether anybody takes the frame of `tick`, which has to be a keyframe if `is_key`: for those
    /// who do not take it, the next one that they do take. Counts it as dropped where the encoder
    /// or the scaler is behind.
    pub fn admits(&mut self, tick: u64, is_key: bool) -> bool {
        // The rings of those that have ended hold frames as well.
        self.branches.retain(|branch| !branch.ring.is_closed());
        self.branches.iter_mut().for_each(|branch| branch.look(tick, is_key));
        self.branches.iter().any(|branch| branch.takes)
    }

    /// Gives the frame of the tick that was admitted to those who take it. `changed_since` says
    /// what has changed since the canvas had another mark. Whether anybody had room for it.
    pub fn push(
        &mut self,
        frame: &FrozenFrame,
        Drawn { tick, mark, at, stamps }: Drawn,
        changed_since: impl Fn(u64) -> Damage,
    ) -> bool {
        let mut is_seen = false;
        for branch in self.branches.iter_mut().filter(|branch| branch.takes) {
            let raw = RawFrame {
                frame: frame.share(),
                tick: tick / branch.divisor,
                is_key: branch.owes_key,
                at,
                changed: changed_since(branch.seen),
                stamps,
            };
            if branch.ring.push(raw).is_err() {
                branch.dropped(DropReason::QueueFull, 1);
                continue;
            }
            (branch.owes_key, branch.seen) = (false, mark);
            if branch.is_encoder {
                branch.stats.iter().for_each(|stats| stats.composed());
            }
            is_seen = true;
        }
        is_seen
    }

    /// Frames that wait in the fullest of its rings.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.branches.iter().map(|branch| branch.ring.len()).max().unwrap_or(0)
    }

    /// There is no frame for the tick that was admitted: all of the pool are in use.
    pub fn no_frame(&self) {
        let taking = self.branches.iter().filter(|branch| branch.takes);
        taking.for_each(|branch| branch.dropped(DropReason::PoolEmpty, 1));
    }

    /// These ticks were not run in time.
    pub fn missed(&self, ticks: Range<u64>) {
        for branch in &self.branches {
            let Some(interval) = branch.wanted.iter().map(Takes::interval).min() else { continue };
            let [before, after] = [ticks.start, ticks.end].map(|at| at.div_ceil(interval));
            branch.dropped(DropReason::Late, after - before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Geometry, Pool};
    use crate::media::{PixelFormat, Size};
    use crate::ring::{Bell, Receiver, channel};

    struct End {
        frames: Receiver<RawFrame>,
        stats: Arc<ChannelStats>,
    }

    impl End {
        fn take(&mut self) -> Vec<(u64, bool)> {
            std::iter::from_fn(|| self.frames.pop()).map(|raw| (raw.tick, raw.is_key)).collect()
        }
    }

    fn size() -> Size {
        Size::new(64, 32).unwrap()
    }

    fn branch(room: usize, divisor: u32) -> (TeeBranch, End) {
        let (ring, frames) = channel(room, Bell::new());
        let stats = Arc::new(ChannelStats::default());
        let takes = Takes { divisor, share: Share::default() };
        let branch = TeeBranch::encoder(ring, takes, Arc::clone(&stats));
        (branch, End { frames, stats })
    }

    fn pool() -> Pool {
        Pool::new(Geometry::new(size(), PixelFormat::I420), 64).unwrap()
    }

    fn run(tee: &mut Tee, pool: &Pool, tick: u64, is_key: bool) -> bool {
        let frame = || pool.take().unwrap().freeze();
        tee.admits(tick, is_key)
            && tee.push(&frame(), Drawn::new(tick, tick), |_| Damage::whole(size()))
    }

    #[test]
    fn one_that_takes_nothing_holds_nobody_and_no_more_frames_than_its_queue_has() {
        let ((fast, mut fast_end), (slow, slow_end)) = (branch(30, 1), branch(6, 1));
        let (mut tee, pool) = (Tee::new(vec![fast, slow]), pool());
        for tick in 0..500 {
            assert!(run(&mut tee, &pool, tick, false));
            assert_eq!(fast_end.take(), [(tick, false)]);
            assert!(pool.in_use() <= 6);
        }
        assert_eq!(
            (fast_end.stats.read().composed, fast_end.stats.read().dropped_total()),
            (500, 0)
        );
        let slow = slow_end.stats.read();
        assert_eq!(slow.composed + slow.dropped[DropReason::QueueFull as usize], 500);
        assert!(slow.composed <= 6);
    }

    #[test]
    fn a_keyframe_that_one_has_no_room_for_is_its_next_frame_and_nobody_elses() {
        let ((first, mut first_end), (second, mut second_end)) = (branch(30, 1), branch(1, 1));
        let (mut tee, pool) = (Tee::new(vec![first, second]), pool());
        run(&mut tee, &pool, 0, true);
        run(&mut tee, &pool, 1, true);
        assert_eq!(second_end.take(), [(0, true)], "there was no room for the other");
        run(&mut tee, &pool, 2, false);
        run(&mut tee, &pool, 3, false);
        assert_eq!(second_end.take(), [(2, true)]);
        assert_eq!(first_end.take(), [(0, true), (1, true), (2, false), (3, false)]);
    }

    #[test]
    fn a_part_of_the_frames_has_a_grid_of_its_own_and_misses_its_part() {
        let ((all, mut all_end), (third, mut third_end)) = (branch(30, 1), branch(30, 3));
        let (mut tee, pool) = (Tee::new(vec![all, third]), pool());
        (3..10).for_each(|tick| assert!(run(&mut tee, &pool, tick, tick == 4)));
        assert_eq!(third_end.take(), [(1, false), (2, true), (3, false)]);
        assert_eq!(all_end.take().len(), 7);
        tee.missed(10..19);
        tee.missed(19..21);
        let late = |end: &End| end.stats.read().dropped[DropReason::Late as usize];
        assert_eq!((late(&all_end), late(&third_end)), (11, 3), "12, 15 and 18");
    }

    #[test]
    fn frames_of_one_that_has_ended_are_given_back() {
        let ((first, mut first_end), (second, second_end)) = (branch(30, 1), branch(30, 1));
        let (mut tee, pool) = (Tee::new(vec![first, second]), pool());
        (0..5).for_each(|tick| assert!(run(&mut tee, &pool, tick, false)));
        first_end.take();
        assert_eq!(pool.in_use(), 5);
        drop(second_end.frames);
        assert!(run(&mut tee, &pool, 5, false));
        assert_eq!((first_end.take().len(), pool.in_use()), (1, 0));
    }

    #[test]
    fn a_scaler_takes_what_one_of_its_encoders_encodes() {
        let (ring, mut frames) = channel(30, Bell::new());
        let shares = [Share::default(), Share::default()];
        let encoders = [1, 2].into_iter().zip(&shares).map(|(divisor, share)| {
            (Takes { divisor, share: share.clone() }, Arc::new(ChannelStats::default()))
        });
        let (mut tee, pool) = (Tee::new(vec![TeeBranch::scaler(ring, 1, encoders)]), pool());
        let mut run = |ticks: Range<u64>| -> Vec<u64> {
            for tick in ticks {
                run(&mut tee, &pool, tick, false);
            }
            std::iter::from_fn(|| frames.pop()).map(|raw| raw.tick).collect()
        };
        assert_eq!(run(0..4), [0, 1, 2, 3]);
        shares[0].set(3);
        assert_eq!(run(4..10), [4, 6, 8, 9], "every third, and every second");
        shares[1].set(2);
        assert_eq!(run(10..17), [12, 15, 16]);
    }
}
