//! Lines that foreign code writes into our log: their subject, their length and how many there may
//! be.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest line that foreign code may write into our log, bytes; the rest of it is cut off.
pub(super) const LINE_BYTES_MAX: usize = 512;

/// Lines per second that one foreign library may write into our log; the rest are left out. A
/// broken stream must not fill a disk: decoders complain about every block of it.
const LINES_PER_SECOND_MAX: u64 = 20;

thread_local! {
    /// What this thread works on, for the lines that foreign code writes meanwhile.
    static SUBJECT: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether nothing that foreign code says on this thread may be seen.
    static IS_SECRET: Cell<bool> = const { Cell::new(false) };
}

/// From now on, what foreign code says on this thread is about this file, stream or channel.
pub fn set_log_subject(subject: &str) {
    SUBJECT.with_borrow_mut(|name| subject.clone_into(name));
}

/// What this thread works on.
#[must_use]
pub fn log_subject() -> String {
    // A thread that is about to end has let go of its name.
    SUBJECT.try_with(|name| name.borrow().clone()).unwrap_or_default()
}

/// From now on, what FFmpeg says on this thread is left out: it may repeat an address that holds a
/// secret, or what a server answers to that.
pub fn keep_log_secret() {
    IS_SECRET.set(true);
}

/// Whether what is said on this thread is left out.
pub(super) fn is_log_secret() -> bool {
    // A thread that is about to end has let go of it.
    IS_SECRET.try_with(Cell::get).unwrap_or(true)
}

/// The line, behind what this thread works on.
pub(super) fn with_subject(text: &str) -> String {
    let subject = log_subject();
    if subject.is_empty() { text.to_owned() } else { subject + ": " + text }
}

/// How many lines a library has written in this second.
#[derive(Debug)]
pub(super) struct Lines {
    library: &'static str,
    /// The second in the upper half, and the lines of that second in the lower.
    state: AtomicU64,
}

impl Lines {
    pub(super) const fn new(library: &'static str) -> Self {
        Self { library, state: AtomicU64::new(0) }
    }

    /// Whether one more line fits into this second.
    pub(super) fn has_room(&self) -> bool {
        self.has_room_in(second())
    }

    fn has_room_in(&self, second: u64) -> bool {
        let lines_now = |state: u64| {
            let is_now = state >> 32 == second & u64::from(u32::MAX);
            if is_now { state & u64::from(u32::MAX) } else { 0 }
        };
        let more = |state: u64| Some(second << 32 | (lines_now(state) + 1));
        let (Ok(before) | Err(before)) =
            self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let lines = lines_now(before);
        if lines == LINES_PER_SECOND_MAX {
            let library = self.library;
            tracing::warn!("{library}: more than {lines} lines in this second, the rest left out");
        }
        lines < LINES_PER_SECOND_MAX
    }
}

/// Seconds on some clock that never goes back. A foreign log has no time that could be handed in.
fn second() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time into the struct; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_until_the_next_second() {
        let lines = Lines::new("x");
        let passed = |second| (0..100).filter(|_| lines.has_room_in(second)).count();
        assert_eq!((passed(7), passed(8)), (20, 20));
        assert_eq!(passed(8), 0);
    }
}
