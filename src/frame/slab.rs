//! A size class of the packet pool: slabs of equal slots, and which slots are free.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ops::Range;
use std::ptr::{NonNull, null_mut, slice_from_raw_parts_mut};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use stream_manager_sync::FreeSlots;

use super::region::{Error, give_back, map_slots, unmap};

/// Bytes of a slab, the unit of growth; a larger slot is one.
const SLAB_BYTES: usize = 256 << 10;

const PAGE_BYTES: usize = 4 << 10;

/// Free bytes that are mapped ahead, and an eighth of what is in use if that is more. They are
/// address space: memory is used once it has been needed.
const AHEAD_BYTES: usize = 8 << 20;

/// The same in slots, for large ones.
const AHEAD_SLOTS_MIN: u32 = 4;

/// A slab in which no slot was in use at so many looks in a row gives its memory back.
const LOOKS_UNUSED: u8 = 3;

/// Looks after which it does so again: it may have been used between two of them.
const LOOKS_AGAIN: u8 = 32;

/// Slabs of one class that give their memory back at one look; more wait for the next.
const GIVEN_BACK_MAX: usize = 32;

/// Slots of one size. Any thread takes and gives back; one thread at a time adds and removes slabs.
#[derive(Debug)]
pub(super) struct SizeClass {
    pub(super) slot_bytes: usize,
    pub(super) free: FreeSlots,
    slabs: Box<[Slab]>,
    /// Slots of each slab.
    slots: u32,
    /// Slabs that are there.
    present: AtomicU32,
    /// All of them have numbers below this one.
    end: AtomicU32,
    pub(super) added: AtomicU64,
    pub(super) removed: AtomicU64,
}

#[derive(Debug)]
struct Slab {
    /// Null while it is not there.
    base: AtomicPtr<u8>,
    /// Looks in a row at which no slot was in use, modulo [`LOOKS_AGAIN`].
    looks_unused: AtomicU8,
}

