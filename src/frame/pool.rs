//! Pooled pictures: written by one owner, then frozen and shared until the last reader is done.

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::geometry::Geometry;
use super::region::{Error, Region};
use stream_manager_sync::FreeSlots;

/// A fixed number of picture slots of one geometry.
///
/// `take` gives a [`Frame`], which only its owner can write; `freeze` makes it a [`FrozenFrame`],
/// which nobody can write and which returns the slot when the last one is dropped, on any thread.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    region: Region,
    geometry: Geometry,
    stride: usize,
    free: FreeSlots,
    slots: Box<[Slot]>,
}

#[derive(Debug)]
struct Slot {
    index: u32,
    /// Handles that refer to the slot; 0 while it is free.
    refs: AtomicU32,
    /// See [`Frame::content`].
    content: AtomicU64,
    /// The pool, kept alive by one strong count per slot in use.
    pool: AtomicPtr<Inner>,
}

/// [`Frame::content`] of a slot that was never drawn.
const NEVER_DRAWN: u64 = 0;

impl Pool {
    /// Most slots a pool may have.
    pub const SLOTS_MAX: u32 = 1_024;

    /// Reserves `slots` pictures (at most [`Pool::SLOTS_MAX`]) and touches them on this thread.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn new(geometry: Geometry, slots: u32) -> Result<Self, Error> {
        let slots = slots.clamp(1, Self::SLOTS_MAX);
        let stride = geometry.bytes().next_multiple_of(4_096);
        let bytes = stride * slots as usize;
        let region = Region::new(bytes)?;
        region.touch(bytes);
        let slots = (0..slots).map(|index| Slot {
            index,
            refs: AtomicU32::new(0),
            content: AtomicU64::new(NEVER_DRAWN),
            pool: AtomicPtr::new(std::ptr::null_mut()),
        });
        let slots: Box<[Slot]> = slots.collect();
        let free = FreeSlots::all(u32::try_from(slots.len()).unwrap_or(0));
        let inner = Arc::new(Inner { region, geometry, stride, free, slots });
        for slot in &inner.slots {
            slot.pool.store(Arc::as_ptr(&inner).cast_mut(), Ordering::Relaxed);
        }
        Ok(Self(inner))
    }

    /// A picture to draw into, or `None` while all are in use: the caller drops its tick and counts
    /// it.
    #[must_use]
    pub fn take(&self) -> Option<Frame> {
        let slot = &self.0.slots[self.0.free.take()? as usize];
        let before = slot.refs.swap(1, Ordering::Relaxed);
        debug_assert_eq!(before, 0, "a free slot was still referenced");
        // SAFETY: the pointer comes from this very `Arc`; the count is given back in `release`.
        unsafe { Arc::increment_strong_count(Arc::as_ptr(&self.0)) };
        Some(Frame(Handle(NonNull::from(slot))))
    }

    /// One more reference to the picture whose first plane begins at `luma`; `None` if that is not
    /// the begin of a slot that is in use.
    ///
    /// # Safety
    /// If it is, somebody refers to the slot during the call, and nobody writes it any more.
    #[must_use]
    pub unsafe fn frozen_at(&self, luma: *const u8) -> Option<FrozenFrame> {
        let offset = luma.addr().checked_sub(self.0.region.at(0).addr().get())?;
        let slot = self.0.slots.get(offset / self.0.stride)?;
        let is_begin = offset % self.0.stride == self.0.geometry.planes()[0].offset;
        if !is_begin || slot.refs.load(Ordering::Relaxed) == 0 {
            return None;
        }
        slot.refs.fetch_add(1, Ordering::Relaxed);
        Some(FrozenFrame(Handle(NonNull::from(slot))))
    }

    /// The layout of every slot.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.0.geometry
    }

    /// Slots in all.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.0.slots.len()
    }

    /// Slots in use now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.slots.iter().filter(|slot| slot.refs.load(Ordering::Relaxed) > 0).count()
    }
}

/// One counted reference to a slot in use.
struct Handle(NonNull<Slot>);

// SAFETY: the slot's counters are atomic, its pixels are written only through the one `Frame`, and
// the pool it points to is `Send + Sync`.
unsafe impl Send for Handle {}
// SAFETY: shared access reads pixels that nobody writes (see `Frame::planes_mut`, which is `&mut`).
unsafe impl Sync for Handle {}

impl Handle {
    fn slot(&self) -> &Slot {
        // SAFETY: slots live as long as their pool, which a slot in use keeps alive.
        unsafe { self.0.as_ref() }
    }

    fn pool(&self) -> &Inner {
        // SAFETY: set once in `Pool::new`; the strong count taken in `Pool::take` keeps it alive.
        unsafe { &*self.slot().pool.load(Ordering::Relaxed) }
    }

