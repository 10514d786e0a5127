//! Pooled packets: encoded bytes that are written once, with room in front for the headers that the
//! wire puts before them, and then shared by every socket that sends them.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::media::Micros;

/// Bytes in front of a packet's payload: for tag and chunk headers, and for user data of a keyframe
/// that is put in once it is encoded.
pub const HEADROOM: usize = 128;

/// Zeroed bytes past the payload that bit readers may touch (`AV_INPUT_BUFFER_PADDING_SIZE`).
pub const TAIL: usize = 64;

/// Bytes of bookkeeping at the start of a slot; keeps the payload 64-byte aligned.
const HEADER: usize = 64;

/// Bytes of a slot beside its payload.
pub(super) const SLOT_OVERHEAD: usize = HEADER + HEADROOM + TAIL;

/// A slot of a pool, which is the caller's alone.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Its first byte, aligned to 64.
    pub(super) base: NonNull<u8>,
    /// Bytes of all of it.
    pub(super) bytes: usize,
    /// What the pool knows it by.
    pub(super) id: SlotId,
    /// Called with the pool and the id once the last handle is gone.
    pub(super) release: Release,
    /// Alive for as long as the slot is taken.
    pub(super) pool: *const c_void,
}

/// Gives a slot back to its pool.
pub(super) type Release = unsafe fn(pool: *const c_void, SlotId);

/// A size class of a pool, and a slot of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotId {
    pub(super) class: u32,
    pub(super) index: u32,
}

/// Bookkeeping at the start of every slot.
#[repr(C, align(64))]
struct Header {
    refs: AtomicU32,
    id: SlotId,
    /// Bytes from the payload's usual start to the end of what may be written (without the tail).
    capacity: usize,
    /// The pool with one strong count per slot in use; null for heap packets.
    pool: *const c_void,
    release: Release,
    /// When its first byte came, microseconds on the node's clock; 0 if nobody has said.
    began: u64,
}

const _: () = assert!(size_of::<Header>() == HEADER);

const fn slot_bytes(payload: usize) -> usize {
    SLOT_OVERHEAD + payload
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
    /// An empty packet in a slot that was just taken from a pool.
    pub(super) fn in_slot(slot: Slot) -> Self {
        let Slot { base, bytes, id, release, pool } = slot;
        let header = base.cast();
        let (refs, capacity) = (AtomicU32::new(1), bytes - SLOT_OVERHEAD);
        // SAFETY: the slot is the caller's alone, large enough, and aligned to 64.
        unsafe { header.write(Header { refs, id, capacity, pool, release, began: 0 }) };
        Self(Packet::of(header))
    }

    /// A packet outside any pool, with room for `payload` bytes.
    #[must_use]
    pub fn on_heap(payload: usize) -> Self {
        let layout = heap_layout(payload);
        // SAFETY: the layout is never of size zero.
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let header = base.cast();
        let refs = AtomicU32::new(1);
        let (pool, id) = (std::ptr::null(), SlotId { class: 0, index: 0 });
        let (capacity, release): (_, Release) = (payload, |_, _| {});
        // SAFETY: fresh memory of the header's size and alignment.
        unsafe { header.write(Header { refs, id, capacity, pool, release, began: 0 }) };
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

    /// When the first byte of what it holds came from a peer, on the node's clock; 0 if nobody has
    /// said.
    #[must_use]
    pub fn began(&self) -> Micros {
        Micros(self.0.header().began)
    }

    /// Its first byte came then.
    pub fn set_began(&mut self, at: Micros) {
        // SAFETY: the header was written when the slot was taken; `&mut self` on the only handle.
        unsafe { (&raw mut (*self.0.header.as_ptr()).began).write(at.0) };
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

    /// Puts `bytes` in at `at`: what stands before moves into the headroom, what stands behind
    /// stays where it is.
    ///
    /// # Panics
    /// If the headroom is used up, or `at` is behind the end.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        assert!(at <= self.0.len(), "bytes are put in behind a packet's end");
        self.prepend(bytes);
        let (count, all) = (bytes.len(), self.as_mut_slice());
        all.copy_within(count..count + at, 0);
        all[at..at + count].copy_from_slice(bytes);
    }

    /// Leaves the first `count` bytes out, which become headroom.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn skip(&mut self, count: usize) {
        assert!(count <= self.0.len(), "a packet has fewer bytes than are left out");
        self.0.start += cast(count);
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

    /// How many of its bytes lie in the headroom.
    pub(super) const fn in_headroom(&self) -> usize {
        self.0.in_headroom()
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

    /// How many of its bytes lie in the headroom.
    pub(super) const fn in_headroom(&self) -> usize {
        HEADROOM.saturating_sub(self.start as usize)
    }

    /// The same for all clones, and for no other packet while one of them lives.
    pub(super) fn identity(&self) -> (usize, u32, u32) {
        (self.header.addr().get(), self.start, self.end)
    }

    /// Bytes of memory that the packet holds, whatever its length: its slot, or what it has of the
    /// heap.
    #[must_use]
    pub fn memory(&self) -> usize {
        slot_bytes(self.header().capacity)
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
        let Header { id, capacity, pool, release, .. } = *header;
        if pool.is_null() {
            // SAFETY: allocated in `on_heap` with this layout, and this was the last handle.
            unsafe { dealloc(self.header.as_ptr().cast(), heap_layout(capacity)) };
            return;
        }
        // SAFETY: the pool that the slot came from, which lives until it has it back; this was the
        // last handle, and nothing of the slot is used after it.
        unsafe { release(pool, id) };
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
    use crate::frame::{PacketPool, PacketPoolSpec};

    fn pool() -> PacketPool {
        PacketPool::new(PacketPoolSpec::default()).unwrap()
    }

    #[test]
    fn headers_go_in_front_of_the_payload_without_moving_it() {
        let pool = pool();
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
    fn what_is_put_in_near_the_beginning_leaves_the_rest_where_it_is() {
        let mut packet = pool().take(100);
        packet.extend(b"before picture");
        let picture = packet[7..].as_ptr();
        packet.insert(7, b"stamp ");
        assert_eq!(&*packet, b"before stamp picture");
        assert_eq!(packet[13..].as_ptr(), picture);
        packet.insert(0, b"0");
        packet.insert(packet.len(), b"1");
        assert_eq!(&*packet, b"0before stamp picture1");
    }

    #[test]
    fn a_packet_outlives_its_pool_and_is_freed_on_another_thread() {
        let pool = pool();
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
