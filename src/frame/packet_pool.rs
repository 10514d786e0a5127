//! The packet pool: slots in size classes that grow by slabs, off the threads that take packets.
//!
//! Taking and giving back is a bit set or cleared in a lock-free bitmap. Memory is mapped and given
//! back by [`PacketPool::maintain`] alone, which control calls: it keeps free slots ahead of what
//! is in use, as far as the limit lets it. Should a class run dry all the same, the next ones
//! serve, as long as they waste little, and then the heap (counted in
//! [`PoolUse::heap_packets`]).

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::packet::{PacketBuf, SLOT_OVERHEAD, Slot, SlotId};
use super::region::Error;
use super::slab::SizeClass;
use crate::media::Micros;

/// Slots of the smallest class, bytes, as a power of two.
const SMALLEST: u32 = 9;

/// Size classes: each power of two and its one and a half, so that a slot is at most half larger
/// than what it was taken for. The last one holds packets of more than 4 MiB; larger ones come from
/// the heap.
const CLASSES: usize = 28;

/// Classes above the right one that may serve in its place: they are at most twice as large.
const STAND_INS: usize = 2;

/// Time between two looks for slabs that are not used.
const LOOK_EVERY: Micros = Micros::from_secs(2);

/// How much memory a pool may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketPoolSpec {
    /// Bytes of all slabs. What is mapped at start (about 230 MiB of address space) does not ask.
    /// [`PacketPool::maintain`] may set another limit later, but no class ever has more than this.
    pub bytes_max: usize,
}

impl Default for PacketPoolSpec {
    /// 4 GiB; memory is only used once it has been needed.
    fn default() -> Self {
        Self { bytes_max: 4 << 30 }
    }
}

/// What a pool holds at one moment, and what it has done since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Bytes of slots in use.
    pub used_bytes: usize,
    /// Bytes of all slabs: address space, of which used parts take memory.
    pub slab_bytes: usize,
    /// What these may be at most.
    pub bytes_max: usize,
    /// Slabs added since start.
    pub slabs_added: u64,
    /// Slabs removed since start.
    pub slabs_removed: u64,
    /// Packets since start that had to come from the heap, because the pool had no fitting slot.
    pub heap_packets: u64,
}

/// Pool of packet slots in size classes.
#[derive(Clone, Debug)]
pub struct PacketPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    classes: Box<[SizeClass]>,
    bytes_max: AtomicUsize,
    heap_packets: AtomicU64,
    /// Whether a thread is in [`PacketPool::maintain`].
    maintained: AtomicBool,
    /// When it looks for slabs that are not used next, microseconds.
    next_look: AtomicU64,
}

