//! Uptime in seconds, for memories of a foreign library's refusals, which no time can be handed to.

/// Seconds on a clock that never goes back.
#[must_use]
pub fn uptime_seconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time into the struct; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.unsigned_abs()
}
