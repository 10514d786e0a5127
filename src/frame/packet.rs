//! Pooled packets: encoded bytes that are written once, with room in front for the headers that the
//! wire puts before them, and then shared by every socket that sends them.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

use super::free_list::FreeList;
use super::region::{Error, Pages, Region};

/// Bytes in front of a packet's payload for tag and chunk headers.
pub const HEADROOM: usize = 64;

/// Zeroed bytes past the payload that bit readers may touch (`AV_INPUT_BUFFER_PADDING_SIZE`).
pub const TAIL: usize = 64;

/// Bytes of bookkeeping at the start of a slot; keeps the payload 64-byte aligned.
const HEADER: usize = 64;

/// Slots with a smaller payload keep their memory: together they have little.
const TRIMMED_BYTES_MIN: usize = 64 << 10;

/// Calls of [`PacketPool::trim`] after which a slot that nobody has used gives its memory back.
const TRIMS_UNUSED: u8 = 3;

/// Slots of one class that one call of [`PacketPool::trim`] gives back; more wait for the next.
const TRIMMED_AT_ONCE_MAX: usize = 32;

/// Slots per payload size. The sizes are fixed; the counts are the limit of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketPoolSpec {
    /// How many slots of each of [`PacketPoolSpec::SIZES`].
    pub slots: [u32; 6],
}

impl PacketPoolSpec {
    /// Largest payload of each class, bytes.
    pub const SIZES: [usize; 6] = [2 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];
}

impl Default for PacketPoolSpec {
    /// About 290 MiB of address space; memory is only used once it has been needed.
    fn default() -> Self {
        Self { slots: [8_192, 4_096, 1_024, 256, 48, 8] }
    }
}

/// Pool of packet slots in size classes. When a class is empty the next larger one serves, and when
/// all are, the heap does (counted: see [`PacketPool::heap_packets`]).
#[derive(Clone, Debug)]
pub struct PacketPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    classes: Vec<Class>,
    heap_packets: AtomicU64,
}

#[derive(Debug)]
struct Class {
    region: Region,
    payload: usize,
    free: FreeList,
    /// Calls of [`PacketPool::trim`] after which each slot gives its memory back if it is not used;
    /// 0: it has none. Written by who owns the slot.
    ages: Box<[AtomicU8]>,
}

impl Class {
    /// Gives back the memory of slots that have not been used for long.
    fn trim(&self) {
        let free: Vec<u32> = std::iter::from_fn(|| self.free.pop()).collect();
        let mut trimmed = 0;
        for &index in &free {
            let age = &self.ages[index as usize];
            match age.load(Ordering::Relaxed) {
                0 => {}
                1 if trimmed == TRIMMED_AT_ONCE_MAX => {}
                1 => {
                    let bytes = slot_bytes(self.payload);
                    // SAFETY: the slot has just left the free list, so it is ours alone, and all
                    // that it held is written again by who takes it next.
                    unsafe { self.region.give_back(index as usize * bytes, bytes) };
                    age.store(0, Ordering::Relaxed);
                    trimmed += 1;
                }
                left => age.store(left - 1, Ordering::Relaxed),
            }
        }
        // The one that was used last is taken first, as before.
        free.into_iter().rev().for_each(|index| self.free.push(index));
    }
}

/// What stands at the start of every slot.
#[repr(C, align(64))]
struct Header {
    refs: AtomicU32,
    index: u32,
    /// Class of the slot, or [`HEAP`].
    class: u32,
    /// Bytes from the payload's usual start to the end of what may be written (without the tail).
    capacity: usize,
    /// The pool with one strong count per slot in use; null for heap packets.
    pool: *const Inner,
}

const HEAP: u32 = u32::MAX;

const _: () = assert!(size_of::<Header>() == HEADER);

impl PacketPool {
    /// Reserves the address space; no memory is used yet.
    ///
    /// # Errors
    /// If the address space cannot be had.
    pub fn new(spec: PacketPoolSpec) -> Result<Self, Error> {
        let class = |(payload, slots): (usize, u32)| {
            let region = Region::new(slot_bytes(payload) * slots as usize, Pages::Small)?;
            let ages = (0..slots).map(|_| AtomicU8::new(0)).collect();
            Ok(Class { region, payload, free: FreeList::full(slots), ages })
        };
        let classes = PacketPoolSpec::SIZES.into_iter().zip(spec.slots).map(class);
        let classes = classes.collect::<Result<_, Error>>()?;
        Ok(Self(Arc::new(Inner { classes, heap_packets: AtomicU64::new(0) })))
    }