impl SizeClass {
    /// A class without slabs that may have `bytes_max`, and in any case what is mapped at start.
    pub(super) fn new(slot_bytes: usize, bytes_max: usize) -> Self {
        let slots = u32::try_from(SLAB_BYTES / slot_bytes).unwrap_or(u32::MAX).max(1);
        let bytes_max = bytes_max.max(AHEAD_BYTES).max(AHEAD_SLOTS_MIN as usize * slot_bytes);
        let slabs = bytes_max.div_ceil(slab_bytes(slot_bytes, slots));
        let all = u32::try_from(slabs).unwrap_or(u32::MAX).saturating_mul(slots);
        Self {
            slot_bytes,
            free: FreeSlots::none(all),
            slabs: absent(slabs),
            slots,
            present: AtomicU32::new(0),
            end: AtomicU32::new(0),
            added: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    /// The first byte of a slot that has been taken.
    pub(super) fn at(&self, slot: u32) -> NonNull<u8> {
        let base = self.slabs[(slot / self.slots) as usize].base.load(Ordering::Relaxed);
        // SAFETY: the slot was in the set of free ones, so its slab is there and stays for as long
        // as the slot is taken; the set's release and acquire order the pointer before this.
        unsafe { NonNull::new_unchecked(base.add((slot % self.slots) as usize * self.slot_bytes)) }
    }

    /// Bytes of all slabs.
    pub(super) fn bytes(&self) -> usize {
        self.present.load(Ordering::Relaxed) as usize * self.slab_bytes()
    }

    fn slab_bytes(&self) -> usize {
        slab_bytes(self.slot_bytes, self.slots)
    }

    /// How many slots are in use.
    pub(super) fn used(&self) -> u32 {
        let all = self.present.load(Ordering::Relaxed) * self.slots;
        all.saturating_sub(self.free.count(0..self.end.load(Ordering::Relaxed) * self.slots))
    }

    /// Slots that there should be in all.
    fn wanted(&self) -> u32 {
        let used = self.used();
        let ahead = u32::try_from(AHEAD_BYTES / self.slot_bytes).unwrap_or(u32::MAX);
        used + ahead.max(AHEAD_SLOTS_MIN).max(used / 8)
    }

    /// Adds slabs, of `room` bytes at most, until enough slots are free. Gives their bytes.
    pub(super) fn grow(&self, room: usize) -> Result<usize, Error> {
        let present = self.present.load(Ordering::Relaxed);
        let missing = self.wanted().saturating_sub(present * self.slots).div_ceil(self.slots);
        let slabs = (missing as usize)
            .min(room / self.slab_bytes())
            .min(self.slabs.len() - present as usize);
        if slabs == 0 {
            return Ok(0);
        }
        let mut base = map_slots(slabs * self.slab_bytes())?;
        let absent = |slab: &Slab| slab.base.load(Ordering::Relaxed).is_null();
        let places = self.slabs.iter().zip(0..).filter(|(slab, _)| absent(slab)).take(slabs);
        for (slab, number) in places {
            slab.base.store(base.as_ptr(), Ordering::Relaxed);
            slab.looks_unused.store(0, Ordering::Relaxed);
            self.present.fetch_add(1, Ordering::Relaxed);
            self.end.fetch_max(number + 1, Ordering::Relaxed);
            self.free.put_all(self.slots_of(number));
            // SAFETY: at most the end of what was mapped.
            base = unsafe { base.add(self.slab_bytes()) };
        }
        self.added.fetch_add(slabs as u64, Ordering::Relaxed);
        Ok(slabs * self.slab_bytes())
    }

    /// Gives back the memory of slabs that have not been used for long, from the end where they are
    /// used least; those that are not needed go.
    pub(super) fn give_memory_back(&self) {
        let (wanted, mut given_back) = (self.wanted(), 0);
        for number in (0..self.end.load(Ordering::Relaxed)).rev() {
            let slab = &self.slabs[number as usize];
            let Some(base) = NonNull::new(slab.base.load(Ordering::Relaxed)) else { continue };
            if self.free.count(self.slots_of(number)) < self.slots {
                slab.looks_unused.store(0, Ordering::Relaxed);
                continue;
            }
            let looks = slab.looks_unused.load(Ordering::Relaxed) + 1;
            if looks == LOOKS_UNUSED && given_back == GIVEN_BACK_MAX {
                continue;
            }
            slab.looks_unused.store(looks % LOOKS_AGAIN, Ordering::Relaxed);
            if looks != LOOKS_UNUSED || !self.free.take_all(self.slots_of(number)) {
                continue;
            }
            given_back += 1;
            if (self.present.load(Ordering::Relaxed) - 1) * self.slots >= wanted {
                self.remove(number, base);
                continue;
            }
            // SAFETY: all its slots have left the free ones just now, so nobody has one, and who
            // takes one writes it before it is read.
            unsafe { give_back(base, self.slab_bytes()) };
            self.free.put_all(self.slots_of(number));
        }
    }

    /// Removes a slab whose slots have all been taken.
    fn remove(&self, number: u32, base: NonNull<u8>) {
        self.slabs[number as usize].base.store(null_mut(), Ordering::Relaxed);
        self.present.fetch_sub(1, Ordering::Relaxed);
        self.removed.fetch_add(1, Ordering::Relaxed);
        if number + 1 == self.end.load(Ordering::Relaxed) {
            self.end.store(number, Ordering::Relaxed);
        }
        // SAFETY: mapped in `grow`, and nobody has a slot of it or can take one.
        unsafe { unmap(base, self.slab_bytes()) };
    }

    const fn slots_of(&self, slab: u32) -> Range<u32> {
        slab * self.slots..(slab + 1) * self.slots
    }
}

impl Drop for SizeClass {
    fn drop(&mut self) {
        for slab in &self.slabs[..self.end.load(Ordering::Relaxed) as usize] {
            if let Some(base) = NonNull::new(slab.base.load(Ordering::Relaxed)) {
                // SAFETY: mapped in `grow`; packets keep their pool alive, so there are none.
                unsafe { unmap(base, self.slab_bytes()) };
            }
        }
    }
}

const fn slab_bytes(slot_bytes: usize, slots: u32) -> usize {
    (slot_bytes * slots as usize).next_multiple_of(PAGE_BYTES)
}

/// A table of slabs that are not there. Of many it takes no memory until it is used.
fn absent(slabs: usize) -> Box<[Slab]> {
    #[expect(clippy::expect_used, reason = "16 bytes for each 256 KiB of memory")]
    let layout = Layout::array::<Slab>(slabs).expect("a table smaller than memory");
    assert!(layout.size() > 0, "a class has slabs");
    // SAFETY: the layout is not of size zero.
    let table = unsafe { alloc_zeroed(layout) };
    if table.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: fresh memory of that many slabs, for which zeros are valid: a null pointer and zero.
    unsafe { Box::from_raw(slice_from_raw_parts_mut(table.cast(), slabs)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: usize = 64 << 10;

    /// A class with its first slabs, and the slots that are in use.
    fn class() -> SizeClass {
        let class = SizeClass::new(SLOT, 1 << 30);
        assert_eq!(class.grow(usize::MAX).unwrap(), AHEAD_BYTES);
        class
    }

    fn take(class: &SizeClass, slots: usize) -> Vec<u32> {
        std::iter::from_fn(|| class.free.take()).take(slots).collect()
    }

    fn fill(class: &SizeClass, slots: &[u32]) {
        for &slot in slots {
            // SAFETY: the slot was taken, and is that large.
            unsafe { class.at(slot).write_bytes(7, SLOT) };
        }
    }

    /// Whether a slot has the memory that was written.
    fn is_held(class: &SizeClass, slot: u32) -> bool {
        // SAFETY: its slab is there, and nobody writes it in these tests meanwhile.
        unsafe { class.at(slot).add(SLOT / 2).read() == 7 }
    }

    #[test]
    fn slabs_are_added_ahead_of_what_is_in_use_and_go_when_it_is_over() {
        let class = class();
        let mut used = Vec::new();
        while class.used() < 10_000 {
            used.extend(take(&class, 100));
            class.grow(usize::MAX).unwrap();
            assert!(class.bytes() >= class.used() as usize * SLOT + AHEAD_BYTES);
        }
        assert!(class.bytes() <= 10_100 * SLOT * 9 / 8 + SLAB_BYTES);
        used.into_iter().for_each(|slot| class.free.put(slot));
        for _ in 0..2_000 {
            class.give_memory_back();
        }
        assert_eq!(class.bytes(), AHEAD_BYTES);
        assert!(class.added.load(Ordering::Relaxed) > class.removed.load(Ordering::Relaxed));
        assert_eq!(take(&class, usize::MAX).len(), AHEAD_BYTES / SLOT);
    }

    #[test]
    fn nothing_is_added_beyond_the_room_that_there_is() {
        let class = class();
        let used = take(&class, usize::MAX);
        assert_eq!(class.grow(SLAB_BYTES - 1).unwrap(), 0);
        assert_eq!(class.grow(3 * SLAB_BYTES).unwrap(), 3 * SLAB_BYTES);
        assert_eq!((used.len(), take(&class, usize::MAX).len()), (AHEAD_BYTES / SLOT, 12));
    }

    #[test]
    fn a_slab_that_is_not_used_for_a_while_gives_its_memory_back_and_serves_again() {
        let class = class();
        let used = take(&class, 8);
        fill(&class, &used);
        (4..8).for_each(|slot| class.free.put(slot));
        (1..LOOKS_UNUSED).for_each(|_| class.give_memory_back());
        assert!(is_held(&class, 0) && is_held(&class, 5), "not yet");
        class.give_memory_back();
        assert!(is_held(&class, 0), "what is in use is never touched");
        assert!(!is_held(&class, 5), "the second slab is not used");
        assert_eq!(take(&class, 4), [4, 5, 6, 7], "it serves again");
        fill(&class, &[4]);
        assert!(is_held(&class, 4));
    }

    #[test]
    fn slabs_that_have_gone_come_back_in_their_places() {
        let class = class();
        let used = take(&class, usize::MAX);
        class.grow(usize::MAX).unwrap();
        let more = take(&class, usize::MAX);
        used.into_iter().for_each(|slot| class.free.put(slot));
        (0..100).for_each(|_| class.give_memory_back());
        class.grow(usize::MAX).unwrap();
        let all = take(&class, usize::MAX);
        fill(&class, &all);
        assert!(all.iter().all(|slot| !more.contains(slot)));
        assert_eq!((all.first(), all.len()), (Some(&0), AHEAD_BYTES / SLOT));
    }
}
