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
    /// Huge pages if the system has any free, else transparent ones where it can.
    pub(super) fn new(bytes: usize) -> Result<Self, Error> {
        let bytes = bytes.max(1).next_multiple_of(HUGE_PAGE);
        if let Ok(base) = map(bytes, libc::MAP_HUGETLB) {
            return Ok(Self { base, bytes });
        }
        let base = map(bytes, libc::MAP_NORESERVE).map_err(|cause| Error { bytes, cause })?;
        let region = Self { base, bytes };
        // Advice: if the kernel refuses, small pages do the same work more slowly.
        // SAFETY: the range is exactly the mapping made above.
        unsafe { libc::madvise(base.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE) };
        Ok(region)
    }

    /// Makes the kernel back the first `bytes` with memory now, on the calling thread's node.
    pub(super) fn touch(&self, bytes: usize) {
        for offset in (0..bytes.min(self.bytes)).step_by(4_096) {
            // SAFETY: in bounds of the mapping, and the pools call this before any handle exists.
            unsafe { self.base.add(offset).write_volatile(0) };
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

/// Maps memory for slots of packets: zeroed, and taken from the system page by page as it is used.
pub(super) fn map_slots(bytes: usize) -> Result<NonNull<u8>, Error> {
    map(bytes, libc::MAP_NORESERVE).map_err(|cause| Error { bytes, cause })
}

/// Gives the memory of mapped bytes back to the system; they are zero when they are used again.
///
/// # Safety
/// The range is mapped, nobody else uses it, and nobody relies on what it holds.
pub(super) unsafe fn give_back(base: NonNull<u8>, bytes: usize) {
    // Advice: if the kernel refuses, the memory stays.
    // SAFETY: by the caller.
    unsafe { libc::madvise(base.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
}

/// Ends the mapping of a range.
///
/// # Safety
/// The range was mapped by [`map_slots`], alone or as a part, and nobody uses it any more.
pub(super) unsafe fn unmap(base: NonNull<u8>, bytes: usize) {
    // SAFETY: by the caller.
    unsafe { libc::munmap(base.as_ptr().cast(), bytes) };
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