    /// A packet with room for `payload` bytes, empty for now.
    #[must_use]
    pub fn take(&self, payload: usize) -> PacketBuf {
        for (number, class) in (0..).zip(&self.0.classes) {
            if class.payload < payload {
                continue;
            }
            let Some(index) = class.free.pop() else { continue };
            class.ages[index as usize].store(TRIMS_UNUSED, Ordering::Relaxed);
            let header = class.region.at(index as usize * slot_bytes(class.payload)).cast();
            // SAFETY: the pointer comes from this very `Arc`; `Packet::drop` gives the count back.
            unsafe { Arc::increment_strong_count(Arc::as_ptr(&self.0)) };
            let pool = Arc::as_ptr(&self.0);
            let capacity = class.payload;
            let refs = AtomicU32::new(1);
            // SAFETY: the slot just left the free list, so it is ours alone; it is aligned to 64.
            unsafe { header.write(Header { refs, index, class: number, capacity, pool }) };
            return PacketBuf(Packet::of(header));
        }
        self.0.heap_packets.fetch_add(1, Ordering::Relaxed);
        PacketBuf::on_heap(payload)
    }

    /// Gives the memory of large slots that have not been used for a while back to the system: a
    /// stream whose packets change their size would else have memory in several classes for ever.
    /// To be called every few seconds, by one thread. Who takes a packet meanwhile may get one of
    /// the next larger class.
    pub fn trim(&self) {
        self.0
            .classes
            .iter()
            .filter(|class| class.payload >= TRIMMED_BYTES_MIN)
            .for_each(Class::trim);
    }

    /// Packets that are in use now.
    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.0.classes.iter().map(|class| class.ages.len() - class.free.len()).sum()
    }

    /// Packets that had to come from the heap since start, because the pool had no fitting slot.
    #[must_use]
    pub fn heap_packets(&self) -> u64 {
        self.0.heap_packets.load(Ordering::Relaxed)
    }
}

const fn slot_bytes(payload: usize) -> usize {
    HEADER + HEADROOM + payload + TAIL
}

fn heap_layout(capacity: usize) -> Layout {
    #[expect(clippy::expect_used, reason = "payloads are at most 16 MiB by protocol")]
    Layout::from_size_align(slot_bytes(capacity), HEADER).expect("a packet's size fits in memory")
}

/// A packet with one owner, who may write it. Grows at its end up to its capacity and at its start
/// into the headroom.
#[derive(Debug)]
pub struct PacketBuf(Packet);

impl PacketBuf {
    /// A packet outside any pool, with room for `payload` bytes.
    #[must_use]
    pub fn on_heap(payload: usize) -> Self {
        let layout = heap_layout(payload);
        // SAFETY: the layout is never of size zero.
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let header = base.cast();
        let refs = AtomicU32::new(1);
        let pool = std::ptr::null();
        // SAFETY: fresh memory of the header's size and alignment.
        unsafe { header.write(Header { refs, index: 0, class: HEAP, capacity: payload, pool }) };
        Self(Packet::of(header))
    }