    fn base(&self) -> NonNull<u8> {
        let pool = self.pool();
        pool.region.at(self.slot().index as usize * pool.stride)
    }

    fn plane(&self, index: usize) -> &[u8] {
        let Some(plane) = self.pool().geometry.planes().get(index) else { return &[] };
        // SAFETY: the geometry places the plane inside the slot; no `&mut` exists, because the only
        // way to one is `Frame::planes_mut`, which borrows the one handle mutably.
        unsafe {
            std::slice::from_raw_parts(
                self.base().add(plane.offset).as_ptr(),
                plane.stride * plane.rows,
            )
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let slot = self.slot();
        if slot.refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        std::sync::atomic::fence(Ordering::Acquire);
        let (pool, index) = (slot.pool.load(Ordering::Relaxed), slot.index);
        self.pool().free.put(index);
        // SAFETY: gives back the strong count taken in `Pool::take`; nothing of the slot is used
        // after this line.
        unsafe { Arc::decrement_strong_count(pool) };
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} x{}", self.slot().index, self.slot().refs.load(Ordering::Relaxed))
    }
}

/// A picture with one owner, who may write it.
#[derive(Debug)]
pub struct Frame(Handle);

/// A plane that may be written: `stride * rows` bytes, of which `width` per row hold pixels.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    /// The bytes, rows `stride` apart.
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a row that hold pixels.
    pub width: usize,
    /// Rows.
    pub rows: usize,
}

impl Frame {
    /// Size, format and planes.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.0.pool().geometry
    }

    /// Plane `index`, rows
    /// [`super::geometry::Plane::stride`] bytes apart; empty if the format has fewer.
    #[must_use]
    pub fn plane(&self, index: usize) -> &[u8] {
        self.0.plane(index)
    }

    /// All planes for writing. A format with two planes has an empty third.
    pub fn planes_mut(&mut self) -> [PlaneMut<'_>; 3] {
        let refs = self.0.slot().refs.load(Ordering::Relaxed);
        debug_assert_eq!(refs, 1, "a frame was written while somebody else refers to it");
        let base = self.0.base();
        let geometry = &self.0.pool().geometry;
        [0, 1, 2].map(|index| {
            let plane = geometry.planes().get(index).copied().unwrap_or_default();
            // SAFETY: planes of one slot do not overlap (tested in `geometry`), and `&mut self` on
            // the only handle rules out any other access to the slot.
            let data = unsafe {
                std::slice::from_raw_parts_mut(
                    base.add(plane.offset).as_ptr(),
                    plane.stride * plane.rows,
                )
            };
            PlaneMut { data, stride: plane.stride, width: plane.width, rows: plane.rows }
        })
    }

    /// Where the planes begin, for foreign code that writes the picture: until it has, nobody may
    /// look at it, frozen or not.
    #[must_use]
    pub fn planes_raw(&mut self) -> [*mut u8; 3] {
        let base = self.0.base();
        let geometry = &self.0.pool().geometry;
        [0, 1, 2].map(|index| {
            let plane = geometry.planes().get(index).copied().unwrap_or_default();
            // SAFETY: the geometry places the plane inside the slot.
            unsafe { base.add(plane.offset).as_ptr() }
        })
    }

    /// What the slot was last said to show: the composer's own mark, 0 for a slot never drawn.
    /// It survives the slot's return to the pool, so that only what changed since is redrawn.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.0.slot().content.load(Ordering::Relaxed)
    }

    /// Says what the slot shows now. 0 forgets it.
    pub fn set_content(&mut self, mark: u64) {
        self.0.slot().content.store(mark, Ordering::Relaxed);
    }

    /// Ends writing.
    #[must_use]
    pub fn freeze(self) -> FrozenFrame {
        FrozenFrame(self.0)
    }
}

/// A finished picture. It cannot be written; [`FrozenFrame::share`] makes one more reference.
#[derive(Debug)]
pub struct FrozenFrame(Handle);

impl FrozenFrame {
    /// One more reference to the same picture, for submitting an unchanged programme again.
    #[must_use]
    pub fn share(&self) -> Self {
        self.0.slot().refs.fetch_add(1, Ordering::Relaxed);
        Self(Handle(self.0.0))
    }

    /// The picture for writing again, if it is one of `pool` and nobody else refers to it; else
    /// itself.
    ///
    /// # Errors
    /// The picture, which somebody else may be looking at.
    pub fn into_frame(self, pool: &Pool) -> Result<Frame, Self> {
        let is_mine = std::ptr::eq(self.0.pool(), Arc::as_ptr(&pool.0));
        // Whoever gave up the last other reference has done with the pixels before.
        let is_alone = self.0.slot().refs.load(Ordering::Acquire) == 1;
        if is_mine && is_alone { Ok(Frame(self.0)) } else { Err(self) }
    }

