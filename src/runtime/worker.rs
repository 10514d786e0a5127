//! Plain OS threads beside the executors: encoders and decoders, which block.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Niceness of encoder and decoder threads: below compose and shards, which must be on time.
pub const NICE_ENCODE: i32 = 5;

/// Niceness of compose and shards, if the process may: above everything that only computes.
pub(super) const NICE_PINNED: i32 = -5;

/// A named thread with its set of CPUs and its priority, both inherited by threads it starts
/// itself (x264's workers).
#[derive(Debug)]
pub struct Worker<T>(JoinHandle<T>);

impl<T: Send + 'static> Worker<T> {
    /// Starts `run` on a new thread that may use `cpus` (all if empty) at niceness `nice`.
    ///
    /// # Errors
    /// If the system has no thread for us.
    pub fn spawn(
        name: &str,
        cpus: Vec<usize>,
        nice: i32,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let start = move || {
            pin(&cpus);
            set_nice(nice);
            run()
        };
        Builder::new().name(name.to_owned()).spawn(start).map(Self)
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the end. `None` if the thread panicked.
    #[must_use]
    pub fn join(self) -> Option<T> {
        self.0.join().ok()
    }
}

/// Restricts the calling thread, and threads that it starts later, to `cpus`, if there are any.
/// Best effort: without the right, it stays where it may.
pub fn pin(cpus: &[usize]) {
    if cpus.is_empty() {
        return;
    }
    // SAFETY: a `cpu_set_t` is plain bits, for which zero is valid.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE.unsigned_abs() as usize) {
        // SAFETY: `cpu` is below the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set outlives the call; 0 is the calling thread.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// Sets the calling thread's niceness. Best effort: raising the priority needs a right.
pub(super) fn set_nice(nice: i32) {
    // SAFETY: no memory is involved; on Linux, who = 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_runs_on_its_cpus_and_below_the_usual_priority() {
        let cpu = crate::runtime::allowed_cpus()[0];
        let worker = Worker::spawn("test", vec![cpu], NICE_ENCODE, || {
            // SAFETY: no memory is involved.
            (crate::runtime::allowed_cpus(), unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) })
        });
        let (cpus, nice) = worker.unwrap().join().unwrap();
        assert_eq!(cpus, [cpu]);
        assert!(nice >= NICE_ENCODE);
    }
}