    /// A heap packet that holds a copy of `bytes`, for headers, metadata and tests.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut packet = Self::on_heap(bytes.len());
        packet.extend(bytes);
        packet
    }

    /// Bytes that may still be appended.
    #[must_use]
    pub fn room(&self) -> usize {
        HEADROOM + self.0.header().capacity - self.0.end as usize
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    /// If there is no room: the caller asked the pool for too little.
    pub fn extend(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "packet grows beyond its capacity");
        // SAFETY: in bounds by the assertion; `&mut self` on the only handle.
        unsafe {
            let end = self.0.base().add(self.0.end as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len());
        }
        self.0.end += cast(bytes.len());
    }

    /// Puts `bytes` in front of what is there, in the headroom.
    ///
    /// # Panics
    /// If the headroom is used up.
    pub fn prepend(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.0.start as usize, "packet's headroom is used up");
        self.0.start -= cast(bytes.len());
        // SAFETY: in bounds by the assertion; `&mut self` on the only handle.
        unsafe {
            let start = self.0.base().add(self.0.start as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len());
        }
    }

    /// Makes the packet `len` bytes long from its start, without writing them: for code that fills
    /// them through [`PacketBuf::as_mut_ptr`].
    ///
    /// # Safety
    /// The first `len` bytes must have been written.
    ///
    /// # Panics
    /// If `len` is beyond the capacity.
    pub unsafe fn set_len(&mut self, len: usize) {
        let end = self.0.start as usize + len;
        assert!(end <= HEADROOM + self.0.header().capacity, "packet grows beyond its capacity");
        self.0.end = cast(end);
    }

    /// The first byte, for foreign code to write to: `room()` bytes and [`TAIL`] more.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: `start` is inside the slot.
        unsafe { self.0.base().add(self.0.start as usize).as_ptr() }
    }

    /// The bytes so far, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        let len = self.0.len();
        // SAFETY: `start..end` was written and is inside the slot; `&mut self` on the only handle.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), len) }
    }

    /// Zeroes the tail, as bit readers of libavcodec ask.
    pub fn zero_tail(&mut self) {
        // SAFETY: every slot has `TAIL` bytes after its capacity, and `end` is at most that.
        unsafe {
            let end = self.0.base().add(self.0.end as usize);
            std::ptr::write_bytes(end.as_ptr(), 0, TAIL);
        }
    }

    /// Ends writing.
    #[must_use]
    pub fn freeze(self) -> Packet {
        self.0
    }

    /// Hands the empty packet to foreign code as one pointer; [`PacketBuf::from_raw`] takes it
    /// back.
    #[must_use]
    #[expect(clippy::mem_forget, reason = "the reference now belongs to the pointer")]
    pub fn into_raw(self) -> *mut c_void {
        let slot = self.0.header.as_ptr().cast();
        std::mem::forget(self);
        slot
    }

    /// Takes back what [`PacketBuf::into_raw`] gave, as an empty packet.
    ///
    /// # Safety
    /// `raw` must come from `into_raw`, and each such pointer be taken back at most once.
    #[must_use]
    pub unsafe fn from_raw(raw: *mut c_void) -> Option<Self> {
        NonNull::new(raw.cast()).map(|header| Self(Packet::of(header)))
    }

    /// One more reference to a slot that foreign code holds by `raw`, as a packet of `len` bytes.
    ///
    /// # Safety
    /// `raw` must come from `into_raw` and not be taken back yet, and foreign code must have
    /// written the first `len` bytes and write no more.
    #[must_use]
    pub unsafe fn share_raw(raw: *mut c_void, len: usize) -> Packet {
        let header: NonNull<Header> = NonNull::new(raw.cast()).unwrap_or(NonNull::dangling());
        let mut packet = Packet::of(header);
        packet.header().refs.fetch_add(1, Ordering::Relaxed);
        packet.end = packet.start + cast(len.min(packet.header().capacity));
        packet
    }
}

