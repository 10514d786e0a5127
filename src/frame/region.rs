//! One mapping of anonymous memory, in huge pages where the system gives them.

use std::fmt;
use std::ptr::NonNull;

/// Size and alignment of a huge page on `x86_64` and most `aarch64`.
const HUGE_PAGE: usize = 2 << 20;

/// Memory of the pools could not be had.
#[derive(Debug)]
pub struct Error {
    bytes: usize,
    cause: std::io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes.div_ceil(1 << 20);
        write!(f, "cannot reserve {mib} MiB of memory: {}; use a smaller pool", self.cause)
    }
}

impl std::error::Error for Error {}

/// What kind of pages a region got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// Commit memory at the first touch, in pages of the usual size.
    Small,
    /// Huge pages if the system has any free, else transparent ones where it can.
    Huge,
}

/// Anonymous private memory, zeroed, unmapped on drop.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a region is plain memory; who may touch which part is decided by the pools' slot handles.
unsafe impl Send for Region {}
// SAFETY: as above; the region itself is never written through a shared reference here.
unsafe impl Sync for Region {}

impl Region {
    pub(super) fn new(bytes: usize, pages: Pages) -> Result<Self, Error> {
        let bytes = bytes.max(1).next_multiple_of(HUGE_PAGE);
        if pages == Pages::Huge
            && let Ok(base) = map(bytes, libc::MAP_HUGETLB)
        {
            return Ok(Self { base, bytes });
        }
        let base = map(bytes, libc::MAP_NORESERVE).map_err(|cause| Error { bytes, cause })?;
        let region = Self { base, bytes };
        if pages == Pages::Huge {
            // Advice: if the kernel refuses, small pages do the same work more slowly.
            // SAFETY: the range is exactly the mapping made above.
            unsafe { libc::madvise(base.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        }
        Ok(region)
    }

    /// Makes the kernel back the first `bytes` with memory now, on the calling thread's node.
    pub(super) fn touch(&self, bytes: usize) {
        for offset in (0..bytes.min(self.bytes)).step_by(4_096) {
            // SAFETY: in bounds of the mapping, and the pools call this before any handle exists.
            unsafe { self.base.add(offset).write_volatile(0) };
        }
    }

    /// Gives the whole pages among these bytes back to the system; they are zero when they are
    /// touched again.
    ///
    /// # Safety
    /// Nobody else uses these bytes, and nobody relies on what they hold.
    pub(super) unsafe fn give_back(&self, offset: usize, bytes: usize) {
        // SAFETY: it reads a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let Some(page) = usize::try_from(page).ok().filter(|page| *page > 0) else { return };
        let (from, to) = (offset.next_multiple_of(page), (offset + bytes) / page * page);
        if from < to && to <= self.bytes {
            // Advice: if the kernel refuses, the memory stays.
            // SAFETY: whole pages of the mapping, which the caller owns.
            unsafe {
                libc::madvise(self.base.as_ptr().add(from).cast(), to - from, libc::MADV_DONTNEED)
            };
        }
    }

    /// The address of byte `offset`.
    pub(super) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.bytes, "offset outside the region");
        // SAFETY: in bounds by the assertion.
        unsafe { self.base.add(offset) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nothing refers to any more: every handle keeps
        // its pool, and so this region, alive.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

fn map(bytes: usize, flags: i32) -> std::io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing of ours.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| std::io::Error::other("mapped at address zero"))
}
