//! Timers of CPU time: each has its thread interrupted after every so much time that the thread has
//! run for. A thread that waits is left alone.

use std::collections::HashMap;
use std::io;

use super::stack::SIGNAL;

/// Threads that are sampled. More are left out, and are counted.
const THREADS_MAX: usize = 1024;

/// The clock of a thread's CPU time, by the layout that `clock_getcpuclockid` and the kernel share:
/// the complement of the thread's number, then "of one thread", then "scheduler's time".
const fn clock_of(thread: i32) -> libc::clockid_t {
    (!thread << 3) | 4 | 2
}

/// Timers of all threads of the process but the one that has made them.
pub(super) struct ThreadTimers {
    timers: HashMap<i32, Option<libc::timer_t>>,
    own: i32,
    interval_ns: i64,
    pub(super) left_out: usize,
}

impl ThreadTimers {
    /// With `hz` samples in a second of CPU time.
    pub(super) fn new(hz: u32) -> Self {
        // SAFETY: no memory is involved.
        let own = unsafe { libc::gettid() };
        let interval_ns = 1_000_000_000 / i64::from(hz.max(2));
        Self { timers: HashMap::new(), own, interval_ns, left_out: 0 }
    }

    /// Begins with those threads that have come since the last call. Their numbers in the kernel.
    ///
    /// # Errors
    /// If the threads of the process cannot be listed.
    pub(super) fn update(&mut self) -> io::Result<Vec<i32>> {
        let mut new = Vec::new();
        for entry in std::fs::read_dir("/proc/self/task")? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let Ok(thread) = name.parse::<i32>() else { continue };
            if thread == self.own || self.timers.contains_key(&thread) {
                continue;
            }
            if self.timers.len() == THREADS_MAX {
                self.left_out += 1;
                continue;
            }
            // A thread that has ended meanwhile has no timer, and needs none.
            self.timers.insert(thread, start(thread, self.interval_ns));
            new.push(thread);
        }
        Ok(new)
    }
}

impl Drop for ThreadTimers {
    fn drop(&mut self) {
        for timer in self.timers.values().copied().flatten() {
            // SAFETY: the timer was made here, and is deleted once.
            unsafe { libc::timer_delete(timer) };
        }
    }
}

/// A running timer of `thread`; `None` if there is no such thread, or no timer to be had.
fn start(thread: i32, interval_ns: i64) -> Option<libc::timer_t> {
    // SAFETY: all structs are plain data that the calls read or fill in.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = SIGNAL;
        event.sigev_notify_thread_id = thread;
        let mut timer = std::mem::zeroed();
        if libc::timer_create(clock_of(thread), &raw mut event, &raw mut timer) != 0 {
            return None;
        }
        let each = libc::timespec { tv_sec: 0, tv_nsec: interval_ns };
        let times = libc::itimerspec { it_interval: each, it_value: each };
        if libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut()) == 0 {
            return Some(timer);
        }
        libc::timer_delete(timer);
        None
    }
}