impl PacketPool {
    /// Maps the first slabs of each class; no memory is used yet.
    ///
    /// # Errors
    /// If the address space cannot be had.
    pub fn new(spec: PacketPoolSpec) -> Result<Self, Error> {
        let inner = Inner {
            classes: (0..CLASSES)
                .map(|class| SizeClass::new(slot_bytes_of(class), spec.bytes_max))
                .collect(),
            bytes_max: AtomicUsize::new(spec.bytes_max),
            heap_packets: AtomicU64::new(0),
            maintained: AtomicBool::new(false),
            next_look: AtomicU64::new(0),
        };
        for class in &inner.classes {
            class.grow(usize::MAX)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// A packet with room for `payload` bytes, empty for now.
    #[must_use]
    pub fn take(&self, payload: usize) -> PacketBuf {
        let fitting = class_of(payload + SLOT_OVERHEAD);
        let classes = self.0.classes.iter().enumerate().skip(fitting).take(1 + STAND_INS);
        for (number, class) in classes {
            let Some(index) = class.free.take() else { continue };
            // SAFETY: the pointer comes from this very `Arc`; `release` returns the count.
            unsafe { Arc::increment_strong_count(Arc::as_ptr(&self.0)) };
            let id = SlotId { class: u32::try_from(number).unwrap_or(u32::MAX), index };
            let (base, bytes) = (class.at(index), class.slot_bytes);
            let pool = Arc::as_ptr(&self.0).cast();
            return PacketBuf::in_slot(Slot { base, bytes, id, release, pool });
        }
        self.0.heap_packets.fetch_add(1, Ordering::Relaxed);
        PacketBuf::on_heap(payload)
    }

    /// Adds slabs where free slots run low, while all together have at most `bytes_max`, and from
    /// time to time gives the memory of slabs that have not been used for a while back to the
    /// system. Gives the bytes that it has added. To be called several times a second, by one
    /// thread: it may take milliseconds.
    ///
    /// # Errors
    /// If the system gives no more address space; the pool goes on with what it has.
    pub fn maintain(&self, bytes_max: usize, now: Micros) -> Result<usize, Error> {
        let inner = &*self.0;
        inner.bytes_max.store(bytes_max, Ordering::Relaxed);
        if inner.maintained.swap(true, Ordering::Acquire) {
            return Ok(0); // another thread is at it
        }
        let room = bytes_max.saturating_sub(inner.slab_bytes());
        let grown = inner
            .classes
            .iter()
            .try_fold(0, |grown, class| Ok(grown + class.grow(room.saturating_sub(grown))?));
        if now.0 >= inner.next_look.load(Ordering::Relaxed) {
            inner.next_look.store((now + LOOK_EVERY).0, Ordering::Relaxed);
            inner.classes.iter().for_each(SizeClass::give_memory_back);
        }
        inner.maintained.store(false, Ordering::Release);
        grown
    }

    /// What the pool holds now. It looks at every class: not for a thread in a hurry.
    #[must_use]
    pub fn usage(&self) -> PoolUse {
        let inner = &*self.0;
        let used = |class: &SizeClass| class.used() as usize * class.slot_bytes;
        let count = |of: fn(&SizeClass) -> &AtomicU64| {
            inner.classes.iter().map(|class| of(class).load(Ordering::Relaxed)).sum()
        };
        PoolUse {
            used_bytes: inner.classes.iter().map(used).sum(),
            slab_bytes: inner.slab_bytes(),
            bytes_max: inner.bytes_max.load(Ordering::Relaxed),
            slabs_added: count(|class| &class.added),
            slabs_removed: count(|class| &class.removed),
            heap_packets: self.heap_packets(),
        }
    }

    /// Packets that are in use now.
    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.0.classes.iter().map(|class| class.used() as usize).sum()
    }

    /// Packets that had to come from the heap since start, because the pool had no fitting slot.
    #[must_use]
    pub fn heap_packets(&self) -> u64 {
        self.0.heap_packets.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn slab_bytes(&self) -> usize {
        self.classes.iter().map(SizeClass::bytes).sum()
    }
}

/// The last handle of a slot is gone.
///
/// # Safety
/// `pool` and `id` are those of a slot that has not come back, see [`PacketPool::take`].
unsafe fn release(pool: *const c_void, id: SlotId) {
    let pool: *const Inner = pool.cast();
    // SAFETY: the slot's strong count keeps the pool alive up to the second line.
    unsafe {
        (&*pool).classes[id.class as usize].free.put(id.index);
        Arc::decrement_strong_count(pool);
    }
}

/// The smallest class whose slots have so many bytes; beyond the last one if there is none.
const fn class_of(bytes: usize) -> usize {
    if bytes <= 1 << SMALLEST {
        return 0;
    }
    let power = (bytes - 1).ilog2();
    let is_half = bytes <= 3 << (power - 1);
    ((power - SMALLEST) * 2 + if is_half { 1 } else { 2 }) as usize
}

/// Bytes of a slot of that class.
const fn slot_bytes_of(class: usize) -> usize {
    (2 + class % 2) << (SMALLEST as usize - 1 + class / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(bytes_max: usize) -> PacketPool {
        PacketPool::new(PacketPoolSpec { bytes_max }).unwrap()
    }

    #[test]
    fn a_slot_is_at_most_half_larger_than_what_it_is_taken_for() {
        assert_eq!((0..4).map(slot_bytes_of).collect::<Vec<_>>(), [512, 768, 1_024, 1_536]);
        for bytes in (1..100_000).chain([1 << 20, (1 << 20) + 1, 6 << 20]) {
            let class = class_of(bytes);
            assert!(slot_bytes_of(class) >= bytes && class < CLASSES, "{bytes}");
            assert!(class == 0 || slot_bytes_of(class - 1) < bytes, "{bytes}");
            assert!(bytes < 512 || slot_bytes_of(class) <= bytes.div_ceil(2) * 3, "{bytes}");
        }
        assert_eq!(class_of((6 << 20) + 1), CLASSES);
    }

    #[test]
    fn a_small_message_holds_a_small_slot() {
        let pool = pool(1 << 30);
        let before = pool.usage().used_bytes;
        for (payload, slot) in [(0, 512), (256, 512), (257, 768), (12_500, 16_384)] {
            let packet = pool.take(payload).freeze();
            assert_eq!((packet.memory(), pool.usage().used_bytes - before), (slot, slot));
        }
        assert_eq!(pool.heap_packets(), 0);
        let large = pool.take(8 << 20).freeze();
        assert_eq!((large.memory(), pool.heap_packets()), ((8 << 20) + SLOT_OVERHEAD, 1));
    }

    #[test]
    fn a_class_that_runs_dry_is_served_by_the_next_ones_and_then_by_the_heap() {
        let pool = pool(0);
        let mut held = Vec::new();
        while pool.heap_packets() == 0 {
            held.push(pool.take(1 << 20));
        }
        let room = held.last().unwrap().room();
        assert!(room < (1 << 20) + SLOT_OVERHEAD, "the heap gives what is asked for");
        let sizes: std::collections::BTreeSet<_> =
            held.drain(..).map(|packet| packet.freeze().memory()).collect();
        let heap = (1 << 20) + SLOT_OVERHEAD;
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [heap, 3 << 19, 2 << 20, 3 << 20]);
        assert_eq!(pool.usage().used_bytes, 0);
        let _again = pool.take(1 << 20);
        assert_eq!(pool.heap_packets(), 1, "what came back serves again");
    }

    #[test]
    fn it_grows_when_it_is_maintained_up_to_its_limit_and_shrinks_again() {
        let limit = 400 << 20;
        let pool = pool(limit);
        let start = pool.usage();
        let mut held: Vec<PacketBuf> = Vec::new();
        for _ in 0..16 {
            held.extend((0..500).map(|_| pool.take(10_000)));
            assert!(pool.maintain(limit, Micros(0)).unwrap() > 0);
        }
        assert_eq!(pool.heap_packets(), 0);
        let grown = pool.usage();
        assert!(grown.used_bytes == 8_000 * (12 << 10) && grown.slab_bytes <= limit);
        assert!(grown.slabs_added > start.slabs_added && grown.slab_bytes > start.slab_bytes);
        let mut pushed: Vec<_> = (0..10_000).map(|_| pool.take(10_000)).collect();
        pool.maintain(limit, Micros(0)).unwrap();
        assert!(pool.heap_packets() > 0, "nobody called for more");
        assert!(pool.usage().slab_bytes <= limit);
        pushed.clear();
        held.clear();
        for look in 1..300 {
            assert_eq!(pool.maintain(limit, Micros(LOOK_EVERY.0 * look)).unwrap(), 0);
        }
        let after = pool.usage();
        assert_eq!((after.used_bytes, after.slab_bytes), (0, start.slab_bytes));
        assert_eq!(after.slabs_added - after.slabs_removed, start.slabs_added);
    }
}
