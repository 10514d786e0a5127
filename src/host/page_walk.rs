//! Walk over memory in an order that no cache knows: what pages cost that are small.

use std::ptr::NonNull;

use crate::runtime::Clock;

/// Memory that is walked over, bytes: more than the translations that a processor keeps.
const BYTES: usize = 64 << 20;

/// A place is looked at in each of these: the size of a small page.
const PAGE: usize = 4_096;

/// Looks at each page, after one round that brings the pages in.
const ROUNDS: u32 = 8;

/// Bytes between the places in two pages, so that they do not fall on the same lines of a cache.
const SHIFT: usize = 64;

/// The pages that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// Of 4 KiB, whatever the kernel would rather give.
    Small,
    /// Huge ones, as the node asks for its pictures. The kernel may give small ones.
    Huge,
}

/// Picoseconds for each look, or `None` if there is no memory for it.
pub(super) fn walk(pages: Pages, clock: Clock) -> Option<u64> {
    let map = Map::new(pages)?;
    let bytes = map.bytes();
    let count = BYTES / PAGE;
    let mut at = 0;
    let mut round = || {
        for _ in 0..count {
            // Each place is known once the one before it was read. The steps are a full period:
            // the factor is one more than a multiple of four, and the count a power of two.
            let seen = usize::from(bytes[at * PAGE + at * SHIFT % PAGE]);
            at = (at * 1_664_525 + 1_013_904_223 + seen) % count;
        }
    };
    round();
    let began = clock.nanos();
    (0..ROUNDS).for_each(|_| round());
    let took = clock.nanos().saturating_sub(began);
    std::hint::black_box(at);
    Some(took * 1_000 / (u64::from(ROUNDS) * count as u64))
}

/// Zeroed memory of its own, unmapped on drop.
struct Map(NonNull<u8>);

impl Map {
    fn new(pages: Pages) -> Option<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing of
        // ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let mut map = Self(NonNull::new(base.cast())?);
        let advice = match pages {
            Pages::Small => libc::MADV_NOHUGEPAGE,
            Pages::Huge => libc::MADV_HUGEPAGE,
        };
        // SAFETY: the range is exactly the mapping made above. A kernel without huge pages refuses.
        unsafe { libc::madvise(base, BYTES, advice) };
        // Written to, so that each page has memory of its own.
        map.bytes_mut().iter_mut().step_by(PAGE).for_each(|byte| *byte = 0);
        Some(map)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has so many bytes, zeroed, lives as long as `self`, and nothing else
        // writes to it.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr(), BYTES) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; `&mut self` is the one way to them.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_ptr(), BYTES) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, to which nothing refers any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}
