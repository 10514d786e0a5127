//! Scheduling of threads: CPU affinity and niceness.

/// Niceness of the composer and of shards, if the process may: above everything that only computes.
pub const NICE_PINNED: i32 = -5;

/// Niceness of encoder and decoder threads: below compose and shards, which must be on time.
pub const NICE_ENCODE: i32 = 5;

/// The calling thread's number in the kernel.
#[must_use]
pub fn thread_id() -> i32 {
    // SAFETY: no memory is involved.
    unsafe { libc::gettid() }
}

/// The CPUs this process may run on, by the kernel's numbers: its affinity, which respects cgroups.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a `cpu_set_t` is plain bits, for which zero is valid; the kernel fills it.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Vec::new();
        }
        set
    };
    let most = libc::CPU_SETSIZE.unsigned_abs() as usize;
    // SAFETY: every number is below the size of the set.
    (0..most).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
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