impl Deref for PacketBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Encoded bytes that nobody can write any more. Cloning counts a reference (once per core, never
/// per viewer); the last one to go gives the slot back, on any thread.
pub struct Packet {
    header: NonNull<Header>,
    start: u32,
    end: u32,
}

// SAFETY: the count is atomic; the bytes are only read once a packet is shared; the free list that
// takes the slot back is made for any thread.
unsafe impl Send for Packet {}
// SAFETY: as above.
unsafe impl Sync for Packet {}

impl Packet {
    /// An empty packet over a slot that the caller owns.
    fn of(header: NonNull<Header>) -> Self {
        Self { header, start: cast(HEADROOM), end: cast(HEADROOM) }
    }

    fn header(&self) -> &Header {
        // SAFETY: written when the slot was taken; the slot lives as long as a handle to it.
        unsafe { self.header.as_ref() }
    }

    /// The first byte of the headroom.
    fn base(&self) -> NonNull<u8> {
        // SAFETY: the headroom follows the header inside every slot.
        unsafe { self.header.cast::<u8>().add(HEADER) }
    }

    fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The packet for writing, if this is the only reference to it.
    ///
    /// # Errors
    /// Gives the packet back if somebody else refers to it.
    pub fn into_unique(self) -> Result<PacketBuf, Self> {
        let alone = self.header().refs.load(Ordering::Acquire) == 1;
        if alone { Ok(PacketBuf(self)) } else { Err(self) }
    }
}

impl Deref for Packet {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start..end` was written before the packet was frozen and is inside the slot.
        unsafe {
            let start = self.base().add(self.start as usize);
            std::slice::from_raw_parts(start.as_ptr(), self.len())
        }
    }
}

impl Clone for Packet {
    fn clone(&self) -> Self {
        self.header().refs.fetch_add(1, Ordering::Relaxed);
        Self { header: self.header, start: self.start, end: self.end }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let header = self.header();
        if header.refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let (class, index, pool, capacity) =
            (header.class, header.index, header.pool, header.capacity);
        if class == HEAP {
            // SAFETY: allocated in `on_heap` with this layout, and this was the last handle.
            unsafe { dealloc(self.header.as_ptr().cast(), heap_layout(capacity)) };
            return;
        }
        // SAFETY: the slot's strong count, taken in `PacketPool::take`, keeps the pool alive until
        // the second line; nothing of the slot is used after the first.
        unsafe {
            (&*pool).classes[class as usize].free.push(index);
            Arc::decrement_strong_count(pool);
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} bytes)", self.len())
    }
}

fn cast(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> PacketPool {
        PacketPool::new(PacketPoolSpec { slots: [1, 1, 0, 0, 0, 0] }).unwrap()
    }

    #[test]
    fn headers_go_in_front_of_the_payload_without_moving_it() {
        let pool = small();
        let mut packet = pool.take(100);
        packet.extend(b"payload");
        let at = packet.as_ptr();
        packet.prepend(b"tag");
        packet.prepend(b"chunk");
        let packet = packet.freeze();
        assert_eq!(&*packet, b"chunktagpayload");
        assert_eq!(packet[8..].as_ptr(), at);
        assert_eq!(at.align_offset(64), 0);
    }

    #[test]
    fn an_empty_class_is_served_by_the_next_and_then_by_the_heap() {
        let pool = small();
        let held = [pool.take(10), pool.take(10), pool.take(10)];
        assert_eq!(pool.heap_packets(), 1);
        drop(held);
        let _again = [pool.take(10), pool.take(10)];
        assert_eq!(pool.heap_packets(), 1);
    }

    #[test]
    fn a_large_slot_that_is_not_used_for_a_while_gives_its_memory_back_and_serves_again() {
        let pool = PacketPool::new(PacketPoolSpec { slots: [0, 0, 2, 0, 0, 0] }).unwrap();
        let middle = slot_bytes(64 << 10) / 2;
        let is_held = |slot: usize| {
            let at = pool.0.classes[2].region.at(slot * slot_bytes(64 << 10) + middle);
            // SAFETY: in the region, and nobody writes it in this test meanwhile.
            unsafe { at.read() == 7 }
        };
        let fill = || {
            let mut packet = pool.take(64 << 10);
            packet.extend(&[7; 64 << 10]);
            packet
        };
        let (first, second) = (fill(), fill());
        drop(first);
        (1..TRIMS_UNUSED).for_each(|_| pool.trim());
        assert!(is_held(0) && is_held(1), "not yet");
        drop(second);
        pool.trim();
        assert!(!is_held(0) && is_held(1), "the one that was used is kept");
        let again = fill();
        (0..TRIMS_UNUSED).for_each(|_| pool.trim());
        assert_eq!((is_held(0), is_held(1)), (false, true), "what is in use is never touched");
        assert_eq!(again.len(), 64 << 10);
        let _other = fill();
        assert!(is_held(0), "it serves again");
        assert_eq!(pool.heap_packets(), 0);
    }

    #[test]
    fn a_packet_outlives_its_pool_and_is_freed_on_another_thread() {
        let pool = small();
        let mut packet = pool.take(3);
        packet.extend(b"abc");
        let packet = packet.freeze();
        let other = packet.clone();
        drop(pool);
        drop(packet);
        std::thread::scope(|scope| {
            scope.spawn(move || assert_eq!(&*other, b"abc"));
        });
    }

    #[test]
    #[should_panic(expected = "beyond its capacity")]
    fn a_packet_never_grows_beyond_its_slot() {
        PacketBuf::on_heap(4).extend(b"12345");
    }
}
