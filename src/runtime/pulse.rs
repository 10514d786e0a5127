//! The pulse of a pinned thread. glommio 0.9 can fall asleep although tasks are ready: when the
//! kernel takes the thread off its core for longer than the preemption timer between arming that
//! timer and running the first task, its scheduler takes "preempted" for "nothing to do" and parks
//! (`run_task_queues` returns false in both cases). Whoever watches the pulse can interrupt that
//! sleep with a signal, after which the executor looks at everything again.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Interrupts a sleeping system call. Nobody else has a use for it in this process.
const SIGNAL: i32 = libc::SIGURG;

/// Beats counted by one thread, and how to reach it.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Kernel's number of the thread; 0 until it has begun.
    thread: AtomicI32,
    beats: AtomicU64,
}

impl Pulse {
    /// The calling thread is the one.
    pub fn attach(&self) {
        install_handler();
        // SAFETY: no memory is involved.
        self.thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    /// Whether the thread has begun.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.thread.load(Ordering::Relaxed) != 0
    }

    /// The thread is awake.
    pub fn beat(&self) {
        // One writer: no other beat is lost.
        self.beats.store(self.beats.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// How often the thread said so.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// Interrupts whatever the thread sleeps in. A thread that does not sleep is not disturbed.
    pub fn shake(&self) {
        let thread = self.thread.load(Ordering::Relaxed);
        if thread != 0 {
            interrupt(thread);
        }
    }
}

/// Interrupts whatever any thread of this process sleeps in: for one that has not begun.
pub(super) fn shake_all() {
    install_handler();
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        interrupt(thread);
    }
}

fn interrupt(thread: i32) {
    // SAFETY: no memory is involved; a thread that has ended gives an error, which is fine.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

/// Ignored signals interrupt nothing; one with a handler does, even if that does nothing.
fn install_handler() {
    extern "C" fn nothing(_signal: i32) {}
    // SAFETY: a `sigaction` is plain data, for which zero is valid: no flags (so that calls are
    // interrupted), an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing, which is safe at any moment; the structure outlives the
    // call.
    unsafe { libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_shaken_thread_wakes_from_a_sleep_that_has_no_end() {
        let pulse = Arc::new(Pulse::default());
        let theirs = Arc::clone(&pulse);
        let sleeper = crate::runtime::Worker::spawn("sleeper", Vec::new(), 0, move || {
            theirs.attach();
            theirs.beat();
            // SAFETY: no memory is involved; waits for any signal with a handler.
            unsafe { libc::pause() };
        });
        let sleeper = sleeper.unwrap();
        // It may be shaken between its beat and its sleep: then once more.
        while !sleeper.is_finished() {
            if pulse.beats() == 1 {
                pulse.shake();
            }
            std::thread::yield_now();
        }
    }
}