    /// Size, format and planes.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.0.pool().geometry
    }

    /// Plane `index`, rows
    /// [`super::geometry::Plane::stride`] bytes apart; empty if the format has fewer.
    #[must_use]
    pub fn plane(&self, index: usize) -> &[u8] {
        self.0.plane(index)
    }

    /// Hands the reference to foreign code as one pointer; [`FrozenFrame::from_raw`] takes it back.
    #[must_use]
    pub fn into_raw(self) -> *mut c_void {
        let slot = self.0.0.as_ptr().cast();
        #[expect(clippy::mem_forget, reason = "the reference now belongs to the pointer")]
        std::mem::forget(self);
        slot
    }

    /// Takes back what [`FrozenFrame::into_raw`] gave.
    ///
    /// # Safety
    /// `raw` must come from `into_raw`, and each such pointer be taken back at most once.
    #[must_use]
    pub unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        NonNull::new(raw.cast()).map(|slot| Self(Handle(slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{PixelFormat, Size};

    fn pool(slots: u32) -> Pool {
        let size = Size::new(64, 32).unwrap();
        Pool::new(Geometry::new(size, PixelFormat::I420), slots).unwrap()
    }

    #[test]
    fn a_slot_returns_when_its_last_reader_is_done() {
        let pool = pool(1);
        let frozen = pool.take().unwrap().freeze();
        let again = frozen.share();
        drop(frozen);
        assert!(pool.take().is_none(), "still referenced");
        std::thread::scope(|scope| {
            scope.spawn(move || drop(again));
        });
        assert!(pool.take().is_some());
    }

    #[test]
    fn what_was_drawn_is_still_there_when_the_slot_comes_back() {
        let pool = pool(1);
        let mut frame = pool.take().unwrap();
        assert_eq!(frame.content(), 0);
        frame.planes_mut()[0].data.fill(7);
        frame.set_content(42);
        drop(frame.freeze());
        let frame = pool.take().unwrap();
        assert_eq!((frame.content(), frame.plane(0)[63]), (42, 7));
        assert_eq!(frame.plane(0).as_ptr().align_offset(64), 0);
    }

    #[test]
    fn a_picture_can_be_written_again_once_nobody_else_looks_at_it() {
        let (pool, other) = (pool(2), pool(1));
        let frozen = pool.take().unwrap().freeze();
        let looked_at = frozen.share();
        let frozen = frozen.into_frame(&pool).expect_err("somebody looks at it");
        drop(looked_at);
        let frozen = frozen.into_frame(&other).expect_err("it is another pool's");
        let frame = frozen.into_frame(&pool).expect("nobody looks at it");
        assert_eq!((pool.in_use(), frame.plane(0).len()), (1, 128 * 32));
    }

    #[test]
    fn a_picture_in_use_is_found_by_its_first_byte() {
        let (pool, other) = (pool(2), pool(1));
        let first = pool.take().unwrap().freeze();
        let second = pool.take().unwrap().freeze();
        let at = second.plane(0).as_ptr();
        // SAFETY: both are frozen, and referred to here.
        let (found, beside) = unsafe { (pool.frozen_at(at), pool.frozen_at(at.wrapping_add(1))) };
        // SAFETY: none of its slots is in use.
        assert!(beside.is_none() && unsafe { other.frozen_at(at) }.is_none());
        drop(second);
        assert_eq!((found.as_ref().unwrap().plane(0).as_ptr(), pool.in_use()), (at, 2));
        drop(found);
        // SAFETY: it is not in use any more.
        assert!(unsafe { pool.frozen_at(at) }.is_none());
        drop(first);
    }

    #[test]
    fn a_frame_outlives_the_pool_handle_and_a_trip_through_foreign_code() {
        let pool = pool(2);
        let raw = pool.take().unwrap().freeze().into_raw();
        drop(pool);
        // SAFETY: taken from `into_raw` above, once.
        let frozen = unsafe { FrozenFrame::from_raw(raw) }.unwrap();
        assert_eq!(frozen.plane(0).len(), 128 * 32);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "while somebody else refers to it")]
    fn writing_a_referenced_frame_is_caught_in_debug_builds() {
        let pool = pool(1);
        let mut frame = pool.take().unwrap();
        let stolen = FrozenFrame(Handle(frame.0.0));
        let _more = stolen.share();
        #[expect(clippy::mem_forget, reason = "the frame still counts this reference")]
        std::mem::forget(stolen);
        let _ = frame.planes_mut();
    }
}
